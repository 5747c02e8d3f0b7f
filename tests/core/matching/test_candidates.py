"""The orientation of a candidate is that of the crystal whose spots were placed."""

import numpy as np
import pytest

from forward_model import zone
from napari_tem_fft.core.crystal.orientation import misorientation, symmetry_rotations
from napari_tem_fft.core.grains.grain import Grain
from napari_tem_fft.core.matching import MatchParams, match_image
from napari_tem_fft.core.spots.spot import Spot, friedel_representative
from napari_tem_fft.io.phases.table import load_table

PHASES = {phase.id: phase for phase in load_table()}


def crystal(phase, axis, turn, count=12):
    """Strongest reflections (y, x) of a crystal, and its matrix from crystal to image axes."""
    hkl, g, strength = zone(phase, axis, turn)
    order = np.argsort(-strength * np.exp(-((np.hypot(*g.T) / 6) ** 2)))[:count]
    normals = np.array(hkl) @ phase.reciprocal_basis()
    (y, x), *_ = np.linalg.lstsq(normals, g, rcond=None)[0].T[None]
    x, y = x / np.linalg.norm(x), y / np.linalg.norm(y)
    return g[order], np.stack([x, y, np.cross(x, y)])


def oriented(phase, g):
    spots = [
        Spot(n, friedel_representative((float(y), float(x))), 0.004, 400 / (1 + n), -100.0)
        for n, (y, x) in enumerate(g)
    ]
    grain = Grain(1, tuple(s.id for s in spots), (10.0, 10.0), 78.5, 10.0)
    (found,) = match_image([grain], spots, (phase,), 0.005).matches
    return found.candidates[0].orientation


@pytest.mark.parametrize("turn", [17.0, 100.0, 250.0])
@pytest.mark.parametrize(
    "phase, axis",
    [("Au", (0, 1, 1)), ("Au", (0, 0, 1)), ("Au", (1, 1, 1)), ("Li2CO3", (1, 1, 0)), ("Li2CO3", (-1, -1, 0)),
     ("graphite", (0, 0, 1)), ("graphite", (1, 0, 0)), ("Li2CO3", (1, 0, 0)), ("Li2CO3", (0, 1, 0))],
    ids=str,
)  # fmt: skip
def test_the_crystal_is_found_as_it_lies(phase, axis, turn):
    g, truth = crystal(PHASES[phase], axis, turn)
    found = oriented(PHASES[phase], g)
    matrix = found.matrix(PHASES[phase])
    assert misorientation(matrix, truth, symmetry_rotations(PHASES[phase])).angle < 0.02
    assert 0 <= found.rotation < found.period


def test_two_twins_of_gold_have_two_rotations_70_degrees_apart():
    first, second = (oriented(PHASES["Au"], crystal(PHASES["Au"], (0, 1, 1), t)[0]) for t in (10, 119.47122))
    assert (first.zone_axis, first.hkl) == (second.zone_axis, second.hkl)
    assert (second.rotation - first.rotation) % 180 == pytest.approx(109.47122, abs=0.02)
    point_group = symmetry_rotations(PHASES["Au"])
    found = misorientation(*(one.matrix(PHASES["Au"]) for one in (first, second)), point_group)
    assert found.note == "Sigma 3 twin"


def test_grains_turned_by_the_period_have_one_rotation():
    for axis, period in (((0, 1, 1), 180), ((0, 0, 1), 90), ((1, 1, 1), 60)):
        a, b = (oriented(PHASES["Au"], crystal(PHASES["Au"], axis, t)[0]) for t in (20, 20 + period))
        assert a.period == period and b.rotation == pytest.approx(a.rotation, abs=0.01)


def test_the_uncertainty_is_the_scatter_of_rotations():
    """Of spots that err, in images that are stretched, as much as both are believed to."""
    params, rng = MatchParams(stretch=1.0), np.random.default_rng(2)
    g, _ = crystal(PHASES["Au"], (0, 1, 1), 30.0)
    exact, pulls = oriented(PHASES["Au"], g), []
    for _ in range(60):
        e, f = rng.normal(0, params.stretch / 100, 2)
        stretch = np.eye(2) + np.array([[-e, f], [f, e]])
        errors = np.radians(params.angle_error) * rng.normal(size=len(g))
        wrong = g @ stretch.T + np.stack([errors * g[:, 1], -errors * g[:, 0]], axis=1)
        found = oriented(PHASES["Au"], wrong)
        pulls.append(((found.rotation - exact.rotation + 90) % 180 - 90) / found.sigma)
    assert np.std(pulls) == pytest.approx(1.0, abs=0.3)
