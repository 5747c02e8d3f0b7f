"""The plot of radial profiles, drawn like a powder diffraction pattern."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backend_bases import Event, MouseEvent
from matplotlib.collections import LineCollection
from matplotlib.ticker import FuncFormatter
from matplotlib.transforms import blended_transform_factory
from numpy.typing import ArrayLike, NDArray
from qtpy.QtCore import Signal

from ...core.profile.radial_profile import ProfilePeak, RadialProfile, listed_peaks
from ...core.text import LengthUnit, factor, length, symbol
from ...io.figures.labels import spread_labels
from ...layers.results import MASK
from ..canvas.ruler import Measured
from .canvas import PlotColours, QuickText, ThemedCanvas

#: Largest number of labelled peaks.
MOST_LABELS = 30


@dataclass(frozen=True, slots=True)
class PhaseLines:
    """Ticks below the profile: where an image shows the reflections of a phase.

    Attributes
    ----------
    name, colour : str
    g : tuple of float, 1/nm
        By the image's calibration: those of the phase, times `scale`.
    names : tuple of str
        (hkl) of each, written next to the ticks if there is room; no names if empty.
    strength : tuple of float
        Strengths of the reflections; the strongest are named first.
    scale : float
        Factor on the d measured in the image that gives those of the phase.
    stretch : float
        By this share of g a reflection may lie on either side, depending on its direction.
    """

    name: str
    colour: str
    g: tuple[float, ...]
    names: tuple[str, ...] = ()
    strength: tuple[float, ...] = ()
    scale: float = 1.0
    stretch: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class ProfileView:
    """State of the plot.

    Attributes
    ----------
    profiles : sequence of RadialProfile
    curves : frozenset of str
        Names of the curves that are drawn.
    above_background : bool
        Whether the background is subtracted from each curve, which emphasises lattice planes. Otherwise the
        curves are drawn as measured, with their backgrounds. All are normalised to their maximum.
    logarithmic : bool
    phases : tuple of PhaseLines
    chosen : tuple of float, 1/nm
        Selected frequencies, each marked by a line.
    names : tuple of str
        (hkl) of the peaks, in the order of `peaks`, or empty strings; shown if there is room.
    unit : {"nm", "angstrom"}
        Unit of lengths.
    """

    profiles: Sequence[RadialProfile] = ()
    curves: frozenset[str] = frozenset(("whole image", "masked", "local maximum"))
    above_background: bool = True
    logarithmic: bool = False
    phases: tuple[PhaseLines, ...] = ()
    chosen: tuple[float, ...] = ()
    names: tuple[str, ...] = ()
    unit: LengthUnit = "nm"

    def same_as(self, other: ProfileView) -> bool:
        """Whether another view shows the same."""
        names = ("curves", "above_background", "logarithmic", "phases", "chosen", "names", "unit")
        return (
            all(getattr(self, name) == getattr(other, name) for name in names)
            and len(self.profiles) == len(other.profiles)
            and all(map(_same_profile, self.profiles, other.profiles))
        )

    def drawn(self) -> list[RadialProfile]:
        """The requested curves that exist."""
        return [p for p in self.profiles if p.curve in self.curves and np.isfinite(p.intensity).any()]

    def reach(self) -> tuple[float, float]:
        """Range of g in 1/nm that the curves cover."""
        finite = [p.g[np.isfinite(p.intensity)] for p in self.drawn()]
        return (float(min(g[0] for g in finite)), float(max(g[-1] for g in finite))) if finite else (0.0, 1.0)

    def peaks(self) -> list[ProfilePeak]:
        """The most significant peaks of the drawn curves, by rising g."""
        best = sorted(listed_peaks(self.drawn()), key=lambda peak: -peak.significance)[:MOST_LABELS]
        return sorted(best, key=lambda peak: peak.g)

    def values(self, profile: RadialProfile) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Values of the curve and its background as drawn."""
        base = profile.background if self.above_background else np.zeros_like(profile.background)
        values = profile.intensity - base
        top = max(float(np.nanmax(values)), 1e-12)
        return values / top, (profile.background - base) / top


def _same_profile(one: RadialProfile, other: RadialProfile) -> bool:
    same = one.curve == other.curve and one.peaks == other.peaks
    return one is other or (
        same
        and np.array_equal(one.intensity, other.intensity, equal_nan=True)
        and np.array_equal(one.background, other.background, equal_nan=True)
    )


#: Round lattice spacings for the upper axis, nm.
ROUND_D = (1, 0.7, 0.5, 0.4, 0.35, 0.3, 0.25, 0.22, 0.2, 0.18, 0.16, 0.15, 0.14, 0.13, 0.12, 0.11, 0.1, 0.09)
#: Range of the logarithmic axis.
DECADES = 3.0
#: Points that a label needs along and across the axis, and a row of phase ticks.
LABEL_WIDTH, LABEL_LENGTH, LABEL_ROOM, ROW = 11.0, 32.0, 42.0, 9.0
#: Points across the axis of a label with (hkl) in a second line.
NAMED_WIDTH = 20.0
#: Letters of a phase's name that have room, and points across of a figure of its (hkl).
NAME_LETTERS, HKL_LETTER = 11, 4.2
#: Smallest share of the height for the curves: in a low dock, labels are left out first, then rows of phases.
CURVES = 0.25
#: Points left, right, below and above the axes for numbers and names.
ROOM = (60.0, 6.0, 20.0, 20.0)


class ProfilePlot(ThemedCanvas):
    """Canvas of the profile; a click on a peak or its label selects it."""

    peak_chosen = Signal(object)

    def __init__(self, theme: str) -> None:
        super().__init__(theme)
        self.view = ProfileView()
        self.axes: Axes = self.figure.add_subplot(xlim=(1.0, 10.0))
        self.upper = cast(Axes, self.axes.secondary_xaxis("top", functions=(_inverse, _inverse)))
        self._styled: PlotColours | None = None
        self._lowest, self._highest = 0.0, 1.0
        self.mpl_connect("button_press_event", self._on_click)
        self.mpl_connect("resize_event", self._on_resize)
        self.redraw()

    def show_view(self, view: ProfileView) -> None:
        """Draw a view if it has changed; the zoom is kept while the range of the curves is the same."""
        if view.same_as(self.view):
            return
        zoom = self.axes.get_xlim() if self.axes.get_xlim() != self.view.reach() else None
        same = self.view.reach() == view.reach()
        self.view = view
        self.redraw()
        if zoom is not None and same:
            self.axes.set_xlim(zoom)

    def redraw(self) -> None:
        """Redraw the view; the axes are kept, because they are slow to create."""
        for artist in (*self.axes.lines, *self.axes.texts, *self.axes.collections):
            artist.remove()
        self._settle()
        drawn = bool(self.view.drawn())
        self.axes.set_axis_on() if drawn else self.axes.set_axis_off()
        self.upper.set_visible(drawn)
        if self._styled != self.colours:  # takes a third as long as all the curves
            self._styled = self.colours
            self.style(self.axes)
            self.style(self.upper)
        if drawn:
            self._draw_curves()
            self._draw_d_axis()
            self._draw_phases()
            self._draw_labels()
        else:
            self._say("The radial profile appears here\nonce an image is analysed.")
        self.redraw_moving([*self.axes.lines, *self.axes.texts, *self.axes.collections])

    def _settle(self) -> None:
        """Maximise the axes without a layout engine, which would take longer than the drawing."""
        width, height = self.figure.get_size_inches() * 72
        across, up = self._points()
        left, _, bottom, _ = ROOM
        self.axes.set_position((left / width, bottom / height, across / width, up / height))

    def _draw_curves(self) -> None:
        view, axes = self.view, self.axes
        axes.set_yscale("log" if view.logarithmic else "linear")
        for profile in view.drawn():
            values, background = view.values(profile)
            colour, width = self.curve_style(profile.curve)
            axes.plot(profile.g, values, color=colour, linewidth=width, label=profile.curve)
            if not view.above_background:
                axes.plot(profile.g, background, color=colour, linewidth=0.8, linestyle="--")
        axes.set_xlim(view.reach())
        above = "intensity above\nbackground" if view.above_background else "intensity"
        axes.set_ylabel(above, loc="top", fontsize=7)
        axes.yaxis.set_major_formatter(FuncFormatter(self._height_words))
        axes.yaxis.set_minor_formatter(FuncFormatter(lambda v, _: ""))
        sign, many = symbol(view.unit), factor(view.unit)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda g, _: f"{g / many:.4g}"))
        self._name_axis(f"g ({sign}⁻¹)", 0.0, "top")
        self._name_axis(f"d ({sign})", 1.0, "bottom")

    def _height_words(self, value: float, _: int) -> str:
        """Tick labels, only next to the curves: phases are named below them, and peaks are labelled above."""
        return f"{value:.3g}" if self._lowest <= value <= self._highest else ""

    def _name_axis(self, name: str, height: float, align: str) -> None:
        """Write the name of an axis in front of its tick labels, so that it needs no extra row."""
        self.axes.annotate(
            name, xy=(0.0, height), xycoords="axes fraction", xytext=(-6, 5 if height else -5),
            textcoords="offset points", ha="right", va=align, fontsize=8, color=self.colours.text,
        )  # fmt: skip

    def curve_style(self, curve: str) -> tuple[str, float]:
        """Return the colour and line width of a curve."""
        styles = {
            "whole image": (self.colours.faint, 1.0),
            "masked": (MASK if self.colours.dark else "#B8860B", 1.6),
            "local maximum": ("#56B4E9" if self.colours.dark else "#0072B2", 1.0),
        }
        return styles[curve]

    def _draw_d_axis(self) -> None:
        """Label round lattice spacings along the upper edge, at least 30 points apart."""
        low, high = self.view.reach()
        gap = 30 * (high - low) / self._points()[0]
        chosen: list[float] = []
        for d in ROUND_D:
            if low <= 1 / d <= high and (not chosen or 1 / d - 1 / chosen[-1] > gap):
                chosen.append(d)
        self.upper.set_xticks(chosen, [f"{d * factor(self.view.unit):g}" for d in chosen])

    def _shares(self) -> tuple[float, int]:
        """Share of the height for labels, and number of rows of phases, that leave room for the curves."""
        height = self._points()[1]
        free = (1 - CURVES) * height
        labels = LABEL_ROOM if free >= LABEL_ROOM else 0.0
        return labels / height, min(len(self.view.phases), int((free - labels) / ROW))

    def _draw_labels(self) -> None:
        """Label each peak with its d above the curves, shifted to avoid overlaps, with a connecting line."""
        room = self._shares()[0]
        self._stretch(room)
        for g in self.view.chosen:
            self.axes.axvline(g, color=self.colours.strong, linewidth=0.8, linestyle=":")
        if not room:
            return
        peaks, (low, high), (width, height) = self.view.peaks(), self.view.reach(), self._points()
        texts, across_axis = self._label_texts(width)
        places = spread_labels([peak.g for peak in peaks], across_axis * (high - low) / width)
        across = blended_transform_factory(self.axes.transData, self.axes.transAxes)
        end = 1 - LABEL_LENGTH / height
        ties = [[(peak.g, 1 - room), (place, end)] for peak, place in zip(peaks, places, strict=True)]
        lines = LineCollection(ties, colors=self.colours.faint, linewidths=0.6, transform=across)
        self.axes.add_collection(lines, autolim=False)
        for peak, place, text in zip(peaks, places, texts, strict=True):
            chosen = any(abs(g - peak.g) <= 2 * peak.width for g in self.view.chosen)
            QuickText(
                self.axes, place, 0.985, text, across, clip_on=True, rotation=90, ha="center", va="top",
                fontsize=7.5, color=self.colours.strong if chosen else self.colours.text,
                weight="bold" if chosen else "normal",
            )  # fmt: skip

    def _label_texts(self, width: float) -> tuple[list[str], float]:
        """Labels of the peaks, with (hkl) if all fit side by side, and the points that one takes."""
        peaks, names = self.view.peaks(), self.view.names
        lines = [length(peak.d, self.view.unit) for peak in peaks]
        if not any(names) or len(names) != len(peaks) or NAMED_WIDTH * len(peaks) > width:
            return lines, LABEL_WIDTH
        return [f"{line}\n{name}" for line, name in zip(lines, names, strict=True)], NAMED_WIDTH

    def save(self, path: str) -> None:
        """Save the present plot as PNG or SVG, by the file name, in dark colours on white."""
        colours, zoom = self.colours, self.axes.get_xlim()
        try:
            self.colours = replace(PlotColours.of("light"), background="#FFFFFF", text="#000000")
            self.redraw()
            self.axes.set_xlim(zoom)
            self.figure.savefig(path, dpi=200)
        finally:
            self.colours = colours
            self.redraw_all()
            self.axes.set_xlim(zoom)

    def _stretch(self, above: float) -> None:
        """Reserve a share of the height above the curves for the labels, and below for the ticks."""
        below = ROW * self._shares()[1] / self._points()[1]
        values = np.concatenate([self.view.values(profile)[0] for profile in self.view.drawn()])
        low, high = np.nanmin(values), np.nanmax(values)
        if self.view.logarithmic:
            low, high = max(np.log10(high) - DECADES, np.log10(max(low, 1e-9))), np.log10(high)
        self._lowest, self._highest = (10**low, 10**high) if self.view.logarithmic else (0.0, high + 0.01)
        span = max(high - low, 0.1) / max(1 - above - below - 0.06, 0.1)
        bottom, top = low - (below + 0.03) * span, low + (1 - below - 0.03) * span
        self.axes.set_ylim(*((10**bottom, 10**top) if self.view.logarithmic else (bottom, top)))

    def _draw_phases(self) -> None:
        """Draw a row of ticks per phase along the lower edge, with its name left of the axis."""
        width, height = self._points()
        across = blended_transform_factory(self.axes.transData, self.axes.transAxes)
        for row, phase in enumerate(self.view.phases[: self._shares()[1]]):
            bottom = (row * ROW + 1.5) / height
            top = bottom + 0.6 * ROW / height
            self.axes.vlines(phase.g, bottom, top, colors=phase.colour, transform=across, linewidth=1.4)
            if phase.stretch:
                low, high = (np.multiply(phase.g, 1 + end * phase.stretch) for end in (-1, 1))
                middle = np.full(len(phase.g), (bottom + top) / 2)
                self.axes.hlines(middle, low, high, phase.colour, transform=across, linewidth=0.8)
            QuickText(
                self.axes, -6.0 / width, bottom, _fitting(phase.name), self.axes.transAxes, fontsize=7,
                color=phase.colour, ha="right", va="bottom",
            )  # fmt: skip
            for number in self._named_lines(phase):
                QuickText(
                    self.axes, phase.g[number], bottom, f" {phase.names[number]}", across, clip_on=True,
                    fontsize=6, color=phase.colour, va="bottom",
                )  # fmt: skip

    def _named_lines(self, phase: PhaseLines) -> list[int]:
        """The lines of a phase whose (hkl) fits between it and the next one, the strongest first."""
        low, high = self.view.reach()
        point = (high - low) / self._points()[0]
        order = sorted(range(len(phase.names)), key=lambda n: -phase.strength[n])
        return [n for n in order[:MOST_LABELS] if self._has_room(phase, n, low, point)]

    def _has_room(self, phase: PhaseLines, number: int, first: float, point: float) -> bool:
        """Whether the space for the (hkl) of a line in the row of its phase is free."""
        g = phase.g[number]
        letters = sum(c.isdigit() or c == " " for c in phase.names[number])
        end = g + (HKL_LETTER * letters + 5) * point
        others = (each for n, each in enumerate(phase.g) if n != number)
        return g > first and not any(g - point < each < end for each in others)

    def _say(self, text: str) -> None:
        self.axes.set_axis_off()
        self.axes.text(
            0.5,
            0.5,
            text,
            transform=self.figure.transFigure,  # the axes are off, and not in the middle
            ha="center",
            va="center",
            color=self.colours.text,
        )

    def _points(self) -> tuple[float, float]:
        """Width and height of the axes, in points."""
        width, height = self.figure.get_size_inches() * 72
        left, right, bottom, top = ROOM
        return max(width - left - right, 30.0), max(height - bottom - top, 30.0)

    def _on_click(self, event: Event) -> None:
        peaks = self.view.peaks()
        if not isinstance(event, MouseEvent) or event.xdata is None or not peaks:
            return
        low, high = self.axes.get_xlim()
        nearest = min(peaks, key=lambda peak: abs(peak.g - float(event.xdata or 0)))
        if abs(nearest.g - event.xdata) < 8 * (high - low) / self._points()[0]:
            self.peak_chosen.emit(nearest)

    def _on_resize(self, event: Event) -> None:
        self.redraw()


def _fitting(name: str) -> str:
    """The name of a phase, truncated to the available space."""
    return name if len(name) <= NAME_LETTERS else f"{name[: NAME_LETTERS - 1]}…"


def _inverse(values: ArrayLike) -> NDArray[np.float64]:
    with np.errstate(divide="ignore"):
        return 1.0 / np.asarray(values, float)


#: Titles of the axes, by the picture and by the unit of positions.
VALUES = {"image": "grey level", "fft": "log₁₀ (power / noise)"}
POSITIONS = {"nm": "distance (nm)", "1/nm": "distance (nm⁻¹)", "pixel": "distance (pixels)"}


class LinePlot(ThemedCanvas):
    """Plot of the profile along the last drawn line."""

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
        """Redraw everything."""
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
