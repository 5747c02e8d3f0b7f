"""Nothing outlives its viewer: not the session, not the docks, not a run's memory."""

import gc
from weakref import ref

import pytest
from napari.layers import Layer

from napari_tem_fft.plugin.reader import read_layers
from napari_tem_fft.widgets.docks.batch import BatchDock
from napari_tem_fft.widgets.docks.calibration import CalibrationDock
from napari_tem_fft.widgets.docks.phases import PhasesDock
from napari_tem_fft.widgets.docks.profile import ProfileDock
from napari_tem_fft.widgets.docks.results import ComponentsDock
from napari_tem_fft.widgets.docks.series import SeriesDock
from napari_tem_fft.widgets.docks.tem_fft import TemFftDock
from napari_tem_fft.widgets.docks.train import TrainDock

DOCKS = [
    TemFftDock,
    ProfileDock,
    ComponentsDock,
    PhasesDock,
    CalibrationDock,
    SeriesDock,
    BatchDock,
    TrainDock,
]


@pytest.mark.parametrize("make", DOCKS)
def test_a_closed_dock_is_gone(viewer, make, qtbot):
    dock = make(viewer)
    viewer.window.add_dock_widget(dock, name="dock")
    viewer.window.remove_dock_widget(dock)
    gone = ref(dock)
    del dock

    def is_gone():  # PySide lets go of it with the next turns of the event loop
        gc.collect()
        return gone() is None

    qtbot.waitUntil(is_gone)


def test_the_session_goes_with_its_viewer(make_napari_viewer, grain_file, run, qtbot):
    session, power = run_and_close(make_napari_viewer(strict_qt=True), grain_file, run)

    def gone():
        gc.collect()
        return session() is None and power() is None

    qtbot.waitUntil(gone)


def run_and_close(viewer, file, run):
    """Weak references to a session and an array of its analysis; this function's own names are gone."""
    dock = TemFftDock(viewer)
    viewer.window.add_dock_widget(dock, name="TEM FFT")
    dock.candidates.names.setText("LiF, Cu")
    viewer.add_layer(Layer.create(*read_layers(str(file))[0]))
    run(dock.session, dock.run.click)
    refs = ref(dock.session), ref(dock.session.current.analysis.diffractogram.power)
    viewer.close()
    return refs


def test_an_older_analysis_is_given_back(dock, analysed, run):
    older = ref(analysed.analysis.diffractogram.power)
    run(dock.session, dock.run.click)
    gc.collect()
    assert older() is None
