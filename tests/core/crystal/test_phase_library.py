"""Which structures of a library are one phase: cells, compositions, groups and intensities by hand."""

import numpy as np
import pytest

from napari_tem_fft.core.crystal.phase_library import (
    SAME_TYPE,
    Anchor,
    Identities,
    compositions,
    reference_entries,
    same_phase,
)

CUBIC = "F d -3 m:2"


def structures(*rows: tuple) -> Identities:
    """Rows of name, formula, group, edge of a cube (nm), and d over it of one strong line."""
    names, formulas, groups, edges, places = zip(*rows, strict=True)
    edges = np.array(edges)
    lines = np.stack([edges * places, np.ones(len(rows))], axis=1)[:, None].astype(np.float32)
    return Identities(names, formulas, groups, lines, edges[:, None] * np.ones(7))


def are_one(*rows: tuple, **how) -> bool:
    return len(same_phase(structures(*rows), **how)[0]) == 1


def test_refinements_of_one_material_are_one_and_another_material_is_not():
    a = ("Mg1.92SiO4", "Mg1.92SiO4", CUBIC, 0.807, 0.30)
    assert are_one(a, ("Mg0.46Si0.23O", "Mg0.46Si0.23O", CUBIC, 0.809, 0.30))
    assert not are_one(a, ("Mg1.5Fe0.5SiO4", "Mg1.5Fe0.5SiO4", CUBIC, 0.809, 0.30))
    assert not are_one(a, ("Mg2SiO4", "Mg2SiO4", CUBIC, 0.825, 0.30))  # the cell is 2.2 % larger
    assert not are_one(a, ("Mg2SiO4", "Mg2SiO4", CUBIC, 0.809, 0.38))  # other positions are occupied


def test_a_mineral_s_name_holds_a_solid_solution_together_but_not_any_composition():
    a = ("Spinel", "MgAl1.6Fe0.4O4", CUBIC, 0.81, 0.30)
    assert are_one(a, ("spinel", "MgAl2O4", CUBIC, 0.808, 0.30))
    assert not are_one(a, ("Hercynite", "MgAl2O4", CUBIC, 0.808, 0.30))
    assert not are_one(a, ("Spinel", "Fe3O4", CUBIC, 0.81, 0.30))


def test_hydrogen_is_often_not_located_but_makes_a_hydride():
    assert are_one(("CrO2", "CrO2", "P n n m", 0.4, 0.6), ("CrO2H", "CrO2H", "P n n m", 0.401, 0.6))
    assert not are_one(("Tb", "Tb", "F m -3 m", 0.52, 0.6), ("TbH2", "TbH2", "F m -3 m", 0.521, 0.6))


@pytest.mark.parametrize(
    ("group", "one"),
    [("P 21 n m", True), ("P n n m", True), ("P 42/m n m", False), ("16 operators", True)],
)
def test_groups_of_one_crystal_system_are_models_of_one_structure(group, one):
    assert are_one(("CrO2", "CrO2", "P n n m", 0.4, 0.6), ("CrO2", "CrO2", group, 0.401, 0.6)) is one


def test_left_and_right_handed_crystals_have_one_name():
    quartz = [("SiO2", "SiO2", group, 0.49, 0.68) for group in ("P 31 2 1", "P 32 2 1")]
    assert are_one(*quartz, models=False)
    assert not are_one(quartz[0], ("SiO2", "SiO2", "P 3 2 1", 0.49, 0.68), models=False)


def test_the_same_at_another_cell_is_of_one_type():
    rows = [("Ni", "Ni", "F m -3 m", edge, 0.577) for edge in (0.352, 0.359)]
    assert not are_one(*rows) and are_one(*rows, cell=SAME_TYPE, models=False)


def test_of_two_phases_of_the_table_that_of_the_nearest_composition_stands_for_an_entry():
    rows = [("", f"LiNi{x}Co{round(1 - x, 2)}O2", "R -3 m:H", 0.4, 0.6) for x in (0.8, 0.86, 0.84)]
    of_table = [Anchor(name, structures(row)) for name, row in zip("ab", rows, strict=False)]
    found = reference_entries(structures(rows[2]), np.ones(1, bool), of_table)
    assert found.tolist() == [2]  # the second, which follow the entries


def test_far_conditions_and_no_entries_stand_alone():
    rows = [("Cu", "Cu", "F m -3 m", edge, 0.577) for edge in (0.3615, 0.3620, 0.3610)]
    assert reference_entries(structures(*rows), np.array([True, False, True])).tolist() == [0, 1, 0]
    none = structures(rows[0]).rows(np.zeros(0, np.intp))
    assert reference_entries(none, np.zeros(0, bool)).tolist() == []


def test_marks_never_differ_more_than_the_atoms_do():
    texts = ["MgAl2O4", "MgAl1.9Fe0.1O4", "FeAl2O4", "SiO2", "Cu", "UO2", "LiF"]
    shares, marks = compositions(texts)
    others = 0.5 * np.abs(shares[:, None] - shares).sum(axis=2)
    assert (np.abs(marks[:, None] - marks).max(axis=2) <= others + 1e-6).all()
