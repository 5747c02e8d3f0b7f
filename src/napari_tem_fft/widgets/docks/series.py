"""The series dock: a stack frame by frame, the area of each component against time."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator
from napari.components import ViewerModel
from napari.layers import Image
from qtpy.QtWidgets import (
    QDoubleSpinBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QProgressBar,
)

from ...core.image.micrograph import Micrograph
from ...core.maps.colours import colours_of
from ...core.progress import Step
from ...core.series import SeriesFrame, component_names, series_steps
from ...layers.results import KEY, micrograph_of
from ..forms.controls import Columns, button, fill_row, flowing, wrapped_label
from ..forms.tree import ResultTree, Row
from ..plots.canvas import ThemedCanvas
from ..session.messages import tell
from ..session.runner import Runner
from ..session.session import unwrap_viewer
from .dock import Dock

NO_STACK = "Choose a stack (an image with frames) in the TEM FFT dock; its frames are analysed one by one."


class SeriesPlot(ThemedCanvas):
    """Areas with error bars against time."""

    def __init__(self, theme: str) -> None:
        super().__init__(theme)
        self.axes = self.figure.add_subplot()
        self.figure.set_layout_engine("constrained")
        self._frames: tuple[SeriesFrame, ...] = ()
        self._interval = 0.0
        self.redraw()

    def show_series(self, frames: tuple[SeriesFrame, ...], interval: float) -> None:
        """Draw these frames, `interval` seconds apart; by their numbers where it is 0."""
        self._frames, self._interval = frames, interval
        self.redraw()

    def redraw(self) -> None:
        """Draw all anew."""
        self.axes.clear()
        self.style(self.axes)
        names = component_names(self._frames)
        colours = colours_of(names)
        for name in names:
            areas = [frame.areas.get(name, (0.0, 0.0)) for frame in self._frames if not frame.problem]
            times = [self._time(frame) for frame in self._frames if not frame.problem]
            area, sigma = np.array(areas).T
            line: dict[str, Any] = {"color": colours[name], "marker": "o", "markersize": 3, "capsize": 2}
            self.axes.errorbar(times, area, sigma, label=name, **line)
        self.axes.set_xlabel("time (s)" if self._interval else "frame")
        if not self._interval:
            self.axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        self.axes.set_ylabel("area (nm²)")
        if names:
            self.axes.legend(fontsize=8, labelcolor=self.colours.text, frameon=False)
        self.style(self.axes)
        super().redraw()

    def _time(self, frame: SeriesFrame) -> float:
        return frame.frame * self._interval if self._interval else float(frame.frame)


class SeriesDock(Dock):
    """Analyse all frames of the chosen stack with the candidates and parameters of the TEM FFT dock.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__(napari_viewer)
        self._viewer = unwrap_viewer(napari_viewer)
        self.frames: tuple[SeriesFrame, ...] = ()
        self.runner = Runner()
        self._make_controls()
        self._lay_out()
        self._connect()
        self._on_state_changed()

    def _make_controls(self) -> None:
        self.run = button("Analyse all frames", "Run the whole chain on each frame of the chosen stack")
        self.cancel = button("Cancel", "Stop after the step that is under way; finished frames stay")
        self.copy = button("Copy table", "Copy the table, with tabs, for a spreadsheet")
        self.save = button("Save table...", "Save the table as CSV")
        self.interval = QDoubleSpinBox(decimals=4, minimum=0.0, maximum=1e5)
        self.interval.setSuffix(" s")
        self.interval.setSpecialValueText("by number")
        self.interval.setToolTip("Time between two frames; as the file tells it, if it does")
        self.progress = QProgressBar()
        self.hint = wrapped_label(NO_STACK)
        self.plot = SeriesPlot(self._viewer.theme)
        self.tree = ResultTree(("frame",), ("Click a frame to analyse it alone, and see its maps",))

    def _lay_out(self) -> None:
        layout = self.column()
        layout.addLayout(fill_row(QHBoxLayout(), self.run, self.cancel, self.progress))
        layout.addWidget(self.hint)
        layout.addWidget(Columns(self.plot, self.tree, (3, 2)), stretch=1)
        interval = QLabel("Frame interval")
        layout.addWidget(flowing(interval, self.interval, self.copy, self.save))

    def _connect(self) -> None:
        self.run.clicked.connect(self._on_run)
        self.cancel.clicked.connect(self.runner.cancel)
        self.copy.clicked.connect(self.tree.copy)
        self.save.clicked.connect(self._on_save)
        self.interval.valueChanged.connect(self._show)
        self.tree.chosen.connect(self._on_frame_chosen)
        self.runner.stepped.connect(self._on_stepped)
        self.runner.failed.connect(tell)
        self.runner.started.connect(self._on_state_changed)
        self.runner.stopped.connect(self._on_state_changed)
        self._viewer.events.theme.connect(self._on_theme_changed)

    def _on_run(self) -> None:
        layer, setting = self.session.offer.image, self.session.offer.setting
        if layer is None or layer.ndim != 3 or setting is None:
            tell(ValueError(NO_STACK))
            return
        self.frames = ()
        try:
            choice, params = setting()
            segment = self.session.network.segmenter(params)
        except ValueError as error:
            tell(error)
            return
        if not self.interval.value():
            self.interval.setValue(frame_interval(layer))
        frames, frame = layer.data.shape[0], partial(frame_of, layer)
        self.runner.start(series_steps(frames, frame, choice.phases, params, segment))

    def _on_stepped(self, step: Step) -> None:
        self.progress.setRange(0, step.total)
        self.progress.setValue(step.done)
        if isinstance(step.product, SeriesFrame):
            self.frames = (*self.frames, step.product)
            self._show()

    def _on_state_changed(self) -> None:
        running = self.runner.running
        self.run.setEnabled(not running)
        self.cancel.setEnabled(running)
        self.hint.setVisible(not running and not self.frames)

    def _show(self) -> None:
        names = component_names(self.frames)
        self.plot.show_series(self.frames, self.interval.value())
        columns = ("frame", "spots", "grains", *(f"{name} (nm²)" for name in names))
        self.tree.setColumnCount(len(columns))
        self.tree.setHeaderLabels(list(columns))
        self.tree.fill([frame_row(frame, names) for frame in self.frames])

    def _on_frame_chosen(self, frame: int) -> None:
        """Show a frame with its maps, by analysing it alone."""
        layer, setting = self.session.offer.image, self.session.offer.setting
        self._viewer.dims.set_current_step(self._viewer.dims.ndim - 3, frame)
        if layer is None or layer.ndim != 3 or setting is None or self.runner.running:
            return
        try:
            self.session.analyse(layer, *setting())
        except ValueError as error:
            tell(error)

    def _on_save(self) -> None:
        path: str = QFileDialog.getSaveFileName(self, "Save the table", "series.csv", "Tables (*.csv)")[0]
        if path:
            try:
                self.tree.write_csv(Path(path).with_suffix(".csv"))
            except OSError as error:
                tell(error)

    def _on_theme_changed(self) -> None:
        self.plot.set_theme(self._viewer.theme)


def frame_interval(layer: Image) -> float:
    """Return the time between two frames as the file tells it, s; 0 where it does not."""
    return float(layer.metadata.get(KEY, {}).get("microscope", {}).get("frame_interval_s", 0.0))


def frame_of(layer: Image, number: int) -> Micrograph:
    """Return one frame of a stack's layer as a micrograph."""
    kwargs = {
        "name": f"{layer.name} {number}",
        "scale": layer.scale,
        "units": layer.units,
        "metadata": {KEY: layer.metadata.get(KEY, {})},
        "frame": number,
    }
    return micrograph_of(np.asarray(layer.data[number]), kwargs)


def frame_row(frame: SeriesFrame, names: tuple[str, ...]) -> Row:
    """Return a frame's row: numbers of spots and grains, and the area of each component."""
    areas = (f"{frame.areas[name][0]:.1f}" if name in frame.areas else "0.0" for name in names)
    cells = (str(frame.frame), str(frame.spots), str(frame.grains), *areas)
    if frame.problem:
        cells = (str(frame.frame), *[""] * (2 + len(names)))
    record: dict[str, Any] = {"frame": frame.frame, "spots": frame.spots, "grains": frame.grains}
    for name in names:
        area, sigma = frame.areas.get(name, (0.0, 0.0))
        record |= {f"{name} (nm2)": float(area), f"{name} sigma (nm2)": float(sigma)}
    record["specimen (nm2)"] = float(frame.specimen)
    record["problem"] = frame.problem
    return Row(frame.frame, cells, help=frame.problem, record=record)
