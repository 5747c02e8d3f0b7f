"""Work of the window that would take too long at once, spread over turns of the event loop."""

from __future__ import annotations

from collections.abc import Iterator

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QWidget

#: Milliseconds between two parts, in which the window draws itself and answers.
BETWEEN = 10


def in_turns(owner: QWidget, work: Iterator[object]) -> None:
    """Take an iterator to its end, a step each time when the window has drawn itself and answered.

    Parameters
    ----------
    owner : QWidget
        What the work is for; it ends when this or its window is gone.
    work : iterator
        Each `next` does a part.
    """
    timer = QTimer(owner, interval=BETWEEN)

    def go_on() -> None:
        if not owner.window().isVisible() or next(work, work) is work:
            timer.stop()
            timer.deleteLater()

    timer.timeout.connect(go_on)
    timer.start()
