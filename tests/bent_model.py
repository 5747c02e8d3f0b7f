"""Bent layers, and crystals side by side: fringes with soft borders in white noise, without a lens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from napari_tem_fft.core.image.calibration import Calibration
from napari_tem_fft.core.image.micrograph import Micrograph
from napari_tem_fft.core.pipeline import Analysis, AnalysisParams, Segment, analysis_steps
from napari_tem_fft.core.progress import exhaust

PIXEL, SIDE, D = 0.03, 1024, 0.34
MIDDLE = SIDE * PIXEL / 2
THICKNESS, LENGTH = 4.0, (15.0, 20.0)

Image = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Specimen:
    """Fringes of unit amplitude, and where they are."""

    fringes: Image
    inside: Mask


def places() -> tuple[Image, Image]:
    """y and x of the pixels from the middle of the field, nm."""
    y, x = np.indices((SIDE, SIDE)) * PIXEL - MIDDLE
    return y, x


def soft(mask: Mask) -> Image:
    """A mask whose border is 0.15 nm soft."""
    return np.asarray(ndimage.gaussian_filter(mask.astype(float), 0.15 / PIXEL))


def arc(radius: float, rng: np.random.Generator) -> Specimen:
    """Layers around a point so far away, the middle of the arc in the middle of the field."""
    y, x = places()
    azimuth, span = rng.uniform(0, 2 * np.pi), min(2 * np.pi, rng.uniform(*LENGTH) / radius)
    shift = 0.0 if span > 5.5 else radius
    y, x = y - shift * np.sin(azimuth), x + shift * np.cos(azimuth)
    away, turn = np.hypot(y, x), (np.arctan2(-y, x) - azimuth + np.pi) % (2 * np.pi) - np.pi
    inside = (np.abs(away - radius) < THICKNESS / 2) & (np.abs(turn) < span / 2)
    wave = np.cos(2 * np.pi * (away - radius) / D + rng.uniform(0, 6))
    return Specimen(soft(inside) * wave, inside)


def onion(outer: float, rng: np.random.Generator) -> Specimen:
    """Closed layers from 1.5 nm outwards, a little oval."""
    y, x = places()
    turn, oval = rng.uniform(0, np.pi), rng.uniform(1.0, 1.1)
    a, b = y * np.cos(turn) + x * np.sin(turn), (x * np.cos(turn) - y * np.sin(turn)) / oval
    away = np.hypot(a, b)
    inside = (away > 1.5) & (away < outer)
    return Specimen(soft(inside) * np.cos(2 * np.pi * away / D + rng.uniform(0, 6)), inside)


def straight(d: float, azimuth: float, shift: float) -> Image:
    """Straight fringes over the whole field."""
    y, x = places()
    angle = np.radians(azimuth)
    return np.asarray(np.cos(2 * np.pi * (x * np.cos(angle) - y * np.sin(angle)) / d + shift))


def crystals(
    label: NDArray[np.intp], d: Callable[[], float], azimuth: Callable[[], float], rng: np.random.Generator
) -> Specimen:
    """A crystal of one visible family for each label from 0 on."""
    total = np.zeros(label.shape)
    for number in np.unique(label[label >= 0]):
        total += soft(label == number) * straight(d(), azimuth(), rng.uniform(0, 6))
    return Specimen(total, label >= 0)


def polycrystal(rng: np.random.Generator, size: float, gap: float = 0.0) -> NDArray[np.intp]:
    """Cells around random points in a disc of 12 nm; a gap (nm) on either side of their borders."""
    y, x = places()
    points = rng.uniform(-14, 14, (int(28**2 / size**2), 2))
    distance, nearest = cKDTree(points).query(np.stack([y.ravel(), x.ravel()], axis=1), k=2)
    label = np.where(np.diff(distance)[:, 0] > 2 * gap, nearest[:, 0], -1).reshape(y.shape)
    return np.where(np.hypot(y, x) < 12, label, -1)


def sectors(count: int, radius: float, turn: float) -> NDArray[np.intp]:
    """A disc cut into sectors."""
    y, x = places()
    label = ((np.degrees(np.arctan2(-y, x)) - turn) % 360 // (360 / count)).astype(np.intp)
    return np.where(np.hypot(y, x) < radius, label, -1)


def cells(
    rng: np.random.Generator, mosaic: float = 90.0, d: tuple[float, ...] = (D,), gap: float = 0.0
) -> Specimen:
    """A polycrystal whose directions spread by so many degrees, uniformly; each crystal has one of the d."""
    mean = rng.uniform(0, 180)
    label = polycrystal(rng, rng.uniform(4, 8), gap)
    return crystals(label, lambda: d[rng.integers(len(d))], lambda: mean + rng.uniform(-mosaic, mosaic), rng)


def parts(rng: np.random.Generator, count: int, radius: float, step: float) -> Specimen:
    """Sectors of a disc, each turned by so many degrees against the one before."""
    turned = iter(rng.uniform(0, 180) + step * np.arange(count))
    return crystals(sectors(count, radius, rng.uniform(0, 360)), lambda: D, lambda: float(next(turned)), rng)


def moire(rng: np.random.Generator) -> Specimen:
    """Two straight layers over each other, twisted."""
    disc, azimuth, twist = sectors(1, 8.0, 0.0) >= 0, rng.uniform(0, 180), rng.uniform(4, 30)
    both = straight(D, azimuth, 0.0) + straight(D, azimuth + twist, 1.0)
    return Specimen(soft(disc) * both, disc)


#: What is no bent lattice, however its parts touch.
NEGATIVES: dict[str, Callable[[np.random.Generator], Specimen]] = {
    "polycrystal": cells,
    "textured": lambda rng: cells(rng, 20.0),
    "apart": lambda rng: cells(rng, gap=1.0),
    "two phases": lambda rng: cells(rng, d=(0.34, 0.325)),
    "two, textured": lambda rng: cells(rng, 20.0, (0.34, 0.325)),
    "bicrystal": lambda rng: parts(rng, 2, 5.5, rng.uniform(4, 30)),
    "twin": lambda rng: parts(rng, 2, 5.5, 109.47),
    "fivefold": lambda rng: parts(rng, 5, 8.0, 72.0),
    "moire": moire,
}


def analysed(
    specimen: Specimen, contrast: float, rng: np.random.Generator, segment: Segment | None = None
) -> Analysis:
    """The chain without phases, and without a network where none is given."""
    noisy = 100 + contrast * specimen.fringes + rng.standard_normal(specimen.fringes.shape)
    micrograph = Micrograph(noisy.astype(np.float32), Calibration.real((PIXEL, PIXEL)), "bent")
    return exhaust(analysis_steps(micrograph, (), AnalysisParams(), segment))
