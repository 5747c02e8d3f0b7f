"""Everything is linked: peak, spot, grain and component point at each other."""

import numpy as np
import pytest

from mouse import click
from napari_tem_fft.layers.results import plane_of
from napari_tem_fft.widgets.canvas.cursor import chosen_at
from napari_tem_fft.widgets.docks.profile import ProfileDock
from napari_tem_fft.widgets.session.selection import component_chosen, grain_chosen, peak_chosen, spot_chosen


@pytest.fixture
def pick(qtbot):
    def pick_and_wait(session, call):
        with qtbot.waitSignal(session.spotlight.runner.stopped, timeout=60_000):
            call()

    return pick_and_wait


def world_of(image_state, spot, sign=1):
    return plane_of(image_state.group["fft"].metadata).world((sign * spot.g[0], sign * spot.g[1]))


def test_a_click_on_a_spot_shows_its_ring_and_its_fringes(viewer, dock, analysed, pick):
    spot = analysed.spots[0]
    pick(dock.session, lambda: click(viewer, world_of(analysed, spot, sign=-1)))
    assert dock.session.chosen.spots == (spot.id,)
    assert dock.choice.text().startswith(f"selected: spot {spot.id}: {spot.d:.4f}")
    points = analysed.group["spots"]
    assert [points.features["spot"][i] for i in points.selected_data] == [spot.id] * 2
    ring = analysed.group["choice"]
    assert np.ptp(ring.data[0][:, 0]) == pytest.approx(2 * spot.length, rel=1e-5)
    assert analysed.group["fringes"].visible
    assert viewer.layers.units == analysed.layer.units
    assert not analysed.group["rings"].visible


def test_a_click_beside_it_ends_the_choice(viewer, dock, analysed, pick):
    pick(dock.session, lambda: click(viewer, world_of(analysed, analysed.spots[0])))
    click(viewer, world_of(analysed, analysed.spots[0], sign=0))
    assert dock.session.chosen is None
    assert dock.choice.text() == ""
    assert analysed.group.get("choice") is None
    assert analysed.group.get("fringes") is None
    assert analysed.group["rings"].visible
    assert analysed.group["spots"].selected_data == set()


def test_a_click_on_the_grain_chooses_its_spots(viewer, dock, analysed, pick):
    pick(dock.session, lambda: click(viewer, analysed.grains[0].centre))
    assert set(dock.session.chosen.spots) == set(analysed.grains[0].spots)
    assert "grain 1" in dock.session.chosen.words


def test_a_tool_in_hand_chooses_nothing(viewer, dock, analysed):
    viewer.layers.selection.active = analysed.group["mask"]
    analysed.group["mask"].mode = "paint"
    click(viewer, analysed.grains[0].centre)
    assert dock.session.chosen is None


def test_a_peak_of_the_profile_lights_up_its_spots(viewer, dock, analysed, pick):
    profile = ProfileDock(viewer)
    viewer.window.add_dock_widget(profile, name="profile", area="bottom")
    spot = analysed.spots[0]
    peak = min(profile.plot.view.peaks(), key=lambda p: abs(p.g - spot.length))
    pick(dock.session, lambda: profile.plot.peak_chosen.emit(peak))
    assert spot.id in dock.session.chosen.spots
    assert spot.length in profile.plot.view.chosen
    profile.plot.peak_chosen.emit(peak)
    assert dock.session.chosen is None
    assert profile.plot.view.chosen == ()


def test_maps_of_others_step_back(dock, analysed, pick):
    from dataclasses import replace

    component = analysed.components[0]
    layer = analysed.group[f"heat {component.name}"]
    own = layer.opacity
    elsewhere = replace(spot_chosen(analysed, analysed.spots[0]), grains=())
    pick(dock.session, lambda: dock.session.pick(elsewhere))
    assert layer.opacity < own
    dock.session.pick(None)
    assert layer.opacity == own


def test_an_edit_ends_the_choice(dock, analysed, pick, run):
    pick(dock.session, lambda: dock.session.pick(spot_chosen(analysed, analysed.spots[0])))
    mask = analysed.group["mask"]

    def erase():
        mask.data[:] = 0
        mask.refresh()

    run(dock.session, erase)
    assert dock.session.chosen is None


def test_words(analysed):
    component = analysed.components[0]
    assert f"{component.name}: " in component_chosen(analysed, component.name).words
    assert "grain 1, " in grain_chosen(analysed, 1).words
    peak = analysed.profiles[1].peaks[0]
    assert peak_chosen(analysed, peak).words.startswith(f"peak at {peak.d:.4f}")


def test_nothing_lies_outside(viewer, analysed):
    assert chosen_at(analysed, (-5.0, -5.0), viewer) is None
    assert chosen_at(analysed, (0.1, 7.0), viewer) is None


def test_a_choice_whose_picture_is_still_made_goes_with_its_image(viewer, dock, analysed, qtbot):
    dock.session.pick(spot_chosen(analysed, analysed.spots[0]))
    viewer.layers.remove(analysed.layer)
    assert dock.session.chosen is None
    assert not dock.session.spotlight.runner.running
    qtbot.waitUntil(lambda: len(viewer.layers) == 0)
