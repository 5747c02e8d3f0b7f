"""The library dock in a viewer: drops, searches and changes by real events; and the box in the main dock."""

import time
import zipfile
from pathlib import Path

import pytest
from qtpy.QtCore import QMimeData, QObject, QPoint, QPointF, Qt, QUrl
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication
from superqt import QCollapsible

from napari_tem_fft.io.phases import library as _library
from napari_tem_fft.io.phases.library import PhaseDatabase
from napari_tem_fft.io.phases.library_import import library_rows
from napari_tem_fft.io.phases.table import load_table
from napari_tem_fft.widgets.docks.library import STATE, LibraryDock, report_words
from napari_tem_fft.widgets.forms import candidates as _candidates
from napari_tem_fft.widgets.forms.candidates import CandidatesForm
from napari_tem_fft.widgets.session.child_processes import LibraryWork
from napari_tem_fft.widgets.session.runner import messages

LEFT, NONE = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
CUBIC = """data_{block}
_chemical_name_common '{name}'
_cell_length_a {a}
_cell_length_b {a}
_cell_length_c {a}
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M '{group}'
loop_
_atom_site_label
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
{atoms}
"""


def cif(name, a, *atoms, group="P m -3 m"):
    return CUBIC.format(block=name.split()[0], name=name, a=a, group=group, atoms="\n".join(atoms))


@pytest.fixture
def structures(tmp_path):
    """A folder with polonium, caesium chloride and a file that is none."""
    folder = tmp_path / "structures"
    (folder / "deep").mkdir(parents=True)
    (folder / "po.cif").write_text(cif("polonium", 3.34, "Po 0 0 0"))
    (folder / "deep" / "cscl.cif").write_text(cif("caesium chloride", 4.12, "Cs 0 0 0", "Cl .5 .5 .5"))
    (folder / "bad.cif").write_text("nothing")
    return folder


@pytest.fixture(autouse=True)
def file(tmp_path, monkeypatch):
    """The user's library, in a folder of the test."""
    path = tmp_path / "data" / "library.sqlite"
    monkeypatch.setattr(_library, "library_path", lambda: path)
    return path


@pytest.fixture(autouse=True)
def kept(monkeypatch):
    """What is remembered of the box, instead of in the user's own preferences."""
    kept = []
    monkeypatch.setattr(_candidates, "remember_library_searched", kept.append)
    return kept


@pytest.fixture
def shown(viewer, qtbot):
    """The dock in a viewer's window."""
    viewer.show()
    dock = LibraryDock(viewer)
    viewer.window.add_dock_widget(dock, name="Library", area="right")
    yield dock
    qtbot.waitUntil(
        lambda: not (dock.searcher.running or dock.changer.running or dock.work.running), timeout=60_000
    )


def drop(widget, *paths):
    """Drag files over a widget and let them fall, by Qt's own events; whether it takes them."""
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    enter = QDragEnterEvent(QPoint(5, 5), Qt.DropAction.CopyAction, data, LEFT, NONE)
    enter.ignore()
    QApplication.sendEvent(widget, enter)
    if enter.isAccepted():
        QApplication.sendEvent(widget, QDropEvent(QPointF(5, 5), Qt.DropAction.CopyAction, data, LEFT, NONE))
    return enter.isAccepted()


def ids(dock):
    return [item.text(0) for item in dock.tree.items()]


def states(dock):
    return {item.text(0): item.text(STATE) for item in dock.tree.items()}


def click(button):
    QTest.mouseClick(button, LEFT)


def select(dock, name):
    """Click the row of a structure."""
    (item,) = [item for item in dock.tree.items() if item.text(0) == name]
    place = dock.tree.visualItemRect(item).center()
    QTest.mouseClick(dock.tree.viewport(), LEFT, pos=QPoint(30, place.y()))


def fill(path, folder):
    """Import a folder in this process."""
    PhaseDatabase(path).write(library_rows([folder]))


def test_a_folder_that_is_dropped_is_imported_and_every_entry_says_its_state(shown, qtbot, structures, file):
    assert drop(shown, structures)
    assert shown.work.running and shown.cancel.isEnabled() and not shown.folder.isEnabled()
    qtbot.waitUntil(lambda: not shown.work.running and len(ids(shown)) == 3, timeout=60_000)
    assert sorted(states(shown).values()) == ["ok", "ok", "refused"]
    assert "3 read: 2 added" in shown.told.text() and "bad.cif: " in shown.told.text()
    assert PhaseDatabase(file).count() == 2
    assert "3 of 3 found; 2 in use" in shown.progress.format()
    refused = next(item for item in shown.tree.items() if item.text(STATE) == "refused")
    assert refused.text(6)


def test_archives_are_taken_and_micrographs_are_not(shown, qtbot, structures, tmp_path):
    archive = tmp_path / "both.zip"
    with zipfile.ZipFile(archive, "w") as written:
        for path in structures.rglob("*.cif"):
            written.write(path, path.name)
    assert not drop(shown, tmp_path / "image.dm4")
    assert drop(shown, archive)
    qtbot.waitUntil(lambda: not shown.work.running and len(ids(shown)) == 3, timeout=60_000)


def test_typing_finds_by_name_elements_cell_and_spacings(shown, qtbot, structures, file):
    fill(file, structures)
    shown.search()
    qtbot.waitUntil(lambda: len(ids(shown)) == 3)
    polonium = next(name for name in ids(shown) if name.startswith("Po"))
    for field, text in (
        (shown.words, "polon"),
        (shown.elements, "Po"),
        (shown.cell, "0.334"),
        (shown.spacings, "0.334, 0.2362"),
    ):
        QTest.keyClicks(field, text)
        qtbot.waitUntil(lambda: ids(shown) == [polonium])
        field.clear()
        qtbot.waitUntil(lambda: len(ids(shown)) == 3)
    QTest.keyClicks(shown.state, "refused")
    qtbot.waitUntil(lambda: set(states(shown).values()) == {"refused"})
    QTest.keyClicks(shown.elements, "Xy")
    qtbot.waitUntil(lambda: "not an element: 'Xy'" in shown.told.text())


def test_structures_are_left_out_used_again_and_removed_by_mouse(shown, qtbot, structures, file):
    fill(file, structures)
    shown.search()
    qtbot.waitUntil(lambda: len(ids(shown)) == 3)
    polonium = next(name for name in ids(shown) if name.startswith("Po"))
    assert not shown.leave.isEnabled()
    select(shown, polonium)
    click(shown.leave)
    qtbot.waitUntil(lambda: states(shown)[polonium] == "ok, left out")
    assert PhaseDatabase(file).count() == 1
    select(shown, polonium)
    click(shown.use)
    qtbot.waitUntil(lambda: states(shown)[polonium] == "ok")
    select(shown, polonium)
    click(shown.remove)
    qtbot.waitUntil(lambda: polonium not in ids(shown))
    assert PhaseDatabase(file).count() == 1


def test_an_import_that_is_cancelled_leaves_the_library_as_it_was(shown, qtbot, tmp_path, structures, file):
    fill(file, structures)
    many = tmp_path / "many"
    many.mkdir()
    for number in range(400):
        (many / f"{number}.cif").write_text(cif(f"n{number}", 3.5 + number / 1000, "Po 0 0 0", "Fe .5 .5 .5"))
    key = PhaseDatabase(file).key()
    assert drop(shown, many)
    qtbot.waitUntil(lambda: shown.work.running)
    time.sleep(0.3)
    click(shown.cancel)
    qtbot.waitUntil(lambda: not shown.work.running, timeout=60_000)
    unchanged = PhaseDatabase(file).key() == key
    assert unchanged == (shown.told.text() == "cancelled; the library is unchanged"), shown.told.text()


def test_work_that_was_written_before_it_could_be_cancelled_says_what_it_wrote(qtbot):
    work, ended = LibraryWork(parent := QObject()), []
    work.ended.connect(ended.append)
    work._command.told.emit({"report": {"added": 1}})
    work._command.ended.emit("cancelled")
    assert ended == [""] and parent is work.parent()


def test_a_database_that_cannot_be_reached_is_told_and_nothing_is_asked_of_an_unknown_one(shown, qtbot, file):
    shown.findChild(QCollapsible).expand(animate=False)
    qtbot.waitUntil(lambda: shown.ask.height() > 5)
    shown.provider.setEditText("nowhere")
    QTest.keyClicks(shown.wanted, "Li, F")
    with qtbot.waitSignal(messages.told) as told:
        click(shown.ask)
    assert "no provider is called 'nowhere'" in told.args[0] and not shown.work.running
    shown.provider.setEditText("http://127.0.0.1:9")
    click(shown.ask)
    assert shown.work.running
    qtbot.waitUntil(lambda: not shown.work.running, timeout=60_000)
    assert "cannot be reached" in shown.told.text()
    assert not PhaseDatabase(file).count()


def test_the_main_dock_opens_the_library_by_its_button(dock, viewer):
    assert not any(isinstance(each, LibraryDock) for each in viewer.window.dock_widgets.values())
    click(dock.on_demand["Library"])
    assert any(isinstance(each, LibraryDock) for each in viewer.window.dock_widgets.values())


def test_the_box_is_remembered_and_asks_the_library_by_elements(qtbot, structures, file, kept):
    form = CandidatesForm(load_table())
    qtbot.addWidget(form)
    form.show()
    assert not form.library.isChecked() and "library" not in form.asked().plain()
    QTest.mouseClick(form.library, LEFT, pos=QPoint(8, form.library.height() // 2))
    assert kept == [True] and form.asked().plain() == {"library": True}
    assert len(form.phases()) == len(load_table())
    fill(file, structures)
    QTest.keyClicks(form.elements, "Cs, Cl")
    library = form.choice().library
    assert [set(entry) for entry in library().elements] == [{"Cs", "Cl"}] and library() is library()
    form.names.setText("LiF")
    with pytest.raises(ValueError, match="the library is searched by elements"):
        form.choice()
    form.restore({"elements": "Li, F"})
    assert not form.library.isChecked() and kept == [True]


def test_a_run_searches_the_library_and_says_so(analysed, dock, run, structures, file):
    assert analysed.analysis.searched is None
    fill(file, structures)
    dock.candidates.names.setText("")
    dock.candidates.elements.setText("Po, Cu, Al")
    run(dock.session, dock.run.click)
    assert "holds 1 more structures of these elements: tick 'Library'" in dock.result.text()
    dock.candidates.library.setChecked(True)
    again = run(dock.session, dock.run.click)
    assert again.analysis.searched.allowed == 1 and "library: 1 of 2 structures" in dock.result.text()
    assert again.request["library"] is True


def test_words_of_a_report_name_the_first_refusals():
    counts = dict.fromkeys(("added", "changed", "unchanged", "known", "warnings"), 0)
    refused = [[f"{n}.cif", "no structure in it"] for n in range(9)]
    words = report_words({**counts, "files": 9, "refusals": 9, "refused": refused})
    assert words.splitlines()[1] == "0.cif: no structure in it" and "choose 'refused'" in words


def test_paths_are_those_of_the_test(file):
    assert PhaseDatabase().path == Path(file)
