"""The training steps in PyTorch: eager, or with torch.compile where the configuration says so.

Draws are per image, as in sslkit/view. What is chosen because it is fastest on a CPU: crops by grid_sample, the flip
folded into its grid; the transforms of the colour jitter each on those images whose turn it is; channels_last for the
encoder; fused optimizers.

On an accelerator all of it runs there. Products in float32 may be TF32 there, as they are with JAX and in this library; with
"bf16", autocast casts those of the networks, and losses are float32.
"""

import copy
import math

import torch
import torch.nn.functional as F
from torch import nn

import worker

C = worker.config()
DEVICE = torch.device(C.get("device") or "cpu")


def networks():
    """The precision of the networks' products."""
    return torch.autocast(DEVICE.type, torch.bfloat16, enabled=C.get("precision") == "bf16")


# Views: images are [N, 3, H, W] in [0, 1].


def uniform(n, low, high):
    return torch.rand(n) * (high - low) + low


def crop_flip(x, scale, size):
    n, _, h, w = x.shape
    area, ratio = h * w * uniform(n, *scale), uniform(n, math.log(3 / 4), math.log(4 / 3)).exp()
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


def jitter(x, recipe):
    n = len(x)
    strength = [recipe[name] for name in ("brightness", "contrast", "saturation", "hue")]
    order = torch.rand(n, 4).argsort(1)
    order[torch.rand(n) >= recipe["jitter"]] = -1
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
def views(images, count, recipe, scale=None, size=None):
    """count views of each image of a uint8 batch [N, H, W, 3], [count*N, 3, size, size]."""
    x = torch.from_numpy(images).to(DEVICE).permute(0, 3, 1, 2).float().div_(255).contiguous()
    x = crop_flip(x.repeat(count, 1, 1, 1), scale or (recipe["min_scale"], 1), size or x.shape[-1])
    return gray(jitter(x, recipe), recipe["gray"])


@torch.no_grad()
def shift_flip(images, pad):
    """One view of each image, shifted by up to pad pixels, zeros coming in, and flipped."""
    x = F.pad(torch.from_numpy(images).to(DEVICE).float().div_(255), (0, 0, pad, pad, pad, pad))
    n, size = len(images), images.shape[1]
    i = torch.arange(size)
    y = i + torch.randint(0, 2 * pad + 1, (n, 1))
    x_ = torch.where(torch.rand(n, 1) < 0.5, i.flip(0), i) + torch.randint(0, 2 * pad + 1, (n, 1))
    return x[torch.arange(n)[:, None, None], y[:, :, None], x_[:, None, :]]


# The encoder: sslkit/nn/resnet.go.


class Block(nn.Module):
    def __init__(self, inputs, channels, stride, project):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, channels, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self.stride, self.more, self.past = stride, channels - inputs, None
        if project and self.more:
            self.past = nn.Sequential(nn.Conv2d(inputs, channels, 1, stride, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x):
        y = F.relu(self.norm1(self.conv1(x)), inplace=True)
        y = self.norm2(self.conv2(y))
        if self.past:
            x = self.past(x)
        elif self.more:
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.more))
        return F.relu(y.add_(x), inplace=True)


class DINOHead(nn.Module):
    def __init__(self, inputs, hidden, bottleneck, outputs):
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(inputs, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU(), nn.Linear(hidden, bottleneck))
        self.last = nn.Parameter(torch.randn(outputs, bottleneck) * 0.02)

    def forward(self, x):
        return F.normalize(self.mlp(x).float()) @ F.normalize(self.last).T


class ResNet(nn.Module):
    def __init__(self, c):
        super().__init__()
        width, head, eighteen = c["width"], c["head"], c.get("arch") == "resnet18"
        layers = [nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
        inputs = width
        for i in range(4 if eighteen else 3):
            for j in range(2 if eighteen else (c["depth"] - 2) // 6):
                layers.append(Block(inputs, width << i, 2 if i > 0 and j == 0 else 1, eighteen))
                inputs = width << i
        self.encoder = nn.Sequential(*layers)
        self.head = nn.Sequential()
        if head["norm"] == "dino":
            self.head = DINOHead(inputs, *head["dims"], c["prototypes"])
            head = {"dims": [], "norm": ""}
        for k, d in enumerate(head["dims"]):
            last = k == len(head["dims"]) - 1
            self.head.append(nn.Linear(inputs, d, bias=head["norm"] != "all"))
            if head["norm"] == "all" or head["norm"] == "hidden" and not last:
                self.head.append(nn.BatchNorm1d(d))
            if not last:
                self.head.append(nn.ReLU(inplace=True))
            inputs = d
        if head["norm"] == "all":
            self.head[-1].bias.requires_grad_(False)
        for m in self.modules():
            if isinstance(m, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(m.weight, mode="fan_out" if isinstance(m, nn.Conv2d) else "fan_in")
            if isinstance(m, nn.Linear) and m.bias is not None:
                nn.init.zeros_(m.bias)

    def encode(self, x):
        x = ((x - 0.5) * 4).contiguous(memory_format=torch.channels_last)
        return self.encoder(x).mean((2, 3))

    def forward(self, *x):
        with networks():
            return self.head(torch.cat([self.encode(y) for y in x])).float()


def parameters(model):
    return [p for p in model.parameters() if p.requires_grad]


def optimizer(model, c):
    decay = [[], []]
    for p in parameters(model):
        decay[p.ndim > 1].append(p)
    groups = [{"params": decay[0], "weight_decay": 0}, {"params": decay[1]}]
    if c["optimizer"] == "adamw":
        return torch.optim.AdamW(groups, lr=c["rate"], betas=(c["momentum"], c["beta2"]), weight_decay=c["decay"], fused=True)
    return torch.optim.SGD(groups, lr=c["rate"], momentum=c["momentum"], weight_decay=c["decay"], fused=True)


# MAE's networks: sslkit/nn/transformer.go and vit.go.


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.qkv, self.out, self.heads = nn.Linear(width, 3 * width), nn.Linear(width, width), heads

    def forward(self, x):
        n, l, d = x.shape
        q, k, v = self.qkv(x).view(n, l, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        return self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, l, d))


class TransformerBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(width, 1e-6), Attention(width, heads)
        self.norm2, self.mlp = nn.LayerNorm(width, 1e-6), nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


def transformer(width, depth, size=32):
    return nn.Sequential(*[TransformerBlock(width, width // size) for _ in range(depth)], nn.LayerNorm(width, 1e-6))


def head_size(width):
    return 64 if width >= 192 and width % 64 == 0 else 32


def positions(grid, dim):
    place, f = torch.arange(grid * grid), 10000 ** (-torch.arange(dim // 4) / (dim // 4))
    x, y = (place % grid)[:, None] * f, (place // grid)[:, None] * f
    return torch.cat([x.sin(), x.cos(), y.sin(), y.cos()], 1)


def pick(x, index):
    return x.gather(1, index[:, :, None].expand(-1, -1, x.shape[2]))


class MAE(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.patch, grid, pixels = c["patch"], c["size"] // c["patch"], c["patch"] ** 2 * 3
        self.seen = grid * grid - round(c["mask"] * grid * grid)
        self.embed, self.encoder = nn.Linear(pixels, c["width"]), transformer(c["width"], c["depth"], head_size(c["width"]))
        self.narrow, self.token = nn.Linear(c["width"], c["decoder_width"]), nn.Parameter(torch.randn(1, 1, c["decoder_width"]) * 0.02)
        self.decoder, self.pixels = transformer(c["decoder_width"], c["decoder_depth"]), nn.Linear(c["decoder_width"], pixels)
        self.register_buffer("at", positions(grid, c["width"]))
        self.register_buffer("decoder_at", positions(grid, c["decoder_width"]))
        for m in self.modules():
            if isinstance(m, nn.Linear):
                nn.init.xavier_uniform_(m.weight)
                nn.init.zeros_(m.bias)

    def forward(self, x):
        with networks():
            x, target = self.predict(x)
        x, target = x.float(), target.float()
        variance, mean = torch.var_mean(target, -1, keepdim=True)
        return F.mse_loss(x, (target - mean) / (variance + 1e-6).sqrt())

    def predict(self, x):
        n, size, _, _ = x.shape
        g, p = size // self.patch, self.patch
        patches = ((x - 0.5) * 4).view(n, g, p, g, p, 3).transpose(2, 3).reshape(n, g * g, p * p * 3)
        order = torch.rand(n, g * g).argsort(1)
        seen = order[:, : self.seen]
        x = self.encoder(self.embed(pick(patches, seen)) + self.at[seen])
        x = torch.cat([self.narrow(x), self.token.expand(n, g * g - self.seen, -1)], 1)  # in this order, as are the targets
        x = self.pixels(self.decoder(x + self.decoder_at[order])[:, self.seen :])
        return x, pick(patches, order[:, self.seen :])


# The methods.


def nt_xent(z, temperature):
    z = F.normalize(z)
    n = len(z)
    s = (z @ z.T) / temperature
    s = s.masked_fill(torch.eye(n, dtype=torch.bool), -math.inf)
    return F.cross_entropy(s, torch.arange(n).roll(n // 2))


def simclr(c):
    f = ResNet(c).to(memory_format=torch.channels_last)
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
    f_q = ResNet(c).to(memory_format=torch.channels_last)
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


def dino(c):
    f = ResNet(c).to(memory_format=torch.channels_last)
    teacher = copy.deepcopy(f).requires_grad_(False)
    update, center = optimizer(f, c), torch.zeros(c["prototypes"])

    def loss_of(x, told):
        log_p = F.log_softmax(f(x) / c["student"], -1)
        n = len(x) // 2
        return -((told[:n] * log_p[n:]).sum(-1).mean() + (told[n:] * log_p[:n]).sum(-1).mean()) / 2

    def say(x):
        with torch.no_grad():
            torch._foreach_lerp_(list(teacher.parameters()), list(f.parameters()), 1 - c["ema"])
            out = teacher(x)
            told = F.softmax((out - center) / c["teacher"], -1)
            center.lerp_(out.mean(0), 1 - c["center"])
            return told

    if c["compile"]:
        loss_of, say = torch.compile(loss_of), torch.compile(say)

    def step(images):
        x = views(images, 2, c["recipe"])
        loss = loss_of(x, say(x))
        loss.backward()
        update.step()
        update.zero_grad()
        return loss.item()

    return f, step


def sinkhorn(scores, epsilon, iterations):
    q = torch.exp((scores - scores.max()) / epsilon)
    for _ in range(iterations):
        q /= q.sum(0)
        q /= q.sum(1, keepdim=True)
    return q


def swav(c):
    f = ResNet(c).to(memory_format=torch.channels_last)
    f.prototypes = nn.Parameter(F.normalize(torch.randn(c["prototypes"], c["head"]["dims"][-1])))
    update = optimizer(f, c)

    def loss_of(large, small):
        scores = F.normalize(f(large, small)) @ f.prototypes.T
        scores = scores.view(2 + c["small_crops"], -1, c["prototypes"])
        with torch.no_grad():
            codes = [sinkhorn(s, c["epsilon"], 3) for s in scores[:2]]
        logp = F.log_softmax(scores / c["temperature"], -1)
        rest = logp.sum(0)
        terms = [(code * (rest - logp[i])).sum() for i, code in enumerate(codes)]
        return -sum(terms) / (2 * (len(scores) - 1) * scores.shape[1])

    if c["compile"]:
        loss_of = torch.compile(loss_of)

    def step(images):
        with torch.no_grad():
            f.prototypes.copy_(F.normalize(f.prototypes))
        large = views(images, 2, c["recipe"])
        loss = loss_of(large, views(images, c["small_crops"], c["recipe"], c["small_scale"], c["small_size"]))
        loss.backward()
        update.step()
        update.zero_grad()
        return loss.item()

    return f, step


def mae(c):
    model = MAE(c)
    update = optimizer(model, c)
    loss_of = torch.compile(model) if c["compile"] else model

    def step(images):
        loss = loss_of(shift_flip(images, c["pad"]))
        loss.backward()
        update.step()
        update.zero_grad()
        return loss.item()

    return model, step


def matmul(c):
    kind = torch.bfloat16 if c.get("precision") == "bf16" else torch.float32
    x = (torch.arange(c["size"] ** 2, dtype=torch.float32).sin() / c["size"]).view(c["size"], -1).to(kind)

    def step(_):
        y = x
        for _ in range(10):
            y = y @ x
        return y.max().float().item()

    return None, step


if __name__ == "__main__":
    torch.manual_seed(1)
    torch.set_default_device(DEVICE)
    torch.set_num_threads(C["threads"] or 2)
    torch.backends.cuda.matmul.allow_tf32 = True
    model, step = {"simclr": simclr, "moco": moco, "swav": swav, "mae": mae, "dino": dino, "matmul": matmul}[C["method"]](C)
    worker.serve(C, sum(p.numel() for p in parameters(model)) if model else 0, step)
