"""Time and memory for opening a 4096 x 4096 .dm4 file, compared with rosettasciio alone.

    python tests/benchmarks/read_time.py [--size 4096] [--repeats 9]

Each reader runs in a separate process, with the file in the system's cache. The time is the shortest of
several, the memory the largest amount allocated at a time while the file is opened once.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from dm_writer import write_dm

READERS = ("rosettasciio", "without hash", "read_micrograph")


def reader(name: str) -> Callable[[Path], object]:
    """The function that opens a file."""
    if name == "rosettasciio":
        from rsciio.digitalmicrograph import file_reader

        return lambda path: file_reader(str(path))
    if name == "without hash":
        from napari_tem_fft.io.readers.data_sets import read_signals

        return read_signals
    from napari_tem_fft.io.readers.micrographs import read_micrograph

    return read_micrograph


def measure(name: str, path: Path, warm_up: Path, repeats: int) -> dict[str, float]:
    """Seconds and bytes for opening a file."""
    read = reader(name)
    read(warm_up)  # loads what the reader imports
    tracemalloc.start()
    read(path)
    memory = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        read(path)
        seconds.append(time.perf_counter() - start)
    return {"seconds": min(seconds), "bytes": memory}


def table(size: int, repeats: int, folder: Path) -> None:
    """Measure all readers with both pixel types and print the results."""
    warm_up = write_dm(folder / "small.dm4", np.eye(16, dtype="int16"), 0.02, "nm")
    noise = np.random.default_rng(0).normal(1000.0, 30.0, (size, size))
    print(f"{'pixels':>8} {'reader':>16} {'ms':>8} {'ratio':>6} {'MB':>7} {'image MB':>9}")
    for dtype in ("int16", "float32"):
        path = write_dm(folder / f"{dtype}.dm4", noise.astype(dtype), 0.02, "nm", microscope={"Voltage": 3e5})
        alone = 0.0
        for name in READERS:
            command = [sys.executable, __file__, "--one", name, str(path), str(warm_up)]
            answer = subprocess.run(
                [*command, "--repeats", str(repeats)], check=True, capture_output=True, text=True
            )
            figures = json.loads(answer.stdout)
            alone = alone or figures["seconds"]
            print(
                f"{dtype:>8} {name:>16} {1e3 * figures['seconds']:8.1f} {figures['seconds'] / alone:6.2f}"
                f" {figures['bytes'] / 2**20:7.1f} {size**2 * np.dtype(dtype).itemsize / 2**20:9.1f}"
            )


def main() -> None:
    """Print the table, or with --one the results of one reader as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=4096, help="pixels along an axis")
    parser.add_argument("--repeats", type=int, default=9, help="the least time of so many counts")
    parser.add_argument("--one", nargs=3, metavar=("READER", "FILE", "SMALL"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        name, path, warm_up = options.one
        print(json.dumps(measure(name, Path(path), Path(warm_up), options.repeats)))
        return
    with tempfile.TemporaryDirectory() as folder:
        table(options.size, options.repeats, Path(folder))


if __name__ == "__main__":
    main()
