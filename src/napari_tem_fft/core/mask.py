"""SpectrumMask: the spots seen as discs on the display's grid, and a person's edits as set algebra."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .frequency import FrequencyGrid
from .spots import Spot, upper

#: A disc of which more than this share was erased (or painted again) was meant as a whole.
MEANT = 0.5
#: Smallest radius of a disc, in cells.
SMALLEST_DISC = 1.5
#: A brush that meant a disc may reach so many cells beyond it.
BRUSH_RIM = 2

#: Measures the spot that a person painted: (g, radius in 1/nm, id) -> Spot, or None where nothing can be.
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
        if spot.enabled:
            _paint(mask, spot, grid)
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
        The mask as it was (`render`) and as it is; non-zero is masked.
    """
    was, now = _symmetric(before != 0), after != 0
    erased = was & ~(now & now[::-1, ::-1])
    painted = _symmetric(now & ~(before != 0)) & ~was
    edited = []
    for spot in spots:
        disc = render([replace(spot, enabled=True)], grid) != 0
        gone = spot.enabled and erased[disc].mean() > MEANT if disc.any() else False
        back = not spot.enabled and painted[disc].mean() > MEANT if disc.any() else False
        if back:
            painted &= ~ndimage.binary_dilation(disc, iterations=BRUSH_RIM)
        edited.append(replace(spot, enabled=False) if gone else replace(spot, enabled=True) if back else spot)
    painted &= ~_rims(painted, render(edited, grid) != 0)
    return tuple(edited) + _by_hand(painted, edited, grid, measure)


def _symmetric(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return mask | mask[::-1, ::-1]


def _rims(painted: NDArray[np.bool_], discs: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Painted pieces that merely widen a disc: they touch it and are smaller than half of it."""
    label, count = ndimage.label(painted, structure=np.ones((3, 3)))
    disc, discs_count = ndimage.label(discs)
    sizes = np.bincount(disc.ravel(), minlength=discs_count + 1)
    near = ndimage.maximum_filter(disc, size=3)
    rims = np.zeros_like(painted)
    for region in range(1, count + 1):
        piece = label == region
        touched = int(near[piece].max(initial=0))
        if touched and piece.sum() < 0.5 * sizes[touched]:
            rims |= piece
    return rims


def _by_hand(
    painted: NDArray[np.bool_], spots: Sequence[Spot], grid: FrequencyGrid, measure: Measure
) -> tuple[Spot, ...]:
    half = painted.copy()
    half[:, : grid.half[1]] = False
    half[: grid.half[0] + 1, grid.half[1]] = False
    label, count = ndimage.label(half, structure=np.ones((3, 3)))
    number = max((spot.id for spot in spots), default=0)
    new = []
    for region in range(1, count + 1):
        cells = np.argwhere(label == region)
        g = upper(grid.frequency((float(cells[:, 0].mean()), float(cells[:, 1].mean()))))
        radius = float(np.sqrt(len(cells) / np.pi * grid.step[0] * grid.step[1]))
        spot = measure(g, max(radius, SMALLEST_DISC * max(grid.step)), number + 1)
        if spot is not None:
            number += 1
            new.append(spot)
    return tuple(new)


def _paint(mask: NDArray[np.uint8], spot: Spot, grid: FrequencyGrid) -> None:
    radius = max(spot.radius, SMALLEST_DISC * max(grid.step))
    reach = [int(np.ceil(radius / step)) for step in grid.step]
    for sign in (1, -1):
        row, column = grid.cell((sign * spot.g[0], sign * spot.g[1]))
        rows = np.arange(max(row - reach[0], 0), min(row + reach[0] + 1, grid.shape[0]))
        columns = np.arange(max(column - reach[1], 0), min(column + reach[1] + 1, grid.shape[1]))
        dy = (rows - row)[:, None] * grid.step[0]
        dx = (columns - column)[None, :] * grid.step[1]
        mask[np.ix_(rows, columns)] |= (dy**2 + dx**2 <= radius**2).astype(np.uint8)
