"""An epoch of SimCLR as users of lightly train it: its transform in the workers of a DataLoader, its loss, PyTorch's network."""

import glob
import os

import torch
from lightly.loss import NTXentLoss
from lightly.transforms import SimCLRTransform
from PIL import Image
from torch.utils.data import DataLoader, Dataset

import torch_steps
import worker


class Folder(Dataset):
    def __init__(self, c):
        self.files = sorted(glob.glob(os.path.join(c["file"], "*.png")))
        r = c["recipe"]
        self.transform = SimCLRTransform(
            input_size=c["size"], cj_prob=r["jitter"], cj_strength=1, cj_bright=r["brightness"], cj_contrast=r["contrast"],
            cj_sat=r["saturation"], cj_hue=r["hue"], min_scale=r["min_scale"], random_gray_scale=r["gray"], gaussian_blur=0, normalize=None)

    def __len__(self):
        return len(self.files)

    def __getitem__(self, i):
        with Image.open(self.files[i]) as image:
            return self.transform(image.convert("RGB"))


def main():
    c = torch_steps.C
    torch.manual_seed(1)
    torch.set_num_threads(c["threads"])
    model = torch_steps.ResNet(c).to(memory_format=torch.channels_last)
    update, criterion = torch_steps.optimizer(model, c), NTXentLoss(temperature=c["temperature"])
    loader = DataLoader(Folder(c), batch_size=c["images"], shuffle=True, drop_last=True, num_workers=c["threads"])

    def epoch(_):
        for first, second in loader:
            z = model(torch.cat([first, second]))
            loss = criterion(z[: len(first)], z[len(first) :])
            loss.backward()
            update.step()
            update.zero_grad()
        return loss.item()

    worker.serve(c, 0, epoch, warm=1)


if __name__ == "__main__":
    main()
