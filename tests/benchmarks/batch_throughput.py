"""Throughput of a run over 4096 x 4096 int16 .dm4 files, and the time of each stage.

    python tests/benchmarks/batch_throughput.py [--images 24] [--workers 2] [--keep maps] [--size 4096]

Prints images per minute of a warm run, wall time per image as a multiple of the floor (reading the file and
one float32 `rfft2` with all processors, measured before and after in the same process), the processor time of
each stage in one thread, and the floor in one thread. On a busy machine wall times are meaningless; processor
times and their ratio are not.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent))

from end_to_end import PIXEL, make_micrograph, reference

from napari_tem_fft.batch.backends import LocalWorkers
from napari_tem_fft.batch.job import Job
from napari_tem_fft.batch.run import batch_steps
from napari_tem_fft.batch.sources import find_sources


def make_images(folder: Path, count: int, size: int, grains: int) -> list[Path]:
    """Rotated and mirrored copies of a micrograph with additional noise, so that no cache is shared."""
    import numpy as np

    from dm_writer import write_dm
    from napari_tem_fft.io.readers.micrographs import read_micrograph

    folder.mkdir()
    first = folder / "0000.dm4"
    make_micrograph(first, size, grains)
    pixels = read_micrograph(first).pixels
    rng = np.random.default_rng(7)
    paths = [first]
    for number in range(1, count):
        turned = np.rot90(pixels.T if number // 4 % 2 else pixels, number % 4)
        noise = rng.integers(-1, 2, turned.shape, dtype=np.int8)
        paths.append(folder / f"{number:04d}.dm4")
        write_dm(paths[-1], (turned + noise).astype(np.int16), PIXEL, "nm")
    return paths


def floor_in_one_thread(path: Path) -> float:
    """Processor time for reading the file and one transform in float32, s."""
    import numpy as np
    from scipy import fft

    from napari_tem_fft.io.readers.micrographs import read_micrograph

    start = time.process_time()
    fft.rfft2(read_micrograph(path).pixels.astype(np.float32), workers=1)
    return time.process_time() - start


def stage_times(path: Path, folder: Path) -> dict[str, float]:
    """Processor time of each stage of a warm worker, in one thread."""
    from napari_tem_fft import api
    from napari_tem_fft.batch.engine import engine_of
    from napari_tem_fft.core.pipeline import analysis_steps
    from napari_tem_fft.core.progress import exhaust
    from napari_tem_fft.io.results.folder import save_results

    engine = engine_of(Job(str(folder)))
    times: dict[str, float] = {}
    last = time.process_time()

    def note(name: str) -> None:
        nonlocal last
        now = time.process_time()
        times[name], last = now - last, now

    micrograph = api.read(path)
    note("read and hash")
    evidence = engine.evidence.for_another_image()
    steps = analysis_steps(micrograph, engine.choice, engine.job.params, engine.segment, cache=evidence)
    analysis = exhaust(steps, lambda step: note(step.name))
    save_results(analysis, folder / "stages", "maps")
    note("write tables and maps")
    return times


def timed_run(images: Path, output: Path, workers: int, keep: str) -> list[float]:
    """Times at which the images of a run were finished."""
    job = Job(str(output), keep=keep)  # type: ignore[arg-type]
    sources = find_sources([images], output).sources
    start_workers: Callable[[Job], LocalWorkers] = lambda one: LocalWorkers(one, workers)  # noqa: E731
    moments = []
    for step in batch_steps(sources, job, start_workers):
        moments.append(time.perf_counter())
        if step.product.state != "analysed":
            raise SystemExit(step.product.reason)
    return moments


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=24)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--keep", choices=("tables", "maps", "pictures"), default="maps")
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--grains", type=int, default=30)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        paths = make_images(folder / "images", args.images, args.size, args.grains)
        first = paths[0]
        floors = [reference(first) for _ in range(4)]
        moments = timed_run(folder / "images", folder / "out", args.workers, args.keep)
        floors += [reference(first) for _ in range(4)]
        # each worker's first image pays for imports, candidates and the geometry that the others share
        warm = moments[2 * args.workers - 1 :]
        seconds = (warm[-1] - warm[0]) / (len(warm) - 1)
        floor = sorted(floors)[len(floors) // 4]
        print(f"{args.images} images, {args.workers} workers, {args.keep} kept")
        print(f"warm: {60 / seconds:.0f} images a minute, {seconds:.3f} s an image")
        print(
            f"floor (read, float32 rfft2, all processors): {floor:.3f} s; an image: {seconds / floor:.1f} x"
        )
        stage_times(first, folder)
        measured = [stage_times(path, folder) for path in paths[:5]]
        best = min(measured[1:], key=lambda one: sum(one.values()))
        single = min(floor_in_one_thread(first) for _ in range(4))
    for name, spent in {**best, "whole": sum(best.values()), "floor": single}.items():
        print(f"{name:24s} {spent:7.3f} s of processor time  {spent / single:5.1f} x")


if __name__ == "__main__":
    main()
