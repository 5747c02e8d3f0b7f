"""Open randomly damaged files: only `ReadError` may be raised, quickly and with little memory.

    python tests/benchmarks/fuzz_reader.py [--kind dm,mrc,tiff,emd,ser,dm5,png] [--files 20000] [--seed 0]

The files are written by the tests' own writers; with --data, all .dm3 and .dm4 files below a folder (up to
400 kB each) are used as well. Three quarters of the damage is outside the pixels. Each file may take 5 s of
processor time (so that other programs do not matter) and 20 times its size plus 64 MB. The process cannot
request more than 2 GB in addition to its initial memory, so that a header that claims 10^12 pixels causes a
`MemoryError` if anything is allocated for it. A crash of the process (in a C library), or a minute without
progress, ends the run; the file that caused it is in the --keep folder. The separate process in which HDF5
files are tried is forked here, which saves most of its time.
"""

from __future__ import annotations

import argparse
import faulthandler
import os
import random
import resource
import signal
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from fuzz_seeds import SEEDS
from napari_tem_fft.io.plain import ReadError
from napari_tem_fft.io.readers import hdf5, hdf5_probe
from napari_tem_fft.io.readers.micrographs import read_images

SECONDS = 5.0
MEMORY_FACTOR, MEMORY_BASE = 20, 64 * 2**20
ADDRESS_SPACE = 2 * 2**30
LARGEST_SEED = 400_000

#: Values that lengths and counts are replaced with.
EXTREMES = (0, 1, -1, 2, 255, 2**15, 2**16, 2**31 - 1, -(2**31), 2**40, 10**12, 2**62, -(2**63))


class TooSlow(BaseException):
    """A file exceeded the time limit; not an `Exception`, so that no reader takes it for a damaged file."""


@dataclass
class Figures:
    """Results of a run."""

    outcomes: Counter[str] = field(default_factory=Counter)
    faults: list[tuple[str, bytes]] = field(default_factory=list)
    slowest: float = 0.0
    memory: int = 0

    def fault(self, what: str, content: bytes) -> None:
        self.outcomes[f"FAULT: {what}"] += 1
        self.faults.append((what, content))


def folder_seeds(folder: Path) -> list[bytes]:
    """Small real files of a folder."""
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".dm3", ".dm4"))
    return [path.read_bytes() for path in files if 0 < path.stat().st_size <= LARGEST_SEED]


def mutations(seeds: list[bytes], count: int, seed: int, header: int = 0) -> Iterator[bytes]:
    """Damaged copies of the seeds.

    Parameters
    ----------
    header : int
        Number of bytes at the start of a file that are its structure; 0 for Gatan files, whose tags are found
        by their markers.
    """
    chance = random.Random(seed)
    tag_bytes = [np.flatnonzero(_is_structure(content, header)) for content in seeds]
    for number in range(count):
        chosen = number % len(seeds)
        yield _damaged(bytearray(seeds[chosen]), tag_bytes[chosen], chance)


def _is_structure(content: bytes, header: int) -> np.ndarray:
    """Bytes near a name or the marker before values, or of a header: the file's structure, not its pixels."""
    data = np.frombuffer(content, np.uint8)
    if header:
        return np.arange(len(data)) < header
    mark = data == ord("%")
    near = np.zeros(len(data), bool)
    near[:32] = near[-32:] = True
    for position in np.flatnonzero(mark):
        near[max(0, position - 48) : position + 96] = True
    return near


def _damaged(content: bytearray, structure: np.ndarray, chance: random.Random) -> bytes:
    for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
        if not content:
            break
        anywhere = chance.random() < 0.25 or not len(structure)
        position = chance.randrange(len(content)) if anywhere else int(chance.choice(structure))
        position = min(position, len(content) - 1)
        kind = chance.random()
        if kind < 0.45:
            content[position] ^= 1 << chance.randrange(8)
        elif kind < 0.6:
            content[position] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, ord("["), ord("."), 15, 18, 20))
        elif kind < 0.85:
            form = chance.choice((">q", ">i", "<i", "<q", ">h", "<h"))
            bits = 8 * struct.calcsize(form) - 1
            value = chance.choice([v for v in EXTREMES if -(2**bits) <= v < 2**bits])
            content[position : position + struct.calcsize(form)] = struct.pack(form, value)
        elif kind < 0.9:
            del content[position:]
        elif kind < 0.95:
            del content[position : position + chance.randrange(1, 40)]
        else:
            start = chance.randrange(len(content))
            content[position:position] = content[start : start + chance.randrange(1, 60)]
    return bytes(content)


def open_one(path: Path, content: bytes, figures: Figures) -> None:
    """Open one damaged file and record the result."""
    path.write_bytes(content)
    before = peak_memory()
    start = time.process_time()
    try:
        for image in read_images(path):
            for index in range(min(2, len(getattr(image, "frames", ())))):
                image.frame(index)
        figures.outcomes["opened"] += 1
    except ReadError as error:
        if isinstance(error.__cause__, MemoryError | RecursionError):
            figures.fault(repr(error.__cause__)[:90], content)
        figures.outcomes[f"refused: {error.what.split(':')[0].split('(')[0].strip()[:40]}"] += 1
    except TooSlow:
        figures.fault("too slow", content)
    except Exception as error:
        figures.fault(f"{type(error).__name__}: {error}"[:90], content)
    figures.slowest = max(figures.slowest, time.process_time() - start)
    growth = peak_memory() - before
    figures.memory = max(figures.memory, growth)
    if growth > MEMORY_FACTOR * len(content) + MEMORY_BASE:
        figures.fault("too much memory", content)


def peak_memory() -> int:
    """Largest memory of this process so far, bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def limit_address_space() -> None:
    """Limit this process to `ADDRESS_SPACE` bytes more than it has."""
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + ADDRESS_SPACE
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def run(
    seeds: list[bytes], count: int, seed: int, folder: Path, suffix: str = "dm4", header: int = 0
) -> Figures:
    """Open `count` damaged files, each within `SECONDS`."""

    def too_slow(*_: object) -> None:
        raise TooSlow

    figures = Figures()
    previous = signal.signal(signal.SIGPROF, too_slow)
    try:
        for content in mutations(seeds, count, seed, header):
            signal.setitimer(signal.ITIMER_PROF, SECONDS)
            faulthandler.dump_traceback_later(60, exit=True)
            open_one(folder / f"fuzzed.{suffix}", content, figures)
            signal.setitimer(signal.ITIMER_PROF, 0)
    finally:
        faulthandler.cancel_dump_traceback_later()
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, previous)
    return figures


def forked_probe(path: Path) -> None:
    """Try the content of an HDF5 file in a fork of this process instead of a new one."""
    child = os.fork()
    if child == 0:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(round(hdf5.PROBE_SECONDS))
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os._exit(hdf5_probe.main(str(path)))
    if os.waitpid(child, 0)[1] != 0:
        raise ReadError(path, "damaged HDF5 file (its content cannot be read)", "copy it again")


def report(kind: str, options: argparse.Namespace) -> int:
    """Run one kind, print its results, and return the number of faults."""
    written, suffix, header = SEEDS[kind]
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        seeds = written(Path(scratch)) + (folder_seeds(options.data) if options.data and kind == "dm" else [])
        for content in seeds:  # loads the readers
            open_one(folder / f"fuzzed.{suffix}", content, first := Figures())
            if first.outcomes["opened"] != 1:
                raise SystemExit(f"{kind}: a file that is not damaged does not open: {dict(first.outcomes)}")
        limit_address_space()
        start = time.perf_counter()
        figures = run(seeds, options.files, options.seed, folder, suffix, header)
    seconds = time.perf_counter() - start
    print(f"{kind}: {options.files} damaged copies of {len(seeds)} files in {seconds:.0f} s")
    print(f"slowest {figures.slowest:.2f} s, largest growth of memory {figures.memory / 2**20:.0f} MB")
    for outcome, number in figures.outcomes.most_common():
        print(f"{number:7d}  {outcome}", flush=True)
    for number, (what, content) in enumerate(figures.faults if options.keep else ()):
        name = f"{kind} {number:04d} {what[:30].replace('/', ' ')}.{suffix}"
        (options.keep / name).write_bytes(content)
    return len(figures.faults)


def main() -> int:
    """Run and print the results; returns 1 if anything but ReadError was raised."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kind", default="dm", help=f"of {', '.join(SEEDS)}; several with commas, or all")
    parser.add_argument("--files", type=int, default=20_000, help="number of damaged files of each kind")
    parser.add_argument("--seed", type=int, default=0, help="of the random numbers")
    parser.add_argument("--data", type=Path, help="folder with real .dm3 and .dm4 files")
    parser.add_argument("--keep", type=Path, help="folder for the files that were at fault")
    options = parser.parse_args()
    faulthandler.enable()
    hdf5._try_content = forked_probe
    kinds = list(SEEDS) if options.kind == "all" else options.kind.split(",")
    return 1 if sum([report(kind, options) for kind in kinds]) else 0


if __name__ == "__main__":
    raise SystemExit(main())
