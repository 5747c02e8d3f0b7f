"""Memory: what closed images and ended runs held goes back to the system, not only to the C library."""

from __future__ import annotations

import ctypes
import gc
import platform
from functools import cache

#: Bytes from which an array has memory of its own, which goes back when the array does, and most that is free
#: at the end of a thread's memory. Left alone, glibc lets both grow to 32 and 64 MB with the largest array
#: that was freed; 60 images in turn then left 60 MB in the memory of threads, and another hour of use 330 MB.
WHOLE = 2**20
#: Numbers of glibc's `mallopt`: M_TRIM_THRESHOLD and M_MMAP_THRESHOLD.
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3


@cache
def give_back_early() -> None:
    """From now on let large arrays give their memory back when they are freed.

    Each thread that has run an analysis has memory of its own, and its free end is never given back by
    `malloc_trim`. Nothing is done where the C library is not glibc.
    """
    libc = _glibc()
    if libc is not None:
        libc.mallopt(MMAP_THRESHOLD, WHOLE)
        libc.mallopt(TRIM_THRESHOLD, WHOLE)


def give_back() -> None:
    """Collect what nobody holds any longer, and give back what is free; takes about a third of a second."""
    gc.collect()
    libc = _glibc()
    if libc is not None:
        libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None
