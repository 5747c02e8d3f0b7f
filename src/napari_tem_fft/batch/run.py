"""Analyse the files of a run step by step: a results folder per file, and the run's records."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import api
from ..core.crystal.phase_selection import parse_elements
from ..core.progress import Step
from ..io.phases.library import PhaseDatabase
from ..io.plain import json_line, to_plain
from ..io.results.description import written
from ..io.results.whole_folder import OURS, LockedError, locked
from .backends import Workers
from .job import Job, changes
from .record import Record
from .report import write_report
from .sources import Source, read_ahead
from .state import RUN, Journal, carry_over, read_run, write_whole
from .statistics import session_statistics, write_statistics
from .tables import write_tables

#: Longest time to wait for a worker before checking for an interruption, seconds.
WAIT = 0.2
FORMAT, FORMAT_VERSION = f"{OURS} batch", 1
#: Name of the file that is locked while a run is active.
LOCK = ".run.lock"
#: Largest number of failures listed in the run's description.
MOST_LISTED = 10_000


class RunError(ValueError):
    """A run cannot be started as requested."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of a run.

    Attributes
    ----------
    folder : Path
    total, analysed, failed, kept : int
        Number of files: all; with results; without results; with results from before (included in analysed).
    state : {"done", "stopped"}
    problem : str
        Why the run stopped, or what could not be written.
    seconds : float
    """

    folder: Path
    total: int
    analysed: int
    failed: int
    kept: int
    state: str
    problem: str
    seconds: float


@dataclass(slots=True, eq=False)
class _RunState:
    """State of a run."""

    job: Job
    journal: Journal
    inputs: tuple[str, ...]
    total: int
    kept: int = 0
    analysed: int = 0
    failed: int = 0
    problem: str = ""
    state: str = "running"
    notes: list[str] = field(default_factory=list)
    started: float = 0.0

    @property
    def folder(self) -> Path:
        return Path(self.job.output)

    def add(self, record: Record) -> None:
        self.journal.add(record)
        if record.state == "analysed":
            self.analysed += 1
        else:
            self.failed += 1

    def outcome(self) -> Outcome:
        """The result of the run so far."""
        seconds = time.monotonic() - self.started
        counts = self.total, self.analysed, self.failed, self.kept
        return Outcome(self.folder, *counts, self.state, self.problem, seconds)


def batch_steps(
    sources: Sequence[Source],
    job: Job,
    start_workers: Callable[[Job], Workers],
    *,
    inputs: Sequence[str] = (),
    resume: bool = False,
    restart: bool = False,
    arriving: Iterable[Source | None] = (),
    pulse: bool = False,
    strict: bool | None = None,
) -> Generator[Step, None, Outcome]:
    """Analyse files: yields a `Step` per file, whose product is its `Record`; returns the `Outcome`.

    However the run ends, finished results are complete and included in the tables and the report; close the
    generator to cancel it. The results of a file are in its folder, and can be loaded, when its step is
    yielded.

    Parameters
    ----------
    sources : sequence of Source
    job : Job
    start_workers : callable
        Creates the workers.
    inputs : sequence of str
        Inputs given by the user; stored with the run, so that it can be resumed.
    resume : bool
        Continue the run in the folder, if its settings are the same.
    restart : bool
        Start over if the folder contains a run; results that the user has edited are kept.
    arriving : iterable of Source or None
        Files that arrive during the run; None means that there is none at the moment. The run ends with the
        iterable.
    pulse : bool
        Also yield a step without a product after the files that were finished before, and whenever nothing
        was finished for `WAIT` seconds, so that a window can update its progress and cancel the run.
    strict : bool, optional
        With `resume` or `restart`: read files again to compare their hashes; by default, only if that takes a
        few seconds. Otherwise size and date are compared, and the hash only if these differ.

    Raises
    ------
    RunError
        If the folder contains a run and neither `resume` nor `restart` is set, or its settings differ; or if
        the network cannot be loaded.
    OSError
        If the folder cannot be written.
    """
    _try_network(job)
    with _run_lock(Path(job.output)):
        outcome = yield from _run(
            sources, job, start_workers, tuple(inputs), resume, restart, arriving, pulse, strict
        )
    return outcome


@contextmanager
def _run_lock(folder: Path) -> Iterator[None]:
    """Keep other runs out of the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = locked(folder / LOCK)
    try:
        lock.__enter__()
    except LockedError as error:
        raise RunError(
            f"{folder}: another run is writing to this folder: wait for it, or choose another folder"
        ) from error
    try:
        yield
    finally:
        lock.__exit__(None, None, None)


def _run(
    sources: Sequence[Source],
    job: Job,
    start_workers: Callable[[Job], Workers],
    inputs: tuple[str, ...],
    resume: bool,
    restart: bool,
    arriving: Iterable[Source | None],
    pulse: bool,
    strict: bool | None,
) -> Generator[Step, None, Outcome]:
    """Carry out the run while its folder is locked."""
    state, waiting = _open_run(sources, job, inputs, resume, restart, strict)
    workers: Workers | None = None
    try:
        for record in list(state.journal.records()):
            yield _step(state, record)
        if pulse:
            yield _step(state, None)
        workers = start_workers(job)
        for news in _records_of(state, workers, _chain_sources(waiting, arriving, state)):
            if news is not None or pulse:
                yield _step(state, news)
        state.state = "stopped" if state.problem else "done"
    except BaseException as reason:
        state.state = "stopped"
        state.problem = state.problem or _reason_of(reason)
        raise
    finally:
        if workers is not None:
            workers.close()
        _close(state)
    return state.outcome()


def _try_network(job: Job) -> None:
    """Refuse a network that the workers could not load."""
    try:
        api.segment_of(job.params)
    except ValueError as error:
        raise RunError(str(error)) from error


def _reason_of(reason: BaseException) -> str:
    if isinstance(reason, KeyboardInterrupt | GeneratorExit):
        return "stopped by the user"
    return str(reason) or type(reason).__name__


def _step(state: _RunState, record: Record | None) -> Step:
    return Step(record.name if record else "", state.analysed + state.failed, state.total, record)


def _chain_sources(
    waiting: Iterable[Source], arriving: Iterable[Source | None], state: _RunState
) -> Iterator[Source | None]:
    yield from read_ahead(list(waiting))
    for source in arriving:
        state.total += source is not None
        yield source


def _records_of(
    state: _RunState, workers: Workers, waiting: Iterator[Source | None]
) -> Iterator[Record | None]:
    """Yield records as they arrive, or None; no more files are submitted once a record cannot be written."""
    exhausted = False
    while not exhausted or workers.busy():
        while not exhausted and not state.problem and workers.free() > 0:
            try:
                source = next(waiting)
            except StopIteration:
                exhausted = True
                break
            if source is None:
                break
            workers.submit(source)
        if state.problem and not workers.busy():
            return
        records = workers.poll(WAIT) if workers.busy() else _wait_for_files()
        if not records:
            yield None
        for record in records:
            if record.state == "stopped":
                state.problem = state.problem or record.reason
                continue
            state.add(record)
            yield record


def _wait_for_files() -> list[Record]:
    time.sleep(WAIT)
    return []


def _open_run(
    sources: Sequence[Source],
    job: Job,
    inputs: tuple[str, ...],
    resume: bool,
    restart: bool,
    strict: bool | None,
) -> tuple[_RunState, list[Source]]:
    """The journal of a run, including earlier results, and the files that remain."""
    folder = Path(job.output)
    before = read_run(folder)
    if before is not None and not (resume or restart):
        raise RunError(
            f"{folder}: there is a run in this folder: resume it (--resume), overwrite it (--restart),"
            " or choose another folder with -o"
        )
    notes = []
    if before is not None and resume:
        software, then = job.settings()["software"], before["settings"].get("software")
        if software != then:  # finished results are kept, with a note that another version made them
            notes.append(f"resumed by {software}: images analysed before are by {then}")
        different = changes({**before["settings"], "software": software}, job.settings())
        if different:
            raise RunError(
                f"{folder}: the run in this folder was run with different settings and cannot be resumed"
                f" ({'; '.join(different)}); give the same or none, choose another folder, or --restart"
            )
    folder.mkdir(parents=True, exist_ok=True)
    if job.library is not None and not (resume and job.library_copy.exists()):
        _place_library(job)
    done, waiting = ([], list(sources)) if before is None else carry_over(sources, job, resume, strict)
    journal = Journal(folder, done)
    state = _RunState(job, journal, inputs, len(sources), notes=notes, started=time.monotonic())
    state.kept = state.analysed = len(done)
    _describe(state, _header(state))
    return state, waiting


def _place_library(job: Job) -> None:
    """Copy the library entries of the run to its folder, so that later imports do not change them."""
    rule = None if job.elements is None else parse_elements(job.elements)
    try:
        PhaseDatabase(job.library).copy_to(job.library_copy, rule)
    except ValueError as error:
        raise RunError(str(error)) from error


def _close(state: _RunState) -> None:
    """Write tables, report and description of the run so far."""
    try:
        notes = [*state.notes, *write_tables(state.folder, state.journal.records, state.job.unit)]
        found = session_statistics(state.journal.records())
        write_statistics(state.folder, found)
        header = _header(state)  # the same for both, so that the report can be written again identically
        _describe(state, header, notes)
        write_report(state.folder, state.journal.records, header, found)
    except OSError as error:
        state.state = "stopped"
        reason = f"the tables of the run cannot be written: {error.strerror or error}"
        state.problem = state.problem or reason
        with suppress(OSError):
            _describe(state, _header(state))
    finally:
        state.journal.close()


def _header(state: _RunState) -> dict[str, Any]:
    return {
        **written(FORMAT, FORMAT_VERSION),
        "state": state.state,
        "problem": state.problem,
        "seconds": round(time.monotonic() - state.started, 2),
        "files": state.total,
        "analysed": state.analysed,
        "failed": state.failed,
        "kept_from_before": state.kept,
        "inputs": list(state.inputs),
        "output": state.job.output,
        "settings": state.job.settings(),
        "job": to_plain(state.job),
    }


def _describe(state: _RunState, header: dict[str, Any], notes: Sequence[str] = ()) -> None:
    failures: list[dict[str, str]] = []
    files: list[dict[str, Any]] = []
    for record in state.journal.records() if state.state != "running" else ():
        files.append({"file": record.path, "sha256": record.sha256, "seconds": record.seconds})
        if record.state != "analysed" and len(failures) < MOST_LISTED:
            failures.append({"file": record.path, "reason": record.reason})
    description = {**header, "notes": list(notes), "failures": failures, "images": files}
    write_whole(state.folder / RUN, json_line(description, indent=1))


#: Number of the latest images over which the rate is measured, so that it follows the current speed.
LOOKED_BACK = 30


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress of a run.

    Attributes
    ----------
    done, total, failed : int
        Number of files: finished (with or without results), all known, and finished without results.
    rate : float
        Recent number of images per minute; 0 while unknown.
    seconds_left : float, optional
        None while unknown.
    """

    done: int
    total: int
    failed: int
    rate: float
    seconds_left: float | None


class Tracker:
    """Measures the progress of `batch_steps` with `pulse`.

    Parameters
    ----------
    clock : callable
        Returns a time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._moments: deque[float] = deque([clock()], LOOKED_BACK + 1)
        self._failed, self._begun = 0, False

    def note(self, step: Step) -> Progress:
        """Process a step, with or without a record; files before the first pulse do not affect the rate."""
        now, record = self._clock(), step.product
        if record is None and not self._begun:
            self._begun = True
            self._moments.clear()
            self._moments.append(now)
        if record is not None:
            self._failed += record.state != "analysed"
            self._moments.append(now)
        spent = now - self._moments[0]
        count = len(self._moments) - 1
        rate = count / spent if count and spent > 0 else 0.0
        left = (step.total - step.done) / rate if rate else None
        return Progress(step.done, step.total, self._failed, 60 * rate, left)
