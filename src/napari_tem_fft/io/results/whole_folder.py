"""Folders of results that are replaced as a whole, with a JSON file that describes their contents."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from ..plain import read_json

#: Interval between attempts to get a lock held by another process, seconds.
AGAIN = 0.05


class LockedError(OSError):
    """Another program is writing to the folder."""


@contextmanager
def locked(path: Path, wait: float = 0.0) -> Iterator[None]:
    """Hold a lock on a small file, which is removed afterwards.

    Parameters
    ----------
    path : Path
        The lock file; its folder must exist.
    wait : float, seconds
        How long to wait for other programs.

    Raises
    ------
    LockedError
        If another program holds it for longer.
    OSError
        If the file cannot be created.
    """
    end = time.monotonic() + wait
    while True:
        file = path.open("a+b")
        # a lock on a file that its previous holder has just removed is void
        if _try_lock(file) and path.exists():
            break
        file.close()
        if time.monotonic() >= end:
            raise LockedError(f"another program is writing to {path.parent}: wait until it has finished")
        time.sleep(AGAIN)
    try:
        yield
    finally:
        if sys.platform != "win32":
            with suppress(OSError):
                path.unlink()
        file.close()
        if sys.platform == "win32":
            with suppress(OSError):
                path.unlink()


def _try_lock(file: IO[bytes]) -> bool:
    """Try to lock the file; also true on file systems without locks."""
    if sys.platform == "win32":
        import msvcrt

        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


#: Longest time to wait for another process that replaces the same results, seconds.
WAIT = 20.0
#: Longest name of a folder, bytes, that leaves space for a prefix and a suffix, and longest path on Windows
#: that leaves space for the names of the files in it.
LONGEST_NAME, LONGEST_PATH = 200, 180
#: Prefix of the names of this package's formats.
OURS = "napari-tem-fft"
#: File with the provenance of a folder as an RO-Crate; it is outdated once other files are written.
PROVENANCE = "ro-crate-metadata.json"


@contextmanager
def replace_folder(folder: Path, description: str) -> Iterator[Path]:
    """Yield a temporary folder next to `folder`; its files are moved to `folder` once all have been written.

    Files listed by an earlier description are removed first; other files are left alone. The description is
    moved last, so a folder with a description is complete.

    Parameters
    ----------
    folder : Path
    description : str
        Name of the JSON file that describes the folder, with "format" and "files" (also folders).
    """
    folder = long_path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    prefix = hidden_prefix(folder.name)
    fresh = Path(tempfile.mkdtemp(prefix=prefix, dir=folder.parent))
    try:
        yield fresh
        with locked(folder.with_name(f"{prefix}lock"), WAIT):
            folder.mkdir(exist_ok=True)
            _remove_earlier(folder, description)
            names = sorted((path.name for path in fresh.iterdir()), key=lambda name: name == description)
            for name in names:
                os.replace(fresh / name, folder / name)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def hidden_prefix(name: str) -> str:
    """Prefix of the hidden entries next to a folder, short enough for the limits of file systems."""
    if len(os.fsencode(name)) <= LONGEST_NAME:
        return f".{name}."
    return f".{name[:40]}-{hashlib.sha256(os.fsencode(name)).hexdigest()[:12]}."


def long_path(path: Path, system: str = sys.platform) -> Path:
    """A long path in a form that Windows accepts; a short path, or a path on another system, is unchanged.

    Examples
    --------
    >>> str(long_path(Path("results"), "win32"))
    'results'
    """
    whole = os.path.abspath(path)
    if system != "win32" or len(whole) < LONGEST_PATH or whole.startswith("\\\\"):
        return path
    return Path("\\\\?\\" + whole)


def read_description(path: Path, format_name: str, version: int) -> dict[str, Any]:
    """Read the JSON file that describes a results folder.

    Raises
    ------
    ValueError
        If it is missing, damaged, of another format, or of a newer version.
    """
    folder, name = path.parent, path.name
    try:
        stored = read_json(path)
    except (OSError, ValueError) as error:
        raise ValueError(f"{folder}: there is no readable {name} in this folder ({error})") from error
    if not isinstance(stored, dict) or stored.get("format") != format_name:
        raise ValueError(f"{folder}: {name} was not written by napari-tem-fft as {format_name!r}")
    if stored.get("format_version") != version:
        raise ValueError(f"{folder}: the results were written by a newer version; update napari-tem-fft")
    return stored


def plain_name(name: Any) -> bool:
    """Whether a name is that of a file, and not a path that could lead out of a folder."""
    return isinstance(name, str) and name not in ("", ".", "..") and not set(name) & set("/\\:\0")


def _remove_earlier(folder: Path, description: str) -> None:
    """Remove the files listed by an earlier description in the folder, and first the description itself."""
    try:
        earlier = read_json(folder / description)
    except (OSError, ValueError):
        return
    if not isinstance(earlier, dict) or not str(earlier.get("format")).startswith(OURS):
        return
    (folder / description).unlink()
    (folder / PROVENANCE).unlink(missing_ok=True)
    for name in earlier.get("files", ()):
        if plain_name(name) and (folder / name).is_dir() and not (folder / name).is_symlink():
            shutil.rmtree(folder / name)
        elif plain_name(name):
            (folder / name).unlink(missing_ok=True)
