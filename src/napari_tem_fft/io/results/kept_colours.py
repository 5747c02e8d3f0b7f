"""Colours of the components of a folder of results: once given, a phase keeps its own in all pictures."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ...core.maps.colours import colours_of, is_colour
from ..plain import json_text, read_json

COLOURS = "colours.json"
#: Longest time, seconds, that another process may take to assign a colour before it is considered dead.
PATIENCE = 5.0


def kept_colours(output: Path) -> dict[str, str]:
    """The colours that were given so far; none where the file is missing or damaged."""
    try:
        stored = read_json(output / COLOURS)
    except (OSError, ValueError):
        return {}
    pairs = stored.items() if isinstance(stored, dict) else ()
    return {name: colour for name, colour in pairs if is_colour(colour)}


def given_colours(output: Path, names: Iterable[str]) -> dict[str, str]:
    """Colours of components; new ones get a colour here that no other one has, whichever process asks.

    Raises
    ------
    OSError
        If the folder cannot be written.
    """
    names = list(names)
    known = kept_colours(output)
    if set(names) <= set(known):
        return known
    output.mkdir(parents=True, exist_ok=True)
    with _alone(output):
        known = colours_of(names, kept_colours(output))
        temporary = output / f".{COLOURS}.new"
        temporary.write_text(json_text(known) + "\n", encoding="utf-8")
        os.replace(temporary, output / COLOURS)
    return known


@contextmanager
def _alone(output: Path) -> Iterator[None]:
    """No two processes, on whatever machines, are within at the same time."""
    lock, end = output / f".{COLOURS}.lock", time.monotonic() + PATIENCE
    while True:
        try:
            os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            break
        except FileExistsError:
            if time.monotonic() > end:  # whoever made it has died
                with suppress(FileNotFoundError):
                    lock.unlink()
            time.sleep(0.01)
    try:
        yield
    finally:
        with suppress(FileNotFoundError):
            lock.unlink()
