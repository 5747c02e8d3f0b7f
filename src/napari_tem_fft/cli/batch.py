"""The commands ``batch`` and ``watch``, for many micrographs."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from .. import api
from ..batch.backends import (
    Workers,
    WorkersError,
    largest_pixels,
    share_searched,
    start_workers,
    worker_memory,
)
from ..batch.job import Job, stored_job
from ..batch.report import REPORT
from ..batch.run import Outcome, RunError, batch_steps
from ..batch.sources import Source, arriving, find_sources
from ..batch.state import read_run
from ..core.pipeline import AnalysisParams
from ..core.progress import Step, exhaust
from ..core.text import printable
from ..io.exchange.calibration_profile import load_profile
from ..io.phases.index_cache import prepared_choice
from ..io.phases.library import library_path
from ..io.results.folder import KEEP
from . import main as cli
from .common import FAILED, OK, UsageError, add_unit, add_usual, say

BATCH = """\
Analyse many micrographs: files, folders (searched recursively) and patterns such as 'night/**/*.dm4'.
Files that cannot be analysed are reported and skipped. Written are a results folder for each image, and
for the run:
  report.html      all images on one page: composition, thumbnails, images to be checked
  statistics.csv   share, sizes and zone axes of each component over all images, with uncertainties
  summary.csv      one row per image and component (also as summary.parquet); spots.parquet: all spots
  run.json         settings, versions, hashes, times, failures"""
WATCH = """\
Analyse the micrographs in a folder, and then new ones as the microscope writes them, once each is complete.
Stop with Ctrl-C; tables and report are then written."""
EXAMPLES = """\
examples:
  napari-tem-fft batch session/ -o results
  napari-tem-fft batch 'session/**/*.dm4' -o results --keep tables --workers 4
  napari-tem-fft batch -o results --resume
  napari-tem-fft batch archive/ -o results --scheduler tcp://login1:8786"""
BAR = "{l_bar}{bar:24}| {n_fmt}/{total_fmt} [{elapsed}, {remaining} left, {rate_fmt}{postfix}]"

AddOptions = Callable[[Any], None]
ParamsFrom = Callable[[argparse.Namespace, AnalysisParams], AnalysisParams]
PercentFrom = Callable[[argparse.Namespace, str | None], float | None]


def add_command(commands: Any, name: str, add_choice: AddOptions, add_parameters: AddOptions) -> None:
    """Add ``batch`` or ``watch``; the options for candidates and parameters are those of ``analyse``."""
    what = "INPUT ..." if name == "batch" else "DIR"
    parser = cli.add_command(
        commands, name, description=BATCH if name == "batch" else WATCH,
        epilog=EXAMPLES if name == "batch" else None, usage=f"napari-tem-fft {name} [options] {what}",
    )  # fmt: skip
    if name == "batch":
        parser.add_argument("inputs", nargs="*", metavar="INPUT", help="file, folder or pattern")
    else:
        parser.add_argument("inputs", nargs=1, metavar="DIR", help="folder to watch")
        parser.add_argument(
            "--settle", metavar="SECONDS", type=float, default=5.0,
            help="seconds without changes after which a file is complete (default: 5)",
        )  # fmt: skip
    _add_run(parser.add_argument_group("run"))
    add_usual(parser)
    add_unit(parser, default=None)
    add_choice(parser.add_argument_group("phases that may be named"))
    add_parameters(parser)


def _add_run(group: Any) -> None:
    group.add_argument(
        "--keep", choices=KEEP,
        help="what is kept of each image: tables, tables and maps (default), or also pictures",
    )  # fmt: skip
    group.add_argument(
        "--workers", metavar="N", type=int, help="processes (default: one per usable processor)"
    )
    group.add_argument("--memory-limit", metavar="SIZE", help="use as many workers as fit, such as 8G")
    group.add_argument(
        "--scheduler", metavar="ADDRESS",
        help="dask.distributed scheduler, such as tcp://host:8786; 'local' starts one; the memory that each"
        " worker needs is reported at the start",
    )  # fmt: skip
    group.add_argument("--resume", action="store_true", help="resume the run in the folder, with its options")
    group.add_argument(
        "--check-hash", action=argparse.BooleanOptionalAction, default=None,
        help="with --resume: detect changed files by their content rather than by size and date"
        " (default: for files of less than 20 GB in total)",
    )  # fmt: skip
    group.add_argument(
        "--restart", action="store_true",
        help="start the run in the folder again; results that you have edited are kept",
    )  # fmt: skip


def run(args: argparse.Namespace, params_from: ParamsFrom, percent_from: PercentFrom) -> int:
    """Run ``batch`` or ``watch``."""
    before = _before(args)
    job, inputs = _job(args, params_from, percent_from, before), _inputs(args, before)
    found = find_sources(inputs, Path(job.output))
    if not found.sources and args.command == "batch":
        raise UsageError(f"there is no micrograph in {', '.join(inputs)}")
    if found.left_out:
        say(f"{found.left_out} files of other types are skipped")
    known = {source.path: source.folder for source in found.sources}
    later: Iterable[Source | None] = ()
    sources = found.sources
    if args.command == "watch":
        sources, known = (), {}
        later = arriving(Path(inputs[0]), Path(job.output), args.settle, known, 0)
    crew = _start(args, found.sources)
    steps = batch_steps(
        sources,
        job,
        crew,
        inputs=inputs,
        resume=args.resume,
        restart=args.restart,
        arriving=later,
        strict=args.check_hash,
    )
    try:
        outcome = _follow(steps, len(sources))
    except (RunError, WorkersError) as error:
        raise UsageError(str(error)) from error
    except OSError as error:
        say(f"{error.filename or job.output}: {error.strerror or error}")
        return FAILED
    except Exception as error:  # an error of this program or of the scheduler
        if args.debug:
            raise
        say(f"the run was stopped: unexpected {type(error).__name__}: {error}; continue with --resume")
        return FAILED
    except KeyboardInterrupt:
        say(f"stopped; finished results are in {job.output}: continue with --resume")
        raise
    return _report_outcome(outcome)


def _start(args: argparse.Namespace, sources: Sequence[Source]) -> Callable[[Job], Workers]:
    """Return the function that starts the workers; an impossible number of workers is reported here."""
    limit, scheduler = args.memory_limit or "", args.scheduler or ""
    if scheduler and sources:
        say(memory_words(sources))
    try:
        return start_workers(sources, args.workers, limit, scheduler)
    except ValueError as error:
        raise UsageError(str(error)) from error


def memory_words(sources: Sequence[Source]) -> str:
    """The memory that a worker of a cluster needs for the largest of the images, as a sentence."""
    pixels = largest_pixels(sources)
    needed = worker_memory(pixels, share_searched(sources)) / 1e9
    return (
        f"each worker needs about {needed:.2g} GB for an image of {pixels / 1e6:.1f} million pixels, and each"
        " further thread of it nearly as much again: start workers with at least that, and with --nthreads 1"
    )


def _before(args: argparse.Namespace) -> Mapping[str, Any] | None:
    """The description of the run to be resumed."""
    try:
        return read_run(args.output) if args.resume else None
    except ValueError as error:
        raise UsageError(str(error)) from error


def _inputs(args: argparse.Namespace, before: Mapping[str, Any] | None) -> list[str]:
    """The inputs to analyse; those of a resumed run are stored with it."""
    if args.inputs:
        if args.command == "watch" and not Path(args.inputs[0]).is_dir():
            raise UsageError(f"{args.inputs[0]}: no such folder")
        return list(args.inputs)
    if not before or not before.get("inputs"):
        raise UsageError("give files, folders or patterns to analyse")
    return [str(one) for one in before["inputs"]]


def _job(
    args: argparse.Namespace,
    params_from: ParamsFrom,
    percent_from: PercentFrom,
    before: Mapping[str, Any] | None,
) -> Job:
    """The job, after checking everything that can be wrong with it.

    A resumed run keeps its own job except where the command states otherwise.
    """
    output = os.path.abspath(args.output)
    try:
        job = Job(output) if before is None else stored_job(before, output)
        percent = percent_from(args, job.calibration_profile)
        job = replace(job, params=params_from(args, job.params), **_given_options(args, percent))
        if job.calibration_profile is not None:
            load_profile(job.calibration_profile)
        if job.library is not None and job.names is not None:
            raise ValueError("--library searches by elements: omit --phases, or --library")
        if job.library is not None and not job.library_key():
            raise ValueError(
                "the library contains no structure that may be named: see napari-tem-fft phases search"
            )
        table, notes = api.reference_table(job.cif)
        prepared_choice(api.select(job.names, job.sets, job.elements, table), table)
    except (ValueError, OSError) as error:
        raise UsageError(str(error)) from error
    for note in notes:
        say(note)
    return job


def _given_options(args: argparse.Namespace, percent: float | None) -> dict[str, Any]:
    """Fields of a job, other than its parameters, that are given on the command line."""
    given = {
        "keep": args.keep,
        "unit": args.unit,
        "names": args.phases and tuple(args.phases),
        "sets": args.sets and tuple(args.sets),
        "elements": args.elements,
        "cif": args.cif and os.path.abspath(args.cif),
        "pixel_size": args.pixel_size,
        "image": args.image,
        "frame": args.frame,
        "calibration_profile": args.calibration_profile and os.path.abspath(args.calibration_profile),
        "calibration_uncertainty": percent,
        "library": os.path.abspath(args.library_file or library_path()) if args.library else None,
    }
    return {name: value for name, value in given.items() if value is not None}


def _follow(steps: Generator[Step, None, Outcome], total: int) -> Outcome:
    failed = 0
    with tqdm(total=total, bar_format=BAR, unit="image", disable=None, smoothing=0.1) as bar:

        def advance(step: Step) -> None:
            nonlocal failed
            if step.product.state != "analysed":
                failed += 1
                tqdm.write(printable(f"{step.name}: {step.product.reason}"))
            bar.total = step.total
            bar.set_postfix_str(f"{failed} failed", refresh=False)
            bar.update(step.done - bar.n)

        return exhaust(steps, advance)


def _report_outcome(outcome: Outcome) -> int:
    kept = f" ({outcome.kept} before)" if outcome.kept else ""
    rate = 60 * (outcome.analysed - outcome.kept) / max(outcome.seconds, 1e-9)
    print(
        f"{outcome.analysed} of {outcome.total} files analysed{kept}, {outcome.failed} failed,"
        f" {outcome.seconds:.1f} s, {rate:.0f} images per minute\n{outcome.folder / REPORT}"
    )
    if outcome.state != "done":
        say(f"the run was stopped: {outcome.problem}; continue with --resume")
    return OK if outcome.state == "done" and not outcome.failed else FAILED
