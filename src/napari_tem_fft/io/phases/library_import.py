"""From sources to rows of the library: find, read and compute every structure, in several processes."""

from __future__ import annotations

import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context
from pathlib import Path, PurePosixPath
from typing import IO

from .cif import LARGEST_FILE, CifPhase, structures_in
from .entry import structure_of_entry
from .library_rows import LibraryRow, library_row

#: Files that one process gets at a time, and fewest files for which more than one process is started.
CHUNK, WORTH_PROCESSES = 60, 600
#: Most files that are read in one import, and most unpacked bytes of an archive.
MOST_FILES, MOST_BYTES = 500_000, 8_000_000_000
#: Longer names are truncated to this length.
LONGEST_NAME = 200
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")


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


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One CIF file.

    Attributes
    ----------
    origin : str
        Its name within the source, and the source's name.
    stem : str
        Its file's name without the suffix.
    data : bytes
        Empty where it cannot be read.
    problem : str
        Why it cannot be read.
    """

    origin: str
    stem: str
    data: bytes = b""
    problem: str = ""


def cif_files(sources: Sequence[str | Path]) -> Iterator[SourceFile]:
    """All CIF files of some files, folders and archives, in a fixed order.

    Raises
    ------
    ValueError
        If a source is none, or there are too many files in it.
    """
    for given in sources:
        path = Path(given)
        name = path.name.lower()
        if path.is_dir():
            yield from _limited(_of_folder(path), path)
        elif not path.is_file():
            raise ValueError(f"{path}: there is no such file or folder")
        elif name.endswith(".zip"):
            yield from _limited(_of_zip(path), path)
        elif name.endswith(ARCHIVES):
            yield from _limited(_of_tar(path), path)
        elif name.endswith(".cif"):
            yield _of_file(path, path.name)
        else:
            raise ValueError(
                f"{path.name}: neither a CIF file, nor a folder, nor one of {', '.join(ARCHIVES)}"
            )


def _limited(files: Iterator[SourceFile], path: Path) -> Iterator[SourceFile]:
    total = 0
    for number, file in enumerate(files, 1):
        total += len(file.data)
        if number > MOST_FILES or total > MOST_BYTES:
            raise ValueError(
                f"{path.name}: more than {MOST_FILES} files or {MOST_BYTES / 1e9:g} GB: import parts of it"
            )
        yield file


def _of_folder(folder: Path) -> Iterator[SourceFile]:
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() == ".cif" and path.is_file():
            yield _of_file(path, f"{folder.name}/{path.relative_to(folder).as_posix()}")


def _of_file(path: Path, origin: str) -> SourceFile:
    try:
        with path.open("rb") as file:
            return _read(file, origin)
    except OSError as error:
        return SourceFile(_plain(origin), path.stem, problem=error.strerror or str(error))


def _of_zip(path: Path) -> Iterator[SourceFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            for info in sorted(archive.infolist(), key=lambda one: one.filename):
                if _is_cif(info.filename) and not info.is_dir():
                    origin = f"{path.name}/{info.filename}"
                    try:
                        with archive.open(info) as file:
                            yield _read(file, origin)
                    except (
                        zipfile.BadZipFile,
                        zlib.error,
                        RuntimeError,
                        OSError,
                        EOFError,
                        ValueError,
                    ) as error:
                        yield SourceFile(_plain(origin), _stem(origin), problem=f"damaged ({error})")
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise ValueError(f"{path.name}: no zip archive, or a damaged one ({error})") from error


def _of_tar(path: Path) -> Iterator[SourceFile]:
    try:
        with tarfile.open(path, "r|*") as archive:  # read from front to end: nothing is looked up, or written
            for info in archive:
                if info.isfile() and _is_cif(info.name):
                    file = archive.extractfile(info)
                    if file is not None:
                        yield _read(file, f"{path.name}/{info.name}")
    except (tarfile.TarError, zlib.error, EOFError, OSError, ValueError) as error:
        raise ValueError(f"{path.name}: no tar archive, or a damaged one ({error})") from error


def _read(file: IO[bytes], origin: str) -> SourceFile:
    """At most a little more than the largest file, whatever an archive claims its size to be."""
    data = file.read(LARGEST_FILE + 1)
    if len(data) > LARGEST_FILE:
        problem = f"larger than {LARGEST_FILE / 1e6:.0f} MB, too large for the structure of a simple phase"
        return SourceFile(_plain(origin), _stem(origin), problem=problem)
    return SourceFile(_plain(origin), _stem(origin), data)


def _is_cif(name: str) -> bool:
    parts = PurePosixPath(name.replace("\\", "/")).parts
    return bool(parts) and parts[-1].lower().endswith(".cif") and not parts[-1].startswith("._")


def _stem(origin: str) -> str:
    return _plain(PurePosixPath(origin.replace("\\", "/")).stem)


def _plain(text: str) -> str:
    """A name as one line of printable text: it is shown, and never a path."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)[-LONGEST_NAME:]
