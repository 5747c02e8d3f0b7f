"""Spots of a diffraction pattern: its peaks, each paired with the one at -g.

In a recorded pattern +g and -g are two data (in a transform of a real image they are one). Half their
difference is g whatever the centre is, and half their sum is the centre.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..spots.spot import Spot, friedel_representative
from .centre import PatternCentre, Point
from .peaks import Peak

#: Partners lie opposite to within this many pixels, or this many standard uncertainties.
OPPOSITE, OPPOSITE_SIGMAS = 3.0, 5.0


@dataclass(frozen=True, slots=True)
class PatternSpot(Spot):
    """A spot of a stored pattern; its SNR is the height over the scatter of its ring.

    Attributes
    ----------
    positions : tuple of (y, x), pixels
        Where it was seen: at +g, and at -g if there are two positions.
    height : float
        Above its surroundings, in the image's grey levels; the mean where there are two.
    """

    positions: tuple[Point, ...] = ()
    height: float = 0.0

    @property
    def paired(self) -> bool:
        """Whether it was seen at +g and at -g, so that it does not depend on the centre."""
        return len(self.positions) == 2


def paired(peaks: Sequence[Peak], centre: PatternCentre) -> list[tuple[Peak, ...]]:
    """Each peak with the one opposite to it, where there is one; the most significant first."""
    if not peaks:
        return []
    places = np.array([peak.position for peak in peaks])
    mirrored = 2 * np.asarray(centre.position) - places
    apart = np.linalg.norm(places[:, None] - mirrored[None, :], axis=-1)
    sigma = np.array([peak.sigma for peak in peaks])
    allowed = OPPOSITE + OPPOSITE_SIGMAS * np.sqrt(
        sigma[:, None] ** 2 + sigma[None, :] ** 2 + 4 * centre.sigma**2
    )
    best = np.argmin(apart, axis=1)
    groups: list[tuple[Peak, ...]] = []
    for i, j in enumerate(best):
        mutual = best[j] == i and i != j and apart[i, j] <= allowed[i, j]
        if mutual and i < j:
            groups.append((peaks[i], peaks[j]))
        elif not mutual:
            groups.append((peaks[i],))
    return groups


def centre_of_pairs(groups: Sequence[tuple[Peak, ...]], centre: PatternCentre) -> PatternCentre:
    """The centre from the middles of all pairs, if it is more precise than the known centre."""
    pairs = [group for group in groups if len(group) == 2]
    if not pairs:
        return centre
    middles = np.array([(np.array(a.position) + b.position) / 2 for a, b in pairs])
    sigma = np.array([np.hypot(a.sigma, b.sigma) / 2 for a, b in pairs])
    off = np.linalg.norm(middles - np.median(middles, axis=0), axis=1)
    kept = off <= 3 * np.maximum(1.4826 * np.median(off), sigma)
    weights = 1 / sigma[kept] ** 2
    mean = np.average(middles[kept], axis=0, weights=weights)
    misfit = scatter_of_pairs(groups, PatternCentre((mean[0], mean[1]), 0.0, "pairs of spots", 0.0))
    error = float(misfit / np.sqrt(weights.sum()))
    if error >= centre.sigma:
        return centre
    return replace(centre, position=(float(mean[0]), float(mean[1])), sigma=error, source="pairs of spots")


def scatter_of_pairs(groups: Sequence[tuple[Peak, ...]], centre: PatternCentre) -> float:
    """How many times the middles of the pairs scatter more than their fits say; 1 at least."""
    pairs = [group for group in groups if len(group) == 2]
    if len(pairs) < 3:
        return 1.0
    sigma = np.array([np.hypot(a.sigma, b.sigma) / 2 for a, b in pairs])
    off = np.array([(np.array(a.position) + b.position) / 2 for a, b in pairs]) - np.array(centre.position)
    # a robust standard deviation, for a pair of spots of two crystals is no pair
    return max(1.0, float(np.median(np.abs(off / sigma[:, None])) / 0.6745))


def spots_of(
    groups: Sequence[tuple[Peak, ...]], centre: PatternCentre, scale: Point, mirrored: bool
) -> tuple[PatternSpot, ...]:
    """Spots from single and paired peaks, numbered from 1 by rising |g|.

    Parameters
    ----------
    mirrored : bool
        -g is a copy of +g, so that a pair is one datum.
    """
    misfit = 1.0 if mirrored else scatter_of_pairs(groups, centre)
    gain = 1.0 if mirrored else 2**-0.5
    spots = [_spot(group, centre, scale, misfit, gain) for group in groups]
    ordered = sorted(spots, key=lambda spot: spot.length)
    return tuple(replace(spot, id=number) for number, spot in enumerate(ordered, 1))


def _spot(
    group: tuple[Peak, ...], centre: PatternCentre, scale: Point, misfit: float, gain: float
) -> PatternSpot:
    first = np.array(group[0].position)
    if len(group) == 2:
        offset = (first - group[1].position) / 2
        sigma = misfit * gain * float(np.hypot(group[0].sigma, group[1].sigma)) / 2**0.5
    else:
        offset = first - centre.position
        sigma = float(np.hypot(misfit * group[0].sigma, centre.sigma))
    width = float(np.mean([peak.width for peak in group]))
    pixel = max(scale)
    return PatternSpot(
        id=0,
        g=friedel_representative((float(offset[0] * scale[0]), float(offset[1] * scale[1]))),
        sigma=sigma * pixel,
        snr=max(peak.significance for peak in group),
        log_false_alarm=min(peak.log_false_alarm for peak in group),
        origin="pattern",
        radius=max(2.35 * width, 2.0) * pixel,
        positions=tuple(peak.position for peak in group),
        height=float(np.mean([peak.height for peak in group])),
    )
