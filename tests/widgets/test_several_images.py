"""Several images in a viewer: the right one is shown beside its FFT, each keeps its own through a file."""

import os
from time import monotonic

import numpy as np
import pytest
from napari.layers import Layer
from qtpy.QtCore import QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from dm_writer import write_dm
from forward_model import fringes
from mouse import canvas_of
from napari_tem_fft import api
from napari_tem_fft.io.exchange.temfft import load_temfft
from napari_tem_fft.io.phases.table import load_table
from napari_tem_fft.layers.image import KEY, micrograph_layer
from napari_tem_fft.plugin.reader import read_layers
from napari_tem_fft.widgets.docks.tem_fft import TemFftDock

needs_canvas = pytest.mark.skipif(
    os.environ.get("QT_QPA_PLATFORM") == "offscreen", reason="the canvas needs an OpenGL driver"
)
#: Rows, columns and pixel size (nm) of three images.
SIZES = ((200, 240, 0.03), (240, 180, 0.02), (160, 160, 0.05))
GROUP = ("fft", "mask", "spots", "bars")


@pytest.fixture
def files(tmp_path):
    return write_files(tmp_path)


def write_files(place):
    """Three micrographs of other sizes and scales, all of the same name, in folders of their own."""
    paths = []
    for number, (rows, columns, size) in enumerate(SIZES):
        image = 3 * fringes((rows, columns), (size, size), 0.2035, 20.0 + 30 * number)
        image += np.random.default_rng(number).normal(0, 1, (rows, columns))
        folder = place / str(number)
        folder.mkdir()
        paths.append(write_dm(folder / "film.dm4", image.astype(np.float32), size, "nm"))
    return paths


def add(viewer, path):
    return viewer.add_layer(Layer.create(*read_layers(str(path))[0]))


@pytest.fixture(scope="module")
def analyses(tmp_path_factory):
    """Analyses of the last two micrographs."""
    paths = write_files(tmp_path_factory.mktemp("films"))
    few = tuple(phase for phase in load_table() if phase.id in ("LiF", "Cu"))
    return tuple(api.analyse(api.read(path), few, others=()) for path in paths[1:])


@pytest.fixture
def three(viewer, dock, files, analyses, qtbot):
    """What is known of three images, of which the last two were analysed."""
    layer = add(viewer, files[0])
    for analysis in analyses:
        data, kwargs, kind = micrograph_layer(analysis.micrograph)
        kwargs["metadata"][KEY] |= {"analysis": analysis, "candidates": {"names": ["LiF", "Cu"]}}
        viewer.add_layer(Layer.create(data, kwargs, kind))
        qtbot.waitUntil(lambda: dock.session.current is not None, timeout=60_000)
        qtbot.waitUntil(lambda: not dock.session.running, timeout=60_000)
    return layer, *dock.session._image_states.values()


def choose(dock, layer):
    """Choose an image by the keys of the list."""
    wanted = [dock.image._images[n] for n in range(dock.image.count())].index(layer)
    key = Qt.Key.Key_Down if wanted > dock.image.currentIndex() else Qt.Key.Key_Up
    until = monotonic() + 60
    while dock.image.currentIndex() != wanted and monotonic() < until:
        if dock.image.isEnabled():  # not while something is under way
            QTest.keyClick(dock.image, key)
        QApplication.processEvents()
    assert dock.image.currentIndex() == wanted


def shown(viewer):
    """Names of images and roles of results that are seen."""
    return {layer for layer in viewer.layers if layer.visible}


def seen(viewer, layer):
    """Whether all of a layer is within the canvas."""
    camera, (height, width) = viewer.scene.camera, viewer.canvas.size
    reach = np.array((height, width)) / camera.zoom / 2 * 1.001
    middle = np.array(camera.center[-2:])
    return bool(np.all(np.abs(layer.extent.world[:, -2:] - middle) <= reach))


def fills(viewer, layer):
    """Whether a layer fills most of the canvas in one direction."""
    side = np.diff(layer.extent.world[:, -2:], axis=0)[0] * viewer.scene.camera.zoom
    return bool(np.max(side / np.array(viewer.canvas.size)) > 0.6)


def test_the_chosen_image_is_shown_with_its_layers_and_no_other(viewer, dock, three):
    layer, second, third = three
    assert {layer, second.layer} & shown(viewer) == set() and third.layer in shown(viewer)
    second.group["mask"].visible = False  # hidden already: not by the user's will
    third.group["mask"].visible = False
    own = shown(viewer)
    choose(dock, second.layer)
    assert dock.session.current is second
    assert shown(viewer) & {layer, third.layer, *third.group.layers} == set()
    assert {second.layer, second.group["fft"]} <= shown(viewer)
    assert seen(viewer, second.layer) and seen(viewer, second.group["fft"])
    assert viewer.scene.camera.zoom * np.ptp(second.layer.extent.world[:, 1]) > 0.3 * viewer.canvas.size[1]
    choose(dock, layer)
    assert shown(viewer) == {layer} and seen(viewer, layer)
    choose(dock, third.layer)
    assert shown(viewer) == own  # the mask stays as the user had it
    assert seen(viewer, third.layer) and seen(viewer, third.group["fft"])


def test_the_candidates_are_those_of_the_chosen_image(viewer, dock, three, run, tmp_path):
    _, second, third = three
    own = tmp_path / "mine.csv"
    own.write_text("d_nm\n0.2035\n0.1762\n")
    dock.candidates.add_files([own])
    dock.candidates.names.setText("LiF, Cu, mine")
    choose(dock, second.layer)
    dock.candidates.names.setText("LiF, Cu, mine")
    dock.candidates.elements.setText("Li, F, Cu")
    run(dock.session, dock.run.click)
    choose(dock, third.layer)
    assert (dock.candidates.names.text(), dock.candidates.elements.text()) == ("LiF, Cu", "")
    dock.candidates.names.setText("Al")  # not run
    choose(dock, second.layer)
    assert (dock.candidates.names.text(), dock.candidates.elements.text()) == ("LiF, Cu, mine", "Li, F, Cu")
    assert len(dock.candidates.asked().files) == 1
    (path,) = viewer.layers.save(str(tmp_path / "all.temfft"), plugin="napari-tem-fft")
    names = second.layer.name, third.layer.name
    viewer.layers.clear()
    dock.candidates.restore({})
    run(dock.session, lambda: viewer.open(path, plugin="napari-tem-fft"))
    for name, elements in zip(names, ("Li, F, Cu", ""), strict=True):
        choose(dock, viewer.layers[name])
        assert dock.candidates.elements.text() == elements


def test_a_part_is_shown_without_the_whole(viewer, dock, three, run):
    _, second, _ = three
    choose(dock, second.layer)
    box = np.array([(0.5, 0.4), (0.5, 3.2), (4.4, 3.2), (4.4, 0.4)])
    viewer.add_shapes([box], shape_type="rectangle", units=("nm", "nm"), axis_labels=("y", "x"))
    part = run(dock.session, dock.part.click)
    assert part.layer in shown(viewer) and second.layer not in shown(viewer)
    assert part.group.content != second.group.content


def test_an_image_that_is_opened_during_a_run_is_not_covered_by_it(viewer, dock, files, run, qtbot):
    add(viewer, files[0])
    with qtbot.waitSignal(dock.session.runner.stopped, timeout=60_000):
        dock.run.click()
        other = add(viewer, files[1])
    assert shown(viewer) == {other}
    choose(dock, dock.image._images[0])
    assert dock.session.current.analysis is not None
    assert {dock.session.current.layer, dock.session.current.group["fft"]} <= shown(viewer)


def state(image_state):
    spots = [(spot.g, spot.enabled) for spot in image_state.spots]
    return image_state.micrograph.shape, spots, [c.name for c in image_state.components]


def extents(viewer):
    return {id(layer): layer.extent.world.tolist() for layer in viewer.layers}


def test_a_document_keeps_every_image_with_its_own_results(
    viewer, dock, three, run, tmp_path, qtbot, monkeypatch
):
    _, second, third = three
    choose(dock, second.layer)
    second.group["ifft"].visible = True
    choose(dock, third.layer)
    before = [state(second), state(third)]
    (path,) = viewer.layers.save(str(tmp_path / "all.temfft"), plugin="napari-tem-fft")
    assert [image.micrograph.shape for image in load_temfft(path).images] == [(240, 180), (160, 160)]
    viewer.layers.clear()
    dock.candidates.names.clear()
    drawn, bar = [], dock.progress
    monkeypatch.setattr(bar, "repaint", lambda: drawn.append((bar.format(), bar.value(), bar.maximum())))
    run(dock.session, lambda: viewer.open(path, plugin="napari-tem-fft"))
    assert drawn == [(f"opening {number} of 3", number, 3) for number in (1, 2, 3)]
    qtbot.waitUntil(lambda: bar.format() == "")
    assert dock.candidates.names.text() == "LiF, Cu"
    images = {layer.data.shape: layer for layer in dock.image._images}
    assert len(images) == 3
    after = []
    for shape in ((240, 180), (160, 160)):
        choose(dock, images[shape])
        qtbot.waitUntil(lambda: not dock.session.running, timeout=60_000)
        current = dock.session.current
        after.append(state(current))
        assert shown(viewer) & set(dock.image._images) == {images[shape]}
        for role in GROUP:
            assert current.group.get(role) in viewer.layers
        fft = current.group["fft"]
        assert fft.extent.world[0, 1] > images[shape].extent.world[1, 1]
        assert current.group["ifft"].visible == (shape == (240, 180))
    assert after == before
    assert len(viewer.layers) == 3 + sum(
        len(found.group.layers) for found in dock.session._image_states.values()
    )


def test_nothing_moves_when_the_dock_comes_after_the_document(
    viewer, dock, three, run, tmp_path, make_napari_viewer, qtbot
):
    (path,) = viewer.layers.save(str(tmp_path / "all.temfft"), plugin="napari-tem-fft")
    other = make_napari_viewer()
    other.open(path, plugin="napari-tem-fft")
    assert len(other.layers) == len(viewer.layers)
    before = extents(other)
    later = TemFftDock(other)
    with qtbot.waitSignal(later.session.runner.stopped, timeout=60_000):
        other.window.add_dock_widget(later)
    assert extents(other) == before
    assert later.session.current.layer is later.image.image
    assert len(later.session._image_states) == 2


def test_calibration_and_own_phases_come_back(viewer, dock, files, run, tmp_path, qtbot):
    own = tmp_path / "mine.csv"
    own.write_text("d_nm\n0.2035\n0.1762\n0.1246\n")
    dock.candidates.add_files([own])
    dock.candidates.names.clear()
    dock.candidates.elements.setText("Li, F, Cu")
    for path, percent in zip(files, (0.5, 1.5), strict=False):
        add(viewer, path)
        dock.uncertainty.setValue(percent)
        run(dock.session, dock.run.click)
    (path,) = viewer.layers.save(str(tmp_path / "all.temfft"), plugin="napari-tem-fft")
    viewer.layers.clear()
    own.unlink()
    viewer.window.remove_dock_widget(dock)
    with qtbot.waitSignal(dock.destroyed):
        dock.deleteLater()
    again = TemFftDock(viewer)
    viewer.window.add_dock_widget(again, name="again")
    assert "mine" not in [phase.id for phase in again.candidates._table]
    run(again.session, lambda: viewer.open(path, plugin="napari-tem-fft"))
    assert again.candidates.elements.text() == "Li, F, Cu"
    assert "mine" in [phase.id for phase in again.candidates._table]
    found = {
        state.micrograph.shape: (state.analysis.micrograph.calibration.uncertainty, layer)
        for layer, state in again.session._image_states.items()
    }
    assert {shape: known for shape, (known, _) in found.items()} == {(200, 240): 0.005, (240, 180): 0.015}
    for known, layer in found.values():
        choose(again, layer)
        assert again.uncertainty.value() == pytest.approx(100 * known)
    again.session.cancel()


def test_all_layers_selected_and_deleted(viewer, dock, three, qtbot):
    dock.live.setChecked(True)
    QTest.keyClick(viewer.window._qt_viewer.layers, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    viewer.layers.select_all()
    QTest.keyClick(viewer.window._qt_viewer.layers, Qt.Key.Key_Delete)
    qtbot.waitUntil(lambda: len(viewer.layers) == 0)
    assert dock.session.current is None and dock.image.count() == 0


def test_an_image_that_is_deleted_with_some_of_its_layers(viewer, dock, three, qtbot):
    layer, second, third = three
    viewer.layers.selection = {second.layer, second.group["fft"], third.group["spots"]}
    viewer.layers.remove_selected()
    qtbot.waitUntil(lambda: set(viewer.layers) == {layer, third.layer, *third.group.layers})
    assert third.group["fft"] in viewer.layers and third.group.get("spots") is None


@needs_canvas
def test_what_is_looked_at_stays_in_sight_until_the_user_moves_the_camera(make_napari_viewer, files, qtbot):
    viewer = make_napari_viewer(show=True, strict_qt=True)
    dock = TemFftDock(viewer)
    viewer.window.add_dock_widget(dock, name="TEM FFT")
    layer = add(viewer, files[1])
    qtbot.wait(50)
    viewer.scene.camera.center = (0.0, 50.0, 50.0)
    QTest.mouseClick(dock.views.to_real, Qt.MouseButton.LeftButton)  # before any run
    assert seen(viewer, layer)
    size, window = viewer.canvas.size, viewer.window._qt_window
    window.resize(window.width() - 200, window.height() - 250)
    qtbot.waitUntil(lambda: viewer.canvas.size != size, timeout=3000)
    qtbot.waitUntil(lambda: seen(viewer, layer) and fills(viewer, layer))
    wheel(viewer)
    near = viewer.scene.camera.zoom
    window.resize(window.width() + 200, window.height() + 250)
    qtbot.wait(100)
    assert not dock.session.stage._space
    assert viewer.scene.camera.zoom == pytest.approx(near, rel=0.35)


def wheel(viewer):
    """Turn the mouse's wheel over the canvas."""
    canvas = canvas_of(viewer).native
    middle = QPointF(canvas.rect().center())
    event = QWheelEvent(
        middle, QPointF(canvas.mapToGlobal(middle)), QPointF(0, 0).toPoint(), QPointF(0, 360).toPoint(),
        Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(canvas, event)
    QApplication.processEvents()
