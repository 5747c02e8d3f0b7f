"""The command ``summary``: statistics of a run; its tables and report can be written again."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..batch.record import Record
from ..batch.report import REPORT, write_report
from ..batch.state import read_records, read_run
from ..batch.statistics import SessionStatistics, enough_images, session_statistics, write_statistics
from ..batch.tables import write_tables
from . import main as cli
from .common import OK, UsageError, say
from .output import table

ABOUT = """\
Print the statistics of a run over its images: share of each component with its uncertainty (bootstrap over
images), grains, sizes, zone axes, and whether more images would help. For a run in progress, the finished
images are used."""


def add_command(commands: Any, name: str) -> None:
    """Add the command."""
    parser = cli.add_command(commands, name, description=ABOUT)
    parser.add_argument("results", metavar="DIR", type=Path, help="folder of a run")
    parser.add_argument("--write", action="store_true", help="also write the run's tables and report again")


def run(args: argparse.Namespace) -> int:
    """Run ``summary``."""
    try:
        header = read_run(args.results)
    except ValueError as error:
        raise UsageError(str(error)) from error
    if header is None:
        raise UsageError(f"{args.results}: this folder contains no run of batch or watch")
    records = read_records(args.results)
    found = session_statistics(records)
    print("\n".join(summary_lines(found)))
    if args.write:
        _write(args.results, records, header, found)
        print(args.results / REPORT)
    return OK


def summary_lines(found: SessionStatistics) -> list[str]:
    """The statistics as a table for the terminal, and whether there are enough images."""
    if not found.components:
        return [f"{found.images} images, in which no crystal was found"]
    header = ("component", "images", "share (%)", "95 %", "grains", "mean diameter (nm)", "zone axes")
    rows = [
        (
            one.name,
            f"{one.images} of {found.images}",
            _value_with_sigma(100 * one.share.value, 100 * one.share.sigma),
            "" if one.share.low != one.share.low else f"{100 * one.share.low:.1f}-{100 * one.share.high:.1f}",
            str(one.grains),
            _value_with_sigma(one.diameter.value, one.diameter.sigma),
            ", ".join(f"[{axis}] {count}" for axis, count in one.zone_axes[:3]),
        )
        for one in found.components
    ]
    return [*table([header, *rows]), enough_images(found)]


def _value_with_sigma(value: float, sigma: float) -> str:
    return f"{value:.1f}" if sigma != sigma else f"{value:.1f} +/- {sigma:.1f}"


def _write(folder: Path, records: list[Record], header: dict[str, Any], found: SessionStatistics) -> None:
    """Write the tables and report of the records again."""
    for note in write_tables(folder, lambda: records, header["settings"].get("unit", "nm")):
        say(note)
    write_statistics(folder, found)
    write_report(folder, lambda: records, header, found)
