"""Find the regions of spots on the map grid, and store each grain in its bounding box.

An image has hundreds of small grains, and full-size maps of each would dominate the memory of an analysis.
``regionprops`` of scikit-image keeps ``slice`` and ``image`` in the same way.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, special

from ..fourier.diffractogram import Diffractogram
from ..fourier.local_spectra import LocalSpectra
from ..maps.map_grid import MapGrid, magnify
from ..spots.bragg_filter import bragg_fields, fields_noise
from ..spots.spot import separation

#: Rows and columns of the map grid.
Box = tuple[slice, slice]
_Value = TypeVar("_Value", np.bool_, np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class GrainRegion:
    """Region of a grain.

    Attributes
    ----------
    box : tuple of slice, (y, x)
        Rows and columns of the map grid that contain the mask and the heat.
    mask : ndarray of bool, shape of the box
        Pixels of the grain.
    heat : ndarray of float32, shape of the box, 0..1
        Amplitude relative to that of the grain; >= 0.5 in the mask, and 0 outside the box.
    area : int
        Pixels of the mask.

    Examples
    --------
    >>> import numpy as np
    >>> heat = np.float32([[0, 0.0, 0.0, 0], [0, 0.3, 0.9, 0], [0, 0.0, 0.0, 0]])
    >>> region = GrainRegion.cropped(heat >= 0.5, heat)
    >>> region.box, region.area
    ((slice(1, 2, None), slice(1, 3, None)), 1)
    >>> labels = np.zeros((3, 4), int)
    >>> region.paint(labels, 7)
    >>> labels[1].tolist()
    [0, 0, 7, 0]
    """

    box: Box
    mask: NDArray[np.bool_]
    heat: NDArray[np.float32]
    area: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "area", int(np.count_nonzero(self.mask)))

    @classmethod
    def cropped(
        cls, mask: NDArray[np.bool_], heat: NDArray[np.float32], first: tuple[int, int] = (0, 0)
    ) -> GrainRegion:
        """Crop arrays that begin at `first` (y, x) of the grid to the area where the heat is not zero."""
        seen = heat > 0
        inner = box_of(seen) if seen.any() else (slice(0, 0), slice(0, 0))
        return cls(_move(inner, first), mask[inner].copy(), heat[inner].copy())

    def tight(self) -> tuple[Box, NDArray[np.bool_]]:
        """Bounding box of the mask, and the mask inside it."""
        inner = box_of(self.mask)
        return _move(inner, (self.box[0].start, self.box[1].start)), self.mask[inner]

    def mask_on(self, box: Box) -> NDArray[np.bool_]:
        """The mask in another box; ``grid.box`` gives the whole grid."""
        return _place(self.mask, self.box, box)

    def paint(self, plane: NDArray[Any], value: float) -> None:
        """Set an array on the whole grid to a value inside the mask."""
        plane[self.box][self.mask] = value

    def overlap(self, other: GrainRegion) -> int:
        """Number of pixels that the masks of two regions on the same grid have in common."""
        common = _common(self.box, other.box)
        here, there = (one.mask[_move(common, _start(one.box), -1)] for one in (self, other))
        return int(np.count_nonzero(here & there))

    def touches(self, box: Box) -> bool:
        """Whether the mask has pixels in a box."""
        return bool(self.mask[_move(_common(self.box, box), _start(self.box), -1)].any())

    def within(self, plane: NDArray[np.bool_]) -> GrainRegion:
        """The part of the region where a mask of the whole grid is True."""
        return replace(self, mask=(self.heat >= 0.5) & plane[self.box])

    def magnified(self, factor: int, shape: tuple[int, int]) -> GrainRegion:
        """The region on a grid with `factor` times as many pixels per axis; the heat is interpolated.

        Parameters
        ----------
        factor : int
        shape : tuple of int, (y, x)
            Shape of the present grid.
        """
        wider = tuple(
            slice(max(side.start - 1, 0), min(side.stop + 1, n))
            for side, n in zip(self.box, shape, strict=True)
        )
        box = wider[0], wider[1]
        heat = magnify(_place(self.heat, self.box, box), factor)
        inside = magnify(_place(self.mask, self.box, box), factor) >= 0.5
        rows, columns = (slice(side.start * factor, side.stop * factor) for side in box)
        return GrainRegion((rows, columns), inside, heat)

    def piece(self, box: Box, mask: NDArray[np.bool_]) -> GrainRegion:
        """The region restricted to a mask given on `box`; the heat of other pixels is set to 0."""
        own = _place(mask, box, self.box)
        heat = np.where(self.mask & ~own, np.float32(0), self.heat)
        return GrainRegion.cropped(own, heat, _start(self.box))


def box_of(mask: NDArray[np.bool_]) -> Box:
    """Bounding box of a mask; everything if the mask is empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return slice(0, mask.shape[0]), slice(0, mask.shape[1])
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def union(regions: Iterable[GrainRegion], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Union of the masks of regions, on the whole grid."""
    plane = np.zeros(shape, bool)
    for region in regions:
        region.paint(plane, True)
    return plane


def _start(box: Box) -> tuple[int, int]:
    return box[0].start, box[1].start


def _move(box: Box, by: tuple[int, int], sign: int = 1) -> Box:
    """Shift a box by a number of rows and columns."""
    (top, left), (rows, columns) = by, box
    return (
        slice(rows.start + sign * top, rows.stop + sign * top),
        slice(columns.start + sign * left, columns.stop + sign * left),
    )


def _common(a: Box, b: Box) -> Box:
    """Intersection of two boxes; if there is none, an empty box inside the first."""
    starts = [min(max(s.start, t.start), s.stop) for s, t in zip(a, b, strict=True)]
    stops = [max(min(s.stop, t.stop), start) for s, t, start in zip(a, b, starts, strict=True)]
    return slice(starts[0], stops[0]), slice(starts[1], stops[1])


def _place(part: NDArray[_Value], box: Box, onto: Box) -> NDArray[_Value]:
    """Copy an array on one box to another box, with zeros elsewhere."""
    whole = np.zeros([side.stop - side.start for side in onto], part.dtype)
    common = _common(onto, box)
    whole[_move(common, _start(onto), -1)] = part[_move(common, _start(box), -1)]
    return whole


#: Filter widths, in units of the requested resolution, that are tried until a grain is significant.
#: No record says on what it was set. Sweep: halved or doubled, F1 0.82 -> 0.83, area 0.89 -> 0.91.
WIDENING = (1.0, 1.5, 2.2)
#: Spots closer than this divided by the filter width share noise; only the strongest of them is summed.
INDEPENDENT = 0.5
#: Amplitude at the edge of a disc blurred by a Gaussian, relative to that of the disc as `half_amplitude`
#: measures it (less than the plateau for small discs), for radii in units of the Gaussian's width.
#: Computed, not tuned. Sweep: halved, area 0.89 -> 0.91; doubled, area 0.89 -> 0.79, error of d 0.107 ->
#: 0.098 %.
RADII = (1.5, 2.0, 2.5, 3.0, 4.0, 6.0, 12.0, 50.0)
#: Computed, not tuned. Sweep of RIM_SHARES: halved, F1 0.82 -> 0.86, area 0.89 -> 0.79, belief 0.73 ->
#: 0.74, error of d 0.107 -> 0.116 %; doubled, F1 0.82 -> 0.71, area 0.89 -> 0.24, belief 0.73 -> 0.55, film
#: 0.99 -> 1.00, error of d 0.107 -> 0.073 %, grains 12 -> 11, right names 4 -> 3.
RIM_SHARES = (0.612, 0.528, 0.486, 0.466, 0.455, 0.457, 0.470, 0.485)
#: A finer filter is used if the region exceeds the significance level by this factor.
CLEAR = 3.0
#: The heat of a grain extends this many pixels beyond its region.
RIM = 8
#: The search for the outline begins with this many pixels around the known position of a grain.
MARGIN = 12


@dataclass(frozen=True, slots=True, eq=False)
class Outline:
    """Outline of a grain.

    Attributes
    ----------
    region : GrainRegion
        Empty if nothing significant was found.
    width : float, nm
        Filter width that was needed.
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
    """Sum over spots of the local power in units of the noise: Gamma(number of spots) for noise alone.

    Parameters
    ----------
    spots : sequence of (g_y, g_x), 1/nm
    width : float, nm
        Filter width (`bragg_field`).
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
    """Local power of each spot in units of its noise, shape (number of spots, *grid.shape)."""
    fields = bragg_fields(diffractogram, spots, width, grid)
    power: NDArray[np.float32] = fields.real**2
    power += fields.imag**2
    power /= fields_noise(diffractogram, spectra, spots, width, grid)
    return power


@lru_cache(maxsize=256)
def cut_level(spots: int, false_share: float) -> float:
    """Significance level for the sum of `spots` powers, which noise exceeds on `false_share` of the area."""
    return float(special.gammainccinv(spots, false_share))


def independent(spots: Sequence[tuple[float, float]], width: float) -> list[tuple[float, float]]:
    """Select spots, strongest first, whose filters do not overlap, so that their noise is independent."""
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
    """Mask where the power is significant **and** the amplitude is above half that of the grain.

    Significance alone would include the blurred tails far outside a strong grain.

    Parameters
    ----------
    total : ndarray
        `significance` of the spots of the grain.
    within : ndarray of bool, optional
        Where the amplitude of the grain is measured; everywhere by default.
    share : float
        Amplitude at the edge, relative to that of the grain.
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
    """Outline the common region of spots that is connected with `near`.

    Only the part of the grid that contains the outline is computed.
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
    """Enlarge a part of the grid by half on each side that a region, with the margin of its heat, touches."""
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
    """Mask and heat of a grain on a part of the grid, and the filter width that was needed."""
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
    """Relative amplitude at the edge of a grain for a filter of `width` nm: 0.5, or less for small grains."""
    radius = float(np.sqrt(np.count_nonzero(region) * grid.pixel_area / np.pi))
    return float(np.interp(radius / width, RADII, RIM_SHARES))


def _heat(signal: NDArray[np.float32], region: NDArray[np.bool_], significant: float) -> NDArray[np.float32]:
    """Relative amplitude where significant; at least 0.5 inside the region and less outside."""
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
    """The piece of a region that overlaps `near` most and is larger than the filter, with holes filled."""
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
