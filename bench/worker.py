"""What the Python workers share: the images, and the protocol with bench/main.go.

A worker gets its configuration as JSON in its only argument. It takes two steps to compile and warm up, prints a line of
facts, and then for each number read from standard input takes so many steps and prints a line of measurements.
"""

import itertools
import json
import resource
import sys
import time

import numpy as np


def config():
    return json.loads(sys.argv[1])


def batches(c):
    """Batches of uint8 images [N, size, size, 3], in a new random order each epoch, for ever."""
    images = np.fromfile(c["file"], np.uint8).reshape(-1, c["size"], c["size"], 3)
    rng = np.random.default_rng(1)
    while True:
        order = rng.permutation(len(images))
        for i in range(0, len(images) - c["images"] + 1, c["images"]):
            yield images[order[i : i + c["images"]]]


def peak():
    """Peak resident memory in bytes since the process started or forget() was called."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM:"))


def forget():
    with open("/proc/self/clear_refs", "w") as f:
        f.write("5")


def cpu():
    """Seconds of this process and of the children that have ended."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(r.ru_utime + r.ru_stime for r in both)


def serve(c, parameters, step, warm=2):
    """step takes a batch, None where the file holds none, and returns the loss, a float, when all of the step is done."""
    data = batches(c) if c.get("images") and c["method"] != "epoch" else itertools.repeat(None)
    for _ in range(warm):
        loss = step(next(data))
    tell(parameters=parameters, loss=loss, peak=peak())
    forget()
    for line in sys.stdin:
        n, wall, spent = int(line), time.perf_counter(), cpu()
        for _ in range(n):
            loss = step(next(data))
        tell(wall=time.perf_counter() - wall, cpu=cpu() - spent, peak=peak(), loss=loss)


def tell(**facts):
    print(json.dumps(facts), flush=True)
