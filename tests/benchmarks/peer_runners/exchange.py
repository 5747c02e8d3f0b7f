"""What a runner is given and what it answers; numpy alone, for it runs in each peer's own environment.

A runner is called as ``python RUNNER INPUT.npz OUTPUT.json``. INPUT holds `image` (y, x), `pixel_size` (y, x;
nm) and `limits` (lowest and highest |g| that count, 1/nm). OUTPUT holds "version" and "runs", each with a
"setting" in words, "g" (list of (y, x) in 1/nm, one of each pair), "seconds" of all processors together, and
"memory" (MB, the most that the process has held so far).
"""

import json
import resource
import sys
import time

import numpy as np


def given():
    """Image, pixel size and limits of the command line's input."""
    stored = np.load(sys.argv[1])
    return stored["image"], tuple(stored["pixel_size"]), tuple(stored["limits"])


def inside(centre, step, limits):
    """The window of a centred spectrum within the highest |g|: two slices."""
    reach = [int(limits[1] / s) + 2 for s in step]
    return tuple(slice(max(c - r, 0), c + r + 1) for c, r in zip(centre, reach))  # noqa: B905


def amplitude(image, size, limits):
    """Modulus of the transform under a Hann window, cropped; zero frequency's pixel; step."""
    window = np.outer(np.hanning(image.shape[0]), np.hanning(image.shape[1]))
    transform = np.fft.fftshift(np.fft.fft2((image - image.mean()) * window))
    step = tuple(1 / (n * p) for n, p in zip(image.shape, size))  # noqa: B905
    centre = (image.shape[0] // 2, image.shape[1] // 2)
    part = inside(centre, step, limits)
    return np.abs(transform[part]), (centre[0] - part[0].start, centre[1] - part[1].start), step


def frequencies(pixels, origin, step, limits):
    """g of pixels (row, column), those outside of the limits and mirror images left out."""
    g = (np.asarray(pixels, float).reshape(-1, 2) - origin) * step
    length = np.hypot(*g.T)
    kept = (length >= limits[0]) & (length <= limits[1]) & ((g[:, 1] > 0) | ((g[:, 1] == 0) & (g[:, 0] > 0)))
    return g[kept].tolist()


def timed(setting, find):
    """One run: what `find` returns, and how long it took."""
    start = time.process_time()
    found = find()
    seconds = time.process_time() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"setting": setting, "g": found, "seconds": seconds, "memory": memory}


def answer(version, runs):
    """Write the command line's output."""
    with open(sys.argv[2], "w") as file:
        json.dump({"version": version, "runs": runs}, file)
