"""OrientationGrid: the named grains as orientation maps have them, one crystal a point of a grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.crystal.orientation import euler_angles
from ...core.crystal.phase import Phase
from ...core.maps.map_grid import MapGrid
from ...core.maps.orientation import fitted_orientation
from ...core.pipeline import Analysis


@dataclass(frozen=True, slots=True, eq=False)
class OrientedGrain:
    """A grain of one named phase whose orientation was fitted.

    Attributes
    ----------
    grain : int
        The grain's id.
    phase : Phase
    matrix : ndarray, shape (3, 3)
        From the crystal's Cartesian axes (x along a, z along c*) to those of the image (x right, y down, z
        away from the viewer).
    confidence : float
        Probability of the phase.
    sigma : float, degrees
        Standard uncertainty of the in-plane rotation.
    indexed : int
        Number of its spots that the phase explains.
    """

    grain: int
    phase: Phase
    matrix: NDArray[np.float64]
    confidence: float
    sigma: float
    indexed: int


@dataclass(frozen=True, slots=True, eq=False)
class OrientationGrid:
    """Oriented grains on the grid of an image's maps.

    Attributes
    ----------
    grid : MapGrid
    grains : tuple of OrientedGrain
    labels : ndarray of uint16, shape (y, x)
        Number of the point's grain in `grains`, counted from 1; 0 where there is none.
    heat : ndarray of float32, shape (y, x)
        How strong that grain is there, 0 to 1.
    """

    grid: MapGrid
    grains: tuple[OrientedGrain, ...]
    labels: NDArray[np.uint16]
    heat: NDArray[np.float32]

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The phases of the grains, each once."""
        return tuple({one.phase.id: one.phase for one in self.grains}.values())

    def phase_numbers(self) -> NDArray[Any]:
        """Number of each point's phase in `phases`, counted from 1; 0 where there is none. Shape (y, x)."""
        numbers = {phase.id: number for number, phase in enumerate(self.phases, 1)}
        return self.values([numbers[one.phase.id] for one in self.grains], np.int32, 0)

    def angles(self, frame: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        """Bunge's Euler angles of each point, shape (y, x, 3), degrees; 0 where there is no grain.

        Parameters
        ----------
        frame : ndarray, shape (number of phases, 3, 3), optional
            Columns are the crystal axes of each phase to which the angles refer, in our Cartesian ones.
        """
        order = [phase.id for phase in self.phases]
        turns = [one.matrix if frame is None else one.matrix @ frame[order.index(one.phase.id)]
                 for one in self.grains]  # fmt: skip
        found = np.array([(0.0, 0.0, 0.0), *(euler_angles(matrix) for matrix in turns)])
        angles: NDArray[np.float64] = found[self.labels]
        return angles

    def values(self, values: list[float], dtype: type, empty: float) -> NDArray[Any]:
        """One value a grain as an image, shape (y, x); `empty` where there is no grain."""
        return np.array([empty, *values], dtype)[self.labels]


def orientation_grid(analysis: Analysis) -> OrientationGrid:
    """The grains that are named as one phase and whose orientation was fitted.

    Ambiguous and unknown grains, and those of which one d is known, have no orientation that could be
    stated: their points stay empty. Where grains overlap, a point belongs to the one that is strongest there.
    """
    known = {phase.id: phase for phase in (*analysis.phases, *analysis.others)}
    regions = dict(zip((grain.id for grain in analysis.grains), analysis.grain_regions, strict=True))
    labels = np.zeros(analysis.map_grid.shape, np.uint16)
    heat = np.zeros(analysis.map_grid.shape, np.float32)
    grains: list[OrientedGrain] = []
    for match in analysis.matches:
        if not match.outcome.names_phases or len(match.phases) != 1:
            continue
        phase, fitted = known[match.phases[0]], fitted_orientation(match, match.phases[0])
        if phase.d_only or fitted is None:
            continue
        best = next(one for one in match.candidates if one.phase == phase.id)
        grains.append(
            OrientedGrain(
                match.grain, phase, fitted.matrix(phase), min(1.0, best.posterior), fitted.sigma,
                len(best.indexed),
            )
        )  # fmt: skip
        region = regions[match.grain]
        stronger = region.mask & (region.heat > heat[region.box])
        labels[region.box][stronger] = len(grains)
        heat[region.box][stronger] = region.heat[stronger]
    return OrientationGrid(analysis.map_grid, tuple(grains), labels, heat)
