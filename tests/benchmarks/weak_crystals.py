"""Weak crystals next to and on top of strong ones, which the rules for satellites and rims must not remove.

    python tests/benchmarks/weak_crystals.py [--images 6] [--seed 0] [--only film|beside]

*film*: a film of Li2O or LiF on a copper crystal of 11 nm, at the same position; its strongest reflection has
the given fraction of the power of copper's strongest, and the given SNR. Printed: the fraction of its
reflections with an SNR of at least 20 that have an enabled spot (within 1 % and 1.5 degrees), of the films
that are found at all, and of those with two directions.

*beside*: a copper crystal, and on the other side of a common border a crystal with the same orientation,
whose spacings are larger by the misfit and whose intensity is the given fraction. A spot belongs to a
reflection of the weak crystal if it is closer to it than a third of the distance to the strong one's, and the
centre of its grain is in the weak crystal. Crystals are fringes with soft borders in white noise; there is no
lens.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.draw import polygon2mask

sys.path.insert(0, str(Path(__file__).parents[1]))

from forward_model import zone
from napari_tem_fft.core.crystal.phase import Phase
from napari_tem_fft.core.image.calibration import Calibration
from napari_tem_fft.core.image.micrograph import Micrograph
from napari_tem_fft.core.pipeline import Analysis, analysis_steps
from napari_tem_fft.core.progress import exhaust
from napari_tem_fft.core.spots.spot import angle_between
from napari_tem_fft.io.phases.table import load_table

PIXEL, SIDE = 0.025, 1280
#: A grain's own window sees about this share of its area.
SEEN = 0.4
AXES = ((0, 0, 1), (1, 1, 0), (1, 1, 1), (1, 1, 2))
SHARES, SNRS = (1e-3, 3e-3, 1e-2), (20.0, 50.0, 100.0)
MISFITS, RATIOS = (1, 3, 5, 7), (8, 15, 30)
#: SNR of the strong crystal beside the weak one.
STRONG = 2e3

Image = NDArray[np.float64]


@dataclass(frozen=True)
class Weak:
    """Visible reflections of a weak crystal, and its position."""

    g: NDArray[np.float64]
    reach: NDArray[np.float64]
    inside: NDArray[np.bool_]


def polygon(rng: np.random.Generator, diameter: float) -> NDArray[np.bool_]:
    """A convex particle at the centre of the field."""
    angles = np.sort(rng.uniform(0, 2 * np.pi, 9)) if rng.random() < 0.3 else np.arange(6) * np.pi / 3
    angles = angles + rng.uniform(0, np.pi)
    radius = 0.5 * diameter * rng.uniform(0.9, 1.1, len(angles))
    middle = 0.5 * SIDE * PIXEL + rng.uniform(-1, 1, 2)
    corners = middle + radius[:, None] * np.stack([np.sin(angles), np.cos(angles)], axis=1)
    return np.asarray(polygon2mask((SIDE, SIDE), corners / PIXEL))


def reflections(
    phase: Phase, axis: tuple[int, int, int], turn: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """g (y, x) and the relative amplitude of a zone's reflections, one of each pair, strongest first."""
    _, g, strength = zone(phase, axis, turn, d_min=0.12)
    order = np.argsort(-strength, kind="stable")
    return g[order], strength[order] / strength.max()


def fringes(
    inside: NDArray[np.bool_], g: NDArray[np.float64], amplitude: NDArray[np.float64], seed: int
) -> Image:
    """Sum of cosines with a soft mask."""
    at = np.arange(SIDE) * PIXEL
    shift = np.random.default_rng(seed).uniform(0, 2 * np.pi, len(g))
    phases = (
        2 * np.pi * (gy * at[:, None] + gx * at[None]) + s for (gy, gx), s in zip(g, shift, strict=True)
    )
    waves = sum(a * np.cos(phase) for a, phase in zip(amplitude, phases, strict=True))
    return np.asarray(ndimage.gaussian_filter(inside.astype(float), 0.2 / PIXEL) * waves)


def amplitude_of(snr: float, inside: NDArray[np.bool_]) -> float:
    """Amplitude of a fringe with this SNR in a region, in units of the noise of a pixel."""
    return 2 * float(np.sqrt(snr / (SEEN * np.count_nonzero(inside))))


def film(
    film_phase: Phase, copper: Phase, share: float, snr: float, rng: np.random.Generator
) -> tuple[Image, Weak]:
    """A strong crystal with a film on it."""
    inside = polygon(rng, 11.0)
    seeds = rng.integers(1 << 30, size=2)
    strong, strengths = reflections(copper, AXES[rng.integers(4)], rng.uniform(0, 360))
    g, weak = reflections(film_phase, AXES[rng.integers(2)], rng.uniform(0, 360))
    image = fringes(inside, strong, amplitude_of(snr / share, inside) * strengths, seeds[0])
    image += fringes(inside, g, amplitude_of(snr, inside) * weak, seeds[1])
    own = g[snr * weak**2 >= min(20.0, snr)]
    apart = np.hypot(*(own[:, None] - np.concatenate([strong, -strong])).transpose(2, 0, 1)).min(axis=1)
    own = own[apart > 0.2]  # elsewhere the strong crystal's own spot is in the way
    return image, Weak(own, 0.01 * np.hypot(*own.T), inside)


def beside(copper: Phase, misfit: float, ratio: float, rng: np.random.Generator) -> tuple[Image, Weak]:
    """Two crystals with a common border."""
    both = polygon(rng, 13.0)
    y, x = np.indices(both.shape)
    turn = rng.uniform(0, 2 * np.pi)
    across = (y - SIDE / 2) * np.sin(turn) + (x - SIDE / 2) * np.cos(turn) < 0
    strong, strengths = reflections(copper, AXES[rng.integers(4)], rng.uniform(0, 360))
    amplitude, seeds = amplitude_of(STRONG, both & across), rng.integers(1 << 30, size=2)
    g = strong / (1 + misfit / 100)
    image = fringes(both & across, strong, amplitude * strengths, seeds[0])
    image += fringes(both & ~across, g, amplitude / np.sqrt(ratio) * strengths, seeds[1])
    return image, Weak(g, np.hypot(*(g - strong).T) / 3, both & ~across)


def analysed(image: Image, rng: np.random.Generator) -> Analysis:
    """Run the analysis without phases and network."""
    noisy = 100 + image + rng.standard_normal(image.shape)
    micrograph = Micrograph(noisy.astype(np.float32), Calibration.real((PIXEL, PIXEL)), "weak")
    return exhaust(analysis_steps(micrograph, ()))


def shown(analysis: Analysis, weak: Weak, within: bool) -> NDArray[np.bool_]:
    """Which reflections of the weak crystal have an enabled spot."""
    grain_of = {n: grain for grain in analysis.grains for n in grain.spots}
    found = np.zeros(len(weak.g), bool)
    for spot in analysis.spots:
        if not spot.enabled:
            continue
        if within:
            row, column = (int(v / PIXEL) for v in grain_of[spot.id].centre)
            if not weak.inside[row, column]:
                continue
        both = np.stack([weak.g - spot.g, weak.g + spot.g])
        near = np.hypot(both[..., 0], both[..., 1]).min(axis=0) < weak.reach
        found |= near & [min(angle_between(tuple(g), spot.g) % 179, 5) < 1.5 for g in weak.g]
    return found


def cases(only: str, images: int, seed: int) -> Iterator[tuple[str, Image, Weak, np.random.Generator]]:
    """Name of the condition, image without noise, ground truth and generator of each image."""
    phases = {phase.id: phase for phase in load_table() if phase.id in ("Cu", "Li2O", "LiF")}
    if only != "beside":
        for share in SHARES:
            for snr in SNRS:
                for k in range(images):
                    rng = np.random.default_rng([seed, round(1e4 * share), int(snr), k])
                    over = phases[("Li2O", "LiF")[k % 2]]
                    yield f"film {share:.0e}, SNR {snr:.0f}", *film(over, phases["Cu"], share, snr, rng), rng
    if only != "film":
        for misfit in MISFITS:
            for ratio in RATIOS:
                for k in range(images):
                    rng = np.random.default_rng([seed, misfit, ratio, k])
                    name = f"beside {misfit} %, 1:{ratio}"
                    yield name, *beside(phases["Cu"], misfit, ratio, rng), rng


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=("film", "beside"), default="")
    args = parser.parse_args()
    table: dict[str, list[tuple[int, int, bool]]] = {}
    for name, image, weak, rng in cases(args.only, args.images, args.seed):
        if len(weak.g):
            found = shown(analysed(image, rng), weak, name.startswith("beside"))
            directions = np.linalg.matrix_rank(weak.g[found]) if found.any() else 0
            for key in (name, f"{name.split()[0]}, all"):
                table.setdefault(key, []).append((int(found.sum()), len(found), int(directions)))
    print(f"{'weak crystal':22s} {'images':>6s} {'reflections':>12s} {'seen':>6s} {'two directions':>15s}")
    for name, rows in table.items():
        hits, of, directions = (np.array(column) for column in zip(*rows, strict=True))
        print(
            f"{name:22s} {len(rows):6d} {hits.sum() / of.sum():12.3f} {(directions > 0).mean():6.3f}"
            f" {(directions > 1).mean():15.3f}"
        )


if __name__ == "__main__":
    main()
