(id) => {
  for (const place of document.querySelectorAll(`[data-stop="${id}"]`)) {
    if (place.firstChild) continue; // a copy whose script has run
    const button = document.createElement("button"), said = document.createElement("span");
    button.textContent = "Stop";
    button.title = "saves the run; running the cell again goes on from there";
    said.style = "margin-left:8px;font:13px/1.4 Arial,Helvetica,sans-serif";
    button.addEventListener("click", async () => {
      button.disabled = true;
      said.textContent = "stopping: the step under way is finished and saved";
      try {
        const page = JSON.parse(document.getElementById("jupyter-config-data")?.textContent || "{}");
        const api = (page.baseUrl || document.body.dataset.baseUrl || "/") + "api/";
        const headers = { "X-XSRFToken": document.cookie.match(/(?:^|; )_xsrf=([^;]*)/)?.[1] || "" };
        if (page.token) headers.Authorization = "token " + page.token;
        const ask = async (path, method) => {
          const answer = await fetch(api + path, { method, headers, credentials: "same-origin" });
          if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
          return answer;
        };
        const busy = (await (await ask("sessions", "GET")).json()).filter((s) => s.kernel?.execution_state === "busy");
        const here = busy.filter((s) => decodeURIComponent(location.pathname).endsWith("/" + s.path));
        const one = here.length ? here : busy;
        if (one.length !== 1) throw new Error(`${one.length} kernels are at work`);
        await ask(`kernels/${one[0].kernel.id}/interrupt`, "POST");
      } catch (error) {
        button.disabled = false;
        said.textContent = `${error.message}: use JupyterLab's own button`;
      }
    });
    place.append(button, said);
  }
}
