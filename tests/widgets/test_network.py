"""The network in napari: chosen in the dock, run in a process that comes and goes with the dock."""

import gc
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from napari.layers import Layer
from napari.utils.notifications import notification_manager

from fake_server import lives
from napari_tem_fft._reader import read_layers
from napari_tem_fft.widgets._network_choice import FOLDER, NONE
from napari_tem_fft.widgets.tem_fft import TemFftDock


@pytest.fixture
def grain(viewer, dock, grain_file):
    """The image of a grain, chosen in the dock."""
    return viewer.add_layer(Layer.create(*read_layers(str(grain_file))[0]))


@pytest.fixture
def open_dock(make_napari_viewer, qtbot):
    """Open the dock as a user does, in a window that is shown."""

    def make():
        viewer = make_napari_viewer(show=True, strict_qt=True)
        dock = TemFftDock(viewer)
        viewer.window.add_dock_widget(dock, name="TEM FFT")
        qtbot.waitUntil(dock.isVisible)
        return viewer, dock

    return make


def process_of(dock):
    return dock.session.network._process


def messages():
    return [str(record.message) for record in notification_manager.records]


def test_the_dock_lists_the_models(dock, model, tmp_path, monkeypatch, qtbot):
    assert dock.network.list.itemText(0) == NONE
    assert dock.network.list.itemText(dock.network.list.count() - 1) == FOLDER
    monkeypatch.setattr(
        "napari_tem_fft.widgets._network_choice.QFileDialog.getExistingDirectory", lambda *_: str(model)
    )
    dock.network.list.activated.emit(dock.network.list.count() - 1)
    assert dock.network.value == str(model) and dock.network.list.currentText() == "my model"
    assert dock.all_params().network == str(model)
    dock.defaults.click()
    assert dock.network.value == ""


def test_a_folder_without_a_model_is_refused(dock, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "napari_tem_fft.widgets._network_choice.QFileDialog.getExistingDirectory", lambda *_: str(tmp_path)
    )
    dock.network.list.activated.emit(dock.network.list.count() - 1)
    assert dock.network.value == ""
    assert "no model of this name" in messages()[-1]


def test_own_models_are_listed(dock, model, monkeypatch):
    monkeypatch.setattr("napari_tem_fft.nn.model.own_folder", lambda: model.parent)
    dock.network.fill()
    names = [dock.network.list.itemText(i) for i in range(dock.network.list.count())]
    assert "my model" in names
    dock.network.value = "my model"
    dock.session.network.choose("my model")
    assert process_of(dock).folder == model


def test_without_a_network_no_process_is_started(open_dock, server):
    _, dock = open_dock()
    assert server.started == [] and dock.network.state.text() == ""


def test_the_process_comes_with_the_choice_and_goes_with_the_dock(open_dock, server, model, qtbot):
    viewer, dock = open_dock()
    dock.network.value = str(model)
    assert server.started == [model] and process_of(dock).state == "starting"
    assert "loaded" in dock.network.state.text()
    qtbot.waitUntil(lambda: "ready" in dock.network.state.text(), timeout=30_000)
    pid, session = process_of(dock).pid, dock.session
    viewer.window.remove_dock_widget(dock)
    assert not lives(pid), "although somebody may hold the widget"
    again = TemFftDock(viewer)
    again.network.value = str(model)
    viewer.window.add_dock_widget(again, name="again")
    qtbot.waitUntil(lambda: session.network._process.state == "ready", timeout=30_000)


def test_the_process_goes_with_the_window(make_napari_viewer, server, model, qtbot):
    pid = opened_and_closed(make_napari_viewer(show=True, strict_qt=True), model, qtbot)

    def gone():
        gc.collect()
        return not lives(pid)

    qtbot.waitUntil(gone, timeout=60_000)


def opened_and_closed(viewer, model, qtbot):
    """Number of the process of a window that was closed; this function's own names are gone."""
    dock = TemFftDock(viewer)
    viewer.window.add_dock_widget(dock, name="TEM FFT")
    qtbot.waitUntil(dock.isVisible)
    dock.network.value = str(model)
    pid = process_of(dock).pid
    assert lives(pid)
    viewer.close()
    return pid


def test_the_process_goes_when_none_is_chosen(open_dock, server, model, qtbot):
    _, dock = open_dock()
    dock.network.value = str(model)
    pid = process_of(dock).pid
    dock.network.value = ""
    assert not lives(pid) and dock.network.state.text() == ""


def test_a_run_uses_it_and_shows_what_it_said(viewer, dock, server, model, run, grain):
    dock.network.value = str(model)
    findings = run(dock.session, dock.run.click)
    assert findings.analysis.network.name == "my model"
    layer = findings.group["probability"]
    assert layer.data.shape == (63, 63) and not layer.visible
    assert [str(unit) for unit in viewer.layers.units] == ["nanometer", "nanometer"]
    fft = findings.group["fft"]
    centres = [np.mean(each.extent.world, axis=0) for each in (layer, fft)]
    assert np.allclose(*centres, atol=1e-3)
    dock.network.value = ""
    findings = run(dock.session, dock.run.click)
    assert findings.analysis.network is None and findings.group.get("probability") is None


def test_one_killed_in_mid_run_is_told_and_the_run_ends_well(dock, server, model, run, grain, tmp_path):
    server.how[:] = ["dies once", tmp_path / "died"]
    dock.network.value = str(model)
    findings = run(dock.session, dock.run.click)
    assert findings.analysis.network.name == "my model"
    assert any("ended with code 7" in text and "started again" in text for text in messages())


def test_one_killed_while_idle_is_started_again(open_dock, server, model, qtbot):
    _, dock = open_dock()
    dock.network.value = str(model)
    qtbot.waitUntil(lambda: process_of(dock).state == "ready", timeout=30_000)
    pid = process_of(dock).pid
    os.kill(pid, signal.SIGKILL)
    qtbot.waitUntil(lambda: process_of(dock).pid not in (None, pid), timeout=60_000)
    assert any("SIGKILL" in text for text in messages())


def test_one_that_cannot_load_is_told_by_the_run(dock, server, model, run, grain):
    server.how[:] = ["fails"]
    dock.network.value = str(model)
    run(dock.session, dock.run.click)
    assert "TensorFlow is not here" in messages()[-1]
    assert dock.run.isEnabled() and "cannot" in dock.network.state.text()


MAKE = "import pathlib, sys, small_network; small_network.small_model(pathlib.Path(sys.argv[1]))"


def test_a_real_network_in_a_window(dock, grain, tmp_path, qtbot):
    paths = os.pathsep.join(sys.path)
    environment = os.environ | {"PYTHONPATH": paths, "TF_CPP_MIN_LOG_LEVEL": "3"}
    subprocess.run([sys.executable, "-c", MAKE, str(tmp_path)], env=environment, check=True)
    dock.network.value = str(tmp_path)
    with qtbot.waitSignal(dock.session.runner.stopped, timeout=200_000):
        dock.run.click()
    findings = dock.session.current
    assert findings.analysis.network.name == "small" and len(findings.analysis.network.weights_sha256) == 64
    assert 0 <= findings.group["probability"].data.min() <= findings.group["probability"].data.max() <= 1
    assert not {"tensorflow", "keras"} & set(sys.modules)
    process_of(dock).close()


def test_cancel_ends_a_run_that_waits_for_it(dock, server, model, grain, qtbot):
    server.how[:] = ["slow"]
    dock.network.value = str(model)
    dock.run.click()
    qtbot.waitUntil(lambda: process_of(dock).state == "busy", timeout=30_000)
    pid, start = process_of(dock).pid, time.monotonic()
    dock.cancel.click()
    assert time.monotonic() - start < 1 and not dock.session.running and not lives(pid)
    server.how[:] = ["good"]
    process_of(dock).close()
