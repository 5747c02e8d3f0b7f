"""The command ``export``: convert stored results to the formats of other programs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .. import api
from ..io.exchange.export import FORMATS
from ..io.exchange.ro_crate import write_ro_crate
from ..io.results.folder import ANALYSIS
from . import main as cli
from .common import FAILED, OK, UsageError, add_debug, failure, listed

#: Default name of the folder created in the results.
FOLDER = "exchange"
ABOUT = """\
Write stored results (results folders with maps, or .temfft files) for other programs:
"""
EXAMPLES = """\
examples:
  napari-tem-fft export results/anode.dm4 --to ctf,nexus
  napari-tem-fft export results/* --to ro-crate
  napari-tem-fft export anode.temfft --to hspy -o for_hyperspy"""
#: Formats that need only ``analysis.json``, so that results without maps are sufficient.
WITHOUT_MICROGRAPH = ["ro-crate"]


def add_command(commands: Any, name: str) -> None:
    """Add the command."""
    known = "\n".join(f"  {key:<9} {text}" for key, text in FORMATS.items())
    parser = cli.add_command(commands, name, description=ABOUT + known, epilog=EXAMPLES)
    parser.add_argument(
        "results", nargs="+", metavar="RESULTS", type=Path, help="results folder, or .temfft file"
    )
    parser.add_argument(
        "--to", metavar="FORMAT,...", type=listed(FORMATS), required=True, help="formats, see above"
    )
    parser.add_argument(
        "-o", "--output", metavar="DIR", type=Path,
        help=f"folder to write into (default: {FOLDER} in the results, NAME.{FOLDER} next to a .temfft)",
    )  # fmt: skip
    parser.add_argument(
        "--micrograph", metavar="FILE", type=Path,
        help="path of the micrograph, if it is no longer where it was analysed",
    )  # fmt: skip
    add_debug(parser)


def run(args: argparse.Namespace) -> int:
    """Run ``export``."""
    if len(args.results) > 1 and (args.output or args.micrograph):
        raise UsageError("--output and --micrograph can only be used with a single result")
    failed = 0
    for path in args.results:
        try:
            for written in export_one(path, args.to, args.output, args.micrograph):
                print(written)
        except (ValueError, OSError, ImportError) as error:
            failed += failure(path, error, args.debug)
    return FAILED if failed else OK


def export_one(path: Path, to: list[str], output: Path | None, micrograph: Path | None) -> list[Path]:
    """Export one stored result; the RO-Crate, which describes the results folder itself, comes last.

    Raises
    ------
    ValueError, OSError, ImportError
        As for `load` and `export`.
    """
    results = path if (path / ANALYSIS).is_file() else None
    if "ro-crate" in to and results is None:
        raise ValueError(f"{path.name}: an RO-Crate describes a folder of results, with an {ANALYSIS} in it")
    written: list[Path] = []
    if others := [name for name in to if name not in WITHOUT_MICROGRAPH]:
        analysis = api.load(path, api.read(micrograph) if micrograph else None)
        place = output or (path / FOLDER if results else path.with_name(f"{path.stem}.{FOLDER}"))
        written += api.export(analysis, place, others)
    return [*written, write_ro_crate(results)] if results and "ro-crate" in to else written
