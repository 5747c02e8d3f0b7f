"""FineTuning: the command ``train --finetune`` in a process of its own, with its progress."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import platformdirs
from qtpy.QtCore import QObject, QProcess, QTimer, Signal

from .. import __version__
from ..nn.model import CONFIG, load_config, model_folder

#: Characters of what the command printed last that are told if it fails.
LAST_WORDS = 500
#: Time that a training is given to end by itself, in ms.
PATIENCE = 8000


class FineTuning(QObject):
    """Runs one training at a time; the window stays free.

    Signals
    -------
    progressed(str, int, int)
        What is done, how many steps of it are, and how many there will be.
    ended(str)
        Nothing runs any longer; what went wrong, or nothing.
    """

    progressed = Signal(str, int, int)
    ended = Signal(str)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.output = Path()
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
        """Whether a training is under way."""
        return bool(self._process.state() != QProcess.ProcessState.NotRunning)

    def start(self, base: str, pairs: Path, output: Path) -> None:
        """Start from a model, learn from the pairs of a folder, write another model's folder.

        Raises
        ------
        ValueError
            If there is no such model, or the new one is there already.
        """
        if (output / CONFIG).exists():
            raise ValueError(f"there is a model {output.name} already: give the new one another name")
        program, *arguments = command(base, pairs, output)
        self.output, self._cancelled = output, False
        self._printed = self._said = b""
        self._process.start(program, arguments)

    def cancel(self) -> None:
        """End the training, as Ctrl+C does, so that it ends its own helpers; one that does not is killed."""
        self._cancelled = True
        if self.running and sys.platform != "win32":
            os.kill(self._process.processId(), signal.SIGINT)
            self._patience.start()
        else:
            self._process.kill()

    def _on_output(self) -> None:
        self._printed += bytes(self._process.readAllStandardOutput().data())
        *lines, self._printed = self._printed.split(b"\n")
        for line in lines:
            try:
                told = json.loads(line)
                loss = f", loss {told['loss']:.4f}" if "loss" in told else ""
                self.progressed.emit(f"{told.get('stage', 'training')}{loss}", told["step"], told["steps"])
            except (ValueError, KeyError, TypeError):
                continue  # whatever a library prints is no progress

    def _on_words(self) -> None:
        self._said = (self._said + bytes(self._process.readAllStandardError().data()))[-LAST_WORDS:]

    def _on_finished(self, code: int, status: QProcess.ExitStatus) -> None:
        self._patience.stop()
        self._on_words()
        good = code == 0 and status == QProcess.ExitStatus.NormalExit
        if self._cancelled or good:
            self.ended.emit("cancelled" if self._cancelled else "")
        else:
            words = self._said.decode(errors="replace").strip().splitlines()[-1:] or [f"code {code}"]
            self.ended.emit(f"the training failed: {words[0]}")

    def _on_error(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart:
            self.ended.emit(f"the training could not be started: {self._process.errorString()}")


def command(base: str, pairs: Path, output: Path) -> tuple[str, ...]:
    """The command line of a training; simulated images are kept for the next one.

    Raises
    ------
    ModelError
        If there is no model of this name.
    """
    grid = load_config(model_folder(base)).inputs
    cache = Path(platformdirs.user_cache_dir("napari-tem-fft", appauthor=False))
    kept = cache / "training" / f"{__version__}-{grid.half}-{grid.margin}"
    return (
        *(sys.executable, "-P", "-m", "napari_tem_fft", "train", "--finetune", base),
        *("--pairs", str(pairs), "-o", str(output), "--keep-pairs", str(kept), "--progress", "json"),
    )
