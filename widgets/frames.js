(id, at, frames) => {
  for (const box of document.querySelectorAll(`[data-frames="${id}"]`)) {
    if (box.frames) continue; // a copy whose script has run
    box.frames = frames;
    box.querySelector("input")?.remove(); // of a page that was saved while scripts ran
    const img = box.querySelector("img"), name = box.querySelector("b");
    const slider = document.createElement("input");
    Object.assign(slider, { type: "range", min: 0, max: frames.length - 1, step: 1, value: at });
    slider.style = "width:20em;max-width:60%;margin:0 8px;vertical-align:middle";
    slider.dataset.lmSuppressShortcuts = "true"; // else JupyterLab takes the arrow keys
    const show = () => {
      const frame = frames[slider.value];
      Object.assign(img, frame.img);
      name.textContent = frame.name;
      slider.setAttribute("aria-valuetext", frame.name);
    };
    slider.addEventListener("input", show);
    name.before(slider);
    name.setAttribute("aria-hidden", "true"); // the slider says it
    show();
  }
}
