"""How many modules a stroke of the brush goes through until the new profile is drawn."""

import sys
from pathlib import Path

import numpy as np
import pytest
from napari.layers import Layer

import napari_tem_fft
from mouse import stroke
from napari_tem_fft.layers.image import KEY
from napari_tem_fft.plugin.reader import read_layers
from napari_tem_fft.widgets.docks.profile import ProfileDock
from napari_tem_fft.widgets.docks.tem_fft import TemFftDock
from napari_tem_fft.widgets.session import runner

HOUSE = Path(napari_tem_fft.__file__).parent
#: Six of the session and its layers, five of the profile's sums and peaks (one of them only at the first
#: stroke, which samples the spectrum finely), five of its dock, plot and labels.
MOST = 16


@pytest.fixture
def shown(make_napari_viewer, grain_file, run, qtbot):
    """A viewer that is drawn, with a finished analysis, and the plot of its profiles."""
    viewer = make_napari_viewer(show=True, strict_qt=True)
    dock = TemFftDock(viewer)
    viewer.window.add_dock_widget(dock, name="TEM FFT")
    dock.candidates.names.setText("LiF, Li2O, Cu, Al")
    viewer.add_layer(Layer.create(*read_layers(str(grain_file))[0]))
    run(dock.session, dock.run.click)
    profile = ProfileDock(viewer)
    viewer.window.add_dock_widget(profile, name="profile")
    qtbot.waitUntil(lambda: profile.plot.isVisible() and bool(profile.plot.view.profiles))
    qtbot.wait(200)
    return dock, profile.plot


def test_a_stroke_enters_few_modules_until_its_profile_is_drawn(shown, run, monkeypatch, qtbot):
    (dock, plot), entered, drawn = shown, {}, []
    before, mask = plot.view.profiles, dock.session.current.group["mask"]

    def note(frame, event, argument):
        place = Path(frame.f_code.co_filename)
        passes_by = frame.f_code.co_name == "eventFilter"  # that of the docks' heights sees all of the window
        if event == "call" and not drawn and not passes_by and HOUSE in place.parents:
            entered.setdefault(str(place.relative_to(HOUSE)), frame.f_code.co_qualname)

    advance, paint = runner._advance, plot.paintEvent

    def noted(*arguments):
        worker = advance(*arguments)
        sys.setprofile(note)  # of the worker's own thread
        first = next(worker)
        sys.setprofile(None)  # what follows the profile is not on its way
        yield first
        return (yield from worker)

    def painted(event):
        paint(event)
        if plot.view.profiles is not before:
            drawn.append(event)

    monkeypatch.setattr(runner, "_advance", noted)
    monkeypatch.setattr(plot, "paintEvent", painted)
    mask.events.paint.connect(lambda event: sys.setprofile(note), position="first")
    mask.mode, mask.brush_size = "erase", 9
    step, middle = np.array(mask.metadata[KEY]["step_1_nm"]), (np.array(mask.data.shape) - 1) / 2
    centre = np.round(np.array(dock.session.current.spots[0].g) / step + middle)
    try:
        run(dock.session, lambda: stroke(mask, centre, centre + 1))
        qtbot.waitUntil(lambda: bool(drawn), timeout=10_000)
    finally:
        sys.setprofile(None)
    assert len(entered) <= MOST, "\n".join(f"{module}: {first}" for module, first in entered.items())
