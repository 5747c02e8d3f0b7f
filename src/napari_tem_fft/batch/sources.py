"""Sources: the files of a run, files that arrive later, and the results folder of each."""

from __future__ import annotations

import glob
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..io.readers.formats import SUFFIXES
from ..io.results.folder import ANALYSIS

#: Number of files that the operating system is asked to read in advance.
AHEAD = 4


@dataclass(frozen=True, slots=True)
class Source:
    """One file of a run.

    Attributes
    ----------
    index : int
        Position in the run, from 0.
    path : str
        Absolute path.
    folder : str
        Results folder, relative to the run's folder.
    """

    index: int
    path: str
    folder: str


@dataclass(frozen=True, slots=True)
class Found:
    """Files found for the inputs of a run.

    Attributes
    ----------
    sources : tuple of Source
    left_out : int
        Number of other files in the folders, which do not have the suffix of a micrograph.
    """

    sources: tuple[Source, ...]
    left_out: int = 0


def find_sources(inputs: Sequence[str | Path], output: Path) -> Found:
    """Find the files of a run: files, folders (searched recursively), patterns with ``*``, ``?``, ``**``.

    A file given explicitly is always included; in folders, files with the suffix of a micrograph are, except
    results. The results folders are arranged like the files.
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


def number_sources(paths: Sequence[tuple[Path, Path]], taken: set[str]) -> tuple[Source, ...]:
    """Create sources from (file, preferred folder), each with a unique folder that is not yet taken.

    Parameters
    ----------
    taken : set of str
        Folders in lower case; those of the new sources are added.
    """
    sources = (Source(index, str(path), wanted.as_posix()) for index, (path, wanted) in enumerate(paths))
    return tuple(elsewhere(sources, taken))


def read_ahead(sources: Sequence[Source]) -> Iterator[Source]:
    """Yield the sources in order, asking the operating system to read the next ones in the meantime."""
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
    """The sources, with other folders where theirs are taken; the new folders are added to `taken`."""
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
    """Yield the files below a folder in a fixed order, skipping hidden files and results folders."""
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
    """Yield new files of a folder endlessly; None while there is none.

    A file is complete once it has neither grown nor been modified for `settle` seconds.

    Parameters
    ----------
    known : dict
        Results folder of each file (by path) that the run already has; new ones are added.
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
    """Whether size and modification time have been unchanged for `settle` seconds by this machine's clock.

    The modification time may be that of another machine's clock; it is only tested for changes.
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
