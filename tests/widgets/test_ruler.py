"""Lines measured with the mouse on the image and on its FFT, and angles drawn, among two images."""

import csv

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QFileDialog

from mouse import canvas_of, press_on_canvas
from napari_tem_fft.layers.image import KEY
from napari_tem_fft.layers.results import plane_of
from napari_tem_fft.widgets.docks.profile import ProfileDock


def label_of(layer):
    return [text for text in layer.features["label"] if text]


def take(dock, tool):
    QTest.mouseClick(dock.spots.tools[tool], Qt.MouseButton.LeftButton)
    assert dock.session.tools.tool == tool


def profile_dock(dock):
    return next(w for w in dock.session.viewer.window.dock_widgets.values() if isinstance(w, ProfileDock))


def lines_in(viewer):
    return [layer.name for layer in viewer.layers if layer.name.startswith(("line", "angle"))]


def test_a_line_is_measured_on_the_image_then_on_the_fft_and_goes_with_the_image(
    two_images, tmp_path, monkeypatch
):
    session, viewer = two_images.session, two_images.session.viewer
    profile = profile_dock(two_images)
    take(two_images, "line")
    press_on_canvas(viewer, (3.0, 1.0), (2.0, 3.0), (1.0, 4.0))
    line = session.ruler.last
    assert line.profile.length == pytest.approx(np.hypot(2, 3), rel=0.02)
    assert line.profile.azimuth == pytest.approx(np.degrees(np.arctan2(2, 3)), abs=1.0)
    assert label_of(viewer.layers["line · second"]) == [line.label] and " nm, " in line.label
    assert two_images.spots.said.text() == line.words
    order, group = viewer.layers.index, session.current.group
    maps = [order(layer) for layer in group.layers if layer.metadata[KEY]["role"].startswith("heat")]
    assert max(maps) < order(viewer.layers["line · second"]) < order(group["fft"])
    assert not profile.line.isHidden() and profile.line.axes.get_title() == line.label
    assert np.nanstd(line.profile.value) > 0  # fringes
    before = line.profile.value
    profile.width.setValue(9)
    assert np.nanstd(session.ruler.last.profile.value) < np.nanstd(before)

    path = tmp_path / "line.csv"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *args: (str(path), ""))
    profile.save_line.trigger()
    first, *rows = csv.reader(path.read_text(encoding="utf-8").splitlines())
    assert first == ["distance_nm", "value"] and float(rows[-1][0]) == pytest.approx(line.profile.length)

    spot, plane = session.current.spots[0], plane_of(session.current.group["fft"].metadata)
    beside = np.add(spot.g, (0.0, 0.5 * spot.radius))
    press_on_canvas(viewer, plane.world((0.02, 0.02)), plane.world((-1.0, 1.0)), plane.world(beside))
    line = session.ruler.last
    assert (line.profile.start, line.profile.end) == ((0.0, 0.0), spot.g)  # both ends were drawn to
    assert line.label == f"g = {spot.length:.3f} nm⁻¹, d = 0.2500 nm, 30.0°"
    assert line.profile.value.max() == line.profile.value[-3:].max()
    assert lines_in(viewer) == ["line · second"]
    over = [viewer.layers.index(session.current.group[role]) for role in ("fft", "mask", "spots")]
    assert viewer.layers.index(viewer.layers["line · second"]) > max(over)  # else the FFT hides it
    press_on_canvas(viewer, plane.world((0.0, 0.0)), plane.world((-1.0, 0.0)), plane.world((-3.0, 0.0)))
    turn = float(session.ruler.last.words.split("; ")[1].removesuffix("° to the line before"))
    assert turn == pytest.approx(60.0, abs=1.0)  # to a pixel of the screen

    press_on_canvas(viewer, (1.0, 1.0), (2.0, 2.0), (3.0, 3.0))
    first = next(state.layer for state in session._image_states.values() if state.layer.name == "first")
    session.choose(first)
    assert lines_in(viewer) == [] and profile.line.isHidden() and session.ruler.last is None
    assert session.tools.tool == "line"  # still in hand, for the other image
    press_on_canvas(viewer, (1.0, 1.0), (2.0, 2.0), (3.0, 3.0))
    assert lines_in(viewer) == ["line · first"]
    QTest.keyClick(canvas_of(viewer).native, Qt.Key.Key_Escape)
    assert lines_in(viewer) == [] and session.tools.tool == "look"


def test_the_angle_between_two_spots_is_drawn_until_the_selection_ends(two_images, qtbot):
    session, viewer = two_images.session, two_images.session.viewer
    take(two_images, "angle")
    plane = plane_of(session.current.group["fft"].metadata)
    one, other = session.current.spots[:2]
    for spot in (one, other):
        press_on_canvas(viewer, plane.world(spot.g))
    drawn = session.current.group["angle"]
    assert label_of(drawn) == ["60.00°"] or label_of(drawn) == ["120.00°"]
    assert np.allclose(drawn.data[0], [(0, 0), one.g]) and np.allclose(drawn.data[1], [(0, 0), other.g])
    QTest.keyClick(canvas_of(viewer).native, Qt.Key.Key_Escape)
    assert session.current.group.get("angle") is None
    qtbot.waitUntil(lambda: not session.spotlight.runner.running, timeout=60_000)


def test_a_line_on_an_image_without_a_scale_is_in_pixels(two_images, qtbot):
    session, viewer = two_images.session, two_images.session.viewer
    image = viewer.add_image(np.random.default_rng(0).normal(size=(64, 80)), name="raw")
    assert session.stage.image is image
    take(two_images, "line")
    press_on_canvas(viewer, (20.0, 10.0), (20.0, 30.0), (20.0, 50.0))
    assert session.ruler.last.profile.length == pytest.approx(40, abs=1)
    assert "pixels, 0.0°" in session.ruler.last.label or "pixels, 180.0°" in session.ruler.last.label
    viewer.layers.remove(image)
    qtbot.waitUntil(lambda: lines_in(viewer) == [], timeout=10_000)
    assert session.ruler.last is None
