"""Annotations burnt into an image: data bars, scale bars and boxed labels, none of it specimen.

They have exactly one value and the straight borders of a rectangle. Inside the image this value is the
darkest or brightest; a data bar along a border of the image may have any value and is recognised by its
letters.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

#: Smallest number of pixels along the longer and the shorter side of a rectangle.
LONGEST, SHORTEST = 20, 3
#: Smallest fraction of a rectangle's border, and of its interior, with a single value; letters fill the rest.
BORDER, FILLED = 0.97, 0.5
#: A bar narrower than SHORTEST pixels is at least this long, and ends inside the image, unlike a dead line.
THINNEST_LONGEST = 40
#: A rectangle contains letters if less than this fraction of it has its value.
FULL = 0.995
#: Letters of the same value belong to a bar if they are within this multiple of its height, or this many
#: pixels.
LETTERS_NEAR, LEAST_NEAR = 3.0, 30
#: A letter has at least this many pixels and covers at most this fraction of the image.
LETTER, SMALL = 7, 0.02
#: In an 8-bit image, values that differ by no more than this are considered equal, because JPEG changes them.
JPEG_STEP = 4
#: A data bar's own value fills at least the fraction LETTERED of each of its lines, letters or not, and
#: TICKED of one of the last EDGE lines (a JPEG block); then the fraction falls by STEP from one line to the
#: next. The border of a vacuum is never that straight.
LETTERED, TICKED, EDGE, STEP = 0.25, 0.9, 8, 0.4
#: Its value is taken from these lines, counted from the border, because it may have a frame.
INSIDE_FRAME = slice(3, 6)
#: Smallest number of pixels of its letters, which differ from its value by this fraction of the range.
INK, CONTRAST = 30, 0.25
#: The mask is dilated by this many pixels, because letters have soft edges and images are resampled.
SOFT = 3
#: Largest fraction of the image covered by annotations.
MOST = 0.4
#: The mask is filled with its surroundings, smoothed over this many pixels.
FILL = 12.0


def find_annotations(pixels: NDArray[Any]) -> NDArray[np.bool_] | None:
    """Detect bars, boxes and their letters; None if there are none.

    Parameters
    ----------
    pixels : ndarray, shape (ny, nx)

    Returns
    -------
    ndarray of bool, shape (ny, nx), or None

    Examples
    --------
    >>> image = np.random.default_rng(0).integers(20, 200, (200, 300))
    >>> find_annotations(image) is None
    True
    >>> image[180:186, 20:120] = 255
    >>> found = find_annotations(image)
    >>> bool(found[183, 60]), int(found.sum())
    (True, 1272)
    """
    found = np.zeros(pixels.shape, bool)
    low, high = float(pixels.min()), float(pixels.max())
    if not np.isfinite([low, high]).all():
        return None
    step = JPEG_STEP if 16 * JPEG_STEP < high - low <= 255 and pixels.dtype.kind in "ui" else 0
    for same in (pixels <= low + step, pixels >= high - step):
        if np.count_nonzero(same) >= LONGEST * SHORTEST:
            found |= _annotations_of(same)
    for turned, mask in ((pixels, found), (pixels.T, found.T)):
        for lines, covered in ((turned, mask), (turned[::-1], mask[::-1])):
            depth = _data_bar(lines, step, CONTRAST * (high - low))
            covered[: depth + SOFT if depth else 0] = True
    if not found.any() or found.mean() > MOST:
        return None
    return found


def _annotations_of(same: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Rectangles of one value, and the letters near them, dilated to include soft edges."""
    square = np.ones((3, 3), bool)
    # isolated pixels that have the same value by noise must not enlarge a rectangle
    solid, _ = ndimage.label(ndimage.binary_opening(same, square), square)
    bars = [
        box
        for box in ndimage.find_objects(solid)
        if max(s.stop - s.start for s in box) >= LONGEST and _is_rectangle(same[box])
    ]
    bars += _thin_bars(same)
    found = np.zeros(same.shape, bool)
    for bar in bars:
        found[bar] = True
        if same[bar].mean() < FULL:
            continue  # its letters are inside
        height = max(LETTERS_NEAR * min(s.stop - s.start for s in bar), LEAST_NEAR)
        near = tuple(slice(max(int(s.start - height), 0), int(s.stop + height)) for s in bar)
        letters, _ = ndimage.label(same[near] & ~found[near], square)
        for box in ndimage.find_objects(letters):
            sides = [s.stop - s.start for s in box]
            if max(sides) >= LETTER and max(sides) ** 2 <= SMALL * same.size:
                found[near][box] = True
    if bars:
        found = ndimage.binary_dilation(found, square, iterations=SOFT)
    return found


def _thin_bars(same: NDArray[np.bool_]) -> list[tuple[slice, ...]]:
    """Scale bars of one or two lines of pixels, along each axis."""
    bars = []
    for turned, axes in ((same, 1), (same.T, -1)):
        runs, _ = ndimage.label(_long_runs(turned))
        for box in ndimage.find_objects(runs):
            across, along = box
            inside = along.start > 0 and along.stop < turned.shape[1]
            if inside and across.stop - across.start < SHORTEST and turned[box].all():
                around = turned[max(across.start - 1, 0) : across.stop + 1, along]
                if np.count_nonzero(around) < 1.5 * turned[box].size:  # not one of many in dark vacuum
                    bars.append(box[::axes])
    return bars


def _long_runs(same: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Runs of at least `THINNEST_LONGEST` pixels along the rows, which few rows can contain."""
    long = np.zeros(same.shape, bool)
    rows = np.flatnonzero(np.count_nonzero(same, axis=1) >= THINNEST_LONGEST)
    if len(rows):
        long[rows] = ndimage.binary_opening(same[rows], np.ones((1, THINNEST_LONGEST), bool))
    return long


def _data_bar(lines: NDArray[Any], step: int, contrast: float) -> int:
    """Depth in lines of the data bar that begins with the first line; 0 if there is none."""
    values, counts = np.unique(lines[INSIDE_FRAME], return_counts=True)
    if not len(counts) or counts.max() < LETTERED * counts.sum():
        return 0
    value, shares = float(values[np.argmax(counts)]), [1.0]
    while len(shares) <= MOST * len(lines) and shares[-1] >= LETTERED:
        line = lines[len(shares) + INSIDE_FRAME.start - 1].astype(float)
        shares.append(float(np.mean(np.abs(line - value) <= step)))
    falls = -np.diff(shares) >= STEP
    ends = [k for k in np.flatnonzero(falls).tolist() if max(shares[max(k - EDGE, 0) : k + 1]) >= TICKED]
    if not ends:
        return 0
    depth: int = ends[-1] + INSIDE_FRAME.start
    # well inside the bar: the border of a saturated vacuum is as rough as that of the specimen
    ink = np.abs(lines[INSIDE_FRAME.start : max(depth - EDGE, 0)].astype(float) - value) > contrast
    return depth if np.count_nonzero(ink) >= INK else 0


def _is_rectangle(inside: NDArray[np.bool_]) -> bool:
    border = np.concatenate([inside[0], inside[-1], inside[:, 0], inside[:, -1]])
    return bool(border.mean() >= BORDER and inside.mean() >= FILLED)


def fill_annotations(image: NDArray[np.float32], mask: NDArray[np.bool_]) -> None:
    """Fill the mask in place with its smoothed surroundings, so that it leaves no edge and no fringe."""
    weight = ndimage.gaussian_filter((~mask).astype(np.float32), FILL)
    smooth = ndimage.gaussian_filter(np.where(mask, np.float32(0), image), FILL)
    far = weight < 1e-3
    usual = np.float32(image[~mask].mean())
    image[mask] = np.where(far, usual, smooth / np.maximum(weight, 1e-3))[mask]
