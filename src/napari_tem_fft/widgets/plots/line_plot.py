"""LinePlot: what an image or its FFT shows along a line."""

from __future__ import annotations

from ..canvas.ruler import Measured
from .canvas import ThemedCanvas

#: Titles of the axes, by the picture and by the unit of positions.
VALUES = {"image": "grey level", "fft": "log₁₀ (power / noise)"}
POSITIONS = {"nm": "distance (nm)", "1/nm": "distance (nm⁻¹)", "pixel": "distance (pixels)"}


class LinePlot(ThemedCanvas):
    """Profile along the line that was drawn last."""

    def __init__(self, theme: str) -> None:
        super().__init__(theme)
        self.figure.set_layout_engine("constrained")
        self.axes = self.figure.add_subplot()
        self.shown: Measured | None = None
        self.redraw()

    def show_line(self, measured: Measured | None) -> None:
        """Draw the profile along a line."""
        self.shown = measured
        self.redraw()

    def redraw(self) -> None:
        """Draw all anew."""
        self.axes.clear()
        if self.shown is not None:
            profile = self.shown.profile
            self.axes.plot(profile.position, profile.value, color=self.colours.strong, linewidth=1.0)
            self.axes.set_xlim(0.0, max(profile.length, 1e-9))
            self.axes.set_xlabel(POSITIONS[self.shown.unit])
            self.axes.set_ylabel(VALUES[self.shown.space])
            self.axes.set_title(self.shown.label.replace(", d", "\nd"), fontsize=8, color=self.colours.text)
        self.style(self.axes)
        super().redraw()
