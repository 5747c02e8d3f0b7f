"""A run for another program, such as the Batch dock: ``python -m napari_tem_fft.batch.subprocess_main``.

The first line of standard input is an `Order` as JSON; the process writes one line of JSON for each finished
image, and the outcome at the end. When its input is closed, and so also when its parent has ended, it stops,
with all results complete.
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
    """What to run.

    Attributes
    ----------
    job : Job
    inputs : tuple of str
        Files, folders and patterns.
    workers : int
    memory_limit : str
        As for `start_workers`.
    resume, restart : bool
        As for `batch_steps`.
    """

    job: Job
    inputs: tuple[str, ...]
    workers: int = 1
    memory_limit: str = ""
    resume: bool = False
    restart: bool = False

    def to_json(self) -> str:
        """The order as one line of JSON."""
        return json.dumps(to_plain(self)) + "\n"


def main() -> int:
    """Carry out the order from standard input and return the exit code."""
    requests, answers = _as_text(*_reserve_pipes())
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
        raise RunError(f"there is no micrograph in {', '.join(order.inputs)}")
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
    """Report each step; the outcome is None if the run was stopped, which happens between steps."""
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


def _reserve_pipes() -> tuple[FileIO, FileIO]:
    """Reserve the process's input and output; whatever it and its children print goes to standard error."""
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
    """Stop the run when the input is closed."""
    with suppress(OSError, ValueError):
        requests.read()
    stop.set()


def _tell(answers: TextIO, **what: Any) -> None:
    answers.write(json_line(what) + "\n")
    answers.flush()


if __name__ == "__main__":
    sys.exit(main())
