"""Memory and time of runs of different lengths; both must stay constant per image.

    python tests/benchmarks/batch_scaling.py [--counts 10,30,100,300] [--size 4096] [--plot FILE.svg]

For each count prints the largest proportional set size (Linux) of all processes of the run together, of one
worker and of the coordinating process, the seconds per image, and the size of the results per image.
The network is used unless ``--no-network`` is given.
``--size 768 --grains 2 --counts 100,300,1000`` shows how the cost grows with the number of small images.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent))

from batch_throughput import make_images

from napari_tem_fft.batch.backends import LocalWorkers, memory_of, share_searched
from napari_tem_fft.batch.job import Job
from napari_tem_fft.batch.run import batch_steps
from napari_tem_fft.batch.sources import find_sources
from napari_tem_fft.core.pipeline import AnalysisParams
from napari_tem_fft.core.progress import exhaust

MIB = 2**20


def proportional_set_size(pid: int) -> int:
    """Proportional set size of a process in bytes; 0 if it has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


@dataclass
class Watcher:
    """Samples the memory of this process and of the workers ten times per second."""

    workers: LocalWorkers | None = None
    largest: int = 0
    worker: int = 0
    books: int = 0
    done: threading.Event = field(default_factory=threading.Event)

    def look(self) -> None:
        while not self.done.wait(0.1):
            with suppress(ValueError):  # the workers are ended while they are looked at
                self._look()

    def _look(self) -> None:
        own = proportional_set_size(os.getpid())
        pids = self.workers.pids if self.workers else ()
        others = [proportional_set_size(pid) for pid in pids]
        self.largest = max(self.largest, own + sum(others))
        self.worker, self.books = max(self.worker, *others, 0), max(self.books, own)


def measure(
    images: Path, output: Path, count: int, workers: int, network: bool
) -> tuple[Watcher, float, float]:
    """Memory, seconds per image without the start of the workers, and bytes of results per image."""
    watcher = Watcher()

    def start_workers(job: Job) -> LocalWorkers:
        watcher.workers = LocalWorkers(job, workers)
        return watcher.workers

    sources = find_sources([images], output).sources[:count]
    thread = threading.Thread(target=watcher.look)
    thread.start()
    job = Job(str(output), AnalysisParams(network="auto" if network else "none"))
    steps = batch_steps(sources, job, start_workers)
    for _ in range(workers):
        next(steps)
    start = time.perf_counter()
    outcome = exhaust(steps)
    seconds = (time.perf_counter() - start) / max(count - workers, 1)
    watcher.workers = None
    watcher.done.set()
    thread.join()
    if outcome.failed:
        raise SystemExit(f"{outcome.failed} images failed")
    size = sum(path.stat().st_size for path in output.rglob("*") if path.is_file()) / count
    return watcher, seconds, size


def plot(path: Path, counts: list[int], sizes: list[float]) -> None:
    """Plot memory against the number of images, as SVG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 3.2))
    axes.semilogx(counts, [size / MIB for size in sizes], "o-", color="#0072B2")
    axes.set(xlabel="images", ylabel="peak memory of all processes (MiB)", ylim=(0, None))
    figure.tight_layout()
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--counts", type=lambda text: [int(n) for n in text.split(",")], default=[10, 30, 100, 300]
    )
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--grains", type=int, default=30)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--no-network", dest="network", action="store_false")
    parser.add_argument("--plot", type=Path)
    args = parser.parse_args()
    largest = []
    print("images  all processes   one worker        books   s an image   results an image")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        make_images(folder / "images", max(args.counts), args.size, args.grains)
        for count in args.counts:
            watcher, seconds, kept = measure(
                folder / "images", folder / f"out{count}", count, args.workers, args.network
            )
            largest.append(float(watcher.largest))
            memory = "".join(f"{n / MIB:9.0f} MiB" for n in (watcher.largest, watcher.worker, watcher.books))
            print(f"{count:6d}  {memory}   {seconds:10.3f}   {kept / 1024:10.0f} KiB", flush=True)
        share = share_searched(find_sources([folder / "images"], folder).sources)
    needed = memory_of(args.workers, args.size**2, share)
    print(f"formula for {args.workers} workers: {needed / MIB:.0f} MiB")
    if args.plot:
        plot(args.plot, args.counts, largest)


if __name__ == "__main__":
    main()
