"""The training steps in JAX: the whole step is one jitted function whose state is donated.

Draws are per image, as in sslkit/view. Crops are two products with interpolation matrices and the jitter is written
without branches, as there, since that is what compiles well.
"""

import math
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax, random

import worker

# Views: images are [N, H, W, 3] in [0, 1].


def crop(key, x, scale, size):
    n, h, w, _ = x.shape
    keys = random.split(key, 4)
    area = h * w * random.uniform(keys[0], (n,), minval=scale[0], maxval=scale[1])
    ratio = jnp.exp(random.uniform(keys[1], (n,), minval=math.log(3 / 4), maxval=math.log(4 / 3)))
    height, width = jnp.minimum(jnp.sqrt(area / ratio), h), jnp.minimum(jnp.sqrt(area * ratio), w)

    def taps(key, extent, length):
        e = extent[:, None]
        at = (jnp.arange(size) + 0.5) * (e / size) - 0.5
        at = jnp.minimum(jnp.maximum(at, 0), jnp.maximum(e - 1, 0))  # the crop's own edge is repeated
        at = at + random.uniform(key, (n, 1)) * (length - e)
        return jnp.maximum(1 - jnp.abs(jnp.arange(length) - at[:, :, None]), 0)  # N, size, length

    return taps(keys[2], height, h), taps(keys[3], width, w)


def crop_flip(key, x, scale, size):
    key, coin = random.split(key)
    rows, columns = crop(key, x, scale, size)
    flip = random.bernoulli(coin, shape=(len(x), 1, 1))
    columns = jnp.where(flip, columns[:, ::-1], columns)
    x = jnp.einsum("nih,nhwc->niwc", rows, x)
    return jnp.einsum("njw,niwc->nijc", columns, x)


def luma(p):
    return 0.2989 * p[0] + 0.587 * p[1] + 0.114 * p[2]


def unit(x):
    return jnp.clip(x, 0, 1)


def turn_hue(p, f):
    r, g, b = p
    v = jnp.maximum(r, jnp.maximum(g, b))
    c = v - jnp.minimum(r, jnp.minimum(g, b))
    rise = jnp.where(v == r, g - b, jnp.where(v == g, b - r, r - g))
    start = jnp.where(v == r, 0, jnp.where(v == g, 2.0, 4.0))
    h = start + rise / jnp.where(c == 0, 1, c) + 6 * f
    h = h - 6 * jnp.floor(h / 6)
    return tuple(v - c * unit(w) for w in (2 - jnp.abs(h - 3), jnp.abs(h - 2) - 1, jnp.abs(h - 4) - 1))


def jitter(key, x, recipe):
    """Three rounds of blending in each image's own order, the hue before, between or after them."""
    n = len(x)
    strength = [recipe[name] for name in ("brightness", "contrast", "saturation", "hue")]
    u = random.uniform(key, (9, n, 1, 1))
    factor = [1 + s * (2 * u[i] - 1) for i, s in enumerate(strength[:3])]
    turn = strength[3] * (2 * u[3] - 1)
    place, hue_place = u[4:7], u[7]
    rank = [sum((place[j] < place[i]).astype(jnp.int32) for j in range(3) if j != i) for i in range(3)]
    planes = tuple(x[..., c] for c in range(3))
    first = planes

    def rounds(planes, early):
        for k in range(3):
            at = [r == k for r in rank]
            f = jnp.where(at[0], factor[0], jnp.where(at[1], factor[1], factor[2]))
            when = jnp.where(at[0], place[0], jnp.where(at[1], place[1], place[2])) < hue_place
            f = jnp.where(when == early, f, 1)
            y = luma(planes)
            other = jnp.where(at[0], 0, jnp.where(at[1], y.mean((1, 2), keepdims=True), y)) * (1 - f)
            planes = lax.optimization_barrier(tuple(unit(f * q + other) for q in planes))
        return planes

    planes = rounds(planes, True)
    planes = lax.optimization_barrier(turn_hue(planes, turn))
    planes = rounds(planes, False)
    on = u[8] < recipe["jitter"]
    return jnp.stack([jnp.where(on, q, o) for q, o in zip(planes, first)], -1)


def gray(key, x, p):
    y = luma([x[..., c] for c in range(3)])[..., None]
    return jnp.where(random.bernoulli(key, p, (len(x), 1, 1, 1)), y, x)


def views(key, images, count, recipe, scale=None, size=None):
    """count views of each image of a uint8 batch [N, H, W, 3], [count*N, size, size, 3]."""
    x = images.astype(jnp.float32) / 255
    keys = random.split(key, 3)
    x = crop_flip(keys[0], jnp.concatenate([x] * count), scale or (recipe["min_scale"], 1), size or x.shape[1])
    return gray(keys[2], jitter(keys[1], x, recipe), recipe["gray"])


def shift_flip(key, images, pad):
    """One view of each image, shifted by up to pad pixels, zeros coming in, and flipped."""
    n, size = images.shape[:2]
    keys, i = random.split(key, 3), jnp.arange(size)
    x = jnp.pad(images, [(0, 0), (pad, pad), (pad, pad), (0, 0)]).astype(jnp.float32) / 255
    y = i + random.randint(keys[0], (n, 1), 0, 2 * pad + 1)
    x_ = jnp.where(random.bernoulli(keys[1], shape=(n, 1)), i[::-1], i) + random.randint(keys[2], (n, 1), 0, 2 * pad + 1)
    return x[jnp.arange(n)[:, None, None], y[:, :, None], x_[:, None, :]]


# The encoder: sslkit/nn/resnet.go. Parameters and statistics are dictionaries by name.


HALF = jnp.bfloat16 if worker.config().get("precision") == "bf16" else jnp.float32


def conv(x, w, stride):
    pad = len(w) // 2
    y = lax.conv_general_dilated(x.astype(HALF), w.astype(HALF), (stride, stride), [(pad, pad)] * 2, dimension_numbers=("NHWC", "HWIO", "NHWC"))
    return y.astype(jnp.float32)


def product(x, w):
    """x @ w of a network, in bfloat16 where the configuration says so."""
    return (x.astype(HALF) @ w.astype(HALF)).astype(jnp.float32)


def init(key, c):
    p, s = {}, {}

    def norm(name, channels):
        p[name + "/scale"], p[name + "/offset"] = jnp.ones(channels), jnp.zeros(channels)
        s[name + "/mean"], s[name + "/variance"] = jnp.zeros(channels), jnp.ones(channels)

    def layer(name, inputs, channels, kernel=3):
        nonlocal key
        key, k = random.split(key)
        p[name] = random.normal(k, (kernel, kernel, inputs, channels)) * math.sqrt(2 / (kernel**2 * channels))
        norm(name, channels)

    layer("stem", 3, c["width"])
    inputs = c["width"]
    for name, channels, _ in blocks(c):
        layer(name + "a", inputs, channels)
        layer(name + "b", channels, channels)
        if c.get("arch") == "resnet18" and channels != inputs:
            layer(name + "past", inputs, channels, 1)
        inputs = channels
    if c["head"]["norm"] == "dino":
        hidden, bottleneck = c["head"]["dims"]
        for i, d in enumerate([hidden, hidden, bottleneck]):
            key, k = random.split(key)
            p[f"head{i}"], p[f"head{i}/bias"] = random.normal(k, (inputs, d)) * 0.02, jnp.zeros(d)
            inputs = d
        p["last"] = random.normal(key, (c["prototypes"], bottleneck)) * 0.02
        return p, s
    for i, d in enumerate(c["head"]["dims"]):
        key, k = random.split(key)
        name = f"head{i}"
        p[name] = random.normal(k, (inputs, d)) * math.sqrt(2 / inputs)
        if c["head"]["norm"] != "all":
            p[name + "/bias"] = jnp.zeros(d)
        if normed(c, i):
            norm(name, d)
        inputs = d
    if c["head"]["norm"] == "all":
        s[name + "/offset"] = p.pop(name + "/offset")  # the last norm's is not trained
    return p, s


def normed(c, layer):
    """Whether there is a norm after this layer of the head."""
    return c["head"]["norm"] == "all" or c["head"]["norm"] == "hidden" and layer < len(c["head"]["dims"]) - 1


def blocks(c):
    eighteen = c.get("arch") == "resnet18"
    for i in range(4 if eighteen else 3):
        for j in range(2 if eighteen else (c["depth"] - 2) // 6):
            yield f"stage{i}/block{j}", c["width"] << i, 2 if i > 0 and j == 0 else 1


def forward(c, p, s, *images):
    """The head's output for all images, whose sizes may differ, and the running statistics moved."""
    s = dict(s)

    def norm(name, x):
        axes = tuple(range(x.ndim - 1))
        mean = x.mean(axes)
        variance = jnp.maximum(jnp.square(x).mean(axes) - jnp.square(mean), 0)  # as Flax's BatchNorm
        n = x.size // x.shape[-1]
        s[name + "/mean"] = 0.9 * s[name + "/mean"] + 0.1 * mean
        s[name + "/variance"] = 0.9 * s[name + "/variance"] + 0.1 * variance * (n / (n - 1))
        offset = name + "/offset"
        return (x - mean) * (lax.rsqrt(variance + 1e-5) * p[name + "/scale"]) + (p[offset] if offset in p else s[offset])

    def conv_norm(name, x, stride=1):
        return norm(name, conv(x, p[name], stride))

    def encode(x):
        x = jax.nn.relu(conv_norm("stem", (x - 0.5) * 4))
        for name, channels, stride in blocks(c):
            y = jax.nn.relu(conv_norm(name + "a", x, stride))
            y = conv_norm(name + "b", y)
            more = channels - x.shape[-1]
            if name + "past" in p:
                x = jax.nn.relu(y + conv_norm(name + "past", x, stride))
                continue
            x = jax.nn.relu(y + jnp.pad(x[:, ::stride, ::stride], [(0, 0), (0, 0), (0, 0), (0, more)]))
        return x.mean((1, 2))

    h = jnp.concatenate([encode(x) for x in images])
    if c["head"]["norm"] == "dino":
        for i in range(3):
            h = product(jax.nn.gelu(h, approximate=False) if i else h, p[f"head{i}"]) + p[f"head{i}/bias"]
        return normalize(h) @ normalize(p["last"]).T, lax.stop_gradient(s)
    for i in range(len(c["head"]["dims"])):
        name = f"head{i}"
        h = product(jax.nn.relu(h) if i else h, p[name])
        if name + "/bias" in p:
            h = h + p[name + "/bias"]
        if normed(c, i):
            h = norm(name, h)
    return h, lax.stop_gradient(s)


def sgd(c, p, velocity, grads):
    velocity = {k: c["momentum"] * velocity[k] + grads[k] + (c["decay"] * w if w.ndim > 1 else 0) for k, w in p.items()}
    return {k: w - c["rate"] * velocity[k] for k, w in p.items()}, velocity


def normalize(z):
    return z * lax.rsqrt(jnp.maximum(jnp.square(z).sum(-1, keepdims=True), 1e-24))


def adamw(c, p, moments, grads):
    first, second, t = moments
    b1, b2, t = c["momentum"], c["beta2"], t + 1
    first = {k: b1 * first[k] + (1 - b1) * g for k, g in grads.items()}
    second = {k: b2 * second[k] + (1 - b2) * g * g for k, g in grads.items()}

    def move(k, w):
        step = first[k] / (1 - b1**t) / (jnp.sqrt(second[k] / (1 - b2**t)) + 1e-8)
        return w - c["rate"] * (step + (c["decay"] * w if w.ndim > 1 else 0))

    return {k: move(k, w) for k, w in p.items()}, (first, second, t)


# MAE's networks: sslkit/nn/transformer.go and vit.go.


def init_mae(key, c):
    p = {}

    def linear(name, inputs, outputs):
        nonlocal key
        key, k = random.split(key)
        p[name], p[name + "/bias"] = jax.nn.initializers.xavier_uniform()(k, (inputs, outputs)), jnp.zeros(outputs)

    def norm(name, width):
        p[name + "/gain"], p[name + "/offset"] = jnp.ones(width), jnp.zeros(width)

    def transformer(name, width, depth):
        for i in range(depth):
            b = f"{name}/{i}"
            norm(b + "/norm1", width)
            linear(b + "/qkv", width, 3 * width)
            linear(b + "/out", width, width)
            norm(b + "/norm2", width)
            linear(b + "/mlp1", width, 4 * width)
            linear(b + "/mlp2", 4 * width, width)
        norm(name + "/norm", width)

    pixels = c["patch"] ** 2 * 3
    linear("embed", pixels, c["width"])
    transformer("encoder", c["width"], c["depth"])
    linear("narrow", c["width"], c["decoder_width"])
    p["token"] = random.normal(key, (1, 1, c["decoder_width"])) * 0.02
    transformer("decoder", c["decoder_width"], c["decoder_depth"])
    linear("pixels", c["decoder_width"], pixels)
    return p


def positions(grid, dim):
    place, f = jnp.arange(grid * grid), 10000.0 ** (-jnp.arange(dim // 4) / (dim // 4))
    x, y = (place % grid)[:, None] * f, (place // grid)[:, None] * f
    return jnp.concatenate([jnp.sin(x), jnp.cos(x), jnp.sin(y), jnp.cos(y)], 1)


def mae_loss(c, p, key, x):
    n, size, _, _ = x.shape
    patch, g = c["patch"], size // c["patch"]
    seen = g * g - round(c["mask"] * g * g)

    def linear(name, x):
        return product(x, p[name]) + p[name + "/bias"]

    def norm(name, x):
        mean = x.mean(-1, keepdims=True)
        variance = jnp.square(x - mean).mean(-1, keepdims=True)
        return (x - mean) * lax.rsqrt(variance + 1e-6) * p[name + "/gain"] + p[name + "/offset"]

    def transformer(name, x, depth, size=32):
        n, l, d = x.shape
        for i in range(depth):
            b = f"{name}/{i}"
            qkv = linear(b + "/qkv", norm(b + "/norm1", x)).reshape(n, l, 3, d // size, size).astype(HALF)
            y = jax.nn.dot_product_attention(qkv[:, :, 0], qkv[:, :, 1], qkv[:, :, 2])
            x = x + linear(b + "/out", y.reshape(n, l, d))
            x = x + linear(b + "/mlp2", jax.nn.gelu(linear(b + "/mlp1", norm(b + "/norm2", x)), approximate=False))
        return norm(name + "/norm", x)

    def pick(x, index):
        return jnp.take_along_axis(x, index[:, :, None], 1)

    patches = ((x - 0.5) * 4).reshape(n, g, patch, g, patch, 3).swapaxes(2, 3).reshape(n, g * g, -1)
    order = jnp.argsort(random.uniform(key, (n, g * g)))
    x = linear("embed", pick(patches, order[:, :seen])) + positions(g, c["width"])[order[:, :seen]]
    x = linear("narrow", transformer("encoder", x, c["depth"], 64 if c["width"] >= 192 and c["width"] % 64 == 0 else 32))
    x = jnp.concatenate([x, jnp.broadcast_to(p["token"], (n, g * g - seen, x.shape[2]))], 1)  # in this order, as are the targets
    x = transformer("decoder", x + positions(g, c["decoder_width"])[order], c["decoder_depth"])
    x = linear("pixels", x[:, seen:])
    target = pick(patches, order[:, seen:])
    deviation = jnp.sqrt(target.var(-1, ddof=1, keepdims=True) + 1e-6)
    return jnp.square(x - (target - target.mean(-1, keepdims=True)) / deviation).mean()


# The methods.


def nt_xent(z, temperature):
    z = normalize(z)
    n = len(z)
    s = (z @ z.T) / temperature
    s = jnp.where(jnp.eye(n, dtype=bool), -jnp.inf, s)
    pair = (jnp.arange(n) + n // 2) % n
    return (jax.nn.logsumexp(s, 1) - s[jnp.arange(n), pair]).mean()


def simclr(c):
    p, s = init(random.key(1), c)
    state = dict(p=p, s=s, v=jax.tree.map(jnp.zeros_like, p), key=random.key(2))

    @partial(jax.jit, donate_argnums=0)
    def step(state, images):
        key, draw = random.split(state["key"])

        def loss_of(p):
            z, moved = forward(c, p, state["s"], views(draw, images, 2, c["recipe"]))
            return nt_xent(z, c["temperature"]), moved

        (loss, moved), grads = jax.value_and_grad(loss_of, has_aux=True)(state["p"])
        p, v = sgd(c, state["p"], state["v"], grads)
        return dict(p=p, s=moved, v=v, key=key), loss

    return p, state, step


def moco(c):
    p, s = init(random.key(1), c)
    copy = partial(jax.tree.map, jnp.copy)
    queue = normalize(random.normal(random.key(3), (c["queue"], c["head"]["dims"][-1])))
    state = dict(p=p, s=s, v=jax.tree.map(jnp.zeros_like, p), key=random.key(2), kp=copy(p), ks=copy(s), queue=queue, at=jnp.int32(0))

    @partial(jax.jit, donate_argnums=0)
    def step(state, images):
        key, draw = random.split(state["key"])
        x = views(draw, images, 2, c["recipe"])
        n = len(images)
        kp = jax.tree.map(lambda k, q: c["ema"] * k + (1 - c["ema"]) * q, state["kp"], state["p"])
        k, ks = forward(c, kp, state["ks"], x[n:])
        k = normalize(k)

        def loss_of(p):
            q, moved = forward(c, p, state["s"], x[:n])
            q = normalize(q)
            positive = (q * k).sum(1) / c["temperature"]
            negative = (q @ state["queue"].T) / c["temperature"]
            return (jnp.logaddexp(positive, jax.nn.logsumexp(negative, 1)) - positive).mean(), moved

        (loss, moved), grads = jax.value_and_grad(loss_of, has_aux=True)(state["p"])
        p, v = sgd(c, state["p"], state["v"], grads)
        queue = lax.dynamic_update_slice(state["queue"], k, (state["at"], 0))
        return dict(p=p, s=moved, v=v, key=key, kp=kp, ks=ks, queue=queue, at=(state["at"] + n) % len(queue)), loss

    return p, state, step


def dino(c):
    p, s = init(random.key(1), c)
    copy = partial(jax.tree.map, jnp.copy)
    state = dict(p=p, s=s, v=jax.tree.map(jnp.zeros_like, p), key=random.key(2), tp=copy(p), ts=copy(s), center=jnp.zeros(c["prototypes"]))

    @partial(jax.jit, donate_argnums=0)
    def step(state, images):
        key, draw = random.split(state["key"])
        x = views(draw, images, 2, c["recipe"])
        n = len(images)
        tp = jax.tree.map(lambda k, q: c["ema"] * k + (1 - c["ema"]) * q, state["tp"], state["p"])
        out, ts = forward(c, tp, state["ts"], x)
        told = jax.nn.softmax((out - state["center"]) / c["teacher"])
        center = c["center"] * state["center"] + (1 - c["center"]) * out.mean(0)

        def loss_of(p):
            y, moved = forward(c, p, state["s"], x)
            log_p = jax.nn.log_softmax(y / c["student"])
            return -((told[:n] * log_p[n:]).sum(1).mean() + (told[n:] * log_p[:n]).sum(1).mean()) / 2, moved

        (loss, moved), grads = jax.value_and_grad(loss_of, has_aux=True)(state["p"])
        p, v = sgd(c, state["p"], state["v"], grads)
        return dict(p=p, s=moved, v=v, key=key, tp=tp, ts=ts, center=center), loss

    return p, state, step


def sinkhorn(scores, epsilon, iterations):
    q = jnp.exp((scores - scores.max()) / epsilon)
    for _ in range(iterations):
        q = q / q.sum(0)
        q = q / q.sum(1, keepdims=True)
    return q


def swav(c):
    p, s = init(random.key(1), c)
    p["prototypes"] = random.normal(random.key(3), (c["prototypes"], c["head"]["dims"][-1]))
    state = dict(p=p, s=s, v=jax.tree.map(jnp.zeros_like, p), key=random.key(2))

    @partial(jax.jit, donate_argnums=0)
    def step(state, images):
        key, *draw = random.split(state["key"], 3)
        large = views(draw[0], images, 2, c["recipe"])
        small = views(draw[1], images, c["small_crops"], c["recipe"], c["small_scale"], c["small_size"])

        def loss_of(p):
            z, moved = forward(c, p, state["s"], large, small)
            scores = (normalize(z) @ p["prototypes"].T).reshape(2 + c["small_crops"], -1, c["prototypes"])
            codes = [sinkhorn(lax.stop_gradient(s), c["epsilon"], 3) for s in scores[:2]]
            logp = jax.nn.log_softmax(scores / c["temperature"])
            rest = logp.sum(0)
            terms = [(code * (rest - logp[i])).sum() for i, code in enumerate(codes)]
            return -sum(terms) / (2 * (len(scores) - 1) * scores.shape[1]), moved

        p = dict(state["p"], prototypes=normalize(state["p"]["prototypes"]))
        (loss, moved), grads = jax.value_and_grad(loss_of, has_aux=True)(p)
        p, v = sgd(c, p, state["v"], grads)
        return dict(p=p, s=moved, v=v, key=key), loss

    return p, state, step


def mae(c):
    p = init_mae(random.key(1), c)
    zeros = partial(jax.tree.map, jnp.zeros_like)
    state = dict(p=p, m=(zeros(p), zeros(p), jnp.float32(0)), key=random.key(2))

    @partial(jax.jit, donate_argnums=0)
    def step(state, images):
        key, draw, mask = random.split(state["key"], 3)
        x = shift_flip(draw, images, c["pad"])
        loss, grads = jax.value_and_grad(lambda p: mae_loss(c, p, mask, x))(state["p"])
        p, m = adamw(c, state["p"], state["m"], grads)
        return dict(p=p, m=m, key=key), loss

    return p, state, step


def matmul(c):
    x = (jnp.sin(jnp.arange(c["size"] ** 2, dtype=jnp.float32)) / c["size"]).reshape(c["size"], -1).astype(HALF)

    @jax.jit
    def step(state, _):
        y = state["x"]
        for _ in range(10):
            y = y @ state["x"]
        return state, y.max().astype(jnp.float32)

    return {}, dict(x=x), step


if __name__ == "__main__":
    c = worker.config()
    p, state, update = {"simclr": simclr, "moco": moco, "swav": swav, "mae": mae, "dino": dino, "matmul": matmul}[c["method"]](c)
    parameters = sum(w.size for w in jax.tree.leaves(p))

    def step(images):
        global state
        state, loss = update(state, images)
        jax.block_until_ready(state)
        return float(loss)

    worker.serve(c, parameters, step)
