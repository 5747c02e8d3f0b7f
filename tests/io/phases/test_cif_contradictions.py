"""Files that contradict themselves or list what is no atom: a right answer, or a refusal with the reason."""

from pathlib import Path

import gemmi
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_tem_fft.io.phases.cif import CifPhase, amounts_of, element_of, read_all_of_cif, structures_in
from napari_tem_fft.io.phases.cif_symmetry import groups_named
from napari_tem_fft.io.phases.entry import cif_of_entry, phase_of_entry
from napari_tem_fft.io.phases.table import file_phases, load_table

TABLE = {phase.id: phase for phase in load_table()}
NACL = ["Na1 Na 0 0 0", "Cl1 Cl 0.5 0.5 0.5"]
CUBIC = (5.64, 5.64, 5.64, 90, 90, 90)


def cif(symmetry: str, atoms=NACL, cell=CUBIC, extra: str = "", tags=("label", "type_symbol")) -> str:
    names = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
    lines = ["data_x", extra, *(f"_cell_{name} {value}" for name, value in zip(names, cell, strict=True))]
    columns = (*tags[:2], "fract_x", "fract_y", "fract_z", *tags[2:])
    return "\n".join([*lines, symmetry, "loop_", *(f"_atom_site_{name}" for name in columns), *atoms, ""])


def symbol(text: str) -> str:
    return f"_symmetry_space_group_name_H-M '{text}'"


def operators(*ops: str) -> str:
    return "\n".join(["loop_", "_symmetry_equiv_pos_as_xyz", *(f"'{op}'" for op in ops)])


def ops_of(name: str) -> list[str]:
    return [op.triplet() for op in gemmi.find_spacegroup_by_name(name).operations()]


def read(text: str) -> CifPhase:
    (found,) = structures_in(text.encode(), "mine")
    assert isinstance(found, CifPhase), found
    return found


def refusal(text: str) -> str:
    (found,) = structures_in(text.encode(), "mine")
    assert not isinstance(found, CifPhase)
    return found.reason


def is_rock_salt(found: CifPhase) -> bool:
    planes = found.phase.reflections
    return (planes[0].hkl, planes[0].multiplicity, len(planes.structure.sites)) == ((1, 1, 1), 8, 8)


@pytest.mark.parametrize(
    "name", ["F 4/m -3 2/m", "F4/m-32/m", "F m -3 m", "Fm3m", "F m 3 m", "Fm-3m", "f m -3 m", "F_4/m_-3_2/m"]
)
@pytest.mark.parametrize("listed", ["", operators("x, y, z"), operators("X,Y,Z")])
def test_rock_salt_by_any_form_of_its_symbol(name, listed):
    found = read(cif(symbol(name) + "\n" + listed))
    assert is_rock_salt(found)
    assert bool(found.warnings) == bool(listed)


@pytest.mark.parametrize(
    ("full", "short"),
    [
        ("P 2/m 2/m 2/m", "P m m m"),
        ("P 21/n 21/m 21/a", "P n m a"),
        ("I 4/m 2/m 2/m", "I 4/m m m"),
        ("P 42/n 21/m 21/c", "P 42/n m c"),
        ("R -3 2/m", "R -3 m"),
        ("P -3 2/m 1", "P -3 m 1"),
        ("P -3 1 2/m", "P -3 1 m"),
        ("P 6/m 2/m 2/m", "P 6/m m m"),
        ("P 63/m 2/m 2/c", "P 63/m m c"),
        ("P 2/m -3", "P m -3"),
        ("P 21/a -3", "P a -3"),
        ("F 41/d -3 2/m", "F d -3 m"),
        ("I 41/a -3 2/d", "I a -3 d"),
    ],
)
def test_full_symbols_of_every_system(full, short):
    assert {group.hm for group in groups_named(full, CUBIC)} == {short}


@given(st.text(alphabet="PIFRABC 123456/-mnabcd", max_size=14))
def test_any_text_is_a_symbol_or_none(text):
    assert len({group.number for group in groups_named(text, CUBIC)}) <= 1


def test_an_unknown_symbol_never_becomes_p1():
    for listed in ("", operators("x,y,z")):
        assert "'F q q q' is unknown" in refusal(cif(symbol("F q q q") + "\n" + listed))


def test_p1_that_is_meant_is_p1():
    assert read(cif(symbol("P 1") + "\n" + operators("x,y,z"))).phase.space_group == "P 1"


def test_operators_that_are_no_group_give_way_to_the_group_that_is_named():
    ops = ops_of("F m -3 m")
    found = read(cif(symbol("F m -3 m") + "\n" + operators(*ops[:-20])))
    assert (
        is_rock_salt(found) and "do not form a group; the space group F m -3 m is used" in found.warnings[0]
    )


def test_operators_that_are_no_group_are_refused_where_none_is_named():
    assert "do not form a group, and no space group is named" in refusal(
        cif(operators(*ops_of("F m -3 m")[:-20]))
    )


def test_operators_without_the_centring_give_way_to_the_group_that_is_named():
    found = read(cif(symbol("F m -3 m") + "\n" + operators(*ops_of("P m -3 m"))))
    assert is_rock_salt(found) and "48 of the 192 operators" in found.warnings[0]


def test_operators_of_another_group_are_used_aloud():
    found = read(cif(symbol("P 41 3 2") + "\n" + operators(*ops_of("F m -3 m"))))
    assert is_rock_salt(found) and "though it names P 41 3 2" in found.warnings[0]


def test_a_number_against_the_symbol_is_refused_unless_operators_tell():
    both = symbol("P m -3 m") + "\n_symmetry_Int_Tables_number 225"
    assert "P m -3 m by its symbol but F m -3 m by its number 225" in refusal(cif(both))
    assert is_rock_salt(read(cif(both + "\n" + operators(*ops_of("F m -3 m")))))


@pytest.mark.parametrize(
    ("group", "cell"),
    [
        ("F m -3 m", (4.0266, 4.6266, 4.0266, 90, 90, 90)),
        ("F m -3 m", (4.0266, 4.0266, 40.266, 90, 90, 90)),
        ("P 63/m m c", (3.0, 3.0, 4.8, 90, 90, 90)),
        ("I 4/m m m", (3.0, 3.1, 4.8, 90, 90, 90)),
        ("P n m a", (3.0, 4.0, 5.0, 90, 95, 90)),
    ],
)
def test_a_cell_against_the_group_is_refused(group, cell):
    assert "does not have the symmetry of its space group" in refusal(cif(symbol(group), cell=cell))


def test_a_cell_that_is_rounded_is_used():
    assert read(cif(symbol("F m -3 m"), cell=(5.64, 5.641, 5.64, 90, 90, 90.01))).warnings == ()
    assert (
        "only approximately" in read(cif(symbol("F m -3 m"), cell=(5.64, 5.66, 5.64, 90, 90, 90))).warnings[0]
    )


def test_ammonium_is_nitrogen_aloud():
    found = read(cif(symbol("P m -3 m"), ["NH4 NH4+ 0 0 0", "Cl Cl- 0.5 0.5 0.5"], (3.868,) * 3 + (90,) * 3))
    assert found.phase.elements == {"N", "Cl"} and found.warnings == ("NH4 is taken as N",)


@pytest.mark.parametrize(
    ("text", "element"),
    [
        ("Fe3+", "Fe"), ("FE3+", "Fe"), ("O2-", "O"), ("D", "H"), ("H3O+", "O"), ("OH-", "O"), ("Wat", "O"),
        ("W6+", "W"), ("Va", ""), ("Vac", ""), ("Cn", ""), ("No", ""), ("CO3", ""), ("X", ""), ("?", ""),
    ],
)  # fmt: skip
def test_elements_of_types(text, element):
    assert element_of(text)[0] == element


@pytest.mark.parametrize(
    ("text", "known", "element"),
    [
        ("O-H1", (), "O"), ("Wat2", (), "O"), ("OW1", (), "O"), ("Tioct", (), "Ti"), ("Ob", (), "O"),
        ("HO1", ("H", "O"), "H"), ("CA1", ("C", "O"), "C"), ("CA1", ("Ca", "O"), "Ca"), ("Nh", (), "N"),
    ],
)  # fmt: skip
def test_elements_of_labels(text, known, element):
    assert element_of(text, known, is_type=False)[0] == element


@given(st.text(max_size=12))
def test_any_label_is_an_element_or_none(text):
    element, _ = element_of(text, (), is_type=False)
    assert not element or gemmi.Element(element).c4322 is not None


def test_several_full_atoms_on_one_site_share_it_with_a_note():
    atoms = ["Li Li+ 0 0 0.5", "Ni Ni2+ 0 0 0", "Mn Mn4+ 0 0 0", "Co Co3+ 0 0 0", "O O2- 0 0 0.2411"]
    found = read(cif(symbol("R -3 m"), atoms, (2.867, 2.867, 14.246, 90, 90, 120)))
    assert any("3 atoms on one site" in text for text in found.warnings)
    assert found.phase.formula == "Li3CoMnNiO6"
    stated = [f"{atom} {0.333333 if atom[:2] in ('Ni', 'Mn', 'Co') else 1}" for atom in atoms]
    group, cell = symbol("R -3 m"), (2.867, 2.867, 14.246, 90, 90, 120)
    theirs = read(cif(group, stated, cell, tags=("label", "type_symbol", "occupancy"))).phase
    ours = [round(r.relative_f, 3) for r in found.phase.reflections]
    assert ours == [round(r.relative_f, 3) for r in theirs.reflections]


def test_images_of_one_atom_share_no_place():
    assert read(cif(symbol("F m -3 m"), ["Na1 Na 0 0 0", "Na2 Na 0.5 0.5 0", *NACL[1:]])).warnings == ()


def test_dummy_atoms_are_omitted_with_a_note():
    atoms = ["Na1 Na 0 0 0 ?", "Cl1 Cl .5 .5 .5 ?", "O1 O .25 .25 .25 dum"]
    found = read(cif(symbol("F m -3 m"), atoms, tags=("label", "type_symbol", "calc_flag")))
    assert found.phase.formula == "NaCl" and found.warnings == ("atoms omitted: O1 (a dummy)",)


def test_coordinates_written_as_fractions():
    atoms = ["Si1 Si 1/8 1/8 1/8"]
    found = read(cif(symbol("F d -3 m :2"), atoms, (5.431,) * 3 + (90,) * 3))
    assert found.warnings == () and found.phase.reflections[0].d == pytest.approx(
        TABLE["Si"].reflections[0].d
    )


def test_a_tag_that_is_there_twice_is_said():
    twice = "_diffrn_radiation_wavelength 0.0251\n" * 2
    found = read("data_global\n_journal_name_full ?\n\n" + cif(symbol("F m -3 m"), extra=twice))
    assert is_rock_salt(found) and "duplicate tag _diffrn_radiation_wavelength" in found.warnings[0]


def test_two_different_cells_in_one_block_are_refused():
    assert "given twice" in refusal(cif(symbol("F m -3 m"), extra="_cell_length_a 4.0"))


def test_two_structures_in_blocks_of_one_name_are_two_phases(tmp_path: Path):
    other = cif(symbol("F m -3 m"), cell=(5.70, 5.70, 5.70, 90, 90, 90))
    path = tmp_path / "salt.cif"
    path.write_text(cif(symbol("F m -3 m")) + "\n" + other + "\n" + cif(symbol("F q q q")))
    phases, state = file_phases(path)
    assert [(phase.id, round(phase.cell[0], 4)) for phase in phases] == [("salt", 0.564), ("salt_2", 0.57)]
    assert state.state == "warning" and state.phases == ("salt", "salt_2")
    assert "salt_3 is refused" in state.reason and "contains 3 structures" in state.reason
    assert len(read_all_of_cif(path)) == 3


def test_atoms_that_do_not_make_the_formula_are_said():
    found = read(cif(symbol("F m -3 m"), extra="_chemical_formula_sum 'K Cl'"))
    assert "its formula is K Cl" in found.warnings[0]
    assert "K" in found.phase.elements  # an element that is stated is never allowed by mistake
    assert read(cif(symbol("F m -3 m"), extra="_chemical_formula_sum 'Na4 Cl4'")).warnings == ()


def test_formulas_with_brackets():
    assert amounts_of("Na Pb2 (C O3)2 (O H)") == {"Na": 1, "Pb": 2, "C": 2, "O": 7, "H": 1}
    assert amounts_of("(((") == {}


@given(st.text(alphabet="NaClO123.()[] ", max_size=20))
def test_any_formula_is_read_or_not(text):
    assert all(count >= 0 for count in amounts_of(text).values())


def test_an_entry_gives_the_same_phase_as_its_file_and_as_its_export():
    atoms = ["Mg Mg 0.125 0.125 0.125", "Al Al 0.5 0.5 0.5", "O O 0.2624 0.2624 0.2624"]
    found = read(cif(symbol("F d -3 m :2"), atoms, (8.0831,) * 3 + (90,) * 3))
    assert found.entry is not None
    exported = read(cif_of_entry(found.entry))
    planes = [[(r.hkl, r.d, r.multiplicity) for r in p.reflections[:10]]
              for p in (found.phase, phase_of_entry(found.entry), exported.phase)]  # fmt: skip
    assert planes[0] == planes[1] == planes[2]
    assert exported.entry is not None and exported.entry.key == found.entry.key


def test_temperature_and_pressure_of_a_measurement():
    def entry(extra: str):
        return read(cif(symbol("F m -3 m"), extra=extra)).entry

    assert entry("_cell_measurement_temperature 873(2)").temperature == pytest.approx(873)
    assert entry("_cell_measurement_pressure 5000000").pressure == pytest.approx(5.0)
    assert entry("_publ_section_title 'Salt at T = 600 deg C'").temperature == pytest.approx(873.15)
    assert entry("_publ_section_title 'Note: P = 32 kbar'").pressure == pytest.approx(3.2)
    assert entry("").temperature != entry("").temperature  # not stated
