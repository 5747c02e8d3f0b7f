"""What once went wrong in the window, tried with the mouse and the keys of Qt, two images or more open."""

import os
import re
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from napari.layers import Layer
from napari.settings import get_settings
from napari.utils.notifications import notification_manager
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt, QTimer
from qtpy.QtGui import QGuiApplication, QMouseEvent, QOpenGLContext
from qtpy.QtTest import QTest
from qtpy.QtWidgets import (
    QAbstractButton,
    QApplication,
    QComboBox,
    QDialog,
    QLabel,
    QToolButton,
)

from dm_writer import write_dm
from forward_model import fringes
from hand import LEFT
from mouse import canvas_of, on_canvas
from napari_tem_fft.core.image.calibration import Calibration
from napari_tem_fft.core.image.micrograph import ImageStack, Micrograph
from napari_tem_fft.core.reanalysis import is_edited
from napari_tem_fft.io.figures.overview import overview
from napari_tem_fft.layers.image import KEY, micrograph_layer, stack_layer
from napari_tem_fft.widgets.canvas.stage import pixels_on_one, sees_whole
from napari_tem_fft.widgets.docks.batch import BatchDock
from napari_tem_fft.widgets.docks.calibration import CalibrationDock
from napari_tem_fft.widgets.docks.dock import dock_of
from napari_tem_fft.widgets.docks.phases import PhasesDock
from napari_tem_fft.widgets.docks.profile import ProfileDock
from napari_tem_fft.widgets.docks.results import ComponentsDock, ResultsDock
from napari_tem_fft.widgets.docks.series import SeriesDock
from napari_tem_fft.widgets.docks.spots import SpotsDock
from napari_tem_fft.widgets.docks.tem_fft import ON_DEMAND
from napari_tem_fft.widgets.docks.train import TrainDock
from napari_tem_fft.widgets.forms.tree import ResultTree
from napari_tem_fft.widgets.session import child_processes
from napari_tem_fft.widgets.session.source import calibration_from
from small_network import small_model

pytestmark = pytest.mark.skipif(
    os.environ.get("QT_QPA_PLATFORM") == "offscreen", reason="the canvas needs an OpenGL driver"
)


def told():
    return [str(record.message) for record in notification_manager.records]


def test_how_well_a_scale_is_known_stays_with_its_image(hand, films, tmp_path):
    dock = hand.dock
    hand.type(dock.candidates.names, "LiF, Cu, Al")
    hand.drop(films[0])
    first = hand.run()
    calibration = hand.bring(CalibrationDock)
    hand.choose(calibration.feature, 0)
    hand.type(calibration.d, f"{1.01 * calibration._mark().d:.5f}")
    hand.press(calibration.add)
    hand.press(calibration.correct)
    hand.rest()
    known = calibration_from(first.layer).uncertainty
    assert known < 0.006 and "corrected on d = " in calibration.scale.text()
    assert sees_whole(hand.viewer, first.layer) and sees_whole(hand.viewer, first.group["fft"])
    hand.drop(films[1])
    assert dock.uncertainty.text() == "2.00 %" and calibration.scale.text() == "no image analysed yet"
    second = hand.run()
    assert second is not first and second.analysis.micrograph.calibration.uncertainty == 0.02
    hand.type(dock.uncertainty, "0.5")
    hand.choose_image(first.layer)
    assert float(dock.uncertainty.text().split()[0]) == pytest.approx(100 * known, abs=0.005)
    assert calibration_from(first.layer).uncertainty == known

    frames = np.random.default_rng(0).normal(size=(2, 64, 64)).astype(np.float32)
    stack = hand.viewer.add_layer(
        Layer.create(*stack_layer(ImageStack(frames, Calibration.real(0.03), "series")))
    )
    hand.press(dock.on_demand["Series"])
    series = hand.bring(SeriesDock)
    hand.press(series.run)
    hand.until(lambda: len(series.frames) == 2 and not series.runner.running)
    assert dock.uncertainty.text() == "2.00 %" and calibration_from(stack).uncertainty == 0.02

    hand.press(dock.on_demand["Batch"])
    batch = hand.bring(BatchDock)
    hand.drop_on(batch, films[2])
    batch.form.workers.setValue(1)
    hand.type(batch.form.output, str(tmp_path / "out"))
    hand.press(batch.start)
    hand.until(lambda: batch.run.records and not batch.run.running, seconds=120)
    assert [record.uncertainty for record in batch.run.records] == [2.0]


def test_the_image_that_is_shown_is_that_of_the_fft(hand, films):
    dock, session = hand.dock, hand.session
    hand.type(dock.candidates.names, "LiF, Cu, Al")
    states = []
    for path in films[:2]:
        hand.drop(path)
        hand.viewer.scene.camera.center = (0.0, 90.0, 90.0)
        hand.press(dock.views.to_real)  # before the image is run
        assert sees_whole(hand.viewer, dock.image.image)
        assert {layer for layer in hand.shown() if layer in dock.image._images} == {dock.image.image}
        states.append(hand.run())
    first, second = states
    hand.drop(films[2])
    third = dock.image.image
    assert hand.shown() == {third} and session.current is None
    for state in (first, second, first):
        hand.choose_image(state.layer)
        others = [other for other in dock.image._images if other is not state.layer]
        foreign = {layer for other in states if other is not state for layer in other.group.layers}
        assert session.current is state and not hand.shown() & {*others, *foreign}
        assert {state.layer, state.group["fft"]} <= hand.shown()

    hand.press(dock.live)  # a part of it, by the rectangle of the live FFT
    hand.until(lambda: dock.live_fft._group is not None and dock.live_fft._group.get("live") is not None)
    hand.press(dock.part)
    hand.until(lambda: session.current is not first and session.current is not None)
    hand.rest()
    part = session.current
    assert part.analysis is not None and {part.layer, part.group["fft"]} <= hand.shown()
    assert not hand.shown() & {first.layer, second.layer, third, *first.group.layers, *second.group.layers}
    assert not any(layer.metadata[KEY].get("role") in ("part", "live") for layer in hand.viewer.layers)


def test_a_file_of_all_images_is_dropped_into_an_empty_window(hand, two, tmp_path):
    dock, viewer = hand.dock, hand.viewer
    hand.choose_image(two[0].layer)
    pixels = {state.layer.name: state.micrograph.pixels for state in two}
    (path,) = viewer.layers.save(str(tmp_path / "all.temfft"), plugin="napari-tem-fft")
    hand.delete_all_layers()
    assert len(viewer.layers) == 0 and dock.image.count() == 0 and not any("Error" in text for text in told())
    hand.drop(path)
    hand.until(lambda: hand.session.current is not None)
    hand.rest()
    assert [layer.name for layer in dock.image._images] == ["first", "second"]
    for layer in dock.image._images:
        hand.choose_image(layer)
        state = hand.session.current
        assert state.layer is layer and np.array_equal(state.micrograph.pixels, pixels[layer.name])
        over = {state.group[role] for role in ("fft", "grains", "numbers", "legend", "specimen")}
        assert {layer, *over} <= hand.shown()
        assert sees_whole(viewer, layer) and sees_whole(viewer, state.group["fft"])
        assert {s for s in hand.shown() if s in dock.image._images} == {layer}
        fft = state.group["fft"]
        assert fft.extent.world[0, 1] > layer.extent.world[1, 1]


def test_layers_are_deleted_by_keys_and_the_next_image_is_run(hand, films):
    hand.type(hand.dock.candidates.names, "LiF, Cu")
    for number in range(3):
        hand.drop(films[number], films[(number + 1) % 3])
        if number == 1:  # deleted while it is at work
            hand.press(hand.dock.run)
            hand.until(lambda: len(hand.viewer.layers) > 2)
        else:
            assert hand.run().analysis is not None
        hand.viewer.screenshot(flash=False)
        hand.delete_all_layers()
        assert len(hand.viewer.layers) == 0 and hand.dock.image.count() == 0
    assert hand.session.current is None and not hand.session.running
    assert not any("not in list" in text for text in told()), told()


def test_layers_are_deleted_in_the_opengl_context_of_their_canvas(hand, two):
    """Deleted in another one, as napari does between two drawings, they crash a later drawing."""
    canvas, contexts = canvas_of(hand.viewer).native, []
    hand.viewer.layers.events.removed.connect(
        lambda event: contexts.append(QOpenGLContext.currentContext() == canvas.context())
    )
    canvas.doneCurrent()
    hand.choose_image(two[0].layer)
    hand.click(two[0].grains[1].centre)
    hand.rest()
    for forget in (lambda: hand.key(Qt.Key.Key_Escape), hand.delete_all_layers):
        contexts.clear()
        canvas.doneCurrent()
        forget()
        assert contexts and all(contexts)


def test_grains_are_selected_named_and_explained_by_clicks(hand, two, qtbot):
    first, state = two
    dock, viewer, session = hand.dock, hand.viewer, hand.session
    spots = state.group["spots"]
    assert sum(np.asarray(spots.features["spot"]) == 0) == 2  # both discs of the pair are circled
    heat = state.group["heat LiF"]
    own = heat.opacity
    hand.click(state.grains[1].centre)
    hand.rest()
    assert session.chosen.grains == (2,) and heat.opacity < own and state.group["selected"].visible
    hand.key(Qt.Key.Key_Escape)
    assert session.chosen is None and state.group.get("selected") is None and heat.opacity == own

    results = hand.bring(ResultsDock)
    grains, candidates = results.findChild(ComponentsDock), results.findChild(PhasesDock)
    hand.row(grains.tree, "grain 1")
    hand.rest()
    assert session.chosen is not None and session.chosen.grains == (1,)
    assert sees_whole(viewer, state.group["fft"])  # where its pattern is
    hand.press(dock.views.to_real)
    hand.row(grains.tree, "grain 1")
    assert viewer.scene.camera.center[-2:] == pytest.approx(state.grains[0].centre)
    words = candidates.words
    names = [words.phase.itemText(number) for number in range(words.phase.count())]
    assert names[2:] == sorted(names[2:], key=str.lower) and words.phase.maxVisibleItems() <= 20

    hand.choose(words.phase, names.index("Al"))  # which is no candidate
    hand.press(words.set)
    hand.until(lambda: state.matches[0].phases == ("Al",))
    hand.rest()
    assert any(item.text(1) == "assigned by user" for item in grains.tree.items())
    assert "assigned by user" in dock.result.text() and "identified by" not in dock.result.text()
    profile = hand.bring(ProfileDock)
    hand.until(lambda: any(text.get_text() == "Al" for text in profile.plot.axes.texts))
    assert profile.plot.view.peaks() and not any("KeyError" in text for text in told())
    assert first.analysis.decisions == ()

    hand.bring(ResultsDock)
    hand.row(grains.tree, "grain 1")
    hand.rest()
    hand.choose(words.phase, [words.phase.itemText(n) for n in range(words.phase.count())].index("LiF"))
    hand.press(words.lock)
    hand.until(lambda: state.analysis.decisions and state.analysis.decisions[0].kind == "lock")
    hand.rest()
    calibration = hand.bring(CalibrationDock)
    assert "internal standard: LiF in grain 1" in calibration.scale.text()
    hand.choose_image(first.layer)
    assert "internal standard" not in calibration.scale.text()


def test_the_copied_table_is_one_for_a_spreadsheet(hand, two):
    results = hand.bring(ResultsDock)
    for half in (results.findChild(ComponentsDock), results.findChild(PhasesDock)):
        QGuiApplication.clipboard().clear()
        hand.press(half.copy)
        names, *rows = [line.split("\t") for line in QGuiApplication.clipboard().text().splitlines()]
        table = [dict(zip(names, row, strict=True)) for row in rows]
        assert table
        assert all(row["grain"] for row in table if row["row"] != "component")
        numbers = [name for name in names if name.endswith(("_nm", "_nm2", "_percent", "probability"))]
        assert numbers and all(
            row[name] == "" or float(row[name]) is not None for row in table for name in numbers
        )
        for grain in {row["grain"] for row in table if row["row"] == "candidate"}:
            own = [row for row in table if row["row"] == "candidate" and row["grain"] == grain]
            assert sum(float(row["probability"] or 0) for row in own) <= 1.001


def test_plot_and_overview_of_the_shown_image_have_one_list_of_peaks(hand, films, tmp_path, monkeypatch):
    hand.type(hand.dock.candidates.names, "LiF, Cu")
    hand.viewer.theme = "dark"
    states = []
    for path in films[:2]:
        hand.drop(path)
        states.append(hand.run())
    profile = hand.bring(ProfileDock)
    for number, state in enumerate(states):
        hand.choose_image(state.layer)
        labels = {
            text.get_text().split("\n")[0] for text in profile.plot.axes.texts if text.get_rotation() == 90
        }
        texts = [text for axes in overview(state.analysis).axes for text in axes.texts]
        assert labels == {text.get_text().split("\n")[0] for text in texts if text.get_rotation() == 90}
        assert labels
        path = tmp_path / f"plot {number}.png"
        monkeypatch.setattr(
            "qtpy.QtWidgets.QFileDialog.getSaveFileName", lambda *args, path=path: (str(path), "")
        )
        profile.plot.draw()
        before = np.asarray(profile.plot.buffer_rgba()).mean()
        hand.menu(profile._row.itemAt(1).widget(), profile.save_plot)
        hand.qtbot.waitUntil(path.exists)  # the menu of PySide6 does not wait for it
        assert path.read_bytes().startswith(b"\x89PNG")
        profile.plot.draw()
        assert np.asarray(profile.plot.buffer_rgba()).mean() == pytest.approx(before, rel=0.02)


def test_hydrogen_is_said_to_be_assumed_and_can_be_excluded(hand, films):
    dock = hand.dock
    for path in films[:2]:
        hand.drop(path)
    hand.type(dock.candidates.elements, "Li, F")
    state = hand.run()
    assert any("LiH" in match.phases for match in state.matches), dock.result.text()
    assert "hydrogen counts as possible (-H excludes it): " in dock.result.text()
    hand.type(dock.candidates.elements, "Li, F, -H")
    state = hand.run()
    assert not any("LiH" in match.phases for match in state.matches)
    assert "hydrogen" not in dock.result.text()


def test_spots_are_edited_by_clicks_and_the_words_follow(hand, films):
    dock = hand.dock
    hand.type(dock.candidates.names, "LiF, Cu")
    hand.drop(films[1])
    hand.drop(films[0])
    state = hand.run()
    spot, found = state.spots[0], len(state.spots)
    labels = _labels_of(state.group["rings"])
    hand.press(dock.views.to_reciprocal)
    hand.press(dock.spots.tools["remove"])
    hand.click(hand.place_of(state, spot.g))
    hand.until(lambda: not state.spots[0].enabled)
    hand.rest()
    assert "deleted" in dock.spots.said.text()
    left = _labels_of(state.group["rings"])
    assert left and {d: labels[d] for d in left} == left  # none jumps
    hand.press(dock.spots.undo)
    hand.until(lambda: state.spots[0].enabled)
    hand.rest()
    assert dock.spots.said.text() == ""
    hand.press(dock.spots.tools["add"])
    hand.click(hand.place_of(state, (-6.0, -6.0)))  # where there is noise
    hand.until(lambda: len(state.spots) > found)
    hand.rest()
    assert "weaker than any found spot: it may be noise" in dock.spots.said.text()
    circles = np.asarray(state.group["spots"].features["spot"])
    assert sum(circles == state.spots[-1].id) == 2  # both discs of the pair
    hand.press(dock.spots.tools["look"])

    mask, found = state.group["mask"], len(state.spots)
    hand.viewer.layers.selection.active = mask
    hand.key(Qt.Key.Key_2)  # napari's brush
    assert mask.mode == "paint"
    mask.brush_size = 9
    g = np.array((5.0, 6.0))
    hand.drag(hand.place_of(state, g), hand.place_of(state, g + 0.02))
    hand.until(lambda: len(state.spots) > found)
    hand.rest()
    spot, spots = state.spots[-1], state.group["spots"]
    assert np.abs(spot.g - g).max() < 0.5  # its other half is circled above the middle
    own = spots.data[np.asarray(spots.features["spot"]) == spot.id]
    assert len(own) == 2 and np.allclose(own.sum(axis=0), 0)


def _labels_of(rings):
    """Where the labels of rings stand, by their words."""
    shapes = zip(rings.features["label"], rings.data, strict=True)
    return {label: np.round(corners.mean(axis=0), 3).tolist() for label, corners in shapes if label}


def test_the_fft_of_a_grain_follows_the_clicked_one_and_goes_with_its_image(hand, two):
    dock, of_grain = hand.dock, hand.dock.of_grain
    hand.press(of_grain)
    assert of_grain.isChecked()
    for state in two:
        hand.choose_image(state.layer)
        for grain in state.grains:
            place = _alone_in(state, grain)
            hand.click(place)
            hand.until(lambda state=state: state.group.get("grain_fft") is not None)
            hand.rest()
            layer = state.group["grain_fft"]
            assert layer.name == f"FFT of grain {grain.id} · {state.layer.name}" and layer.visible
        assert sum(each.metadata[KEY].get("role") == "grain_fft" for each in hand.shown()) == 1
    hand.key(Qt.Key.Key_Escape)
    assert two[1].group.get("grain_fft") is None
    hand.press(of_grain)
    assert not of_grain.isChecked() and dock.session.chosen is None


def _alone_in(state, grain):
    """A place in the image that belongs to one grain alone."""
    regions = dict(zip((each.id for each in state.grains), state.analysis.grain_regions, strict=True))
    grid = state.analysis.map_grid
    own = regions[grain.id].mask_on(grid.box)
    for number, region in regions.items():
        own &= (number == grain.id) | ~region.mask_on(grid.box)
    y, x = np.argwhere(own).mean(axis=0)
    return (y * grid.pixel_size[0], x * grid.pixel_size[1])


def test_pixels_of_the_shown_image_are_averaged_as_the_wheel_zooms(hand, films):
    hand.drop(films[0])
    first = hand.dock.image.image
    hand.drop(films[1])
    shown = hand.dock.image.image
    for layer in (shown, first):
        hand.choose_image(layer)
        for steps in (-12, 30):
            hand.wheel(steps)
            side = pixels_on_one(min(layer.scale), hand.viewer.scene.camera.zoom)
            wanted = "linear" if side == 1 else "custom"
            hand.until(lambda layer=layer, wanted=wanted: str(layer.interpolation2d) == wanted)
            assert (side == 1) is (steps > 0)


def test_what_decides_stands_first_and_the_result_below_run(hand, films):
    """Scale, elements, Run, result, tools; what is rarely needed is folded, or opened on demand."""
    dock = hand.dock
    for path in films[:2]:
        hand.drop(path)
        parts = (
            dock.image, dock.to_calibration, dock.candidates, dock.run, dock.result, dock.spots, dock.live
        )  # fmt: skip
        tops = [part.mapTo(dock, QPoint(0, 0)).y() for part in parts]
        assert tops == sorted(tops) and len(set(tops)) == len(tops)
        tools = dock.spots.tools.values()
        assert len({tool.y() for tool in tools}) == 1
        assert all(tool.toolTip() and not tool.icon().isNull() for tool in tools)
        assert dock.network.visibleRegion().isEmpty() and dock.params.visibleRegion().isEmpty()
    for name, kind in ON_DEMAND.items():
        assert hand.find(kind) is None
        hand.press(dock.on_demand[name])
        hand.until(lambda kind=kind: hand.find(kind) is not None)
        window = hand.viewer.window._qt_window
        assert dock_of(hand.find(kind)) in window.tabifiedDockWidgets(dock_of(dock))


def test_the_live_fft_has_nothing_of_the_whole_over_it(hand, two):
    first, state = two
    dock = hand.dock
    hand.press(dock.live)
    hand.until(lambda: dock.live_fft._group is not None and dock.live_fft._group.get("live") is not None)
    assert dock.live_fft._group["live"].visible
    assert not any(state.group[role].visible for role in ("mask", "spots", "rings"))
    hand.press(dock.live)
    assert all(state.group[role].visible for role in ("mask", "spots", "rings"))
    hand.press(dock.live)
    hand.until(lambda: dock.live_fft._group is not None and dock.live_fft._group.get("live") is not None)
    hand.choose_image(first.layer)
    assert not dock.live.isChecked()
    roles = [layer.metadata[KEY].get("role") for layer in hand.viewer.layers]
    assert "part" not in roles and "live" not in roles
    hand.choose_image(state.layer)
    assert all(state.group[role].visible for role in ("mask", "spots", "rings"))


def test_the_status_bar_tells_grain_and_phase_of_the_shown_image(hand, two):
    first, state = two
    hand.rest()

    def over(world):
        canvas = canvas_of(hand.viewer).native
        place = on_canvas(hand.viewer, world)
        there = QPointF(canvas.mapToGlobal(place))
        none = Qt.MouseButton.NoButton
        event = QMouseEvent(QEvent.Type.MouseMove, place, there, none, none, Qt.KeyboardModifier.NoModifier)
        hand.qtbot.wait(50)  # or it is one movement with the last one
        QApplication.sendEvent(canvas, event)
        hand.qtbot.wait(50)
        hand.viewer.update_status_from_cursor()  # as a thread of napari's does from time to time
        return str(hand.viewer.status)

    QApplication.sendEvent(canvas_of(hand.viewer).native, QEvent(QEvent.Type.Enter))
    hand.viewer.mouse_over_canvas = True
    for image_state in (state, first):
        hand.choose_image(image_state.layer)
        words = over(image_state.grains[0].centre)
        assert "grain 1" in words and "LiF" in words
        assert "spot 0: 0.2500" in over(hand.place_of(image_state, image_state.spots[0].g))


def test_what_went_wrong_stands_in_the_dock_and_is_not_repeated(hand, tmp_path):
    dock = hand.dock
    hand.press(dock.run)
    assert "open a micrograph first" in dock.problem.text() and dock.problem.isVisible()
    noise = np.random.default_rng(3).normal(size=(128, 128)).astype(np.float32)
    for name in ("raw", "other"):
        hand.drop(write_dm(tmp_path / f"{name}.dm3", noise + (name == "other")))
    assert dock.problem.isHidden() and any("not calibrated" in text for text in told())
    hand.press(dock.run)
    assert "pixel size" in dock.problem.text() and dock.problem.isVisible()
    QTest.keyClicks(dock.candidates.elements, "Li")
    assert dock.problem.isHidden()
    hand.type(dock.pixel_size, "0.03")
    hand.press(dock.calibrate)
    notification_manager.records.clear()
    state = hand.run()
    assert state.micrograph.pixel_size == (0.03, 0.03) and state.micrograph.warnings == ()
    assert not any("not calibrated" in text for text in told())
    hand.choose_image(dock.image._images[0])
    assert dock.calibration.isVisible()  # the other one has still no scale


def test_the_window_shrinks_and_no_dock_nor_name_squeezes_the_images(hand, two):
    window = hand.viewer.window._qt_window
    for name in ("Series", "Batch", "Train"):
        hand.press(hand.dock.on_demand[name])
    hand.bring(type(hand.dock))
    window.resize(1280, 800)
    hand.until(lambda: (window.width(), window.height()) == (1280, 800))
    canvas = canvas_of(hand.viewer).native
    hand.until(lambda: canvas.width() > 350 and canvas.height() > 300)
    for state in two:
        hand.choose_image(state.layer)
        camera, fft = hand.viewer.scene.camera, state.group["fft"]
        both = np.ptp([state.layer.extent.world[:, -1], fft.extent.world[:, -1]]) * camera.zoom
        assert 0.8 * canvas.width() < both < 1.01 * canvas.width()
    bottom = dock_of(hand.bring(ProfileDock))
    hand.until(lambda: bottom.height() > 0.35 * window.height())  # what the images leave, side by side
    before = canvas.width()
    two[0].layer.name = "a name that is much longer than the list of layers has room for " * 3
    hand.qtbot.wait(100)
    assert canvas.width() == before
    border = QPoint(bottom.geometry().center().x(), bottom.geometry().top() - 3)
    drag(window, border, border + QPoint(0, 120))
    hand.until(lambda: bottom.height() < 0.3 * window.height())
    window.resize(1200, 780)  # what was set by hand stays
    hand.qtbot.wait(200)
    assert bottom.height() < 0.3 * window.height()


def test_a_profile_docked_at_the_right_is_read_and_its_peaks_are_clicked(hand, two):
    profile = hand.bring(ProfileDock)
    window, dock = hand.viewer.window._qt_window, dock_of(profile)
    window.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, dock)
    plot = profile.plot
    hand.until(lambda: plot.isVisible() and plot.height() > 150)
    for state in two:
        hand.choose_image(state.layer)
        bottom, top = plot.axes.get_ylim()
        drawn = np.concatenate([line.get_ydata() for line in plot.axes.lines])
        assert np.ptp(drawn[np.isfinite(drawn)]) > 0.25 * (top - bottom)
        peak = max(plot.view.peaks(), key=lambda each: each.significance)
        x, y = plot.axes.transData.transform((peak.g, (bottom + top) / 2)) / plot.device_pixel_ratio
        QTest.mouseClick(plot, LEFT, pos=QPoint(round(x), round(plot.height() - y)))
        hand.until(lambda: hand.session.chosen is not None)
        lengths = {spot.id: spot.length for spot in state.spots}
        own = [lengths[spot] for spot in hand.session.chosen.spots]
        assert own and all(abs(length - peak.g) < 3 * peak.width for length in own)


def drag(widget, start, end):
    """Move the mouse over a widget with its left button down."""
    QTest.mousePress(widget, LEFT, pos=start)
    for share in (0.2, 0.6, 1.0):
        QTest.mouseMove(widget, start + share * (end - start), 20)
        QApplication.processEvents()
    QTest.mouseRelease(widget, LEFT, pos=end)


def test_the_colour_bar_of_the_orientation_has_a_title_with_unit_and_stays_off_the_fft(hand, two):
    grains = hand.bring(ResultsDock).findChild(ComponentsDock)
    (more,) = [each for each in grains.findChildren(QToolButton) if each.text() == "Grains"]
    hand.viewer.window._qt_window.resize(1590, 800)  # so that height is scarce
    for state in two:
        hand.choose_image(state.layer)
        hand.menu(more, grains.maps)
        hand.until(lambda state=state: state.group.get("orientation") is not None)
        hand.rest()
        orientation, title, fft = (state.group[role] for role in ("orientation", "key", "fft"))
        assert orientation.visible and orientation.colorbar.visible
        assert [text for text in title.features["label"] if text.startswith("orientation: azimuth (°)")]
        hand.press(hand.dock.views.to_both)
        (left, top), right = fft.extent.world[0][::-1], title.extent.world[1, 1]
        assert right <= state.layer.extent.world[1, 1] + state.micrograph.pixel_size[1] < left
        bar, place = orientation.colorbar, on_canvas(hand.viewer, (top, left))
        assert str(bar.position) == "top_left" and bar.size[0] < 0.5 * place.x()
        corner = on_canvas(hand.viewer, state.layer.extent.world[0])
        assert corner.y() > bar.size[1]  # it hides nothing of the image
    assert two[0].group.get("orientation") is None or not two[0].group["orientation"].visible


STAND_IN = """
import json, pathlib, sys
for step, f1 in ((0, 0.5), (20, 0.9)):
    scores = {"f1": f1, "precision": f1, "recall": f1}
    print(json.dumps({"stage": "training", "step": step, "steps": 20, **scores}), flush=True)
pathlib.Path(sys.argv[1]).mkdir(parents=True)
(pathlib.Path(sys.argv[1]) / "config.json").write_text("{}")
"""


def test_fine_tuning_takes_corrected_masks_alone_and_tells_its_time_and_what_it_changed(
    hand, films, tmp_path, monkeypatch
):
    models = tmp_path / "models"
    small_model(models / "real", "real")
    for module in ("nn.inference.model", "widgets.docks.train"):
        monkeypatch.setattr(f"napari_tem_fft.{module}.own_folder", lambda: models)
    monkeypatch.setattr(child_processes, "_cache", lambda: tmp_path / "kept")
    monkeypatch.setattr(
        child_processes, "command", lambda base, pairs, output: (sys.executable, "-c", STAND_IN, str(output))
    )
    dock = hand.dock
    hand.type(dock.candidates.names, "LiF, Cu")
    two = []
    for path in films[:2]:
        hand.drop(path)
        two.append(hand.run())
    hand.press(dock.on_demand["Train"])
    train = hand.bring(TrainDock)
    hand.choose(train.base, train.base.findText("real"))

    def saved():
        return sorted(Path(train.folder.text()).glob("*.npz"))

    for state in two:  # as they were found
        hand.choose_image(state.layer)
        hand.press(train.save)
        assert "was not edited: correct it first" in dock.problem.text() and not saved()
    assert train.estimate.text() == ""
    hand.press(dock.views.to_reciprocal)
    hand.press(dock.spots.tools["remove"])
    hand.click(hand.place_of(two[1], two[1].spots[0].g))
    hand.until(lambda: is_edited(two[1].analysis))
    hand.rest()
    hand.press(dock.spots.tools["look"])
    hand.until(train.save.isEnabled)
    hand.press(train.save)
    hand.until(lambda: train.pairs.topLevelItemCount() == 1)
    assert len(saved()) == 1 and train.pairs.topLevelItem(0).text(0).startswith("film")
    assert train.estimate.isVisible() and train.estimate.text().startswith("Fine-tuning takes about ")
    hand.press(train.start)
    hand.until(lambda: not train.training.running and train.start.isEnabled())
    assert train.scores.text().startswith("On your pairs: F1 0.50 before, 0.90 now")
    hand.press(dock.spots.undo)
    hand.until(lambda: not is_edited(two[1].analysis))
    hand.rest()
    hand.until(train.save.isEnabled)
    hand.press(train.save)
    assert "was not edited" in dock.problem.text() and len(saved()) == 1


def test_a_series_counts_whole_frames_and_a_row_shows_its_maps(hand, films):
    hand.type(hand.dock.candidates.names, "LiF, Cu")
    hand.drop(films[0])
    film = hand.dock.image.image
    y, x = np.mgrid[:200, :200] * 0.03
    grain = (np.hypot(y - 3, x - 3) < 2.2) * fringes((200, 200), (0.03, 0.03), 0.235, 20.0)
    frames = np.random.default_rng(5).normal(size=(3, 200, 200)) + 2 * np.multiply.outer([0, 1, 1], grain)
    stack = hand.viewer.add_layer(
        Layer.create(*stack_layer(ImageStack(frames.astype(np.float32), Calibration.real(0.03), "series")))
    )
    hand.press(hand.dock.on_demand["Series"])
    series = hand.bring(SeriesDock)
    hand.press(series.run)
    hand.until(lambda: len(series.frames) == 3 and not series.runner.running)
    low, high = series.plot.axes.get_xlim()
    ticks = [tick for tick in series.plot.axes.get_xticks() if low <= tick <= high]
    assert len(ticks) >= 2 and all(tick == round(tick) for tick in ticks)
    for number in (2, 0, 1):
        hand.row(series.tree, str(number))
        hand.until(lambda number=number: hand.viewer.dims.current_step[0] == number)
        hand.rest()
        state = hand.session.current
        assert state.layer is stack and len(state.components) == (number > 0)
        maps = {role for role in state.group.roles if role.startswith("heat")}
        assert bool(maps) == (number > 0) and all(state.group[role].visible for role in maps)
        assert stack in hand.shown() and film not in hand.shown()


def test_no_number_is_nothing_with_a_sign(hand, analysis):
    """Very well known spots and tiny deviations, in two images; what all docks say is read."""
    small = replace(
        analysis,
        spots=tuple(replace(spot, sigma=2e-6) for spot in analysis.spots),
        matches=tuple(
            replace(match, candidates=tuple(_nearly_perfect(each) for each in match.candidates))
            for match in analysis.matches
        ),
    )
    for name in ("first", "second"):
        pixels = small.micrograph.pixels + (name == "second")
        micrograph = replace(small.micrograph, name=name, pixels=pixels)
        data, kwargs, kind = micrograph_layer(micrograph)
        kwargs["metadata"][KEY]["analysis"] = replace(small, micrograph=micrograph)
        hand.viewer.add_layer(Layer.create(data, kwargs, kind))
        hand.rest()
    hand.until(lambda: len(hand.session._image_states) == 2)
    wrong = re.compile(r"±\s*0\.?0*(?![.\d])|[-\u2212]0\.?0*(?![.\d])")
    assert (
        wrong.search("0.2 ± 0.0000 nm") and wrong.search("-0.00°") and not wrong.search("± 0.00002 at -0.01")
    )
    for state in tuple(hand.session._image_states.values()):
        hand.choose_image(state.layer)
        hand.click(hand.place_of(state, state.spots[0].g))
        hand.rest()
        assert hand.session.chosen is not None
        words = _words_of(hand.viewer.window._qt_window)
        assert any("± 0.0" in text for text in words)
        assert not [text for text in words if wrong.search(text)]


def _nearly_perfect(candidate):
    near = {"d_residual": -1e-5, "angle_residual": -1e-3}
    return replace(
        candidate, scale=1 - 1e-6, indexed=tuple(replace(each, **near) for each in candidate.indexed)
    )


def _words_of(window):
    """All that labels, choices and tables of a window say."""
    words = [label.text() for label in window.findChildren(QLabel)]
    words += [box.itemText(n) for box in window.findChildren(QComboBox) for n in range(box.count())]
    for tree in window.findChildren(ResultTree):
        words += [item.text(n) for item in tree.items() for n in range(tree.columnCount())]
    return words


def test_closed_at_work_the_window_asks_once_in_words(hand, films, monkeypatch):
    """And goes on if the answer is no; the keys are those of napari's menu."""
    asked = []

    def answer_no(dialog):
        asked.append("\n".join(label.text() for label in dialog.findChildren(QLabel)))
        return QDialog.DialogCode.Rejected

    for name in ("exec", "exec_"):
        monkeypatch.setattr(QDialog, name, answer_no, raising=False)
    monkeypatch.setattr(get_settings().application, "confirm_close_window", True)
    hand.type(hand.dock.candidates.names, "LiF, Cu")
    window = hand.viewer.window._qt_window
    for path in films[:2]:
        hand.drop(path)
        hand.press(hand.dock.run)
        hand.until(lambda: hand.session.running)
        assert not hand.viewer.window._task_status_manager.is_busy()  # or napari asks about each task too
        asked.clear()
        window.close(confirm_need=True)
        assert len(asked) == 1 and "close window" in asked[0] and not re.search("0x|function|<", asked[0])
        assert window.isVisible() and hand.session.running
        hand.rest()
        assert hand.session.current.analysis is not None


def test_the_sample_at_an_edge_is_lithium_fluoride(hand, films):
    hand.drop(films[1])
    hand.viewer.open_sample("napari-tem-fft", "edge")
    hand.choose(hand.dock.network.list, hand.dock.network.list.findText("spots"))
    hand.type(hand.dock.candidates.elements, "Li, F, -H")
    state = hand.run()
    assert state.layer.name == "edge" and [component.name for component in state.components] == ["LiF"]
    assert "LiF</b>: identified" in hand.dock.result.text()


def test_no_words_are_cut_and_no_button_moves_under_the_mouse(hand, two):
    window, dock = hand.viewer.window._qt_window, hand.dock
    for name in ("Series", "Batch", "Train"):
        hand.press(dock.on_demand[name])
    hand.bring(type(dock))
    window.resize(1280, 800)
    hand.until(lambda: (window.width(), window.height()) == (1280, 800))
    kinds = (
        type(dock),
        ProfileDock,
        ResultsDock,
        SpotsDock,
        CalibrationDock,
        SeriesDock,
        BatchDock,
        TrainDock,
    )
    for theme in ("dark", "light"):
        hand.viewer.theme = theme
        for state in two:
            hand.choose_image(state.layer)
            for kind in kinds:
                widget = hand.bring(kind)
                hand.qtbot.wait(50)
                assert not _cut(widget), kind
    hand.bring(type(dock))
    steady = [dock.run, dock.step, dock.part, dock.cancel]
    hand.qtbot.wait(100)
    before = [each.mapTo(window, QPoint(0, 0)) for each in steady]
    for state in two:
        hand.choose_image(state.layer)
        hand.click(state.grains[0].centre)
        hand.rest()
        assert dock.choice.isVisible()
        hand.qtbot.wait(100)
        assert [each.mapTo(window, QPoint(0, 0)) for each in steady] == before


def _cut(widget):
    """Labels and buttons that have less room than their words need."""
    cut = []
    for each in (*widget.findChildren(QAbstractButton), *widget.findChildren(QLabel)):
        wraps = isinstance(each, QLabel) and each.wordWrap()
        low = wraps and each.height() < each.heightForWidth(each.width()) - 1
        if (
            each.isVisible()
            and each.text()
            and (low or (not wraps and each.width() < each.sizeHint().width() - 1))
        ):
            cut.append(each.text())
    return cut


def test_saving_and_switching_panels_do_not_stop_the_window(hand, two, tmp_path):
    """Of the processor time of the window's own thread no gap between two beats is long."""
    large = np.random.default_rng(1).normal(size=(2048, 2048)).astype(np.float32)
    hand.viewer.add_layer(Layer.create(*micrograph_layer(Micrograph(large, Calibration.real(0.02), "large"))))
    hand.choose_image(two[1].layer)
    beats = [time.thread_time()]
    timer = QTimer(interval=5)
    timer.timeout.connect(lambda: beats.append(time.thread_time()))
    timer.start()

    def longest(act):
        beats[:] = [time.thread_time()]
        act()
        hand.rest()
        hand.qtbot.wait(50)
        return max(np.diff(beats))

    for panel in (True, False):
        assert longest(lambda: hand.press(hand.dock.panel)) < 1.5, panel
    for state in two:
        assert longest(lambda state=state: hand.choose_image(state.layer)) < 0.7
    for kind in (ResultsDock, SpotsDock, CalibrationDock, ProfileDock):
        assert longest(lambda kind=kind: hand.bring(kind)) < 0.7, kind
    path = str(tmp_path / "all.temfft")
    assert longest(lambda: hand.viewer.layers.save(path, plugin="napari-tem-fft")) < 1.5
    assert (tmp_path / "all.temfft").exists()
