"""The second arrangement: reciprocal space in a viewer of its own, in 1/nm."""

import gc

import numpy as np
import pytest
from napari.settings import get_plugin_settings
from napari.utils.interactions import mouse_move_callbacks

from mouse import click, send, stroke
from napari_tem_fft.widgets.canvas.panel import ReciprocalPanel
from napari_tem_fft.widgets.docks.batch import BatchDock
from napari_tem_fft.widgets.docks.dock import dock_of
from napari_tem_fft.widgets.docks.tem_fft import TemFftDock
from napari_tem_fft.widgets.session.settings import fft_in_panel


@pytest.fixture
def panel(viewer, dock, plugin_settings, closed, qtbot):
    """The viewer in the panel, opened by the check box; called for, so that no fixture keeps it alive."""
    dock.panel.setChecked(True)
    yield lambda: find_panel(viewer).model
    closed(viewer, dock)
    qtbot.waitUntil(lambda: not dock.session.running)


@pytest.fixture
def closed(qtbot):
    """Close the panel by the check box and wait until Qt has deleted it."""

    def close_and_wait(viewer, dock):
        with qtbot.waitSignal(find_panel(viewer).qt_viewer.destroyed):
            dock.panel.setChecked(False)

    return close_and_wait


def find_panel(viewer):
    return next(w for w in viewer.window.dock_widgets.values() if isinstance(w, ReciprocalPanel))


@pytest.fixture
def panelled(viewer, dock, panel, grain_file, run):
    """The findings of a run with the panel open."""
    viewer.open(str(grain_file), plugin="napari-tem-fft")
    return run(dock.session, dock.run.click)


def names(model):
    return [layer.name for layer in model.layers]


def test_each_space_has_its_viewer_and_unit(viewer, panel, panelled):
    assert names(panel()) == ["FFT · grain", "rings · grain", "mask · grain", "spots · grain"]
    assert "FFT · grain" not in names(viewer)
    assert [str(unit) for unit in panel().layers.units] == ["1 / nanometer"] * 2
    assert [str(unit) for unit in viewer.layers.units] == ["nanometer"] * 2
    assert viewer.canvas.overlays.scale_bar.visible
    assert panel().canvas.overlays.scale_bar.visible
    fft = panelled.group["fft"]
    assert tuple(fft.scale) == pytest.approx((1 / (240 * 0.03), 1 / (256 * 0.03)))
    assert fft.world_to_data((0.0, 0.0)) == pytest.approx((np.array(fft.data.shape) - 1) / 2)


def test_arrangement_can_be_changed_after_a_run(viewer, dock, analysed, plugin_settings, run, closed):
    run(dock.session, lambda: dock.panel.setChecked(True))
    assert "FFT · grain" in names(find_panel(viewer).model)
    run(dock.session, lambda: closed(viewer, dock))
    assert "FFT · grain" in names(viewer)
    assert "scale bars · grain" in names(viewer)
    assert [str(unit) for unit in viewer.layers.units] == ["nanometer"] * 2
    assert not any(isinstance(w, ReciprocalPanel) for w in viewer.window.dock_widgets.values())


def test_docks_behind_the_main_one_stay_there(make_napari_viewer, plugin_settings, qtbot, closed):
    viewer = make_napari_viewer(show=True)
    _, dock = viewer.window.add_plugin_dock_widget("napari-tem-fft", "TEM FFT")
    dock.open_dock("Batch")

    def behind():
        return viewer.window._qt_window.tabifiedDockWidgets(dock_of(dock))

    qtbot.waitUntil(lambda: len(behind()) == 1)
    dock.panel.setChecked(True)
    gc.collect()
    qtbot.waitUntil(lambda: len(behind()) == 1)
    closed(viewer, dock)
    gc.collect()
    assert any(isinstance(w, BatchDock) for w in viewer.window.dock_widgets.values())


def test_painting_in_the_panel_is_followed(viewer, dock, panel, panelled, run):
    mask, spot = panelled.group["mask"], panelled.spots[0]
    centre = np.round(mask.world_to_data(spot.g))
    mask.mode, mask.brush_size = "erase", 9
    run(dock.session, lambda: stroke(mask, centre, centre + 1))
    assert not panelled.spots[0].enabled
    assert len(panelled.group["spots"].data) == 2  # +g and -g of the other
    assert "IFFT · grain" in names(viewer)


def test_a_click_in_the_panel_chooses_a_spot(dock, panel, panelled, qtbot):
    spot = panelled.spots[0]
    with qtbot.waitSignal(dock.session.spotlight.runner.stopped):
        click(panel(), spot.g)
    assert dock.session.chosen.spots == (spot.id,)
    assert "selection · grain" in names(panel())


def test_a_click_on_the_micrograph_still_chooses_a_grain(viewer, dock, panel, panelled, qtbot):
    with qtbot.waitSignal(dock.session.spotlight.runner.stopped):
        click(viewer, panelled.grains[0].centre)
    assert dock.session.chosen.grains == (1,)


def test_status_bar_follows_the_cursor_in_the_panel(viewer, panel, panelled):
    send(panel(), mouse_move_callbacks, "mouse_move", (0.0, 4.0))
    assert viewer.status.startswith("d = 0.2500 nm")
    send(panel(), mouse_move_callbacks, "mouse_move", (0.0, 40.0))
    assert viewer.status == "Ready"


def test_choice_is_remembered(viewer, dock, plugin_settings, closed):
    assert not fft_in_panel()
    dock.panel.setChecked(True)
    assert fft_in_panel()
    assert get_plugin_settings("napari-tem-fft").layout.fft_panel
    closed(viewer, dock)
    assert not fft_in_panel()


def test_panel_cannot_be_floated_and_follows_the_theme(make_napari_viewer, qtbot, plugin_settings, closed):
    viewer = make_napari_viewer(show=True, strict_qt=True)
    dock = TemFftDock(viewer)
    viewer.window.add_dock_widget(dock, name="TEM FFT")
    dock.panel.setChecked(True)
    panel = find_panel(viewer)
    holder = dock_of(panel)
    qtbot.waitUntil(lambda: not holder.features() & holder.DockWidgetFeature.DockWidgetFloatable)
    holder.setFloating(True)
    assert not holder.isFloating()
    viewer.theme = "light"
    assert panel.model.theme == "light"
    panel.fold.setChecked(True)
    assert not panel.tools.isHidden()
    closed(viewer, dock)


def test_closing_the_panel_by_its_title_bar_brings_the_fft_back(
    viewer, dock, analysed, plugin_settings, run, qtbot
):
    run(dock.session, lambda: dock.panel.setChecked(True))
    with qtbot.waitSignal(find_panel(viewer).qt_viewer.destroyed):
        run(dock.session, dock_of(find_panel(viewer)).destroyOnClose)
    assert not dock.panel.isChecked()
    assert "FFT · grain" in names(viewer)


def test_the_viewer_can_be_closed_with_the_panel_open(make_napari_viewer, plugin_settings, qtbot):
    close_with_panel(make_napari_viewer(strict_qt=True))
    qtbot.wait(50)
    gc.collect()


def close_with_panel(viewer):
    dock = TemFftDock(viewer)
    viewer.window.add_dock_widget(dock, name="TEM FFT")
    dock.panel.setChecked(True)
    viewer.close()
