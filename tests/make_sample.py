"""Makes the sample micrograph that the package ships, and what is true of it.

    python tests/make_sample.py

writes ``src/napari_tem_fft/data/sample.dm4`` and ``tests/data/sample_truth.json``: faceted crystals of
three phases on an amorphous film with vacuum beside it, as `forward_model` images them. The cells are
those of the bundled phase table.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import HalfspaceIntersection
from skimage.draw import polygon2mask

from dm_writer import write_dm
from forward_model import (
    Crystal,
    Image,
    Optics,
    amorphous,
    camera,
    crystal_potential,
    image_of,
    positions,
    zone,
)
from napari_tem_fft.core.crystal.phase import Phase
from napari_tem_fft.io.phases.table import load_table

ROOT = Path(__file__).parents[1]
SHAPE = (1400, 1400)
MARGIN = 120  # pixels simulated around the field, for the transform's field repeats itself
WIDE = (SHAPE[0] + 2 * MARGIN, SHAPE[1] + 2 * MARGIN)
PIXEL_SIZE = (0.025, 0.025)
DOSE = 80_000.0  # electrons a nm^2
OPTICS = Optics(defocus=37.0, astigmatism=1.5, astigmatism_deg=30.0)
SEED = 20240611
#: Phase -> zone axis, and cosine amplitude (radians) of a reflection with the phase's largest |F|.
ZONES = {"Cu": ((0, 1, 1), 0.055), "Li2O": ((0, 1, 1), 0.055), "Li2CO3": ((1, 0, 0), 0.065)}
FILM = 0.06  # standard deviation of the film's projected potential, radians
FILM_MEAN = 0.25


@dataclass(frozen=True)
class Placed:
    """A grain: phase, centre (y, x) and radius in nm, turn in the plane in degrees."""

    phase: str
    centre: tuple[float, float]
    radius: float
    rotation: float


GRAINS = (
    Placed("Cu", (6.3, 6.6), 4.6, 17.0),
    Placed("Li2O", (7.2, 19.6), 5.2, 48.0),
    Placed("Li2CO3", (18.2, 8.2), 5.2, 72.0),
    Placed("Cu", (19.2, 18.6), 3.8, 101.0),
    Placed("Li2O", (29.4, 16.4), 4.4, 133.0),
    Placed("Li2CO3", (29.6, 5.6), 4.1, 8.0),
    Placed("Li2O", (17.4, 25.8), 3.2, 160.0),
    Placed("Cu", (28.4, 25.6), 4.2, 64.0),
)


def facets(
    g: NDArray[np.float64], centre: tuple[float, float], radius: float, seed: int
) -> NDArray[np.float64]:
    """Corners (y, x) in nm of a crystal whose facets are lattice planes, in order around it."""
    rng = np.random.default_rng(seed)
    length = np.linalg.norm(g, axis=1)
    normals = (g / length[:, None])[np.argsort(length)[:5]]
    normals = np.concatenate([normals, -normals])
    reach = radius * rng.uniform(0.85, 1.15, len(normals))
    corners = HalfspaceIntersection(np.column_stack([normals, -reach]), np.zeros(2)).intersections
    order = np.argsort(np.arctan2(*corners.T))
    return corners[order] + np.asarray(centre)


def film() -> NDArray[np.bool_]:
    """Where the film is, margin included: a wavy edge at the right, vacuum beyond it."""
    y, x = (axis - MARGIN * PIXEL_SIZE[0] for axis in positions(WIDE, PIXEL_SIZE))
    edge = 28.7 + 1.3 * np.sin(2 * np.pi * y / 31.0) + 0.5 * np.sin(2 * np.pi * y / 9.0 + 1.0)
    return x < edge


def crystals(table: dict[str, Phase]) -> list[tuple[Crystal, dict[str, Any]]]:
    """Every grain with what is true of it."""
    out = []
    for number, grain in enumerate(GRAINS):
        axis, strength = ZONES[grain.phase]
        hkl, g, relative = zone(table[grain.phase], axis, grain.rotation)
        polygon = facets(g, grain.centre, grain.radius, SEED + number)
        shift = np.random.default_rng(SEED + 100 + number).uniform(0, 2 * np.pi, len(g))
        amplitude = strength * relative
        truth = asdict(grain) | {
            "zone_axis": axis,
            "polygon_nm": polygon.round(3).tolist(),
            "reflections": [reflection(*one) for one in zip(hkl, g, amplitude, strict=True)],
        }
        out.append((Crystal(polygon, g, amplitude, shift), truth))
    return out


def reflection(hkl: tuple[int, int, int], g: NDArray[np.float64], amplitude: float) -> dict[str, Any]:
    """One pair of spots as it is written into the truth."""
    return {
        "hkl": hkl,
        "d_nm": round(float(1 / np.hypot(*g)), 6),
        "azimuth_deg": round(float(np.degrees(np.arctan2(-g[0], g[1])) % 180), 4),
        "amplitude": round(float(amplitude), 5),
    }


def intensity(grains: list[Crystal]) -> Image:
    """What an ideal camera would see of film and crystals, 1 in vacuum."""
    soft = ndimage.gaussian_filter(film().astype(float), [0.2 / p for p in PIXEL_SIZE])
    total = soft * (FILM_MEAN + FILM * amorphous(WIDE, PIXEL_SIZE, SEED))
    for grain in grains:
        shifted = replace(grain, polygon=grain.polygon + MARGIN * np.asarray(PIXEL_SIZE))
        total += crystal_potential(WIDE, PIXEL_SIZE, shifted)
    return image_of(total, PIXEL_SIZE, OPTICS)[MARGIN:-MARGIN, MARGIN:-MARGIN]


def illumination() -> Image:
    """A beam whose middle lies outside the field's: 8 % weaker at the far corner."""
    y, x = positions(SHAPE, PIXEL_SIZE)
    return 1.02 - 0.10 * ((y - 14) ** 2 + (x - 12) ** 2) / 35.0**2


def sample() -> tuple[NDArray[np.int16], dict[str, Any]]:
    """The micrograph, and the truth as it is written to the file."""
    grains = crystals({phase.id: phase for phase in load_table()})
    covered = film()[MARGIN:-MARGIN, MARGIN:-MARGIN]
    for crystal, truth in grains:
        mask = polygon2mask(SHAPE, crystal.polygon / PIXEL_SIZE)
        truth["area_nm2"] = round(float(mask.sum() * PIXEL_SIZE[0] * PIXEL_SIZE[1]), 3)
        covered = covered | mask
    absorbed = ndimage.gaussian_filter(np.where(covered, 0.93, 1.0), 6)
    ideal = intensity([crystal for crystal, _ in grains])
    pixels = camera(ideal * absorbed * illumination(), PIXEL_SIZE, DOSE, SEED)
    truth = {
        "shape": SHAPE,
        "pixel_size_nm": PIXEL_SIZE,
        "dose_per_nm2": DOSE,
        "optics": asdict(OPTICS),
        "specimen_nm2": round(float(covered.sum() * PIXEL_SIZE[0] * PIXEL_SIZE[1]), 2),
        "grains": [truth for _, truth in grains],
    }
    return pixels, truth


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dm4", type=Path, default=ROOT / "src" / "napari_tem_fft" / "data" / "sample.dm4")
    parser.add_argument("--truth", type=Path, default=ROOT / "tests" / "data" / "sample_truth.json")
    args = parser.parse_args()
    pixels, truth = sample()
    microscope = {"Voltage": 300e3, "Indicated Magnification": 400e3, "Cs(mm)": OPTICS.cs_mm}
    write_dm(args.dm4, pixels, PIXEL_SIZE, "nm", name="simulated sample", microscope=microscope)
    args.truth.parent.mkdir(parents=True, exist_ok=True)
    args.truth.write_text(json.dumps(truth, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
