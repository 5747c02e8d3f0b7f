"""What was closed gives its memory back to the system, and not only to Python."""

import gc
import os
import platform
from pathlib import Path
from threading import Thread
from weakref import ref

import numpy as np
import pytest
from app_model.expressions import get_context
from napari.layers import Layer
from OpenGL.GL import glIsTexture
from qtpy.QtCore import Qt
from vispy.gloo.glir import GlirTexture

from napari_tem_fft.core.fourier import stft
from napari_tem_fft.core.profile import radial_profile
from napari_tem_fft.core.progress import Step
from napari_tem_fft.plugin.reader import read_layers
from napari_tem_fft.widgets.canvas.panel import close_panel, open_panel
from napari_tem_fft.widgets.docks.tem_fft import TemFftDock
from napari_tem_fft.widgets.session.responsiveness import IDLE, give_back, give_back_early
from napari_tem_fft.widgets.session.runner import Runner
from napari_tem_fft.widgets.session.selection import grain_chosen
from napari_tem_fft.widgets.session.session import session_of
from own_process import in_own_process

MB = 2**20


def left_by_threads():
    """Resident memory (MB) that threads leave whose arrays are freed."""
    give_back_early()
    np.ones(30 * MB, np.uint8)  # glibc keeps arrays up to this size in its own memory from now on

    def work():
        arrays = [np.ones(size * MB, np.uint8) for size in (3, 5, 7, 2) for _ in range(2)]
        del arrays

    before = resident()
    threads = [Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    give_back()
    return resident() - before


def textures(panel):
    """OpenGL's numbers of the textures that the panel's canvas has made."""
    drawn_by = panel.qt_viewer.canvas.native._vispy_canvas.context.shared.parser
    return [each.handle for each in drawn_by._objects.values() if isinstance(each, GlirTexture)]


def resident():
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MB


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries are left as they are")
def test_threads_leave_nothing_of_freed_arrays():
    assert in_own_process("widgets.test_memory", "left_by_threads") < 20


def test_closing_the_last_image_frees_its_analysis_and_the_tables_of_its_shape(
    viewer, dock, grain_file, run, qtbot
):
    viewer.add_layer(Layer.create(*read_layers(str(grain_file))[0]))
    power = ref(run(dock.session, dock.run.click).analysis.diffractogram.power)
    assert radial_profile._rings.cache_info().currsize
    gc.disable()  # not by chance
    try:
        viewer.layers.clear()
        qtbot.waitUntil(lambda: power() is None)
    finally:
        gc.enable()
    tables = radial_profile._rings.cache_info, stft.window_grid_of.cache_info
    qtbot.waitUntil(lambda: not any(table().currsize for table in tables))


@pytest.mark.skipif(
    os.environ.get("QT_QPA_PLATFORM") == "offscreen", reason="the canvas needs an OpenGL driver"
)
def test_a_closed_panel_leaves_no_textures_in_the_window(make_napari_viewer, qtbot):
    viewer = make_napari_viewer(show=True, strict_qt=True)
    dock = TemFftDock(viewer)
    viewer.window.add_dock_widget(dock, name="TEM FFT")
    panel = open_panel(viewer, session_of(viewer), dock)
    qtbot.waitUntil(lambda panel=panel: bool(textures(panel)))
    made = textures(panel)
    native = viewer.window._qt_viewer.canvas.native
    native.makeCurrent()
    assert any(glIsTexture(texture) for texture in made)  # both canvases share them
    gone = panel.qt_viewer.destroyed
    del panel
    with qtbot.waitSignal(gone):
        close_panel(session_of(viewer))
    native.makeCurrent()
    assert not any(glIsTexture(texture) for texture in made)


def test_a_run_given_up_frees_what_it_made_though_its_worker_stays(qtbot):
    made = []

    def steps():
        array = np.ones(10)
        made.append(ref(array))
        while True:
            yield Step("step", 1, 1, None)

    runner = Runner()
    runner.start(steps())
    worker = runner._worker  # as superqt keeps it
    qtbot.waitUntil(lambda: bool(made))
    runner.cancel()
    qtbot.waitUntil(lambda: made[0]() is None)
    assert worker.abort_requested


def test_deleting_all_layers_frees_those_that_finalizers_keep_for_a_while(two_images, qtbot):
    viewer = two_images.session._viewer()
    layers = [ref(layer) for layer in viewer.layers]
    gc.collect()
    gc.disable()  # not by chance
    try:
        table = viewer.window._qt_viewer.layers
        qtbot.keyClick(table, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
        qtbot.keyClick(table, Qt.Key.Key_Delete)
        assert not viewer.layers
        qtbot.waitUntil(lambda: not any(layer() for layer in layers), timeout=10_000)
    finally:
        gc.enable()


def test_placing_layers_leaves_no_slices_of_the_layer_list(viewer, dock, analysed, run):
    """Napari informs the context of each slice of its layer list about changes for as long as it runs."""
    informed = get_context(viewer.layers).changed
    before = len(informed)
    analysed.group.keep_only(())
    run(dock.session, dock.run.click)
    assert len(viewer.layers) > 3
    assert len(informed) == before


def test_layers_that_come_and_go_with_a_selection_do_not_pile_up(viewer, dock, analysed, qtbot):
    """Each keeps 6 MB of OpenGL's until it is collected, which removing it does not do at once."""
    before, gone = set(viewer.layers), []
    gc.collect()
    gc.disable()  # not by chance
    try:
        for _ in range(3):
            dock.session.pick(grain_chosen(analysed, analysed.grains[0].id))
            qtbot.waitUntil(lambda: set(viewer.layers) != before, timeout=10_000)
            gone += [ref(layer) for layer in viewer.layers if layer not in before]
            dock.session.pick(None)
            assert set(viewer.layers) == before
        assert gone
        qtbot.waitUntil(lambda: not any(layer() for layer in gone), timeout=IDLE + 10_000)
    finally:
        gc.enable()


def test_the_live_fft_keeps_no_micrograph_of_an_image_that_was_closed(viewer, dock, grain_file, qtbot):
    viewer.add_layer(Layer.create(*read_layers(str(grain_file))[0]))
    dock.live.click()
    pixels = ref(dock.live_fft._micrograph.pixels)
    qtbot.waitUntil(lambda: not dock.live_fft.runner.running)
    viewer.layers.clear()

    def gone():
        gc.collect()
        return pixels() is None

    qtbot.waitUntil(gone)
