"""Peak memory of an analysis against the number of grains and the size of the image.

    python tests/benchmarks/grain_memory.py [--sizes 2048,4096] [--grains 10,200,300] [--pixel 0.05]

Creates micrographs of separate crystals in noise, each rotated differently. Each is analysed without a
network: by a worker of a `batch` that keeps maps, and by `analyse`, which also draws figures. Prints the
number of grains found, the seconds of `analyse`, the largest resident memory of both processes, and the
estimate for a worker.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from itertools import product
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))
#: nm: two lattice spacings, and the largest radius of a crystal.
SPACINGS, LARGEST = (0.235, 0.2035), 6.0
RUN = "import sys; from napari_tem_fft.cli.main import main; main(sys.argv[1:])"


def make_micrograph(path: Path, size: int, grains: int, pixel: float) -> None:
    """Discs of two crossed sets of fringes on a square lattice of positions, as int16 .dm4."""
    from dm_writer import write_dm

    rng = np.random.default_rng(grains)
    side = int(np.ceil(np.sqrt(grains)))
    apart = size / side
    radius = min(0.4 * apart, LARGEST / pixel)
    image = rng.normal(scale=1.0, size=(size, size)).astype(np.float32)
    reach = np.arange(-int(radius), int(radius) + 1)
    y, x = reach[:, None] * pixel, reach[None, :] * pixel
    inside = np.hypot(y, x) < radius * pixel
    for number in range(grains):
        row, column = (int((n + 0.5) * apart) for n in divmod(number, side))
        azimuth = rng.uniform(0, np.pi)
        turns = zip(SPACINGS, (azimuth, azimuth + 1.2), strict=True)
        waves = [np.cos(2 * np.pi * (x * np.cos(a) + y * np.sin(a)) / d) for d, a in turns]
        image[row + reach[0] : row + reach[-1] + 1, column + reach[0] : column + reach[-1] + 1] += (
            inside * np.sum(waves, axis=0)
        )
    write_dm(path, np.round(1000 + 100 * image).astype(np.int16), pixel, "nm")


def worker_memory(path: Path, output: Path) -> float:
    """Largest resident memory of a batch's worker, MB."""
    code = f"{RUN}; import resource; print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    command = ("batch", str(path), "-o", str(output), "--network", "none", "--workers", "1", "--keep", "maps")
    done = subprocess.run([sys.executable, "-c", code, *command], check=True, capture_output=True, text=True)
    return int(done.stdout.split()[-1]) * 1024 / 1e6


def main() -> None:
    from end_to_end import peak_memory

    from napari_tem_fft.batch.backends import memory_of
    from napari_tem_fft.core.fourier.diffractogram import SpectrumParams, searched_share

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", default="2048,4096")
    parser.add_argument("--grains", default="10,200,300")
    parser.add_argument("--pixel", type=float, default=0.05, help="nm")
    parser.add_argument("--images", type=Path, help="folder in which the micrographs are kept")
    args = parser.parse_args()
    print("  size  made found     s  analyse, MB  worker, MB  counted, MB  of which analyse takes, worker")
    with tempfile.TemporaryDirectory() as scratch:
        place = args.images or Path(scratch)
        for size, grains in product(map(int, args.sizes.split(",")), map(int, args.grains.split(","))):
            path = place / f"grains_{size}_{grains}_{args.pixel:g}.dm4"
            if not path.exists():
                make_micrograph(path, size, grains, args.pixel)
            start = time.perf_counter()
            alone = peak_memory(RUN, "analyse", str(path), "-o", scratch, "--network", "none") * 2**20 / 1e6
            seconds = time.perf_counter() - start
            results = Path(scratch) / path.name / "analysis.json"
            found = len(json.loads(results.read_text(encoding="utf-8"))["grains"])
            worker = worker_memory(path, Path(scratch) / f"batch of {path.name}")
            share = searched_share((args.pixel, args.pixel), SpectrumParams())
            counted = (memory_of(1, size**2, False, share) - memory_of(0, size**2, False)) / 1e6
            print(
                f"{size:6d} {grains:5d} {found:5d} {seconds:5.0f} {alone:12.0f} {worker:11.0f}"
                f" {counted:12.0f} {alone / counted:23.2f} {worker / counted:7.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
