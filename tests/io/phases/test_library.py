"""The user's library: imports that are whole and repeatable, searches, and nothing from outside trusted."""

import contextlib
import io
import sqlite3
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from napari_tem_fft.core.crystal.phase_selection import parse_elements
from napari_tem_fft.io.phases import library_import
from napari_tem_fft.io.phases.entry import export_entries
from napari_tem_fft.io.phases.library import LibraryError, PhaseDatabase, open_library, unasked_library
from napari_tem_fft.io.phases.library_import import library_rows, zones_from


def cif(a: float, atoms=("Cu 0 0 0",), group: str = "F m -3 m", name: str = "", extra: str = "") -> str:
    cell = [f"_cell_length_{edge} {a}" for edge in "abc"] + [
        f"_cell_angle_{angle} 90" for angle in ("alpha", "beta", "gamma")
    ]
    lines = ["data_x", f"_chemical_name_mineral '{name}'" if name else "", extra, *cell]
    lines += [f"_space_group_name_H-M_alt '{group}'", "loop_", "_atom_site_label"]
    lines += [f"_atom_site_fract_{x}" for x in "xyz"]
    return "\n".join([*lines, *atoms, ""])


ROCK_SALT = ("Li 0 0 0", "F 0.5 0.5 0.5")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "cifs"
    place.mkdir()
    for number, a in enumerate((3.607, 3.615, 3.621)):
        (place / f"copper{number}.cif").write_text(cif(a, name="Copper"))
    (place / "lif.cif").write_text(cif(4.027, ROCK_SALT))
    (place / "hot.cif").write_text(cif(3.62, extra="_cell_measurement_temperature 900", name="Copper"))
    (place / "bad.cif").write_text(cif(4.0, group="F q q q"))
    return place


@pytest.fixture
def library(tmp_path: Path, folder: Path) -> PhaseDatabase:
    database = PhaseDatabase(tmp_path / "library.sqlite")
    database.write(library_rows([folder]))
    return database


def test_every_file_is_taken_in_or_refused_with_the_reason(library, folder):
    assert library.count() == 5
    lines = {line.id: line for line in library.search()}
    assert {"Cu_Fm-3m", "Cu_Fm-3m-2", "Cu_Fm-3m-3", "Cu_Fm-3m-4", "LiF_Fm-3m"} <= set(lines)
    refused = [line for line in lines.values() if line.state == "refused"]
    assert [line.id for line in refused] == ["cifs/bad.cif"] and "unknown" in refused[0].reason


def test_an_import_is_repeatable(library, folder):
    before, key = library.search(), library.key()
    report = library.write(library_rows([folder]))
    assert (report.added, report.changed, report.unchanged, len(report.refused)) == (0, 0, 5, 1)
    assert library.search() == before and library.key() == key


def test_a_changed_file_keeps_its_id_and_a_copy_is_known(library, folder):
    (folder / "lif.cif").write_text(cif(4.030, ROCK_SALT))
    (folder / "again.cif").write_text(cif(3.607, name="Copper"))
    report = library.write(library_rows([folder]))
    assert (report.changed, report.known, report.unchanged) == (1, 1, 4)
    (line,) = library.search("lif")
    assert line.id == "LiF_Fm-3m" and line.cell[0] == pytest.approx(0.403)


def test_an_import_that_is_broken_off_leaves_the_library_as_it_was(library, folder):
    (folder / "au.cif").write_text(cif(4.078, ("Au 0 0 0",)))

    def broken():
        for number, rows in enumerate(library_rows([folder])):
            if number == 3:
                raise KeyboardInterrupt
            yield rows

    before = library.search()
    with pytest.raises(KeyboardInterrupt):
        library.write(broken())
    assert library.search() == before


def test_searches_by_words_elements_cell_and_d(library):
    assert {line.formula for line in library.search("copper")} == {"Cu"}
    assert {line.formula for line in library.search("FM-3M li")} == {"LiF"}
    assert [line.formula for line in library.search(elements=parse_elements("Li, F"))] == ["LiF"]
    assert {line.formula for line in library.search(cell=(0.36,), tolerance=0.01)} == {"Cu"}
    assert {line.formula for line in library.search(d=(0.2087, 0.1808))} == {"Cu"}
    assert library.search(d=(0.2087, 0.25)) == []


def test_references_of_one_phase_are_one_and_far_conditions_stand_alone(library):
    found = open_library("Cu", library.path, table=())
    assert len(found) == 4 and found.held == 5
    references = found.references.tolist()
    assert sorted(np.unique(references, return_counts=True)[1].tolist()) == [1, 3]


def test_entries_of_a_bundled_phase_are_that_phase(library):
    found = open_library("Cu", library.path)
    ids = {found.anchor(reference).id for reference in found.references.tolist() if found.anchor(reference)}
    assert ids == {"Cu"}


def test_phases_are_loaded_with_the_zones_that_are_asked_for(library):
    found = open_library("Li, F", library.path)
    (phase,) = found.load([0], [frozenset({(0, 0, 1)})])
    assert phase.reflections.zones == {(0, 0, 1)} and 0 < phase.reflections.zone_share < 1
    (whole,) = found.load([0], [None])
    assert whole.reflections.zones is None and whole.reflections[0].d == pytest.approx(0.2325, abs=1e-4)
    assert "library" in whole.tags


def test_entries_that_are_left_out_take_no_part(library):
    library.use(["LiF_Fm-3m"], False)
    assert library.count(parse_elements("Li, F")) == 0
    assert [line.used for line in library.search("LiF")] == [False]
    library.use(["LiF_Fm-3m"], True)
    assert library.count(parse_elements("Li, F")) == 1


def test_what_is_not_asked_is_told(library, tmp_path):
    text = unasked_library("Li, F", library.path).text
    assert text == "the library holds 1 more structures of these elements: search them with --library"
    assert unasked_library("Au", library.path) is None
    assert unasked_library("Li, F", tmp_path / "nowhere.sqlite") is None
    assert not (tmp_path / "nowhere.sqlite").exists()


def test_a_copy_holds_the_selected_entries_and_says_of_how_many(library, tmp_path):
    copy = PhaseDatabase(tmp_path / "run" / "library.sqlite")
    assert library.copy_to(copy.path, parse_elements("Li, F")) == 1
    found = open_library(None, copy.path)
    assert (len(found), found.held) == (1, 5)
    assert copy.key() == library.key(parse_elements("Li, F"))


def test_removal_by_id_by_source_and_of_all(library):
    assert library.remove(["LiF_Fm-3m"]) == 1 and library.count() == 4
    with pytest.raises(LibraryError, match="not contain 'LiF_Fm-3m'; nothing was removed"):
        library.remove(["Cu_Fm-3m", "LiF_Fm-3m"])
    assert library.count() == 4
    assert library.remove(origin="cifs/copper0") == 1
    assert library.remove() == 3 and library.search() == []


def content_of(library):
    with contextlib.closing(sqlite3.connect(library.path)) as database:
        return database.execute("SELECT content, usual FROM entry ORDER BY content, usual").fetchall()


@pytest.mark.parametrize("target", ["out", "out.zip"])
def test_what_is_exported_is_imported_as_the_same(library, tmp_path, target):
    export_entries(library.entries(), tmp_path / target)
    other = PhaseDatabase(tmp_path / "other.sqlite")
    assert other.write(library_rows([tmp_path / target])).added == 5
    assert content_of(other) == content_of(library)


def test_archives_of_all_kinds(tmp_path, folder):
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for path in folder.iterdir():
            archive.write(path, f"deep/{path.name}")
        archive.writestr("__MACOSX/._lif.cif", b"\0\5\x16\7")
        archive.writestr("notes.txt", "not looked at")
    with tarfile.open(tmp_path / "all.tar.gz", "w:gz") as archive:
        archive.add(folder, "deep")
    for name in ("all.zip", "all.tar.gz"):
        report = PhaseDatabase(tmp_path / f"{name}.sqlite").write(library_rows([tmp_path / name]))
        assert (report.added, len(report.refused), report.files) == (5, 1, 6)


def test_names_and_links_of_archives_lead_nowhere(tmp_path):
    path = tmp_path / "evil.tar"
    with tarfile.open(path, "w") as archive:
        data = cif(3.6).encode()
        info = tarfile.TarInfo("../../etc/\x1b[31mevil.cif")
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo("link.cif")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    before = sorted(tmp_path.rglob("*"))
    ((done, (row,)),) = library_rows([path])
    assert done == 1 and "\x1b" not in row.origin and row.entry.formula == "Cu"
    assert sorted(tmp_path.rglob("*")) == before


def test_a_bomb_is_not_unpacked(tmp_path):
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.cif", b"#" * 30_000_000)
        archive.writestr("good.cif", cif(3.6))
    rows = [row for _, of_file in library_rows([path]) for row in of_file]
    assert "larger than 4 MB" in rows[0].reason and rows[1].entry.formula == "Cu"


def test_too_many_files_are_refused(tmp_path, folder, monkeypatch):
    monkeypatch.setattr(library_import, "MOST_FILES", 3)
    with pytest.raises(ValueError, match="more than 3 files"):
        list(library_rows([folder]))


@pytest.mark.parametrize(
    ("name", "content"), [("x.zip", b"PK\3\4broken"), ("x.tar.gz", b"\x1f\x8bno"), ("x.txt", b"")]
)
def test_a_source_that_is_none_is_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=r"x\."):
        list(library_rows([tmp_path / name]))
    with pytest.raises(ValueError, match="no such file or folder"):
        list(library_rows([tmp_path / "nowhere"]))


def test_a_library_that_is_empty_damaged_or_newer(tmp_path, library):
    with pytest.raises(LibraryError, match="is empty"):
        PhaseDatabase(tmp_path / "none.sqlite").load()
    (tmp_path / "broken.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(LibraryError, match=r"broken\.sqlite .*import again"):
        PhaseDatabase(tmp_path / "broken.sqlite").search()
    connection = sqlite3.connect(library.path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(LibraryError, match="newer"):
        library.load()


def test_an_entry_that_was_tampered_with_is_told(library):
    with sqlite3.connect(library.path) as connection:
        connection.execute("UPDATE entry SET body = x'00ff'")
    connection.close()
    with pytest.raises(ValueError, match="damaged"):
        library.entries()


def test_zones_are_kept_to_their_step(library):
    with sqlite3.connect(library.path) as connection:
        (data,) = connection.execute("SELECT zones FROM entry WHERE id = 'Cu_Fm-3m'").fetchone()
    connection.close()
    zones = zones_from(data)
    (cube,) = [zone for zone in zones if sorted(map(abs, zone["uvw"].tolist())) == [0, 0, 1]]
    assert np.exp(cube["shape"] * 1e-4) == pytest.approx(
        [2 / 0.3607, 2 / 0.3607, 2 * 2**0.5 / 0.3607], rel=1e-4
    )
