"""One walk through all of it in a window that is shown, with the mouse and the keyboard of Qt itself."""

import os

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from mouse import canvas_of, press_on_canvas
from napari_tem_fft.layers.image import KEY
from napari_tem_fft.widgets.docks.tem_fft import TemFftDock

pytestmark = pytest.mark.skipif(
    os.environ.get("QT_QPA_PLATFORM") == "offscreen", reason="the canvas needs an OpenGL driver"
)


def state_of(image_state):
    """What a person sees of an analysis: masked profile, matches, maps."""
    masked = {p.curve: p for p in image_state.profiles}["masked"].intensity
    matches = [(m.grain, m.spots, m.outcome, m.phases) for m in image_state.matches]
    return masked.tobytes(), matches, [(c.name, c.heat.tobytes()) for c in image_state.components]


def contents(viewer):
    """Names and data of all layers."""
    return {
        layer.name: [
            np.asarray(part) for part in (layer.data if isinstance(layer.data, list) else [layer.data])
        ]
        for layer in viewer.layers
    }


def spot_in_world(image_state, spot):
    mask = image_state.group["mask"]
    cell = np.array(spot.g) / mask.metadata[KEY]["step_1_nm"] + (np.array(mask.data.shape) - 1) / 2
    return np.array(mask.data_to_world(cell))


def test_open_run_paint_undo_cancel_choose_a_network_save_reopen_close(
    make_napari_viewer, grain_file, model, run, qtbot, tmp_path
):
    viewer = make_napari_viewer(show=True, strict_qt=True)
    _, dock = viewer.window.add_plugin_dock_widget("napari-tem-fft", "TEM FFT")
    assert isinstance(dock, TemFftDock)
    session = dock.session
    dock.candidates.names.setText("LiF, Li2O, Cu, Al")

    # open and run
    viewer.open(str(grain_file), plugin="napari-tem-fft")
    image_state = run(session, dock.run.click)
    found = state_of(image_state)
    assert image_state.components and len(image_state.spots) == 2

    # erase a disc by the mouse: profile, matches and maps follow
    mask = image_state.group["mask"]
    viewer.layers.selection.active = mask
    mask.mode, mask.brush_size = "erase", 9
    session.stage.look("reciprocal")
    qtbot.wait(50)
    place = spot_in_world(image_state, image_state.spots[0])
    run(session, lambda: press_on_canvas(viewer, place, place + 0.02, place))
    assert [spot.enabled for spot in image_state.spots] == [False, True]
    assert all(now != before for now, before in zip(state_of(image_state), found, strict=True))

    # undo by the keyboard, to the last bit
    run(
        session,
        lambda: QTest.keyClick(canvas_of(viewer).native, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier),
    )
    assert state_of(image_state) == found

    # paint the disc of a spot where none was, then take it back
    mask.mode, mask.brush_size = "paint", 5
    empty = place + (spot_in_world(image_state, image_state.spots[1]) - place) * 0.4
    run(session, lambda: press_on_canvas(viewer, empty, empty))
    assert image_state.spots[-1].origin == "hand" and state_of(image_state)[0] != found[0]
    run(session, dock.spots.undo.click)
    assert state_of(image_state) == found

    # a run that is cancelled leaves what was there
    dock.step.click()
    qtbot.waitUntil(lambda: session.running)
    run(session, dock.cancel.click)
    qtbot.waitUntil(lambda: not session.running, timeout=60_000)
    assert state_of(image_state) == found

    # a run with a network
    dock.network.value = str(model)
    run(session, dock.run.click)
    assert image_state.analysis.network.name == "my model"

    # saved and opened again: the same
    shown, saved = contents(viewer), state_of(image_state)
    (path,) = viewer.layers.save(str(tmp_path / "grain.temfft"), plugin="napari-tem-fft")
    viewer.layers.clear()
    run(session, lambda: viewer.open(path, plugin="napari-tem-fft"))
    assert state_of(session.current) == saved
    again = contents(viewer)
    assert list(again) == list(shown)
    for name, parts in shown.items():
        for before, after in zip(parts, again[name], strict=True):
            # what the network said is kept in 255 steps
            exact = {"atol": 0.002} if name.startswith("network") else {}
            np.testing.assert_allclose(after, before, err_msg=name, **exact)

    # closed while it works
    dock.run.click()
    viewer.window.remove_dock_widget(dock)
    session.cancel()
    qtbot.waitUntil(lambda: not session.running, timeout=60_000)
