"""What somebody stumbled over who used the window for the first time, several images open."""

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QDialog, QLabel

from dm_writer import write_dm
from hand import LEFT
from mouse import on_canvas
from napari_tem_fft.widgets.canvas.stage import sees_whole
from napari_tem_fft.widgets.docks.calibration import CalibrationDock
from napari_tem_fft.widgets.docks.phases import PhasesDock
from napari_tem_fft.widgets.docks.profile import ProfileDock
from napari_tem_fft.widgets.docks.results import ComponentsDock, ResultsDock
from napari_tem_fft.widgets.forms.tree import ResultTree, Row


def notified():
    """What the notifications say that are seen over the canvas."""
    found = []
    for widget in QApplication.allWidgets():
        message = getattr(widget, "message", None)
        if isinstance(widget, QDialog) and isinstance(message, QLabel) and widget.isVisible():
            found.append(message.text())
    return found


def test_an_image_without_a_scale_beside_others_is_said_once_in_the_dock(hand, films, tmp_path):
    """And not by napari, as "inconsistent units", for each of the layers that are added later."""
    hand.drop(films[0])
    raw = np.random.default_rng(3).normal(size=(64, 64)).astype(np.float32)
    hand.drop(write_dm(tmp_path / "raw.dm3", raw))
    hand.viewer.screenshot(flash=False)
    assert "Give it a pixel size above" in hand.dock.result.text()
    hand.drop(films[1])
    hand.viewer.screenshot(flash=False)
    assert hand.viewer.layers.extent.units is None and not [t for t in notified() if "units" in t]


def test_the_next_image_is_not_run_with_elements_that_nobody_looked_at(hand, films):
    dock = hand.dock
    assert not dock.uncertainty.isEnabled() and dock.uncertainty.value() == 2.0  # and not the least
    hand.drop(films[0])
    assert "state its elements first" in dock.result.text()
    hand.type(dock.candidates.elements, "Li, F")
    assert "if the elements and phases above are those of this image" in dock.result.text()
    hand.drop(films[1])
    assert "above are those of this image" in dock.result.text()
    QTest.keyClick(dock.candidates.elements, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    QTest.keyClick(dock.candidates.elements, Qt.Key.Key_Delete)
    assert "state its elements first" in dock.result.text()


def test_the_profile_says_what_it_is_for_in_the_middle_of_its_dock(hand, films):
    plot = hand.bring(ProfileDock).plot
    for path in films[:2]:
        hand.drop(path)
        (text,) = plot.axes.texts
        box = text.get_window_extent(plot.figure.canvas.get_renderer())
        width = plot.figure.bbox.width
        assert box.x0 > 0 and box.x1 < width and (box.x0 + box.x1) / 2 == pytest.approx(width / 2, abs=1)


def test_a_click_on_a_long_cell_moves_no_column_out_of_sight(qtbot):
    tree = ResultTree(("component", "outcome"), ("", ""))
    qtbot.addWidget(tree)
    tree.fill([Row(number, (f"LiF {number}", "a long outcome " * 9)) for number in range(30)])
    tree.resize(200, 150)
    tree.show()
    row = tree.visualItemRect(tree.topLevelItem(2)).center().y()
    QTest.mouseClick(tree.viewport(), LEFT, pos=QPoint(150, row))
    assert tree.currentColumn() == 1 and tree.horizontalScrollBar().value() == 0
    tree.mark(29)
    assert tree.verticalScrollBar().value() > 0 and tree.horizontalScrollBar().value() == 0


def test_a_small_window_shows_all_columns_and_every_word_of_a_reason(hand, two):
    """The button with the scale that a phase needs is in two lines, or it would widen the column."""
    window = hand.viewer.window._qt_window
    window.resize(1280, 800)
    hand.until(lambda: (window.width(), window.height()) == (1280, 800))
    for state in two:
        hand.choose_image(state.layer)
        calibration = hand.bring(CalibrationDock)
        for reference in ("LiF", "Cu"):
            hand.choose(calibration.phase, calibration.phase.findText(reference))
            hand.press(calibration.add)
        tree = calibration.tree
        (item,) = tree.items()
        assert item.text(0) == "spot 0" and item.text(1) == "0.25000"
        hand.until(lambda tree=tree: tree.viewport().width() > 400)
        assert tree.header().length() <= tree.viewport().width()

        results = hand.bring(ResultsDock)
        grains, candidates = results.findChild(ComponentsDock), results.findChild(PhasesDock)
        assert not [item.text(0) for item in candidates.tree.items() if "LiF LiF" in item.text(0)]
        hand.row(grains.tree, "grain 1")
        hand.rest()
        candidates._say("these spots cannot distinguish the phases (81%, or 9 %) " * 3)
        candidates.apply.setText("Apply LiF: scale +4.2 %,\nstretch 3.1 % along 37°")
        candidates.apply.show()
        QApplication.processEvents()
        assert "(81\N{NO-BREAK SPACE}%, or 9\N{NO-BREAK SPACE}%)" in candidates.reason.text()
        right = candidates.mapTo(results, QPoint(candidates.width(), 0)).x()
        assert right <= results.width() and candidates.reason.width() <= candidates.width()


def test_selecting_a_grain_cuts_nothing_off_and_its_zone_axis_hides_no_index(hand, two):
    """A grain of a third of the image beside the FFT: the whole image and its legend stay in sight."""
    for state in two:
        hand.choose_image(state.layer)
        hand.click(state.grains[0].centre)
        hand.session.look_at_grain(1)  # as a row of the table does
        hand.rest()
        pattern, fft = state.group["pattern"], state.group["fft"]
        assert state.grains[0].diameter > 0.4 * np.min(np.ptp(state.layer.extent.world, axis=0))
        assert sees_whole(hand.viewer, fft) and sees_whole(hand.viewer, state.layer)
        assert pattern.features["label"][0] == "LiF [0 1 1]"
        bottom = on_canvas(hand.viewer, fft.extent.world[1]).y()
        place, *spots = (on_canvas(hand.viewer, pattern.data_to_world(point)) for point in pattern.data)
        assert place.y() > bottom and all(spot.y() <= bottom for spot in spots)
        hand.press(hand.dock.views.to_reciprocal)
        place = on_canvas(hand.viewer, pattern.data_to_world(pattern.data[0]))
        assert 0 < place.y() < hand.viewer.canvas.size[0]
    hand.press(hand.dock.panel)
    hand.rest()
    assert sees_whole(hand.viewer, state.layer)  # each space has another place now
    hand.press(hand.dock.panel)
    hand.rest()
    assert sees_whole(hand.viewer, state.layer) and sees_whole(hand.viewer, state.group["fft"])
