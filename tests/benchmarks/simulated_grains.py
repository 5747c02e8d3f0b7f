"""Grains of known phases as lists of spots: zone axes, noise, spurious spots, calibration errors."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import gcd

import numpy as np

from napari_tem_fft.core.crystal.phase import Phase
from napari_tem_fft.core.grains.grain import Grain
from napari_tem_fft.core.spots.spot import Spot, friedel_representative

ZONES = [uvw for uvw in product(range(-3, 4), repeat=3) if gcd(*uvw) == 1 and uvw > (0, 0, 0)]


@dataclass(frozen=True)
class Noise:
    """Errors of the simulated measurement: relative, degrees, expected number of spurious spots."""

    d: float = 0.005
    angle: float = 0.7
    spurious: float = 0.7


def simulate(
    phase: Phase, scale: float, rng: np.random.Generator, noise: Noise = Noise(), first_id: int = 1
) -> tuple[Grain, list[Spot]]:
    """One grain along a random zone axis; d is measured too small by the factor ``scale``."""
    g, weight = _pattern(phase, rng)
    order = np.argsort(-np.log(weight) + rng.normal(0, 0.5, len(weight)))
    count = _enough(g[order], 2 + rng.poisson(3))
    g = g[order[:count]]
    snr = np.sort(20 * np.exp(rng.uniform(0, 3, count)))[::-1]
    lies = rng.poisson(noise.spurious)
    g = np.concatenate([_noisy(g * scale, noise, rng), _anywhere(lies, rng)])
    snr = np.concatenate([snr, 20 * np.exp(rng.uniform(0, 1.5, lies))])
    spots = [
        Spot(
            first_id + i,
            friedel_representative((float(y), float(x))),
            noise.d * float(np.hypot(x, y)),
            float(s),
            -float(s),
        )
        for i, ((x, y), s) in enumerate(zip(g, snr, strict=True))
    ]
    return Grain(1, tuple(spot.id for spot in spots), (0.0, 0.0), 78.5, 10.0), spots


def _pattern(phase: Phase, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Reflections (x, y) in 1/nm and their weights along a random zone with at least two directions."""
    planes = phase.reflections.arrays
    seen = (planes.d > 0.12) & (planes.relative_f > 0.04)
    hkl, f, d = planes.hkl[seen], planes.relative_f[seen], planes.d[seen]
    basis = phase.reciprocal_basis()
    while True:
        uvw = np.array(ZONES[rng.integers(len(ZONES))])
        inside = (hkl @ uvw == 0) & (hkl[:, 0] * 1000000 + hkl[:, 1] * 1000 + hkl[:, 2] > 0)
        if np.linalg.matrix_rank(hkl[inside]) == 2:
            break
    g = hkl[inside] @ basis
    e1 = g[0] / np.linalg.norm(g[0])
    e2 = np.cross(uvw @ np.linalg.inv(basis).T, e1)
    flat = np.stack([g @ e1, g @ (e2 / np.linalg.norm(e2))], axis=1)
    return flat, np.sqrt(f[inside]) * np.exp(-((1 / d[inside] / 6) ** 2))


def _enough(g: np.ndarray, wanted: int) -> int:
    """Draw at least as many spots as are needed for two directions."""
    for count in range(2, len(g) + 1):
        if count >= wanted and np.linalg.matrix_rank(g[:count], tol=0.05 * np.abs(g).max()) == 2:
            return count
    return len(g)


def _noisy(g: np.ndarray, noise: Noise, rng: np.random.Generator) -> np.ndarray:
    turn = rng.uniform(0, 2 * np.pi) + np.radians(rng.normal(0, noise.angle, len(g)))
    if rng.random() < 0.5:
        g = g * (1, -1)
    size = np.exp(rng.normal(0, noise.d, len(g)))[:, None]
    c, s = np.cos(turn), np.sin(turn)
    return size * np.stack([c * g[:, 0] - s * g[:, 1], s * g[:, 0] + c * g[:, 1]], axis=1)


def _anywhere(count: int, rng: np.random.Generator) -> np.ndarray:
    length = np.sqrt(rng.uniform(1.8**2, 8.0**2, count))
    angle = rng.uniform(0, np.pi, count)
    return np.stack([length * np.cos(angle), length * np.sin(angle)], axis=1)
