"""The user's library on the command line: from import to a named grain, and in a batch."""

import json
import sys
from pathlib import Path

import pytest

from napari_tem_fft.cli.main import main


def cif(a: float, atoms, extra: str = "") -> str:
    cell = [f"_cell_length_{edge} {a}" for edge in "abc"]
    cell += [f"_cell_angle_{angle} 90" for angle in ("alpha", "beta", "gamma")]
    sites = ["loop_", "_atom_site_label", *(f"_atom_site_fract_{x}" for x in "xyz"), *atoms]
    return "\n".join(["data_x", extra, *cell, "_space_group_name_H-M_alt 'F m -3 m'", *sites, ""])


@pytest.fixture
def library(tmp_path: Path, capsys) -> list[str]:
    folder = tmp_path / "cifs"
    folder.mkdir()
    for number, a in enumerate((3.611, 3.615, 3.621)):
        (folder / f"copper{number}.cif").write_text(cif(a, ("Cu 0 0 0",), "_chemical_name_mineral Copper"))
    (folder / "lif.cif").write_text(cif(4.027, ("Li 0 0 0", "F 0.5 0.5 0.5")))
    (folder / "bad.cif").write_text("data_x\n_cell_length_a 4\n")
    place = ["--library-file", str(tmp_path / "library.sqlite")]
    assert main(["phases", "import", str(folder), *place]) == 0
    told = capsys.readouterr()
    assert "5 read: 4 structures added" in told.out and "cifs/bad.cif: refused: " in told.err
    return place


def test_entries_are_found_shown_left_out_removed_and_exported(library, capsys, tmp_path):
    assert main(["phases", "search", "copper", *library]) == 0
    assert "3 of 4 structures" in capsys.readouterr().out
    assert main(["phases", "search", "--elements", "Li, F", "--d", "0.2325", *library]) == 0
    assert "LiF_Fm-3m" in capsys.readouterr().out
    assert main(["phases", "search", "--state", "refused", *library]) == 0
    assert "the unit cell is incomplete" in capsys.readouterr().out
    assert main(["phases", "show", "LiF_Fm-3m", "--unit", "angstrom", *library]) == 0
    shown = capsys.readouterr().out
    assert "2.3250" in shown and "density: 2.6" in shown
    assert main(["phases", "use", "--off", "LiF_Fm-3m", *library]) == 0
    assert main(["phases", "search", "LiF", *library]) == 0
    assert "excluded" in capsys.readouterr().out
    assert main(["phases", "export", str(tmp_path / "out"), "--elements", "Cu", *library]) == 0
    assert len(list((tmp_path / "out").glob("*.cif"))) == 3
    assert main(["phases", "remove", "LiF_Fm-3m", *library]) == 0
    assert main(["phases", "remove", "--all", *library]) == 0
    assert "3 removed; 0 structures left" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["phases", "show", "nothing"], "not contain 'nothing'"),
        (["phases", "remove"], "state what to remove"),
        (["phases", "import", "nowhere.zip"], "no such file or folder"),
        (["phases", "fetch", "--provider", "nobody", "--elements", "Li"], "no provider is called 'nobody'"),
        (["phases", "fetch", "--provider", "http://127.0.0.1:9", "--elements", "Li"], "cannot be reached"),
        (["phases", "fetch", "--provider", "cod", "--elements", "Qq"], "not an element: 'Qq'"),
    ],
)
def test_mistakes_are_told_in_a_sentence(library, words, reason, capsys):
    assert main([*words, *library]) == 2
    assert reason in capsys.readouterr().err


def test_names_of_phases_go_on_as_before(capsys):
    assert main(["phases", "LiF"]) == 0
    assert capsys.readouterr().out.startswith("LiF: ")


def test_an_analysis_searches_the_library_and_says_so(library, tmp_path, capsys):
    sample = str(Path(main.__code__.co_filename).parents[1] / "data" / "sample.dm4")
    command = ["analyse", sample, "-o", str(tmp_path / "out"), "--elements", "Cu, Li, O", "--network", "none"]
    assert main([*command, "--library", *library]) == 0
    told = capsys.readouterr().out
    assert "library: 3 of 4 structures by elements searched" in told
    stored = json.loads((tmp_path / "out" / "sample.dm4" / "analysis.json").read_text())
    copper = [match for match in stored["matches"] if match["phases"] == ["Cu"]]
    assert copper and "3 entries, a 0.3611-0.3621 nm" in copper[0]["reason"]
    assert stored["library"]["key"] and [phase["id"] for phase in stored["library"]["phases"]] == ["Cu"]
    assert {cell["grain"] for cell in stored["plane_cells"] if cell} <= {g["id"] for g in stored["grains"]}
    assert main([*command, *library]) == 0
    assert "the library holds 3 more structures of these elements" in capsys.readouterr().out
    assert main([*command, "--phases", "Cu", "--library", *library]) == 2
    assert "omit --phases" in capsys.readouterr().err


def test_a_run_keeps_the_entries_that_it_searches(library, tmp_path, capsys):
    sample = str(Path(main.__code__.co_filename).parents[1] / "data" / "sample.dm4")
    folder = tmp_path / "run"
    command = ["batch", sample, "-o", str(folder), "--workers", "1", "--keep", "tables", "--network", "none"]
    assert main([*command, "--elements", "Cu, Li, O", "--library", *library]) == 0
    assert main(["phases", "search", "--library-file", str(folder / "library.sqlite")]) == 0
    assert "3 of 3 structures" in capsys.readouterr().out
    (stored,) = [json.loads(path.read_text()) for path in folder.rglob("analysis.json")]
    assert (stored["library"]["allowed"], stored["library"]["held"]) == (3, 4)
    assert main(["phases", "remove", "--all", *library]) == 0
    assert main(["batch", "-o", str(folder), "--resume", "--workers", "1"]) == 0


def test_without_spglib_only_fetching_says_what_to_do(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "spglib", None)
    place = ["--library-file", str(tmp_path / "library.sqlite")]
    assert main(["phases", "fetch", *place, "--provider", "cod", "--elements", "Li,F"]) == 2
    assert "needs spglib, which is not installed: pip install spglib" in capsys.readouterr().err
