"""A stack frame by frame in the series dock."""

import numpy as np
import pytest
from napari.layers import Layer

from forward_model import fringes, white_noise
from mouse import press
from movie import PATH, PIXEL, RADII, movie
from napari_tem_fft.core.image.calibration import Calibration
from napari_tem_fft.core.image.micrograph import ImageStack
from napari_tem_fft.layers.image import stack_layer
from napari_tem_fft.nn.inference.model import load_segmenter
from napari_tem_fft.plugin.reader import read_layers
from napari_tem_fft.widgets.docks.series import SeriesDock


def stack():
    """Two frames of 200 x 200 pixels: a grain, then film alone."""
    y, x = np.mgrid[:200, :200] * 0.03
    grain = (np.hypot(y - 3, x - 3) < 2.2) * fringes((200, 200), (0.03, 0.03), 0.235, 20.0)
    frames = np.stack([white_noise((200, 200), 1) + grain, white_noise((200, 200), 2)])
    known = {"frame_interval_s": 0.25}
    return ImageStack(frames.astype(np.float32), Calibration.real(0.03), "series", metadata=known)


def test_areas_of_all_frames(viewer, dock, qtbot, tmp_path, monkeypatch):
    series = SeriesDock(viewer)
    viewer.window.add_dock_widget(series, name="series", area="bottom")
    assert not series.run.isEnabled() and series.hint.text()  # there is no stack
    single = viewer.add_image(white_noise((64, 64), 3), scale=(0.03, 0.03), units=("nm", "nm"))
    assert not series.run.isEnabled()
    added = viewer.add_layer(Layer.create(*stack_layer(stack())))
    assert series.run.isEnabled()
    dock.image.image = single
    assert not series.run.isEnabled()
    dock.image.image = added
    with qtbot.waitSignal(series.runner.returned, timeout=60_000):
        series.run.click()
    first, second = series.frames
    assert first.areas["unknown crystal"][0] == pytest.approx(np.pi * 2.2**2, rel=0.3)
    assert second.areas == {} and second.spots == 0
    assert [line.get_color() for line in series.plot.axes.lines]
    assert series.interval.value() == 0.25 and series.plot.axes.get_xlabel() == "time (s)"
    series.interval.setValue(0.0)
    assert series.plot.axes.get_xlabel() == "frame"
    series.interval.setValue(0.5)
    assert series.plot.axes.get_xlabel() == "time (s)"
    path = tmp_path / "series.csv"
    monkeypatch.setattr("qtpy.QtWidgets.QFileDialog.getSaveFileName", lambda *args: (str(path), ""))
    series.save.click()
    names, one, other = [line.split(",") for line in path.read_text().splitlines()]
    assert names[:5] == ["frame", "spots", "grains", "unknown crystal (nm2)", "unknown crystal sigma (nm2)"]
    assert float(one[4]) > 0 and other[:5] == ["1", "0", "0", "0", "0"]
    series.interval.setValue(0.0)
    ticks = series.plot.axes.xaxis.get_major_locator()
    assert all(tick == round(tick) for tick in ticks.tick_values(0, 1))
    with qtbot.waitSignal(dock.session.runner.returned, timeout=60_000):
        series.tree.chosen.emit(0)  # a row shows the frame's maps
    assert viewer.dims.current_step[0] == 0
    assert "heat unknown crystal" in dock.session.current.group.roles


def test_frames_are_seen_by_the_network_of_the_main_dock(viewer, dock, qtbot, model, monkeypatch):
    series = SeriesDock(viewer)
    viewer.window.add_dock_widget(series, name="series", area="bottom")
    viewer.add_layer(Layer.create(*stack_layer(stack())))
    dock.network.value = str(model)
    loaded = []

    def load(name):
        loaded.append(name)
        return load_segmenter(name)

    monkeypatch.setattr("napari_tem_fft.widgets.session.settings.load_segmenter", load)
    with qtbot.waitSignal(series.runner.returned, timeout=60_000):
        series.run.click()
    assert loaded == [str(model)]  # once for all frames
    assert [frame.problem for frame in series.frames] == ["", ""]


def test_shares_and_grains_of_a_drifting_stack_beside_another_image(
    viewer, dock, grain_file, qtbot, tmp_path, monkeypatch
):
    series = SeriesDock(viewer)
    viewer.window.add_dock_widget(series, name="series", area="bottom")
    drifting = ImageStack(movie(), Calibration.real(PIXEL), "movie", metadata={"frame_interval_s": 0.5})
    viewer.add_layer(Layer.create(*read_layers(str(grain_file))[0]))
    viewer.add_layer(Layer.create(*stack_layer(drifting)))
    dock.candidates.names.setText("Cu, Cu2O, LiF, Li2O")
    viewer.dims.set_current_step(0, 2)
    press(series.lock)
    assert series.lock.isChecked() and series.drift.isChecked()
    with qtbot.waitSignal(series.runner.returned, timeout=120_000):
        press(series.run)
    assert series.series.phases == ("Cu",)
    assert series.frames[2].drift == pytest.approx([PIXEL * step for step in PATH[2]], abs=0.1)
    for frame, radius in zip(series.frames, RADII, strict=True):
        area, sigma = frame.areas["Cu"]
        assert area == pytest.approx(np.pi * radius**2, abs=2 * sigma)
    series.quantity.setCurrentText("share of the specimen")
    assert series.plot.axes.get_ylabel() == "share of the specimen"
    files = {"grains": tmp_path / "grains.csv", "picture": tmp_path / "series.svg"}
    for button, path in zip((series.save_grains, series.save_picture), files.values(), strict=True):
        monkeypatch.setattr(
            "qtpy.QtWidgets.QFileDialog.getSaveFileName", lambda *args, path=path: (str(path), "")
        )
        press(button)
    lines = [line.split(",") for line in files["grains"].read_text().splitlines()]
    assert [line[4] for line in lines[1:]].count("Cu") == 3
    assert "area of a grain" in files["picture"].read_text()
    record = series.tree.cells()
    assert {"Cu fraction", "Cu fraction sigma", "drift x (nm)"} <= set(record[0])
