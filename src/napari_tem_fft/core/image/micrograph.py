"""Micrograph: recorded pixels with their calibration and origin; ImageStack: several images of one size."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .annotations import fill_annotations
from .calibration import NOT_CALIBRATED, Calibration, CalibrationError

#: Metadata key for a known kind of image, and its value for the modulus of a complex transform.
KIND, TRANSFORM = "kind", "stored FFT"
#: Smallest number of pixels along an axis of an image that can be transformed.
SMALLEST = 16
#: Smallest field of view, nm and pixels along each axis, in which lattices are searched: about a dozen
#: planes, and enough rings of the spectrum to estimate the noise. In images of 1024 pixels with lattices
#: nothing is found after cropping to a smaller field.
LEAST_FIELD, LEAST_PIXELS = 3.0, 64
#: Fraction of a pixel by which a field may be too small, because files store the pixel size in single
#: precision.
ROUNDING = 0.01
#: Largest fraction of NaN and infinite pixels that is repaired; with more the image is refused.
MOST_BAD = 0.01
#: A pixel that differs from its neighbours' median by this many robust standard deviations is a defect.
DEFECT_SIGMA = 12.0
#: Number of rows processed together, so that they stay in the processor's cache.
STRIP = 64
#: A row or column is a defect if its mean differs from its neighbours' by this many robust standard
#: deviations.
LINE_SIGMA = 10.0
#: A line whose correlation with its neighbours is at least this is part of the image (rows of a scan are
#: displaced, rows of a filtered image differ in their mean), unless its mean differs by this multiple of the
#: usual step between pixels.
LINE_OF_IMAGE, LINE_STEP = 0.6, 3.0
#: Side of the blocks, in pixels, whose own steps set the limit for a defect, because vacuum can have far less
#: noise.
BLOCK = 64
#: Number of pixels sampled in each block, (y, x), and smallest noise of a block relative to the usual one.
SAMPLED = (4, 16)
QUIETEST = 0.2
#: Neighbours of a defect with a smaller deviation than this fraction of the defect's are affected only by it.
BESIDE_DEFECT = 0.6
#: Largest fraction of the rows, or of the columns, that can be defects; more are a feature of the image.
MOST_LINES = 0.005


@dataclass(frozen=True, slots=True)
class RegionOfInterest:
    """The region of a larger image shown by a micrograph: the bounding box of a rectangle or polygon.

    Attributes
    ----------
    start : tuple of int, (y, x), pixels
        First pixel of the box in the larger image.
    corners : tuple of (y, x), nm
        Corners of the polygon, from the centre of the box's first pixel; empty for a rectangle. Grains that
        are mostly outside, and all other material outside, are ignored.

    Raises
    ------
    ValueError
        If there are one or two corners, or they are not numbers.

    Examples
    --------
    >>> RegionOfInterest(start=(100, 40), corners=((0.0, 0.0), (0.0, 5.0), (4.0, 2.5))).start
    (100, 40)
    """

    start: tuple[int, int] = (0, 0)
    corners: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        corners = np.asarray(self.corners, float)
        if corners.size and not (
            corners.shape[1:] == (2,) and len(corners) > 2 and np.isfinite(corners).all()
        ):
            raise ValueError(f"not the corners (y, x) of a region of interest: {self.corners!r:.80}")


@dataclass(frozen=True, slots=True, eq=False)
class Micrograph:
    """An image, a stored diffraction pattern, or one frame of a stack.

    Attributes
    ----------
    pixels : ndarray, shape (ny, nx)
        As recorded, of any real dtype; not scaled, not flipped. Treated as read-only.
    calibration : Calibration
    name : str
        Name for display (the file's stem, with the image's name if the file contains several).
    source : str
        Path of the file; empty for an array that was not read from a file.
    file_hash : str
        SHA-256 of that file; empty if there is none.
    metadata : mapping
        Metadata of the microscope from the file (voltage_kV, magnification, exposure_s, date, ...); any entry
        may be missing.
    warnings : tuple of str
        Warnings for the user from reading the image.
    roi : RegionOfInterest, optional
        Region of a larger image; None for a whole image.

    Raises
    ------
    ValueError
        If the pixels are not a two-dimensional array of real numbers.

    Examples
    --------
    >>> import numpy as np
    >>> micrograph = Micrograph(np.zeros((512, 1024)), Calibration.real(0.02), "film")
    >>> micrograph.extent  # nm
    (10.24, 20.48)
    """

    pixels: NDArray[Any]
    calibration: Calibration = field(default_factory=Calibration)
    name: str = "micrograph"
    source: str = ""
    file_hash: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    roi: RegionOfInterest | None = None

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
        """Pixel size (y, x) in nm; raises CalibrationError if there is none."""
        return self.calibration.pixel_size

    @property
    def extent(self) -> tuple[float, float]:
        """Size of the field (y, x) in nm."""
        (ny, nx), (py, px) = self.shape, self.pixel_size
        return ny * py, nx * px

    def with_calibration(self, calibration: Calibration) -> Micrograph:
        """The same image with another scale; the warning about a missing scale is removed if it now has one.

        Raises
        ------
        CalibrationError
            If the scale is in nm but the image is a stored FFT.

        Examples
        --------
        >>> image = Micrograph(np.eye(2), warnings=("not calibrated: give its pixel size", "a hot pixel"))
        >>> image.with_calibration(Calibration.real(0.02)).warnings
        ('a hot pixel',)
        """
        if calibration.space == "real" and self.metadata.get(KIND) == TRANSFORM:
            raise CalibrationError(
                f"{self.name}: it is a stored FFT, not a micrograph, and is not transformed again; give the"
                " size of its pixels in 1/nm and measure it with: napari-tem-fft pattern --pixel-size"
            )
        done = calibration.space != "none"
        kept = tuple(text for text in self.warnings if not (done and text.startswith(NOT_CALIBRATED)))
        return replace(self, calibration=calibration, warnings=kept)

    def crop(self, rows: slice, columns: slice) -> Micrograph:
        """The part of the image inside two slices, with the same calibration."""
        return replace(self, pixels=self.pixels[rows, columns], roi=None)


def check_field(micrograph: Micrograph) -> None:
    """Refuse a field of view that is too small for the search for lattices.

    Raises
    ------
    CalibrationError
        If the image has no pixel size in nm.
    ValueError
        If the field is less than `LEAST_FIELD` or `LEAST_PIXELS` along an axis; the message states the limit.
    """
    extent, sizes = micrograph.extent, micrograph.pixel_size
    least = [max(LEAST_PIXELS, math.ceil(LEAST_FIELD / size - ROUNDING)) for size in sizes]
    if all(n >= needed for n, needed in zip(micrograph.shape, least, strict=True)):
        return
    (ny, nx), (height, width), (py, px) = micrograph.shape, extent, sizes
    pixel = f"{px:.4g}" if abs(py / px - 1) < 1e-4 else f"{px:.4g} x {py:.4g}"
    raise ValueError(
        f"{micrograph.name}: a field of {width:.3g} x {height:.3g} nm ({nx} x {ny} pixels) is too small for"
        f" analysis: with pixels of {pixel} nm at least {least[1]} x {least[0]} pixels"
        f" ({least[1] * px:.3g} x {least[0] * py:.3g} nm) are needed"
    )


def prepared_pixels(
    micrograph: Micrograph, annotations: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.float32], int]:
    """Prepare pixels for a transform: float32, zero mean, defects repaired.

    Parameters
    ----------
    micrograph : Micrograph
    annotations : ndarray of bool, shape (ny, nx), optional
        Bars and labels (`find_annotations`), which are filled with their smoothed surroundings.

    Returns
    -------
    pixels : ndarray of float32, shape (ny, nx)
        The mean is subtracted in float64, because detectors may add pedestals of millions.
    repaired : int
        Number of pixels replaced from their neighbours.

    Raises
    ------
    ValueError
        If the image is smaller than 16 x 16 pixels, is constant, or more than 1 % of its pixels are NaN or
        infinite.
    """
    pixels = micrograph.pixels
    if min(pixels.shape) < SMALLEST:
        ny, nx = pixels.shape
        raise ValueError(f"{micrograph.name}: {ny} x {nx} pixels are too few for a transform")
    bad = _not_finite(pixels, micrograph.name)
    image = _subtract_mean(pixels, bad)
    if annotations is not None:
        fill_annotations(image, annotations)
    limits = DEFECT_SIGMA * 1.4826 * _usual_steps(image)
    defects = _defects(image, bad, pixels if _exact(pixels) else image, limits)
    repaired = _repair(image, *defects)
    if repaired:  # the spill-over of a hot pixel can only be recognised once the pixel itself is repaired
        repaired += _repair(image, *_defects_beside(image, *defects, limits))
    means = _row_means(image)
    lines = _repair_lines(image, means)
    lines += _repair_lines(image.T, _row_means(image.T))
    repaired += lines
    if np.ptp(image[:: STRIP // 2]) == 0 and np.ptp(image) == 0:
        raise ValueError(f"{micrograph.name}: all pixels have the same value; there is no image to analyse")
    image -= np.float32((_row_means(image) if lines else means).mean())
    return image, repaired


def _subtract_mean(pixels: NDArray[Any], bad: NDArray[np.bool_] | None) -> NDArray[np.float32]:
    """Pixels in float32 minus approximately their mean; bad pixels are zero."""
    image = np.empty(pixels.shape, np.float32)
    sample = pixels[:: STRIP // 4] if bad is None else pixels[~bad]
    offset = sample.mean(dtype=np.float64)
    exact = _exact(pixels)
    for first in range(0, len(image), STRIP):
        part = slice(first, first + STRIP)
        if exact:
            image[part] = pixels[part]
            image[part] -= np.float32(offset)
        else:
            np.subtract(pixels[part], offset, out=image[part], dtype=image.dtype, casting="unsafe")
    if bad is not None:
        image[bad] = 0.0
    return image


def _exact(pixels: NDArray[Any]) -> bool:
    """Whether pixels are integers that float32 represents exactly."""
    return pixels.dtype.kind in "ui" and pixels.dtype.itemsize <= 2


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


def _defects(
    image: NDArray[np.float32],
    bad: NDArray[np.bool_] | None,
    raw: NDArray[Any],
    limits: NDArray[np.float32],
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of hot, dead and bad pixels.

    They differ strongly from the mean of their four neighbours in units of the usual step nearby. `raw` are
    the same pixels, with or without a pedestal; `limits` are the largest steps of good pixels in each block.
    """
    found = [np.zeros((2, 0), np.intp)] if bad is None else [np.argwhere(bad).T]
    for block, first in enumerate(range(0, len(image) - 2, STRIP)) if limits.any() else ():
        strip = image[first : first + STRIP + 2]
        limit = _block_limits(limits[min(block, len(limits) - 1)], image.shape[1])
        # nearly all columns are excluded by their extrema
        columns = np.flatnonzero(_ranges(raw[first : first + STRIP + 2]) > limit)[1:-1]
        steps = np.abs(_steps(strip, columns))
        rows, which = np.nonzero(steps > limit[columns])
        sound = _not_beside_defects(strip.shape, rows, columns[which], steps[rows, which])
        found.append(np.stack([rows + first + 1, columns[which]])[:, sound])
    if limits.any():
        found.extend(_border_defects(image, limits))
    rows, columns = np.unique(np.concatenate(found, axis=1), axis=1)
    return rows, columns


def _defects_beside(
    image: NDArray[np.float32],
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
    limits: NDArray[np.float32],
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Neighbours of repaired pixels that still differ strongly from the mean of their neighbours."""
    height, width = image.shape
    offsets = [(0, 1), (0, -1), (1, 0), (-1, 0)]
    known = np.ravel_multi_index((rows, columns), image.shape)
    inside = (rows > 1) & (rows < height - 2) & (columns > 1) & (columns < width - 2)
    beside = np.concatenate([known[inside] + y * width + x for y, x in offsets])
    y, x = np.unravel_index(np.setdiff1d(beside, known), image.shape)
    around = np.mean([image[y + dy, x + dx] for dy, dx in offsets], axis=0)
    limit = limits[np.minimum(y // STRIP, len(limits) - 1), np.minimum(x // BLOCK, limits.shape[1] - 1)]
    off = np.abs(image[y, x] - around) > limit
    return y[off], x[off]


def _border_defects(image: NDArray[np.float32], limits: NDArray[np.float32]) -> Iterator[NDArray[np.intp]]:
    """Yield rows and columns of defects on each side of the frame, where pixels have three neighbours."""
    height, width = image.shape
    for axis, last in ((0, 0), (0, -1), (1, 0), (1, -1)):
        lines, blocks = (image, limits) if axis == 0 else (image.T, limits.T)
        line, inner = lines[last], lines[1 if last == 0 else -2]
        beside = np.pad(line, 1, mode="reflect")
        steps = np.abs(line - (beside[:-2] + beside[2:] + inner) / 3)
        limit = _block_limits(blocks[last], len(line))
        largest = ndimage.maximum_filter1d(steps, 3)
        along = np.flatnonzero((steps > limit) & (steps > BESIDE_DEFECT * largest))
        across = np.full(along.shape, 0 if last == 0 else (height, width)[axis] - 1)
        yield np.stack([across, along] if axis == 0 else [along, across])


def _block_limits(limits: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Limits for `count` pixels, from the limits of their blocks."""
    each: NDArray[np.float32] = limits[np.minimum(np.arange(count) * len(limits) // count, len(limits) - 1)]
    return each


def _usual_steps(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Median step between neighbouring pixels in each block, or in an adjacent block if larger there."""
    height, width = (max((n - 2) // size, 1) for n, size in zip(image.shape, (STRIP, BLOCK), strict=True))
    rows, columns = (
        (1 + np.linspace(0, n - 3, count * some)).astype(int)
        for n, count, some in zip(image.shape, (height, width), SAMPLED, strict=True)
    )
    around = sum(image[np.ix_(rows + y, columns + x)] for y, x in ((0, 1), (0, -1), (1, 0), (-1, 0)))
    steps = np.abs(image[np.ix_(rows, columns)] - np.float32(0.25) * around)
    medians = np.median(steps.reshape(height, SAMPLED[0], width, SAMPLED[1]), axis=(1, 3))
    usual = ndimage.maximum_filter(medians, size=3, mode="nearest")
    return np.asarray(np.maximum(usual, QUIETEST * np.median(usual)), np.float32)


def _not_beside_defects(
    shape: tuple[int, ...], rows: NDArray[np.intp], columns: NDArray[np.intp], steps: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """Select the defects among deviating pixels: a hot pixel also shifts the means of its neighbours."""
    if not len(rows):
        return np.ones(0, bool)
    size = np.zeros((shape[0] + 2, shape[1] + 2), np.float32)
    size[rows + 1, columns + 1] = steps
    beside = [size[rows + y, columns + x] for y, x in ((0, 1), (2, 1), (1, 0), (1, 2))]
    return np.asarray(steps > BESIDE_DEFECT * np.max(beside, axis=0))


def _ranges(strip: NDArray[Any]) -> NDArray[np.float32]:
    """Range of the values in each column and its neighbours; infinite in the first and last one."""
    high, low = (values.astype(np.float32) for values in (strip.max(axis=0), strip.min(axis=0)))
    ranges = np.full(high.shape, np.inf, np.float32)
    ranges[1:-1] = np.maximum(np.maximum(high[:-2], high[1:-1]), high[2:])
    ranges[1:-1] -= np.minimum(np.minimum(low[:-2], low[1:-1]), low[2:])
    return ranges


def _steps(image: NDArray[np.float32], columns: NDArray[np.intp]) -> NDArray[np.float32]:
    """Pixels of inner rows and some inner columns minus the mean of their four neighbours."""
    middle = image[:, columns]
    around = middle[:-2] + middle[2:]
    around += image[1:-1, columns - 1]
    around += image[1:-1, columns + 1]
    around *= np.float32(-0.25)
    around += middle[1:-1]
    return around


def _repair(image: NDArray[np.float32], rows: NDArray[np.intp], columns: NDArray[np.intp]) -> int:
    """Replace defects by the median of the good pixels of their 5 x 5 neighbourhood, in place."""
    if not len(rows) or len(rows) > 5 * MOST_BAD * image.size:
        return 0
    defects = np.zeros(image.shape, bool)
    defects[rows, columns] = True
    offsets = np.stack(np.meshgrid(*[np.arange(-2, 3)] * 2, indexing="ij")).reshape(2, -1, 1)
    near = tuple(
        n - 1 - np.abs(n - 1 - np.abs(at + offset))  # reflected at the border
        for at, offset, n in zip((rows, columns), offsets, image.shape, strict=True)
    )
    around = np.where(defects[near], np.float32(np.nan), image[near])
    sound = np.isfinite(around).any(axis=0)
    image[rows[sound], columns[sound]] = np.nanmedian(around[:, sound], axis=0)
    return int(sound.sum())


def _row_means(image: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean of each row, without copying a transposed image."""
    sums: NDArray[np.float32] = image @ np.ones(image.shape[1], np.float32)
    means: NDArray[np.float64] = sums.astype(np.float64) / image.shape[1]
    return means


def _repair_lines(image: NDArray[np.float32], means: NDArray[np.float64]) -> int:
    """Replace dead rows by the mean of their good neighbours, in place; return the number of pixels."""
    off = means - ndimage.median_filter(means, 9, mode="nearest")
    sigma = 1.4826 * float(np.median(np.abs(off)))
    dead = np.flatnonzero(np.abs(off) > LINE_SIGMA * sigma) if sigma else np.zeros(0, np.intp)
    if len(dead) and len(dead) <= max(2.0, MOST_LINES * len(image)):
        usual = 1.4826 * float(np.median(np.abs(np.diff(image[::3, ::7], axis=1))))
        strong = np.abs(off[dead]) > LINE_STEP * usual
        dead = dead[strong | np.array([not _continues(image, int(row)) for row in dead])]
    if len(dead) > max(2.0, MOST_LINES * len(image)):
        return 0
    sound = np.setdiff1d(np.arange(len(image)), dead)
    for row in dead:
        nearest = sound[np.argsort(np.abs(sound - row), kind="stable")[:2]]
        image[row] = image[nearest].mean(axis=0)
    return int(len(dead) * image.shape[1])


def _continues(image: NDArray[np.float32], row: int) -> bool:
    """Whether a row shows the same structure as the adjacent rows."""
    beside = [image[at] for at in (row - 1, row + 1) if 0 <= at < len(image)]
    here, there = image[row] - image[row].mean(), np.mean(beside, axis=0)
    there -= there.mean()
    size = float(np.sqrt(np.sum(here**2) * np.sum(there**2)))
    return size > 0 and float(np.sum(here * there)) > LINE_OF_IMAGE * size


def warnings_of(
    micrograph: Micrograph, repaired: int, annotations: NDArray[np.bool_] | None = None
) -> tuple[str, ...]:
    """Warnings for the user: from the reader, about masked annotations, and about repaired pixels."""
    texts = list(micrograph.warnings)
    if annotations is not None:
        texts.append(
            f"a bar or label burnt into the image ({np.count_nonzero(annotations)} pixels) is masked;"
            " if it is part of the specimen: --annotations keep"
        )
    if repaired:
        texts.append(f"{repaired} defective pixels were replaced by their neighbours")
    return tuple(texts)


@dataclass(frozen=True, slots=True, eq=False)
class ImageStack:
    """Several images of the same size and calibration.

    Attributes
    ----------
    frames : array-like, shape (n, ny, nx)
        Frames of any real dtype: a numpy array, or an object that reads frames on request by ``frames[i]``.
    calibration : Calibration
        Calibration of all frames.
    name : str
    source : str
        Path of the file; empty for an array that was not read from a file.
    file_hash : str
        SHA-256 of that file; empty if there is none or the file is too large to be hashed when opened.
    metadata : mapping
    warnings : tuple of str

    Raises
    ------
    ValueError
        If the frames are not a three-dimensional array of real numbers.
    """

    frames: Any
    calibration: Calibration = field(default_factory=Calibration)
    name: str = "stack"
    source: str = ""
    file_hash: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.frames.shape) != 3 or self.frames.dtype.kind not in "buif" or 0 in self.frames.shape:
            raise ValueError(
                f"{self.name}: a stack is a three-dimensional array of real numbers, not"
                f" {self.frames.dtype} of shape {self.frames.shape}"
            )

    def __len__(self) -> int:
        return int(self.frames.shape[0])

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of frames and of pixels (y, x)."""
        n, ny, nx = self.frames.shape
        return int(n), int(ny), int(nx)

    def frame(self, index: int) -> Micrograph:
        """One frame as a micrograph; its metadata include the frame's index, counted from 0.

        Raises
        ------
        ValueError
            If there is no such frame.
        """
        if not 0 <= index < len(self):
            raise ValueError(f"{self.name}: there is no frame {index}; choose one of 0 to {len(self) - 1}")
        return Micrograph(
            pixels=np.asarray(self.frames[index]),
            calibration=self.calibration,
            name=f"{self.name} [frame {index}]",
            source=self.source,
            file_hash=self.file_hash,
            metadata={**self.metadata, "frame": index},
            warnings=self.warnings,
        )
