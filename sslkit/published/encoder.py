"""Loads the residual network of this folder into PyTorch: `encoder.load(folder)`. Its parameters have torchvision's names.

Images are [N, C, H, W] in [0, 1], normalised by the mean and std of config.json; the features are those of the last stage, [N, C],
and `maps` are the feature maps of all stages.
"""

import json
import pathlib

import torch
from safetensors.torch import load_file
from torch import nn


class Block(nn.Module):
    def __init__(self, before, channels, stride, project):
        super().__init__()
        self.conv1 = nn.Conv2d(before, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.stride, self.more, self.downsample = stride, channels - before, None
        if project and (stride > 1 or self.more):
            self.downsample = nn.Sequential(nn.Conv2d(before, channels, 1, stride, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x):
        y = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))
        if self.downsample is not None:
            x = self.downsample(x)
        else:  # option A: every stride-th pixel, and zeros for more channels
            x = nn.functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.more))
        return (x + y).relu()


class Bottleneck(nn.Module):
    def __init__(self, before, channels, stride, project):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(before, channels, 1, bias=False), nn.BatchNorm2d(channels)
        self.conv2, self.bn2 = nn.Conv2d(channels, channels, 3, stride, 1, bias=False), nn.BatchNorm2d(channels)
        self.conv3, self.bn3 = nn.Conv2d(channels, 4 * channels, 1, bias=False), nn.BatchNorm2d(4 * channels)
        self.downsample = nn.Identity()
        if stride > 1 or before != 4 * channels:
            self.downsample = nn.Sequential(nn.Conv2d(before, 4 * channels, 1, stride, bias=False), nn.BatchNorm2d(4 * channels))

    def forward(self, x):
        y = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu())).relu()
        return (self.downsample(x) + self.bn3(self.conv3(y))).relu()


class ResNet(nn.Module):
    def __init__(self, blocks, width, channels, large, block=Block, times=1):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 7, 2, 3, bias=False) if large else nn.Conv2d(channels, width, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, 2, 1) if large else nn.Identity()
        self.stages, before = len(blocks), width
        for i, n in enumerate(blocks):
            layer = []
            for j in range(n):
                layer.append(block(before, width << i, 2 if i and not j else 1, len(blocks) == 4))
                before = times * width << i
            setattr(self, f"layer{i + 1}", nn.Sequential(*layer))

    def maps(self, x):
        x, out = self.maxpool(self.bn1(self.conv1(x)).relu()), []
        for i in range(self.stages):
            x = getattr(self, f"layer{i + 1}")(x)
            out.append(x)
        return out

    def forward(self, x):
        return self.maps(x)[-1].mean((2, 3))


def load(folder):
    folder = pathlib.Path(folder)
    config = json.loads((folder / "config.json").read_text())
    b = config["sslkit"]["backbone"]
    blocks = {"resnet18": [2, 2, 2, 2], "resnet34": [3, 4, 6, 3], "resnet50": [3, 4, 6, 3]}.get(b["arch"]) or [(b["depth"] - 2) // 6] * 3
    block = (Bottleneck, 4) if b["arch"] == "resnet50" else (Block, 1)
    model = ResNet(blocks, b["width"], config["pretrained_cfg"]["input_size"][0], b.get("stem") == "imagenet", *block)
    model.load_state_dict(load_file(folder / "model.safetensors"))
    return model.eval()
