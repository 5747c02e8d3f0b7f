"""Tools for the mouse: spots added and removed by clicks, regions drawn, angles measured."""

import numpy as np
import pytest
from napari.utils.key_bindings import coerce_keybinding
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from mouse import click, drag, stroke
from napari_tem_fft.layers.image import KEY
from napari_tem_fft.layers.results import plane_of
from napari_tem_fft.widgets.canvas.tools import angle_words
from napari_tem_fft.widgets.session.shortcuts import KEYS


def world(image_state, g):
    return plane_of(image_state.group["fft"].metadata).world(g)


def enabled(image_state):
    return [spot.id for spot in image_state.spots if spot.enabled]


def test_spots_are_removed_and_added_by_clicks(viewer, dock, analysed, run):
    first, second = analysed.spots
    dock.spots.tools["remove"].click()
    run(dock.session, lambda: click(viewer, world(analysed, first.g)))
    assert enabled(analysed) == [second.id] and dock.session.chosen is None
    dock.spots.tools["add"].click()
    run(dock.session, lambda: click(viewer, world(analysed, (-first.g[0] - 0.1, -first.g[1]))))
    assert enabled(analysed) == [first.id, second.id]
    run(dock.session, lambda: click(viewer, world(analysed, (5.0, 5.0))))  # nothing is there
    assert analysed.spots[-1].origin == "hand" and analysed.spots[-1].snr < 20
    run(dock.session, dock.spots.undo.click)
    assert enabled(analysed) == [first.id, second.id] and len(analysed.spots) == 2


def test_a_ring_keeps_its_spots_only(viewer, dock, analysed, run):
    near, far = sorted(analysed.spots, key=lambda spot: spot.length)
    dock.spots.tools["ring"].click()
    dock.spots.action.setCurrentText("Keep only its spots")
    ends = [world(analysed, (0.0, near.length + off)) for off in (-0.3, 0.3)]
    run(dock.session, lambda: drag(viewer, *ends))
    assert enabled(analysed) == [near.id]
    assert analysed.group.get("region") is None
    assert dock.spots.said.text().endswith("nm: 1 spot kept alone; Undo reverts it")
    dock.spots.action.setCurrentText("Restore its spots")
    run(dock.session, lambda: drag(viewer, ends[0], world(analysed, (0.0, far.length + 0.3))))
    assert len(enabled(analysed)) == 2


def test_a_circle_shows_its_own_fringes_and_profile(viewer, dock, analysed, qtbot):
    spot, other = analysed.spots
    dock.session.tools.take("circle")
    before = analysed.profiles[1].intensity.sum()
    start = world(analysed, spot.g)
    with qtbot.waitSignal(dock.session.spotlight.profile_shown, timeout=60_000):
        drag(viewer, start, np.add(start, (0.0, 0.4 * plane_of(analysed.group["fft"].metadata).factor)))
    assert dock.session.chosen.spots == (spot.id,)
    assert "disk of 0.40 nm⁻¹" in dock.spots.said.text()
    assert len(analysed.group["region"].data) == 2 and analysed.group["fringes"].visible
    at_other = np.abs(analysed.profiles[1].g - other.length) < 0.05
    assert analysed.profiles[1].intensity[at_other].max() == 0
    assert viewer.scene.camera.mouse_pan
    dock.session.pick(None)
    assert analysed.profiles[1].intensity.sum() == before
    assert analysed.group.get("region") is None

    with qtbot.waitSignal(dock.session.spotlight.profile_shown, timeout=60_000):
        drag(viewer, start, np.add(start, (0.0, 0.4 * plane_of(analysed.group["fft"].metadata).factor)))
    with qtbot.waitSignal(dock.session.runner.stopped, timeout=60_000):
        QTest.mouseClick(dock.spots.remove, Qt.MouseButton.LeftButton)
    assert not analysed.spots[0].enabled and dock.spots.said.text() == ""  # there is no such spot any longer


def test_the_angle_between_two_spots(viewer, dock, analysed):
    dock.spots.tools["angle"].click()
    for spot in analysed.spots:
        click(viewer, world(analysed, spot.g))
    first, second = analysed.spots
    expected = abs(first.azimuth - second.azimuth)
    assert float(dock.spots.said.text().split("°")[0]) == pytest.approx(expected, abs=0.01)
    assert set(dock.session.chosen.spots) == {first.id, second.id}
    assert (
        angle_words((1.0, 0.0), (0.0, -2.0)) == "90.00° between d = 1.0000 nm and d = 0.5000 nm, ratio 2.0000"
    )


def test_chosen_spots_are_removed_and_kept(viewer, dock, analysed, run):
    dock.session.tools.take("look")
    click(viewer, world(analysed, analysed.spots[0].g))
    run(dock.session, dock.spots.keep.click)
    assert enabled(analysed) == [analysed.spots[0].id]
    click(viewer, world(analysed, analysed.spots[0].g))
    run(dock.session, dock.spots.remove.click)
    assert enabled(analysed) == [] and not dock.spots.remove.isEnabled()


def test_all_spots_of_the_phase(viewer, dock, analysed):
    click(viewer, world(analysed, analysed.spots[0].g))
    dock.spots.whole_phase.click()
    assert len(dock.session.chosen.spots) == len(analysed.spots)


def test_the_partner_of_a_painted_spot_is_painted_at_once(dock, analysed, run):
    mask = analysed.group["mask"]
    mask.mode, mask.brush_size = "erase", 9
    steps = mask.metadata[KEY]["step_1_nm"]
    centre = np.round(np.array(analysed.spots[0].g) / steps).astype(int) + np.array(mask.data.shape) // 2
    partner = tuple(np.array(mask.data.shape) - 1 - centre)
    for friedel in (True, False):
        dock.spots.friedel.setChecked(friedel)
        run(dock.session, lambda: stroke(mask, centre, centre + 1))
        assert bool(mask.data[partner]) is not friedel
        assert analysed.spots[0].enabled is not friedel
        if friedel:  # with one disc left nothing has changed that could be undone
            run(dock.session, dock.spots.undo.click)
            assert mask.data[partner] and mask.data[tuple(centre)]


def test_keys_take_tools_in_hand(viewer, dock):
    for tool in ("wedge", "add", "look"):
        viewer.keymap[coerce_keybinding(KEYS[tool][0])](viewer)
        assert dock.session.tools.tool == tool and dock.spots.tools[tool].isChecked()
    assert len({key for key, _ in KEYS.values()}) == len(KEYS)


def test_what_a_region_is_for_is_read_in_full(dock):
    box = dock.spots.action
    longest = max(box.fontMetrics().horizontalAdvance(box.itemText(row)) for row in range(box.count()))
    assert box.minimumSizeHint().width() > longest  # however narrow the dock
