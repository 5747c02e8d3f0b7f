"""A lock that one program at a time holds on a folder of results; it goes with the program."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

#: Interval between attempts to get a lock that another process holds, seconds.
AGAIN = 0.05


class LockedError(OSError):
    """Somebody else is writing there."""


@contextmanager
def locked(path: Path, wait: float = 0.0) -> Iterator[None]:
    """Hold a lock by a small file, which is removed afterwards.

    Parameters
    ----------
    path : Path
        The file; its folder must be there.
    wait : float, seconds
        How long to wait for others.

    Raises
    ------
    LockedError
        If another program holds it for longer.
    OSError
        If the file cannot be made.
    """
    end = time.monotonic() + wait
    while True:
        file = path.open("a+b")
        # a lock on a file that its last holder has just removed is none
        if _try_lock(file) and path.exists():
            break
        file.close()
        if time.monotonic() >= end:
            raise LockedError(f"another program is writing into {path.parent}: wait until it is done")
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
    """Whether the lock is ours now; also where the file system knows no locks."""
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
