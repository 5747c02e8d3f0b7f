"""Find the spots in the spectrum of a grain: maxima that are not noise, side lobes, streaks or satellites."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import hypot, log, sqrt

import numpy as np
from numpy.typing import NDArray

from ..spots.false_alarms import log_tail
from ..spots.spot import friedel_representative, separation, separations
from .spectrum import GrainSpectrum

#: A maximum below this multiple of the side lobes of stronger spots counts as a side lobe.
LOBE_FACTOR = 6.0
#: A maximum must exceed the typical power of every line through it by this factor. Otherwise it is part of a
#: streak (steps between scan lines, drift, facets, edges of the image).
STREAK_FACTOR = 25.0
#: By chance, the strongest of these lines reaches this many times the mean.
STREAK_NOISE = 2.5
#: Range of these lines, in frequency resolutions, and number of their directions.
#: No record says on what it was set. Sweep: halved, F1 0.82 -> 0.83; doubled, nothing.
STREAK_REACH = (2.5, 14.0)
STREAK_DIRECTIONS = 12
#: A maximum must exceed the typical power of the line from zero frequency to it by this factor, if that line
#: is above the level of chance. Otherwise it belongs to an edge (of vacuum, a step or a facet).
EDGE_FACTOR, EDGE_NOISE = 4.0, 2.5
#: This line begins at this fraction of |g|, ends this many resolutions before it, and has this many points.
EDGE_FROM, EDGE_SHORT, EDGE_POINTS = 0.2, 2.5, 32
#: Facets parallel to lattice planes, and a lens that transfers the flanks of a reflection better than its
#: centre, elongate it towards zero frequency. A maximum must exceed this ridge, which is the mean of the
#: typical powers on both sides, by this factor, if the ridge is above the level of chance. In 22 simulated
#: images this removes 10 of 35 false spots, and 2 of 399 true ones.
RIDGE_FACTOR, RIDGE_NOISE = 5.0, 2.5
#: Range of the ridge, in resolutions, and number of points; inwards it ends at `EDGE_FROM` of |g|.
RIDGE_REACH, RIDGE_POINTS = (1.5, 7.0), 16
#: The facet of a crystal elongates each reflection, and zero frequency, along the facet's normal. A window at
#: least this much longer than wide lies along a facet, and shows maxima of this streak where the lens
#: transfers them better than the reflection. They lie along the normal (cosine of the angle) from a brighter
#: maximum or from zero, with a mean SNR in between that is above the level of chance, and exceed it by less
#: than this factor. In 80 simulated images this, and flanks joined up to `SPLIT`, remove 9 of 46 false spots
#: and 4 of 685 true ones.
FACET_LONG, FACET_COSINE, FACET_NOISE, FACET_FACTOR = 2.0, 0.97, 2.5, 8.0
#: That line excludes this many resolutions around its ends and around other maxima, and has this many points.
FACET_CLEAR, FACET_POINTS = 1.5, 40
#: Two reflections of one lattice are at least 1 / (largest d) apart. The weaker of two closer maxima is a
#: satellite (of a facet, or by scan distortion) unless it has this fraction of the power. The first value
#: applies within this many resolutions, the second beyond.
SATELLITE_SHARES = (0.3, 0.03)
SATELLITE_NEAR = 6.0
#: Two maxima within this many resolutions can be the flanks of one reflection.
SPLIT = 1.4
#: A maximum within this distance of a known reflection, 1/nm, is that reflection.
SURE_REACH = 0.05
#: Largest number of maxima that are examined.
MOST_PEAKS = 300
#: Side lobes are considered within this many frequency resolutions of a stronger spot.
LOBE_REACH = 12.0
#: Fringes below the limits of the search, down to this fraction of the lowest |g|, can have side lobes
#: inside.
BEYOND = 0.7


@dataclass(frozen=True, slots=True)
class Peak:
    """A maximum in the spectrum of a grain.

    Attributes
    ----------
    g : tuple of float, (y, x), 1/nm
        Refined frequency, in the stored half plane.
    sigma : float, 1/nm
        Standard uncertainty along either axis.
    snr, log_p : float
    amplitude : float
        Mean modulus of the fringe amplitude over the grain, grey levels.
    """

    g: tuple[float, float]
    sigma: float
    snr: float
    log_p: float
    amplitude: float


def find_peaks(
    spectrum: GrainSpectrum,
    limits: tuple[float, float],
    false_alarms: float,
    counts: float,
    sure: NDArray[np.float64] | None = None,
) -> tuple[Peak, ...]:
    """Find the maxima of a spectrum that are spots, strongest first.

    Parameters
    ----------
    limits : tuple of float, 1/nm
        Lowest and highest |g|.
    false_alarms : float
        Expected number of noise maxima in this spectrum.
    counts : float
        Effective number of values behind the noise estimate.
    sure : ndarray, shape (n, 2), (y, x), 1/nm
        Frequencies of known reflections. The strongest maximum at each is never a satellite or a side lobe.
    """
    q_min, q_max = limits
    limit = np.log(false_alarms / spectrum.independent)
    lowest = max(BEYOND * q_min, q_min - LOBE_REACH * spectrum.resolution)
    cells, log_p = _maxima(spectrum, lowest, q_max, limit, counts)
    heights = spectrum.snr[cells[:, 0], cells[:, 1]]
    alone = heights > -limit + STREAK_FACTOR * np.maximum(_streaks(spectrum, cells) - STREAK_NOISE, 0)
    edge = _edges(spectrum, cells)
    alone &= (edge <= EDGE_NOISE) | (heights > EDGE_FACTOR * edge)
    ridge = _ridges(spectrum, cells)
    alone &= (ridge <= RIDGE_NOISE) | (heights > RIDGE_FACTOR * ridge)
    alone |= np.hypot(*((cells - [spectrum.half[0], 0]) * spectrum.step).T) < q_min
    cells, log_p, heights = cells[alone], log_p[alone], heights[alone]
    strongest = np.argsort(-heights)[:MOST_PEAKS]
    found = [_refine_peak(spectrum, cells[i], float(log_p[i])) for i in strongest]
    beyond = [peak for peak in found if hypot(*peak.g) < q_min]
    within = [peak for peak in found if hypot(*peak.g) >= q_min]
    peaks: list[Peak] = []
    free = np.zeros((0, 2)) if sure is None else sure
    for peak in sorted(within, key=lambda p: -p.amplitude):
        at = separations(peak.g, free) < SURE_REACH
        free = free[~at]
        if at.any():
            peaks.append(peak)
            continue
        if any(_is_satellite(spectrum, peak, other, q_min) for other in peaks):
            continue
        stronger = (*peaks, *(other for other in beyond if other.amplitude > peak.amplitude))
        if peak.amplitude**2 > LOBE_FACTOR * sum(_lobe(spectrum, peak, other) for other in stronger):
            peaks.append(peak)
    normal = _facet_normal(spectrum)
    if normal is None:
        return tuple(peaks)
    sure = np.zeros((0, 2)) if sure is None else sure
    return tuple(
        peak
        for i, peak in enumerate(peaks)
        if (separations(peak.g, sure) < SURE_REACH).any() or not _of_a_facet(spectrum, peaks, i, normal)
    )


def _facet_normal(spectrum: GrainSpectrum) -> NDArray[np.float64] | None:
    """Unit vector (y, x) across a long window; None if the window is not long."""
    bins = np.argwhere(spectrum.lobes > 0.1) - np.array(spectrum.lobes.shape) // 2
    spread, axes = np.linalg.eigh(np.cov((bins * spectrum.lobe_step).T, bias=True))
    return np.asarray(axes[:, 1]) if spread[1] > FACET_LONG**2 * max(spread[0], 1e-12) else None


def _of_a_facet(spectrum: GrainSpectrum, peaks: Sequence[Peak], i: int, normal: NDArray[np.float64]) -> bool:
    """Whether peak number `i` of `peaks`, which are sorted by strength, belongs to a facet's streak."""
    g, clear = np.array(peaks[i].g), FACET_CLEAR * spectrum.resolution
    others = np.array([peak.g for n, peak in enumerate(peaks) if n != i]).reshape(-1, 2)
    ends = np.concatenate([np.zeros((1, 2)), others[:i], -others[:i]])
    for end in ends:
        way = end - g
        length = float(np.hypot(*way))
        if length < 2 * clear or abs(way @ normal) < FACET_COSINE * length or _in_a_row(g, end, clear / 3):
            continue
        line = g + np.linspace(clear / length, 1 - clear / length, FACET_POINTS)[:, None] * way
        free = (
            (separations(line[:, None], others) > clear).all(axis=1)
            if len(others)
            else np.ones(len(line), bool)
        )
        rows, columns = (
            np.rint(v / s).astype(np.intp) for v, s in zip(line[free].T, spectrum.step, strict=True)
        )
        rows, columns = np.where(columns < 0, -rows, rows), np.abs(columns)
        known = (np.abs(rows) <= spectrum.half[0]) & (columns <= spectrum.half[1])
        values = spectrum.snr[rows[known] + spectrum.half[0], columns[known]]
        if values.size and values.mean() > FACET_NOISE and peaks[i].snr < FACET_FACTOR * values.mean():
            return True
    return False


def _in_a_row(g: NDArray[np.float64], end: NDArray[np.float64], reach: float) -> bool:
    """Whether a frequency is a multiple of another one, or of its half."""
    square = float(end @ end)
    if square == 0:
        return False
    half = round(2 * float(g @ end) / square)
    return half != 0 and float(np.hypot(*(g - 0.5 * half * end))) < reach


def _maxima(
    spectrum: GrainSpectrum, q_min: float, q_max: float, limit: float, counts: float
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    snr, (hy, hx) = spectrum.snr, spectrum.half
    cells = np.stack(np.divmod(np.flatnonzero(snr > -limit), snr.shape[1]), axis=1)
    gy, gx = (cells[:, 0] - hy) * spectrum.step[0], cells[:, 1] * spectrum.step[1]
    radius = np.hypot(gy, gx)
    inside = (radius >= q_min) & (radius <= q_max) & ((gx > 0) | (gy > 0))
    inside &= (cells[:, 0] > 0) & (cells[:, 0] < 2 * hy) & (cells[:, 1] < hx)
    cells = cells[inside]
    heights = snr[cells[:, 0], cells[:, 1]]
    peak = np.ones(len(cells), bool)
    for dy, dx in ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)):
        row, column = cells[:, 0] + dy, cells[:, 1] + dx
        row = np.where(column < 0, 2 * hy - row, row)
        peak &= heights >= snr[row, np.abs(column)]
    log_p = log_tail(heights, counts)
    peak &= log_p < limit
    return cells[peak], log_p[peak]


def _streaks(spectrum: GrainSpectrum, cells: NDArray[np.intp]) -> NDArray[np.float64]:
    """Largest median SNR, scaled to a mean, of the lines through each maximum, without its main lobe."""
    angles = np.arange(STREAK_DIRECTIONS) * np.pi / STREAK_DIRECTIONS
    near, far = (r * spectrum.resolution for r in STREAK_REACH)
    along = np.arange(near, far, 0.7 * max(spectrum.step))
    along = np.concatenate([-along[::-1], along])
    rows = np.rint(np.sin(angles)[:, None] * along / spectrum.step[0]).astype(np.intp) + cells[:, :1, None]
    columns = np.rint(np.cos(angles)[:, None] * along / spectrum.step[1]).astype(np.intp) + cells[:, 1:, None]
    height, width = spectrum.snr.shape
    mirrored = columns < 0
    rows, columns = np.where(mirrored, height - 1 - rows, rows), np.abs(columns)
    inside = (rows >= 0) & (rows < height) & (columns < width)
    values = spectrum.snr[np.clip(rows, 0, height - 1), np.minimum(columns, width - 1)]
    values[~inside] = np.inf
    values.sort(axis=2)
    count = inside.sum(axis=2, keepdims=True)
    middle = [
        np.take_along_axis(values, np.maximum(at, 0), axis=2).astype(np.float64)
        for at in ((count - 1) // 2, count // 2)
    ]
    medians = np.where(count > 0, 0.5 * (middle[0] + np.where(count > 0, middle[1], 0)), 0.0)[..., 0]
    return np.asarray(medians.max(axis=1) / np.log(2.0))


def _edges(spectrum: GrainSpectrum, cells: NDArray[np.intp]) -> NDArray[np.float64]:
    """Median SNR, scaled to a mean, of the line from zero frequency to each maximum; 0 if it is too short."""
    offset = (cells - [spectrum.half[0], 0]) * np.array(spectrum.step)
    length = np.maximum(np.hypot(*offset.T), 1e-9)
    last = 1 - EDGE_SHORT * spectrum.resolution / length
    along = EDGE_FROM + (last - EDGE_FROM)[:, None] * np.linspace(0, 1, EDGE_POINTS)
    rows = np.rint(along * (cells[:, :1] - spectrum.half[0])).astype(np.intp) + spectrum.half[0]
    columns = np.rint(along * cells[:, 1:]).astype(np.intp)
    clear = (last - EDGE_FROM) * length > 2 * spectrum.resolution
    rows[~clear], columns[~clear] = 0, 0
    medians = np.median(spectrum.snr[rows, columns], axis=1) / np.log(2.0)
    return np.where(clear, medians, 0.0)


def _ridges(spectrum: GrainSpectrum, cells: NDArray[np.intp]) -> NDArray[np.float64]:
    """Mean of the median SNRs, scaled to means, on both sides of each maximum towards zero frequency."""
    offset = (cells - [spectrum.half[0], 0]) * np.array(spectrum.step)
    length = np.maximum(np.hypot(*offset.T), 1e-9)[:, None]
    away = np.linspace(*RIDGE_REACH, RIDGE_POINTS) * spectrum.resolution / length
    ridge = np.zeros(len(cells))
    for side in (-away, away):
        rows, columns = (
            np.rint((1 + side) * v[:, None] / s).astype(np.intp)
            for v, s in zip(offset.T, spectrum.step, strict=True)
        )
        known = (np.abs(rows) <= spectrum.half[0]) & (columns <= spectrum.half[1]) & (1 + side > EDGE_FROM)
        rows, columns = np.where(known, rows + spectrum.half[0], 0), np.where(known, columns, 0)
        values = np.sort(np.where(known, spectrum.snr[rows, columns], np.inf), axis=1)
        count = known.sum(axis=1)
        middle = values[np.arange(len(cells)), np.maximum(count - 1, 0) // 2]
        ridge += np.where(count > 0, middle, 0.0) / 2
    return np.asarray(ridge / np.log(2.0), np.float64)


def _refine_peak(spectrum: GrainSpectrum, cell: NDArray[np.intp], log_p: float) -> Peak:
    """Refine a maximum to the vertex of the parabola through the logarithms of 3 x 3 bins."""
    row, column = int(cell[0]), int(cell[1])
    snr_map = spectrum.snr
    left = (row, column - 1) if column else (snr_map.shape[0] - 1 - row, 1)
    middle = _log(snr_map[row, column])
    offset = (
        _vertex(_log(snr_map[row - 1, column]), middle, _log(snr_map[row + 1, column])),
        _vertex(_log(snr_map[left]), middle, _log(snr_map[row, column + 1])),
    )
    g = (
        (row + offset[0] - spectrum.half[0]) * spectrum.step[0],
        (column + offset[1]) * spectrum.step[1],
    )
    snr = float(spectrum.snr[row, column])
    sigma = 1.0 / (2 * np.pi * spectrum.spread * sqrt(2 * snr))
    amplitude = sqrt(snr * spectrum.gain * float(spectrum.density[row, column]))
    return Peak(friedel_representative(g), float(sigma), snr, log_p, float(amplitude))


def _log(value: np.float32) -> float:
    return log(max(float(value), 1e-6))


def _vertex(low: float, middle: float, high: float) -> float:
    """Sub-bin position of the vertex of a parabola through three neighbours."""
    return min(max(0.5 * (low - high) / min(low - 2 * middle + high, -1e-9), -0.5), 0.5)


def _is_satellite(spectrum: GrainSpectrum, peak: Peak, other: Peak, q_min: float) -> bool:
    apart = separation(peak.g, other.g)
    if apart >= q_min:
        return False
    near = apart < SATELLITE_NEAR * spectrum.resolution
    return peak.amplitude**2 < SATELLITE_SHARES[0 if near else 1] * other.amplitude**2


def _lobe(spectrum: GrainSpectrum, peak: Peak, other: Peak) -> float:
    """Squared amplitude of the side lobes of another spot, or of its mirror image, at a peak."""
    lobes = 0.0
    for sign in (1, -1):
        dy, dx = peak.g[0] - sign * other.g[0], peak.g[1] - sign * other.g[1]
        if dy * dy + dx * dx > (LOBE_REACH * spectrum.resolution) ** 2:
            continue
        row, column = (
            round(v / s) + n // 2
            for v, s, n in zip((dy, dx), spectrum.lobe_step, spectrum.lobes.shape, strict=True)
        )
        near = spectrum.lobes[max(row - 1, 0) : max(row + 2, 0), max(column - 1, 0) : max(column + 2, 0)]
        lobes += other.amplitude**2 * float(near.max()) if near.size else 0.0
    return lobes


def merge_split_peaks(peaks: Sequence[Peak], resolution: float) -> tuple[Peak, ...]:
    """Merge pairs of peaks within `SPLIT` resolutions that lie on a line through zero frequency.

    If the transfer of the lens is zero at the centre of a spot, the two flanks of the spot remain.
    """
    whole: list[Peak] = []
    for peak in sorted(peaks, key=lambda p: -p.amplitude):
        i = next((i for i, other in enumerate(whole) if _flanks(peak.g, other.g, SPLIT * resolution)), None)
        if i is None:
            whole.append(peak)
        else:
            whole[i] = _middle(whole[i], peak)
    return tuple(whole)


def _flanks(a: tuple[float, float], b: tuple[float, float], reach: float) -> bool:
    along = abs(float(np.hypot(*a) - np.hypot(*b)))
    apart = separation(a, b)
    return bool(apart < reach and along > 0.8 * apart)


def _middle(one: Peak, other: Peak) -> Peak:
    """Merge two flanks into a reflection; its uncertainty is at least half their distance.

    If a zero of the transfer function crosses a Gaussian spot, its flanks lie on either side of the point
    halfway between the spot and the zero. The spot is therefore shifted from the middle of the flanks towards
    the brighter one, by a sixteenth of their distance times the logarithm of the ratio of their powers.
    """
    brighter = 2 * log(one.amplitude / other.amplitude) if other.amplitude > 0 else np.inf
    share = 0.5 - min(brighter / 16, 0.5)
    sign = 1 if np.dot(one.g, other.g) > 0 else -1
    y, x = (a + share * (sign * b - a) for a, b in zip(one.g, other.g, strict=True))
    sigma = max(one.sigma, share * separation(one.g, other.g))
    return replace(one, g=friedel_representative((y, x)), sigma=float(sigma))
