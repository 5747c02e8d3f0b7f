"""Lattice planes of any cell, families, and how indices are written."""

from dataclasses import replace
from itertools import product

import gemmi
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_tem_fft.core.crystal.phase import Phase, format_hkl, format_zone, reciprocal_basis
from napari_tem_fft.core.crystal.phase_selection import select_phases
from napari_tem_fft.core.crystal.structure import LatticePlanes, ListedPlanes, Structure, planes_of
from napari_tem_fft.core.matching.pair_index import build_index
from napari_tem_fft.io.phases.crystal import Atom, build_structure, symmetry_by_name
from napari_tem_fft.io.phases.table import load_table

BAR = "\u0305"
LENGTHS = st.floats(0.25, 1.2)
ANGLES = st.floats(65, 115)
CELLS = st.tuples(LENGTHS, LENGTHS, LENGTHS, ANGLES, ANGLES, ANGLES)
INDICES = st.tuples(*3 * [st.integers(-9, 9)]).filter(any)
HEXAGONAL = (0.3648, 0.3648, 0.3875, 90.0, 90.0, 120.0)
CUBIC = (0.4027, 0.4027, 0.4027, 90.0, 90.0, 90.0)


def _d_by_metric(cell: tuple[float, ...], hkl: tuple[int, ...] | np.ndarray) -> np.ndarray:
    """Spacing by the inverse of the direct metric tensor, without any Cartesian axes."""
    lengths, (ca, cb, cg) = np.array(cell[:3]), np.cos(np.radians(cell[3:]))
    cosines = np.array([[1, cg, cb], [cg, 1, ca], [cb, ca, 1]])
    metric = np.linalg.inv(np.outer(lengths, lengths) * cosines)
    return np.einsum("...i,ij,...j", hkl, metric, hkl) ** -0.5


def _planes(cell: tuple[float, ...], group: str = "P 1", d_min: float = 0.15) -> LatticePlanes:
    structure = build_structure(cell, [Atom("C", (0.1, 0.23, 0.37))], symmetry_by_name(group))
    return LatticePlanes(structure, d_min)


def _phase(cell: tuple[float, ...]) -> Phase:
    return Phase("x", "x", "C", frozenset({"C"}), "P 1", cell, _planes(cell))


@given(CELLS, INDICES)
def test_d_of_any_plane_in_any_cell(cell, hkl):
    d = 1 / np.linalg.norm(np.array(hkl) @ reciprocal_basis(cell))
    assert d == pytest.approx(_d_by_metric(cell, hkl), rel=1e-9)
    angstrom = gemmi.UnitCell(*(10 * x for x in cell[:3]), *cell[3:])
    assert d == pytest.approx(angstrom.calculate_d(hkl) / 10, rel=1e-6)


@given(CELLS)
@settings(max_examples=25)
def test_every_plane_of_a_triclinic_cell_is_listed_once(cell):
    planes = _planes(cell)
    grid = np.array([hkl for hkl in product(range(-9, 10), repeat=3) if any(hkl)])
    d = _d_by_metric(cell, grid)
    expected = set(map(tuple, grid[d > 0.15 * (1 + 1e-9)].tolist()))
    found = [member for r in planes for member in r.members]
    assert len(found) == len(set(found))
    assert set(found) == expected
    for r in planes:
        assert r.d == pytest.approx(_d_by_metric(cell, r.hkl), rel=1e-9)
        assert r.multiplicity == len(r.members) == 2


def test_families_of_a_cube_have_48_planes_at_most():
    planes = _planes(CUBIC, "P m -3 m", 0.1)
    multiplicity = {r.hkl: r.multiplicity for r in planes}
    assert multiplicity[1, 0, 0] == 6
    assert multiplicity[1, 1, 0] == 12
    assert multiplicity[1, 1, 1] == 8
    assert multiplicity[2, 1, 0] == 24
    assert multiplicity[3, 2, 1] == 48


def test_equal_d_without_equal_symmetry_stays_two_families():
    """In the Laue class m-3, 210 and 120 are not equivalent."""
    hkl = [r.hkl for r in _planes(CUBIC, "P 2 3", 0.15)]
    assert (2, 1, 0) in hkl
    assert len([r for r in hkl if sorted(map(abs, r)) == [0, 1, 2]]) == 2


def test_every_member_of_a_family_has_its_d_and_amplitude():
    planes = _planes(HEXAGONAL, "P 3 1 2", 0.1)
    for r in planes:
        members = np.array(r.members)
        assert 1 / np.linalg.norm(members @ planes.basis, axis=1) == pytest.approx(r.d)
        assert np.ptp(planes.structure.amplitude(members)) < 1e-9 * planes.structure.amplitude(members).max()


def test_arrays_hold_the_same_planes_as_the_families():
    planes = _planes(CUBIC, "P m -3 m", 0.1)
    arrays = planes.arrays
    assert len(arrays.hkl) == sum(r.multiplicity for r in planes)
    for row, d, family in zip(arrays.hkl.tolist(), arrays.d, arrays.family, strict=True):
        assert tuple(row) in planes[int(family)].members
        assert d == planes[int(family)].d


def test_key_follows_the_content():
    one, same = _planes(CUBIC).structure, _planes(CUBIC).structure
    other = _planes((0.4028, *CUBIC[1:])).structure
    assert one.key() == same.key() != other.key()


def test_overbars_in_three_indices():
    assert format_hkl((1, -1, 0), style="overbar") == f"11{BAR}0"
    assert format_hkl((1, -1, 0)) == "1 -1 0"
    assert format_hkl((-12, 0, 1), style="overbar") == f"1{BAR}2{BAR} 0 1"
    assert format_zone((0, 1, -1), _phase(CUBIC), "plain") == "[0 1 -1]"


@given(INDICES)
def test_four_indices_sum_to_nothing(hkl):
    h, k, i, third = map(int, format_hkl(hkl, _phase(HEXAGONAL), "plain").split())
    assert (h, k, third) == hkl
    assert h + k + i == 0


@given(INDICES)
def test_overbars_stand_over_every_negative_index(hkl):
    text = format_hkl(hkl, _phase(HEXAGONAL), "overbar")
    wanted = (*hkl[:2], -hkl[0] - hkl[1], hkl[2])
    assert text.count(BAR) == sum(len(str(-index)) for index in wanted if index < 0)
    assert text.replace(BAR, "").replace(" ", "") == "".join(str(abs(index)) for index in wanted)


@given(INDICES)
def test_a_zone_in_four_indices_is_the_same_direction(uvw):
    u, v, t, w = map(int, format_zone(uvw, _phase(HEXAGONAL), "plain").strip("[]").split())
    assert u + v + t == 0
    assert np.cross((u - t, v - t, w), uvw).tolist() == [0, 0, 0]


def test_an_amplitude_is_the_sum_over_the_atoms():
    """Two atoms of f = 2 exp(-3 s^2) in a cube of 0.4 nm: 2 f where h + k + l is even, else 0."""
    factors = np.array([[[2.0, 0, 0, 0, 0], [3.0, 0, 0, 0, 0]]])
    sites, ones = np.array([[0, 0, 0], [0.5, 0.5, 0.5]]), np.ones(2)
    cubic = Structure(
        (0.4, 0.4, 0.4, 90, 90, 90), sites, ones, np.zeros(2, int), factors, np.eye(3, dtype=int)[None]
    )
    hkl = np.array([[1, 1, 0], [1, 0, 0], [2, 2, 2]])
    s2 = (hkl**2).sum(axis=1) / (2 * 4.0) ** 2  # s = 1 / (2 d), d in Angstrom
    assert cubic.amplitude(hkl) == pytest.approx(np.array([4, 0, 4]) * np.exp(-3 * s2), abs=1e-12)


def saved(name):
    (phase,) = select_phases(load_table(), names=[name])
    return phase, replace(phase, reflections=tuple(phase.reflections))


@pytest.mark.parametrize("name", ["LiF", "Si", "Li3N", "Li2CO3", "LiOH", "SiO2_quartz"])
def test_the_same_index_as_from_the_atoms(name):
    phase, listed = saved(name)
    assert isinstance(planes_of(listed), ListedPlanes)
    one, other = build_index([phase]), build_index([listed])
    assert len(one.zone_phase) == len(other.zone_phase)
    assert np.array_equal(one.zone_multiplicity, other.zone_multiplicity)
    assert np.array_equal(one.zone_orientations, other.zone_orientations)
    assert one.pair_ratio == pytest.approx(other.pair_ratio)


def test_rotations_of_a_cube_and_of_a_prism():
    assert len(planes_of(saved("LiF")[1]).rotations) == 24
    assert len(planes_of(saved("Li3N")[1]).rotations) == 12
    assert len(planes_of(saved("Li2CO3")[1]).rotations) == 2


def test_keys_follow_the_content():
    assert planes_of(saved("LiF")[1]).key == planes_of(saved("LiF")[1]).key
    assert planes_of(saved("LiF")[1]).key != planes_of(saved("Al")[1]).key


def test_a_list_of_d_has_no_planes():
    _, listed = saved("LiF")
    bare = tuple(replace(r, members=()) for r in listed.reflections)
    assert planes_of(replace(listed, reflections=bare)) is None
    assert planes_of(replace(listed, cell=())) is None
