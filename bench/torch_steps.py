"""The training steps in PyTorch: eager, or with torch.compile where the configuration says so.

Draws are per image, as in sslkit/view. What is chosen because it is fastest on a CPU: crops by grid_sample, the flip
folded into its grid; the transforms of the colour jitter each on those images whose turn it is; channels_last for the
encoder; the fused SGD.
"""

import copy
import math

import torch
import torch.nn.functional as F
from torch import nn

import worker

# Views: images are [N, 3, H, W] in [0, 1].


def uniform(n, low, high):
    return torch.rand(n) * (high - low) + low


def crop_flip(x, scale, size):
    n, _, h, w = x.shape
    area, ratio = h * w * uniform(n, scale, 1), uniform(n, math.log(3 / 4), math.log(4 / 3)).exp()
    height, width = (area / ratio).sqrt().clamp(max=h), (area * ratio).sqrt().clamp(max=w)
    i = torch.arange(size) + 0.5

    def places(extent, length):
        e = extent[:, None]
        at = (i * (e / size) - 0.5).clamp(min=0).minimum((e - 1).clamp(min=0))  # the crop's own edge is repeated
        return at + torch.rand(n, 1) * (length - e)

    y, x_ = places(height, h), places(width, w)
    x_ = torch.where(torch.rand(n, 1) < 0.5, x_.flip(1), x_)
    grid = torch.stack([(x_ * (2 / (w - 1)) - 1)[:, None, :].expand(n, size, size),
                        (y * (2 / (h - 1)) - 1)[:, :, None].expand(n, size, size)], -1)
    return F.grid_sample(x, grid, padding_mode="border", align_corners=True)


def luma(x):
    return 0.2989 * x[:, :1] + 0.587 * x[:, 1:2] + 0.114 * x[:, 2:]


def blend(x, other, f):
    return torch.lerp(other, x, f).clamp_(0, 1)


def turn_hue(x, f):
    r, g, b = x.unbind(1)
    v, c = x.amax(1), x.amax(1) - x.amin(1)
    rise = torch.where(v == r, g - b, torch.where(v == g, b - r, r - g))
    start = torch.where(v == r, 0.0, torch.where(v == g, 2.0, 4.0))
    h = (start + rise / torch.where(c == 0, 1.0, c) + 6 * f[:, 0]) % 6
    lack = [2 - (h - 3).abs(), (h - 2).abs() - 1, (h - 4).abs() - 1]
    return v[:, None] - c[:, None] * torch.stack(lack, 1).clamp_(0, 1)


ADJUST = [
    lambda x, f: (x * f).clamp_(0, 1),
    lambda x, f: blend(x, luma(x).mean((2, 3), keepdim=True), f),
    lambda x, f: blend(x, luma(x), f),
    turn_hue,
]


def jitter(x, p, strength):
    n = len(x)
    order = torch.rand(n, 4).argsort(1)
    order[torch.rand(n) >= p] = -1
    factors = [uniform(n, 1 - s, 1 + s) for s in strength[:3]] + [uniform(n, -strength[3], strength[3])]
    for k in range(4):
        for op, adjust in enumerate(ADJUST):
            i = (order[:, k] == op).nonzero()[:, 0]
            if len(i):
                x[i] = adjust(x[i], factors[op][i][:, None, None, None])
    return x


def gray(x, p):
    return torch.where(torch.rand(len(x), 1, 1, 1) < p, luma(x), x)


@torch.no_grad()
def views(images, count, recipe):
    """count views of each image of a uint8 batch [N, H, W, 3], [count*N, 3, H, W]."""
    x = torch.from_numpy(images).permute(0, 3, 1, 2).float().div_(255).contiguous()
    x = crop_flip(x.repeat(count, 1, 1, 1), recipe["scale"], x.shape[-1])
    return gray(jitter(x, recipe["jitter"], recipe["strength"]), recipe["gray"])


# The encoder: sslkit/nn/resnet.go.


class Block(nn.Module):
    def __init__(self, inputs, channels, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, channels, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.stride, self.more = stride, channels - inputs

    def forward(self, x):
        y = F.relu(self.norm1(self.conv1(x)), inplace=True)
        y = self.norm2(self.conv2(y))
        if self.more:
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.more))
        return F.relu(y.add_(x), inplace=True)


class ResNet(nn.Module):
    def __init__(self, depth, width, head):
        super().__init__()
        layers = [nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
        inputs = width
        for i in range(3):
            for j in range((depth - 2) // 6):
                layers.append(Block(inputs, width << i, 2 if i > 0 and j == 0 else 1))
                inputs = width << i
        self.encoder = nn.Sequential(*layers)
        self.head = nn.Sequential()
        for k, d in enumerate(head["dims"]):
            if k:
                self.head.append(nn.ReLU(inplace=True))
            self.head.append(nn.Linear(inputs, d, bias=not head["norm"]))
            if head["norm"]:
                self.head.append(nn.BatchNorm1d(d))
            inputs = d
        if head["norm"]:
            self.head[-1].bias.requires_grad_(False)
        for m in self.modules():
            if isinstance(m, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(m.weight, mode="fan_out" if isinstance(m, nn.Conv2d) else "fan_in")
            if isinstance(m, nn.Linear) and m.bias is not None:
                nn.init.zeros_(m.bias)

    def forward(self, x):
        x = ((x - 0.5) * 4).contiguous(memory_format=torch.channels_last)
        return self.head(self.encoder(x).mean((2, 3)))


def parameters(model):
    return [p for p in model.parameters() if p.requires_grad]


def optimizer(model, c):
    decay = [[], []]
    for p in parameters(model):
        decay[p.ndim > 1].append(p)
    return torch.optim.SGD([{"params": decay[0]}, {"params": decay[1], "weight_decay": c["decay"]}],
                           lr=c["rate"], momentum=c["momentum"], fused=True)


# The methods.


def nt_xent(z, temperature):
    z = F.normalize(z)
    n = len(z)
    s = (z @ z.T) / temperature
    s = s.masked_fill(torch.eye(n, dtype=torch.bool), -math.inf)
    return F.cross_entropy(s, torch.arange(n).roll(n // 2))


def simclr(c):
    f = ResNet(c["depth"], c["width"], c["head"]).to(memory_format=torch.channels_last)
    update = optimizer(f, c)

    def loss_of(x):
        return nt_xent(f(x), c["temperature"])

    if c["compile"]:
        loss_of = torch.compile(loss_of)

    def step(images):
        loss = loss_of(views(images, 2, c["recipe"]))
        loss.backward()
        update.step()
        update.zero_grad()
        return loss.item()

    return f, step


def moco(c):
    f_q = ResNet(c["depth"], c["width"], c["head"]).to(memory_format=torch.channels_last)
    f_k = copy.deepcopy(f_q).requires_grad_(False)
    update = optimizer(f_q, c)
    queue = F.normalize(torch.randn(c["queue"], c["head"]["dims"][-1]))
    at = 0

    def loss_of(x, k, queue):
        q = F.normalize(f_q(x))
        logits = torch.cat([(q * k).sum(1, keepdim=True), q @ queue.T], 1)
        logits /= c["temperature"]
        return F.cross_entropy(logits, torch.zeros(len(q), dtype=torch.long))

    def key(x):
        with torch.no_grad():
            torch._foreach_lerp_(list(f_k.parameters()), list(f_q.parameters()), 1 - c["ema"])
            return F.normalize(f_k(x))

    if c["compile"]:
        loss_of, key = torch.compile(loss_of), torch.compile(key)

    def step(images):
        nonlocal at
        x = views(images, 2, c["recipe"])
        n = len(images)
        k = key(x[n:])
        loss = loss_of(x[:n], k, queue)
        loss.backward()
        update.step()
        update.zero_grad()
        queue[at : at + n] = k
        at = (at + n) % len(queue)
        return loss.item()

    return f_q, step


if __name__ == "__main__":
    torch.manual_seed(1)
    c = worker.config()
    torch.set_num_threads(c["threads"])
    model, step = {"simclr": simclr, "moco": moco}[c["method"]](c)
    worker.serve(c, sum(p.numel() for p in parameters(model)), step)
