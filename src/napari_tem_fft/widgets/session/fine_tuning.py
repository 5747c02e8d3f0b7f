"""FineTuning: the command ``train --finetune`` in a process of its own, with its progress."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import Any

import platformdirs
from qtpy.QtCore import QObject, Signal

from ... import __version__
from ...io.plain import read_json
from ...nn.inference.model import CONFIG, load_config, model_folder
from ...nn.training.params import FINE_TUNING
from .command import Command

#: Seconds until a network is loaded, for an image that is simulated, and for a step of training: two
#: processors took 5 and 2.4 s beside other work of the same size. They count until a training was measured.
STARTING, USUAL_SPEEDS = 15.0, {"images (train)": 2.0, "training": 1.0}
#: Simulated images that are learnt beside a person's, and the file of what they took.
SIMULATED, SPEEDS = 64, "seconds.json"


class FineTuning(QObject):
    """Runs one training at a time; the window stays free.

    Signals
    -------
    progressed(str, int, int)
        What is done, how many steps of it are, and how many there will be.
    scored(dict)
        How good the network is on the pairs: "f1", "precision", "recall"; first that from which it starts.
    ended(str)
        Nothing runs any longer; what went wrong, or nothing.
    """

    progressed = Signal(str, int, int)
    scored = Signal(object)
    ended = Signal(str)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.output = Path()
        self._command = Command(self, "the training")
        self._command.told.connect(self._on_told)
        self._command.ended.connect(self._on_ended)
        self._began: dict[str, tuple[int, float]] = {}
        self._speeds: dict[str, float] = {}

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
        self._began, self._speeds = {}, known_speeds()
        self._command.start(words)

    def cancel(self) -> None:
        """End the training; what it has made so far is not kept."""
        self._command.cancel()

    def expected_seconds(self, base: str) -> float:
        """How long a training takes that begins now: start, images that are missing, and steps.

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
        """Measure how long a step of a stage takes."""
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
    """Where the simulated images are kept that a model learns from beside a person's.

    Raises
    ------
    ModelError
        If there is no model of this name.
    """
    grid = load_config(model_folder(base)).inputs
    return _cache() / f"{__version__}-{grid.half}-{grid.margin}"


def known_speeds() -> dict[str, float]:
    """Seconds a step of each stage takes: as in the last training on this machine, or as usual."""
    try:
        stored = read_json(_cache() / SPEEDS)
        return {stage: float(stored.get(stage, usual)) for stage, usual in USUAL_SPEEDS.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return dict(USUAL_SPEEDS)


def remember_speeds(speeds: dict[str, float]) -> None:
    """Keep how long the stages took; a folder that cannot be written is no error."""
    with suppress(OSError):
        _cache().mkdir(parents=True, exist_ok=True)
        (_cache() / SPEEDS).write_text(json.dumps(speeds), encoding="utf-8")


def _cache() -> Path:
    return Path(platformdirs.user_cache_dir("napari-tem-fft", appauthor=False)) / "training"


def command(base: str, pairs: Path, output: Path) -> tuple[str, ...]:
    """The command line of a training; simulated images are kept for the next one.

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
