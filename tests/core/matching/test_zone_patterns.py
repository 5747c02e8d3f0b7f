"""Zone axes: how many orientations show one, which points its pattern has."""

import numpy as np
import pytest

from napari_tem_fft.core.crystal.structure import planes_of
from napari_tem_fft.core.grains.grain import Grain
from napari_tem_fft.core.matching import EvidenceCache, MatchParams, match_image
from napari_tem_fft.core.matching.null_models import _rotations_of
from napari_tem_fft.core.matching.pair_index import build_index
from napari_tem_fft.core.matching.zone_patterns import (
    _lattice_points,
    _orientations,
    _primitive_directions,
    zone_axes,
)
from napari_tem_fft.core.spots.spot import Spot, friedel_representative
from napari_tem_fft.io.phases.table import load_table


@pytest.mark.parametrize(("uvw", "count"), [((0, 0, 1), 4), ((1, 1, 1), 6), ((0, 1, 1), 2), ((1, 2, 3), 1)])
def test_turns_of_a_cube_that_keep_an_axis_or_reverse_it_but_for_a_half_turn(uvw, count):
    assert _orientations(np.array(uvw), _rotations_of("P 4 3 2")) == count


def test_directions_have_no_common_divisor_and_one_sign():
    found = set(map(tuple, _primitive_directions(1).tolist()))
    assert len(found) == 13 and (0, 0, 0) not in found and (1, -1, 0) in found and (-1, 1, 0) not in found


def test_points_of_a_pattern_are_those_of_half_the_plane_and_carry_its_weights():
    position = np.array([(1, 0), (-2, -3)])  # the latter stands for (2, 3)
    root_f, g = _lattice_points(np.eye(2), position, np.array([0.5, 0.25]))
    assert len(g) == (9 * 9 - 1) // 2  # (-4..4)^2 without zero, one of each pair
    assert np.count_nonzero(root_f) == 2 and g[root_f > 0] == pytest.approx([1, np.sqrt(13)])


def perfect_patterns(phase):
    """Grains along the low zones of a phase, with the 24 longest d of each as spots, weak ones and all."""
    planes = planes_of(phase)
    hkl, g = planes.arrays.hkl, planes.arrays.hkl @ planes.basis
    half = (hkl @ (512**2, 512, 1) > 0) & (planes.arrays.d >= 0.117)
    grains, spots = [], []
    for uvw in zone_axes(planes)[0]:
        if np.abs(uvw).max() > 1:
            continue
        own = g[half & (hkl @ uvw == 0)]
        own = own[np.argsort(np.linalg.norm(own, axis=1), kind="stable")[:24]]
        along = uvw @ planes.direct
        x = own[0] / np.linalg.norm(own[0]) if len(own) else np.zeros(3)
        flat = np.stack([own @ x, own @ np.cross(along / np.linalg.norm(along), x)], axis=1)
        if len(flat) < 3 or np.linalg.matrix_rank(flat, tol=0.1) < 2:
            continue
        first = len(spots)
        spots += [
            Spot(first + n, friedel_representative((y, x)), 0.003 * float(np.hypot(x, y)), 100.0, -100.0)
            for n, (x, y) in enumerate(flat.tolist())
        ]
        ids = tuple(range(first, len(spots)))
        grains.append(Grain(len(grains) + 1, ids, (0.0, 0.0), 78.5, 10.0))
    return grains, spots


def test_every_point_of_every_phase_along_every_low_zone_belongs_to_its_lattice():
    missed = []
    for phase in load_table():
        if planes_of(phase) is None:
            continue
        grains, spots = perfect_patterns(phase)
        cache, band = EvidenceCache(build_index([phase])), (0.3, 8.6)
        matches = match_image(
            grains, spots, [phase], 0.01, MatchParams(stretch=0.2), (), band, cache=cache
        ).matches
        missed.extend(
            (phase.id, match.candidates[0].zone_axis if match.candidates else None, match.outcome)
            for match in matches
            if match.phases != (phase.id,) or match.candidates[0].explained < 1
        )
    assert missed == []
