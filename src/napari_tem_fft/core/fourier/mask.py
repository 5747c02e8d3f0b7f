"""The Bragg mask: spots as discs on the display grid, the user's edits, and the Bragg-filtered image.

A mask with sharp edges would create ripples along the edges of grains. Each of its regions is blurred by a
Gaussian in proportion to its width, so that a disc becomes nearly a Gaussian, which creates no ripples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft, ndimage

from ..spots.spot import Spot, friedel_representative
from .diffractogram import Diffractogram, FrequencyGrid, display_grid, inverse_of_half_plane

#: If more than this fraction of a disc was erased (or painted again), the edit applies to the whole disc.
MEANT = 0.5
#: Smallest radius of a disc, in cells.
SMALLEST_DISC = 1.5
#: A brush stroke that applies to a disc may extend this many cells beyond it; everything that it painted may
#: be twice as wide as the disc.
BRUSH_RIM = 2

_Disc = tuple[tuple[slice, slice], NDArray[np.bool_]]
#: Measures a painted spot: (g, radius in 1/nm, id) -> Spot, or None if it cannot be measured.
Measure = Callable[[tuple[float, float], float, int], Spot | None]


def render(spots: Sequence[Spot], grid: FrequencyGrid) -> NDArray[np.uint8]:
    """Draw the discs at +g and -g of all enabled spots.

    Returns
    -------
    ndarray of uint8, shape ``grid.shape``
        1 inside a disc, 0 elsewhere.
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
    """Update the spots after the user has edited the mask.

    An erased disc disables its spots, a disc painted again enables them, and any other painted region becomes
    a spot added by the user. A region and its mirror image at -g are equivalent.

    Parameters
    ----------
    before, after : ndarray, shape ``grid.shape``
        The mask before (`render`) and after painting; nonzero is inside.
    """
    was, now = _symmetric(before != 0), after != 0
    erased = was & ~(now & now[::-1, ::-1])
    painted = _symmetric(now & ~(before != 0)) & ~was
    edited = []
    for spot in spots:
        gone = spot.enabled and _share(erased, spot, grid) > MEANT
        back = not spot.enabled and _share(painted, spot, grid) > MEANT
        if back:
            _remove_disc(painted, spot, grid)
        edited.append(replace(spot, enabled=False) if gone else replace(spot, enabled=True) if back else spot)
    if not painted.any():
        return tuple(edited)
    painted &= ~_rims(painted, render(edited, grid) != 0)
    return tuple(edited) + _painted_spots(painted, edited, grid, measure)


def _remove_disc(painted: NDArray[np.bool_], spot: Spot, grid: FrequencyGrid) -> None:
    """Remove a disc from what was painted, with the surrounding painted area if that is not much wider."""
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
    """Fraction of a spot's discs that is inside a mask."""
    discs = [mask[box][disc] for box, disc in _discs(spot, grid)]
    inside = np.concatenate(discs)
    return float(inside.mean()) if inside.size else 0.0


def _symmetric(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return mask | mask[::-1, ::-1]


def _rims(painted: NDArray[np.bool_], discs: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Painted areas that merely widen a disc: they touch it and are smaller than half of it."""
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


def _painted_spots(
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
    """Boxes of cells around +g and -g, and which of their cells are in the disc, enlarged by `rim` cells."""
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


RegionKind = Literal["circle", "ring", "wedge"]
#: Number of corners of a drawn circle.
CORNERS = 73


@dataclass(frozen=True, slots=True)
class SpectrumRegion:
    """A region of reciprocal space and its mirror image at -g, defined by two points.

    Attributes
    ----------
    kind : {"circle", "ring", "wedge"}
        A circle around `start` through `end`; the annulus between their |g|; or the sector of that annulus
        between their azimuths (the smaller angle).
    start, end : tuple of float, (y, x), 1/nm
    """

    kind: RegionKind
    start: tuple[float, float]
    end: tuple[float, float]

    @property
    def reach(self) -> tuple[float, float]:
        """Smallest and largest |g| of an annulus or sector, 1/nm."""
        lengths = sorted(float(np.hypot(*g)) for g in (self.start, self.end))
        return lengths[0], lengths[1]

    @property
    def radius(self) -> float:
        """Radius of a circle, 1/nm."""
        return float(np.hypot(self.end[0] - self.start[0], self.end[1] - self.start[1]))

    def inside(self, gy: ArrayLike, gx: ArrayLike) -> NDArray[np.bool_]:
        """Whether frequencies are inside the region or its mirror image."""
        y, x = np.asarray(gy, float), np.asarray(gx, float)
        if self.kind == "circle":
            apart = [np.hypot(y - s * self.start[0], x - s * self.start[1]) for s in (1, -1)]
            return np.asarray(np.minimum(*apart) <= self.radius)
        low, high = self.reach
        length = np.hypot(y, x)
        ring = (length >= low) & (length <= high)
        if self.kind == "ring":
            return np.asarray(ring)
        middle, half = self._sector()
        off = (np.arctan2(-y, x) - middle + np.pi / 2) % np.pi - np.pi / 2  # +g and -g are one
        return np.asarray(ring & (np.abs(off) <= half))

    def render(self, grid: FrequencyGrid) -> NDArray[np.uint8]:
        """Mask with 1 in the cells whose centres are inside, shape ``grid.shape``."""
        return self.inside(*grid.axes()).astype(np.uint8)

    def spots_inside(self, spots: Sequence[Spot]) -> tuple[int, ...]:
        """Ids of the spots in the region, including disabled ones."""
        if not spots:
            return ()
        found = self.inside(*np.array([spot.g for spot in spots]).T)
        return tuple(spot.id for spot, here in zip(spots, found, strict=True) if here)

    def outlines(self) -> list[NDArray[np.float64]]:
        """Corners (y, x) in 1/nm of the closed outlines of the region and its mirror image."""
        turn = np.linspace(0, 2 * np.pi, CORNERS)
        if self.kind == "circle":
            circle = self.radius * _directions(turn)
            return [circle + np.array(self.start), circle - np.array(self.start)]
        low, high = self.reach
        if self.kind == "ring":
            return [low * _directions(turn), high * _directions(turn)]
        middle, half = self._sector()
        arc = _directions(np.linspace(middle - half, middle + half, CORNERS // 2))
        sector = np.concatenate([low * arc, high * arc[::-1], low * arc[:1]])
        return [sector, -sector]

    @property
    def words(self) -> str:
        """Description for the user, with d in nm."""
        if self.kind == "circle":
            return f"disk of {self.radius:.2f} nm⁻¹ at d = {1 / max(np.hypot(*self.start), 1e-9):.4f} nm"
        low, high = self.reach
        name = {"ring": "annulus", "wedge": "sector"}[self.kind]
        text = f"{name} of d = {1 / max(high, 1e-9):.4f} to {1 / max(low, 1e-9):.4f} nm"
        if self.kind == "ring":
            return text
        middle, half = self._sector()
        return f"{text}, {np.degrees(middle) % 180:.0f} ± {np.degrees(half):.0f}°"

    def _sector(self) -> tuple[float, float]:
        """Central azimuth and half width of a sector, radians, counter-clockwise from +x."""
        first, last = (float(np.arctan2(-g[0], g[1])) for g in (self.start, self.end))
        opening = float((last - first + np.pi) % (2 * np.pi) - np.pi)
        return first + opening / 2, abs(opening) / 2


def _directions(azimuth: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([-np.sin(azimuth), np.cos(azimuth)], axis=1)


#: Standard deviation of the blur relative to a region's largest inner distance, and its upper limit in 1/nm.
SOFT, SOFTEST = 0.7, 0.1
#: The blur is truncated at this many standard deviations.
CUT = 3.0


def fringes_of(
    diffractogram: Diffractogram, spots: Sequence[Spot]
) -> tuple[NDArray[np.float32], tuple[float, float]]:
    """Inverse transform of spots at +g and -g, enabled or not: `masked_inverse` of their discs."""
    grid = display_grid(diffractogram)
    return masked_inverse(diffractogram, render([replace(spot, enabled=True) for spot in spots], grid), grid)


def masked_inverse(
    diffractogram: Diffractogram, mask: NDArray[np.uint8] | NDArray[np.bool_], grid: FrequencyGrid
) -> tuple[NDArray[np.float32], tuple[float, float]]:
    """Bragg-filtered image: inverse transform of the masked part of the spectrum.

    Parameters
    ----------
    mask : ndarray, shape ``grid.shape``
        Nonzero cells are kept, with soft edges; each applies to both +g and -g.

    Returns
    -------
    image : ndarray of float32, shape (y, x)
        Real-valued with zero mean, in the grey levels of the micrograph, covering its whole field with just
        the pixels needed for q_max.
    pixel_size : tuple of float, (y, x), nm
    """
    weight = _soft_weight(diffractogram, mask != 0, grid)
    hy, hx = diffractogram.half
    ny, nx = (fft.next_fast_len(2 * h + 2, real=True) for h in (hy, hx))
    image = inverse_of_half_plane(diffractogram.transform * weight, (ny, nx), diffractogram.image_shape)
    (height, width), (py, px) = diffractogram.image_shape, diffractogram.pixel_size
    return image, (height * py / ny, width * px / nx)


def _soft_weight(
    diffractogram: Diffractogram, mask: NDArray[np.bool_], grid: FrequencyGrid
) -> NDArray[np.float32]:
    """The mask on the transform's bins, symmetric and with soft edges."""
    soft = soften_mask(mask | mask[::-1, ::-1], grid)
    rows, columns = (
        np.rint(axis.ravel() / step).astype(np.intp) + half
        for axis, step, half in zip(diffractogram.axes(), grid.step, grid.half, strict=True)
    )
    weight = np.zeros(diffractogram.transform.shape, np.float32)
    inside_y, inside_x = (
        (index >= 0) & (index < n) for index, n in zip((rows, columns), grid.shape, strict=True)
    )
    weight[np.ix_(inside_y, inside_x)] = soft[np.ix_(rows[inside_y], columns[inside_x])]
    return weight


def soften_mask(mask: NDArray[np.bool_], grid: FrequencyGrid) -> NDArray[np.float32]:
    """Blur each region of a mask in proportion to its width; 1 at the region's centre."""
    soft = np.zeros(mask.shape, np.float32)
    label, _ = ndimage.label(mask, np.ones((3, 3)))
    for number, box in enumerate(ndimage.find_objects(label), 1):
        region = label[box] == number
        # chessboard distances, which are fast, slightly exceed Euclidean ones
        depth = float(ndimage.distance_transform_cdt(np.pad(region, 1)).max()) - 0.5
        sigma = [max(min(SOFT * depth, SOFTEST / step), 0.5) for step in grid.step]
        _blur_region(soft, region, box, sigma)
    return soft


def _blur_region(
    soft: NDArray[np.float32], region: NDArray[np.bool_], box: tuple[slice, ...], sigma: Sequence[float]
) -> None:
    """Blur one region and merge it with the others by the maximum."""
    reach = [int(np.ceil(CUT * s)) for s in sigma]
    blurred = ndimage.gaussian_filter(
        np.pad(region.astype(np.float32), [(r, r) for r in reach]), sigma, mode="constant", truncate=CUT
    )
    blurred /= blurred.max()
    first = [side.start - r for side, r in zip(box, reach, strict=True)]
    place = tuple(
        slice(max(start, 0), min(start + n, whole))
        for start, n, whole in zip(first, blurred.shape, soft.shape, strict=True)
    )
    part = tuple(slice(p.start - start, p.stop - start) for p, start in zip(place, first, strict=True))
    np.maximum(soft[place], blurred[part], out=soft[place])
