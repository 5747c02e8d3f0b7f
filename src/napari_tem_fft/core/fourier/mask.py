"""SpectrumMask: the spots seen as discs on the display's grid, and a person's edits as set algebra."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..spots.spot import Spot, friedel_representative
from .frequency_grid import FrequencyGrid

#: If more than this share of a disc was erased (or painted again), the whole disc was meant.
MEANT = 0.5
#: Smallest radius of a disc, in cells.
SMALLEST_DISC = 1.5
#: A brush stroke that meant a disc may extend this many cells beyond it; all that it painted may be twice as
#: wide.
BRUSH_RIM = 2

_Disc = tuple[tuple[slice, slice], NDArray[np.bool_]]
#: Measures a painted spot: (g, radius in 1/nm, id) -> Spot, or None where nothing can be measured.
Measure = Callable[[tuple[float, float], float, int], Spot | None]


def render(spots: Sequence[Spot], grid: FrequencyGrid) -> NDArray[np.uint8]:
    """Discs at +g and -g of all enabled spots.

    Returns
    -------
    ndarray of uint8, shape ``grid.shape``
        1 inside a disc, else 0.
    """
    mask = np.zeros(grid.shape, np.uint8)
    for spot in spots:
        for box, disc in _discs(spot, grid) if spot.enabled else ():
            mask[box] |= disc
    return mask


def edit(
    spots: Sequence[Spot],
    before: NDArray[np.uint8],
    after: NDArray[np.uint8],
    grid: FrequencyGrid,
    measure: Measure,
) -> tuple[Spot, ...]:
    """The spots after a person changed the mask.

    An erased disc disables its spots, a disc painted again enables them, and any other painted region
    becomes a spot by hand. A region and its mirror image at -g are one.

    Parameters
    ----------
    before, after : ndarray, shape ``grid.shape``
        The mask before (`render`) and after painting; nonzero is masked.
    """
    was, now = _symmetric(before != 0), after != 0
    erased = was & ~(now & now[::-1, ::-1])
    painted = _symmetric(now & ~(before != 0)) & ~was
    edited = []
    for spot in spots:
        gone = spot.enabled and _share(erased, spot, grid) > MEANT
        back = not spot.enabled and _share(painted, spot, grid) > MEANT
        if back:
            _take_disc(painted, spot, grid)
        edited.append(replace(spot, enabled=False) if gone else replace(spot, enabled=True) if back else spot)
    if not painted.any():
        return tuple(edited)
    painted &= ~_rims(painted, render(edited, grid) != 0)
    return tuple(edited) + _by_hand(painted, edited, grid, measure)


def _take_disc(painted: NDArray[np.bool_], spot: Spot, grid: FrequencyGrid) -> None:
    """Take from what was painted a disc that it meant, with the piece around it that is not much wider."""
    reach = max(spot.radius / max(grid.step), BRUSH_RIM)
    for (box, disc), (wide, _) in zip(_discs(spot, grid), _discs(spot, grid, reach), strict=True):
        piece, count = ndimage.label(painted[wide], structure=np.ones((3, 3)))
        own = tuple(slice(b.start - w.start, b.stop - w.start) for b, w in zip(box, wide, strict=True))
        taken = np.zeros(count + 1, bool)
        taken[piece[own][disc]] = True
        for edge in (piece[0], piece[-1], piece[:, 0], piece[:, -1]):
            taken[edge] = False
        taken[0] = False
        painted[wide] &= ~taken[piece]
    for box, disc in _discs(spot, grid, BRUSH_RIM):
        painted[box] &= ~disc


def _share(mask: NDArray[np.bool_], spot: Spot, grid: FrequencyGrid) -> float:
    """Share of a spot's discs that is in a mask."""
    discs = [mask[box][disc] for box, disc in _discs(spot, grid)]
    inside = np.concatenate(discs)
    return float(inside.mean()) if inside.size else 0.0


def _symmetric(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return mask | mask[::-1, ::-1]


def _rims(painted: NDArray[np.bool_], discs: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Painted pieces that merely widen a disc: they touch it and are smaller than half of it."""
    label, _ = ndimage.label(painted, structure=np.ones((3, 3)))
    disc, count = ndimage.label(discs)
    sizes = np.bincount(disc[discs], minlength=count + 1)
    rims = np.zeros_like(painted)
    for region, box in enumerate(ndimage.find_objects(label), 1):
        wide = tuple(slice(max(part.start - 1, 0), part.stop + 1) for part in box)
        piece = label[wide] == region
        touched = int(disc[wide][ndimage.binary_dilation(piece, np.ones((3, 3), bool))].max(initial=0))
        if touched and piece.sum() < 0.5 * sizes[touched]:
            rims[wide] |= piece
    return rims


def _by_hand(
    painted: NDArray[np.bool_], spots: Sequence[Spot], grid: FrequencyGrid, measure: Measure
) -> tuple[Spot, ...]:
    half = painted.copy()
    half[:, : grid.half[1]] = False
    half[: grid.half[0] + 1, grid.half[1]] = False
    label, _ = ndimage.label(half, structure=np.ones((3, 3)))
    number = max((spot.id for spot in spots), default=0)
    new = []
    for region, box in enumerate(ndimage.find_objects(label), 1):
        cells = np.argwhere(label[box] == region) + [part.start for part in box]
        g = friedel_representative(grid.frequency((float(cells[:, 0].mean()), float(cells[:, 1].mean()))))
        radius = float(np.sqrt(len(cells) / np.pi * grid.step[0] * grid.step[1]))
        spot = measure(g, max(radius, SMALLEST_DISC * max(grid.step)), number + 1)
        if spot is not None:
            number += 1
            new.append(spot)
    return tuple(new)


def _discs(spot: Spot, grid: FrequencyGrid, rim: float = 0.0) -> tuple[_Disc, _Disc]:
    """The boxes of cells around +g and -g, and which of their cells are in the disc, `rim` cells wider."""
    return _disc(spot.g, spot.radius, grid, rim), _disc((-spot.g[0], -spot.g[1]), spot.radius, grid, rim)


@lru_cache(maxsize=4096)
def _disc(g: tuple[float, float], radius: float, grid: FrequencyGrid, rim: float) -> _Disc:
    radius = max(radius, SMALLEST_DISC * max(grid.step)) + rim * max(grid.step)
    reach = [int(np.ceil(radius / step)) for step in grid.step]
    middle = grid.cell(g)
    (top, bottom), (left, right) = (
        (min(max(m - r, 0), n), min(max(m + r + 1, 0), n))
        for m, r, n in zip(middle, reach, grid.shape, strict=True)
    )
    dy = (np.arange(top, bottom) - middle[0])[:, None] * grid.step[0]
    dx = (np.arange(left, right) - middle[1])[None, :] * grid.step[1]
    return (slice(top, bottom), slice(left, right)), dy**2 + dx**2 <= radius**2
