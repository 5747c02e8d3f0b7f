"""The table of spots: numbers, order, and one selection with the canvas, among two images."""

import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtGui import QGuiApplication
from qtpy.QtTest import QTest

from mouse import press_on_canvas
from napari_tem_fft.layers.results import plane_of
from napari_tem_fft.widgets.docks.dock import dock_of
from napari_tem_fft.widgets.docks.spots import SpotsDock

D, REFERENCE, OFF, LEFT, HKL, AZIMUTH = 1, 3, 4, 5, 6, 7


@pytest.fixture
def table(two_images, qtbot):
    """The table in front of its neighbours."""
    window = two_images.session.viewer.window
    qtbot.waitUntil(lambda: any(isinstance(w, SpotsDock) for w in window.dock_widgets.values()))
    widget = next(w for w in window.dock_widgets.values() if isinstance(w, SpotsDock))
    dock_of(widget).raise_()
    qtbot.waitUntil(lambda: widget.tree.topLevelItemCount() > 0, timeout=10_000)
    return widget


def rows(table):
    return [[item.text(column) for column in range(table.tree.columnCount())] for item in table.tree.items()]


def click_row(table, spot, modifier=Qt.KeyboardModifier.NoModifier):
    item = next(item for item in table.tree.items() if item.text(0) == str(spot))
    place = table.tree.visualItemRect(item).center()
    QTest.mouseClick(table.tree.viewport(), Qt.MouseButton.LeftButton, modifier, place)


def click_title(table, column):
    header = table.tree.header()
    place = QPoint(header.sectionViewportPosition(column) + 6, header.height() // 2)
    QTest.mouseClick(header.viewport(), Qt.MouseButton.LeftButton, pos=place)


def test_spots_are_sorted_by_d_and_by_whatever_title_is_clicked(table):
    first, *_ = shown = rows(table)
    assert [row[D] for row in shown] == ["0.2500", "0.2326", "0.2000"]
    assert (first[REFERENCE], first[HKL], float(first[AZIMUTH])) == ("0.2325", "(1 1 1)", pytest.approx(30.0))
    assert shown[-1][-1] == "reflection, off"
    click_title(table, AZIMUTH)
    azimuths = [float(row[AZIMUTH]) for row in rows(table)]
    assert azimuths in (sorted(azimuths), sorted(azimuths, reverse=True))
    before = azimuths
    click_title(table, AZIMUTH)
    assert [float(row[AZIMUTH]) for row in rows(table)] == before[::-1]
    click_title(table, D)
    click_title(table, D)
    assert sorted(row[D] for row in rows(table)) in (
        [row[D] for row in rows(table)],
        [row[D] for row in rows(table)][::-1],
    )


def test_a_row_and_the_spot_on_the_canvas_are_selected_together(two_images, table, qtbot):
    session = two_images.session
    click_row(table, 1)
    assert session.chosen.spots == (1,) and session.chosen.words.startswith("spot 1: 0.2326 ")
    points = session.current.group["spots"]
    assert {points.features["spot"][i] for i in points.selected_data} == {1}
    click_row(table, 0, Qt.KeyboardModifier.ControlModifier)
    assert set(session.chosen.spots) == {0, 1}
    plane = plane_of(session.current.group["fft"].metadata)
    press_on_canvas(session.viewer, plane.world(session.current.spots[0].g))
    assert session.chosen.spots == (0,) and table.tree.marked() == [0]
    QTest.keyClick(table.tree, Qt.Key.Key_Down)  # on from the row that the canvas has marked
    assert session.chosen.spots == (1,)
    QTest.keyClick(table.tree, Qt.Key.Key_Escape)
    assert session.chosen is None and table.tree.marked() == []
    qtbot.waitUntil(lambda: not session.spotlight.runner.running, timeout=60_000)


def test_delete_and_restore_change_the_spots_of_the_chosen_image_alone(two_images, table, run):
    session = two_images.session
    first = next(state for state in session._image_states.values() if state.layer.name == "first")
    before = [spot.enabled for spot in first.spots]
    click_row(table, 0)
    run(session, lambda: QTest.keyClick(table.tree, Qt.Key.Key_Delete))
    assert [spot.enabled for spot in session.current.spots][:2] == [False, True]
    assert next(row for row in rows(table) if row[0] == "0")[-1].endswith(", off")
    click_row(table, 0)
    assert not table.remove.isEnabled()
    run(session, lambda: QTest.mouseClick(table.restore, Qt.MouseButton.LeftButton))
    assert session.current.spots[0].enabled
    assert [spot.enabled for spot in first.spots] == before


def test_the_copied_table_has_plain_numbers(table):
    QTest.mouseClick(table.copy, Qt.MouseButton.LeftButton)
    names, first, *_ = [line.split("\t") for line in QGuiApplication.clipboard().text().splitlines()]
    row = dict(zip(names, first, strict=True))
    assert (row["spot"], row["hkl"], row["grain"], row["counts"]) == ("0", "1 1 1", "1", "1")
    assert [float(row[n]) for n in ("d_nm", "d_reference_nm")] == pytest.approx([0.25, 0.2325], abs=1e-4)
