"""Run commands of this package in separate processes, which report their progress."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

import platformdirs
from qtpy.QtCore import QCoreApplication, QObject, QProcess, QTimer, Signal

from ... import __version__
from ...io.plain import read_json
from ...nn.inference.model import CONFIG, load_config, model_folder
from ...nn.training.params import FINE_TUNING

#: Number of characters of the last output that are reported if a command fails.
LAST_WORDS = 500
#: Time for a command to end after it was asked to, in ms: while the window closes, and otherwise.
PATIENCE_AT_END, PATIENCE = 20_000, 60_000


class Command(QObject):
    """Runs one process at a time without blocking the window; it ends with the window.

    Parameters
    ----------
    parent : QObject or None
        The process ends when it is deleted.
    name : str
        Name in error messages, such as "the training".
    listens : bool
        Whether the command ends when its standard input is closed; otherwise it is interrupted, as by Ctrl+C.

    Signals
    -------
    told(object)
        Content of a line of output, a dictionary.
    ended(str)
        The process has ended: an error message, "cancelled", or an empty string.
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
        """Whether a process is running."""
        return bool(self._process.state() != QProcess.ProcessState.NotRunning)

    def start(self, words: Sequence[str], order: str = "") -> None:
        """Run a program with its arguments; `order` is written to its standard input."""
        self._cancelled = False
        self._printed = self._said = b""
        self._process.start(words[0], list(words[1:]))
        if order:
            self._process.write(order.encode())

    def cancel(self) -> None:
        """Ask the process to end, so that it can end its own workers; kill it if it does not."""
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
        """Cancel and wait for the end of the process, for use when the window closes."""
        with suppress(RuntimeError):  # Qt may already have deleted it, and with it the process
            self._finish()

    def _finish(self) -> None:
        if self.running:
            self._process.blockSignals(True)
            self.cancel()
            if not self._process.waitForFinished(PATIENCE_AT_END):
                self._process.kill()
                self._process.waitForFinished()

    def end_with(self, window: QObject | None) -> None:
        """Finish when the program quits or a window closes."""
        application = QCoreApplication.instance()
        for gone in (application and application.aboutToQuit, window and window.destroyed):
            if gone is not None:
                gone.connect(partial(Command.finish, self))

    def _on_output(self) -> None:
        self._printed += bytes(self._process.readAllStandardOutput().data())
        *lines, self._printed = self._printed.split(b"\n")
        for line in lines:
            try:
                told = json.loads(line)
            except ValueError:
                continue  # output of a library, not progress
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


class Work(QObject):
    """Base of what has one process at a time do its work, without blocking the window."""

    ended = Signal(str)

    def __init__(self, parent: QObject | None, name: str, listens: bool = False) -> None:
        super().__init__(parent)
        self._command = Command(self, name, listens)
        self._command.told.connect(self._on_told)
        self._command.ended.connect(self._on_ended)

    @property
    def running(self) -> bool:
        """Whether work is running."""
        return self._command.running

    def cancel(self) -> None:
        """Cancel the work."""
        self._command.cancel()

    def _on_told(self, told: dict[str, Any]) -> None:
        """Take a line of the process in."""
        raise NotImplementedError

    def _on_ended(self, trouble: str) -> None:
        self.ended.emit(trouble)


#: File name suffixes that can be imported.
SUFFIXES = (".cif", ".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")


class LibraryWork(Work):
    """Runs ``phases import`` or ``phases fetch``, one at a time, without blocking the window.

    Parameters
    ----------
    parent : QObject
        Running work ends when it is deleted.

    Signals
    -------
    progressed(int)
        Number of finished files or structures.
    reported(object)
        The counts of `ImportReport`, and the first refusals with their reasons.
    ended(str)
        The work has ended: an error message, "cancelled" (the library is unchanged), or an empty string, also
        where everything was written before it could be cancelled.
    """

    progressed = Signal(int)
    reported = Signal(object)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent, "the import")
        self._written = False
        self._command.end_with(parent)

    def take_in(self, library: Path, sources: Iterable[Path]) -> None:
        """Import files, folders and archives."""
        self._start(library, "import", *map(str, sources))

    def fetch(self, library: Path, provider: str, elements: str, limit: int) -> None:
        """Fetch structures of exactly these elements from a database."""
        self._start(library, "fetch", f"--provider={provider}", f"--elements={elements}", f"--limit={limit}")

    def _start(self, library: Path, what: str, *words: str) -> None:
        self._written = False
        said = ("--progress", "json", f"--library-file={library}")
        self._command.start((sys.executable, "-P", "-m", "napari_tem_fft", "phases", what, *said, *words))

    def _on_told(self, told: dict[str, Any]) -> None:
        if "done" in told:
            self.progressed.emit(int(told["done"]))
        if "report" in told:
            self._written = True
            self.reported.emit(told["report"])

    def _on_ended(self, trouble: str) -> None:
        self.ended.emit("" if trouble == "cancelled" and self._written else trouble)


def is_source(path: Path) -> bool:
    """Whether a path can be imported: a folder, a CIF file or an archive.

    Examples
    --------
    >>> is_source(Path("minerals.tar.gz")), is_source(Path("micrograph.dm4"))
    (True, False)
    """
    return path.name.lower().endswith(SUFFIXES) or path.is_dir()


#: Seconds for loading a network, per simulated image, and per training step, used until a training was
#: measured. Two processors with other work of the same size took 5 and 2.4 s.
STARTING, USUAL_SPEEDS = 15.0, {"images (train)": 2.0, "training": 1.0}
#: Number of simulated images in addition to the user's, and file of the measured times.
SIMULATED, SPEEDS = 64, "seconds.json"


class FineTuning(Work):
    """Runs one training at a time, without blocking the window.

    Signals
    -------
    progressed(str, int, int)
        Stage, number of finished steps, and total number of steps.
    scored(dict)
        Scores of the network on the pairs: "f1", "precision", "recall"; first those before the training.
    ended(str)
        The training has ended: an error message, or an empty string.
    """

    progressed = Signal(str, int, int)
    scored = Signal(object)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent, "the training")
        self.output = Path()
        self._began: dict[str, tuple[int, float]] = {}
        self._speeds: dict[str, float] = {}

    def start(self, base: str, pairs: Path, output: Path) -> None:
        """Fine-tune a model on the pairs of a folder, and write the folder of a new model.

        Raises
        ------
        ValueError
            If there is no such model, or the new one exists already.
        """
        if (output / CONFIG).exists():
            raise ValueError(f"a model {output.name} exists already: give the new one another name")
        words = command(base, pairs, output)
        self.output = output
        self._began, self._speeds = {}, known_speeds()
        self._command.start(words)

    def expected_seconds(self, base: str) -> float:
        """Estimate the duration of a training: loading, missing images, and steps.

        Raises
        ------
        ModelError
            If there is no model of this name.
        """
        speeds = known_speeds()
        made = any((kept_pairs(base) / "train").glob("pairs-*.npz"))
        images = 0 if made else SIMULATED
        return STARTING + images * speeds["images (train)"] + FINE_TUNING.steps * speeds["training"]

    def _on_ended(self, trouble: str) -> None:
        if not trouble:
            remember_speeds(self._speeds)
        self.ended.emit(trouble)

    def _clock(self, stage: str, step: int) -> None:
        """Measure the duration of the steps of a stage."""
        first, began = self._began.setdefault(stage, (step, monotonic()))
        if step > first and stage in USUAL_SPEEDS:
            self._speeds[stage] = (monotonic() - began) / (step - first)

    def _on_told(self, told: dict[str, Any]) -> None:
        if {"f1", "precision", "recall"} <= set(told):
            self.scored.emit({key: float(told[key]) for key in ("f1", "precision", "recall")})
        loss = f", loss {told['loss']:.4f}" if "loss" in told else ""
        if "step" in told and "steps" in told:
            self._clock(str(told.get("stage", "training")), int(told["step"]))
            self.progressed.emit(f"{told.get('stage', 'training')}{loss}", told["step"], told["steps"])


def kept_pairs(base: str) -> Path:
    """File of the simulated images that a model is trained on in addition to the user's.

    Raises
    ------
    ModelError
        If there is no model of this name.
    """
    grid = load_config(model_folder(base)).inputs
    return _cache() / f"{__version__}-{grid.half}-{grid.margin}"


def known_speeds() -> dict[str, float]:
    """Seconds per step of each stage, from the last training on this computer, or typical values."""
    try:
        stored = read_json(_cache() / SPEEDS)
        return {stage: float(stored.get(stage, usual)) for stage, usual in USUAL_SPEEDS.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return dict(USUAL_SPEEDS)


def remember_speeds(speeds: dict[str, float]) -> None:
    """Save the durations of the stages; a folder that cannot be written is not an error."""
    with suppress(OSError):
        _cache().mkdir(parents=True, exist_ok=True)
        (_cache() / SPEEDS).write_text(json.dumps(speeds), encoding="utf-8")


def _cache() -> Path:
    return Path(platformdirs.user_cache_dir("napari-tem-fft", appauthor=False)) / "training"


def command(base: str, pairs: Path, output: Path) -> tuple[str, ...]:
    """The command line of a training; simulated images are saved for the next one.

    Raises
    ------
    ModelError
        If there is no model of this name.
    """
    kept = kept_pairs(base)
    return (
        *(sys.executable, "-P", "-m", "napari_tem_fft", "train", "--finetune", base),
        *("--pairs", str(pairs), "-o", str(output), "--keep-pairs", str(kept), "--progress", "json"),
    )
