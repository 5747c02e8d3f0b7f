"""Why not some phase, rings of any phase, hints applied to the calibration: by mouse, among images."""

import numpy as np
import pytest
from napari.layers import Layer
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from dm_writer import write_dm
from forward_model import fringes
from napari_tem_fft.io.phases.library import PhaseDatabase
from napari_tem_fft.io.phases.table import load_table
from napari_tem_fft.plugin.reader import read_layers
from napari_tem_fft.widgets.docks.dock import dock_of
from napari_tem_fft.widgets.docks.phases import PhasesDock
from napari_tem_fft.widgets.docks.results import ResultsDock
from napari_tem_fft.widgets.forms.phase_overrides import phase_called

LEFT = Qt.MouseButton.LeftButton
#: Edge of the cell of copper, nm, and that of a crystal that would be copper by a scale 8.3 % shorter.
COPPER, LARGER = 0.3615, 1.09 * 0.3615


@pytest.fixture
def results(two_images, qtbot):
    """The half of the results that says why, in front."""
    window = two_images.session.viewer.window
    qtbot.waitUntil(lambda: any(isinstance(w, ResultsDock) for w in window.dock_widgets.values()))
    widget = next(w for w in window.dock_widgets.values() if isinstance(w, ResultsDock))
    dock_of(widget).raise_()
    QApplication.processEvents()
    return widget.candidates


def ask(table, name, button=None):
    table.question.name.clear()
    QTest.keyClicks(table.question.name, name)
    if button is None:
        QTest.keyClick(table.question.name, Qt.Key.Key_Return)
    else:
        QTest.mouseClick(button, LEFT)


def answered(table, qtbot):
    qtbot.waitUntil(lambda: not table._asker.running and table.reason.text() != "...", timeout=60_000)
    QApplication.processEvents()
    return table.reason.text()


def item_of(table, text):
    return next(item for item in table.tree.items() if item.text(0).startswith(text))


def click_row(table, text):
    item = item_of(table, text)
    if item.parent() is not None:
        item.parent().setExpanded(True)
    table.tree.scrollToItem(item)
    place = table.tree.visualItemRect(item)
    QTest.mouseClick(table.tree.viewport(), LEFT, pos=place.topLeft() + QPoint(30, place.height() // 2))


def test_why_not_and_rings_of_any_phase(two_images, results, qtbot):
    session = two_images.session
    first = next(state for state in session._image_states.values() if state.layer.name == "first")
    click_row(results, "grain 1")
    ask(results, "Au")
    words = answered(results, qtbot)
    assert words.startswith("Au in grain 1: it was not among the candidates; ")
    ask(results, "LiF", results.question.why)
    assert answered(results, qtbot) == "LiF in grain 1: it is named; elements would tell"
    QTest.keyClick(results.tree, Qt.Key.Key_Escape)
    ask(results, "rocksalt nonsense")
    assert "did you mean NaCl?" in two_images.problem.text()
    assert "no phase is called" in results.reason.text()  # and not what was said of LiF

    ask(results, "Au", results.question.rings)
    drawn, current = session.current.group["compare"], session.current
    gold = {round(r.d, 5) for phase in load_table() if phase.id == "Au" for r in phase.reflections}
    assert set(drawn.features["d (nm)"]) <= gold and "1 1 1" in set(drawn.features["label"])
    assert drawn.name == "rings of Au · second" and first.group.get("compare") is None
    click_row(results, "grain 2")  # another selection leaves them
    assert current.group.get("compare") is drawn and drawn.visible
    session.choose(first.layer)
    assert not drawn.visible
    session.choose(current.layer)
    assert drawn.visible
    QTest.mouseClick(results.clear, LEFT)
    assert current.group.get("compare") is None and session.chosen is None
    qtbot.waitUntil(lambda: not session.spotlight.runner.running, timeout=60_000)


def test_a_phase_is_found_in_the_library_too(tmp_path):
    from napari_tem_fft.io.phases.library_import import library_rows

    cif = tmp_path / "mine.cif"
    cif.write_text(
        "data_mine\n_cell_length_a 4.4\n_cell_length_b 4.4\n_cell_length_c 4.4\n_cell_angle_alpha 90\n"
        "_cell_angle_beta 90\n_cell_angle_gamma 90\n_symmetry_space_group_name_H-M 'F m -3 m'\nloop_\n"
        "_atom_site_label\n_atom_site_type_symbol\n_atom_site_fract_x\n_atom_site_fract_y\n"
        "_atom_site_fract_z\nYb1 Yb 0 0 0\nTe1 Te 0.5 0.5 0.5\n",
        encoding="ascii",
    )
    library = PhaseDatabase(tmp_path / "library.sqlite")
    library.write(library_rows([cif]))
    (line,) = library.search("")
    assert phase_called(line.id, (), library).elements == {"Yb", "Te"}
    assert phase_called("gold", (), library).id == "Au"
    with pytest.raises(ValueError, match="no phase is called 'unobtainium'"):
        phase_called("unobtainium", (), library)


@pytest.fixture
def larger_crystal(tmp_path):
    """A .dm4 of a crystal as copper along [011], 9 % larger."""
    shape, size = (300, 320), 0.02
    rows, columns = np.mgrid[: shape[0], : shape[1]] * size
    grain = np.hypot(rows - 3.0, columns - 3.1) < 2.4
    planes = ((3**-0.5, 20.0), (0.5, 20.0 + 54.736), (3**-0.5, 20.0 + 109.471), (8**-0.5, 20.0 + 144.736))
    image = np.random.default_rng(1).normal(0, 1, shape)
    for d, azimuth in planes:
        image += grain * fringes(shape, (size, size), d * LARGER, azimuth)
    return write_dm(tmp_path / "larger.dm4", image.astype(np.float32), size, "nm")


def test_a_hint_is_applied_to_the_calibration_by_a_click_and_taken_back(
    two_images, results, larger_crystal, run
):
    dock, session = two_images, two_images.session
    others = [(state.layer, tuple(state.layer.scale)) for state in session._image_states.values()]
    layer = session.viewer.add_layer(Layer.create(*read_layers(str(larger_crystal))[0]))
    dock.candidates.names.setText("Cu")
    state = run(session, lambda: QTest.mouseClick(dock.run, LEFT))
    assert not results.undo.isVisible()
    before, matches = state.analysis, state.matches
    assert matches[0].outcome == "unknown" and [hint.phase for hint in matches[0].hints] == ["Cu"]
    click_row(results, "closest: Cu")
    assert results.apply.text() == f"Apply Cu: scale {100 * (matches[0].hints[0].scale - 1):+.1f} %"
    state = run(session, lambda: QTest.mouseClick(results.apply, LEFT))
    assert layer.scale[-1] == pytest.approx(0.02 / 1.09, rel=0.005)
    assert [(each, tuple(each.scale)) for each, _ in others] == others
    assert state.matches[0].phases == ("Cu",) and state.matches[0].decided_by_user
    assert state.matches[0].candidates[0].scale == pytest.approx(1.0, abs=0.005)
    said = results.reason.text()
    assert "0.02 → 0.018" in said and "-8." in said and "corrected on Cu in grain 1" in said
    assert dock.scale.text() == "pixel 0.0183 nm" or dock.scale.text() == "pixel 0.0184 nm"
    assert dock.uncertainty.value() == pytest.approx(0.3, abs=0.2)
    state = run(session, lambda: QTest.mouseClick(results.undo, LEFT))
    assert layer.scale[-1] == pytest.approx(0.02) and dock.scale.text() == "pixel 0.0200 nm"
    assert dock.uncertainty.value() == 2.0
    assert state.analysis.matches == before.matches and not results.undo.isVisible()
    assert isinstance(results, PhasesDock)
