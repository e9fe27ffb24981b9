"""Writes huggingface.json: names and shapes of what transformers' save_pretrained writes of some tiny networks, and features that
they make of two images. Values follow from the names, so that the file need not hold them. With transformers 5.23.0 and PyTorch
2.15.0:

    python huggingface.py >huggingface.json
"""

import json
import re
import tempfile
import zlib

import numpy as np
import torch
import transformers as t
from safetensors.torch import load_file, save_file


def noise(name, *shape):
    """Numbers in [-0.5, 0.5) by the CRC-32 of the name and the place."""
    x = np.arange(np.prod(shape), dtype=np.uint64) + np.uint64(zlib.crc32(name.encode()))
    for factor in (0x9E3779B1, 0x85EBCA77):
        x = x * np.uint64(factor) & np.uint64(0xFFFFFFFF)
        x ^= x >> np.uint64(15)
    return (x.astype(np.float64) / 2**32 - 0.5).astype(np.float32).reshape(shape)


size = dict(hidden_size=64, num_hidden_layers=2, num_attention_heads=2, image_size=8, patch_size=4)
vit = dict(intermediate_size=256, **size)
tail = dict(decoder_hidden_size=32, decoder_num_hidden_layers=1, decoder_num_attention_heads=1, decoder_intermediate_size=64)
out = {}
for model in [
    t.ViTModel(t.ViTConfig(**vit)),
    t.ViTForImageClassification(t.ViTConfig(**vit)),
    t.ViTMAEForPreTraining(t.ViTMAEConfig(mask_ratio=0.0, **vit, **tail)),
    t.Dinov2Model(t.Dinov2Config(**size)),
    t.Dinov2ForImageClassification(t.Dinov2Config(**size)),
    t.Dinov2WithRegistersModel(t.Dinov2WithRegistersConfig(num_register_tokens=3, **size)),
]:
    with tempfile.TemporaryDirectory() as dir:
        model.save_pretrained(dir)
        file = f"{dir}/model.safetensors"
        tensors = {name: torch.tensor(noise(name, *v.shape)) for name, v in sorted(load_file(file).items())}
        save_file(tensors, file, {"format": "pt"})
        model, config = type(model).from_pretrained(dir).eval(), json.load(open(f"{dir}/config.json"))
    encoder = model.base_model
    x = torch.tensor(noise("image", 2, 3, 8, 8))  # normalised already, by 0.5: pixels are 0.5 + x/2
    with torch.no_grad():
        # ViTMAE shuffles even where it hides nothing: noise that rises leaves the order as it is.
        more = {"noise": torch.arange(4.0).expand(2, 4)} if type(model).__name__.startswith("ViTMAE") else {}
        y = encoder(x, **more).last_hidden_state
    out[type(model).__name__] = {
        "config": {k: config[k] for k in ("num_attention_heads", "hidden_act", "num_register_tokens") if k in config},
        "tensors": {name: list(v.shape) for name, v in tensors.items()},
        "patches": [round(v, 6) for v in y[:, -4:].mean(1).flatten().tolist()],
        "class": [round(v, 6) for v in y[:, 0].flatten().tolist()],
    }
print(re.sub(r"\[[^\[\]{}]*\]", lambda m: re.sub(r"\s+", " ", m[0]).replace("[ ", "[").replace(" ]", "]"), json.dumps(out, indent=1)))
