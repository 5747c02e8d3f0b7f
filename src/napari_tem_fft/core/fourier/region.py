"""SpectrumRegion: a circle, a ring or a wedge of reciprocal space, as a person draws it by a drag."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..spots.spot import Spot
from .frequency_grid import FrequencyGrid

RegionKind = Literal["circle", "ring", "wedge"]
#: Corners of a drawn circle.
CORNERS = 73


@dataclass(frozen=True, slots=True)
class SpectrumRegion:
    """A region of reciprocal space and its mirror image at -g, spanned by two points.

    Attributes
    ----------
    kind : {"circle", "ring", "wedge"}
        A circle around `start` through `end`; the ring between their |g|; or the part of that ring
        between their azimuths, the shorter way round.
    start, end : tuple of float, (y, x), 1/nm
    """

    kind: RegionKind
    start: tuple[float, float]
    end: tuple[float, float]

    @property
    def reach(self) -> tuple[float, float]:
        """Smallest and largest |g| of a ring or wedge, 1/nm."""
        lengths = sorted(float(np.hypot(*g)) for g in (self.start, self.end))
        return lengths[0], lengths[1]

    @property
    def radius(self) -> float:
        """Of a circle, 1/nm."""
        return float(np.hypot(self.end[0] - self.start[0], self.end[1] - self.start[1]))

    def inside(self, gy: ArrayLike, gx: ArrayLike) -> NDArray[np.bool_]:
        """Whether frequencies lie in the region or in its mirror image."""
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
        return np.asarray(ring & (np.abs(_turn(np.arctan2(-y, x) - middle)) <= half))

    def render(self, grid: FrequencyGrid) -> NDArray[np.uint8]:
        """1 in the cells whose middles lie inside, shape ``grid.shape``."""
        return self.inside(*grid.axes()).astype(np.uint8)

    def spots_inside(self, spots: Sequence[Spot]) -> tuple[int, ...]:
        """Ids of the spots in the region, disabled ones included."""
        if not spots:
            return ()
        found = self.inside(*np.array([spot.g for spot in spots]).T)
        return tuple(spot.id for spot, here in zip(spots, found, strict=True) if here)

    def outlines(self) -> list[NDArray[np.float64]]:
        """Corners (y, x) in 1/nm of the closed lines around it and its mirror image."""
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
        """What it is, for the user, d in nm."""
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
        """Middle azimuth and half width of a wedge, radians, counter-clockwise from +x."""
        first, last = (float(np.arctan2(-g[0], g[1])) for g in (self.start, self.end))
        opening = float((last - first + np.pi) % (2 * np.pi) - np.pi)
        return first + opening / 2, abs(opening) / 2


def _directions(azimuth: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([-np.sin(azimuth), np.cos(azimuth)], axis=1)


def _turn(angle: NDArray[np.float64]) -> NDArray[np.float64]:
    """Angles modulo half a turn, from -90 to 90 degrees: +g and -g are one."""
    turned: NDArray[np.float64] = (angle + np.pi / 2) % np.pi - np.pi / 2
    return turned
