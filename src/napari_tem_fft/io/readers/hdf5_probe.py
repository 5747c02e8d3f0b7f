"""Read the texts and small data sets of an HDF5 file in a separate process: ``python hdf5_probe.py FILE``.

libhdf5 trusts the length that a damaged file gives for a text, and may then allocate gigabytes or loop for
ever; nothing within the same process can stop it. This process is limited to `MEMORY` bytes and is terminated
by its parent. The first line of the output reports that reading has begun.
"""

from __future__ import annotations

import sys
from typing import Any

#: Memory limit while reading, bytes, on systems that can limit it.
MEMORY = 2**29
#: Data sets of texts with more values than this, and others with more bytes, are skipped.
MOST_TEXTS, MOST_BYTES = 10**6, 2**24


def main(path: str) -> int:
    """Walk through the file; return 0 if everything that is tried can be read."""
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
        return  # Windows and macOS: only the time is limited, by the parent


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
