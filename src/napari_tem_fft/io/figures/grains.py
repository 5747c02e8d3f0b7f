"""Figure of the grains: their orientations, size distribution and deformation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from ...core.grains.grain import bin_edges, histogram, summary
from ...core.maps.component_map import CIRCULAR, DIVERGING, colours_of, deformation_limits
from ...core.maps.orientation import (
    colour_factors,
    families,
    finer_factor,
    orientation_map,
    orientations,
)
from ...core.maps.strain import SHOWN, Shown, deformation_map
from ...core.pipeline import Analysis
from ...core.text import LengthUnit, count_text
from ..results.grain_tables import sizes_of
from .overview import draw_outline, scale_bar, shown_image

#: Titles of the maps of the deformation.
_MEANINGS: dict[Shown, str] = {
    "d_change": "change of d within each grain (%)",
    "rotation": "rotation within each grain (°)",
    "eps_xx": "strain along x, eps_xx (%)",
    "eps_yy": "strain along y, eps_yy (%)",
    "eps_xy": "shear, eps_xy (%)",
}


def write_grain_picture(
    path: Path, analysis: Analysis, unit: LengthUnit = "nm", known: Mapping[str, str] | None = None
) -> None:
    """Draw the grains of an analysis into a PNG file; `known` are colours that components already have."""
    figure = grain_picture(analysis, unit, known)
    # with a layout engine in place, matplotlib would draw everything twice
    if (engine := figure.get_layout_engine()) is not None:
        engine.execute(figure)
    figure.set_layout_engine("none")
    figure.savefig(path, format="png", pil_kwargs={"compress_level": 1})


def grain_picture(
    analysis: Analysis, unit: LengthUnit = "nm", known: Mapping[str, str] | None = None
) -> Figure:
    """Figure of the grains, not registered with pyplot; d-spacings are in `unit`."""
    whole = any(part.strain is not None for part in analysis.deformations)
    shown: tuple[Shown, ...] = SHOWN if whole else ("d_change", "rotation")
    rows = 1 + (len(shown) + 1) // 2 if analysis.deformations else 1
    figure = Figure(figsize=(13, 0.6 + 5.2 * rows), dpi=100, layout="constrained")
    axes = figure.subplots(rows, 2, squeeze=False)
    colours = colours_of((component.name for component in analysis.components), known)
    _draw_orientations(axes[0, 0], analysis, colours, unit)
    _draw_sizes(axes[0, 1], analysis, colours)
    share, shape = analysis.params.grains.false_share, analysis.map_grid.shape
    for what, place in zip(shown, axes[1:].flat, strict=False):
        image = deformation_map(analysis.deformations, what, shape, share)
        _draw_deformation(place, analysis, image * (1 if what == "rotation" else 100), _MEANINGS[what])
    for place in axes[1:].flat[len(shown) :]:
        place.set_axis_off()
    return figure


def _draw_orientations(axes: Axes, analysis: Analysis, colours: Mapping[str, str], unit: LengthUnit) -> None:
    found = orientations(analysis.components, analysis.grains, analysis.matches, analysis.spots)
    share = analysis.params.grains.false_share
    image = orientation_map(
        found, analysis.grains, analysis.grain_regions, analysis.specimen, analysis.deformations, share, True,
        finer_factor(analysis.specimen.shape),
    )  # fmt: skip
    factors = f", {words}" if (words := colour_factors(found)) else ""
    _draw_map(axes, analysis, image, CIRCULAR, (0.0, 180.0), f"azimuth (°{factors})", colours)
    # one per line: side by side they are wider than the map
    planes = families(found, analysis.known_phases, unit, "\n", "overbar")
    axes.set_title(f"in-plane orientation, as the azimuth of\n{planes}", fontsize=10)


def _draw_map(
    axes: Axes,
    analysis: Analysis,
    image: NDArray[np.float32],
    colour_map: str,
    limits: tuple[float, float],
    label: str,
    outlines: Mapping[str, str] | None = None,
) -> None:
    """Draw a map over the grey micrograph, with a colour bar, a scale bar and the outlines of the grains."""
    grey, extent = shown_image(analysis.micrograph)
    (ny, nx), (py, px) = analysis.map_grid.shape, analysis.map_grid.pixel_size
    whole = (0.0, nx * px, ny * py, 0.0)
    axes.imshow(grey, cmap="gray", vmin=-0.2, vmax=1.2, extent=extent)
    low, high = limits
    drawn = axes.imshow(
        np.ma.masked_invalid(image), cmap=colour_map, vmin=low, vmax=high, alpha=0.85, extent=whole,
        interpolation="nearest",
    )  # fmt: skip
    names = {number: part.name for part in analysis.components for number in part.grains}
    for grain, region in zip(analysis.grains, analysis.grain_regions, strict=True):
        colour = (outlines or {}).get(names.get(grain.id, ""), "white")
        draw_outline(axes, region.mask_on(analysis.map_grid.box), whole, colour)
    axes.set(xlim=extent[:2], ylim=extent[2:])
    scale_bar(axes, extent)
    axes.figure.colorbar(drawn, ax=axes, label=label, shrink=0.85)


def _draw_deformation(axes: Axes, analysis: Analysis, image: NDArray[np.float32], label: str) -> None:
    _draw_map(axes, analysis, image, DIVERGING, deformation_limits(image), label)
    axes.set_title(f"{label[: label.index(' (')]}\nwhere it exceeds the noise", fontsize=10)


def draw_size_bars(
    axes: Axes, sizes: Mapping[str, Any], edges: NDArray[np.float64], colours: Mapping[str, str], border: str
) -> None:
    """Draw a stacked histogram of diameters by component; grains cut by the border are hatched."""
    below = np.zeros(len(edges) - 1)
    for name, (diameters, cut) in sizes.items():
        counted = histogram(diameters, cut, edges)
        for counts, hatch in ((counted.counts, ""), (counted.cut, "///")):
            axes.bar(
                edges[:-1], counts, np.diff(edges), below, align="edge", color=colours[name], hatch=hatch,
                edgecolor=border, linewidth=0.6, label="" if hatch else name,
            )  # fmt: skip
            below += counts


def _draw_sizes(axes: Axes, analysis: Analysis, colours: Mapping[str, str]) -> None:
    """Draw the histogram of diameters with its legend and a summary."""
    sizes = sizes_of(analysis)
    total = sizes.pop("all")
    draw_size_bars(axes, sizes, bin_edges(total[0]), colours, "white")
    numbers = summary(*total)
    words = f"{count_text(numbers.grains, 'grain')}, {numbers.cut} more cut by the border (hatched)"
    if numbers.grains:
        words += f"\ndiameter {numbers.mean:.1f} nm, median {numbers.median:.1f} nm"
    if numbers.grains > 1:
        words += f", standard deviation {numbers.deviation:.1f} nm"
    axes.set_title(words, fontsize=10)
    axes.set(xlabel="equivalent circle diameter (nm)", ylabel="grains")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    if sizes:
        axes.legend(fontsize=8 if len(sizes) > 4 else 10, frameon=False)
