from types import SimpleNamespace

import numpy as np
import pytest

from napari_tem_fft.core.matching import ScalePrior
from napari_tem_fft.core.matching.search import GRAIN_SCALE, _over_scale


def test_the_evidence_at_a_scale_is_that_of_the_hypotheses_there():
    """Two hypotheses of one phase, one a hundred times as good; no hypothesis of the other phase."""
    log_scale, error = np.array([0.01, -0.005]), np.array([0.002, 0.003])
    found = SimpleNamespace(grain=np.zeros(2, int), zone=np.arange(2), log_scale=log_scale, scale_error=error)
    evidence = SimpleNamespace(log_evidence=np.array([30.0, 30.0 - np.log(100)]))
    prior = ScalePrior(0.0, 0.01)
    total = _over_scale(found, evidence, SimpleNamespace(zone_phase=np.array([1, 1])), (1, 2), prior)
    wide = np.hypot(error, GRAIN_SCALE)
    height = np.array([1, 0.01]) * error / wide
    expected = (height * np.exp(-0.5 * ((prior.grid()[:, None] - log_scale) / wide) ** 2)).sum(axis=1)
    near = expected > 1e-9
    assert total[near, 0, 1] == pytest.approx(30 + np.log(expected[near]))
    assert (total[:, 0, 0] < -1e3).all()
