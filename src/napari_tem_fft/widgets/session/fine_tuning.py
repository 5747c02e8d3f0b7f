"""FineTuning: the command ``train --finetune`` in a process of its own, with its progress."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import platformdirs
from qtpy.QtCore import QObject, Signal

from ... import __version__
from ...nn.inference.model import CONFIG, load_config, model_folder
from .command import Command


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
        self._command = Command(self, "the training")
        self._command.told.connect(self._on_told)
        self._command.ended.connect(self.ended)

    @property
    def running(self) -> bool:
        """Whether a training is under way."""
        return self._command.running

    def start(self, base: str, pairs: Path, output: Path) -> None:
        """Start from a model, learn from the pairs of a folder, write another model's folder.

        Raises
        ------
        ValueError
            If there is no such model, or the new one is there already.
        """
        if (output / CONFIG).exists():
            raise ValueError(f"there is a model {output.name} already: give the new one another name")
        words = command(base, pairs, output)
        self.output = output
        self._command.start(words)

    def cancel(self) -> None:
        """End the training; what it has made so far is not kept."""
        self._command.cancel()

    def _on_told(self, told: dict[str, Any]) -> None:
        loss = f", loss {told['loss']:.4f}" if "loss" in told else ""
        if "step" in told and "steps" in told:
            self.progressed.emit(f"{told.get('stage', 'training')}{loss}", told["step"], told["steps"])


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
