"""SizesPlot: how many grains have which diameter, component by component."""

from __future__ import annotations

import numpy as np
from matplotlib.ticker import MaxNLocator

from ...core.grains.sizes import bin_edges, histogram, summary
from ...core.maps.colours import colours_of
from ...core.pipeline import Analysis
from ...core.text import count_text
from ...io.results.grain_tables import sizes_of
from .canvas import ThemedCanvas


class SizesPlot(ThemedCanvas):
    """Histogram of diameters; grains that the image's border cuts are hatched."""

    def __init__(self, theme: str) -> None:
        super().__init__(theme)
        self.figure.set_layout_engine("constrained")
        self.axes = self.figure.add_subplot()
        self._analysis: Analysis | None = None
        self.redraw()

    def show_sizes(self, analysis: Analysis | None) -> None:
        """Draw those of an analysis."""
        self._analysis = analysis
        self.redraw()

    def redraw(self) -> None:
        """Draw all anew."""
        self.axes.clear()
        sizes = sizes_of(self._analysis) if self._analysis is not None else {}
        total = sizes.pop("all", ([], []))
        edges = bin_edges(total[0])
        below, colours = np.zeros(len(edges) - 1), colours_of(sizes)
        for name, (diameters, cut) in sizes.items():
            counted = histogram(diameters, cut, edges)
            for counts, hatch in ((counted.counts, ""), (counted.cut, "///")):
                self.axes.bar(
                    edges[:-1], counts, np.diff(edges), below, align="edge", color=colours[name], hatch=hatch,
                    edgecolor=self.colours.background, linewidth=0.6,
                )  # fmt: skip
                below += counts
        numbers = summary(*total)
        words = f"{count_text(numbers.grains, 'grain')}, {numbers.cut} cut by the border"
        mean = f"\nmean {numbers.mean:.1f} nm, median {numbers.median:.1f} nm" if numbers.grains else ""
        self.axes.set_title(words + mean, fontsize=8, color=self.colours.text)
        self.axes.set_xlabel("diameter (nm)")
        self.axes.set_ylabel("grains")
        self.axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        self.style(self.axes)
        super().redraw()
