"""Split regions that consist of several grains.

Touching grains with nearly the same g form one region, because the filter of the maps transmits both. Two
criteria separate them: a small difference in rotation or spacing across a sharp boundary (a bent crystal
rotates gradually), and a waist of the region.

Two crystals with a common reflection, such as twins, form one region if this reflection is found first. They
are separated by their other spots, each of which is present in only one of the crystals.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu
from skimage.morphology import h_maxima
from skimage.segmentation import watershed

from ..fourier.noise import robust_sigma
from ..maps.map_grid import MapGrid
from ..spots.bragg_filter import bragg_field, field_noise, phase_slope
from .candidate import SearchContext
from .regions import Box, GrainRegion, cut_level, half_amplitude, independent, spot_powers

#: Whether a part of the image touches its border: first and last row, first and last column.
Borders = Sequence[tuple[bool, bool]]

#: Fringes whose sum over the region keeps this fraction of their amplitude belong to one lattice.
COHERENT = 0.97
#: Number of spots used to compare lattices, and width of the filter relative to that of the maps.
SPOTS, WIDER = 3, 1.5
#: The difference of two lattices is at least this many sigmas, and this many times the variation within each.
SIGMAS, SPREADS = 6.0, 4.0
#: Smallest fraction of the difference that occurs within this many filter widths of the boundary; it is less
#: if
#: a bent crystal is cut in the middle.
STEP, STEP_REACH = 0.7, (0.5, 1.7)
#: Smallest difference between two grains: rotation in radians, or relative change of d.
SMALLEST_TURN, SMALLEST_CHANGE = np.radians(0.4), 0.004
#: Smallest fraction of the region that the largest connected pieces of the parts cover together.
IN_PIECES = 0.85
#: Smallest area of a part, in squares of the filter width.
SMALLEST_PART = 2 * np.pi
#: A waist is narrower than this fraction of the narrower adjacent part.
#: No record says on what it was set. Sweep: halved, nothing; doubled, area 0.89 -> 0.90, grains 12 -> 13.
WAIST = 0.6
#: Largest number of successive cuts of a region.
MOST_CUTS = 4
#: Two spots belong to different crystals if each has less than this fraction of its power in the region of
#: the
#: other. At a sharp boundary the filter leaves 2-15 % in an adjacent crystal three widths wide
#: (`tests/benchmarks/small_fields.py`).
FOREIGN_POWER = 0.2
#: A spot with this fraction of its power in the region of another one is present there as well.
SHARED_POWER = 0.27
#: The region of a spot is known if half of its power exceeds the significance level by this factor.
CLEAR_PLACE = 1.5
#: Largest number of spots whose regions are compared.
MOST_COMPARED = 12


def crystals_by_spots(
    context: SearchContext, spots: Sequence[tuple[float, float]], region: GrainRegion, width: float
) -> list[tuple[NDArray[np.bool_], list[int], list[int]]]:
    """Split a region into crystals by the positions of its spots.

    Parameters
    ----------
    context : SearchContext
    spots : sequence of (g_y, g_x), 1/nm
        Spots of the region, strongest first.
    region : GrainRegion
    width : float, nm
        Width of the filter with which the region was outlined.

    Returns
    -------
    list of (place, own, shared)
        For each crystal, its mask on the context's grid, its own spots, and those shared with the other
        crystal. Empty if the region is one crystal.
    """
    box, inside = region.tight()
    grid, false_share = context.grid, context.params.false_share
    chosen = [spots.index(g) for g in independent(spots, width)[:MOST_COMPARED]]
    compared, part = [spots[i] for i in chosen], grid.part(*box)
    powers = spot_powers(context.diffractogram, context.spectra, compared, width, part)
    least = SMALLEST_PART * width**2 / grid.pixel_area
    masks = [half_amplitude(power, 1, false_share, inside) & inside for power in powers]
    clear = [
        n
        for n, (power, mask) in enumerate(zip(powers, masks, strict=True))
        if mask.sum() > least and np.median(power[mask]) > CLEAR_PLACE * cut_level(1, false_share)
    ]
    shares = {
        (i, k): _share_of_power(powers[i], masks[i], masks[k]) for i in range(len(masks)) for k in clear
    }
    pairs = [
        (i, k) for i in clear for k in clear if i < k and max(shares[i, k], shares[k, i]) < FOREIGN_POWER
    ]
    if not pairs:
        return []
    both = min(pairs)
    crystals = []
    for one, other in (both, both[::-1]):
        here = [n for n in range(len(masks)) if shares[n, one] > SHARED_POWER]
        own = [chosen[n] for n in here if shares[n, other] < SHARED_POWER]
        shared = [chosen[n] for n in here if chosen[n] not in own]
        crystals.append((_on_grid(grid, box, masks[one]), own, shared))
    return crystals


def places_without_a_spot(
    context: SearchContext, spots: Sequence[tuple[float, float]], region: GrainRegion, width: float
) -> Iterator[NDArray[np.bool_]]:
    """For each spot of a region, the largest part where it is missing, as a mask on the context's grid.

    A crystal that shares a reflection with another one is found where the other's own spots are missing.
    Parameters are those of `crystals_by_spots`.
    """
    box, inside = region.tight()
    grid, false_share = context.grid, context.params.false_share
    chosen = independent(spots, width)[:MOST_COMPARED]
    for power in spot_powers(context.diffractogram, context.spectra, chosen, width, grid.part(*box)):
        rest = largest_piece(inside & ~half_amplitude(power, 1, false_share, inside))
        if rest.sum() * grid.pixel_area > SMALLEST_PART * width**2:
            yield _on_grid(grid, box, rest)


def _on_grid(grid: MapGrid, box: Box, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Extend a mask on a part of the grid to the whole grid."""
    place = np.zeros(grid.shape, bool)
    place[box] = mask
    return place


def _share_of_power(power: NDArray[np.float32], own: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Mean power of a spot in the region of another one relative to its own region, without noise (1)."""
    if not own.any():
        return 0.0
    return float((power[other].mean() - 1) / max(float(power[own].mean()) - 1, 1e-6))


def separate(
    context: SearchContext, spots: Sequence[tuple[float, float]], region: GrainRegion, width: float
) -> tuple[GrainRegion, ...]:
    """Split a region into grains, largest first; a single grain is returned as it is.

    Parameters
    ----------
    context : SearchContext
    spots : sequence of (g_y, g_x), 1/nm
        Spots of the region, strongest first.
    region : GrainRegion
    width : float, nm
        Width of the filter with which the region was outlined.
    """
    box, inside = region.tight()
    grid = context.grid
    here = replace(context, grid=grid.part(*box))
    if region.area * grid.pixel_area < 2 * SMALLEST_PART * width**2:
        return (region,)
    borders = [(side.start == 0, side.stop == n) for side, n in zip(box, grid.shape, strict=True)]
    pieces = [inside]
    for _ in range(MOST_CUTS):
        largest = pieces.pop(0)
        found = _by_lattice(here, spots, largest, width)
        found = found or _by_waist(largest, width, here.grid, borders)
        pieces = sorted([*pieces, *(found or (largest,))], key=lambda piece: -int(piece.sum()))
        if not found:
            break
    return tuple(region.piece(box, piece) for piece in pieces) if len(pieces) > 1 else (region,)


def _by_lattice(
    context: SearchContext, spots: Sequence[tuple[float, float]], region: NDArray[np.bool_], width: float
) -> tuple[NDArray[np.bool_], ...]:
    """Split a region into two parts with different lattices, if there are any."""
    field = bragg_field(context.diffractogram, spots[0], width, context.grid)[region]
    if np.abs(field.sum()) > COHERENT * np.abs(field).sum():  # the fringes of the whole region are in phase
        return ()
    filter_width = WIDER * width
    chosen = independent(spots, filter_width)[:SPOTS]
    change, turn, sigma = _mean_deviation(context, chosen, filter_width)
    best: tuple[NDArray[np.bool_], ...] = ()
    clearest = 0.0
    for value, smallest in ((turn, SMALLEST_TURN), (change, SMALLEST_CHANGE)):
        parts, clear = _two_classes(value, sigma, region, smallest, width, context.grid)
        if clear > clearest:
            best, clearest = parts, clear
    return best


def _mean_deviation(
    context: SearchContext, spots: Sequence[tuple[float, float]], width: float
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Relative change of d and rotation (radians) with their sigmas, averaged over the spots."""
    diffractogram, grid = context.diffractogram, context.grid
    change, turn, weights = (np.zeros(grid.shape, np.float32) for _ in range(3))
    for g in spots:
        field = bragg_field(diffractogram, g, width, grid)
        noise = field_noise(diffractogram, context.spectra, g, width, grid)
        dy, dx = phase_slope(field, grid.pixel_size)
        square = np.float32(g[0] ** 2 + g[1] ** 2)
        snr = (field.real**2 + field.imag**2) / noise
        weight = snr * np.float32((4 * np.pi * width) ** 2) * square
        change -= weight * (dy * np.float32(g[0]) + dx * np.float32(g[1])) / square
        turn += weight * (dx * np.float32(g[0]) - dy * np.float32(g[1])) / square
        weights += weight
    np.maximum(weights, np.finfo(np.float32).tiny, out=weights)
    return change / weights, turn / weights, np.asarray(1 / np.sqrt(weights), np.float32)


def _two_classes(
    value: NDArray[np.float32],
    sigma: NDArray[np.float32],
    region: NDArray[np.bool_],
    smallest: float,
    width: float,
    grid: MapGrid,
) -> tuple[tuple[NDArray[np.bool_], ...], float]:
    """Split by value into two parts, with the significance of the split; no parts and 0 if there is none."""
    cut = float(threshold_otsu(value[region]))  # type: ignore[no-untyped-call]
    high = region & (value > cut)
    low = region & ~high
    pieces = [largest_piece(part) for part in (high, low)]
    sizes = [float(np.count_nonzero(piece)) for piece in pieces]
    if min(sizes) * grid.pixel_area < SMALLEST_PART * width**2 or sum(sizes) < IN_PIECES * region.sum():
        return (), 0.0
    middles = [float(np.median(value[piece])) for piece in pieces]
    spread = float(np.mean([robust_sigma(value[piece]) for piece in pieces]))
    apart = middles[0] - middles[1]
    noise = float(np.median(sigma[region]))
    if apart < max(float(smallest), SIGMAS * noise, SPREADS * spread):
        return (), 0.0
    if _step(value, high, low, WIDER * width, grid) < STEP * apart:
        return (), 0.0
    slope = ndimage.gaussian_gradient_magnitude(value, 1.0)
    markers = np.zeros(region.shape, np.int32)
    for number, piece in enumerate(pieces, 1):
        depth = ndimage.distance_transform_edt(piece)
        markers[depth >= 0.5 * depth.max()] = number
    label = watershed(slope, markers, mask=region)  # type: ignore[no-untyped-call]
    return (label == 1, label == 2), float(apart / max(spread, noise))


def _step(
    value: NDArray[np.float32],
    high: NDArray[np.bool_],
    low: NDArray[np.bool_],
    width: float,
    grid: MapGrid,
) -> float:
    """Difference between the strips on both sides of the boundary of two parts; 0 if there are none."""
    levels = []
    for one, other in ((high, low), (low, high)):
        away = ndimage.distance_transform_edt(~other, sampling=grid.pixel_size)
        strip = one & (away > STEP_REACH[0] * width) & (away <= STEP_REACH[1] * width)
        if not strip.any():
            return 0.0
        levels.append(float(np.median(value[strip])))
    return levels[0] - levels[1]


def largest_piece(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest connected piece of a mask."""
    label, count = ndimage.label(mask)
    if count < 2:
        return mask
    sizes = np.bincount(label.ravel())
    sizes[0] = 0
    piece: NDArray[np.bool_] = label == int(np.argmax(sizes))
    return piece


def _by_waist(
    region: NDArray[np.bool_], width: float, grid: MapGrid, borders: Borders
) -> tuple[NDArray[np.bool_], ...]:
    """Split a region at its narrowest waist, if there is one."""
    depth = _depth(region, grid, borders)
    peaks, count = ndimage.label(h_maxima(depth, 0.5 * width))  # type: ignore[no-untyped-call]
    if count < 2:
        return ()
    label = watershed(-depth, peaks, mask=region)  # type: ignore[no-untyped-call]
    best: tuple[NDArray[np.bool_], ...] = ()
    narrowest = WAIST
    for number in range(1, count + 1):
        one = label == number
        other = region & ~one
        share = _waist(depth, one, other)
        smallest = min(np.count_nonzero(one), np.count_nonzero(other)) * grid.pixel_area
        if share < narrowest and smallest > SMALLEST_PART * width**2:
            best, narrowest = (one, other), share
    return best


def _depth(region: NDArray[np.bool_], grid: MapGrid, borders: Borders) -> NDArray[np.float64]:
    """Distance from the edge of the region, nm, as if the region continued beyond the image's border."""
    closed = [tuple(int(not beyond) for beyond in sides) for sides in borders]
    going_on = [tuple(n * beyond for beyond in sides) for n, sides in zip(region.shape, borders, strict=True)]
    whole = np.pad(np.pad(region, closed), going_on, mode="edge")
    depth = ndimage.distance_transform_edt(whole, sampling=grid.pixel_size)
    first = [a[0] + b[0] for a, b in zip(closed, going_on, strict=True)]
    inner = tuple(slice(start, start + n) for start, n in zip(first, region.shape, strict=True))
    return np.asarray(depth[inner], np.float64)


def _waist(depth: NDArray[np.float64], one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Half width of the border between two parts, relative to the half width of the narrower part."""
    border = one & ndimage.binary_dilation(other)
    neck = float(depth[border].max(initial=0.0))
    return neck / min(float(depth[one].max(initial=1e-9)), float(depth[other].max(initial=1e-9)))
