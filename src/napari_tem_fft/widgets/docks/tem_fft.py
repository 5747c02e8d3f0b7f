"""The main dock: choose an image and the candidates, run the analysis, and follow its progress."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from html import escape
from typing import Any

from napari.components import ViewerModel
from napari.layers import Image
from napari.utils.notifications import show_info
from qtpy.QtCore import QEvent, Qt, QTimer
from qtpy.QtGui import QGuiApplication, QShowEvent
from qtpy.QtWidgets import (
    QCheckBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QVBoxLayout,
    QWidget,
)

from ...api.script import Recipe, as_command, as_python, recipe_of
from ...core.image.calibration import AS_READ, GIVEN, UNCERTAINTY, Calibration, stated_uncertainty
from ...core.matching.assignment import CandidateSet
from ...core.pipeline import AnalysisParams
from ...core.progress import Step
from ...io.phases.table import load_table
from ...layers.image import KEY, NUMBERED
from ..canvas.fft_views import GrainFft, InverseFft, LiveFft
from ..canvas.panel import close_panel, open_panel
from ..canvas.stage import SPACES, Space, ViewButtons
from ..forms.candidates import CandidatesForm
from ..forms.choices import ImageChoice, NetworkChoice, ProfileOffer
from ..forms.controls import (
    Scrolled,
    button,
    fill_row,
    flowing,
    folding,
    frame,
    side_by_side,
    unbroken_percent,
    wrapped_label,
)
from ..forms.fft_display import FftDisplay
from ..forms.mask_tools import TOOLS, MaskTools
from ..forms.params import ParamsForm, tooltip
from ..forms.summary import pixel_size_words, summary
from ..session.batch_run import Setting as Asking
from ..session.batch_run import run_of
from ..session.image_state import ImageState
from ..session.responsiveness import in_turns, load_layers
from ..session.runner import messages, tell
from ..session.session import unwrap_viewer
from ..session.settings import fft_in_panel, length_unit, remember_fft_in_panel, units
from ..session.shortcuts import bind, list_of_keys, words_of
from ..session.source import (
    calibration_from,
    drawn_part,
    set_calibration,
    set_pixel_size,
    set_uncertainty,
    stated_pixel_size,
)
from .batch import BatchDock
from .calibration import CalibrationDock
from .dock import Dock, bring_around, bring_to_front, narrow
from .library import LibraryDock
from .profile import ProfileDock
from .results import ResultsDock
from .series import SeriesDock
from .spots import SpotsDock
from .train import TrainDock

PART = (
    "Run the analysis on the region of interest: inside the rectangle of the live FFT, or inside the"
    " selected rectangle, ellipse or polygon of any Shapes layer"
)
COPY = (
    "Copy the analysis of this image as text that reproduces it: file, scale, candidates, parameters,"
    " edited spots, drawn regions and overrides of grains"
)
#: Buttons that open docks.
OPENED = {
    "Series": "Analyse a stack frame by frame",
    "Batch": "Analyse many files in the background",
    "Train": "Teach the network from masks that you have corrected",
    "Library": "Import, fetch and search structures of your own, to use or to leave out",
}
#: Colour of what went wrong, to be read on dark and on light.
PROBLEM = "#E5534B"
#: The docks that belong to this one.
BELOW: dict[str, type[QWidget]] = {
    "Profile": ProfileDock,
    "Results": ResultsDock,
    "Spots": SpotsDock,
    "Calibration": CalibrationDock,
}
#: Those that are opened on demand, as tabs behind this one.
ON_DEMAND: dict[str, type[QWidget]] = {
    "Series": SeriesDock,
    "Batch": BatchDock,
    "Train": TrainDock,
    "Library": LibraryDock,
}


class TemFftDock(Dock):
    """From a micrograph to named components.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__(napari_viewer)
        self._viewer = unwrap_viewer(napari_viewer)
        self._shown = False
        self._stated: float | None = None
        self._make_controls()
        self._lay_out()
        self._connect()
        self._on_image_chosen(self.image.image)
        self._on_network_chosen(self.network.value)
        self._on_state_changed()
        self._on_found()

    def _make_controls(self) -> None:
        self.image = ImageChoice(self._viewer)
        self.pixel_size = QDoubleSpinBox(decimals=5, minimum=0.0001, maximum=10.0, singleStep=0.001)
        self.pixel_size.setValue(0.02)
        self.pixel_size.setSuffix(" nm")
        self.bar = QDoubleSpinBox(decimals=3, minimum=0.01, maximum=10_000.0)
        self.bar.setValue(5.0)
        self.bar.setSuffix(" nm")
        self.bar.setToolTip("Length of the scale bar in the picture, as written next to it")
        self.bar_pixels = QDoubleSpinBox(decimals=1, maximum=100_000.0)
        self.bar_pixels.setSuffix(" pixels")
        self.bar_pixels.setSpecialValueText("its length")
        self.bar_pixels.setToolTip("Length of the scale bar in pixels, from which the pixel size is computed")
        self.calibrate = button("Set", "Set the pixel size of an image whose file does not state it")
        self.stated_size = QLabel(wordWrap=True)
        self.calibration = QWidget()
        field = UNCERTAINTY.field
        self.uncertainty = QDoubleSpinBox(decimals=2, singleStep=0.1)
        self.uncertainty.setRange(field.low or 0.0, field.high or 100.0)
        self.uncertainty.setSuffix(f" {field.unit}")
        self.uncertainty.setToolTip(f"{tooltip(field)} Applies to the chosen image, from its next run on.")
        self.scale = QLabel()
        self.scale.setToolTip("Pixel size of the chosen image with its uncertainty; all d are based on it")
        self.profiles = ProfileOffer()
        self.to_calibration = button("Calibrate...", "Correct the scale on a known crystal or by a profile")
        self.candidates = CandidatesForm(load_table())
        self.network = NetworkChoice(self.session.network)
        self.params = ParamsForm(AnalysisParams(), without=("network",))
        self.defaults = button("Defaults", "Reset all parameters to their defaults")
        self.run = button("Run", f"Run the analysis; after single steps, the remaining ones{words_of('run')}")
        self.step = button("Step", "Run only the next step of the analysis and show its result")
        self.cancel = button("Cancel", "Stop after the current step")
        self.progress = QProgressBar()
        self._opened = QTimer(self, singleShot=True, interval=0)
        self._opened.timeout.connect(self._on_state_changed)
        self.spots = MaskTools(self.session)
        self.views = ViewButtons()
        self.live = QCheckBox("Live FFT (ROI)")
        self.live.setToolTip("Drag a rectangle over the image to see the FFT of the area inside")
        self.live_fft = LiveFft(self.session)
        self.part = button("Analyse ROI", PART)
        self.panel = QCheckBox("Separate FFT panel")
        self.panel.setToolTip("Show reciprocal space in nm⁻¹ in a second viewer; this choice is remembered")
        self.panel.setChecked(not self.session.fft_in_viewer)
        self.on_demand = {name: button(name, help) for name, help in OPENED.items()}
        self.copies = {"Command": button("Command", COPY), "Python": button("Python", COPY)}
        self.problem = wrapped_label()
        self.problem.setVisible(False)
        self.problem.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.grain_fft = GrainFft(self.session)
        self.of_grain = QCheckBox("FFT of grain")
        self.of_grain.setToolTip("Show the FFT of the selected grain alone, over that of the whole image")
        self.inverse_fft = InverseFft(self.session)
        self.inverse = QCheckBox("Inverse FFT")
        self.inverse.setToolTip(
            "Show the Bragg-filtered image of the selection, or of the whole mask, instead of the maps"
        )
        self.fft_display = FftDisplay(self.session)
        self.choice = wrapped_label()
        self.choice.setVisible(False)
        self.choice.setToolTip(
            "Click a spot in the FFT, a grain or a peak of the profile; Escape clears the selection"
        )
        self.result = wrapped_label()
        self.result.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.result.setToolTip("Outcome, area, and share of the specimen's area of each component")
        self.result.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)

    def _lay_out(self) -> None:
        form = QWidget()
        layout = QVBoxLayout(form)
        layout.setContentsMargins(6, 4, 6, 4)
        layout.setSpacing(4)
        layout.addWidget(side_by_side(QLabel("image"), self.image))
        rows = QVBoxLayout(self.calibration)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.addWidget(side_by_side(QLabel("pixel size"), self.pixel_size, self.calibrate))
        rows.addWidget(self.stated_size)
        rows.addWidget(side_by_side(QLabel("scale bar"), self.bar, self.bar_pixels))
        layout.addWidget(self.calibration)
        scale = QWidget()
        row = fill_row(QHBoxLayout(scale), self.scale, QLabel("±"), self.uncertainty, self.to_calibration)
        row.setStretch(0, 1)
        layout.addWidget(scale)
        layout.addWidget(self.profiles)
        layout.addWidget(frame("Candidates", self.candidates))
        layout.addWidget(side_by_side(self.run, self.step, self.part, self.cancel))
        layout.addWidget(self.progress)
        layout.addWidget(self.problem)
        layout.addWidget(self.result, stretch=1)
        layout.addWidget(self.choice)
        layout.addWidget(frame("Edit spots", self.spots))
        layout.addWidget(side_by_side(self.views, self.inverse))
        layout.addWidget(flowing(self.live, self.of_grain, self.panel))
        layout.addWidget(folding("FFT window and contrast", self.fft_display))
        network = side_by_side(QLabel("network"), self.network)
        advanced = network, folding("Parameters", self.params, self.defaults)
        layout.addWidget(folding("Advanced", *advanced, QLabel(list_of_keys())))
        layout.addWidget(side_by_side(QLabel("copy as"), *self.copies.values()))
        layout.addWidget(side_by_side(QLabel("open"), *self.on_demand.values()))
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        area = Scrolled(form)
        # always reserved, or buttons would move under the mouse when a result makes the form longer
        area.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOn)
        outer.addWidget(area)

    def _connect(self) -> None:
        session = self.session
        self.image.chosen.connect(self._on_image_chosen)
        self.calibrate.clicked.connect(self._on_calibrate)
        for field in (self.bar, self.bar_pixels):
            field.valueChanged.connect(self._on_bar_changed)
        self.uncertainty.valueChanged.connect(self._on_uncertainty_stated)
        self.profiles.applied.connect(self._on_profile_applied)
        self.to_calibration.clicked.connect(self._on_to_calibration)
        # no lambdas: PySide would keep them alive, and the dock with them
        self.copies["Command"].clicked.connect(self._on_copy_command)
        self.copies["Python"].clicked.connect(self._on_copy_python)
        for each in self.on_demand.values():
            each.clicked.connect(self._on_open)
        self.network.chosen.connect(self._on_network_chosen)
        self.defaults.clicked.connect(self._on_defaults)
        self.run.clicked.connect(self._on_run)
        self.step.clicked.connect(self._on_step)
        self.cancel.clicked.connect(session.cancel)
        self.views.wanted.connect(self._look)
        self.live.toggled.connect(self._on_live_toggled)
        self.of_grain.toggled.connect(self.grain_fft.want)
        self.inverse.toggled.connect(self.inverse_fft.want)
        self.part.clicked.connect(self._on_part)
        self.panel.toggled.connect(self._on_panel_toggled)
        self._bind_keys()
        messages.told.connect(self._on_told)
        for changed in (self.candidates.edited, self.params.edited, self.network.chosen):
            changed.connect(self._forget_problem)
        self.candidates.edited.connect(self._on_found)
        run_of(self._viewer).offer(self._asked)
        units.watch()
        units.changed.connect(self._on_unit_changed)
        session.step_done.connect(self._on_step_done)
        session.state_changed.connect(self._on_state_changed)
        session.found.connect(self._on_found)
        self._viewer.layers.events.inserted.connect(self._on_layer_inserted)
        session.current_changed.connect(self._on_current_changed)
        session.chosen_changed.connect(self._on_chosen_changed)
        session.calibrated.connect(self._on_calibrated)
        session.scale_changed.connect(self._show_uncertainty)

    def _bind_keys(self) -> None:
        bind(self._viewer, "run", self._on_run)
        bind(self._viewer, "deselect", self.session.deselect)
        for space in SPACES:
            bind(self._viewer, space, self._look, space)
        for tool in TOOLS:
            bind(self._viewer, tool, self.session.tools.take, tool)

    def showEvent(self, event: QShowEvent | None) -> None:
        """Open the docks that belong to this one when it is shown."""
        super().showEvent(event)
        in_turns(self, self._bring_docks(first=not self._shown))
        if not self._shown:
            self._shown = True
            load_layers(self)

    def event(self, event: QEvent | None) -> bool:
        """Remove the live FFT when the dock is closed, because nothing else would remove it."""
        if event is not None and event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self.live.setChecked(False)
        return bool(super().event(event))

    def _bring_docks(self, first: bool) -> Iterator[None]:
        yield from bring_around(self, self._viewer, BELOW)
        if first:
            narrow(self)
            self.panel.setChecked(self.panel.isChecked() or fft_in_panel())

    def _on_network_chosen(self, name: str) -> None:
        try:
            self.session.network.choose(name)
        except ValueError as error:
            tell(error)

    def _on_live_toggled(self, wanted: bool) -> None:
        layer = self.image.image
        if not wanted:
            self.live_fft.switch_off()
        elif layer is None:
            self.live.setChecked(False)
        else:
            try:
                self.live_fft.switch_on(layer)
            except ValueError as error:
                tell(error)
                self.live.setChecked(False)

    def _on_panel_toggled(self, wanted: bool) -> None:
        self.live.setChecked(False)
        remember_fft_in_panel(wanted)
        if wanted:
            panel = open_panel(self._viewer, self.session, self)
            panel.gone.connect(self._on_panel_gone)
        else:
            close_panel(self.session)
        self.session.stage.look("both")  # each space has another place now

    def _on_panel_gone(self) -> None:
        self.panel.setChecked(False)

    def _look(self, space: Space) -> None:
        self.session.stage.look(space)

    def _on_run(self) -> None:
        self._go_on(single=False)

    def _on_step(self) -> None:
        self._go_on(single=True)

    def _go_on(self, single: bool) -> None:
        if self.session.paused:
            self.session.advance(single)
            return
        try:
            request = self.candidates.asked().plain()
            self.session.analyse(self._layer(), *self._setting(), single, request)
        except ValueError as error:
            tell(error)

    def _layer(self) -> Image:
        layer = self.image.image
        if layer is None:
            raise ValueError("open a micrograph first: File > Open, or drop a .dm3 or .dm4 file here")
        return layer

    def _setting(self) -> tuple[CandidateSet, AnalysisParams]:
        return self.candidates.choice(), self.all_params()

    def _asked(self) -> Asking:
        return self.candidates.asked(), self.all_params()

    def _on_part(self) -> None:
        """Crop the image to the drawn shape, as a new image at its position, and analyse it."""
        try:
            part = drawn_part(self._layer(), self._viewer)
        except ValueError as error:
            tell(error)
            return
        self.live.setChecked(False)
        self._viewer.add_layer(part)
        self.image.image = part
        self._on_run()

    def _on_told(self, text: str) -> None:
        """Show an error here until something changes, because notifications disappear."""
        self.problem.setText(f'<span style="color:{PROBLEM}">{escape(text)}</span>')
        self.problem.setVisible(True)

    def _forget_problem(self) -> None:
        self.problem.clear()
        self.problem.setVisible(False)

    def _on_image_chosen(self, layer: Image | None) -> None:
        self._forget_problem()
        known = layer is None or all(str(unit) != "pixel" for unit in layer.units[-2:])
        self.calibration.setVisible(not known)
        if layer is not None and not known:
            self._offer_pixel_size(layer)
        self._show_uncertainty()
        self.live.setChecked(False)
        self.session.offer.make(layer, self._setting)
        self.session.choose(layer)

    def _offer_pixel_size(self, layer: Image) -> None:
        """Propose the pixel size that the file of the image states."""
        self._stated = size = stated_pixel_size(layer)
        self.stated_size.setVisible(size is not None)
        if size is not None:
            self.pixel_size.setValue(size)
            self.stated_size.setText(f"its file says {size:.5g} nm per pixel: press Set to use it")

    def _on_bar_changed(self) -> None:
        """Compute the pixel size from the two lengths of the scale bar."""
        if self.bar_pixels.value() > 0:
            self.pixel_size.setValue(self.bar.value() / self.bar_pixels.value())

    def _on_calibrate(self) -> None:
        if (layer := self.image.image) is not None:
            size, shown = self.pixel_size.value(), 0.51 * 10.0 ** -self.pixel_size.decimals()
            read = self._stated is not None and abs(size - self._stated) < shown
            if self._stated is not None and read:
                size = self._stated
            set_pixel_size(layer, size, AS_READ if read else GIVEN)
            self._on_image_chosen(layer)
            self._on_found()
            self.session.stage.look("both")

    def _show_uncertainty(self) -> None:
        """Show the uncertainty of the scale of the chosen image, without setting it."""
        layer = self.image.image
        self.profiles.offer_for(layer)
        self.scale.setText(pixel_size_words(calibration_from(layer)) if layer is not None else "no image")
        self.uncertainty.setEnabled(layer is not None)
        known = calibration_from(layer) if layer is not None else Calibration((1.0, 1.0), "none")
        self.uncertainty.blockSignals(True)
        self.uncertainty.setValue(known.uncertainty_percent)
        self.uncertainty.blockSignals(False)

    def _on_profile_applied(self, layer: Image, corrected: Calibration) -> None:
        """Apply the corrected scale; an analysed image is analysed again."""
        if self.session.current is not None:
            self.session.calibrate(self.session.current, corrected)
        else:
            set_calibration(layer, corrected)
            self._on_image_chosen(layer)
            self.session.stage.look("both")

    def _on_to_calibration(self) -> None:
        """Raise the Calibration dock."""
        bring_to_front(self._viewer, "Calibration", CalibrationDock, "bottom")

    def _on_copy_command(self) -> None:
        self._copy(as_command)

    def _on_copy_python(self) -> None:
        self._copy(as_python)

    def _copy(self, written: Callable[[Recipe], str]) -> None:
        """Copy the analysis of the image to the clipboard, as a command or script that reproduces it."""
        image_state, clipboard = self.session.current, QGuiApplication.clipboard()
        if image_state is None or image_state.analysis is None or clipboard is None:
            return
        files = image_state.request.get("files", {})
        cif = [path.absolute() for path in self.candidates.asked().files if path.name in files]
        source = str(image_state.layer.source.path or "")
        try:
            clipboard.setText(written(recipe_of(image_state.analysis, image_state.request, cif, source)))
        except ValueError as error:
            tell(error)
        else:
            show_info("copied; it gives the same result again")

    def _on_open(self) -> None:
        asked = self.sender()
        for name, each in self.on_demand.items():
            if each is asked:
                self.open_dock(name)

    def open_dock(self, name: str) -> None:
        """Open one of the docks that are opened on demand, or raise it."""
        bring_to_front(self._viewer, name, ON_DEMAND[name], "right")

    def _on_uncertainty_stated(self, percent: float) -> None:
        if (layer := self.image.image) is not None:
            set_uncertainty(layer, stated_uncertainty(percent))

    def all_params(self) -> AnalysisParams:
        """Return the parameters of the form and the chosen network."""
        return replace(self.params.value, network=self.network.value)

    def _on_calibrated(self) -> None:
        """Analyse the image again with its present scale and uncertainty."""
        self._show_uncertainty()
        self.session.cancel()
        self._on_run()

    def _on_defaults(self) -> None:
        self.params.value = AnalysisParams()
        self.network.reset()

    def _on_step_done(self, step: Step) -> None:
        self.progress.setRange(0, step.total)
        self.progress.setValue(step.done)
        self.progress.setFormat(step.name)

    def _on_layer_inserted(self, event: Any) -> None:
        """Say which of several images is being opened; the window answers again after the last one."""
        notes = event.value.metadata.get(KEY, {})
        number, images = notes.pop(NUMBERED, (1, 1))
        if images > 1 and not self.session.running:
            self.progress.setRange(0, images)
            self.progress.setValue(number)
            self.progress.setFormat(f"opening {number} of {images}")
            self.progress.repaint()
            self._opened.start()

    def _on_state_changed(self) -> None:
        running, paused = self.session.running, self.session.paused
        if running:
            self._forget_problem()
        self.run.setText("Run the rest" if paused else "Run")
        self.step.setText("Next step" if paused else "Step")
        for widget in (self.run, self.step):
            widget.setEnabled(not running)
        for widget in (self.image, self.panel):
            widget.setEnabled(not (running or paused))
        self.cancel.setEnabled(running or paused)
        if not running and not paused:
            self.progress.setRange(0, 1)
            self.progress.setValue(0)
            self.progress.setFormat("")
        elif running and self.progress.maximum() == 1:
            self.progress.setRange(0, 0)

    def _on_current_changed(self) -> None:
        """Update after another image was chosen elsewhere."""
        image_state = self.session.current
        if image_state is not None and image_state.layer is not self.image.image:
            self.image.image = image_state.layer
        if image_state is not None and image_state.analysis is not None:
            self._show_request(image_state)
        self._on_unit_changed()
        self._on_found()

    def _show_request(self, image_state: ImageState) -> None:
        """Show the candidates of the chosen image, which its next run and edits use."""
        request, asked = image_state.request, self.candidates.asked().plain()
        if image_state.from_file and not request:
            return  # unknown for this image
        # files may have been added to the table for other images since
        files = {**asked.get("files", {}), **request.get("files", {})}
        if asked != request | ({"files": files} if files else {}):
            self.candidates.restore(request)

    def _on_unit_changed(self) -> None:
        if self.session.current is not None:
            self.session.current.group.relabel(length_unit())

    def _on_found(self) -> None:
        current = self.session.current
        for each in self.copies.values():
            each.setEnabled(current is not None and current.analysis is not None)
        layer = self.image.image
        known, asked = calibration_from(layer) if layer is not None else None, self.candidates.asked()
        self.result.setText(summary(current, known, stated=bool(asked.names or asked.elements)))

    def _on_chosen_changed(self) -> None:
        chosen = self.session.chosen
        self.choice.setText(unbroken_percent(f"selected: {chosen.words}") if chosen else "")
        self.choice.setVisible(chosen is not None)
