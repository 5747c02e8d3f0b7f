import numpy as np
import pytest

from napari_tem_fft.core.image.calibration import Calibration
from napari_tem_fft.core.image.micrograph import Micrograph
from napari_tem_fft.nn.inference.prepare import InputParams, target
from napari_tem_fft.nn.simulation.synthesis import Truth
from napari_tem_fft.nn.training.evaluate import (
    ForestParams,
    Known,
    SpotScore,
    compare,
    dice,
    distinct,
    interval,
    rates,
    spot_score,
    threshold_everywhere,
    threshold_whole_image,
    train_forest,
)

from forward_model import lattice, white_noise  # isort: skip
from nn.toy_pairs import GRID, toy  # isort: skip


def scored(answers, g=((0.0, 4.0), (3.0, 3.0)), snr=(50.0, 10.0)):
    g, snr = np.array(g), np.array(snr)
    return spot_score(np.array(answers).reshape(-1, 2), g, snr, np.full(len(g), 50.0), snr >= 14, 0.01)


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([], SpotScore(0, 1, 0, 0)),
        ([(0.0, -4.02)], SpotScore(1, 0, 1, 0)),  # the mirror is the same spot
        ([(0.0, 4.2)], SpotScore(0, 1, 0, 1)),
        ([(3.01, 3.0)], SpotScore(0, 1, 0, 0)),  # doubtful: neither way
        ([(0.0, 4.0), (0.01, 4.01), (7.0, 1.0)], SpotScore(1, 0, 2, 1)),
    ],
)
def test_answers_are_counted(answers, expected):
    assert scored(answers) == expected


def test_small_grains_may_be_missed_by_more():
    score = spot_score(
        np.array([[0.0, 4.2]]),
        np.array([[0.0, 4.0]]),
        np.array([50.0]),
        np.array([2.0]),
        np.array([True]),
        0.01,
    )
    assert score == SpotScore(1, 0, 1, 0)


def test_rates_and_their_interval():
    scores = [SpotScore(3, 1, 3, 0), SpotScore(0, 0, 0, 1)]
    found = rates(scores)
    assert (found.precision, found.recall) == (0.75, 0.75) and found.f1 == pytest.approx(0.75)
    low, high = interval(scores * 20)
    assert low < found.f1 < high and high - low < 0.3
    assert rates([SpotScore(0, 0, 0, 0)]).f1 == 1.0


def test_dice_of_known_masks():
    a, b = np.array([1, 1, 0, 0], bool), np.array([1, 0, 1, 0], bool)
    assert dice(a, b, np.ones(4, bool)) == (2, 4) and dice(a, b, np.array([1, 0, 0, 1], bool)) == (2, 2)


def test_distinct_frequencies():
    assert len(distinct(np.array([[0, 4.0], [0, -4.01], [0, 4.2]]))) == 2


def test_thresholds_find_a_lattice_and_nothing_in_noise():
    size, planes = (0.03, 0.03), [(0.25, 30.0), (0.2, 100.0)]
    pixels = white_noise((300, 300), 0) + lattice((300, 300), size, planes)
    g = np.array([[-np.sin(np.radians(a)) / d, np.cos(np.radians(a)) / d] for d, a in planes])
    truth = Truth(g, np.full(2, 1e3), np.full(2, 9.0), np.zeros(2, np.intp))
    nothing = Truth(np.zeros((0, 2)), np.zeros(0), np.zeros(0), np.zeros(0, np.intp))
    images = [
        Known(Micrograph(pixels, Calibration.real(0.03)), truth),
        Known(Micrograph(white_noise((300, 300), 1), Calibration.real(0.03)), nothing),
    ]
    methods = {"all": threshold_everywhere(0.01), "whole": threshold_whole_image(0.01)}
    for score in compare(images, methods, 0.08, InputParams()).values():
        figures = score.summary()
        assert figures["recall"] == 1 and figures["f1_snr_25"] > 0.6 and figures["d_error_median"] < 0.01
        assert figures["empty_images"] == 1 and figures["false_spots_an_empty_image"] == 0
        assert figures["recall_by_snr"] == {"1000-inf": 1.0}


def test_forest_learns_discs():
    pytest.importorskip("sklearn", reason="the random forest needs scikit-learn")
    pairs = toy(6, 0)
    predict = train_forest(pairs, 0.4, GRID, ForestParams(trees=5, depth=4, images=6))
    from napari_tem_fft.nn.training.dataset import restore_inputs

    output = predict(restore_inputs(toy(1, 9).inputs, GRID)[0])
    wanted = target(toy(1, 9).truth[0].g, 0.4, GRID) > 0
    assert output[wanted].mean() > 0.6 > 0.3 > output[~wanted].mean()
