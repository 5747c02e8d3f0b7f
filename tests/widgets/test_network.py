"""The network in napari: chosen in the dock, loaded by the first run that uses it."""

import sys

import numpy as np
import pytest
from napari.layers import Layer
from napari.utils.notifications import notification_manager

from napari_tem_fft.plugin.reader import read_layers
from napari_tem_fft.widgets.forms.choices import FOLDER, NONE


@pytest.fixture
def grain(viewer, dock, grain_file):
    """The image of a grain, chosen in the dock."""
    return viewer.add_layer(Layer.create(*read_layers(str(grain_file))[0]))


def messages():
    return [str(record.message) for record in notification_manager.records]


def test_the_dock_lists_the_models(dock, model, tmp_path, monkeypatch, qtbot):
    assert dock.network.list.itemText(0) == NONE
    assert dock.network.list.itemText(dock.network.list.count() - 1) == FOLDER
    monkeypatch.setattr(
        "napari_tem_fft.widgets.forms.choices.QFileDialog.getExistingDirectory", lambda *_: str(model)
    )
    dock.network.list.activated.emit(dock.network.list.count() - 1)
    assert dock.network.value == str(model) and dock.network.list.currentText() == "my model"
    assert dock.all_params().network == str(model)
    dock.defaults.click()
    assert dock.network.value == ""


def test_a_folder_without_a_model_is_refused(dock, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "napari_tem_fft.widgets.forms.choices.QFileDialog.getExistingDirectory",
        lambda *_: str(tmp_path),
    )
    dock.network.list.activated.emit(dock.network.list.count() - 1)
    assert dock.network.value == ""
    assert "neither the name of a model" in messages()[-1]


def test_own_models_are_listed(dock, model, monkeypatch):
    monkeypatch.setattr("napari_tem_fft.nn.inference.model.own_folder", lambda: model.parent)
    dock.network.fill()
    names = [dock.network.list.itemText(i) for i in range(dock.network.list.count())]
    assert "my model" in names
    dock.network.value = "my model"
    assert dock.session.network.name == "my model"


def test_a_run_uses_it_and_shows_what_it_said(viewer, dock, model, run, grain):
    dock.network.value = str(model)
    image_state = run(dock.session, dock.run.click)
    assert image_state.analysis.network.name == "my model"
    layer = image_state.group["probability"]
    assert layer.data.shape == (63, 63) and not layer.visible
    assert 0 <= layer.data.min() < layer.data.max() <= 1
    assert [str(unit) for unit in viewer.layers.units] == ["nanometer", "nanometer"]
    fft = image_state.group["fft"]
    centres = [np.mean(each.extent.world, axis=0) for each in (layer, fft)]
    assert np.allclose(*centres, atol=1e-3)
    assert not {"tensorflow", "keras"} & set(sys.modules)
    dock.network.value = ""
    image_state = run(dock.session, dock.run.click)
    assert image_state.analysis.network is None and image_state.group.get("probability") is None


def test_it_is_loaded_once_for_several_runs(dock, model, run, grain, monkeypatch):
    dock.network.value = str(model)
    first = run(dock.session, dock.run.click).analysis
    monkeypatch.setattr("napari_tem_fft.widgets.session.settings.load_segmenter", None)
    again = run(dock.session, dock.run.click).analysis
    assert again is not first and again.spots == first.spots


def test_one_that_cannot_be_loaded_is_told_by_the_run(dock, model, run, grain):
    with (model / "weights.keras").open("ab") as file:
        file.write(b"more")
    dock.network.value = str(model)
    run(dock.session, dock.run.click)
    assert "their SHA-256 differs" in messages()[-1] and dock.run.isEnabled()
    dock.network.value = ""
    assert run(dock.session, dock.run.click).analysis.network is None
