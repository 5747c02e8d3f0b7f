"""How distinct d-spacings are counted by tests/benchmarks/chain_scores.py."""

import runpy
from pathlib import Path

import numpy as np

from napari_tem_fft.nn.simulation.synthesis import TrueGrain, Truth
from napari_tem_fft.nn.training.evaluate import SpotScore

SCORES = runpy.run_path(str(Path(__file__).parent / "benchmarks" / "chain_scores.py"))
d_groups, d_score = SCORES["d_groups"], SCORES["d_score"]


def test_d_spacings_are_grouped_and_scored():
    assert d_groups(np.array([0.2, 0.2005, 0.21])).tolist() == [0.2, 0.21]
    truth = Truth(
        np.array([[0, 5.0], [0, 4.0], [3.0, 0]]),
        np.array([50.0, 50.0, 10.0]),
        np.ones(3),
        np.zeros(3, np.intp),
    )
    answers = np.array([[0, 1 / 0.2005], [3.0, 0], [0, 1 / 0.15], [0, 1 / 0.11]])
    assert d_score(answers, truth, np.array([1.8, 10.0]), 0.12, 0.01) == SpotScore(1, 1, 1, 1)


def test_answers_at_faint_points_of_a_true_lattice_count_neither_way():
    truth = Truth(np.array([[0, 5.0], [4.0, 0]]), np.full(2, 50.0), np.full(2, 20.0), np.zeros(2, np.intp))
    crystal = TrueGrain(0, truth.g, (0.0, 0.0), (20.0, 20.0), np.ones((1, 1), bool), 22.6)
    answers = np.array([[0, 5.0], [4.0, 5.1], [4.0, 5.5], [2.0, 2.5]])
    limits = np.array([1.8, 10.0])
    assert d_score(answers, truth, limits, 0.12, 0.01, (crystal,)) == SpotScore(1, 1, 1, 2)
    row = TrueGrain(0, truth.g[:1], (0.0, 0.0), (20.0, 20.0), np.ones((1, 1), bool), 22.6)
    assert d_score(answers, truth, limits, 0.12, 0.01, (row,)) == SpotScore(1, 1, 1, 3)
