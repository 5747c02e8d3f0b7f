"""GrainRegion: where a grain is, as a bounding box on the map grid with the mask and the heat inside it.

An image has hundreds of grains, and each covers little of it: planes of the whole grid would be most of an
analysis' memory. ``regionprops`` of scikit-image keeps ``slice`` and ``image`` in the same way.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..maps.map_grid import magnify

#: Rows and columns of the map grid.
Box = tuple[slice, slice]
_Value = TypeVar("_Value", np.bool_, np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class GrainRegion:
    """Where a grain is.

    Attributes
    ----------
    box : tuple of slice, (y, x)
        Rows and columns of the map grid that hold all of the mask and of the heat.
    mask : ndarray of bool, shape of the box
        The grain's pixels.
    heat : ndarray of float32, shape of the box, 0..1
        Amplitude over the grain's own; >= 0.5 in the mask. Outside of the box it is 0.
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
        """Copy the part where the heat is not zero out of arrays that begin at `first` (y, x) of the grid."""
        seen = heat > 0
        inner = box_of(seen) if seen.any() else (slice(0, 0), slice(0, 0))
        return cls(_move(inner, first), mask[inner].copy(), heat[inner].copy())

    def tight(self) -> tuple[Box, NDArray[np.bool_]]:
        """Rows and columns between the mask's first and last one, and the mask there."""
        inner = box_of(self.mask)
        return _move(inner, (self.box[0].start, self.box[1].start)), self.mask[inner]

    def mask_on(self, box: Box) -> NDArray[np.bool_]:
        """The mask on other rows and columns; on ``grid.box`` it is a plane of the whole grid."""
        return _place(self.mask, self.box, box)

    def paint(self, plane: NDArray[Any], value: float) -> None:
        """Set a plane of the whole grid to a value where the mask is."""
        plane[self.box][self.mask] = value

    def overlap(self, other: GrainRegion) -> int:
        """Pixels that the masks of two regions on one grid share."""
        common = _common(self.box, other.box)
        here, there = (one.mask[_move(common, _start(one.box), -1)] for one in (self, other))
        return int(np.count_nonzero(here & there))

    def touches(self, box: Box) -> bool:
        """Whether the mask has pixels in some rows and columns."""
        return bool(self.mask[_move(_common(self.box, box), _start(self.box), -1)].any())

    def within(self, plane: NDArray[np.bool_]) -> GrainRegion:
        """The region as its heat shows it, where a plane of the whole grid is True."""
        return replace(self, mask=(self.heat >= 0.5) & plane[self.box])

    def magnified(self, factor: int, shape: tuple[int, int]) -> GrainRegion:
        """The region on a grid with `factor` times as many pixels an axis; its heat is interpolated linearly.

        Parameters
        ----------
        factor : int
        shape : tuple of int, (y, x)
            Of the grid as it is.
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
        """The region of some of its pixels, given on `box`; the others lose their heat."""
        own = _place(mask, box, self.box)
        heat = np.where(self.mask & ~own, np.float32(0), self.heat)
        return GrainRegion.cropped(own, heat, _start(self.box))


def box_of(mask: NDArray[np.bool_]) -> Box:
    """Rows and columns between the first and the last pixel of a mask; all where it is empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return slice(0, mask.shape[0]), slice(0, mask.shape[1])
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def union(regions: Iterable[GrainRegion], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Where any of the regions is, on the whole grid."""
    plane = np.zeros(shape, bool)
    for region in regions:
        region.paint(plane, True)
    return plane


def _start(box: Box) -> tuple[int, int]:
    return box[0].start, box[1].start


def _move(box: Box, by: tuple[int, int], sign: int = 1) -> Box:
    """A box whose rows and columns are counted from another first one."""
    (top, left), (rows, columns) = by, box
    return (
        slice(rows.start + sign * top, rows.stop + sign * top),
        slice(columns.start + sign * left, columns.stop + sign * left),
    )


def _common(a: Box, b: Box) -> Box:
    """The box that two boxes share; where there is none, it is empty and begins in the first."""
    starts = [min(max(s.start, t.start), s.stop) for s, t in zip(a, b, strict=True)]
    stops = [max(min(s.stop, t.stop), start) for s, t, start in zip(a, b, starts, strict=True)]
    return slice(starts[0], stops[0]), slice(starts[1], stops[1])


def _place(part: NDArray[_Value], box: Box, onto: Box) -> NDArray[_Value]:
    """What is known on one box on another one, zero elsewhere."""
    whole = np.zeros([side.stop - side.start for side in onto], part.dtype)
    common = _common(onto, box)
    whole[_move(common, _start(onto), -1)] = part[_move(common, _start(box), -1)]
    return whole
