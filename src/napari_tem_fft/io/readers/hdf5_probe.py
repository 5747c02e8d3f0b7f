"""Reads texts and small data sets of an HDF5 file in a process of its own: ``python hdf5_probe.py FILE``.

libhdf5 believes the length that a damaged file gives for a text, and then fills gigabytes or turns for ever,
which nothing in its own process can end. Here it may: within `MEMORY` bytes, and until whoever started it
ends it. The first line of the output says that the reading begins.
"""

from __future__ import annotations

import sys
from typing import Any

#: Largest memory of the process while it reads, bytes, where the system can limit it.
MEMORY = 2**29
#: Most values that are read of a data set of texts, and most bytes of any other data set.
MOST_TEXTS, MOST_BYTES = 10**6, 2**24


def main(path: str) -> int:
    """Walk through the file; 0 if what is tried can be read."""
    import h5py

    _limit_memory()
    print("reading", flush=True)
    try:
        with h5py.File(path, "r") as file:
            file.visititems(_read)
            _read("", file)
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, MemoryError):
        return 1
    return 0


def _read(_: str, node: Any) -> None:
    for name in list(node.attrs):
        node.attrs.get(name)
    if hasattr(node, "shape") and node.shape is not None:
        most = MOST_TEXTS if node.dtype.kind == "O" else MOST_BYTES // max(node.dtype.itemsize, 1)
        if (node.size or 0) <= most:
            node[()]


def _limit_memory() -> None:
    try:
        import resource
        from pathlib import Path

        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    except (ImportError, OSError, ValueError):
        return  # Windows and macOS: only the time is limited


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
