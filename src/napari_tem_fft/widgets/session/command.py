"""Command: a command of this package in a process of its own, which tells its progress as lines of JSON."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress

from qtpy.QtCore import QObject, QProcess, QTimer, Signal

#: Characters of what the command printed last that are told if it fails.
LAST_WORDS = 500
#: Time that a command is given to end by itself, in ms; while the window closes, and else.
PATIENCE_AT_END, PATIENCE = 20_000, 60_000


class Command(QObject):
    """Runs one process at a time; the window stays free, and the process goes with it.

    Parameters
    ----------
    parent : QObject or None
        The process ends when it is deleted.
    name : str
        What it is called where it fails: "the training".
    listens : bool
        Whether the command ends by itself when its standard input is closed; else it is interrupted, as by
        Ctrl+C.

    Signals
    -------
    told(object)
        What a line says, a dictionary.
    ended(str)
        Nothing runs any longer; what went wrong, "cancelled", or nothing.
    """

    told = Signal(object)
    ended = Signal(str)

    def __init__(self, parent: QObject | None, name: str, listens: bool = False) -> None:
        super().__init__(parent)
        self._name, self._listens = name, listens
        self._cancelled = False
        self._printed = self._said = b""
        self._process = QProcess(self)
        self._patience = QTimer(self, singleShot=True, interval=PATIENCE)
        self._patience.timeout.connect(self._process.kill)
        self._process.readyReadStandardOutput.connect(self._on_output)
        self._process.readyReadStandardError.connect(self._on_words)
        self._process.finished.connect(self._on_finished)
        self._process.errorOccurred.connect(self._on_error)

    @property
    def running(self) -> bool:
        """Whether a process is at work."""
        return bool(self._process.state() != QProcess.ProcessState.NotRunning)

    def start(self, words: Sequence[str], order: str = "") -> None:
        """Run a program with its arguments; `order` is written to its standard input."""
        self._cancelled = False
        self._printed = self._said = b""
        self._process.start(words[0], list(words[1:]))
        if order:
            self._process.write(order.encode())

    def cancel(self) -> None:
        """Let the process end, so that it ends its own helpers; one that does not is killed."""
        self._cancelled = True
        if not self.running:
            return
        if self._listens:
            self._process.closeWriteChannel()
        elif sys.platform != "win32":
            os.kill(self._process.processId(), signal.SIGINT)
        else:
            self._process.kill()
        self._patience.start()

    def finish(self) -> None:
        """Cancel, and wait until the process is gone: for when the window closes."""
        with suppress(RuntimeError):  # Qt may have deleted it, and with it the process, already
            self._finish()

    def _finish(self) -> None:
        if self.running:
            self._process.blockSignals(True)
            self.cancel()
            if not self._process.waitForFinished(PATIENCE_AT_END):
                self._process.kill()
                self._process.waitForFinished()

    def _on_output(self) -> None:
        self._printed += bytes(self._process.readAllStandardOutput().data())
        *lines, self._printed = self._printed.split(b"\n")
        for line in lines:
            try:
                told = json.loads(line)
            except ValueError:
                continue  # whatever a library prints is no progress
            if isinstance(told, dict):
                self.told.emit(told)

    def _on_words(self) -> None:
        self._said = (self._said + bytes(self._process.readAllStandardError().data()))[-LAST_WORDS:]

    def _on_finished(self, code: int, status: QProcess.ExitStatus) -> None:
        self._patience.stop()
        self._on_output()
        self._on_words()
        good = code == 0 and status == QProcess.ExitStatus.NormalExit
        if self._cancelled or good:
            self.ended.emit("cancelled" if self._cancelled else "")
        else:
            words = self._said.decode(errors="replace").strip().splitlines()[-1:] or [f"code {code}"]
            self.ended.emit(f"{self._name} failed: {words[0]}")

    def _on_error(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart:
            self.ended.emit(f"{self._name} could not be started: {self._process.errorString()}")
