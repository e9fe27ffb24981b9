"""What `make doors` checks, by PyTorch, torchvision, timm, onnxruntime and TensorBoard themselves: that encoders which leave the laboratory, and
those which come in, make the same features of 64 images on both sides, and that the curves of a run can be read.

A difference is the largest over the images of |theirs - ours| / |ours|. In float32 it is about 1e-6; what is laid out wrongly, a
norm, a padding, heads of another size, makes it 1e-2 or more. Then it runs what docs/doors.md says, in its order.
"""

import glob
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import numpy as np
import onnxruntime
import timm
import torch
import torchvision
from PIL import Image
from safetensors.torch import load_file, save_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

LIMIT, SIDE, ONNX_BATCH = 1e-4, 32, 16
os.environ["PATH"] = os.path.dirname(sys.executable) + os.pathsep + os.environ["PATH"]  # where this sslkit is
torch.manual_seed(1)
work = pathlib.Path(tempfile.mkdtemp(prefix="doors-"))
failed = []


def sslkit(*args):
    command = ["sslkit", *map(str, args), "--runs", work / "runs", "--quiet", "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return json.loads(done.stdout)


def draw(side):
    """Two classes of square pictures, noise on bars, 64 of each split."""
    rng, images = np.random.default_rng(1), []
    for split in ("train", "test"):
        for i in range(64):
            pixels = rng.integers(0, 120, (side, side, 3))
            at = 4 * (i % 6)
            pixels[:, at : at + 8, i % 3] += 100 if i % 2 else 40
            path = work / f"images{side}" / split / ("even", "odd")[i % 2] / f"{i:03}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels.astype(np.uint8)).save(path)
    return f"folder:{work / f'images{side}'}"


def pictures(labels, mean, std):
    """The images of a file of features, in its order, as PyTorch has them."""
    lines = [line.rsplit(",", 1)[1] for line in pathlib.Path(labels).read_text().splitlines()[1:]]
    x = np.stack([np.asarray(Image.open(path).convert("RGB"), np.float32) / 255 for path in lines])
    return torch.tensor(((x - np.float32(mean)) / np.float32(std)).transpose(0, 3, 1, 2))


def check(what, theirs, ours):
    theirs, ours = np.asarray(theirs, np.float64), np.asarray(ours, np.float64)
    difference = np.inf
    if theirs.shape == ours.shape == (64, ours.shape[1]):
        difference = (np.linalg.norm(theirs - ours, axis=1) / np.linalg.norm(ours, axis=1)).max()
    print(f"{what:64} {difference:.1e}")
    if not difference < LIMIT or ours.std() < 1e-3:
        failed.append(what)


data = draw(SIDE)
with torch.no_grad():
    # From here to there.
    for name, flags in {
        "ViT(5, 96, 4)": ["--arch", "vit", "--depth", 5, "--width", 96],
        "ViT(4, 192, 8), class token, learnt positions": ["--arch", "vit", "--depth", 4, "--width", 192, "--set", "patch=8", "--set", "class_token=true", "--set", "learnt_positions=true"],
        "ResNet-18, 7x7 stem": ["--arch", "resnet18", "--depth", 18, "--width", 64, "--set", "stem=imagenet"],
        "ResNet-18, 3x3 stem, width 16": ["--arch", "resnet18", "--depth", 18, "--width", 16],
        "ResNet-34, 7x7 stem, width 8": ["--arch", "resnet34", "--depth", 34, "--width", 8, "--set", "stem=imagenet"],
        "ResNet-50, 7x7 stem": ["--arch", "resnet50", "--set", "stem=imagenet"],
        "ResNet-50, 3x3 stem, width 8": ["--arch", "resnet50", "--width", 8],
        "ViT(2, 96, 8), registers, LayerScale": ["--arch", "vit", "--depth", 2, "--width", 96, "--set", "patch=8", "--set", "class_token=true", "--set", "learnt_positions=true", "--set", "registers=4", "--set", "layer_scale=0.1"],
        "ViT(2, 96, 8), its class token": ["--arch", "vit", "--depth", 2, "--width", 96, "--set", "patch=8", "--set", "class_token=true", "--set", "pool=class"],
        "ResNet(14, 16)": ["--arch", "resnet", "--depth", 14, "--width", 16],
        "NIN(3, 48)": ["--arch", "nin", "--depth", 3, "--width", 48],
    }.items():
        run = sslkit("pretrain", "--data", data, "--epochs", 1, "--batch", 16, "--train", 64, *flags)
        folder, features = work / f"out{len(list(work.glob('out*')))}", work / "features.npy"
        sslkit("embed", run["key"], "--out", features)
        onnx = work / f"onnx{len(list(work.glob('onnx*')))}"
        sslkit("export", run["key"], "--format", "onnx", "--batch", ONNX_BATCH, "--out", onnx)
        cfg, session = json.loads((onnx / "config.json").read_text()), onnxruntime.InferenceSession(onnx / "model.onnx", providers=["CPUExecutionProvider"])
        x = pictures(work / "features-labels.csv", cfg["pretrained_cfg"]["mean"], cfg["pretrained_cfg"]["std"]).numpy()
        outputs = [session.run(None, {"image": x[i : i + ONNX_BATCH]}) for i in range(0, 64, ONNX_BATCH)]
        outputs = dict(zip([o["name"] for o in cfg["outputs"]], map(np.concatenate, zip(*outputs)), strict=True))
        check(f"out: {name}: onnxruntime", outputs["features"], np.load(features))
        check(f"out: {name}: its last map", list(outputs.values())[-1].mean((2, 3)), np.load(features))
        if "nin" in flags:  # which neither timm nor torchvision has
            continue
        sslkit("export", run["key"], "--out", folder)
        cfg = json.loads((folder / "config.json").read_text())
        x, ours = pictures(work / "features-labels.csv", cfg["pretrained_cfg"]["mean"], cfg["pretrained_cfg"]["std"]), np.load(features)
        if "architecture" in cfg:
            check(f"out: {name}: timm.create_model", timm.create_model(f"local-dir:{folder}", pretrained=True).eval()(x), ours)
        if (folder / "encoder.py").exists():
            sys.path.insert(0, str(folder))
            import encoder

            check(f"out: {name}: encoder.load", encoder.load(folder)(x), ours)
            sys.path.pop(0)
        if name in ("ResNet-18, 7x7 stem", "ResNet-50, 7x7 stem"):
            model = getattr(torchvision.models, cfg["architecture"])()
            model.fc = torch.nn.Identity()
            model.load_state_dict(load_file(folder / "model.safetensors"))
            check(f"out: {name}: torchvision.models.{cfg['architecture']}", model.eval()(x), ours)
        sslkit("embed", "--init", folder, "--data", data, "--set", f"data.size={SIDE}", "--out", features)
        check(f"and back: {name}", np.load(features), ours)

    # From there to here: what others trained is not to be had without a network, so that these are random, norms included.
    def stir(model):
        for name, v in model.state_dict().items():
            if v.dtype.is_floating_point:
                v += 0.05 * torch.randn_like(v)
                if name.endswith("running_var"):
                    v.abs_().add_(0.5)
        return model.eval()

    imagenet, half = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]), ([0.5] * 3, [0.5] * 3)
    vit = dict(img_size=SIDE, patch_size=8, embed_dim=192, depth=4, num_heads=3)

    def pooled(m, x):
        return torch.nn.Sequential(*list(m.children())[:-1])(x).flatten(1)

    def patches(m, x):
        return m.forward_features(x)[:, m.num_prefix_tokens :].mean(1)

    def moco(prefix):
        """The names of facebookresearch's checkpoints, with what lies beside the encoder."""
        beside = {"module.queue": torch.zeros(8, 4), "module.encoder_k.conv1.weight": torch.zeros(64, 3, 7, 7), "module.predictor.0.weight": torch.zeros(4, 4)}
        kept = [k for k in beside if k.startswith("module.predictor") == ("base" in prefix)]
        return lambda state: {prefix + k: v for k, v in state.items()} | {k: beside[k] for k in kept}

    def mae(state):
        return {k: v for k, v in state.items() if not k.startswith("head.")} | {"mask_token": torch.zeros(1, 1, 64), "decoder_blocks.0.norm1.weight": torch.zeros(64), "decoder_pos_embed": torch.zeros(1, 17, 64)}

    def dinov2(state):
        """timm's way from facebookresearch's names with registers, backwards: there the class token has a position."""
        state, place = dict(state), 0.1 * torch.randn(1, 1, state["cls_token"].shape[-1])
        state["register_tokens"], state["mask_token"] = state.pop("reg_token"), torch.zeros_like(place[0])
        state["cls_token"], state["pos_embed"] = state["cls_token"] - place, torch.cat([place, state["pos_embed"]], 1)
        return state

    def same(state):
        return state

    small, fifty = dict(img_size=28, init_values=0.5), torchvision.models.resnet50()
    reg4 = timm.create_model("vit_small_patch14_reg4_dinov2", **small)
    for name, model, (mean, std), read, names, side, flags in [
        ("torchvision's resnet18", torchvision.models.resnet18(), imagenet, pooled, same, SIDE, []),
        ("torchvision's resnet34", torchvision.models.resnet34(), imagenet, pooled, same, SIDE, []),
        ("torchvision's resnet50", fifty, imagenet, pooled, same, SIDE, []),
        ("timm's resnet18", timm.create_model("resnet18"), imagenet, lambda m, x: m.forward_features(x).mean((2, 3)), same, SIDE, []),
        ("timm's resnet50", timm.create_model("resnet50"), imagenet, lambda m, x: m.forward_features(x).mean((2, 3)), same, SIDE, []),
        ("MoCo's ResNet-50", fifty, imagenet, pooled, moco("module.encoder_q."), SIDE, []),
        ("timm's ViT with a class token", timm.create_model("vit_tiny_patch16_224", **vit), half, patches, same, SIDE, []),
        ("timm's ViT without one", timm.create_model("vit_tiny_patch16_224", class_token=False, global_pool="avg", fc_norm=False, **vit), imagenet, patches, same, SIDE, []),
        ("timm's vit_tiny, its class token", timm.create_model("vit_tiny_patch16_224", img_size=SIDE), half, lambda m, x: m.forward_features(x)[:, 0], same, SIDE, ["pool=class"]),
        ("timm's vit_small", timm.create_model("vit_small_patch16_224", img_size=SIDE), half, patches, same, SIDE, []),
        ("MoCo v3's vit_small, of 12 heads", timm.create_model("vit_small_patch16_224", img_size=SIDE, num_heads=12), imagenet, patches, moco("module.base_encoder."), SIDE, []),
        ("MAE's vit_tiny", timm.create_model("vit_tiny_patch16_224", img_size=SIDE), imagenet, patches, mae, SIDE, []),
        ("timm's vit_small_patch14_dinov2", timm.create_model("vit_small_patch14_dinov2", **small), imagenet, patches, same, 28, []),
        ("timm's vit_small_patch14_reg4_dinov2", reg4, imagenet, patches, same, 28, []),
        ("DINOv2's own, with registers", reg4, imagenet, patches, dinov2, 28, []),
        ("timm's deit3_small, no position of the class token", timm.create_model("deit3_small_patch16_224", img_size=SIDE, init_values=0.5), imagenet, patches, same, SIDE, []),
    ]:
        folder, features = work / f"in{len(list(work.glob('in*')))}", work / "features.npy"
        folder.mkdir()
        save_file({k: v.clone().contiguous() for k, v in names(stir(model).state_dict()).items()}, folder / "model.safetensors")
        (folder / "config.json").write_text(json.dumps({"pretrained_cfg": {"mean": mean, "std": std}}))
        sslkit("embed", "--init", folder, "--data", draw(side), "--set", f"data.size={side}", *(word for flag in flags for word in ("--set", flag)), "--out", features)
        check(f"in: {name}", read(model, pictures(work / "features-labels.csv", mean, std)), np.load(features))

for record in glob.glob(str(work / "runs" / run["key"] / "record.json")):
    read = EventAccumulator(str(pathlib.Path(record).parent))
    read.Reload()
    loss = [e.value for e in read.Scalars("loss")]
    if not np.allclose(loss, run["history"]["loss"]):
        failed.append("TensorBoard")
    print(f"TensorBoard reads {len(read.Tags()['scalars'])} curves of {len(loss)} epoch")
# The page: what begins with ```sh and ```python, in one folder; the variables of the shell stay.
page, lines = pathlib.Path(__file__).parent.parent / "docs/doors.md", ["set -euo pipefail"]
for block in re.finditer(r"^```(sh|python)\n(.*?)^```$", page.read_text(), re.M | re.S):
    lines.append(f"'{sys.executable}' - <<'END'\n{block[2]}END" if block[1] == "python" else f"set -x\n{block[2]}{{ set +x; }} 2>/dev/null")
(work / "page").mkdir()
if subprocess.run(["bash", "-c", "\n".join(lines)], cwd=work / "page", env={**os.environ, "SSLKIT_RUNS": str(work / "page-runs"), "SSLKIT_PRESET": "smoke"}).returncode:
    failed.append("docs/doors.md")

if failed:
    sys.exit(f"not the same: {', '.join(failed)}; the files are in {work}")
shutil.rmtree(work)
