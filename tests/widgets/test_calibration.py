"""The calibration dock: a spot is said to be a known reflection, and all lengths follow."""

import json

import numpy as np
import pytest

from mouse import click
from napari_tem_fft.layers.results import plane_of
from napari_tem_fft.widgets.docks.calibration import CalibrationDock


@pytest.fixture
def calibration(viewer, analysed):
    dock = CalibrationDock(viewer)
    viewer.window.add_dock_widget(dock, name="calibration", area="bottom")
    return dock


def test_a_clicked_spot_is_taken_and_the_nearest_reflection_offered(viewer, dock, analysed, calibration):
    spot = next(spot for spot in analysed.spots if spot.d > 0.22)
    click(viewer, plane_of(analysed.group["fft"].metadata).world(spot.g))
    assert calibration.feature.currentText().startswith(f"spot {spot.id} 0.235")
    calibration.phase.setCurrentText("Au")
    assert calibration.reflection.currentText().startswith("(1 1 1)  0.2354")


def test_the_scale_is_corrected_and_the_image_analysed_again(
    dock, analysed, calibration, run, tmp_path, monkeypatch
):
    spot = next(spot for spot in analysed.spots if spot.d > 0.22)
    before, d = analysed.layer.scale[0], spot.d
    calibration.feature.setCurrentIndex([m.label for m in calibration._marks].index(str(spot.id)))
    calibration.d.setValue(1.02 * d)
    assert not calibration.correct.isEnabled()
    calibration.add.click()
    assert float(calibration.correct.text().split()[1]) == pytest.approx(1.02, abs=1e-4)
    path = tmp_path / "profile.json"
    monkeypatch.setattr("qtpy.QtWidgets.QFileDialog.getSaveFileName", lambda *args: (str(path), ""))
    calibration.save.click()
    assert json.loads(path.read_text())["correction"]["factors"] == pytest.approx([1.02, 1.02], abs=1e-4)
    run(dock.session, calibration.correct.click)
    assert analysed.layer.scale[0] == pytest.approx(1.02 * before, rel=1e-4)
    assert max(spot.d for spot in analysed.spots) == pytest.approx(1.02 * d, rel=1e-3)
    stated = analysed.analysis.micrograph.calibration.uncertainty_percent
    fit, standard = 100 * spot.d_sigma / spot.d, 0.3
    assert stated == pytest.approx(np.hypot(fit, standard), rel=0.02)
    assert "corrected on d = " in calibration.scale.text()
    monkeypatch.setattr("qtpy.QtWidgets.QFileDialog.getOpenFileName", lambda *args: (str(path), ""))
    run(dock.session, calibration.load.click)
    assert analysed.layer.scale[0] == pytest.approx(1.02**2 * before, rel=1e-4)


def test_spots_that_do_not_tell_the_axes_apart_are_refused(calibration):
    calibration.per_axis.setChecked(True)
    calibration.add.click()
    assert not calibration.correct.isEnabled()
    assert "two spots" in calibration.correct.toolTip()
    calibration.tree.chosen.emit(calibration._pairs[0][0].label)
    assert calibration._pairs == []
