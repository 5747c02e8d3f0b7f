"""What the batch dock says of a run: a row a file, how far it is, what came out, what is set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...batch.record import Record
from ..session.batch_run import BatchRun
from .tree import Row

#: Colours of images that failed, and of those that a person should look at.
FAILED, FLAGGED = "#D55E00", "#CC7A00"


def record_row(number: int, record: Record) -> Row:
    """Return the row of a finished file."""
    if record.state != "analysed":
        return Row(number, (record.name, record.state, record.reason, "", "", ""), FAILED, record.path)
    parts = ", ".join(f"{part.name} {part.fraction:.0%}" for part in record.parts)
    state = ", ".join(record.flags) or ("corrected" if record.corrected else "analysed")
    numbers = str(record.grains), str(record.spots), f"{record.seconds:.1f}"
    help = "\n".join((record.path, *record.warnings))
    return Row(number, (record.name, state, parts, *numbers), FLAGGED if record.flags else "", help)


def state_words(run: BatchRun) -> str:
    """Return how far a run is, how fast, how long it will take, and how many files have failed."""
    far = run.progress
    if not run.running and run.outcome and not run.words:
        return outcome_words(run.outcome)
    if not run.running or far.seconds_left is None:
        return run.words
    words = f"{far.rate:.0f} images a minute, {duration(far.seconds_left)} left, {far.failed} failed so far"
    return "; ".join(filter(None, (words, run.words)))


def settings_words(run: BatchRun) -> str:
    """Return the candidates and parameters of the next run, in short."""
    asked, params = run.setting()
    phases = ", ".join(asked.names) if asked.names else "set: " + ", ".join(asked.sets or ("all",))
    elements = f"; elements: {asked.elements}" if asked.elements else ""
    network = Path(params.network).name if params.network else "none"
    return f"From the TEM FFT dock: network: {network}; {phases}{elements}"


def outcome_words(outcome: dict[str, Any]) -> str:
    """Return what came out of a run, in words."""
    kept = f" ({outcome['kept']} before)" if outcome["kept"] else ""
    failed = f", {outcome['failed']} failed" if outcome["failed"] else ""
    text = f"{outcome['analysed']} of {outcome['total']} analysed{kept}{failed}"
    if outcome["state"] != "done":
        return f"{text}; stopped: {outcome['problem']}"
    return f"{text}, in {duration(outcome['seconds'])}"


def duration(seconds: float) -> str:
    """Return a time in words as exact as people want it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
