"""Plots of a run's report, drawn with matplotlib as SVG in which text remains text."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import ArrayLike, NDArray

from ..core.maps.component_map import SHADES
from .statistics import ComponentStatistics

#: Width of a plot and height of one line in it, inches.
WIDTH, LINE = 10.0, 0.28
#: Largest number of bars; with more images, neighbours share one. Up to `MOST_NAMED` images are named.
MOST_BARS, MOST_NAMED = 250, 40
#: Longest file name below a bar, characters.
MOST_LETTERS = 24
#: Largest number of components with their own bars or lines; the others are only in the tables.
MOST_COMPONENTS = 12
#: The bin width of sizes is one of these times a power of ten, nm, chosen to give about `BINS` bins.
NICE, BINS = (1.0, 2.0, 2.5, 5.0), 24


def composition(
    shares: Sequence[Mapping[str, float]], colours: Mapping[str, str], names: Sequence[str] = ()
) -> str:
    """Stacked bar chart of the share of each component in each image, or in groups of neighbouring images.

    Parameters
    ----------
    shares : sequence of mapping
        Share of the specimen, 0 to 1, of each component, for each image.
    colours : mapping
        "#RRGGBB" of each component.
    names : sequence of str
        Names of the images, written below the bars if there is room.
    """
    groups = np.array_split(np.arange(len(shares)), min(len(shares), MOST_BARS))
    heights = np.array(
        [[np.mean([shares[i].get(name, 0.0) for i in members]) for members in groups] for name in colours]
    )
    named = bool(names) and len(shares) <= MOST_NAMED
    figure, axes = _axes(3.6 if named else 2.6)
    bottom = np.zeros(len(groups))
    for (name, colour), height in zip(colours.items(), heights, strict=True):
        bars = axes.bar(np.arange(len(groups)) + 1, height, 0.9, bottom, color=colour, label=name)
        _hatch(bars, colour)
        bottom += height
    axes.set_xlim(0.4, max(len(groups), 6) + 0.6)
    axes.set_ylim(0, 1)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_ylabel("share of the specimen")
    if named:
        axes.set_xticks(np.arange(len(names)) + 1, [_short(name) for name in names], rotation=45, ha="right")
    else:
        _image_ticks(axes, groups)
    _legend(axes)
    return _svg(figure)


def _image_ticks(axes: Axes, groups: Sequence[NDArray[np.intp]]) -> None:
    """Label bars with the numbers of their images, in the order of the files."""
    images = int(groups[-1][-1]) + 1 if len(groups) else 1
    wanted = [at for at in MaxNLocator(8, integer=True).tick_values(1, images) if 1 <= at <= images]
    first = np.array([members[0] + 1 for members in groups])
    axes.set_xticks(np.searchsorted(first, wanted, side="right"), [f"{at:.0f}" for at in wanted])
    axes.set_xlabel("image, in the order of the files")


def sizes(components: Sequence[ComponentStatistics], colours: Mapping[str, str]) -> str:
    """Stacked histogram of the grains' diameters by component; empty without grains."""
    shown = [one for one in components if len(one.diameters)]
    if not shown:
        return ""
    edges = size_bins(np.concatenate([one.diameters for one in shown]))
    figure, axes = _axes(2.6)
    bottom = np.zeros(len(edges) - 1)
    for one in shown:
        counts, _ = np.histogram(one.diameters, edges)
        bars = axes.bar(edges[:-1], counts, np.diff(edges), bottom, align="edge", color=colours[one.name],
                        label=one.name, linewidth=0.5, edgecolor="white")  # fmt: skip
        _hatch(bars, colours[one.name])
        bottom += counts
    axes.set_xlim(0, edges[-1])
    axes.set_ylim(0, max(float(bottom.max()) * 1.05, 1.0))
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.set_xlabel("diameter of the grain (nm)")
    axes.set_ylabel("grains")
    _legend(axes)
    return _svg(figure)


def size_bins(diameters: ArrayLike) -> NDArray[np.float64]:
    """Edges of bins that cover 0 to all diameters; their width is a round number of nm.

    Examples
    --------
    >>> size_bins([3.0, 11.0])[[0, 1, -1]].tolist()
    [0.0, 0.5, 11.5]
    """
    largest = float(np.max(diameters))
    least = max(largest, 1e-3) / BINS
    power = 10.0 ** np.floor(np.log10(least))
    width = next((nice * power for nice in NICE if nice * power >= least), 10 * power)
    edges: NDArray[np.float64] = np.arange(int(largest / width) + 2) * width
    return edges


def shares_with_uncertainty(components: Sequence[ComponentStatistics], colours: Mapping[str, str]) -> str:
    """Plot the share of each component over all images, with its 95 % interval."""
    shown = list(components[:MOST_COMPONENTS])
    figure, axes = _axes(0.9 + LINE * len(shown))
    for row, one in enumerate(shown):
        low, high = np.nan_to_num([one.share.low, one.share.high], nan=one.share.value)
        axes.plot([low, high], [row, row], color=colours[one.name], linewidth=5, alpha=0.5)
        axes.plot(one.share.value, row, "o", color=colours[one.name], markeredgecolor="#222", markersize=8)
    axes.set_yticks(range(len(shown)), [_short(one.name) for one in shown])
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_xlabel("share of the specimen in all images, with 95 % interval")
    axes.grid(axis="x", color="#eee")
    axes.set_axisbelow(True)
    return _svg(figure)


def uncertainty_by_images(components: Sequence[ComponentStatistics], colours: Mapping[str, str]) -> str:
    """Plot the uncertainty of the shares against the number of images; empty for fewer than five."""
    shown = [one for one in components[:MOST_COMPONENTS] if one.curve and one.share.sigma > 0]
    if not shown:
        return ""
    figure, axes = _axes(2.6)
    for one in shown:
        numbers, sigmas = np.array(one.curve).T
        axes.plot(numbers, 100 * sigmas, "o-", color=colours[one.name], label=one.name, markersize=4)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.grid(which="both", color="#eee")
    ticks = sorted({number for one in shown for number, _ in one.curve})
    axes.set_xticks(ticks, [str(number) for number in ticks])
    axes.minorticks_off()
    low, high = axes.get_ylim()
    marks = [m for m in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50) if low <= m <= high]
    axes.set_yticks(marks, [f"{mark:g}" for mark in marks])
    axes.set_xlabel("number of images")
    axes.set_ylabel("± percentage points")
    _legend(axes)
    return _svg(figure)


def key_style(colour: str) -> str:
    """CSS of a colour swatch, hatched like the bars of that colour."""
    if colour not in SHADES:
        return f"background:{colour}"
    return f"background:repeating-linear-gradient(45deg,{colour} 0 3px,#fff 3px 4px)"


def _hatch(bars: BarContainer, colour: str) -> None:
    """Hatch bars whose colour repeats one of the palette."""
    if colour in SHADES:
        for bar in bars:
            bar.set(hatch="///", edgecolor="white", linewidth=0)


def _axes(height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.add_subplot()
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure, axes


def _legend(axes: Axes) -> None:
    """Draw a legend of the components next to the plot; only the first ones if there are many."""
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        axes.legend(handles[:MOST_COMPONENTS], [_short(label) for label in labels[:MOST_COMPONENTS]],
                    loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=8)  # fmt: skip


def _short(name: str) -> str:
    text = name if len(name) <= MOST_LETTERS else f"{name[: MOST_LETTERS - 1]}…"
    return text.replace("$", r"\$")  # not mathtext


def _svg(figure: Figure) -> str:
    """The figure as an SVG element, without a date and with reproducible ids."""
    text = io.StringIO()
    style: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "report", "font.family": "sans-serif"}
    with rc_context(style), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of missing characters; browsers have them
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    whole = text.getvalue()
    return whole[whole.index("<svg") :]
