"""Regions: where the fringes of one or several spots are, as masks on the map grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, special

from ..fourier.diffractogram import Diffractogram
from ..fourier.local_spectra import LocalSpectra
from ..maps.map_grid import MapGrid
from ..spots.bragg_filter import bragg_fields, fields_noise
from ..spots.spot import separation
from .region import GrainRegion, box_of

#: Filters tried in turn, in units of the wanted resolution, until a grain stands out of its noise.
#: No record says on what it was set. Sweep: halved or doubled, F1 0.82 -> 0.83, area 0.89 -> 0.91.
WIDENING = (1.0, 1.5, 2.2)
#: Spots closer than this over the filter's width share noise: of those only the strongest is summed.
INDEPENDENT = 0.5
#: Amplitude at the rim of a disc blurred by a Gaussian over its own (as `half_amplitude` takes it, which is
#: less than the plateau where the disc is small), for radii in units of the Gaussian's width.
#: Computed, not tuned. Sweep: halved, area 0.89 -> 0.91; doubled, area 0.89 -> 0.79, error of d 0.107 ->
#: 0.098 %.
RADII = (1.5, 2.0, 2.5, 3.0, 4.0, 6.0, 12.0, 50.0)
#: Computed, not tuned. Sweep of RIM_SHARES: halved, F1 0.82 -> 0.86, area 0.89 -> 0.79, belief 0.73 ->
#: 0.74, error of d 0.107 -> 0.116 %; doubled, F1 0.82 -> 0.71, area 0.89 -> 0.24, belief 0.73 -> 0.55, film
#: 0.99 -> 1.00, error of d 0.107 -> 0.073 %, grains 12 -> 11, right names 4 -> 3.
RIM_SHARES = (0.612, 0.528, 0.486, 0.466, 0.455, 0.457, 0.470, 0.485)
#: A region must exceed the significance level by this factor before the finer filter is good enough.
CLEAR = 3.0
#: The heat of a grain reaches this many pixels beyond its region.
RIM = 8
#: This many pixels around the place where a grain is known to be are looked at first.
MARGIN = 12


@dataclass(frozen=True, slots=True, eq=False)
class Outline:
    """Where a grain was found.

    Attributes
    ----------
    region : GrainRegion
        Of no area where nothing significant was found.
    width : float, nm
        Of the filter that was needed.
    """

    region: GrainRegion
    width: float


def significance(
    diffractogram: Diffractogram,
    spectra: LocalSpectra,
    spots: Sequence[tuple[float, float]],
    width: float,
    grid: MapGrid,
) -> NDArray[np.float32]:
    """Sum over spots of the local power over its own noise: Gamma(number of spots) under noise.

    Parameters
    ----------
    spots : sequence of (g_y, g_x), 1/nm
    width : float, nm
        Of the filter (`bragg_field`).
    """
    if not spots:
        return np.zeros(grid.shape, np.float32)
    total: NDArray[np.float32] = spot_powers(diffractogram, spectra, spots, width, grid).sum(axis=0)
    return total


def spot_powers(
    diffractogram: Diffractogram,
    spectra: LocalSpectra,
    spots: Sequence[tuple[float, float]],
    width: float,
    grid: MapGrid,
) -> NDArray[np.float32]:
    """Local power of each spot over its own noise, shape (number of spots, *grid.shape)."""
    fields = bragg_fields(diffractogram, spots, width, grid)
    power: NDArray[np.float32] = fields.real**2
    power += fields.imag**2
    power /= fields_noise(diffractogram, spectra, spots, width, grid)
    return power


@lru_cache(maxsize=256)
def cut_level(spots: int, false_share: float) -> float:
    """Smallest significant sum of `spots` powers: noise exceeds it on `false_share` of the area."""
    return float(special.gammainccinv(spots, false_share))


def independent(spots: Sequence[tuple[float, float]], width: float) -> list[tuple[float, float]]:
    """The spots, strongest first, whose filters do not overlap, so that each adds noise of its own."""
    chosen: list[tuple[float, float]] = []
    for g in spots:
        if all(separation(g, other) > INDEPENDENT / width for other in chosen):
            chosen.append(g)
    return chosen


def half_amplitude(
    total: NDArray[np.float32],
    spots: int,
    false_share: float,
    within: NDArray[np.bool_] | None = None,
    share: float = 0.5,
) -> NDArray[np.bool_]:
    """Where the power is significant **and** the amplitude above half of the grain's own.

    Significance alone would take in a strong grain's blurred tails far outside it.

    Parameters
    ----------
    total : ndarray
        `significance` of the grain's spots.
    within : ndarray of bool, optional
        Where the grain's own power is looked for; everywhere by default.
    share : float
        Of the grain's own amplitude, at its edge.
    """
    signal = total - spots
    inside = signal if within is None else np.where(within, signal, 0)
    top = float(inside.max(initial=0))
    core = inside[inside > 0.25 * top]
    own = _quantile(core, 0.75) if core.size else 0.0
    level = max(cut_level(spots, false_share) - spots, share**2 * own)
    region: NDArray[np.bool_] = signal > level
    return region


def grow_region(
    diffractogram: Diffractogram,
    spectra: LocalSpectra,
    spots: Sequence[tuple[float, float]],
    near: NDArray[np.bool_],
    resolution: float,
    false_share: float,
    grid: MapGrid,
) -> Outline:
    """Outline of spots that live together, as far as it is connected with `near`.

    Only as much of the grid is looked at as the outline needs.
    """
    wide = tuple(
        slice(max(side.start - MARGIN, 0), min(side.stop + MARGIN, n))
        for side, n in zip(box_of(near), grid.shape, strict=True)
    )
    while True:
        part = grid.part(*wide)
        piece, heat, width = _grown_in(
            diffractogram, spectra, spots, near[wide], resolution, false_share,
            grid if part.shape == grid.shape else part,
        )  # fmt: skip
        wider = _widen(wide, piece, grid.shape)
        if wider == wide:
            return Outline(GrainRegion.cropped(piece, heat, part.first), width)
        wide = wider


def _widen(part: tuple[slice, ...], region: NDArray[np.bool_], shape: tuple[int, int]) -> tuple[slice, ...]:
    """A part of the grid, half as long again on each side that a region, with its rim of heat, comes to."""
    if not region.any():
        return part
    wide = []
    for side, inner, n, m in zip(part, box_of(region), shape, region.shape, strict=True):
        first = side.start - m // 2 if inner.start <= RIM else side.start
        last = side.stop + m // 2 if inner.stop + RIM >= m else side.stop
        wide.append(slice(max(first, 0), min(last, n)))
    return tuple(wide)


def _grown_in(
    diffractogram: Diffractogram,
    spectra: LocalSpectra,
    spots: Sequence[tuple[float, float]],
    near: NDArray[np.bool_],
    resolution: float,
    false_share: float,
    grid: MapGrid,
) -> tuple[NDArray[np.bool_], NDArray[np.float32], float]:
    """Mask and heat of a grain on a part of the grid, and the width of the filter that was needed."""
    for factor in WIDENING:
        width = resolution * factor
        chosen = independent(spots, width)
        count, cut = len(chosen), cut_level(len(chosen), false_share)
        total = significance(diffractogram, spectra, chosen, width, grid)
        region = half_amplitude(total, count, false_share, near)
        inner = total[near & region]
        top = _quantile(inner, 0.75) if inner.size else 0.0
        if top > CLEAR * cut:
            break
    piece = connected_to(region, near, width, grid)
    if piece.any():
        share = edge_share(piece, width, grid)
        piece = connected_to(half_amplitude(total, count, false_share, near, share), near, width, grid)
    return piece, _heat(total - count, piece, cut - count), width


def edge_share(region: NDArray[np.bool_], width: float, grid: MapGrid) -> float:
    """Share of a grain's amplitude at its rim under a filter of `width` nm: about half, less where curved."""
    radius = float(np.sqrt(np.count_nonzero(region) * grid.pixel_area / np.pi))
    return float(np.interp(radius / width, RADII, RIM_SHARES))


def _heat(signal: NDArray[np.float32], region: NDArray[np.bool_], significant: float) -> NDArray[np.float32]:
    """Amplitude over the grain's own where significant; at least 0.5 inside the region and less outside."""
    amplitude = np.sqrt(np.maximum(signal, 0))
    own = _quantile(amplitude[region], 0.95) if region.any() else 0.0
    if own == 0.0:
        return region.astype(np.float32)
    share = np.minimum(amplitude / np.float32(own), 1) * (signal > significant)
    heat = np.where(region, np.maximum(share, 0.5), np.minimum(share, 0.499))
    around = ndimage.distance_transform_cdt(~region, "taxicab") <= RIM
    return np.where(around, heat, 0).astype(np.float32)


def _quantile(values: NDArray[np.float32], share: float) -> float:
    """`numpy.quantile`, whose checks would take 1.5 % of the time of an analysis."""
    place = share * (values.size - 1)
    low = int(place)
    high = min(low + 1, values.size - 1)
    ordered = np.partition(values, (low, high))
    return float(ordered[low]) + (place - low) * (float(ordered[high]) - float(ordered[low]))


def connected_to(
    region: NDArray[np.bool_], near: NDArray[np.bool_], width: float, grid: MapGrid
) -> NDArray[np.bool_]:
    """The pieces of a region that overlap `near` and are larger than the filter, holes filled."""
    label, count = ndimage.label(region)
    if not count:
        return region
    sizes = np.bincount(label.ravel(), minlength=count + 1) * grid.pixel_area
    overlap = np.bincount(label[near], minlength=count + 1)
    keep = (overlap > 0) & (sizes > 2 * np.pi * width**2)
    keep[0] = False
    if not keep.any():
        return np.zeros_like(region)
    largest = int(np.argmax(np.where(keep, overlap, -1)))
    filled: NDArray[np.bool_] = ndimage.binary_fill_holes(label == largest)
    return filled


def window_area(windows: Sequence[int], spectra: LocalSpectra, grid: MapGrid) -> NDArray[np.bool_]:
    """The inner parts of local windows, as a mask on the map grid."""
    y, x = grid.positions()
    area = np.zeros(grid.shape, bool)
    for window in windows:
        cy, cx = spectra.centres[window]
        area |= (np.abs(y - cy) < 0.35 * spectra.size[0]) & (np.abs(x - cx) < 0.35 * spectra.size[1])
    return area
