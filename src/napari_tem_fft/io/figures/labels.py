"""Selection and placement of labels in figures, without overlap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...core.profile.radial_profile import ProfilePeak
from ...core.saed.measure import PatternMeasurement
from ...core.spots.spot import Spot
from ...core.text import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Spots and peaks whose d differ by less than this fraction share one label.
SAME_D = 0.006
MOST_RINGS = 12
MOST_PEAKS = 22
#: Largest number of d-spacings listed for a component, from its strongest spots.
MOST_D = 4


def plain_words(text: str) -> str:
    """A name for display in a figure: unprintable characters and dollar signs (mathtext) are escaped."""
    return printable(text).replace("$", r"\$")


def scale_by_log(axes: Axes) -> None:
    """Make the y axis logarithmic with plain numbers: ticks typeset as powers are slow to draw."""
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("")


def calibration_words(measured: PatternMeasurement) -> str:
    """Scale, its uncertainty and its source, as one line."""
    calibration = measured.micrograph.calibration
    sy, sx = calibration.scale
    scale = f"{sx:.5g}" if np.isclose(sy, sx, rtol=1e-4) else f"{sx:.5g} x {sy:.5g}"
    return f"{scale} 1/nm per pixel ± {100 * calibration.uncertainty:.2g} % ({calibration.source})"


def ring_groups(spots: Sequence[Spot]) -> list[tuple[float, list[Spot]]]:
    """Group spots of nearly the same d, with their mean g in 1/nm: the strongest dozen, by increasing g."""
    groups: list[list[Spot]] = []
    for spot in sorted(spots, key=lambda spot: spot.length):
        if groups and spot.length / groups[-1][-1].length - 1 < SAME_D:
            groups[-1].append(spot)
        else:
            groups.append([spot])
    strongest = sorted(groups, key=lambda group: -max(spot.snr for spot in group))[:MOST_RINGS]
    rings = [(float(np.mean([spot.length for spot in group])), group) for group in strongest]
    return sorted(rings, key=lambda ring: ring[0])


def distinct_peaks(peaks: Sequence[ProfilePeak]) -> list[ProfilePeak]:
    """The most significant peaks by increasing g; of peaks with nearly the same d only the strongest."""
    chosen: list[ProfilePeak] = []
    for peak in sorted(peaks, key=lambda peak: -peak.significance):
        if len(chosen) < MOST_PEAKS and all(abs(peak.g / other.g - 1) > SAME_D for other in chosen):
            chosen.append(peak)
    return sorted(chosen, key=lambda peak: peak.g)


def spread_labels(positions: Sequence[float], gap: float) -> NDArray[np.float64]:
    """Move increasing positions as little as possible (least squares), so that neighbours are a gap apart.

    Uses the pool-adjacent-violators algorithm: minus their gaps, the positions must be non-decreasing.
    """
    pools: list[tuple[float, int]] = []
    for i, position in enumerate(positions):
        pool = (position - i * gap, 1)
        while pools and pools[-1][0] > pool[0]:
            value, count = pools.pop()
            pool = ((value * count + pool[0] * pool[1]) / (count + pool[1]), count + pool[1])
        pools.append(pool)
    flat = np.repeat([value for value, _ in pools], [count for _, count in pools])
    moved: NDArray[np.float64] = flat + gap * np.arange(len(flat))
    return moved


def spacings(spots: Sequence[tuple[float, float]]) -> list[float]:
    """Measured d of the strongest spots, given as (d in nm, SNR), without duplicates, largest first."""
    chosen: list[float] = []
    for d, _ in sorted(spots, key=lambda spot: -spot[1]):
        if len(chosen) < MOST_D and all(abs(d / other - 1) > SAME_D for other in chosen):
            chosen.append(d)
    return sorted(chosen, reverse=True)
