"""What the window says and shows of one analysed image, among two: selection, readout, errors, drawing."""

import os
from dataclasses import replace

import numpy as np
import pytest
from napari.layers import Layer
from napari.utils.notifications import notification_manager
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest

from mouse import canvas_of, click
from napari_tem_fft.core.matching import Outcome, PhaseOverride
from napari_tem_fft.io.figures.overview import overview
from napari_tem_fft.layers.image import KEY, micrograph_layer
from napari_tem_fft.widgets.canvas.stage import pixels_on_one, sees_whole
from napari_tem_fft.widgets.canvas.tools import added_words
from napari_tem_fft.widgets.docks.calibration import CalibrationDock
from napari_tem_fft.widgets.docks.phases import PhasesDock
from napari_tem_fft.widgets.docks.profile import ProfileDock
from napari_tem_fft.widgets.docks.results import ComponentsDock
from napari_tem_fft.widgets.docks.tem_fft import TemFftDock
from napari_tem_fft.widgets.docks.train import time_words
from napari_tem_fft.widgets.session.image_state import update
from small_analysis import small_analysis

needs_canvas = pytest.mark.skipif(
    os.environ.get("QT_QPA_PLATFORM") == "offscreen", reason="the canvas needs an OpenGL driver"
)


@pytest.fixture(scope="module")
def analysis():
    """The small analysis with both grains in one component, of which the first is the internal standard."""
    analysis = small_analysis()
    first, second = analysis.matches
    second = replace(first, grain=2, reason="the same", decided_by_user=True)
    both, _ = analysis.components
    heat = np.zeros(analysis.map_grid.shape, np.float32)
    for region in analysis.grain_regions:
        heat[region.box] = np.maximum(heat[region.box], region.heat)
    component = replace(both, grains=(1, 2), heat=heat)
    decisions = (PhaseOverride(1, "LiF", "lock"), PhaseOverride(2, "LiF", "override"))
    matches = (replace(first, outcome=Outcome.IDENTIFIED, phases=("LiF",)), second)
    return replace(analysis, matches=matches, components=(component,), decisions=decisions)


def show(viewer, analysis, name):
    data, kwargs, kind = micrograph_layer(replace(analysis.micrograph, name=name))
    kwargs["metadata"][KEY]["analysis"] = analysis
    return viewer.add_layer(Layer.create(data, kwargs, kind))


@pytest.fixture
def small(viewer, dock, analysis, qtbot):
    """What is known of the second of two images."""
    viewer.add_image(np.random.default_rng(0).normal(size=(64, 64)), scale=(0.1, 0.1), units=("nm", "nm"))
    show(viewer, analysis, "small")
    qtbot.waitUntil(lambda: dock.session.current is not None, timeout=60_000)
    qtbot.waitUntil(lambda: not dock.session.running, timeout=60_000)
    return dock.session.current


def at_rest(dock, qtbot):
    qtbot.waitUntil(lambda: not dock.session.spotlight.runner.running, timeout=60_000)


def test_a_selected_grain_stands_out_alone(viewer, dock, small, qtbot):
    heat = small.group[f"heat {small.components[0].name}"]
    own = heat.opacity
    click(viewer, small.grains[1].centre)
    at_rest(dock, qtbot)
    selected = small.group["selected"]
    assert dock.session.chosen.grains == (2,)
    assert heat.opacity < own and selected.visible
    region = small.analysis.grain_regions
    assert np.array_equal(selected.data > 0.5, region[1].mask_on(small.analysis.map_grid.box))
    dock.session.deselect()
    assert small.group.get("selected") is None and heat.opacity == own


def test_a_row_of_the_table_flies_to_its_grain_and_escape_ends_the_selection(viewer, dock, small, qtbot):
    table = PhasesDock(viewer)
    viewer.window.add_dock_widget(table, name="phases", area="bottom")
    second = next(item for item in table.tree.items() if item.text(0).startswith("grain 2"))
    assert "assigned by user" in second.text(0)
    place = table.tree.visualItemRect(second).center()
    fft = small.group["fft"]
    QTest.mouseClick(table.tree.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert dock.session.chosen.grains == (2,)
    assert sees_whole(viewer, fft) and sees_whole(viewer, small.layer)  # too large a grain to gain by less
    dock.session.stage.fly_to((1.0, 6.8), 0.8)
    assert sees_whole(viewer, fft) and not sees_whole(viewer, small.layer)  # a small one beside its pattern
    dock.session.stage.look("real")
    assert not sees_whole(viewer, fft)
    QTest.mouseClick(table.tree.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert viewer.scene.camera.center[-2:] == pytest.approx(small.grains[1].centre)
    dock.session.tools.take("remove")
    QTest.keyClick(table.tree, Qt.Key.Key_Escape)
    assert dock.session.chosen is None and dock.session.tools.tool == "look"
    at_rest(dock, qtbot)


def test_a_grain_as_large_as_the_image_is_not_looked_at_from_afar(viewer, dock, small):
    dock.session.stage.look("real")
    dock.session.stage.fly_to((1.9, 3.8), 50.0)
    side = np.min(np.ptp(small.layer.extent.world, axis=0))
    assert viewer.scene.camera.zoom * side > 0.8 * min(viewer.canvas.size)


@needs_canvas
def test_escape_on_the_canvas_ends_the_selection(make_napari_viewer, analysis, qtbot):
    viewer = make_napari_viewer(show=True, strict_qt=True)
    dock = TemFftDock(viewer)
    viewer.window.add_dock_widget(dock, name="TEM FFT")
    show(viewer, analysis, "small")
    qtbot.waitUntil(lambda: dock.session.current is not None and not dock.session.running, timeout=60_000)
    click(viewer, dock.session.current.grains[0].centre)
    dock.session.tools.take("angle")
    QTest.keyClick(canvas_of(viewer).native, Qt.Key.Key_Escape)
    assert dock.session.chosen is None and dock.session.tools.tool == "look"
    at_rest(dock, qtbot)


def test_both_discs_of_a_pair_are_circled(small):
    spots = small.group["spots"]
    assert len(spots.data) == 2 * sum(spot.enabled for spot in small.spots)
    for spot in small.spots:
        own = spots.data[np.asarray(spots.features["spot"]) == spot.id]
        if spot.enabled:
            assert own.sum(axis=0) == pytest.approx([0, 0]) and own[0] == pytest.approx(spot.g)


def test_a_hidden_layer_that_has_fewer_points_now_can_be_looked_at(small):
    spots = small.group["spots"]
    spots.visible = False
    data, kwargs, kind = spots.as_layer_data_tuple()
    fewer = {name: kwargs[name][:1] for name in ("features", "size", "border_color", "face_color")}
    update(spots, (data[:1], {**kwargs, **fewer}, kind))
    spots.opacity = 0.5
    spots.visible = True
    assert len(spots.data) == 1 and len(spots.features) == 1


def test_over_the_image_the_status_tells_grain_and_phase(viewer, dock, small):
    words = dock.session._readout.text(small.grains[1].centre, viewer)
    assert "grain 2: LiF / mine assigned by user" in words and "x 4.50 nm   y 2.40 nm" in words
    assert "grain" not in dock.session._readout.text((0.1, 7.0), viewer)


def test_what_a_person_has_set_is_said_to_be_so(viewer, dock, small):
    table = ComponentsDock(viewer)
    viewer.window.add_dock_widget(table, name="components", area="bottom")
    component, *below = table.tree.items()
    first, second = (item for item in below if item.text(0).startswith("grain"))
    assert second.text(1) == "assigned by user" and first.text(1) == "identified"
    assert "ambiguous; assigned by user in 1 of 2 grains" in component.text(1)


def test_the_internal_standard_is_seen_in_the_calibration(viewer, dock, small):
    calibration = CalibrationDock(viewer)
    viewer.window.add_dock_widget(calibration, name="calibration", area="bottom")
    assert "internal standard: LiF in grain 1, scale +1.00 %" in calibration.scale.text()


def test_phases_to_assign_begin_with_the_candidates(viewer, dock, small):
    table = PhasesDock(viewer)
    viewer.window.add_dock_widget(table, name="phases", area="bottom")
    table.words.offer(small, 1)
    box = table.words.phase
    names = [box.itemText(number) for number in range(box.count())]
    assert names[:2] == ["LiF", "mine"] and names[2:] == sorted(names[2:], key=str.lower)
    assert box.maxVisibleItems() <= 20


def test_the_live_fft_is_not_covered_by_what_was_found_in_the_whole(viewer, dock, small, qtbot):
    small.group["rings"].visible = False
    with qtbot.waitSignal(dock.live_fft.runner.stopped, timeout=60_000):
        QTest.mouseClick(dock.live, Qt.MouseButton.LeftButton, pos=dock.live.rect().center())
        dock.live.setChecked(True)
    assert not any(small.group[role].visible for role in ("mask", "spots", "rings"))
    dock.live.setChecked(False)
    assert small.group["mask"].visible and small.group["spots"].visible
    assert not small.group["rings"].visible  # as the user had it


def test_the_fft_of_the_selected_grain(viewer, dock, small, qtbot):
    QTest.mouseClick(dock.of_grain, Qt.MouseButton.LeftButton, pos=QPoint(8, dock.of_grain.height() // 2))
    assert dock.of_grain.isChecked()
    for number in (1, 2):
        dock.session.look_at_grain(number)
        qtbot.waitUntil(lambda: small.group.get("grain_fft") is not None, timeout=60_000)
        layer = small.group["grain_fft"]
        assert layer.name == f"FFT of grain {number} · small"
        assert viewer.layers.index(layer) > viewer.layers.index(small.group["fft"])
        assert layer.metadata[KEY]["centre"] == small.group["fft"].metadata[KEY]["centre"]
    dock.session.deselect()
    assert small.group.get("grain_fft") is None
    at_rest(dock, qtbot)


def test_indices_and_zone_axis_stand_at_the_spots_of_the_selected_grain(viewer, dock, small, qtbot):
    click(viewer, small.grains[0].centre)
    at_rest(dock, qtbot)
    pattern = small.group["pattern"]
    labels = [str(label) for label in pattern.features["label"]]
    assert labels[0] == "LiF [0 1 1]" and "2 0 0" in labels and "-2 0 0" in labels
    place = pattern.data[[str(hkl) for hkl in pattern.features["hkl"]].index("2 0 0")]
    # 200 lies to the right, at d of the table over the candidate's scale
    assert place == pytest.approx((0.0, 1.01 / 0.20135), abs=0.03)
    dock.session.deselect()
    assert small.group.get("pattern") is None


def test_grains_are_outlined_numbered_and_named_on_the_image(viewer, dock, small):
    grains, numbers, legend = (small.group[role] for role in ("grains", "numbers", "legend"))
    assert grains.contour > 0 and grains.visible and small.group["specimen"].contour > 0
    assert list(numbers.features["grain"]) == [1, 2]
    assert numbers.data == pytest.approx(np.array([grain.centre for grain in small.grains]))
    (label,) = legend.features["label"]
    assert label == "LiF / mine (ambiguous)  21.0 %"
    assert legend.data[0][0] > small.micrograph.extent[0]  # below the image, and covers nothing
    colour = small.group[f"heat {small.components[0].name}"].colormap.colors[-1][:3]
    assert legend.face_color[0][:3] == pytest.approx(colour, abs=0.01)
    assert grains.colormap.map(0)[3] == 0 and grains.colormap.map(1)[3] == 1


def test_what_went_wrong_stands_in_the_dock_until_something_changes(viewer, dock):
    QTest.mouseClick(dock.run, Qt.MouseButton.LeftButton)
    assert "open a micrograph first" in dock.problem.text() and not dock.problem.isHidden()
    QTest.keyClicks(dock.candidates.elements, "Li")
    assert dock.problem.isHidden()
    QTest.mouseClick(dock.run, Qt.MouseButton.LeftButton)
    viewer.add_image(np.ones((64, 64)))
    assert dock.problem.isHidden()


def test_a_calibrated_image_is_no_longer_said_to_be_none(viewer, dock, run):
    data, kwargs, kind = micrograph_layer(small_analysis().micrograph)
    kwargs |= {"units": ("pixel", "pixel"), "scale": (1.0, 1.0)}
    kwargs["metadata"][KEY]["warnings"] = ["not calibrated: the file gives no pixel size"]
    layer = viewer.add_layer(Layer.create(data, kwargs, kind))
    notification_manager.records.clear()
    dock.pixel_size.setValue(0.025)
    dock.calibrate.click()
    found = run(dock.session, dock.run.click)
    assert found.layer is layer and found.micrograph.warnings == ()
    assert not any("not calibrated" in str(record.message) for record in notification_manager.records)


def test_undo_takes_back_what_was_said_of_the_edit(dock, small, run):
    spot = small.spots[0]
    dock.session.tools.take("remove")
    run(dock.session, lambda: dock.session.tools._click(spot.g))
    assert "deleted" in dock.spots.said.text()
    run(dock.session, lambda: QTest.mouseClick(dock.spots.undo, Qt.MouseButton.LeftButton))
    assert dock.spots.said.text() == "" and small.spots[0].enabled


def test_a_spot_of_noise_is_commented_on(analysis):
    weak = replace(analysis.spots[0], id=7, snr=4.0)
    assert "SNR 4.0; weaker than any found spot: it may be noise" in added_words(weak, 9.0)
    assert "noise" not in added_words(replace(weak, snr=30.0), 9.0)


def test_a_saved_plot_leaves_the_dock_in_its_theme(viewer, dock, small, tmp_path, qtbot):
    viewer.theme = "dark"
    profile = ProfileDock(viewer)
    viewer.window.add_dock_widget(profile, name="profile", area="bottom")
    plot = profile.plot
    plot.draw()
    before = np.asarray(plot.buffer_rgba()).mean()
    plot.save(str(tmp_path / "plot.png"))
    assert plot.figure.get_facecolor()[:3] != (1.0, 1.0, 1.0)
    plot.draw()
    assert np.asarray(plot.buffer_rgba()).mean() == pytest.approx(before, rel=0.02)


def test_plot_and_overview_show_the_same_peaks(viewer, dock, small):
    profile = ProfileDock(viewer)
    viewer.window.add_dock_widget(profile, name="profile", area="bottom")
    shown = {f"{peak.d:.4f}" for peak in profile.plot.view.peaks()}
    texts = [text for axes in overview(small.analysis).axes for text in axes.texts]
    labels = {text.get_text() for text in texts if text.get_rotation() == 90}
    assert labels == shown


def test_a_time_that_fine_tuning_takes_is_said_in_words():
    assert time_words(140) == "about 2 min"


def test_pixels_are_averaged_where_several_fall_on_one_of_the_screen(viewer, dock, small, qtbot):
    assert (pixels_on_one(0.02, 10.0), pixels_on_one(0.02, 49.0), pixels_on_one(0.02, 0.1)) == (5, 1, 16)
    layer = small.layer
    viewer.scene.camera.zoom = 10.0
    qtbot.waitUntil(lambda: str(layer.interpolation2d) == "custom")
    assert layer.custom_interpolation_kernel_2d.shape == (5, 5)
    assert str(viewer.layers[0].interpolation2d) == "linear"  # opened by napari, as its own reader does
    viewer.scene.camera.zoom = 200.0
    qtbot.waitUntil(lambda: str(layer.interpolation2d) == "linear")
    layer.interpolation2d = "nearest"  # the user's choice stays
    viewer.scene.camera.zoom = 10.0
    qtbot.wait(120)
    assert str(layer.interpolation2d) == "nearest"


@needs_canvas
def test_no_false_fringes_are_drawn(make_napari_viewer, qtbot):
    viewer = make_napari_viewer(show=True)
    dock = TemFftDock(viewer)
    viewer.window.add_dock_widget(dock, name="TEM FFT")
    stripes = 100 + 50 * np.sin(2 * np.pi * np.arange(4096) / 4.3)[None, :] * np.ones((4096, 1))
    analysis = small_analysis()
    micrograph = replace(analysis.micrograph, pixels=stripes.astype(np.float32))
    layer = viewer.add_layer(Layer.create(*micrograph_layer(micrograph)))
    qtbot.waitUntil(lambda: str(layer.interpolation2d) == "custom", timeout=10_000)

    def contrast():
        picture = viewer.screenshot(flash=False)[..., 0].astype(float)
        rows, columns = picture.shape
        return picture[rows // 2 - 20 : rows // 2 + 20, columns // 2 - 60 : columns // 2 + 60].std()

    averaged = contrast()
    layer.interpolation2d = "nearest"
    assert averaged < 0.25 * contrast()
