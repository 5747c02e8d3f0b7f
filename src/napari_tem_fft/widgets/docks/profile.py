"""The profile dock: radial profiles with fitted peaks in nm, updated when the mask is edited."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from napari.components import ViewerModel
from qtpy.QtGui import QAction, QGuiApplication
from qtpy.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QSpinBox,
    QVBoxLayout,
)

from ...core.crystal.phase import Miller, Phase, Style, format_hkl
from ...core.maps.component_map import ComponentMap, colours_of
from ...core.matching.result import indexed_as, matches_of_spots
from ...core.pipeline import Analysis
from ...core.profile.radial_profile import ProfilePeak
from ...core.progress import Step
from ...core.text import LengthUnit, signed
from ...io.figures.overview import write_overview
from ...io.figures.picture import PictureOptions
from ...io.results.tables import write_line, write_profiles
from ..canvas.ruler import Measured
from ..forms.choices import PictureChoice
from ..forms.controls import Columns, menu_button
from ..plots.canvas import ThemedToolbar
from ..plots.profile_plot import LinePlot, PhaseLines, ProfilePlot, ProfileView
from ..session.image_state import ImageState
from ..session.runner import Runner, tell
from ..session.selection import peak_chosen
from ..session.session import unwrap_viewer
from ..session.settings import length_unit, units
from .dock import Dock

#: Smallest d of phase lines, nm; smaller ones are outside the measured range.
SMALLEST_D = 0.05
#: Displayed names of the curves.
CURVE_NAMES = {"masked": "Bragg-masked", "local maximum": "maximum over local FFTs"}
#: What the ticks of phases are.
LINES_HELP = (
    "Where the image shows the lines of the named phases: by its own calibration, with the scale and stretch"
    " that its crystals give. The legend says by how much g differs from the phases' tables, and how far the"
    " stretch spreads it to either side by direction, as the bars through the ticks do."
)
#: A scale or stretch is mentioned from this share on.
MENTIONED = 5e-4
#: Picture formats.
PICTURES, TABLES = "Pictures (*.png *.svg)", "Tables (*.csv)"


class ProfileDock(Dock):
    """Radial profiles of the current image.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__(napari_viewer)
        self._viewer = unwrap_viewer(napari_viewer)
        self.plot = ProfilePlot(self._viewer.theme)
        self.line = LinePlot(self._viewer.theme)
        self.line.setVisible(False)
        self.width = QSpinBox(minimum=1, maximum=999)
        self.width.setPrefix("line width ")
        self.width.setToolTip("Number of pixels averaged across the measured line")
        self.width.setVisible(False)
        self.saver = Runner()
        self.toolbar = ThemedToolbar(self.plot, self)
        self.curves = {
            "whole image": _switch("whole image", "Transform of the whole image"),
            "masked": _switch("Bragg-masked", "Intensity inside the mask; updated with each brush stroke"),
            "local maximum": _switch(
                "maximum over local FFTs", "Largest signal over all local windows, which shows small grains"
            ),
        }
        self.background = _switch("subtract background", "Show the intensity above the background")
        self.lines = _switch("phase lines", LINES_HELP)
        self.logarithmic = _switch("logarithmic", "Logarithmic intensity", on=False)
        self.legend = QLabel(wordWrap=True, toolTip=LINES_HELP)
        # without a minimum width, so that the window can be narrower than the text
        self.legend.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.save = QAction("Save the curves as a table (CSV)...")
        self.save_plot = QAction("Save the plot (PNG, SVG)...")
        self.save_overview = QAction("Save the overview of the image (PNG, SVG, PDF)...")
        self.picture = PictureChoice(self)
        self.save_line = QAction("Save the profile along the line as a table (CSV)...", enabled=False)
        self.copy = QAction("Copy the table of peaks")
        self._lay_out()
        self._connect()
        self._on_found()

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 0, 4, 0)
        layout.setSpacing(0)
        show = menu_button(
            "Show",
            "Which curves are shown, and how",
            [*self.curves.values(), self.background, self.logarithmic, self.lines],
            [self.copy, self.save, self.save_plot, self.save_overview, self.save_line],
        )
        self._row = QHBoxLayout()
        self._row.addWidget(self.toolbar)
        self._row.addWidget(show)
        self._row.addWidget(self.legend, stretch=1)
        self._row.addWidget(self.width)
        layout.addLayout(self._row)
        layout.addWidget(Columns(self.plot, self.line, (3, 2)), stretch=1)

    def _connect(self) -> None:
        for switch in (*self.curves.values(), self.background, self.logarithmic, self.lines):
            switch.toggled.connect(self._on_found)
        self.save.triggered.connect(self._on_save)
        self.save_plot.triggered.connect(self._on_save_plot)
        self.save_overview.triggered.connect(self._on_save_overview)
        self.save_line.triggered.connect(self._on_save_line)
        self.width.valueChanged.connect(self.session.ruler.set_width)
        self.session.ruler.measured.connect(self._on_line_measured)
        self._on_line_measured(self.session.ruler.last)
        self.picture.chosen.connect(self._on_picture_chosen)
        self.saver.failed.connect(tell)
        self.copy.triggered.connect(self._on_copy)
        self.follow(self._on_found)
        self.session.profile_changed.connect(self._on_profile_changed)
        self.session.chosen_changed.connect(self._on_found)
        units.changed.connect(self._on_found)
        self.plot.peak_chosen.connect(self._on_peak_chosen)
        self._viewer.events.theme.connect(self._on_theme_changed)

    def view(self) -> ProfileView:
        """Return the state of the plot."""
        image_state = self.session.current
        view = ProfileView(
            profiles=image_state.profiles if image_state else (),
            curves=frozenset(name for name, check in self.curves.items() if check.isChecked()),
            above_background=self.background.isChecked(),
            logarithmic=self.logarithmic.isChecked(),
            phases=phase_lines(image_state) if image_state and self.lines.isChecked() else (),
            chosen=self._chosen(image_state),
            unit=length_unit(),
        )
        return replace(view, names=peak_names(image_state, view.peaks())) if image_state else view

    def _chosen(self, image_state: ImageState | None) -> tuple[float, ...]:
        ids = self.session.chosen.spots if self.session.chosen else ()
        return tuple(spot.length for spot in image_state.spots if spot.id in ids) if image_state else ()

    def _on_peak_chosen(self, peak: ProfilePeak) -> None:
        image_state = self.session.current
        if image_state is not None and image_state.analysis is not None:
            chosen = peak_chosen(image_state, peak)
            self.session.pick(None if chosen == self.session.chosen else chosen)

    def _on_found(self) -> None:
        self._show(self.view())

    def _on_profile_changed(self) -> None:
        image_state = self.session.current
        if image_state is not None:
            view = replace(self.plot.view, profiles=image_state.profiles)
            self._show(replace(view, names=peak_names(image_state, view.peaks())))

    def _show(self, view: ProfileView) -> None:
        self.plot.show_view(view)
        entries = [self._legend_entry(profile.curve) for profile in view.drawn()]
        if entries and (words := scale_of_lines(view.phases)):
            entries.append(words)
        self.legend.setText("&nbsp; ".join(entries))

    def _legend_entry(self, curve: str) -> str:
        return (
            f'<span style="color:{self.plot.curve_style(curve)[0]}">━ {CURVE_NAMES.get(curve, curve)}</span>'
        )

    def _on_line_measured(self, measured: Measured | None) -> None:
        """Show the profile along a line next to the radial profile, while there is a line."""
        if measured is not None:
            self.line.show_line(measured)
        for each in (self.line, self.width):
            each.setVisible(measured is not None)
        self.save_line.setEnabled(measured is not None)

    def _on_theme_changed(self) -> None:
        self.plot.set_theme(self._viewer.theme)
        self.line.set_theme(self._viewer.theme)
        self._on_found()
        old, self.toolbar = self.toolbar, ThemedToolbar(self.plot, self)
        self._row.replaceWidget(old, self.toolbar)
        old.deleteLater()

    def _on_save(self) -> None:
        image_state = self.session.current
        if image_state is not None and image_state.profiles:
            name, profiles = f"{image_state.micrograph.name} profile.csv", image_state.profiles
            self.save_as("Save the profile", name, TABLES, lambda path: write_profiles(path, profiles))

    def _on_save_plot(self) -> None:
        image_state = self.session.current
        if image_state is not None and image_state.profiles:
            name = f"{image_state.micrograph.name} profile.png"
            self.save_as("Save the plot", name, PICTURES, lambda path: self.plot.save(str(path)))

    def _on_save_line(self) -> None:
        measured = self.session.ruler.last
        if measured is not None:
            line = measured.profile, measured.unit
            title = "Save the profile along the line"
            self.save_as(title, "line profile.csv", TABLES, lambda path: write_line(path, *line))

    def _on_save_overview(self) -> None:
        image_state = self.session.current
        if image_state is None or image_state.analysis is None:
            return
        self.picture.open()

    def _on_picture_chosen(self, options: PictureOptions) -> None:
        image_state = self.session.current
        if image_state is None or image_state.analysis is None:
            return
        (kind,), analysis = options.formats, image_state.analysis

        def write(path: Path) -> None:
            named = path if path.suffix.lower() == f".{kind}" else Path(f"{path}.{kind}")
            self.saver.start(_overview_steps(analysis, length_unit(), named, options))

        name = f"{image_state.micrograph.name} overview.{kind}"
        self.save_as("Save the overview", name, f"Picture (*.{kind})", write)

    def _on_copy(self) -> None:
        image_state, clipboard = self.session.current, QGuiApplication.clipboard()
        if image_state is not None and clipboard is not None:
            clipboard.setText(peak_table(image_state, self.plot.view.peaks()))


def _overview_steps(
    analysis: Analysis, unit: LengthUnit, path: Path, options: PictureOptions
) -> Generator[Step, None, None]:
    """Draw the overview as a job of one step, because it takes seconds."""
    write_overview(path, analysis, unit, options=options)
    yield Step("overview", 1, 1)


def phase_lines(image_state: ImageState) -> tuple[PhaseLines, ...]:
    """Return the reflections of the phases that were named, in the colours of their components.

    They stand where the image shows them, by its calibration, which need not be exact.
    """
    colours, phases = colours_of(c.name for c in image_state.components), image_state.phases
    return tuple(
        _lines_of(phases[name], colours[component.name], *_scale_and_stretch(image_state, component, name))
        for component in image_state.components
        for name in component.phases
        if name in phases
    )


def _scale_and_stretch(image_state: ImageState, component: ComponentMap, phase: str) -> tuple[float, float]:
    """Return what all grains of the image say, or those of the component where that is not known (yet)."""
    analysis = image_state.analysis
    geometry = analysis.geometry if analysis is not None and analysis.matches == image_state.matches else None
    if geometry is not None and geometry.grains:
        return geometry.scale, geometry.stretch if geometry.stretch > 2 * geometry.stretch_sigma else 0.0
    scales = [
        candidate.scale
        for match in image_state.matches
        if match.grain in component.grains
        for candidate in match.candidates
        if candidate.phase == phase
    ]
    return float(np.median(scales)) if scales else 1.0, 0.0


def _lines_of(phase: Phase, colour: str, scale: float, stretch: float) -> PhaseLines:
    lines = [r for r in phase.reflections if r.d > SMALLEST_D]
    names = tuple(format_hkl(r.hkl, phase, "overbar") if any(r.hkl) else "" for r in lines)
    strength = tuple(float(np.nan_to_num(r.relative_f)) for r in lines)
    return PhaseLines(phase.id, colour, tuple(scale / r.d for r in lines), names, strength, scale, stretch)


def scale_of_lines(phases: Sequence[PhaseLines]) -> str:
    """Return by what the ticks differ from the phases' tables; empty where they do not."""
    shifts = sorted({signed(100 * (p.scale - 1), 1) for p in phases if abs(p.scale - 1) >= MENTIONED})
    stretch = max((phase.stretch for phase in phases), default=0.0)
    said = [f"g {' or '.join(shifts)} %"] if shifts else []
    said += [f"± {100 * stretch:.1f} %"] if stretch >= MENTIONED else []
    return f"phase lines {', '.join(said)}" if said else ""


def peak_names(
    image_state: ImageState, peaks: Sequence[ProfilePeak], style: Style = "overbar"
) -> tuple[str, ...]:
    """Return (hkl) of each peak; empty unless all its spots are the same reflection of one phase."""
    match_of, known = matches_of_spots(image_state.grains, image_state.matches), image_state.phases
    named = []
    for spot in image_state.spots:
        match = match_of.get(spot.id)
        indexed = indexed_as(spot.id, match) if match is not None else None
        if match is not None and indexed is not None and spot.enabled:
            best = match.candidates[0].phase
            named.append((spot.length, best, round(indexed.d_reference, 6), indexed.hkl))
    names = []
    for peak in peaks:
        near = [each for each in named if abs(each[0] - peak.g) <= 2 * peak.width]
        same = len({each[1:3] for each in near}) == 1
        if not same:
            names.append("")
            continue
        names.append(format_hkl(max(_positive(each[3]) for each in near), known.get(near[0][1]), style))
    return tuple(names)


def _positive(hkl: Miller) -> Miller:
    """Return (hkl) or its opposite, so that the first nonzero index is positive."""
    return max(hkl, (-hkl[0], -hkl[1], -hkl[2]))


def peak_table(image_state: ImageState, peaks: Sequence[ProfilePeak]) -> str:
    """Return the peaks as tab-separated lines, for a spreadsheet."""
    rows = ["d (nm)\t± (nm)\tg (1/nm)\twidth (1/nm)\tsignificance\thkl"]
    for peak, name in zip(peaks, peak_names(image_state, peaks, "plain"), strict=True):
        numbers = (peak.d, peak.d_sigma, peak.g, peak.width)
        rows.append("\t".join([*(f"{n:.5f}" for n in numbers), f"{peak.significance:.1f}", name]))
    return "\n".join(rows)


def _switch(text: str, help: str, on: bool = True) -> QAction:
    action = QAction(text, checkable=True, checked=on, toolTip=help)
    return action
