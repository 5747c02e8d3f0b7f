"""The observed spots of all grains of an image as padded arrays, with their errors and weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..grains.grain import Grain
from ..spots.spot import Spot
from .geometry import LENS
from .params import MatchParams

#: Band of |g| of an image without known limits, 1/nm.
ANY_G = (0.0, float("inf"))
#: At most this many spots of a grain are used, strongest first.
MOST_SPOTS = 24
#: Spots within this angle, radians, have the same direction.
COLLINEAR = np.radians(4.0)
#: Spots with at least the first share of the power of the grain's strongest have full weight; those at or
#: below the second have the lowest, because they can come from surfaces, satellites or neighbouring grains.
FULL_POWER, FAINT_POWER, FAINT_WEIGHT = 0.1, 0.01, 0.15
#: Spots whose ln |g| differs by less than this lie on the same ring.
SAME_RING = 0.015
#: A spot this many times weaker than another within 2 / D can be a side lobe of it.
LOBE_RATIO, LOBE_REACH = 6.0, 2.0
#: Probability that such a spot is spurious, and that a spot at the detection limit is.
LOBE_SPURIOUS, FAINT_SPURIOUS, FAINT_SNR = 0.5, 0.3, 16.0

#: What is the same for all grains.
_OF_THE_IMAGE = ("band", "distortion", "brightness")


@dataclass(frozen=True, slots=True, eq=False)
class Observed:
    """Spots of the grains, one row per grain, padded to the same length.

    Attributes
    ----------
    ids : ndarray of int, shape (grains, spots)
        -1 where there is no spot.
    g : ndarray, shape (grains, spots, 2), 1/nm
        (x, y), strongest first; y points down.
    length_error, angle_error : ndarray, shape (grains, spots)
        Standard uncertainty of ln |g| and of the azimuth in radians.
    spurious : ndarray, shape (grains, spots)
        Prior probability that the spot does not belong to the lattice of the grain.
    snr : ndarray, shape (grains, spots)
    weight : ndarray, shape (grains, spots)
        Weight of each spot as evidence, 0 to 1.
    valid : ndarray of bool, shape (grains, spots)
    shared : ndarray, shape (grains, spots)
        Number of grains of the image, including this one, with a spot at the same |g|. The lens affects
        the intensities of these spots in the same way.
    band : tuple of float, 1/nm
        Smallest and largest |g| at which the image could show a spot.
    distortion : float
        Standard deviation of the two stretches of the image (see `geometry`).
    brightness : bool
        Whether the brightness of the spots is compared with computed diffractograms
        (`evidence_of_brightness`).
    """

    ids: NDArray[np.int64]
    g: NDArray[np.float64]
    length_error: NDArray[np.float64]
    angle_error: NDArray[np.float64]
    spurious: NDArray[np.float64]
    snr: NDArray[np.float64]
    weight: NDArray[np.float64]
    valid: NDArray[np.bool_]
    shared: NDArray[np.float64]
    band: tuple[float, float] = ANY_G
    distortion: float = LENS
    brightness: bool = False

    @property
    def log_length(self) -> NDArray[np.float64]:
        """ln |g|, shape (grains, spots)."""
        return np.log(np.maximum(np.hypot(self.g[..., 0], self.g[..., 1]), 1e-9))

    @property
    def azimuth(self) -> NDArray[np.float64]:
        """Direction of g, radians, shape (grains, spots)."""
        return np.arctan2(self.g[..., 1], self.g[..., 0])

    def two_directions(self) -> NDArray[np.bool_]:
        """Whether the spots of each grain have more than one direction, shape (grains,)."""
        azimuth = np.where(self.valid, self.azimuth, np.nan)
        turned = np.abs(np.sin(azimuth[:, :, None] - azimuth[:, None, :]))
        result: NDArray[np.bool_] = (turned > np.sin(COLLINEAR)).any(axis=(1, 2))
        return result

    def split(self, row: int, rest: NDArray[np.bool_]) -> Observed:
        """Move some spots of a row to a new row at the end."""
        moved: dict[str, Any] = {
            name: np.concatenate([array, array[row : row + 1]]) for name, array in self._arrays().items()
        }
        moved["valid"][row] &= ~rest
        moved["valid"][-1] &= rest
        return replace(self, **moved)

    def rows(self, chosen: Sequence[int]) -> Observed:
        """Select some of the grains."""
        return replace(self, **{name: array[list(chosen)] for name, array in self._arrays().items()})

    def narrow(self) -> Observed:
        """Remove columns in which no grain has a spot; at least two are kept."""
        width = max(2, int(self.places.max(initial=0)))
        return replace(self, **{name: array[:, :width] for name, array in self._arrays().items()})

    def _arrays(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__ if name not in _OF_THE_IMAGE}

    @property
    def places(self) -> NDArray[np.int64]:
        """Number of columns with a spot for each row, including spots that were moved to another row."""
        number: NDArray[np.int64] = (self.ids >= 0).sum(axis=1)
        return number

    @property
    def count(self) -> NDArray[np.int64]:
        """Number of spots of each grain."""
        number: NDArray[np.int64] = self.valid.sum(axis=1)
        return number


def observe(
    grains: Sequence[Grain],
    spots: Sequence[Spot],
    params: MatchParams,
    band: tuple[float, float] = ANY_G,
) -> Observed:
    """Collect the enabled spots of the grains in arrays.

    Parameters
    ----------
    grains : sequence of Grain
    spots : sequence of Spot
    params : MatchParams
    band : tuple of float, 1/nm, optional
        Smallest and largest |g| at which the image could show a spot.
    """
    by_id = {spot.id: spot for spot in spots if spot.enabled}
    rows = [_strongest([by_id[i] for i in grain.spots if i in by_id]) for grain in grains]
    width = max([len(row) for row in rows] + [2])
    table = Observed(
        ids=np.full((len(rows), width), -1, np.int64),
        g=np.full((len(rows), width, 2), 1e-6),
        length_error=np.ones((len(rows), width)),
        angle_error=np.ones((len(rows), width)),
        spurious=np.ones((len(rows), width)),
        snr=np.zeros((len(rows), width)),
        weight=np.zeros((len(rows), width)),
        valid=np.zeros((len(rows), width), bool),
        shared=np.ones((len(rows), width)),
        band=band,
    )
    for i, (grain, row) in enumerate(zip(grains, rows, strict=True)):
        if row:
            _fill(table, i, row, grain.diameter, params)
    table.shared[:] = _shared(table)
    return table


def _shared(table: Observed) -> NDArray[np.float64]:
    """Number of grains with a spot at the |g| of each spot; 1 where there is no spot."""
    number = np.ones(table.valid.shape)
    grain, spot = np.nonzero(table.valid)
    length = table.log_length[grain, spot]
    order = np.argsort(length)
    low = np.searchsorted(length[order], length - SAME_RING)
    high = np.searchsorted(length[order], length + SAME_RING)
    for i, (first, last) in enumerate(zip(low.tolist(), high.tolist(), strict=True)):
        number[grain[i], spot[i]] = len(np.unique(grain[order[first:last]]))
    return number


def _strongest(spots: list[Spot]) -> list[Spot]:
    return sorted(spots, key=lambda spot: -spot.snr)[:MOST_SPOTS]


def _fill(table: Observed, i: int, row: list[Spot], diameter: float, params: MatchParams) -> None:
    n = len(row)
    g = np.array([spot.g[::-1] for spot in row])
    relative = np.array([spot.sigma for spot in row]) / np.hypot(g[:, 0], g[:, 1])
    snr = np.array([spot.snr for spot in row])
    table.snr[i, :n] = snr
    table.weight[i, :n] = _weight(snr)
    table.ids[i, :n] = [spot.id for spot in row]
    table.g[i, :n] = g
    table.length_error[i, :n] = np.hypot(relative, params.d_error / 100)
    table.angle_error[i, :n] = np.hypot(relative, np.radians(params.angle_error))
    table.spurious[i, :n] = _spurious(g, snr, diameter, params.spurious)
    table.valid[i, :n] = True


def _spurious(
    g: NDArray[np.float64], snr: NDArray[np.float64], diameter: float, usual: float
) -> NDArray[np.float64]:
    """Probability that each spot is spurious; larger if it is faint or near a much stronger one."""
    faint = np.clip(FAINT_SNR / np.maximum(snr, 1e-9), 0.0, 1.0)
    probability = usual + max(FAINT_SPURIOUS - usual, 0.0) * faint
    if diameter <= 0:
        return probability
    apart = np.minimum(_distance(g, g), _distance(g, -g))
    lobe = (apart < LOBE_REACH / diameter) & (snr[None] > LOBE_RATIO * snr[:, None])
    return np.where(lobe.any(axis=1), np.maximum(probability, LOBE_SPURIOUS), probability)


def _weight(snr: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights of spots by their power relative to the strongest spot of the grain."""
    share = np.log(np.maximum(snr, 1e-9) / max(float(snr.max()), 1e-9))
    weight: NDArray[np.float64] = np.interp(
        share, [np.log(FAINT_POWER), np.log(FULL_POWER)], [FAINT_WEIGHT, 1.0]
    )
    return weight


def _distance(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    distance: NDArray[np.float64] = np.linalg.norm(a[:, None] - b[None], axis=-1)
    return distance
