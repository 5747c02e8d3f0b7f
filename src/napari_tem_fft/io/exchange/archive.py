"""A folder packed into one zip file, and unpacked with distrust: nothing outside, nothing absurdly large."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from ..errors import ReadError
from ..results.whole_folder import plain_name

#: Most files in an archive, and deepest nesting of their folders.
MOST_FILES, DEEPEST = 20_000, 3
#: An archive may unpack to this many bytes, or to this many times its own size, whichever is more.
SMALL_BYTES, MOST_EXPANSION = 2**26, 100
#: Suffixes of files that are compressed; pictures already are, and pixels are mostly noise.
_TEXT = {".json", ".csv"}

_REFUSED = "do not open it: it was not written by napari-tem-fft, or was tampered with"
_DAMAGED = "the copy or transfer broke: copy it again"


def pack(folder: Path, path: Path) -> None:
    """Write all files of a folder into a zip file, which takes the place of an earlier one at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    try:
        with zipfile.ZipFile(name, "w") as archive:
            for file in sorted(folder.rglob("*")):
                if file.is_file():
                    method = zipfile.ZIP_DEFLATED if file.suffix in _TEXT else zipfile.ZIP_STORED
                    archive.write(file, file.relative_to(folder).as_posix(), method)
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@contextmanager
def unpack(path: Path) -> Iterator[Path]:
    """Unpack an archive into a temporary folder for the duration of the context; a folder is used directly.

    Raises
    ------
    ReadError
        If the archive is damaged, would write outside of its folder, or is larger than it can be.
    """
    if path.is_dir():
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="temfft-") as place:
        _unpack(path, Path(place))
        yield Path(place)


def _unpack(path: Path, place: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            _check(path, entries)
            for entry in entries:
                target = place.joinpath(*PurePosixPath(entry.filename).parts)
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(entry) as source, target.open("wb") as file:
                    shutil.copyfileobj(source, file, 2**20)  # ends at the size that was checked
    except ReadError:
        raise
    except FileNotFoundError as error:
        raise ReadError(path, "there is no such file", f"looked for {path}") from error
    except Exception as error:
        raise ReadError(
            path, f"incomplete or damaged file ({type(error).__name__}: {error})", _DAMAGED
        ) from error


def _check(path: Path, entries: list[zipfile.ZipInfo]) -> None:
    """Refuse what could not have been written by `pack`."""
    names = [entry.filename for entry in entries]
    if len(names) > MOST_FILES or len({name.casefold() for name in names}) < len(names):
        raise ReadError(path, "it holds too many files, or one of them twice", _REFUSED)
    for entry in entries:
        parts = entry.filename.split("/")
        if len(parts) > DEEPEST or not all(map(plain_name, parts)):
            raise ReadError(path, f"it holds a file that would lie elsewhere ({entry.filename!r})", _REFUSED)
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise ReadError(path, f"it holds a link ({entry.filename!r})", _REFUSED)
    total, most = sum(entry.file_size for entry in entries), MOST_EXPANSION * path.stat().st_size
    if total > max(most, SMALL_BYTES):
        raise ReadError(path, f"its {path.stat().st_size} bytes claim to hold {total}", _REFUSED)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
