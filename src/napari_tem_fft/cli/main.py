"""The command line and its commands, whose modules are imported only when they are needed."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

from .. import __version__
from .common import OK, STOPPED, USAGE, Formatter, UsageError, never_fail_to_print, say

ABOUT = """\
From a high-resolution TEM micrograph (Gatan .dm3, .dm4) to identified crystalline components:
Fourier transform, Bragg spots, d-spacings, phases, and maps of where each one is."""
COMMANDS = {
    "analyse": "analyse micrographs",
    "batch": "analyse many micrographs",
    "watch": "analyse micrographs as they are written",
    "series": "analyse the frames of a stack against time",
    "summary": "statistics of a run over its images",
    "pattern": "measure stored diffraction patterns",
    "calibrate": "correct a scale with a known crystal",
    "sample": "write the bundled sample micrograph",
    "export": "convert stored results for other programs",
    "phases": "list the phases",
    "train": "train or fine-tune a network",
    "evaluate": "compare a network with other methods",
}
ALIASES = {"analyse": ["analyze"]}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; by default those of the process.

    Returns
    -------
    int
        0 if everything succeeded, 1 if a file failed, 2 if the command was not understood.
    """
    never_fail_to_print()
    arguments = sys.argv[1:] if argv is None else argv
    named = next((argument for argument in arguments if not argument.startswith("-")), "")
    command = next((name for name in COMMANDS if named in (name, *ALIASES.get(name, ()))), None)
    if command is None:  # help, version or a mistake
        parser, commands = outline()
        for name in COMMANDS:
            add_command(commands, name)
        parser.parse_args(arguments)
        return USAGE
    from .options import build_parser, run

    try:
        if command == "phases" and (what := [one for one in arguments if one != named])[:1]:
            from .library import LIBRARY_COMMANDS, run_library

            if what[0] in LIBRARY_COMMANDS:
                return run_library(what)
        return run(command, build_parser(command).parse_args(arguments))
    except UsageError as error:
        say(str(error))
        return USAGE
    except BrokenPipeError:  # the program that reads the output (head, less) has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except KeyboardInterrupt:
        say("stopped")
        return STOPPED


def outline() -> tuple[argparse.ArgumentParser, Any]:
    """Create the main parser without commands, and the object to which they are added."""
    parser = argparse.ArgumentParser("napari-tem-fft", description=ABOUT, formatter_class=Formatter)
    parser.add_argument("--version", action="version", version=f"napari-tem-fft {__version__}")
    return parser, parser.add_subparsers(dest="command", required=True, metavar="COMMAND")


def add_command(commands: Any, name: str, **more: Any) -> argparse.ArgumentParser:
    """Create the parser of a command, with its line in the list of commands."""
    added: argparse.ArgumentParser = commands.add_parser(
        name, help=COMMANDS[name], aliases=ALIASES.get(name, []), formatter_class=Formatter, **more
    )
    return added
