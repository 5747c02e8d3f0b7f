"""The commands ``batch`` and ``watch``: hundreds of micrographs."""

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
from .common import (
    FAILED,
    OK,
    UsageError,
    add_debug,
    add_image,
    add_output,
    add_uncertainty,
    add_unit,
    say,
)

BATCH = """\
Analyse many micrographs: files, folders (with all that is in them) and patterns such as 'night/**/*.dm4'.
Files that cannot be analysed are reported and passed over. For each image a folder of results is written, and
for the run:
  report.html      all images on one page: composition, thumbnails, what should be looked at
  statistics.csv   share, sizes and zone axes of each component over all images, with uncertainties
  summary.csv      one row an image and component (also as summary.parquet); spots.parquet: all spots
  run.json         settings, versions, hashes, times, failures"""
WATCH = """\
Analyse the micrographs of a folder, and then new ones as the microscope writes them, each once it is
complete. Ctrl-C ends it; tables and report are written then."""
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
    """Add one of the two commands; candidates and parameters are those of ``analyse``."""
    what = "INPUT ..." if name == "batch" else "DIR"
    parser = cli.add_command(
        commands, name, description=BATCH if name == "batch" else WATCH,
        epilog=EXAMPLES if name == "batch" else None, usage=f"napari-tem-fft {name} [options] {what}",
    )  # fmt: skip
    if name == "batch":
        parser.add_argument("inputs", nargs="*", metavar="INPUT", help="file, folder or pattern")
    else:
        parser.add_argument("inputs", nargs=1, metavar="DIR", help="folder that is watched")
        parser.add_argument(
            "--settle", metavar="SECONDS", type=float, default=5.0,
            help="a file is complete once it has been the same for so long (default: 5)",
        )  # fmt: skip
    add_output(parser, "results")
    _add_run(parser.add_argument_group("run"))
    add_debug(parser)
    add_uncertainty(add_image(parser))
    add_unit(parser, default=None)
    add_choice(parser.add_argument_group("phases that may be named"))
    add_parameters(parser)


def _add_run(group: Any) -> None:
    group.add_argument(
        "--keep", choices=KEEP,
        help="what is kept of each image: tables, with maps (default), or with pictures too",
    )  # fmt: skip
    group.add_argument("--workers", metavar="N", type=int, help="processes (default: one a usable processor)")
    group.add_argument("--memory-limit", metavar="SIZE", help="as many workers as fit, such as 8G")
    group.add_argument(
        "--scheduler", metavar="ADDRESS",
        help="dask.distributed scheduler, such as tcp://host:8786; 'local' starts one; how much memory each"
        " worker needs is reported at the start",
    )  # fmt: skip
    group.add_argument("--resume", action="store_true", help="resume the run in the folder, with its options")
    group.add_argument(
        "--check-hash", action=argparse.BooleanOptionalAction, default=None,
        help="with --resume: check by their content whether files have changed, and not by size and date"
        " (default: if they are less than 20 GB)",
    )  # fmt: skip
    group.add_argument(
        "--restart", action="store_true",
        help="begin the run in the folder anew; results that a person corrected are kept",
    )  # fmt: skip


def run(args: argparse.Namespace, params_from: ParamsFrom, percent_from: PercentFrom) -> int:
    """Carry out ``batch`` or ``watch``."""
    before = _before(args)
    job, inputs = _job(args, params_from, percent_from, before), _inputs(args, before)
    found = find_sources(inputs, Path(job.output))
    if not found.sources and args.command == "batch":
        raise UsageError(f"no micrograph in {', '.join(inputs)}")
    if found.left_out:
        say(f"{found.left_out} files of other kinds are left out")
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
    except Exception as error:  # a fault of the program's own, or of the scheduler's
        if args.debug:
            raise
        say(f"the run was stopped: unexpected {type(error).__name__}: {error}; continue with --resume")
        return FAILED
    except KeyboardInterrupt:
        say(f"stopped; what was done is in {job.output}: continue with --resume")
        raise
    return _report_outcome(outcome)


def _start(args: argparse.Namespace, sources: Sequence[Source]) -> Callable[[Job], Workers]:
    """A function that starts the workers; a wrong number of workers is reported here, before the run."""
    limit, scheduler = args.memory_limit or "", args.scheduler or ""
    if scheduler and sources:
        say(memory_words(sources))
    try:
        return start_workers(sources, args.workers, limit, scheduler)
    except ValueError as error:
        raise UsageError(str(error)) from error


def memory_words(sources: Sequence[Source]) -> str:
    """How much memory a worker of a cluster needs for the largest of the images."""
    pixels = largest_pixels(sources)
    needed = worker_memory(pixels, share_searched(sources)) / 1e9
    return (
        f"each worker needs about {needed:.2g} GB for an image of {pixels / 1e6:.1f} million pixels,"
        " and each further thread of it nearly as much again: start it with no less, and with --nthreads 1"
    )


def _before(args: argparse.Namespace) -> Mapping[str, Any] | None:
    """The description of the run that is resumed."""
    try:
        return read_run(args.output) if args.resume else None
    except ValueError as error:
        raise UsageError(str(error)) from error


def _inputs(args: argparse.Namespace, before: Mapping[str, Any] | None) -> list[str]:
    """What to analyse; a run that is resumed knows it."""
    if args.inputs:
        if args.command == "watch" and not Path(args.inputs[0]).is_dir():
            raise UsageError(f"{args.inputs[0]}: there is no such folder")
        return list(args.inputs)
    if not before or not before.get("inputs"):
        raise UsageError("name files, folders or patterns to analyse")
    return [str(one) for one in before["inputs"]]


def _job(
    args: argparse.Namespace,
    params_from: ParamsFrom,
    percent_from: PercentFrom,
    before: Mapping[str, Any] | None,
) -> Job:
    """The job, after everything that can be wrong with it was tried once.

    A resumed run keeps its own, but for what the command says otherwise.
    """
    output = os.path.abspath(args.output)
    try:
        job = Job(output) if before is None else stored_job(before, output)
        percent = percent_from(args, job.calibration_profile)
        job = replace(job, params=params_from(args, job.params), **_given_options(args, percent))
        if job.calibration_profile is not None:
            load_profile(job.calibration_profile)
        if job.library is not None and job.names is not None:
            raise ValueError("--library searches by elements: leave out --phases, or --library")
        if job.library is not None and not job.library_key():
            raise ValueError(
                "the library holds no structure that may be named: see napari-tem-fft phases search"
            )
        table, notes = api.reference_table(job.cif)
        prepared_choice(api.select(job.names, job.sets, job.elements, table), table)
    except (ValueError, OSError) as error:
        raise UsageError(str(error)) from error
    for note in notes:
        say(note)
    return job


def _given_options(args: argparse.Namespace, percent: float | None) -> dict[str, Any]:
    """What the command says of a job besides its parameters; what it does not say is left out."""
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
        f" {outcome.seconds:.1f} s, {rate:.0f} images a minute\n{outcome.folder / REPORT}"
    )
    if outcome.state != "done":
        say(f"the run was stopped: {outcome.problem}; continue with --resume")
    return OK if outcome.state == "done" and not outcome.failed else FAILED
