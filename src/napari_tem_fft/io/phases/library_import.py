"""From sources to rows of the library: read and compute every structure, in several processes if asked to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

from .cif import CifPhase, structures_in
from .entry import structure_of_entry
from .library_rows import LibraryRow, library_row
from .library_sources import SourceFile, cif_files

#: Files that one process is given at a time; with fewer than the second number there is one process.
CHUNK, WORTH_PROCESSES = 60, 600


@dataclass(frozen=True, slots=True)
class Refusal:
    """A structure that cannot be used.

    Attributes
    ----------
    origin : str
    reason : str
    """

    origin: str
    reason: str


def library_rows(
    sources: Sequence[str | Path], workers: int = 1
) -> Iterator[tuple[int, list[LibraryRow | Refusal]]]:
    """Rows of all structures of some sources, a list a file, in the order of the files.

    Yields
    ------
    done : int
        Files so far.
    rows : list of LibraryRow or Refusal

    Raises
    ------
    ValueError
        If a source is none.
    """
    files = cif_files(sources)
    first = list(islice(files, WORTH_PROCESSES))
    done = 0
    if workers < 2 or len(first) < WORTH_PROCESSES:
        for file in _chain(first, files):
            done += 1
            yield done, rows_of_file(file)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        waiting = []
        for chunk in _chunks(_chain(first, files)):
            waiting.append(pool.submit(_rows_of_files, chunk))
            if len(waiting) < 3 * workers:
                continue
            for rows in waiting.pop(0).result():
                done += 1
                yield done, rows
        for result in waiting:
            for rows in result.result():
                done += 1
                yield done, rows


def rows_of_file(file: SourceFile) -> list[LibraryRow | Refusal]:
    """Rows of one file; whatever is wrong with it is the reason of a refusal."""
    if file.problem:
        return [Refusal(file.origin, file.problem)]
    found: list[LibraryRow | Refusal] = []
    try:
        for one in structures_in(file.data, file.stem):
            number = len(found)
            origin = f"{file.origin}#{number + 1}" if number else file.origin
            if not isinstance(one, CifPhase):
                found.append(Refusal(origin, one.reason))
            elif one.entry is None:
                found.append(
                    Refusal(origin, "it lists no atoms, so that angles and intensities are not known")
                )
            else:
                found.append(library_row(origin, one.entry, structure_of_entry(one.entry)))
    except (ValueError, ArithmeticError, MemoryError) as error:
        return [*found, Refusal(file.origin, str(error) or type(error).__name__)]
    return found or [Refusal(file.origin, "no structure in it")]


def _rows_of_files(files: list[SourceFile]) -> list[list[LibraryRow | Refusal]]:
    return [rows_of_file(file) for file in files]


def _chain(first: list[SourceFile], rest: Iterator[SourceFile]) -> Iterator[SourceFile]:
    yield from first
    yield from rest


def _chunks(files: Iterator[SourceFile]) -> Iterator[list[SourceFile]]:
    while chunk := list(islice(files, CHUNK)):
        yield chunk
