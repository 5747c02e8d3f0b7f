"""ComponentMap: where each phase is, as a heatmap in units of its own noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .amplitude import MapGrid
from .matching import Outcome

__all__ = ["ComponentMap", "MapGrid"]


@dataclass(frozen=True, slots=True, eq=False)
class ComponentMap:
    """One component of the sample: a phase, an ambiguous set, or unknown crystal.

    Attributes
    ----------
    name : str
        Phase id; "A / B" for an ambiguous set; "unknown crystal".
    phases : tuple of str
        The ids behind the name; empty for unknown crystal.
    outcome : Outcome
        The best outcome among its grains.
    score : float
        Posterior of the named phase or set (0 for unknown crystal).
    grains : tuple of int
        Ids of its grains.
    heat : ndarray of float32, shape of the MapGrid, 0..1
        Amplitude over the grain's own; >= 0.5 is the component's mask.
    area, area_sigma : float, nm^2
    fraction : float
        Of the specimen's area, not of the frame.
    """

    name: str
    phases: tuple[str, ...]
    outcome: Outcome
    score: float
    grains: tuple[int, ...]
    heat: NDArray[np.float32]
    area: float
    area_sigma: float
    fraction: float

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Where the component is, shape of the MapGrid."""
        inside: NDArray[np.bool_] = self.heat >= 0.5
        return inside
