"""Long work of the window is done in parts, and no further than the window lives."""

from qtpy.QtWidgets import QWidget

from napari_tem_fft.widgets.session.responsiveness import in_turns


def test_a_part_each_turn_while_the_window_is_there(qtbot):
    widget, done = QWidget(), []
    qtbot.addWidget(widget)
    widget.show()
    in_turns(widget, (done.append(i) for i in range(3)))
    assert done == []
    qtbot.waitUntil(lambda: done == [0, 1, 2])
    in_turns(widget, (done.append(i) for i in range(3, 100)))
    qtbot.waitUntil(lambda: 3 in done)
    widget.hide()
    count = len(done)
    qtbot.wait(50)
    assert len(done) == count < 100
