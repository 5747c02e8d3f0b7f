"""Complete analysis of random micrographs of the forward model, with seeds that were not used for tuning.

    python tests/benchmarks/held_out.py [--images 20] [--first-seed 9000] [--uncertainty 0.5]

Each image: 1-3 phases of a set of 16 battery and metal phases, 3-7 faceted grains of 4-12 nm along random
low-index zone axes, film with Thon rings, dose 100-2000 e/A^2, pixel size 0.018-0.032 nm and a calibration
error with the stated uncertainty. The candidates are the 16 phases. Printed: wrong and missed phases, grains
found, error of d, overlap of the grains' maps with the ground truth (Dice), and false spots.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.draw import polygon2mask

sys.path.insert(0, str(Path(__file__).parents[1]))

from forward_model import Crystal, Optics, amorphous, camera, crystal_potential, image_of, zone
from make_sample import facets
from napari_tem_fft.core.crystal.phase_selection import select_phases
from napari_tem_fft.core.image.calibration import Calibration
from napari_tem_fft.core.image.micrograph import Micrograph
from napari_tem_fft.core.maps.map_grid import resample
from napari_tem_fft.core.pipeline import Analysis, analysis_steps
from napari_tem_fft.core.progress import exhaust
from napari_tem_fft.io.phases.table import load_table

PHASES = ["Li", "LiF", "Li2O", "Li2CO3", "LiOH", "Li3N", "LiH", "Cu", "Ag", "Au", "Ni", "Si", "MgO", "CeO2"]
PHASES += ["NaF", "Al"]
ZONES = ((0, 0, 1), (0, 1, 1), (1, 1, 1), (1, 1, 2), (1, 0, 0), (0, 1, 2))
SIZE, MARGIN = 1400, 100


@dataclass(frozen=True)
class Truth:
    """One grain: its phase, its mask on the image's pixels, and its visible reflections."""

    phase: str
    mask: NDArray[np.bool_]
    g: NDArray[np.float64]
    amplitude: NDArray[np.float64]


def micrograph(seed: int, uncertainty: float) -> tuple[Micrograph, list[Truth]]:
    """A random micrograph and its ground truth, with d for the true pixel size."""
    rng = np.random.default_rng(seed)
    pixel = rng.uniform(0.018, 0.032)
    size = (pixel, pixel)
    wide = (SIZE + 2 * MARGIN, SIZE + 2 * MARGIN)
    table = {phase.id: phase for phase in load_table()}
    present = rng.choice(PHASES, rng.integers(1, 4), replace=False)
    potential = rng.uniform(0.03, 0.08) * amorphous(wide, size, seed)
    truth, free = [], np.ones((SIZE, SIZE), bool)
    for number in range(rng.integers(3, 8)):
        name = str(rng.choice(present))
        radius = rng.uniform(2.0, 6.0)
        centre = rng.uniform(radius, SIZE * pixel - radius, 2)
        axis = ZONES[rng.integers(len(ZONES))]
        _, g, relative = zone(table[name], axis, rng.uniform(0, 360))
        if len(g) < 2 or np.linalg.matrix_rank(g) < 2:
            continue
        corners = facets(g, (float(centre[0]), float(centre[1])), radius, seed * 31 + number)
        mask = polygon2mask((SIZE, SIZE), corners / pixel)
        if not free[mask].all():
            continue
        free &= ~mask
        amplitude = rng.uniform(0.03, 0.08) * relative * rng.uniform(0.4, 1.0, len(g))
        shift = rng.uniform(0, 2 * np.pi, len(g))
        crystal = Crystal(corners + MARGIN * pixel, g, amplitude, shift)
        potential += crystal_potential(wide, size, crystal)
        truth.append(Truth(name, mask, g, amplitude))
    optics = Optics(
        defocus=rng.uniform(25, 90), astigmatism=rng.uniform(0, 4), astigmatism_deg=rng.uniform(0, 180)
    )
    image = image_of(potential, size, optics)[MARGIN:-MARGIN, MARGIN:-MARGIN]
    pixels = camera(image, size, 100 * 10 ** rng.uniform(2.0, 3.3), seed)
    stated = pixel * (1 + uncertainty / 100 * rng.normal())
    calibration = replace(Calibration.real(stated), uncertainty=uncertainty / 100)
    return Micrograph(pixels, calibration, f"seed {seed}"), truth


def scored(analysis: Analysis, truth: list[Truth], scale: float) -> dict[str, Any]:
    """Results for one image; `scale` is the stated pixel size divided by the true one."""
    named = {p for m in analysis.matches if m.outcome.names_phases for p in m.phases}
    sure = {p for m in analysis.matches if m.outcome.value in ("identified", "likely") for p in m.phases}
    true = {t.phase for t in truth}
    shape = analysis.map_grid.shape
    masks = [resample(t.mask, shape) for t in truth]
    dice = [
        max((2 * m[g.box][g.mask].sum() / (m.sum() + g.area) for g in analysis.grain_regions), default=0.0)
        for m in masks
    ]
    every = np.concatenate([t.g for t in truth]) / scale if truth else np.zeros((0, 2))
    errors, false = [], 0
    for spot in analysis.spots:
        apart = np.minimum(*(np.linalg.norm(every - s * np.array(spot.g), axis=1) for s in (1, -1)))
        best = int(apart.argmin()) if len(apart) else -1
        if best < 0 or apart[best] > max(0.06, 0.5 / max(spot.size, 1)):
            false += 1
        else:
            errors.append(abs(spot.d * np.linalg.norm(every[best]) - 1))
    return {
        "true": true,
        "missed": true - named,
        "wrong": named - true,
        "wrong_sure": sure - true,
        "dice": dice,
        "errors": errors,
        "false": false,
        "spots": len(analysis.spots),
    }


def main() -> None:
    """Print a line per image and the totals."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=9000)
    parser.add_argument("--uncertainty", type=float, default=0.5, help="of the calibration, percent")
    args = parser.parse_args()
    phases = select_phases(load_table(), names=PHASES)
    rows = []
    for seed in range(args.first_seed, args.first_seed + args.images):
        image, truth = micrograph(seed, args.uncertainty)
        analysis = exhaust(analysis_steps(image, phases))
        true_pixel = np.random.default_rng(seed).uniform(0.018, 0.032)
        row = scored(analysis, truth, image.pixel_size[0] / true_pixel)
        rows.append(row)
        names = {key: ",".join(sorted(row[key])) or "-" for key in ("true", "missed", "wrong")}
        print(
            f"{seed}  true {names['true']:20s} missed {names['missed']:14s} wrong {names['wrong']:18s}"
            f" grains {len(truth)}/{len(analysis.grains)} dice {np.mean(row['dice']):.2f}"
            f" spots {row['spots']} false {row['false']}",
            flush=True,
        )
    dice = np.concatenate([r["dice"] for r in rows])
    errors = np.concatenate([r["errors"] for r in rows])
    true, missed, wrong, sure = (
        sum(len(r[k]) for r in rows) for k in ("true", "missed", "wrong", "wrong_sure")
    )
    hit = dice > 0.5
    print(f"\nphases: {true} present, {missed} missed, {wrong} wrong in a named set,", end=" ")
    print(f"{sure} wrong identified or likely")
    print(f"grains: {len(dice)}, found (Dice > 0.5) {hit.mean():.2f}, their Dice {dice[hit].mean():.3f}")
    print(f"d: median error {np.median(errors):.3%}, 95 % below {np.percentile(errors, 95):.2%}")
    print(f"spots: {sum(r['spots'] for r in rows)}, of no reflection {sum(r['false'] for r in rows)}")


if __name__ == "__main__":
    main()
