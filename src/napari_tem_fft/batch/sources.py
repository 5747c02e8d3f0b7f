"""Sources: the files of a run, those that arrive later, and the folder of each one's results."""

from __future__ import annotations

import glob
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..io.readers.formats import SUFFIXES
from ..io.results.folder import ANALYSIS

#: Number of files that the system is asked to read in advance.
AHEAD = 4


@dataclass(frozen=True, slots=True)
class Source:
    """One file of a run.

    Attributes
    ----------
    index : int
        Its place in the run, from 0.
    path : str
        Absolute.
    folder : str
        Where its results go, relative to the run's folder.
    """

    index: int
    path: str
    folder: str


@dataclass(frozen=True, slots=True)
class Found:
    """What the inputs of a run lead to.

    Attributes
    ----------
    sources : tuple of Source
    left_out : int
        Files in the folders that have another suffix than a micrograph's.
    """

    sources: tuple[Source, ...]
    left_out: int = 0


def find_sources(inputs: Sequence[str | Path], output: Path) -> Found:
    """Files, folders with all that is in them, and patterns with ``*``, ``?`` and ``**``.

    A file that is named is always taken, whatever it is; of a folder those with a micrograph's suffix are,
    but no results. The results' folders are arranged like the files.
    """
    paths: dict[Path, Path] = {}
    left_out = 0
    for given in inputs:
        for one in _expand(str(given)):
            if not one.is_dir():
                paths.setdefault(_absolute(one), Path(one.name))
                continue
            root = _absolute(one)
            for path in _files(root, _absolute(output)):
                if path.suffix.lower() in SUFFIXES:
                    paths.setdefault(path, path.relative_to(root))
                else:
                    left_out += 1
    return Found(number_sources(list(paths.items()), set()), left_out)


def number_sources(paths: Sequence[tuple[Path, Path]], taken: set[str], first: int = 0) -> tuple[Source, ...]:
    """Sources of (file, wanted folder), no two of which share a folder, nor take one that is taken.

    Parameters
    ----------
    taken : set of str
        Folders, in small letters; those of the sources are added.
    first : int
        Index of the first source.
    """
    sources = (
        Source(index, str(path), wanted.as_posix()) for index, (path, wanted) in enumerate(paths, first)
    )
    return tuple(elsewhere(sources, taken))


def read_ahead(sources: Sequence[Source]) -> Iterator[Source]:
    """Yield the sources in turn, and ask the system to read the next ones meanwhile."""
    announced = 0
    for number, source in enumerate(sources, 1):
        for later in sources[max(announced, number) : number + AHEAD]:
            _announce(later.path)
        announced = number + AHEAD
        yield source


def _announce(path: str) -> None:
    if not hasattr(os, "posix_fadvise"):
        return
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return
    try:
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_WILLNEED)
    except OSError:
        return
    finally:
        os.close(handle)


def elsewhere(sources: Iterable[Source], taken: set[str]) -> list[Source]:
    """The sources, with other folders where theirs are taken already; they are taken after that."""
    placed = []
    for source in sources:
        folder, number = source.folder, 2
        while folder.casefold() in taken:
            folder, number = f"{source.folder}_{number}", number + 1
        taken.add(folder.casefold())
        placed.append(replace(source, folder=folder))
    return placed


def _expand(given: str) -> Iterator[Path]:
    if os.path.lexists(given) or not glob.has_magic(given):
        yield Path(given)
    else:
        yield from (Path(found) for found in sorted(glob.glob(given, recursive=True)))


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))


def _files(root: Path, output: Path) -> Iterator[Path]:
    """Files below a folder in a fixed order; hidden ones, and folders of results, are passed over."""
    for place, folders, names in os.walk(root):
        here = Path(place)
        folders[:] = sorted(f for f in folders if not f.startswith(".") and here / f != output)
        if ANALYSIS in names or here == output:
            folders.clear()
            continue
        yield from (here / name for name in sorted(names) if not name.startswith("."))


def arriving(
    folder: Path,
    output: Path,
    settle: float,
    known: dict[str, str],
    first: int,
    clock: Callable[[], float] = time.time,
) -> Iterator[Source | None]:
    """New files of a folder, for ever; None while there is none.

    A file is complete once it has neither grown nor been written to for `settle` seconds.

    Parameters
    ----------
    known : dict
        Folder of the results of each file (path) that the run has already; new ones are added.
    first : int
        Index of the first new file.
    """
    taken = {name.casefold() for name in known.values()}
    seen: dict[str, tuple[tuple[int, int], float]] = {}
    index = first
    while True:
        fresh = [one for one in find_sources([folder], output).sources if one.path not in known]
        complete = [one for one in fresh if _has_settled(one.path, seen, settle, clock())]
        for source in elsewhere(complete, taken):
            known[source.path] = source.folder
            yield Source(index, source.path, source.folder)
            index += 1
        yield None


def _has_settled(
    path: str, seen: dict[str, tuple[tuple[int, int], float]], settle: float, now: float
) -> bool:
    """Whether size and time of change have been the same for so long, by this machine's clock.

    The time of change may be another machine's; only whether it stays the same counts.
    """
    try:
        stat = Path(path).stat()
    except OSError:
        return False
    state, before = (stat.st_size, stat.st_mtime_ns), seen.get(path)
    if before is None or before[0] != state:
        seen[path] = (state, now)
        return settle <= 0 and stat.st_size > 0
    return stat.st_size > 0 and now - before[1] >= settle
