"""The bundled phases against density, reference lines, sane distances, numbers by hand and gemmi.

CSV lists of d-spacings become phases without angles.
"""

import re
from importlib.resources import files
from pathlib import Path

import gemmi
import numpy as np
import pytest

from napari_tem_fft.core.crystal.phase import Phase
from napari_tem_fft.core.crystal.phase_selection import EXTENDED_TAG, usual_phases
from napari_tem_fft.core.crystal.structure import lines_of
from napari_tem_fft.io.phases.crystal import density
from napari_tem_fft.io.phases.table import load_table, read_d_list, table_entries

ENTRIES = table_entries((files("napari_tem_fft") / "data" / "phases.yaml").read_text(encoding="utf-8"))
PHASES = {phase.id: phase for phase in load_table()}
#: Of O-H bonds, other bonds and hydrogen atoms among themselves, nm.
SHORTEST = {"bond of hydrogen": 0.07, "bond": 0.12, "H-H": 0.15}


def _symbols(phase: Phase) -> np.ndarray:
    return np.array(sorted(phase.elements))[phase.reflections.structure.element]


def _counts(phase: Phase) -> dict[str, float]:
    symbols, occupancy = _symbols(phase), phase.reflections.structure.occupancy
    return {element: float(occupancy[symbols == element].sum()) for element in phase.elements}


def _distances(phase: Phase) -> np.ndarray:
    """Between all pairs of sites that can be filled at once, nm."""
    structure = phase.reflections.structure
    direct = np.linalg.inv(phase.reciprocal_basis()).T
    shifts = np.stack(np.meshgrid(*3 * [np.arange(-1, 2)], indexing="ij"), -1).reshape(-1, 1, 1, 3)
    apart = np.linalg.norm((structure.sites[:, None] - structure.sites + shifts) @ direct, axis=-1)
    apart[len(shifts) // 2][np.diag_indices(len(structure.sites))] = np.inf
    apart = apart.min(axis=0)
    apart[structure.occupancy[:, None] + structure.occupancy <= 1.001] = np.inf
    return apart


def _structure_in_gemmi(phase: Phase, entry: dict) -> gemmi.SmallStructure:
    """The entry handed to gemmi as a CIF text with its operators."""
    names = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
    values = (*(10 * length for length in phase.cell[:3]), *phase.cell[3:])
    lines = ["data_x", *(f"_cell_{name} {value:.6f}" for name, value in zip(names, values, strict=True))]
    operators = gemmi.find_spacegroup_by_name(entry["space_group"]).operations()
    lines += ["loop_", "_space_group_symop_operation_xyz", *(f"'{op.triplet()}'" for op in operators)]
    lines += ["loop_", *(f"_atom_site_{tag}" for tag in ("label", "fract_x", "fract_y", "fract_z"))]
    lines += ["_atom_site_occupancy"]
    lines += [" ".join((*atom.split(), "1")[:5]) for atom in entry["atoms"]]
    return gemmi.make_small_structure_from_block(gemmi.cif.read_string("\n".join(lines)).sole_block())


def test_ids_are_unique_and_no_entry_is_lost():
    assert len(PHASES) == len(ENTRIES) >= 400


def test_the_documentation_says_how_many_phases_there_are_and_how_many_have_three_checks():
    # density and contacts are compared of every phase, so that the lines are what is left
    three = sum("density" in entry and len(entry.get("lines", ())) > 0 for entry in ENTRIES)
    assert three >= 400 and all("density" in entry for entry in ENTRIES)
    root = Path(__file__).parents[3]
    page, readme = ((root / name).read_text(encoding="utf-8") for name in ("docs/phases.md", "README.md"))
    usual = len(usual_phases(load_table()))
    extended = sum(EXTENDED_TAG in phase.tags for phase in load_table())
    for text in (
        f"{len(ENTRIES)} phases are bundled with",
        f"{three} of them (three checks)",
        f"of {len(ENTRIES)} phases active",
    ):
        assert text in page
    assert f"The {usual} common ones are" in page and f"({extended} more" in page
    assert f"a table of {len(ENTRIES)} reference" in readme


def test_what_was_not_compared_says_so():
    for entry in ENTRIES:
        said = entry.get("checked", "") + entry.get("flag", "")
        assert "lines" in entry or said, entry["id"]
        assert not ("lines" in entry and "no d-line list" in entry.get("flag", "")), entry["id"]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["id"])
def test_density_is_the_literature_s(entry):
    phase = PHASES[entry["id"]]
    assert density(phase.reflections.structure, _counts(phase)) == pytest.approx(entry["density"], rel=0.03)


@pytest.mark.parametrize("entry", [e for e in ENTRIES if "lines" in e], ids=lambda entry: entry["id"])
def test_reference_lines_are_met_and_allowed(entry):
    phase = PHASES[entry["id"]]
    d_listed, _ = lines_of(phase.reflections)
    for h, k, third, angstrom in entry["lines"]:
        d = 1 / np.linalg.norm(np.array([h, k, third]) @ phase.reciprocal_basis())
        assert d == pytest.approx(angstrom / 10, rel=3.5e-3)
        assert np.abs(d_listed / d - 1).min() < 1e-6


@pytest.mark.parametrize("name", PHASES)
def test_no_two_atoms_are_too_near(name):
    phase, distances = PHASES[name], _distances(PHASES[name])
    hydrogen = _symbols(phase) == "H"
    one, both = hydrogen[:, None] ^ hydrogen, hydrogen[:, None] & hydrogen
    limit = np.where(both, SHORTEST["H-H"], np.where(one, SHORTEST["bond of hydrogen"], SHORTEST["bond"]))
    assert (distances > limit).all()


@pytest.mark.parametrize("name", PHASES)
def test_d_falls_and_f_is_relative(name):
    d, relative = lines_of(PHASES[name].reflections)
    assert (np.diff(d) <= 1e-9).all()
    assert d[-1] >= 0.08
    assert relative.max() == pytest.approx(1)
    assert relative.min() > 0


def test_flags_and_sources_reach_the_user():
    assert PHASES["NMC811"].flag
    assert all(phase.source for phase in PHASES.values())
    assert sum(bool(phase.flag) for phase in PHASES.values()) == sum("flag" in e for e in ENTRIES)


def test_lithium_fluoride_by_hand():
    first, second, third = PHASES["LiF"].reflections[:3]
    assert (first.hkl, second.hkl, third.hkl) == ((1, 1, 1), (2, 0, 0), (2, 2, 0))
    assert (first.multiplicity, second.multiplicity, third.multiplicity) == (8, 6, 12)
    assert first.d == pytest.approx(0.23250, abs=5e-6)
    assert second.d == pytest.approx(0.20135, abs=5e-6)
    assert set(second.members) == {(2, 0, 0), (-2, 0, 0), (0, 2, 0), (0, -2, 0), (0, 0, 2), (0, 0, -2)}
    assert not {(1, 0, 0), (1, 1, 0), (2, 1, 0)} & {r.hkl for r in PHASES["LiF"].reflections}


@pytest.mark.parametrize("name", ["Si", "Ge", "diamond"])
def test_diamond_has_no_200_and_no_222(name):
    hkl = {r.hkl for r in PHASES[name].reflections}
    assert {(1, 1, 1), (2, 2, 0), (3, 1, 1), (4, 0, 0)} <= hkl
    assert not {(2, 0, 0), (2, 2, 2), (4, 2, 0)} & hkl


def test_body_centred_lithium_has_even_sums_only():
    hkl = np.array([r.hkl for r in PHASES["Li"].reflections])
    assert (hkl.sum(axis=1) % 2 == 0).all()
    assert PHASES["Li"].reflections[0].d == pytest.approx(0.35092 / np.sqrt(2))


def test_hexagonal_lithium_nitride_by_hand():
    phase = PHASES["Li3N"]
    family = next(r for r in phase.reflections if r.multiplicity == 6 and r.hkl == (1, 0, 0))
    assert family.d == pytest.approx(0.3648 * np.sqrt(3) / 2)
    g = np.array(family.members) @ phase.reciprocal_basis()
    cosines = (g @ g.T) * family.d**2
    angles = np.unique(np.degrees(np.arccos(cosines.clip(-1, 1))).round(4))
    assert angles.tolist() == [0, 60, 120, 180]
    assert phase.reciprocal_basis()[2] @ g[0] == pytest.approx(0)


def test_angle_of_monoclinic_lithium_carbonate():
    a, _, c = PHASES["Li2CO3"].reciprocal_basis()
    angle = np.degrees(np.arccos(a @ c / np.linalg.norm(a) / np.linalg.norm(c)))
    assert angle == pytest.approx(180 - PHASES["Li2CO3"].cell[4])


@pytest.mark.parametrize(
    "name", ["LiF", "Si", "Li2CO3", "NMC811", "LLZO", "Fe3O4", "SiO2_quartz", "CaCO3_calcite", "ice_Ih"]
)
def test_amplitudes_are_gemmi_s(name):
    phase = PHASES[name]
    small = _structure_in_gemmi(phase, next(e for e in ENTRIES if e["id"] == name))
    small.change_occupancies_to_crystallographic()
    sums = gemmi.StructureFactorCalculatorE(small.cell)
    hkl = [r.hkl for r in phase.reflections[:40]]
    reference = np.array([abs(sums.calculate_sf_from_small_structure(small, index)) for index in hkl])
    amplitude = phase.reflections.structure.amplitude(np.array(hkl))
    assert np.abs(amplitude - reference).max() < 1e-3 * reference.max()


def _amounts(formula: str) -> dict[str, float]:
    """Atoms of each element of a formula such as "Ca5(PO4)3F" or "CaSO4.2H2O"."""
    total: dict[str, float] = {}
    for part in re.split(r"\.(?=\d*H2O)", formula):
        times, rest = re.fullmatch(r"(\d*)(.*)", part).groups()
        rest = re.sub(r"\(([^)]*)\)(\d*)", lambda m: m[1] * int(m[2] or 1), rest)
        for element, amount, over in re.findall(r"([A-Z][a-z]?)(\d*\.?\d*)(/\d+)?", rest):
            count = float(amount or 1) / float((over or "/1")[1:])
            total[element] = total.get(element, 0.0) + float(times or 1) * count
    return total


@pytest.mark.parametrize("name", PHASES)
def test_the_formula_is_that_of_the_atoms(name):
    stated, counted = _amounts(PHASES[name].formula), _counts(PHASES[name])
    stated, counted = ({e: n for e, n in each.items() if e != "H"} or each for each in (stated, counted))
    assert set(stated) == set(counted)
    ratios = [counted[element] / stated[element] for element in stated]
    assert max(ratios) / min(ratios) < 1.05


def _read(folder, text: str):
    path = folder / "unknown.csv"
    path.write_text(text, encoding="utf-8")
    return read_d_list(path)


def test_lines_of_one_name_make_one_phase(tmp_path):
    text = "# by hand\nname,d_angstrom,hkl,intensity\nA,2.0,200,25\nA,2.5,1 1 -1,100\nB,3.1,,\n"
    first, second = _read(tmp_path, text)
    assert (first.id, second.id) == ("A", "B")
    assert first.d_only and not first.cell and first.tags == ("user",) and "d only" in first.flag
    assert [r.hkl for r in first.reflections] == [(1, 1, -1), (2, 0, 0)]
    assert [r.d for r in first.reflections] == pytest.approx([0.25, 0.20])
    assert [r.relative_f for r in first.reflections] == pytest.approx([1.0, 0.5])


def test_a_single_column_takes_the_file_s_name(tmp_path):
    (phase,) = _read(tmp_path, "\ufeffd_nm\n0.2325\n0.2013\n")
    assert phase.id == "unknown"
    assert [r.hkl for r in phase.reflections] == [(0, 0, 0)] * 2


def test_compact_indices_with_signs(tmp_path):
    (phase,) = _read(tmp_path, "d_nm,hkl\n0.3,-110\n0.2,(1-12)\n")
    assert [r.hkl for r in phase.reflections] == [(-1, 1, 0), (1, -1, 2)]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no lines"),
        ("spacing\n0.2\n", "there is no column d_nm"),
        ("d_nm\nabc\n", "not a number: 'abc'"),
        ("d_nm\n2.5e4\n", "is impossible"),
        ("d_nm\n-0.2\n", "is impossible"),
        ("d_nm\nnan\n", "is impossible"),
        ("d_nm,intensity\n0.2,-5\n0.3,10\n", "negative"),
        ("d_nm,hkl\n0.2,1,1,1\n", "need quotes"),
    ],
)
def test_a_bad_list_is_refused_with_its_name(tmp_path, text, reason):
    with pytest.raises(ValueError, match=rf"unknown\.csv: .*{reason}"):
        _read(tmp_path, text)


@pytest.mark.parametrize("separator", [";", "\t"])
def test_decimal_commas_of_european_spreadsheets(tmp_path, separator):
    lines = (("name", "d_nm", "hkl", "intensity"), ("my oxide", "0,2466", "1 1 1", "100,0"))
    (phase,) = _read(tmp_path, "\n".join(separator.join(row) for row in lines) + "\n")
    assert phase.id == "my oxide"
    assert [(r.hkl, r.d) for r in phase.reflections] == [((1, 1, 1), pytest.approx(0.2466))]


def test_points_between_semicolons(tmp_path):
    (phase,) = _read(tmp_path, "d_angstrom;hkl\n2.466;111\n")
    assert phase.reflections[0].d == pytest.approx(0.2466)
