"""The traps of CIF files: symmetry, encodings, disorder, missing parts, broken files, own and bundled."""

import time
import tracemalloc
from pathlib import Path

import gemmi
import numpy as np
import pytest

from napari_tem_fft.core.crystal.phase import Phase
from napari_tem_fft.core.crystal.phase_selection import select_phases
from napari_tem_fft.io.phases import cif
from napari_tem_fft.io.phases.cif import read_cif, read_cif_with_warnings
from napari_tem_fft.io.phases.table import load_cif_folder, load_table, with_own_phases

PHASES = {phase.id: phase for phase in load_table()}
LIF = ["Li1 Li 0 0 0 1", "F1 F 0.5 0.5 0.5 1"]
FM3M = ["_space_group_name_H-M_alt 'F m -3 m'"]


def _cif(symmetry=(), atoms=LIF, cell=(4.027, 4.027, 4.027, 90, 90, 90), extra=()) -> str:
    names = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
    lines = ["data_test", *(f"_cell_{name} {value}" for name, value in zip(names, cell, strict=True))]
    lines += [*extra, *symmetry]
    if atoms:
        tags = ("label", "type_symbol", "fract_x", "fract_y", "fract_z", "occupancy")
        lines += ["loop_", *(f"_atom_site_{tag}" for tag in tags), *atoms]
    return "\n".join(lines) + "\n"


def _operators(symbol: str) -> list[str]:
    operations = gemmi.find_spacegroup_by_name(symbol).operations()
    return ["loop_", "_space_group_symop_operation_xyz", *(f"'{op.triplet()}'" for op in operations)]


def _read(folder: Path, text: str | bytes, name: str = "test.cif") -> cif.CifPhase:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_cif_with_warnings(path)


def _lines(phase: Phase) -> list[tuple]:
    return [(round(r.d, 6), r.multiplicity, round(r.relative_f, 4)) for r in phase.reflections]


def _same_planes(phase: Phase, other: Phase) -> bool:
    """Whether d, multiplicity and |F| agree, whatever the order within one d."""
    return sorted(_lines(phase)) == sorted(_lines(other))


def test_plain_lithium_fluoride(tmp_path):
    found = _read(tmp_path, _cif(FM3M), "mine.cif")
    assert found.warnings == ()
    assert (found.phase.id, found.phase.formula, found.phase.tags) == ("mine", "LiF", ("user",))
    assert _same_planes(found.phase, PHASES["LiF"])


def test_oxidation_states(tmp_path):
    charged = ["Li1 Li1+ 0 0 0 1", "F1 F1- 0.5 0.5 0.5 1"]
    found = _read(tmp_path, _cif(FM3M, charged))
    assert found.phase.elements == {"Li", "F"}
    assert _same_planes(found.phase, PHASES["LiF"])


@pytest.mark.parametrize("encoding", ["utf-8-sig", "latin-1", "utf-16"])
def test_encodings(tmp_path, encoding):
    text = _cif(FM3M, extra=["_journal_name_full 'Zeitschrift für Ångström'"])
    found = _read(tmp_path, text.encode(encoding))
    assert "für Ångström" in found.phase.source
    assert _same_planes(found.phase, PHASES["LiF"])


def test_uncertainties_in_brackets(tmp_path):
    atoms = ["Li1 Li 0.0000(3) 0 0 1", "F1 F 0.5000(12) 0.5 0.5 1.00(2)"]
    found = _read(tmp_path, _cif(FM3M, atoms, ("4.027(3)", "4.027(3)", "4.027(3)", 90, "90.0(1)", 90)))
    assert found.phase.cell == pytest.approx(PHASES["LiF"].cell)
    assert _same_planes(found.phase, PHASES["LiF"])


def test_symmetry_by_number_only(tmp_path):
    found = _read(tmp_path, _cif(["_space_group_IT_number 225"]))
    assert _same_planes(found.phase, PHASES["LiF"])


def test_symmetry_by_operators_only(tmp_path):
    found = _read(tmp_path, _cif(_operators("F m -3 m")))
    assert found.phase.space_group == "F m -3 m"
    assert _same_planes(found.phase, PHASES["LiF"])


def test_no_symmetry_at_all_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"test\.cif: its symmetry is given neither"):
        _read(tmp_path, _cif())


def test_an_unknown_symbol_beside_a_number_is_said(tmp_path):
    found = _read(tmp_path, _cif(["_space_group_name_H-M_alt 'F q q q'", "_space_group_IT_number 225"]))
    assert any("unknown" in note and "225" in note for note in found.warnings)
    assert _same_planes(found.phase, PHASES["LiF"])


@pytest.mark.parametrize("position", ["0 0 0", "0.125 0.125 0.125"])
def test_two_origins_of_silicon(tmp_path, position):
    group = ["_space_group_name_H-M_alt 'F d -3 m'"]
    found = _read(tmp_path, _cif(group, [f"Si1 Si {position} 1"], (5.431, 5.431, 5.431, 90, 90, 90)))
    assert any("two origins" in note for note in found.warnings)
    assert len(found.phase.reflections.structure.sites) == 8
    assert _same_planes(found.phase, PHASES["Si"])


@pytest.mark.parametrize("setting", [("Z", "0.125 0.125 0.125"), ("S", "0 0 0")])
def test_a_stated_origin_is_taken(tmp_path, setting):
    letter, position = setting
    group = [f"_space_group_name_H-M_alt 'F d -3 m {letter}'"]
    found = _read(tmp_path, _cif(group, [f"Si1 Si {position} 1"], (5.431, 5.431, 5.431, 90, 90, 90)))
    assert found.warnings == ()
    assert _same_planes(found.phase, PHASES["Si"])


@pytest.mark.parametrize("name", ["LiF", "Li3N", "Li2CO3", "CaCO3_calcite"])
def test_a_cell_written_out_in_p1_is_the_symmetric_one(tmp_path, name):
    phase = PHASES[name]
    structure, symbols = phase.reflections.structure, sorted(phase.elements)
    atoms = [
        f"{symbols[i]}{n} {symbols[i]} {x:.8f} {y:.8f} {z:.8f} 1"
        for n, (i, (x, y, z)) in enumerate(zip(structure.element, structure.sites, strict=True))
    ]
    cell = (*(10 * length for length in phase.cell[:3]), *phase.cell[3:])
    found = _read(tmp_path, _cif(["_space_group_name_H-M_alt 'P 1'", *_operators("P 1")], atoms, cell))
    assert found.phase.formula == phase.formula
    ours, theirs = (p.reflections.lines() for p in (found.phase, phase))
    visible = [np.unique(d[f > 0.01].round(6)) for d, f in (ours, theirs)]
    assert visible[0] == pytest.approx(visible[1], abs=2e-6)
    planes = [sum(r.multiplicity for r in p.reflections if r.relative_f > 0.01) for p in (found.phase, phase)]
    assert planes[0] == planes[1]
    assert [r.multiplicity for r in found.phase.reflections[:4]] == [
        r.multiplicity for r in phase.reflections[:4]
    ]


def test_every_atom_listed_beside_full_symmetry_counts_once(tmp_path):
    corners = ["0 0 0", "0 0.5 0.5", "0.5 0 0.5", "0.5 0.5 0"]
    found = _read(tmp_path, _cif(FM3M, [f"Al{i} Al {p} 1" for i, p in enumerate(corners)]))
    assert len(found.phase.reflections.structure.sites) == 4


def test_mixed_occupancy_is_kept_and_said(tmp_path):
    atoms = ["Ni1 Ni 0 0 0 0.8", "Mn1 Mn 0 0 0 0.2", "O1 O 0.5 0.5 0.5 1"]
    found = _read(tmp_path, _cif(FM3M, atoms))
    assert "partially occupied sites" in found.warnings
    assert found.phase.formula in ("Ni0.8Mn0.2O", "Mn0.2Ni0.8O")


def test_missing_sites_leave_spacings_only(tmp_path):
    found = _read(tmp_path, _cif(FM3M, (), extra=["_chemical_formula_sum 'Li F'"]))
    assert found.phase.d_only
    assert found.phase.elements == {"Li", "F"}
    assert any("d only" in note for note in found.warnings)
    hkl = {r.hkl: r.d for r in found.phase.reflections}
    assert hkl[1, 1, 1] == pytest.approx(0.2325, abs=1e-5)
    assert (1, 0, 0) not in hkl
    assert np.isnan([r.relative_f for r in found.phase.reflections]).all()


def test_an_atom_without_a_position_is_omitted_with_a_note(tmp_path):
    found = _read(tmp_path, _cif(FM3M, [*LIF, "H1 H ? ? ? 1"]))
    assert found.phase.elements == {"Li", "F"}
    assert any("atoms omitted: H1" in note for note in found.warnings)


def test_atoms_in_one_another_are_said(tmp_path):
    found = _read(tmp_path, _cif(FM3M, ["Li1 Li 0 0 0 1", "F1 F 0.12 0 0 1"]))
    assert any("nm apart" in note for note in found.warnings)


def test_a_thousand_atoms_take_little_time_and_memory(tmp_path):
    places = np.stack(np.indices((10, 10, 10)), -1).reshape(-1, 3) / 10
    atoms = [f"C{n} C {x} {y} {z} 1" for n, (x, y, z) in enumerate(places)]
    text = _cif(_operators("P 1"), atoms, (15.0, 15.1, 15.2, 90, 90, 90))
    tracemalloc.start()
    start = time.process_time()
    phase = _read(tmp_path, text).phase
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert time.process_time() - start < 5 and peak < 100e6  # pair by pair: 20 s and 1.7 GB
    assert phase.reflections[0].d == pytest.approx(0.152)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "no unit cell"),
        (b"this is no CIF at all", ""),
        (b"data_x\nloop_\n_a\n_b\n1 2 3\n", ""),
        (b"\x89PNG\r\n\x1a\n\0\0\0", "not a text file"),
        (b"data_x\n_cell_length_a 4\n", "incomplete"),
        (_cif(FM3M, cell=(0, 4, 4, 90, 90, 90)).encode(), "makes no sense"),
        (_cif(FM3M, cell=(900, 900, 900, 90, 90, 90)).encode(), "larger than"),
        (_cif(cell=(2, 2, 250, 90, 90, 90)).encode(), "longer than 20 nm"),
        (_cif(cell=(60, 60, 60, 25, 25, 49.5)).encode(), "too oblique"),
        (_cif(["loop_", "_symmetry_equiv_pos_as_xyz", "x,y,q", "-x,y,z"]).encode(), "operator"),
    ],
)
def test_broken_files_are_refused_by_name(tmp_path, text, reason):
    with pytest.raises(ValueError, match=rf"^test\.cif: .*{reason}"):
        _read(tmp_path, text)


def test_a_huge_file_is_refused_unread(tmp_path, monkeypatch):
    monkeypatch.setattr(cif, "LARGEST_FILE", 100)
    with pytest.raises(ValueError, match="larger than"):
        _read(tmp_path, _cif(FM3M))


def test_a_bad_file_never_stops_the_folder(tmp_path):
    (tmp_path / "good.cif").write_text(_cif(FM3M))
    (tmp_path / "doubt.CIF").write_text(_cif(FM3M, ()))
    (tmp_path / "broken.cif").write_bytes(b"\0\1\2")
    (tmp_path / "list.csv").write_text("d_nm\n0.2\n")
    (tmp_path / "bad.csv").write_text("d_nm,hkl\n0.2,1,1,1\n")
    (tmp_path / "notes.txt").write_text("not looked at")
    (tmp_path / "folder.cif").mkdir()
    phases, states = load_cif_folder(tmp_path)
    assert {state.file: state.state for state in states} == {
        "bad.csv": "refused",
        "broken.cif": "refused",
        "doubt.CIF": "warning",
        "folder.cif": "refused",
        "good.cif": "ok",
        "list.csv": "ok",
    }
    assert {phase.id for phase in phases} == {"good", "doubt", "list"}
    assert all(state.reason for state in states if state.state != "ok")


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(ValueError, match="nowhere: no such folder"):
        load_cif_folder(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["LiF", "lif", "griceite"])
def test_the_user_s_phase_takes_the_bundled_one_s_place(tmp_path, name):
    mine = _read(tmp_path, _cif(FM3M), f"{name}.cif").phase
    phases, notes = with_own_phases(load_table(), [mine])
    assert notes == (f"your {name} replaces the bundled LiF",)
    assert len(phases) == len(PHASES)
    assert select_phases(phases, names=["LiF"])[0].reflections is mine.reflections
    assert select_phases(phases, names=["griceite"])[0].id == name


def test_another_cell_under_a_known_name_is_said(tmp_path):
    mine = _read(tmp_path, _cif(FM3M, cell=(4.3, 4.3, 4.3, 90, 90, 90)), "LiF.cif").phase
    _, (note,) = with_own_phases(load_table(), [mine])
    assert "may be another polymorph" in note


def test_other_elements_under_a_known_id_are_said(tmp_path):
    mine = _read(tmp_path, _cif(FM3M), "Au.cif").phase
    phases, notes = with_own_phases(load_table(), [mine])
    assert "elements are different" in notes[0]
    assert len(phases) == len(PHASES)


def test_two_own_phases_of_one_name_are_both_kept(tmp_path):
    own = [_read(tmp_path, _cif(FM3M), name).phase for name in ("LiF.cif", "griceite.cif")]
    phases, notes = with_own_phases(load_table(), own)
    assert notes == ("your LiF replaces the bundled LiF",)
    assert {"LiF", "griceite"} <= {phase.id for phase in phases}


def test_a_new_phase_is_added_without_a_word(tmp_path):
    mine = _read(tmp_path, _cif(FM3M), "my_sample_7.cif").phase
    phases, notes = with_own_phases(load_table(), [mine])
    assert notes == ()
    assert phases[-1] is mine


def test_read_cif_gives_the_phase_alone(tmp_path):
    (tmp_path / "a.cif").write_text(_cif(FM3M))
    assert read_cif(tmp_path / "a.cif").formula == "LiF"
