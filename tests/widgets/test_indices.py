"""Indices are written in one way all over the window, and the pattern is that of the candidate chosen."""

import os
import re

import numpy as np
import pytest

from dm_writer import write_dm
from forward_model import fringes
from hand import Hand
from napari_tem_fft.widgets.docks.phases import PhasesDock
from napari_tem_fft.widgets.docks.results import ComponentsDock, ResultsDock
from napari_tem_fft.widgets.docks.spots import SpotsDock

pytestmark = pytest.mark.skipif(
    os.environ.get("QT_QPA_PLATFORM") == "offscreen", reason="the canvas needs an OpenGL driver"
)
#: d (nm) of {100} and {110} of MoS2, whose polytypes have the same ones along [0001]; a pixel's size, nm.
FIRST, SECOND, PIXEL = 0.2737, 0.1580, 0.02
FOUR = re.compile(r"\((-?\d+ ){3}-?\d+\)")


@pytest.fixture
def hand(make_napari_viewer, qtbot):
    hand = Hand(make_napari_viewer(show=True, strict_qt=True), qtbot)
    hand.viewer.window._qt_window.resize(1500, 900)
    yield hand
    hand.session.pick(None)
    hand.session.cancel()
    hand.rest()


@pytest.fixture
def sheet(hand, tmp_path):
    """A hexagonal sheet that fills the image, analysed with two polytypes as candidates."""
    image = np.random.default_rng(3).normal(0, 1, (256, 256))
    for azimuth in (10.0, 70.0, 130.0):
        image += fringes(image.shape, (PIXEL, PIXEL), FIRST, azimuth)
        image += fringes(image.shape, (PIXEL, PIXEL), SECOND, azimuth + 30)
    path = write_dm(tmp_path / "sheet.dm4", image.astype(np.float32), PIXEL, "nm")
    hand.viewer.open(str(path), plugin="napari-tem-fft")
    hand.rest()
    hand.type(hand.dock.candidates.names, "MoS2, MoS2_3R")
    return hand.run()


def reflections_of(tree, *parents):
    """What stands in the rows of reflections below rows of these names."""
    items = [item for item in tree.items() if item.text(0).startswith("(")]
    return [item.text(0) for item in items if item.parent().text(0) in parents]


def test_hexagonal_indices_are_four_everywhere_before_and_after_an_edit(hand, sheet):
    results, spots = hand.find(ResultsDock), hand.find(SpotsDock)
    components, candidates = results.findChild(ComponentsDock).tree, results.findChild(PhasesDock).tree
    for number in (0, 1):
        hand.bring(ResultsDock)
        for tree, parents in ((components, ["grain 1"]), (candidates, ["MoS2", "MoS2_3R"])):
            reflections = reflections_of(tree, *parents)
            assert len(reflections) >= 5 and all(FOUR.match(text) for text in reflections)
        hand.row(components, "grain 1")
        hand.rest()
        labels = [str(text) for text in sheet.group["pattern"].features["label"]]
        assert labels[0].endswith(" [0 0 0 1]")
        named = [label for label in labels[1:] if label]
        assert len(named) == len(set(named)) >= 12  # +g and -g have names of their own
        assert all(FOUR.fullmatch(f"({label})") for label in named)
        spot = sheet.spots[number]
        world = hand.place_of(sheet, spot.g)
        hand.click(world)
        hand.rest()
        said = hand.dock.choice.text()
        assert said.startswith(f"selected: spot {spot.id}") and FOUR.search(said)
        assert FOUR.search(hand.session._readout.text(world, hand.viewer))
        hand.bring(SpotsDock)
        shown = [item.text(6) for item in spots.tree.items() if item.text(6)]
        assert len(shown) >= 5 and all(FOUR.fullmatch(text) for text in shown)
        hand.press(hand.dock.spots.remove)
        hand.rest()
        assert not sheet.spots[number].enabled


def test_the_pattern_in_the_fft_is_that_of_the_candidate_that_was_chosen(hand, sheet):
    candidates = hand.bring(ResultsDock).findChild(PhasesDock)
    for phase in ("MoS2_3R", "MoS2", "MoS2_3R"):
        item = hand.row(candidates.tree, phase)
        assert item.text(0) == phase
        hand.rest()
        title = str(sheet.group["pattern"].features["label"][0])
        assert title.split()[0] == phase
        assert sheet.group["phase"].name.startswith(f"rings of {phase} ")
        assert f"looked at as {phase}" in hand.dock.choice.text()
    hand.row(candidates.tree, "grain 1")
    hand.rest()
    assert str(sheet.group["pattern"].features["label"][0]).split()[0] == sheet.matches[0].candidates[0].phase
    assert sheet.group.get("phase") is None and "looked at" not in hand.dock.choice.text()


def test_deviations_are_those_of_the_rows_own_d_and_what_a_fit_leaves_stands_beside(hand, sheet):
    table = hand.bring(SpotsDock).tree
    for item in table.items():
        d, reference, off, left = (float(item.text(column)) for column in (1, 3, 4, 5))
        assert off == pytest.approx(100 * (d / reference - 1), abs=0.06)  # of d with four digits
        assert abs(left) < 0.5
    candidates = hand.bring(ResultsDock).findChild(PhasesDock)
    best = next(item for item in candidates.tree.items() if item.text(0) == "MoS2")
    children = [best.child(number) for number in range(best.childCount())]
    mean = np.mean([float(child.text(5)) for child in children])
    assert float(best.text(5)) == pytest.approx(mean, abs=0.01)
    assert best.text(6) == "" and all(child.text(6) for child in children)
