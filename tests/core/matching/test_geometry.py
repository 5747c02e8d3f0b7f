"""Scale and stretches of an image: integrals by hand, corrections, directions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logsumexp

from napari_tem_fft.core.matching.geometry import (
    GeometryPrior,
    ImageGeometry,
    Likelihoods,
    ScalePrior,
    expected_distortions,
    stretch_direction,
)
from napari_tem_fft.core.matching.joint_posterior import sample_geometry


def likelihoods(seed=1, n=4):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(n, 3, 3)) * 200
    information = root @ root.transpose(0, 2, 1) + 1e4 * np.eye(3)
    theta = rng.normal(0, 0.01, (n, 3))
    return Likelihoods.around(theta, rng.normal(size=n), rng.normal(size=(n, 3)), information)


def test_what_a_file_says_of_its_stretch():
    assert expected_distortions(None, {"illumination": "STEM NANOPROBE"}) == ((1.0, 0.03),)
    assert expected_distortions(None, {"illumination": "TEM"}) == ((1.0, 0.005),)
    assert expected_distortions(1.0, {"illumination": "STEM"}) == ((1.0, 0.01),)
    unknown = expected_distortions(None, {})
    assert sum(weight for weight, _ in unknown) == pytest.approx(1) and len(unknown) == 2


def test_the_integral_over_the_geometry_is_that_of_its_points():
    prior = GeometryPrior(ScalePrior(0.002, 0.01), 0.01)
    found = likelihoods()
    theta = prior.mean + np.random.default_rng(0).normal(size=(200_000, 3)) * 0.01
    by_points = logsumexp(found.at(theta), axis=0) - np.log(len(theta))
    assert found.marginal(prior.mean, prior.precision) == pytest.approx(by_points, abs=0.05)


def test_a_grain_that_may_differ_from_the_image_says_less_and_has_the_same_middle():
    found = likelihoods()
    wide = found.of_image(0.01)
    middle = np.linalg.solve(found.quadratic, found.linear[..., None])
    assert np.linalg.solve(wide.quadratic, wide.linear[..., None]) == pytest.approx(middle)
    covariances = [np.linalg.inv(one.quadratic) for one in (wide, found)]
    assert covariances[0] == pytest.approx(covariances[1] + 1e-4 * np.eye(3), abs=1e-8)


def test_points_are_drawn_where_all_grains_agree_and_the_evidence_is_theirs():
    """Two grains, each with a wrong placement; the right ones agree at (0.02, 0.03, -0.02)."""
    prior = GeometryPrior(ScalePrior(0.0, 0.02), 0.03)
    right, information = np.array([0.02, 0.03, -0.02]), np.eye(3) * 0.003**-2
    grains = []
    for wrong in ((-0.01, 0.0, 0.05), (0.03, -0.04, 0.0)):
        theta = np.array([right, wrong])
        level = np.array([10.0, 11.0])
        grains.append(Likelihoods.around(theta, level, np.zeros((2, 3)), np.stack([information] * 2)))
    sample = sample_geometry(grains, np.zeros(2), prior)
    points, weight = sample.points, sample.log_weight
    total = sum(np.logaddexp(logsumexp(grain.at(points), axis=1), 0.0) for grain in grains) + weight
    posterior = np.exp(total - logsumexp(total))
    assert posterior @ points == pytest.approx(right, abs=0.004)
    # by hand: both right ones multiplied, with the prior there
    sharp = 0.003 / np.sqrt(2)
    by_hand = 20 + 1.5 * np.log(2 * np.pi * sharp**2) - np.log((2 * np.pi) ** 1.5 * 0.02 * 0.03**2)
    by_hand -= 0.5 * ((right / (0.02, 0.03, 0.03)) ** 2).sum()
    assert logsumexp(total) - np.log(len(points)) == pytest.approx(by_hand, abs=0.3)


@given(st.floats(-0.05, 0.05), st.floats(-0.05, 0.05), st.floats(-0.04, 0.04), st.floats(0, np.pi))
def test_corrected_spacings_are_the_true_ones_to_first_order(e, f, s, azimuth):
    true = np.array([np.cos(azimuth), np.sin(azimuth)])  # x, y
    measured = np.exp(s) * true @ np.array([[1 + e, f], [f, 1 - e]])
    factor, error = ImageGeometry((s, e, f)).correct(measured[None, ::-1])
    assert np.linalg.norm(measured) * np.exp(-factor[0]) == pytest.approx(1.0, abs=0.012)
    assert error[0] == 0


def test_an_image_is_longer_where_its_frequencies_are_lower():
    assert stretch_direction(-0.02, 0.0) == 0.0  # g shorter along x
    assert stretch_direction(0.02, 0.0) == 90.0
    # y points down: g longer along the diagonal down to the right, so longer along that up to the right
    assert stretch_direction(0.0, 0.02) == pytest.approx(45.0)
