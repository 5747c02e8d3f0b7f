"""The user's own phases: folders, lists of d-spacings, and whose entry counts."""

import pytest

from napari_tem_fft.core.phase_choice import find_phase, select_phases
from napari_tem_fft.io.d_lists import read_d_list
from napari_tem_fft.io.phases import load_cif_folder, load_table, with_own_phases

CUBIC = """data_x
_cell_length_a {a}
_cell_length_b {a}
_cell_length_c {a}
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_space_group_name_H-M_alt '{group}'
loop_
_atom_site_label
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
{atoms}
"""


def write(folder, name, a=4.03, group="F m -3 m", atoms="Li 0 0 0\nF 0.5 0.5 0.5"):
    (folder / name).write_text(CUBIC.format(a=a, group=group, atoms=atoms))


def test_one_bad_file_never_stops_the_rest(tmp_path):
    write(tmp_path, "LiF.cif")
    (tmp_path / "broken.CIF").write_text("data_x\nloop_\n")
    (tmp_path / "list.csv").write_text("name,d_nm\nmine,0.21\n")
    (tmp_path / "notes.txt").write_text("not a phase")
    phases, states = load_cif_folder(tmp_path)
    assert {phase.id for phase in phases} == {"LiF", "mine"}
    assert {state.file: state.state for state in states} == {
        "LiF.cif": "ok",
        "broken.CIF": "refused",
        "list.csv": "ok",
    }
    assert next(state for state in states if state.state == "refused").reason


def test_no_such_folder(tmp_path):
    with pytest.raises(ValueError, match="no such folder"):
        load_cif_folder(tmp_path / "nowhere")


def test_an_own_phase_takes_the_place_of_the_bundled_one_and_says_so(tmp_path):
    write(tmp_path, "LiF.cif", a=4.05)
    table, notes = with_own_phases(load_table(), load_cif_folder(tmp_path)[0])
    assert len(table) == len(load_table())
    mine = find_phase(table, "lithium fluoride")
    assert mine.cell[0] == pytest.approx(0.405) and "user" in mine.tags and "sei" in mine.tags
    assert notes == ("your LiF replaces the bundled LiF",)


def test_by_an_alias_too(tmp_path):
    write(tmp_path, "griceite.cif")
    table, notes = with_own_phases(load_table(), load_cif_folder(tmp_path)[0])
    assert find_phase(table, "LiF").id == "griceite"
    assert "griceite replaces the bundled LiF" in notes[0]


def test_a_name_of_another_substance_is_no_override(tmp_path):
    write(tmp_path, "LiF.cif", a=4.2, atoms="Mg 0 0 0\nO 0.5 0.5 0.5")
    table, notes = with_own_phases(load_table(), load_cif_folder(tmp_path)[0])
    assert notes == ()
    assert find_phase(table, "LiF").formula == "MgO"


def test_another_form_is_told(tmp_path):
    write(tmp_path, "TiO2.cif", a=4.36, atoms="Ti 0 0 0\nO 0.5 0.5 0.5")
    _, (note,) = with_own_phases(load_table(), load_cif_folder(tmp_path)[0])
    assert "may be another form" in note


def test_own_phases_are_always_candidates(tmp_path):
    write(tmp_path, "mine.cif", a=5.0, atoms="Eu 0 0 0\nO 0.5 0.5 0.5")
    table, _ = with_own_phases(load_table(), load_cif_folder(tmp_path)[0])
    assert "mine" in {phase.id for phase in select_phases(table)}
    assert "mine" in {phase.id for phase in select_phases(table, tags=["metal"])}


def test_a_list_of_d_spacings(tmp_path):
    path = tmp_path / "two.csv"
    path.write_text("Name,D_Angstrom,hkl,Intensity\nA,2.5,1 1 0,100\nB,3.1,,\n# remark\nA,1.7,-201,25\n")
    a, b = read_d_list(path)
    assert a.d_only and a.tags == ("user",) and a.flag
    assert [(r.hkl, round(r.d, 4), r.relative_f) for r in a.reflections] == [
        ((1, 1, 0), 0.25, 1.0),
        ((-2, 0, 1), 0.17, 0.5),
    ]
    assert b.reflections[0].hkl == (0, 0, 0)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no lines"),
        ("name,d\nx,2.1\n", "no column is called d_nm"),
        ("name,d_nm\nx,two\n", "line 2: not a number"),
        ("name,d_nm\nx,210\n", "makes no sense"),
        ("name,d_nm\nx,-0.2\n", "makes no sense"),
    ],
)
def test_a_list_that_is_refused(tmp_path, text, reason):
    path = tmp_path / "list.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=reason):
        read_d_list(path)
