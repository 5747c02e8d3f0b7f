"""Figure of a series against time: fraction and area of each component with uncertainties, and grains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from ...core.maps.component_map import UNKNOWN, colours_of
from ...core.series import Series, SeriesFrame, component_names
from .labels import plain_words
from .picture import DPI, save_figure

Quantity = Literal["area", "fraction"]
#: Largest number of tracks drawn: the largest grains that appear in at least two frames.
MOST_TRACKS = 20


def write_series_picture(
    path: Path,
    series: Series,
    interval: float = 0.0,
    dpi: int = DPI,
    known: Mapping[str, str] | None = None,
) -> None:
    """Draw fractions, areas and grains of a series into a .png, .svg or .pdf file."""
    save_figure(series_picture(series, interval, known), path, dpi)


def series_picture(series: Series, interval: float = 0.0, known: Mapping[str, str] | None = None) -> Figure:
    """Figure of a series, not registered with pyplot; `interval` is in s, 0 for frame numbers."""
    figure = Figure(figsize=(11, 9), dpi=DPI, layout="constrained")
    shares, areas, grains = figure.subplots(3, 1, sharex=True)
    colours = colours_of(component_names(series.frames), known)
    draw_components(shares, series.frames, interval, colours, "fraction")
    draw_components(areas, series.frames, interval, colours, "area")
    _draw_tracks(grains, series, interval, colours)
    for axes in (shares, areas):
        axes.set_xlabel("")
    shares.set_title("share of the specimen's area; bars: standard uncertainty of the border", fontsize=10)
    if component_names(series.frames):
        shares.legend(fontsize=9, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def draw_components(
    axes: Axes,
    frames: Sequence[SeriesFrame],
    interval: float,
    colours: Mapping[str, str],
    quantity: Quantity = "area",
) -> None:
    """Draw area or fraction of each component with error bars, omitting frames that could not be analysed."""
    good = [frame for frame in frames if not frame.problem]
    times = [time_of(frame.frame, interval) for frame in good]
    for name in component_names(frames):
        pairs = [f.fraction(name) if quantity == "fraction" else f.areas.get(name, (0.0, 0.0)) for f in good]
        value, sigma = np.array(pairs).T
        line: dict[str, Any] = {"color": colours[name], "marker": "o", "markersize": 3, "capsize": 2}
        axes.errorbar(times, value, sigma, label=plain_words(name), **line)
    label_time(axes, interval)
    axes.set_ylabel("share of the specimen" if quantity == "fraction" else "area (nm²)")
    if quantity == "fraction":
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_ylim(bottom=0.0)


def time_of(frame: int, interval: float) -> float:
    """Position of a frame on the time axis: its time in s, or its number if the interval is unknown."""
    return frame * interval if interval else float(frame)


def label_time(axes: Axes, interval: float) -> None:
    """Label the time axis; frame numbers get integer ticks."""
    axes.set_xlabel("time (s)" if interval else "frame")
    if not interval:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _draw_tracks(axes: Axes, series: Series, interval: float, colours: Mapping[str, str]) -> None:
    """Draw the areas of the largest tracked grains, with the track number at the end of each line."""
    points: dict[int, list[tuple[float, float, str]]] = {}
    for frame, tracks in zip(series.frames, series.tracks, strict=True):
        for track, grain in zip(tracks, frame.crystals, strict=True):
            points.setdefault(track, []).append((time_of(frame.frame, interval), grain.area, grain.component))
    followed = {track: line for track, line in points.items() if len(line) > 1}
    largest = sorted(followed, key=lambda track: -max(area for _, area, _ in followed[track]))
    for track in largest[:MOST_TRACKS]:
        times, areas, names = zip(*followed[track], strict=True)
        colour = colours.get(max(set(names), key=names.count), UNKNOWN)
        axes.plot(times, areas, color=colour, marker=".", markersize=4, linewidth=1.0)
        axes.annotate(
            str(track), (times[-1], areas[-1]), xytext=(4, 0), textcoords="offset points", fontsize=8,
            color=colour, va="center",
        )  # fmt: skip
    label_time(axes, interval)
    axes.set_ylabel("area of a grain (nm²)")
    axes.set_ylim(bottom=0.0)
    shown = (
        f"the largest {MOST_TRACKS} of {len(largest)}" if len(largest) > MOST_TRACKS else f"{len(largest)}"
    )
    axes.set_title(f"tracked grains ({shown}), by track number", fontsize=10)
