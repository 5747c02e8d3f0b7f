"""The series dock: analyse a stack frame by frame, and plot the area of each component against time."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QLabel,
    QProgressBar,
)

from ...core.image.micrograph import Micrograph
from ...core.maps.component_map import colours_of
from ...core.progress import Step
from ...core.series import Series, SeriesFrame, component_names, series_steps
from ...io.figures.series import Quantity, draw_components, write_series_picture
from ...io.results.tables import write_tracks
from ...layers.image import KEY, micrograph_of
from ..forms.controls import Columns, button, fill_row, flowing, wrapped_label
from ..forms.tree import ResultTree, Row
from ..plots.canvas import ThemedCanvas
from ..session.runner import Runner, tell
from ..session.session import unwrap_viewer
from .dock import Dock

#: Quantities of the plot, by their displayed names.
QUANTITIES: dict[str, Quantity] = {"area": "area", "share of the specimen": "fraction"}
TABLES = "Tables (*.csv)"
PICTURES = "Pictures (*.png *.svg *.pdf)"
NO_STACK = "Choose a stack (an image with frames) in the TEM FFT dock; its frames are analysed one by one."


class SeriesPlot(ThemedCanvas):
    """Area or share of each component, with error bars, against time."""

    def __init__(self, theme: str) -> None:
        super().__init__(theme)
        self.axes = self.figure.add_subplot()
        self.figure.set_layout_engine("constrained")
        self._frames: tuple[SeriesFrame, ...] = ()
        self._interval = 0.0
        self._quantity: Quantity = "area"
        self.redraw()

    def show_series(
        self, frames: tuple[SeriesFrame, ...], interval: float, quantity: Quantity = "area"
    ) -> None:
        """Draw frames against time, `interval` seconds apart, or against their number if it is 0."""
        self._frames, self._interval, self._quantity = frames, interval, quantity
        self.redraw()

    def redraw(self) -> None:
        """Redraw everything."""
        self.axes.clear()
        self.style(self.axes)
        colours = colours_of(component_names(self._frames))
        draw_components(self.axes, self._frames, self._interval, colours, self._quantity)
        if colours:
            self.axes.legend(fontsize=8, labelcolor=self.colours.text, frameon=False)
        self.style(self.axes)
        super().redraw()


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
        self.series = Series(())
        self.runner = Runner()
        self._make_controls()
        self._lay_out()
        self._connect()
        self._on_state_changed()

    def _make_controls(self) -> None:
        self.run = button("Analyse all frames", "Run the whole chain on each frame of the chosen stack")
        self.cancel = button("Cancel", "Stop after the current step; finished frames are kept")
        self.copy = button("Copy table", "Copy the table, with tabs, for a spreadsheet")
        self.save = button("Save table...", "Save the table as CSV")
        self.save_grains = button(
            "Save grains...",
            "Save a table (CSV) of each grain in each frame; a crystal keeps its track number over frames",
        )
        self.save_picture = button("Save picture...", "Save shares, areas and grains as PNG, SVG or PDF")
        self.drift = QCheckBox("Correct drift")
        self.drift.setChecked(True)
        self.drift.setToolTip(
            "Measure the drift of the sample first, and analyse the area that all frames have in common"
        )
        self.lock = QCheckBox("Phases of the shown frame only")
        self.lock.setToolTip(
            "Name only the phases of the frame shown now; grains of other phases are unknown"
        )
        self.quantity = QComboBox()
        self.quantity.addItems(list(QUANTITIES))
        self.quantity.setToolTip("What the plot shows")
        self.interval = QDoubleSpinBox(decimals=4, minimum=0.0, maximum=1e5)
        self.interval.setSuffix(" s")
        self.interval.setSpecialValueText("by number")
        self.interval.setToolTip("Time between two frames, by default from the file")
        self.progress = QProgressBar()
        self.hint = wrapped_label(NO_STACK)
        self.plot = SeriesPlot(self._viewer.theme)
        self.tree = ResultTree(("frame",), ("Click a frame to analyse it alone, and see its maps",))

    def _lay_out(self) -> None:
        layout = self.column()
        layout.addLayout(fill_row(QHBoxLayout(), self.run, self.cancel, self.progress))
        layout.addWidget(flowing(self.drift, self.lock))
        layout.addWidget(self.hint)
        layout.addWidget(Columns(self.plot, self.tree, (3, 2)), stretch=1)
        interval = QLabel("Frame interval")
        layout.addWidget(flowing(interval, self.interval, self.quantity))
        layout.addWidget(flowing(self.copy, self.save, self.save_grains, self.save_picture))

    def _connect(self) -> None:
        self.run.clicked.connect(self._on_run)
        self.cancel.clicked.connect(self.runner.cancel)
        self.copy.clicked.connect(self.tree.copy)
        self.save.clicked.connect(self._on_save)
        self.save_grains.clicked.connect(self._on_save_grains)
        self.save_picture.clicked.connect(self._on_save_picture)
        self.quantity.currentTextChanged.connect(self._show)
        self.interval.valueChanged.connect(self._show)
        self.tree.chosen.connect(self._on_frame_chosen)
        self.runner.stepped.connect(self._on_stepped)
        self.runner.returned.connect(self._on_returned)
        self.runner.failed.connect(tell)
        self.runner.started.connect(self._on_state_changed)
        self.runner.stopped.connect(self._on_state_changed)
        self._viewer.events.theme.connect(self._on_theme_changed)
        self.session.offer.image_changed.connect(self._on_state_changed)

    def _on_run(self) -> None:
        layer, setting = self.session.offer.image, self.session.offer.setting
        if layer is None or layer.ndim != 3 or setting is None:
            tell(ValueError(NO_STACK))
            return
        self.frames, self.series = (), Series(())
        try:
            choice, params = setting()
            segment = self.session.network.segmenter(params)
        except ValueError as error:
            tell(error)
            return
        if not self.interval.value():
            self.interval.setValue(frame_interval(layer))
        frames, frame = layer.data.shape[0], partial(frame_of, layer)
        lock = self._viewer.dims.current_step[-3] if self.lock.isChecked() else None
        drift = self.drift.isChecked()
        self.runner.start(series_steps(frames, frame, choice, params, segment, drift, lock))

    def _on_stepped(self, step: Step) -> None:
        self.progress.setRange(0, step.total)
        self.progress.setValue(step.done)
        self.progress.setFormat(step.name)
        if isinstance(step.product, SeriesFrame):
            self.frames = (*self.frames, step.product)
            self._show()

    def _on_returned(self, series: Series) -> None:
        """Show the finished series, whose specimen areas are averaged over frames."""
        self.series, self.frames = series, series.frames
        self._show()
        self.hint.setText(" ".join(series.notes) or NO_STACK)

    def _on_state_changed(self) -> None:
        running, layer = self.runner.running, self.session.offer.image
        self.run.setEnabled(not running and layer is not None and layer.ndim == 3)
        self.cancel.setEnabled(running)
        self.hint.setVisible(not running and (not self.frames or bool(self.series.notes)))
        for each in (self.copy, self.save):
            each.setEnabled(bool(self.frames))
        for each in (self.save_grains, self.save_picture):
            each.setEnabled(bool(self.series.frames))

    def _show(self) -> None:
        names = component_names(self.frames)
        quantity = QUANTITIES[self.quantity.currentText()]
        self.plot.show_series(self.frames, self.interval.value(), quantity)
        columns = ("frame", "spots", "grains", *(f"{name} (nm²)" for name in names))
        self.tree.setColumnCount(len(columns))
        self.tree.setHeaderLabels(list(columns))
        self.tree.fill([frame_row(frame, names) for frame in self.frames])

    def _on_frame_chosen(self, frame: int) -> None:
        """Analyse a single frame, and show it with its maps."""
        layer, setting = self.session.offer.image, self.session.offer.setting
        self._viewer.dims.set_current_step(self._viewer.dims.ndim - 3, frame)
        if layer is None or layer.ndim != 3 or setting is None or self.runner.running:
            return
        try:
            self.session.analyse(layer, *setting())
        except ValueError as error:
            tell(error)

    def _on_save(self) -> None:
        write = self.tree.write_csv
        self.save_as("Save the table", "series.csv", TABLES, lambda path: write(path.with_suffix(".csv")))

    def _on_save_grains(self) -> None:
        def write(path: Path) -> None:
            write_tracks(path.with_suffix(".csv"), self.series, self.interval.value())

        self.save_as("Save the grains", "series_grains.csv", TABLES, write)

    def _on_save_picture(self) -> None:
        def write(path: Path) -> None:
            write_series_picture(path, self.series, self.interval.value())

        self.save_as("Save the picture", "series.png", PICTURES, write)

    def _on_theme_changed(self) -> None:
        self.plot.set_theme(self._viewer.theme)


def frame_interval(layer: Image) -> float:
    """Return the time between two frames from the file, s; 0 if it is unknown."""
    return float(layer.metadata.get(KEY, {}).get("microscope", {}).get("frame_interval_s", 0.0))


def frame_of(layer: Image, number: int) -> Micrograph:
    """Return one frame of the layer of a stack as a micrograph."""
    kwargs = {
        "name": f"{layer.name} {number}",
        "scale": layer.scale,
        "units": layer.units,
        "metadata": {KEY: layer.metadata.get(KEY, {})},
        "frame": number,
    }
    return micrograph_of(np.asarray(layer.data[number]), kwargs)


def frame_row(frame: SeriesFrame, names: tuple[str, ...]) -> Row:
    """Return the row of a frame: numbers of spots and grains, and the area of each component."""
    areas = (f"{frame.areas[name][0]:.1f}" if name in frame.areas else "0.0" for name in names)
    cells = (str(frame.frame), str(frame.spots), str(frame.grains), *areas)
    if frame.problem:
        cells = (str(frame.frame), *[""] * (2 + len(names)))
    record: dict[str, Any] = {"frame": frame.frame, "spots": frame.spots, "grains": frame.grains}
    for name in names:
        area, sigma = frame.areas.get(name, (0.0, 0.0))
        record |= {f"{name} (nm2)": float(area), f"{name} sigma (nm2)": float(sigma)}
    record["specimen (nm2)"] = float(frame.specimen)
    for name in names:
        share, sigma = frame.fraction(name)
        record |= {f"{name} fraction": float(share), f"{name} fraction sigma": float(sigma)}
    drift_y, drift_x = frame.drift if frame.drift is not None else (None, None)
    record |= {"drift x (nm)": drift_x, "drift y (nm)": drift_y}
    record["problem"] = frame.problem
    return Row(frame.frame, cells, help=frame.problem, record=record)
