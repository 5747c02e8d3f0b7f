"""Tiny training pairs: inputs in which each spot is a bright disc in all channels."""

import numpy as np

from napari_tem_fft.nn.inference.prepare import InputParams, target
from napari_tem_fft.nn.simulation.synthesis import Truth
from napari_tem_fft.nn.training.dataset import Pairs

GRID = InputParams(half=31, margin=8)
LIMITS = np.array([1.8, 9.8])


def truth_of(g: list[tuple[float, float]], snr: list[float]) -> Truth:
    n = len(g)
    return Truth(
        np.array(g, float).reshape(-1, 2), np.array(snr, float), np.full(n, 20.0), np.zeros(n, np.intp)
    )


def toy(count: int, seed: int) -> Pairs:
    """Inputs in which each spot is a bright disc in all channels."""
    rng = np.random.default_rng(seed)
    truth, levels = [], []
    for _ in range(count):
        g = [(float(y), float(x)) for y, x in rng.uniform((-6, 1), (6, 6), (3, 2)) if np.hypot(y, x) > 2]
        truth.append(truth_of(g, [100.0] * len(g)))
        bright = 100 * target(truth[-1].g, 0.4, GRID)[..., None] + rng.integers(20, 60, (*GRID.shape, 4))
        levels.append(bright.astype(np.uint8))
    return Pairs(np.stack(levels), tuple(truth), np.tile(LIMITS, (count, 1)))
