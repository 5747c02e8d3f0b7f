"""Micrograph: the pixels as recorded, with their calibration and where they come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .calibration import Calibration

#: Fewest pixels along an axis that are transformed.
SMALLEST = 16
#: Largest share of NaN and infinite pixels that is repaired; above it the image is refused.
MOST_BAD = 0.01
#: A pixel this many robust standard deviations away from its neighbours' median is a defect.
DEFECT_SIGMA = 12.0
#: Rows that are looked at together, so that they stay in the processor's cache.
STRIP = 64
#: A row or column whose mean lies this many robust standard deviations off its neighbours' is one too.
LINE_SIGMA = 10.0
#: Largest share of the rows, or of the columns, that is taken for defects; more are a feature of the image.
MOST_LINES = 0.005


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Micrograph:
    """An image, a stored diffraction pattern, or one frame of a stack.

    Attributes
    ----------
    pixels : ndarray, shape (ny, nx)
        As recorded, of any real dtype; not scaled, not flipped. Treated as read-only.
    calibration : Calibration
    name : str
        Name shown to the user (the file's stem, with the image's name where a file has several).
    source : str
        Path of the file, empty for an array that never was in one.
    file_hash : str
        SHA-256 of that file, empty where there is none.
    metadata : mapping
        What the file tells of the microscope (voltage_kV, magnification, exposure_s, date, ...); any
        entry may be missing.
    warnings : tuple of str
        What the user should know of how the image was read.

    Raises
    ------
    ValueError
        If the pixels are not a two-dimensional array of real numbers.
    """

    pixels: NDArray[Any]
    calibration: Calibration = field(default_factory=Calibration)
    name: str = "micrograph"
    source: str = ""
    file_hash: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.pixels.ndim != 2 or self.pixels.dtype.kind not in "buif":
            raise ValueError(
                f"{self.name}: a micrograph is a two-dimensional array of real numbers, not"
                f" {self.pixels.ndim}-dimensional {self.pixels.dtype}"
            )
        if self.pixels.size == 0:
            raise ValueError(f"{self.name}: the image has no pixels")

    @property
    def shape(self) -> tuple[int, int]:
        """Number of pixels (y, x)."""
        return self.pixels.shape

    @property
    def pixel_size(self) -> tuple[float, float]:
        """Pixel size (y, x) in nm; CalibrationError where there is none."""
        return self.calibration.pixel_size

    @property
    def extent(self) -> tuple[float, float]:
        """Size of the field (y, x) in nm."""
        (ny, nx), (py, px) = self.shape, self.pixel_size
        return ny * py, nx * px

    def crop(self, rows: slice, columns: slice) -> Micrograph:
        """The part of the image inside two slices, with the same calibration."""
        return replace(self, pixels=self.pixels[rows, columns])


def prepared_pixels(micrograph: Micrograph) -> tuple[NDArray[np.float32], int]:
    """Pixels ready for a transform: float32, mean zero, defects repaired.

    Returns
    -------
    pixels : ndarray of float32, shape (ny, nx)
        With the mean subtracted in float64 first, since detectors add pedestals of millions.
    repaired : int
        Number of pixels replaced by their neighbours.

    Raises
    ------
    ValueError
        If the image is smaller than 16 x 16, more than 1 % of its pixels are NaN or infinite, or it is
        constant.
    """
    pixels = micrograph.pixels
    if min(pixels.shape) < SMALLEST:
        ny, nx = pixels.shape
        raise ValueError(f"{micrograph.name}: {ny} x {nx} pixels are too few for a transform")
    bad = _not_finite(pixels, micrograph.name)
    mean = pixels.mean(dtype=np.float64) if bad is None else pixels[~bad].mean(dtype=np.float64)
    image = np.subtract(pixels, mean, dtype=np.float32, casting="unsafe")
    if bad is not None:
        image[bad] = 0.0
    defects = _defects(image)
    if bad is not None:
        defects |= bad
    repaired = _repair(image, defects) + sum(_repair_lines(image.T if axis else image) for axis in (0, 1))
    if not image.any() or np.ptp(image) == 0:
        raise ValueError(f"{micrograph.name}: all pixels have the same value; there is no image to analyse")
    image -= image.mean(dtype=np.float64)
    return image, repaired


def _not_finite(pixels: NDArray[Any], name: str) -> NDArray[np.bool_] | None:
    if pixels.dtype.kind != "f" or np.isfinite(np.sum(pixels, dtype=np.float64)):
        return None
    bad: NDArray[np.bool_] = ~np.isfinite(pixels)
    share = float(bad.mean())
    if share > MOST_BAD:
        raise ValueError(
            f"{name}: {share:.1%} of the pixels are NaN or infinite; at most {MOST_BAD:.0%} are repaired"
        )
    return bad


def _defects(image: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Hot and dead pixels: far from the mean of their four neighbours in units of the usual step."""
    defects = np.zeros(image.shape, bool)
    firsts = range(0, len(image) - 2, STRIP)
    sample = [_steps(image[first : first + 6])[:, ::5].ravel() for first in firsts]
    sigma = 1.4826 * float(np.median(np.abs(np.concatenate(sample))))
    if sigma == 0.0:
        return defects
    for first in firsts:
        part = _steps(image[first : first + STRIP + 2])
        np.greater(np.abs(part, out=part), DEFECT_SIGMA * sigma, out=defects[first + 1 :][: len(part), 1:-1])
    return defects


def _steps(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Pixels minus the mean of their four neighbours, without the border."""
    around = image[:-2, 1:-1] + image[2:, 1:-1]
    around += image[1:-1, :-2]
    around += image[1:-1, 2:]
    around *= np.float32(-0.25)
    around += image[1:-1, 1:-1]
    return around


def _repair(image: NDArray[np.float32], defects: NDArray[np.bool_]) -> int:
    """Replace defects by the median of the sound pixels of their 5 x 5 neighbourhood, in place."""
    rows, columns = np.nonzero(defects)
    if not len(rows) or len(rows) > 5 * MOST_BAD * image.size:
        return 0
    padded = np.pad(image, 2, mode="reflect")
    spoilt = np.pad(defects, 2, mode="reflect")
    offsets = [(dy, dx) for dy in range(5) for dx in range(5)]
    around = np.stack([padded[rows + dy, columns + dx] for dy, dx in offsets])
    around[np.stack([spoilt[rows + dy, columns + dx] for dy, dx in offsets])] = np.nan
    sound = np.isfinite(around).any(axis=0)
    image[rows[sound], columns[sound]] = np.nanmedian(around[:, sound], axis=0)
    return int(sound.sum())


def _repair_lines(image: NDArray[np.float32]) -> int:
    """Replace dead rows by the mean of their sound neighbours, in place; number of pixels replaced."""
    means = image.mean(axis=1, dtype=np.float64)
    off = means - ndimage.median_filter(means, 9, mode="nearest")
    sigma = 1.4826 * float(np.median(np.abs(off)))
    dead = np.flatnonzero(np.abs(off) > LINE_SIGMA * sigma) if sigma else np.zeros(0, np.intp)
    if len(dead) > max(2.0, MOST_LINES * len(image)):
        return 0
    sound = np.setdiff1d(np.arange(len(image)), dead)
    for row in dead:
        nearest = sound[np.argsort(np.abs(sound - row), kind="stable")[:2]]
        image[row] = image[nearest].mean(axis=0)
    return int(len(dead) * image.shape[1])
