from types import SimpleNamespace

import numpy as np
import pytest

from napari_tem_fft.core.matching import ScalePrior
from napari_tem_fft.core.matching.geometry import GRAIN_SCALE, GeometryPrior, Likelihoods
from napari_tem_fft.core.matching.search import _Placed


def test_the_evidence_at_a_scale_is_that_of_the_placements_there():
    """Two placements of one phase, one a hundred times as good; none of the other phase."""
    log_scale, error = np.array([0.01, -0.005]), np.array([0.002, 0.003])
    theta = np.stack([log_scale, np.zeros(2), np.zeros(2)], axis=1)
    information = np.eye(3) * error[:, None, None] ** -2
    found = SimpleNamespace(
        grain=np.zeros(2, int),
        zone=np.arange(2),
        likelihoods=lambda level: Likelihoods.around(theta, level, np.zeros((2, 3)), information).of_image(),
    )
    prior = GeometryPrior(ScalePrior(0.0, 0.01), 0.01)
    index = SimpleNamespace(zone_phase=np.array([1, 1]))
    placed = _Placed.of(found, np.array([30.0, 30.0 - np.log(100)]), index, (1, 2), prior)
    grid = np.linspace(-0.03, 0.03, 61)
    points = np.stack([grid, np.zeros(61), np.zeros(61)], axis=1)
    total = placed.table(placed.likelihoods.at(points))
    wide = np.hypot(error, GRAIN_SCALE)
    height = np.array([1, 0.01]) * (error / wide) ** 3
    expected = (height * np.exp(-0.5 * ((grid[:, None] - log_scale) / wide) ** 2)).sum(axis=1)
    near = expected > 1e-9
    assert total.level[0, near] == pytest.approx(30 + np.log(expected[near]))
    assert (total.grain.tolist(), total.phase.tolist()) == ([0], [1])
