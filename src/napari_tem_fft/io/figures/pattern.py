"""Figure of a measured diffraction pattern: the pattern with its spots, and its radial profile."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from numpy.typing import NDArray

from ...core.saed.centre import pattern_pixels
from ...core.saed.measure import PatternMeasurement
from ...core.text import LengthUnit, length, symbol
from .labels import calibration_words, distinct_peaks, plain_words, ring_groups, scale_by_log, spread_labels
from .overview import OUTLINE

#: Largest number of pixels per axis of the displayed pattern.
SHOWN = 1000
SPOT, RING = "#56B4E9", "#E69F00"


def write_pattern_picture(path: Path, measured: PatternMeasurement, unit: LengthUnit = "nm") -> None:
    """Draw a measured pattern into a PNG file."""
    pattern_picture(measured, unit).savefig(path, format="png", pil_kwargs={"compress_level": 3})


def pattern_picture(measured: PatternMeasurement, unit: LengthUnit = "nm") -> Figure:
    """Figure of a measured pattern, not registered with pyplot; d-spacings are in `unit`."""
    figure = Figure(figsize=(18, 9), dpi=100, layout="constrained")
    grid = figure.add_gridspec(1, 2, width_ratios=(1, 1.15))
    _draw_pattern(figure.add_subplot(grid[0, 0]), measured, unit)
    _draw_profile(figure.add_subplot(grid[0, 1]), measured, unit)
    return figure


def _draw_pattern(axes: Axes, measured: PatternMeasurement, unit: LengthUnit) -> None:
    pattern = measured.micrograph
    image, extent = _displayed(measured)
    low, high = np.percentile(image, (1, 99.9))
    axes.imshow(image, cmap="gray", vmin=low, vmax=max(high, low + 1e-6), extent=extent)
    for spot in measured.spots:
        for y, x in spot.positions:
            place = _frequency(measured, y, x)
            axes.add_patch(Circle(place, spot.radius, fill=False, edgecolor=SPOT, linewidth=1.2))
    for g, members in ring_groups(measured.spots):
        gy, gx = max(members, key=lambda spot: spot.snr).g
        axes.text(
            gx, gy - 1.6 * members[0].radius, length(1 / g, unit), color="white", fontsize=9, ha="center",
            va="bottom", path_effects=OUTLINE, clip_on=True,
        )  # fmt: skip
    for peak in distinct_peaks(measured.profile.peaks):
        axes.add_patch(Circle((0, 0), peak.g, fill=False, edgecolor=RING, linewidth=0.8, linestyle=":"))
    axes.plot(0, 0, "+", color="red", ms=14, mew=1.2)
    axes.set(xlim=extent[:2], ylim=extent[2:], xlabel="g along x (1/nm)", ylabel="g along y (1/nm)")
    axes.set_title(f"{plain_words(pattern.name)}\n{calibration_words(measured)}", fontsize=11)


def _frequency(measured: PatternMeasurement, y: float, x: float) -> tuple[float, float]:
    """(g_x, g_y) of a pixel."""
    (cy, cx), (sy, sx) = measured.centre.position, measured.micrograph.calibration.scale
    return (x - cx) * sx, (y - cy) * sy


def _displayed(measured: PatternMeasurement) -> tuple[NDArray[np.float32], tuple[float, float, float, float]]:
    """Grey levels for display, at most 1000 x 1000 pixels, and the extent for `imshow` in 1/nm."""
    pixels = measured.micrograph.pixels
    factor = max(1, -(-max(pixels.shape) // SHOWN))
    ny, nx = (n // factor * factor for n in pixels.shape)
    image = pattern_pixels(pixels, measured.micrograph.name)[:ny, :nx]
    image = image.reshape(ny // factor, factor, nx // factor, factor).max(axis=(1, 3))
    (left, top), (right, bottom) = (
        _frequency(measured, *corner) for corner in ((-0.5, -0.5), (ny - 0.5, nx - 0.5))
    )
    return image, (left, right, bottom, top)


def _draw_profile(axes: Axes, measured: PatternMeasurement, unit: LengthUnit) -> None:
    """Draw the mean grey level, shifted by its minimum, on a logarithmic scale, with d at the peaks."""
    profile = measured.profile
    floor, low, middle = (float(v) for v in np.percentile(profile.intensity, (0, 3, 50)))
    grey = max(middle - floor, 1e-12)
    for curve, colour, label in (
        (profile.background, "#999999", "background"),
        (profile.intensity, "#0072B2", "mean of the ring"),
    ):
        axes.plot(
            profile.g, np.maximum((curve - floor) / grey, 1e-6), color=colour, linewidth=1.2, label=label
        )
    for spot in measured.spots:
        axes.axvline(spot.length, color=SPOT, linewidth=0.7, alpha=0.6)
    chosen = distinct_peaks(profile.peaks)
    gap = 0.025 * float(profile.g[-1] - profile.g[0])
    for peak, x in zip(chosen, spread_labels([peak.g for peak in chosen], gap), strict=True):
        axes.annotate(
            length(peak.d, unit), xy=(peak.g, 0.8), xytext=(x, 0.98), xycoords=("data", "axes fraction"),
            textcoords=("data", "axes fraction"), rotation=90, ha="center", va="top", fontsize=9,
            color=RING, arrowprops={"arrowstyle": "-", "color": "0.6", "linewidth": 0.6},
        )  # fmt: skip
    scale_by_log(axes)
    axes.set_ylim(bottom=max(0.7 * (low - floor) / grey, 1e-3))
    axes.set(xlim=(profile.g[0], profile.g[-1]), xlabel="g (1/nm)", ylabel="mean grey level (shifted)")
    axes.set_title(f"radial profile; rings at d in {symbol(unit)}\n{_summary(measured)}", fontsize=11)
    axes.legend(loc="lower left", fontsize=10)


def _summary(measured: PatternMeasurement) -> str:
    pairs = sum(spot.paired for spot in measured.spots)
    y, x = measured.centre.position
    return (
        f"{len(measured.spots)} spots, {pairs} of them at +g and -g; {len(measured.profile.peaks)} rings;"
        f" centre at pixel y = {y:.2f}, x = {x:.2f} ± {measured.centre.sigma:.2f} ({measured.centre.source})"
    )
