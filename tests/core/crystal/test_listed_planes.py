"""Phases of which only the listed planes are left match as before."""

from dataclasses import replace

import numpy as np
import pytest

from napari_tem_fft.core.crystal.listed_planes import ListedPlanes, planes_of
from napari_tem_fft.core.matching.pair_index import build_index
from napari_tem_fft.io.phases.table import load_table, select_phases


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
