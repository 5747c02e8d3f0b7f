"""Separation: a region that is two grains or more, cut where one ends and the next begins.

Touching grains whose g is nearly the same come out as one region, for the filter of the maps lets both
through. Two things tell them apart: their lattices, which are turned or spaced a little differently on
either side of a sharp boundary (a bent crystal turns gradually), and a waist in the region.

Two crystals that share a reflection, as twins do, come out as one where it is the first that is found. Their
other spots tell them apart: each is in one place, and not in the other's.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu
from skimage.morphology import h_maxima
from skimage.segmentation import watershed

from ..fourier.diffractogram import Diffractogram
from ..fourier.local_spectra import LocalSpectra
from ..maps.map_grid import MapGrid
from ..spots.bragg_filter import bragg_field, field_noise, phase_slope
from .regions import GrainRegion, cut_level, half_amplitude, independent, spot_powers

#: Whether a part of the image ends at its border: first and last row, first and last column.
Borders = Sequence[tuple[bool, bool]]

#: Fringes whose sum over the region keeps this share of their amplitude are one lattice.
COHERENT = 0.97
#: Spots whose lattice is looked at, under a filter wider than the maps' by this factor.
SPOTS, WIDER = 3, 1.5
#: Two lattices differ by this many sigmas, and this many times what either varies within itself.
SIGMAS, SPREADS = 6.0, 4.0
#: Share of their difference that is there between this many widths of the filter on either side of the
#: boundary; where a bent crystal is cut in the middle it is less.
STEP, STEP_REACH = 0.7, (0.5, 1.7)
#: Smallest difference that makes two grains: rotation in radians, or relative change of d.
SMALLEST_TURN, SMALLEST_CHANGE = np.radians(0.4), 0.004
#: Both must be in one piece each, which together hold this share of the region.
IN_PIECES = 0.85
#: A part is larger than this many squares of the filter's width.
SMALLEST_PART = 2 * np.pi
#: A waist is narrower than this share of the narrower part beside it.
#: No record says on what it was set. Sweep: halved, nothing; doubled, area 0.89 -> 0.90, grains 12 -> 13.
WAIST = 0.6
#: Most cuts of a region one after another.
MOST_CUTS = 4
#: Two spots are of two crystals where each has less than this share of its power in the other's place. Beside
#: a sharp boundary the filter leaves 2-15 % of it in a crystal three widths wide
#: (`tests/benchmarks/small_fields.py`).
FOREIGN_POWER = 0.2
#: A spot that has this share of its power in another one's place is there as well.
SHARED_POWER = 0.27
#: A spot's place is known where half of it exceeds the significance level by this factor.
CLEAR_PLACE = 1.5
#: Most spots of which the places are compared.
MOST_COMPARED = 12


def places_of_spots(
    diffractogram: Diffractogram,
    spectra: LocalSpectra,
    spots: Sequence[tuple[float, float]],
    region: GrainRegion,
    width: float,
    false_share: float,
    grid: MapGrid,
) -> list[tuple[NDArray[np.bool_], list[int], list[int]]]:
    """The crystals of a region that its spots tell apart.

    Parameters
    ----------
    spots : sequence of (g_y, g_x), 1/nm
        Of the region, strongest first.
    region : GrainRegion
    width : float, nm
        Of the filter by which the region was outlined.
    false_share : float
        Share of the area that noise alone marks.

    Returns
    -------
    list of (place, own, shared)
        Of each crystal: a mask on ``grid``, and which spots it has for itself and in common with the other.
        Empty where the region is one crystal.
    """
    box, inside = region.tight()
    part = grid.part(*box)
    chosen = [spots.index(g) for g in independent(spots, width)[:MOST_COMPARED]]
    powers = spot_powers(diffractogram, spectra, [spots[i] for i in chosen], width, part)
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
        place = np.zeros(grid.shape, bool)
        place[box] = masks[one]
        crystals.append((place, own, shared))
    return crystals


def _share_of_power(power: NDArray[np.float32], own: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Mean power of a spot in another one's place over that in its own, noise (1) taken off."""
    if not own.any():
        return 0.0
    return float((power[other].mean() - 1) / max(float(power[own].mean()) - 1, 1e-6))


def separate(
    diffractogram: Diffractogram,
    spectra: LocalSpectra,
    spots: Sequence[tuple[float, float]],
    region: GrainRegion,
    width: float,
    grid: MapGrid,
) -> tuple[GrainRegion, ...]:
    """The grains of which a region consists, largest first; the region itself where it is one.

    Parameters
    ----------
    spots : sequence of (g_y, g_x), 1/nm
        Of the region, strongest first.
    region : GrainRegion
    width : float, nm
        Of the filter by which the region was outlined.
    """
    box, inside = region.tight()
    part = grid.part(*box)
    if region.area * grid.pixel_area < 2 * SMALLEST_PART * width**2:
        return (region,)
    borders = [(side.start == 0, side.stop == n) for side, n in zip(box, grid.shape, strict=True)]
    pieces = [inside]
    for _ in range(MOST_CUTS):
        largest = pieces.pop(0)
        found = _by_lattice(diffractogram, spectra, spots, largest, width, part)
        found = found or _by_waist(largest, width, part, borders)
        pieces = sorted([*pieces, *(found or (largest,))], key=lambda piece: -int(piece.sum()))
        if not found:
            break
    return tuple(region.piece(box, piece) for piece in pieces) if len(pieces) > 1 else (region,)


def _by_lattice(
    diffractogram: Diffractogram,
    spectra: LocalSpectra,
    spots: Sequence[tuple[float, float]],
    region: NDArray[np.bool_],
    width: float,
    grid: MapGrid,
) -> tuple[NDArray[np.bool_], ...]:
    """Two parts whose lattices differ, or none."""
    if _coherence(diffractogram, spots[0], region, width, grid) > COHERENT:
        return ()
    filter_width = WIDER * width
    chosen = independent(spots, filter_width)[:SPOTS]
    change, turn, sigma = _mean_deviation(diffractogram, spectra, chosen, filter_width, grid)
    best: tuple[NDArray[np.bool_], ...] = ()
    clearest = 0.0
    for value, smallest in ((turn, SMALLEST_TURN), (change, SMALLEST_CHANGE)):
        parts, clear = _two_classes(value, sigma, region, smallest, width, grid)
        if clear > clearest:
            best, clearest = parts, clear
    return best


def _mean_deviation(
    diffractogram: Diffractogram,
    spectra: LocalSpectra,
    spots: Sequence[tuple[float, float]],
    width: float,
    grid: MapGrid,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Relative change of d, rotation (radians) and the sigma of either: a mean over the spots."""
    change, turn, weights = (np.zeros(grid.shape, np.float32) for _ in range(3))
    for g in spots:
        field = bragg_field(diffractogram, g, width, grid)
        noise = field_noise(diffractogram, spectra, g, width, grid)
        dy, dx = phase_slope(field, grid.pixel_size)
        square = np.float32(g[0] ** 2 + g[1] ** 2)
        snr = (field.real**2 + field.imag**2) / noise
        weight = snr * np.float32((4 * np.pi * width) ** 2) * square
        change -= weight * (dy * np.float32(g[0]) + dx * np.float32(g[1])) / square
        turn += weight * (dx * np.float32(g[0]) - dy * np.float32(g[1])) / square
        weights += weight
    np.maximum(weights, np.finfo(np.float32).tiny, out=weights)
    return change / weights, turn / weights, np.asarray(1 / np.sqrt(weights), np.float32)


def _coherence(
    diffractogram: Diffractogram,
    g: tuple[float, float],
    region: NDArray[np.bool_],
    width: float,
    grid: MapGrid,
) -> float:
    """Share of the fringes' amplitude that is left when they are added up over the region."""
    field = bragg_field(diffractogram, g, width, grid)[region]
    return float(np.abs(field.sum()) / np.abs(field).sum())


def _two_classes(
    value: NDArray[np.float32],
    sigma: NDArray[np.float32],
    region: NDArray[np.bool_],
    smallest: float,
    width: float,
    grid: MapGrid,
) -> tuple[tuple[NDArray[np.bool_], ...], float]:
    """Two parts of which one has larger values than the other, and how clear that is; none and 0 else."""
    cut = float(threshold_otsu(value[region]))  # type: ignore[no-untyped-call]
    high = region & (value > cut)
    low = region & ~high
    pieces = [largest_piece(part) for part in (high, low)]
    sizes = [float(np.count_nonzero(piece)) for piece in pieces]
    if min(sizes) * grid.pixel_area < SMALLEST_PART * width**2 or sum(sizes) < IN_PIECES * region.sum():
        return (), 0.0
    middles = [float(np.median(value[piece])) for piece in pieces]
    spread = float(np.mean([_spread_labels(value[piece]) for piece in pieces]))
    apart = middles[0] - middles[1]
    noise = float(np.median(sigma[region]))
    if apart < max(float(smallest), SIGMAS * noise, SPREADS * spread):
        return (), 0.0
    if _step(value, high, low, WIDER * width, grid) < STEP * apart:
        return (), 0.0
    slope = ndimage.gaussian_gradient_magnitude(value, 1.0)
    markers = np.zeros(region.shape, np.int32)
    for number, piece in enumerate(pieces, 1):
        markers[_core(piece)] = number
    label = watershed(slope, markers, mask=region)  # type: ignore[no-untyped-call]
    return (label == 1, label == 2), float(apart / max(spread, noise))


def _step(
    value: NDArray[np.float32],
    high: NDArray[np.bool_],
    low: NDArray[np.bool_],
    width: float,
    grid: MapGrid,
) -> float:
    """Difference between the strips on either side of the boundary of two parts; 0 where there are none."""
    levels = []
    for one, other in ((high, low), (low, high)):
        away = ndimage.distance_transform_edt(~other, sampling=grid.pixel_size)
        strip = one & (away > STEP_REACH[0] * width) & (away <= STEP_REACH[1] * width)
        if not strip.any():
            return 0.0
        levels.append(float(np.median(value[strip])))
    return levels[0] - levels[1]


def _spread_labels(values: NDArray[np.float32]) -> float:
    """Robust standard deviation."""
    return float(1.4826 * np.median(np.abs(values - np.median(values))))


def largest_piece(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest of a mask's connected pieces; the mask itself where it has fewer than two."""
    label, count = ndimage.label(mask)
    if count < 2:
        return mask
    sizes = np.bincount(label.ravel())
    sizes[0] = 0
    piece: NDArray[np.bool_] = label == int(np.argmax(sizes))
    return piece


def _core(piece: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The inner half of a piece, by the distance from its edge."""
    depth = ndimage.distance_transform_edt(piece)
    core: NDArray[np.bool_] = depth >= 0.5 * depth.max()
    return core


def _by_waist(
    region: NDArray[np.bool_], width: float, grid: MapGrid, borders: Borders
) -> tuple[NDArray[np.bool_], ...]:
    """Two parts on either side of the narrowest waist, or none."""
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
        if share < narrowest and _large_enough((one, other), width, grid):
            best, narrowest = (one, other), share
    return best


def _depth(region: NDArray[np.bool_], grid: MapGrid, borders: Borders) -> NDArray[np.float64]:
    """Distance from the region's edge, nm; it is taken to go on beyond the image's border."""
    closed = [tuple(int(not beyond) for beyond in sides) for sides in borders]
    going_on = [tuple(n * beyond for beyond in sides) for n, sides in zip(region.shape, borders, strict=True)]
    whole = np.pad(np.pad(region, closed), going_on, mode="edge")
    depth = ndimage.distance_transform_edt(whole, sampling=grid.pixel_size)
    first = [a[0] + b[0] for a, b in zip(closed, going_on, strict=True)]
    inner = tuple(slice(start, start + n) for start, n in zip(first, region.shape, strict=True))
    return np.asarray(depth[inner], np.float64)


def _waist(depth: NDArray[np.float64], one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Half width of the border between two parts over that of the narrower one."""
    border = one & ndimage.binary_dilation(other)
    neck = float(depth[border].max(initial=0.0))
    return neck / min(float(depth[one].max(initial=1e-9)), float(depth[other].max(initial=1e-9)))


def _large_enough(parts: Sequence[NDArray[np.bool_]], width: float, grid: MapGrid) -> bool:
    smallest = min(int(np.count_nonzero(part)) for part in parts)
    return smallest * grid.pixel_area > SMALLEST_PART * width**2
