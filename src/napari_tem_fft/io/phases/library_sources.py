"""CIF files in files, folders and archives, as bytes; nothing of a name, size or link in them is trusted."""

from __future__ import annotations

import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from .cif import LARGEST_FILE

#: No more files are read in one go, nor more bytes of an archive once they are unpacked.
MOST_FILES, MOST_BYTES = 500_000, 8_000_000_000
#: Names longer than this are cut.
LONGEST_NAME = 200
_DAMAGED = (zipfile.BadZipFile, zlib.error, OSError, EOFError)
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")


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
        problem = f"larger than {LARGEST_FILE / 1e6:.0f} MB, which no structure of a simple phase is"
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
