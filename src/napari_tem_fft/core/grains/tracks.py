"""Grains followed from frame to frame of a series: the same place, and lattice planes in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: A grain is found again within this share of its diameter, and never farther than a grain of 1 nm could be.
NEAR, LEAST_DIAMETER = 0.5, 1.0
#: Spots are of the same planes where |g| differs by less than this share, and the azimuth by less, deg.
SAME_G, SAME_AZIMUTH = 0.03, 6.0
#: A grain that is missing in this many frames is still the same when it is back: weak ones come and go.
MISSED = 2
#: Cost of a pair that is none.
_NEVER = 1e6


@dataclass(frozen=True, slots=True)
class SeriesGrain:
    """A grain of one frame of a series.

    Attributes
    ----------
    id : int
        Its number in the frame.
    component : str
        Name of the component that it belongs to.
    centre : tuple of float, (y, x), nm
        From the first pixel of the first frame: drift is taken out.
    area, area_sigma : float, nm^2
    diameter : float, nm
    g : tuple of (y, x), 1/nm
        Of its enabled spots.

    Examples
    --------
    >>> first = SeriesGrain(1, "Cu", (5.0, 5.0), 20.0, 2.0, 5.0, ((0.0, 4.8),))
    >>> second = SeriesGrain(3, "Cu", (5.2, 5.1), 21.0, 2.0, 5.2, ((0.1, 4.8),))
    >>> follow_grains_over([[first], [second]])  # one grain, number 1 in both
    ((1,), (1,))
    """

    id: int
    component: str
    centre: tuple[float, float]
    area: float
    area_sigma: float
    diameter: float
    g: tuple[tuple[float, float], ...] = ()


def follow_grains_over(frames: Sequence[Sequence[SeriesGrain]]) -> tuple[tuple[int, ...], ...]:
    """Number every grain of a series so that the same crystal has one number in all frames.

    Two grains of successive frames are the same where the centre has moved by less than half of the larger
    diameter and at least one pair of spots is of the same planes; of several pairs those are taken that lie
    closest together and have most planes in common. A grain may be missing in two frames.

    Parameters
    ----------
    frames : sequence of sequence of SeriesGrain

    Returns
    -------
    tuple of tuple of int
        For each frame the numbers of its grains, in their order, from 1 on.

    Examples
    --------
    >>> here = SeriesGrain(1, "Cu", (5.0, 5.0), 9.0, 1.0, 3.4, ((4.8, 0.0),))
    >>> there = SeriesGrain(2, "Cu", (15.0, 5.0), 9.0, 1.0, 3.4, ((4.8, 0.0),))
    >>> turned = SeriesGrain(1, "Cu", (5.2, 5.0), 9.0, 1.0, 3.4, ((0.0, 4.8),))
    >>> follow_grains_over([[here, there], [there], [turned, here]])
    ((1, 2), (2,), (3, 1))
    """
    from scipy.optimize import linear_sum_assignment  # slow to import, and for series alone

    last: dict[int, tuple[int, SeriesGrain]] = {}  # number -> frame in which it was seen last, and how
    tracks: list[tuple[int, ...]] = []
    free = 1
    for number, grains in enumerate(frames):
        open_tracks = [track for track, (seen, _) in last.items() if number - seen <= MISSED + 1]
        cost = np.array(
            [[_cost(last[track][1], grain) for grain in grains] for track in open_tracks], float
        ).reshape(len(open_tracks), len(grains))
        found = {
            grain: open_tracks[row]
            for row, grain in zip(*map(np.ndarray.tolist, linear_sum_assignment(cost)), strict=True)
            if cost[row, grain] < _NEVER
        }
        numbers = []
        for place, grain in enumerate(grains):
            track = found.get(place, free)
            free += track == free
            last[track] = number, grain
            numbers.append(track)
        tracks.append(tuple(numbers))
    return tuple(tracks)


def _cost(one: SeriesGrain, other: SeriesGrain) -> float:
    """Distance as a share of what is allowed, and the share of planes that are not in common."""
    reach = NEAR * max(one.diameter, other.diameter, LEAST_DIAMETER)
    distance = float(np.hypot(*np.subtract(one.centre, other.centre))) / reach
    common = _planes_in_common(one, other)
    return distance + 1 - common if distance < 1 and common > 0 else _NEVER


def _planes_in_common(one: SeriesGrain, other: SeriesGrain) -> float:
    """Share of the spots of the grain with fewer of them that the other one has too; 1 where none has any."""
    if not one.g or not other.g:
        return 1.0 if one.g == other.g else 0.0
    a, b = (np.array(grain.g, float) for grain in (one, other))
    size_a, size_b = np.hypot(*a.T)[:, None], np.hypot(*b.T)[None]
    turn = (_azimuth(a)[:, None] - _azimuth(b)[None] + 90) % 180 - 90
    same = (np.abs(size_a / size_b - 1) < SAME_G) & (np.abs(turn) < SAME_AZIMUTH)
    return float(min(same.any(axis=1).sum(), same.any(axis=0).sum()) / min(len(a), len(b)))


def _azimuth(g: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.degrees(np.arctan2(-g[:, 0], g[:, 1]))
