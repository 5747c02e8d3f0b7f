"""Grain: the spots that live in one place of the image."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Grain:
    """A crystal: spots whose amplitude maps coincide.

    Attributes
    ----------
    id : int
        1, 2, ... within an analysis.
    spots : tuple of int
        Ids of its spots, strongest first.
    centre : tuple of float, (y, x), nm
        Centroid of its region.
    area : float, nm^2
    diameter : float, nm
        Of the circle of the same area.
    area_sigma : float, nm^2
        One filter width's worth of boundary: how far the edge is blurred.
    """

    id: int
    spots: tuple[int, ...]
    centre: tuple[float, float]
    area: float
    diameter: float
    area_sigma: float = 0.0
