"""Deformation: where in a grain the lattice is wider or narrower than on average, and where it is turned.

Geometric phase analysis (Hytch, Snoeck, Kilaas 1998): the phase of the fringes' complex amplitude turns
where the local g differs from the grain's. Each spot gives the change of its d along g and the rotation
across it; spots are averaged by their noise. Thickness and the lens move phases as well: what is shown is
the lattice of the image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special

from ..fourier.diffractogram import Diffractogram
from ..fourier.local_spectra import LocalSpectra
from ..grains.grain import Grain, GrainSet
from ..grains.region import GrainRegion
from ..grains.regions import independent
from ..parameters import Field, check_limits
from ..spots.bragg_filter import bragg_field, field_noise
from ..spots.refinement import PHASE_WANDER
from ..spots.spot import Spot
from .map_grid import MapGrid

#: The two maps of a deformation.
Shown = Literal["d_change", "rotation"]
#: Strongest spots of a grain whose phases are looked at.
MOST_SPOTS = 4


@dataclass(frozen=True, slots=True)
class DeformationParams:
    """Maps of the relative change of d and of the rotation within each grain."""

    deformation: Annotated[
        bool,
        Field(
            "deformation maps", help="Also map how d and the lattice's direction change within each grain."
        ),
    ] = False
    resolution: Annotated[
        float,
        Field(
            "deformation resolution",
            unit="nm",
            low=0.5,
            high=50.0,
            option="deformation-resolution",
            help="Width of the filter of the deformation maps: noise falls with its square.",
        ),
    ] = 2.0

    def __post_init__(self) -> None:
        check_limits(self)


@dataclass(frozen=True, slots=True, eq=False)
class Deformation:
    """The lattice of one grain against its own mean, on a part of the map grid.

    Attributes
    ----------
    grain : int
        The grain's id.
    spots : tuple of int
        Ids of the spots that were averaged.
    first : tuple of int, (y, x)
        The map pixel in which the arrays begin.
    d_change : ndarray of float32
        Relative change of d; NaN outside the grain.
    rotation : ndarray of float32, degrees
        Counter-clockwise as displayed; NaN outside.
    d_sigma : ndarray of float32
        Standard uncertainty of `d_change`: noise, and how far the phase wanders in a perfect grain.
    rotation_sigma : ndarray of float32, degrees
    """

    grain: int
    spots: tuple[int, ...]
    first: tuple[int, int]
    d_change: NDArray[np.float32]
    rotation: NDArray[np.float32]
    d_sigma: NDArray[np.float32]
    rotation_sigma: NDArray[np.float32]

    def significant_d(self, false_share: float) -> NDArray[np.bool_]:
        """Where the change of d is more than noise, which passes on `false_share` of the area."""
        return _beyond(self.d_change, self.d_sigma, false_share)

    def significant_rotation(self, false_share: float) -> NDArray[np.bool_]:
        """Where the rotation is more than noise, which passes on `false_share` of the area."""
        return _beyond(self.rotation, self.rotation_sigma, false_share)


def smooth_field(
    parts: Sequence[Deformation], what: Shown, shape: tuple[int, int], false_share: float
) -> NDArray[np.float32]:
    """One image of all grains where their deformation is significant; NaN elsewhere.

    Parameters
    ----------
    parts : sequence of Deformation
        Where grains overlap, the later one counts.
    what : {"d_change", "rotation"}
    shape : tuple of int, (y, x)
        Of the map grid.
    false_share : float
        Share of a grain without any deformation that would be shown.
    """
    image = np.full(shape, np.nan, np.float32)
    for part in parts:
        value = part.d_change if what == "d_change" else part.rotation
        sure = (
            part.significant_d(false_share) if what == "d_change" else part.significant_rotation(false_share)
        )
        place = tuple(slice(a, a + n) for a, n in zip(part.first, value.shape, strict=True))
        image[place] = np.where(sure, value, image[place])
    return image


def _beyond(value: NDArray[np.float32], sigma: NDArray[np.float32], false_share: float) -> NDArray[np.bool_]:
    beyond: NDArray[np.bool_] = np.abs(value) > -float(special.ndtri(false_share / 2)) * sigma
    return beyond


def wanted_deformations(
    params: DeformationParams,
    diffractogram: Diffractogram,
    spectra: LocalSpectra,
    found: GrainSet,
    grid: MapGrid,
) -> tuple[Deformation, ...]:
    """`deformations` of all grains of an image if the parameters ask for them."""
    if not params.deformation:
        return ()
    return deformations(
        diffractogram, spectra, found.spots, found.grains, found.regions, grid, params.resolution
    )


def deformations(
    diffractogram: Diffractogram,
    spectra: LocalSpectra,
    spots: Sequence[Spot],
    grains: Sequence[Grain],
    regions: Sequence[GrainRegion],
    grid: MapGrid,
    width: float,
) -> tuple[Deformation, ...]:
    """Deformation within each grain that is larger than the filter, in the order of the grains.

    Parameters
    ----------
    regions : sequence of GrainRegion
        Of the grains.
    width : float, nm
        Of the filter.
    """
    by_id = {spot.id: spot for spot in spots}
    found = []
    for grain, region in zip(grains, regions, strict=True):
        own = [by_id[n] for n in grain.spots if n in by_id and by_id[n].enabled]
        if own and grain.diameter > 2 * width:
            found.append(_deformation(diffractogram, spectra, grain, own, region, grid, width))
    return tuple(found)


def _deformation(
    diffractogram: Diffractogram,
    spectra: LocalSpectra,
    grain: Grain,
    spots: Sequence[Spot],
    region: GrainRegion,
    grid: MapGrid,
    width: float,
) -> Deformation:
    (rows, columns), inside = region.tight()
    chosen = independent([spot.g for spot in spots], width)[:MOST_SPOTS]
    change, turn, sigma = local_deviation(diffractogram, spectra, chosen, width, grid.part(rows, columns))
    outside = np.float32(np.nan)
    change, turn = (np.where(inside, part - part[inside].mean(), outside) for part in (change, turn))
    wander = PHASE_WANDER / (grain.diameter * np.mean([np.hypot(*g) for g in chosen]))
    sigma = np.where(inside, np.hypot(sigma, np.float32(wander)), outside)
    ids = tuple(spot.id for spot in spots if spot.g in chosen)
    degrees = np.float32(np.degrees(1.0))
    return Deformation(
        grain.id, ids, (rows.start, columns.start), change, turn * degrees, sigma, sigma * degrees
    )


def local_deviation(
    diffractogram: Diffractogram,
    spectra: LocalSpectra,
    spots: Sequence[tuple[float, float]],
    width: float,
    grid: MapGrid,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Relative change of d, rotation (radians, counter-clockwise as displayed) and the sigma of either.

    Parameters
    ----------
    spots : sequence of (g_y, g_x), 1/nm
        Of one lattice; the average over them weighs each by its noise.
    width : float, nm
        Of the filter.

    Returns
    -------
    d_change, rotation, sigma : ndarray of float32, shape ``grid.shape``
    """
    change, turn, weights = (np.zeros(grid.shape, np.float32) for _ in range(3))
    for g in spots:
        field = bragg_field(diffractogram, g, width, grid)
        noise = field_noise(diffractogram, spectra, g, width, grid)
        dy, dx = (_slope(field, axis, p) for axis, p in enumerate(grid.pixel_size))
        square = np.float32(g[0] ** 2 + g[1] ** 2)
        # a filter of width w: sigma of the slope along an axis is 1 / (4 pi w sqrt(SNR))
        snr = (field.real**2 + field.imag**2) / noise
        weight = snr * np.float32((4 * np.pi * width) ** 2) * square
        change -= weight * (dy * np.float32(g[0]) + dx * np.float32(g[1])) / square
        turn += weight * (dx * np.float32(g[0]) - dy * np.float32(g[1])) / square
        weights += weight
    np.maximum(weights, np.finfo(np.float32).tiny, out=weights)
    return change / weights, turn / weights, np.asarray(1 / np.sqrt(weights), np.float32)


def _slope(field: NDArray[np.complex64], axis: int, pixel: float) -> NDArray[np.float32]:
    """Local frequency along an axis, 1/nm: the phase between the two neighbours of each pixel."""
    padded = np.pad(field, [(1, 1) if a == axis else (0, 0) for a in (0, 1)], mode="edge")
    after = padded[2:] if axis == 0 else padded[:, 2:]
    before = padded[:-2] if axis == 0 else padded[:, :-2]
    steps = _steps(field.shape[axis])
    shape = (-1, 1) if axis == 0 else (1, -1)
    turned: NDArray[np.float32] = np.angle(after * before.conj()) / (2 * np.pi * pixel * steps.reshape(shape))
    return turned.astype(np.float32)


@lru_cache(maxsize=64)
def _steps(count: int) -> NDArray[np.float32]:
    """Pixels between the neighbours: two, but one at either end."""
    steps = np.full(count, 2.0, np.float32)
    steps[[0, -1]] = 1.0
    return steps
