"""False alarms in images without crystals: how many of N seeded fields have a spot, a grain, a component.

    python tests/benchmarks/false_alarms.py [--fields 100] [--size 1024] [--first-seed 0] [--network spots]

Kinds of fields: white noise; an amorphous film with astigmatic Thon rings and Poisson noise; the same with
vacuum on 20 % and on 50 % of the field. The stated rate is 0.01 per image for each.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))

from forward_model import Optics, film_image, image_of, white_noise
from napari_tem_fft.core.image.calibration import Calibration
from napari_tem_fft.core.image.micrograph import Micrograph
from napari_tem_fft.core.pipeline import AnalysisParams, analysis_steps
from napari_tem_fft.core.progress import exhaust
from napari_tem_fft.nn.inference.model import load_segmenter

PIXEL = (0.025, 0.025)
DOSE = 400.0  # e/A^2


def film_of(kind: str, size: int) -> NDArray[np.bool_]:
    """Mask of the film: the whole field, or everything to the right of a wavy edge."""
    vacuum = {"vacuum 20 %": 0.2, "vacuum 50 %": 0.5}.get(kind, 0.0)
    x = np.arange(size)[None, :] + 0.06 * size * np.sin(np.arange(size)[:, None] / size * 5)
    return x > vacuum * size if vacuum else np.ones((size, size), bool)


def field(kind: str, size: int, seed: int, fringes: bool = True) -> NDArray[np.float64]:
    """One image without crystals; the film's edge has Fresnel fringes, or none."""
    shape, rng = (size, size), np.random.default_rng(seed)
    if kind == "white":
        return white_noise(shape, seed)
    optics = Optics(
        defocus=rng.uniform(30, 400), astigmatism=rng.uniform(0, 10), astigmatism_deg=rng.uniform(0, 180)
    )
    image = film_image(shape, PIXEL, seed, optics, strength=0.04)
    film = film_of(kind, size).astype(float)
    if not film.all():
        image = 1 + film * (image - 1)
        image += image_of(0.15 * film, PIXEL, optics) - 1 if fringes else 0.0
    counts = DOSE * 100 * PIXEL[0] * PIXEL[1]
    return rng.poisson(np.maximum(image, 0.01) * counts).astype(float)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fields", type=int, default=100)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--network", help="name or folder of a model; none if it is not given")
    args = parser.parse_args()
    segment = load_segmenter(args.network) if args.network else None
    print(f"{'field':12s} {'fields':>6s} {'with spots':>11s} {'with components':>16s} {'vacuum found':>13s}")
    for kind in ("white", "film", "vacuum 20 %", "vacuum 50 %"):
        spots = components = 0
        vacuum = []
        for seed in range(args.first_seed, args.first_seed + args.fields):
            image = Micrograph(field(kind, args.size, seed), Calibration.real(PIXEL), kind)
            analysis = exhaust(analysis_steps(image, (), AnalysisParams(), segment))
            spots += bool(analysis.spots)
            components += bool(analysis.components)
            vacuum.append(1 - analysis.specimen.mean())
        print(f"{kind:12s} {args.fields:6d} {spots:11d} {components:16d} {np.mean(vacuum):13.3f}", flush=True)


if __name__ == "__main__":
    main()
