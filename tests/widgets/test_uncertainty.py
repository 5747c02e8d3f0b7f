"""How well a scale is known is each image's own: two images in a viewer, a stack, and a batch beside them."""

import json

import numpy as np
import pytest
from napari.layers import Layer

from napari_tem_fft.core.image.calibration import Calibration
from napari_tem_fft.core.image.micrograph import ImageStack
from napari_tem_fft.core.series import Series
from napari_tem_fft.layers.image import KEY, stack_layer
from napari_tem_fft.plugin.reader import read_layers
from napari_tem_fft.widgets.docks.batch import BatchDock
from napari_tem_fft.widgets.docks.calibration import CalibrationDock
from napari_tem_fft.widgets.docks.series import SeriesDock
from napari_tem_fft.widgets.forms.params import value_rows
from napari_tem_fft.widgets.session.source import calibration_from


def add(viewer, path, name):
    layer = Layer.create(*read_layers(str(path))[0])
    layer.name = name
    return viewer.add_layer(layer)


@pytest.fixture
def corrected(viewer, dock, analysed, run):
    """The analysed image after its scale was corrected on a spot of a known d in the calibration dock."""
    calibration = CalibrationDock(viewer)
    viewer.window.add_dock_widget(calibration, name="calibration", area="bottom")
    spot = next(spot for spot in analysed.spots if spot.d > 0.22)
    labels = [feature.label for feature in calibration._marks]
    calibration.feature.setCurrentIndex(labels.index(str(spot.id)))
    calibration.d.setValue(1.01 * spot.d)
    calibration.add.click()
    run(dock.session, calibration.correct.click)
    return analysed


def test_a_correction_of_one_image_says_nothing_of_another(viewer, dock, corrected, grain_file, run):
    known = corrected.analysis.micrograph.calibration.uncertainty
    assert 0.003 <= known < 0.005
    assert dock.uncertainty.value() == pytest.approx(100 * known, abs=0.005)
    other = add(viewer, grain_file, "other")
    assert dock.image.image is other and dock.uncertainty.value() == 2.0
    found = run(dock.session, dock.run.click)
    assert found.layer is other and found.analysis.micrograph.calibration.uncertainty == 0.02
    dock.image.image = corrected.layer
    assert dock.uncertainty.value() == pytest.approx(100 * known, abs=0.005)
    assert calibration_from(corrected.layer).uncertainty == known  # to look at it rounds nothing
    assert corrected.analysis.micrograph.calibration.uncertainty == known


def test_the_field_edits_the_chosen_image_alone(viewer, dock, analysed, grain_file, run):
    other = add(viewer, grain_file, "other")
    dock.uncertainty.setValue(0.5)
    assert calibration_from(other).uncertainty == 0.005
    assert calibration_from(analysed.layer).uncertainty == 0.02
    dock.image.image = analysed.layer
    assert dock.uncertainty.value() == 2.0
    dock.image.image = other
    assert dock.uncertainty.value() == 0.5
    dock.defaults.click()  # those of the parameters, to which it does not belong
    assert dock.uncertainty.value() == 0.5
    assert "calibration_uncertainty" not in {row.name for row in value_rows(dock.params._rows)}
    found = run(dock.session, dock.run.click)
    assert found.layer is other and found.analysis.micrograph.calibration.uncertainty == 0.005


def test_a_duplicate_of_an_image_keeps_its_own(viewer, dock, grain_file):
    layer = add(viewer, grain_file, "first")
    data, attributes, kind = layer.as_layer_data_tuple()
    duplicate = viewer.add_layer(Layer.create(data, {**attributes, "name": "second"}, kind))
    dock.image.image = duplicate
    dock.uncertainty.setValue(0.5)
    assert calibration_from(duplicate).uncertainty == 0.005
    assert calibration_from(layer).uncertainty == 0.02


def test_an_image_that_another_reader_opened(viewer, dock):
    layer = viewer.add_image(np.random.default_rng(0).normal(size=(64, 64)), name="array")
    assert dock.uncertainty.value() == 2.0
    dock.uncertainty.setValue(1.0)
    dock.pixel_size.setValue(0.03)
    dock.calibrate.click()
    assert dock.uncertainty.value() == 1.0
    assert calibration_from(layer) == Calibration((0.03, 0.03), "real", 0.01, "given by the user")


def test_a_part_has_that_of_the_whole(viewer, dock, analysed, run):
    dock.uncertainty.setValue(0.5)
    box = [(1.0, 0.6), (1.0, 5.4), (6.6, 5.4), (6.6, 0.6)]
    viewer.add_shapes([np.array(box)], shape_type="rectangle", units=("nm", "nm"), axis_labels=("y", "x"))
    part = run(dock.session, dock.part.click)
    assert part is not analysed and part.analysis.micrograph.calibration.uncertainty == 0.005
    assert dock.uncertainty.value() == 0.5


def test_an_opened_document_has_the_uncertainty_of_its_analysis(viewer, dock, analysed, run, tmp_path):
    dock.uncertainty.setValue(0.5)
    run(dock.session, dock.run.click)
    dock.uncertainty.setValue(0.7)  # and not analysed again
    viewer.layers.save(str(tmp_path / "all.temfft"), plugin="napari-tem-fft")
    layers = [kwargs["metadata"][KEY] for _, kwargs, _ in read_layers(str(tmp_path / "all.temfft"))]
    notes = next(each for each in layers if each["role"] == "micrograph")
    assert notes["calibration"]["uncertainty"] == 0.005
    assert notes["analysis"].micrograph.calibration.uncertainty == 0.005


def test_a_series_goes_by_its_stack(viewer, dock, corrected, qtbot, monkeypatch):
    series = SeriesDock(viewer)
    viewer.window.add_dock_widget(series, name="series", area="bottom")
    frames = np.random.default_rng(0).normal(size=(2, 64, 64)).astype(np.float32)
    viewer.add_layer(Layer.create(*stack_layer(ImageStack(frames, Calibration.real(0.03), "series"))))
    assert dock.uncertainty.value() == 2.0
    seen = []

    def steps(count, frame, *_):
        seen.extend(frame(number).calibration.uncertainty for number in range(count))
        yield from ()
        return Series(())

    monkeypatch.setattr("napari_tem_fft.widgets.docks.series.series_steps", steps)
    for _ in range(2):
        with qtbot.waitSignal(series.runner.stopped, timeout=60_000):
            series.run.click()
        dock.uncertainty.setValue(0.5)
    assert seen == [0.02, 0.02, 0.005, 0.005]


def test_a_batch_knows_nothing_of_the_main_docks_image(viewer, corrected, grain_file, tmp_path, qtbot):
    batch = BatchDock(viewer)
    viewer.window.add_dock_widget(batch, name="Batch", area="bottom")
    batch.form.add_inputs([str(grain_file)])
    batch.form.workers.setValue(1)
    assert batch.form.uncertainty.text() == "each file's own"
    assert "scale" not in batch.form.settings.text()
    for stated, percent in ((0.0, 2.0), (0.5, 0.5)):
        folder = tmp_path / f"out {stated}"
        batch.form.output.setText(str(folder))
        batch.form.uncertainty.setValue(stated)
        batch.start.click()
        qtbot.waitUntil(lambda: not batch.run.running, timeout=120_000)
        stored = json.loads((folder / "grain.dm4" / "analysis.json").read_text())
        assert stored["micrograph"]["calibration"]["uncertainty"] == percent / 100
        assert batch.run.records[0].uncertainty == percent
