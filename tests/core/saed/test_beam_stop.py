"""Beam stops of every shape give no spots, rings or centres; elliptic rings are told and made round."""

import numpy as np
import pytest

from napari_tem_fft.core.saed.beam_stop import find_beam_stop
from napari_tem_fft.core.saed.ellipse import RingEllipse
from napari_tem_fft.core.saed.measure import PatternParams, measure_pattern
from pattern_model import diffuse, recorded, rings, spots

SHAPE, STEP, CENTRE = (512, 512), (0.04, 0.04), (257.3, 251.8)
GOLD = [(0.2355, 250.0), (0.2039, 160.0), (0.1442, 110.0), (0.1230, 90.0)]
SPOTS = [(0.2039, 20.0, 3000.0), (0.2039, 110.0, 3000.0), (0.1442, 65.0, 1500.0), (0.1442, 155.0, 1500.0)]


def shaded(expected, shape, turn, through=0.05):
    """A pattern behind a stop: an arm from the border, a disk over the beam, or both."""
    y, x = np.indices(expected.shape) - np.array(CENTRE)[:, None, None]
    along = x * np.cos(np.radians(turn)) + y * np.sin(np.radians(turn))
    across = np.abs(y * np.cos(np.radians(turn)) - x * np.sin(np.radians(turn)))
    arm, disk = (across < 11) & (along > -16), np.hypot(y, x) < 26
    mask = {
        "arm": arm,
        "disk": disk,
        "arm and disk": ((across < 7) & (along > 0)) | disk,
        "none": arm & False,
    }[shape]
    return np.where(mask, 20 + through * (expected - 20), expected), mask


@pytest.mark.parametrize("turn", [0, 37, 250])
@pytest.mark.parametrize("shape", ["arm", "disk", "arm and disk"])
@pytest.mark.parametrize("through", [0.0, 0.12])
def test_nothing_but_a_stop_gives_nothing(shape, turn, through):
    expected, mask = shaded(diffuse(SHAPE, CENTRE, STEP), shape, turn, through)
    measured = measure_pattern(recorded(expected, STEP), centre=CENTRE)
    assert measured.spots == ()
    assert measured.profile.peaks == ()
    assert measured.stop is not None
    near = np.hypot(*(np.indices(SHAPE) - np.array(CENTRE)[:, None, None])) < 100
    assert (measured.stop.mask & mask & near).sum() > 0.9 * (
        mask & near
    ).sum()  # but for the beam, which shines through
    assert any("a beam stop covers" in text for text in measured.warnings)


@pytest.mark.parametrize("turn", [0, 70])
@pytest.mark.parametrize("shape", ["arm", "disk", "arm and disk"])
def test_rings_behind_a_stop_are_the_crystal_s_alone(shape, turn):
    light = diffuse(SHAPE, CENTRE, STEP) + rings(SHAPE, CENTRE, STEP, GOLD)
    measured = measure_pattern(recorded(shaded(light, shape, turn)[0], STEP))
    assert measured.stop is not None
    assert measured.spots == ()
    assert [peak.d for peak in measured.profile.peaks] == pytest.approx([d for d, _ in GOLD], rel=2e-3)
    assert measured.centre.position == pytest.approx(CENTRE, abs=0.2)


def test_spots_beside_a_stop_stay_and_those_under_it_go():
    light = diffuse(SHAPE, CENTRE, STEP) + spots(SHAPE, CENTRE, STEP, SPOTS)
    measured = measure_pattern(recorded(shaded(light, "arm and disk", -20.0)[0], STEP))
    assert measured.stop is not None
    assert sorted(round(spot.d, 3) for spot in measured.spots) == [0.144, 0.144, 0.204, 0.204]
    assert sum(not spot.paired for spot in measured.spots) == 1
    assert measured.centre.position == pytest.approx(CENTRE, abs=0.2)


@pytest.mark.parametrize("content", ["nothing", "rings", "spots"])
def test_a_pattern_without_a_stop_has_none(content):
    light = diffuse(SHAPE, CENTRE, STEP)
    light += {
        "nothing": 0.0,
        "rings": rings(SHAPE, CENTRE, STEP, GOLD),
        "spots": spots(SHAPE, CENTRE, STEP, SPOTS),
    }[content]
    pattern = recorded(light, STEP)
    assert find_beam_stop(pattern.pixels.astype(np.float32), CENTRE) is None
    assert measure_pattern(pattern, centre=CENTRE).stop is None


def elliptic(percent, azimuth):
    """Gold's rings as lenses stretch them."""
    y, x = np.indices(SHAPE) - np.array(CENTRE)[:, None, None]
    g = np.stack([y, x]) * STEP[0]
    matrix = np.linalg.inv(RingEllipse(percent / 100, 0.0, azimuth).stretch())
    length = np.hypot(*np.einsum("ij,jyx->iyx", matrix, g))
    light = sum(counts * np.exp(-0.5 * ((length - 1 / d) / 0.04) ** 2) for d, counts in GOLD)
    return diffuse(SHAPE, CENTRE, STEP) + light


@pytest.mark.parametrize(("percent", "azimuth"), [(1.0, 20.0), (2.0, 100.0), (3.0, 160.0), (5.0, 45.0)])
@pytest.mark.parametrize("shape", ["none", "arm"])
def test_elliptic_rings_are_said_and_made_round(percent, azimuth, shape):
    pattern = recorded(shaded(elliptic(percent, azimuth), shape, 0)[0], STEP)
    measured = measure_pattern(pattern)
    assert measured.ellipse is not None and measured.ellipse.significant
    assert 100 * measured.ellipse.ellipticity == pytest.approx(percent, abs=0.15)
    assert measured.ellipse.azimuth == pytest.approx(azimuth, abs=5)
    assert any("--correct-ellipse" in text for text in measured.warnings)
    corrected = measure_pattern(pattern, PatternParams(correct_ellipse=True))
    assert [peak.d for peak in corrected.profile.peaks] == pytest.approx([d for d, _ in GOLD], rel=3e-3)
    assert corrected.spots == ()


def test_round_rings_and_spots_are_no_ellipse():
    light = diffuse(SHAPE, CENTRE, STEP)
    for more in (rings(SHAPE, CENTRE, STEP, GOLD), spots(SHAPE, CENTRE, STEP, SPOTS), 0.0):
        measured = measure_pattern(recorded(light + more, STEP), centre=CENTRE)
        assert measured.ellipse is None or not measured.ellipse.significant
