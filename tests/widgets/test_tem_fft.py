"""The main dock: what it offers, what it refuses, and what it says."""

import numpy as np
import pytest
from napari.layers._source import layer_source
from napari.utils.notifications import notification_manager
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from dm_writer import write_dm
from napari_tem_fft.core.pipeline import AnalysisParams
from napari_tem_fft.io.results.map_files import write_tiff
from napari_tem_fft.widgets.docks.tem_fft import BELOW, ON_DEMAND, TemFftDock
from napari_tem_fft.widgets.session.source import calibration_from, micrograph_from

NOISE = np.random.default_rng(3).normal(size=(128, 128)).astype(np.float32)


@pytest.fixture
def told():
    """What the user has been told."""
    notification_manager.records.clear()
    return lambda: [str(record.message) for record in notification_manager.records]


def test_without_an_image_it_says_what_to_do(dock, told):
    dock.run.click()
    assert "open a micrograph first" in told()[0]
    assert "Open Sample" in dock.result.text()


def test_a_new_image_is_chosen(viewer, dock):
    viewer.add_image(NOISE, name="first")
    viewer.add_image(NOISE, name="second")
    assert dock.image.image is viewer.layers["second"]
    dock.image.image = viewer.layers["first"]
    assert dock.image.currentText() == "first"
    viewer.layers["first"].name = "renamed"
    assert dock.image.currentText() == "renamed"
    viewer.layers.remove("renamed")
    assert dock.image.image is viewer.layers["second"]


def test_results_are_not_offered(viewer, dock, analysed):
    assert [dock.image.itemText(i) for i in range(dock.image.count())] == ["grain"]


def test_uncalibrated_image_opens_with_a_warning_and_is_refused(viewer, dock, tmp_path, told, run):
    viewer.open(str(write_dm(tmp_path / "raw.dm3", NOISE)), plugin="napari-tem-fft")
    assert any(text.startswith("raw.dm3") for text in told())
    dock.run.click()
    assert "give its pixel size in nm" in told()[-1]
    assert not dock.calibration.isHidden()
    dock.pixel_size.setValue(0.03)
    dock.calibrate.click()
    assert dock.calibration.isHidden()
    assert [str(unit) for unit in viewer.layers.units] == ["nanometer", "nanometer"]
    image_state = run(dock.session, dock.run.click)
    assert image_state.micrograph.pixel_size == (0.03, 0.03)
    assert image_state.micrograph.calibration.source == "given by the user"


def test_the_pixel_size_of_a_tiff_that_napari_opened_is_offered(viewer, dock, tmp_path):
    path = write_tiff(tmp_path / "film.tif", NOISE, (0.0317, 0.0317), ("nm", "nm"))
    with layer_source(path=str(path), reader_plugin="napari"):
        viewer.add_image(NOISE, name="film")
    assert dock.stated_size.text() == "its file says 0.0317 nm per pixel: press Set to use it"
    assert not dock.stated_size.isHidden()
    assert dock.pixel_size.value() == pytest.approx(0.0317) and not dock.calibration.isHidden()
    assert "Open a micrograph" not in dock.result.text() and "pixel size" in dock.result.text()
    QTest.mouseClick(dock.calibrate, Qt.MouseButton.LeftButton)
    assert dock.image.image.scale == pytest.approx((0.0317, 0.0317)) and dock.calibration.isHidden()
    assert calibration_from(dock.image.image).source == "file"  # as the command line has it


def test_diffraction_pattern_is_refused(viewer, dock, tmp_path, told):
    viewer.open(str(write_dm(tmp_path / "sad.dm4", NOISE, 0.1, "1/nm")), plugin="napari-tem-fft")
    assert any("1/nm" in text for text in told())
    dock.run.click()
    assert "diffraction pattern" in told()[-1]
    assert not dock.session.running


def test_wrong_candidates_are_named(viewer, dock, told):
    viewer.add_image(NOISE, scale=(0.03, 0.03), units=("nm", "nm"))
    dock.candidates.names.setText("LiF, Unobtainium")
    assert "Unobtainium" in dock.candidates.count.text()
    dock.run.click()
    assert "Unobtainium" in told()[-1]
    dock.candidates.names.clear()
    dock.candidates.elements.setText("Xx")
    dock.run.click()
    assert "'Xx'" in told()[-1]


def test_wrong_parameters_are_named(viewer, dock, told):
    viewer.add_image(NOISE, scale=(0.03, 0.03), units=("nm", "nm"))
    rows = dock.params._sections["spectrum"]._rows
    rows["d_min"].value, rows["d_max"].value = 0.6, 0.5
    dock.run.click()
    assert "smallest d" in told()[-1]
    dock.defaults.click()
    assert dock.params.value == AnalysisParams()


def test_errors_of_the_analysis_are_told(viewer, dock, told, run):
    viewer.add_image(np.ones((64, 64)), scale=(0.03, 0.03), units=("nm", "nm"), name="flat")
    run(dock.session, dock.run.click)
    assert "same value" in told()[-1]
    assert dock.run.isEnabled()


def test_colour_pictures_that_napari_opened_are_grey_and_need_a_scale(viewer, dock, told, run):
    grey = np.clip(NOISE / NOISE.max(), 0, 1)
    layer = viewer.add_image(np.stack([grey] * 3, axis=-1), rgb=True, name="photo")
    dock.run.click()
    assert "pixel size" in told()[-1]
    dock.bar.setValue(4.5)
    dock.bar_pixels.setValue(150)
    assert dock.pixel_size.value() == pytest.approx(0.03)
    dock.calibrate.click()
    assert micrograph_from(layer, viewer).pixel_size == pytest.approx((0.03, 0.03))
    np.testing.assert_allclose(micrograph_from(layer, viewer).pixels, grey)


def test_image_without_crystal_gets_a_mask_to_paint_on(viewer, dock, run):
    viewer.add_image(NOISE, scale=(0.03, 0.03), units=("nm", "nm"), name="noise")
    image_state = run(dock.session, dock.run.click)
    assert image_state.spots == ()
    assert not image_state.group["mask"].data.any()
    assert len(image_state.group["spots"].data) == 0
    assert "no lattice fringes" in dock.result.text()


def test_plane_of_a_stack_is_analysed(viewer, dock, run):
    frames = np.stack([NOISE, 2 * NOISE])
    viewer.add_image(frames, scale=(1, 0.03, 0.03), units=("pixel", "nm", "nm"), name="film")
    viewer.dims.set_current_step(0, 1)
    image_state = run(dock.session, dock.run.click)
    assert image_state.micrograph.name == "film 1"
    assert np.array_equal(image_state.micrograph.pixels, 2 * NOISE)


def test_components_are_listed(dock, analysed):
    assert "2 spots in 1 grain<br>" in dock.result.text()
    assert "nm²" in dock.result.text()


def test_choosing_another_image_hides_what_belongs_to_the_first(viewer, dock, analysed):
    second = viewer.add_image(NOISE, scale=(0.03, 0.03), units=("nm", "nm"), name="second")
    assert dock.image.image is second
    assert dock.session.current is None
    assert not any(analysed.group[role].visible for role in analysed.group.roles)
    dock.image.image = analysed.layer
    assert dock.session.current is analysed
    assert analysed.group["fft"].visible
    assert not analysed.group["ifft"].visible


def test_nothing_is_lost_when_the_dock_is_closed(viewer, dock, analysed, qtbot):
    viewer.window.remove_dock_widget(dock)
    with qtbot.waitSignal(dock.destroyed):
        dock.deleteLater()
    again = TemFftDock(viewer)
    viewer.window.add_dock_widget(again, name="again")
    assert again.session.current is analysed
    assert "2 spots" in again.result.text()


def test_the_other_docks_come_along_once(make_napari_viewer, qtbot):
    viewer = make_napari_viewer(show=True, strict_qt=True)
    _, dock = viewer.window.add_plugin_dock_widget("napari-tem-fft", "TEM FFT")
    docks, all_kinds = BELOW, tuple((BELOW | ON_DEMAND).values())

    def others():
        return [w for w in viewer.window.dock_widgets.values() if isinstance(w, all_kinds)]

    qtbot.waitUntil(lambda: len(others()) == len(docks))
    assert all(other.session is dock.session for other in others())
    dock.hide()
    dock.show()
    assert len(others()) == len(docks)
    for name in (*ON_DEMAND, "Train"):  # each is opened once
        QTest.mouseClick(dock.on_demand[name], Qt.MouseButton.LeftButton)
    assert len(others()) == len(docks) + len(ON_DEMAND)
    QTest.mouseClick(dock.to_calibration, Qt.MouseButton.LeftButton)
    calibration = next(w for w in others() if type(w).__name__ == "CalibrationDock")
    qtbot.waitUntil(calibration.isVisible)


def test_views(viewer, dock, analysed):
    dock.views.to_real.click()
    left = viewer.scene.camera.center[2]
    dock.views.to_reciprocal.click()
    right = viewer.scene.camera.center[2]
    dock.views.to_both.click()
    assert left < viewer.scene.camera.center[2] < right
