"""A run for another program: ``python -m napari_tem_fft.batch.subprocess_main``, as the Batch dock starts it.

The first line of its standard input is an `Order` as JSON; it answers with one line of JSON a finished image,
and with the outcome at the end. It stops, with everything written whole, once its input is closed, and so
when whoever started it is gone.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass
from io import BufferedReader, BufferedWriter, FileIO, TextIOWrapper
from pathlib import Path
from typing import Any, TextIO

from ..core.progress import Step
from ..io.plain import from_plain, json_line, to_plain
from .backends import WorkersError, start_workers
from .job import Job
from .run import Outcome, RunError, Tracker, batch_steps
from .sources import find_sources

OK, STOPPED, REFUSED = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be run.

    Attributes
    ----------
    job : Job
    inputs : tuple of str
        Files, folders and patterns.
    workers : int
    memory_limit : str
        As `start_workers` takes it.
    resume, restart : bool
        As `batch_steps` takes them.
    """

    job: Job
    inputs: tuple[str, ...]
    workers: int = 1
    memory_limit: str = ""
    resume: bool = False
    restart: bool = False

    def to_json(self) -> str:
        """One line."""
        return json.dumps(to_plain(self)) + "\n"


def main() -> int:
    """Carry out the order of the standard input; returns the exit code."""
    requests, answers = _as_text(*_own_pipes())
    order = from_plain(Order, json.loads(requests.readline()))
    stop = threading.Event()
    threading.Thread(target=_listen, args=(requests, stop), daemon=True).start()
    try:
        outcome = _follow(_steps(order), answers, stop)
    except (ValueError, WorkersError, OSError) as error:
        _tell(answers, problem=str(error))
        return REFUSED
    if outcome is None:
        return STOPPED
    _tell(answers, outcome=_counts_of(outcome))
    return OK


def _steps(order: Order) -> Generator[Step, None, Outcome]:
    found = find_sources(order.inputs, Path(order.job.output))
    if not found.sources:
        raise RunError(f"no micrograph in {', '.join(order.inputs)}")
    return batch_steps(
        found.sources,
        order.job,
        start_workers(found.sources, order.workers, order.memory_limit),
        inputs=order.inputs,
        resume=order.resume,
        restart=order.restart,
        pulse=True,
    )


def _follow(steps: Generator[Step, None, Outcome], answers: TextIO, stop: threading.Event) -> Outcome | None:
    """Tell every step; the outcome is None if the run was stopped, which ends at a step, and so in peace."""
    tracker = Tracker()
    while not stop.is_set():
        try:
            step = next(steps)
        except StopIteration as end:
            outcome: Outcome = end.value
            return outcome
        record = {} if step.product is None else {"record": to_plain(step.product)}
        _tell(answers, progress=to_plain(tracker.note(step)), **record)
    steps.close()
    return None


def _counts_of(outcome: Outcome) -> dict[str, Any]:
    names = ("total", "analysed", "failed", "kept", "state", "problem", "seconds")
    return {name: getattr(outcome, name) for name in names}


def _own_pipes() -> tuple[FileIO, FileIO]:
    """The process's input and output for itself alone; what it and its children print goes to the errors."""
    requests, answers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return FileIO(requests, "r"), FileIO(answers, "w")


def _as_text(requests: FileIO, answers: FileIO) -> tuple[TextIO, TextIO]:
    read, written = BufferedReader(requests), BufferedWriter(answers)
    return TextIOWrapper(read, encoding="utf-8"), TextIOWrapper(written, encoding="utf-8")


def _listen(requests: TextIO, stop: threading.Event) -> None:
    """Stop the run once nobody can order anything any more."""
    with suppress(OSError, ValueError):
        requests.read()
    stop.set()


def _tell(answers: TextIO, **what: Any) -> None:
    answers.write(json_line(what) + "\n")
    answers.flush()


if __name__ == "__main__":
    sys.exit(main())
