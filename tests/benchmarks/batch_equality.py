"""Equality of results for different numbers of workers.

    python tests/benchmarks/batch_equality.py [--images 8] [--size 1400] [--workers 1,2,4]

Analyses the same micrographs with each number of workers; prints how many cells of the tables (without times)
differ from the first run, and the largest difference of any map or heat map. Exits with 1 if tables differ,
or maps by more than 1e-5.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import tifffile
from end_to_end import make_micrograph

from napari_tem_fft.batch.backends import LocalWorkers
from napari_tem_fft.batch.job import Job
from napari_tem_fft.batch.run import batch_steps
from napari_tem_fft.batch.sources import find_sources
from napari_tem_fft.core.progress import exhaust

TIMES = {"seconds"}
LARGEST = 1e-5


def tables_of(output: Path) -> dict[str, str]:
    """All cells of all tables of a run, by file, row and column."""
    cells = {}
    for path in sorted(output.rglob("*.csv")):
        with path.open(newline="", encoding="utf-8") as file:
            for number, row in enumerate(csv.DictReader(file)):
                names = row.keys() - TIMES
                cells |= {f"{path.relative_to(output)}:{number}:{name}": row[name] for name in names}
    return cells


def maps_of(output: Path) -> dict[str, np.ndarray]:
    """All maps and heat maps of a run."""
    maps = {str(path.relative_to(output)): tifffile.imread(path) for path in output.rglob("*.tif")}
    for path in output.rglob("*.npz"):
        with np.load(path, allow_pickle=False) as archive:
            maps |= {f"{path.relative_to(output)}:{name}": archive[name] for name in archive.files}
    return maps


def difference(first: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> float:
    """Largest difference between maps of the same names; infinite if the names differ."""
    if first.keys() != other.keys() or any(first[n].shape != other[n].shape for n in first):
        return float("inf")
    apart = (np.abs(np.nan_to_num(first[n].astype(float)) - np.nan_to_num(other[n])) for n in first)
    return float(max(one.max(initial=0) for one in apart))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--size", type=int, default=1400)
    parser.add_argument("--workers", type=lambda text: [int(n) for n in text.split(",")], default=[1, 2, 4])
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "images").mkdir()
        for number in range(args.images):
            make_micrograph(folder / "images" / f"{number:03d}.dm4", args.size, 2 + number)
        found, bad = [], False
        for count in args.workers:
            output = folder / f"out{count}"
            sources = find_sources([folder / "images"], output).sources
            exhaust(batch_steps(sources, Job(str(output)), lambda job, n=count: LocalWorkers(job, n)))
            found.append((tables_of(output), maps_of(output)))
            cells = {name for name, text in found[0][0].items() if found[-1][0].get(name) != text}
            cells |= found[-1][0].keys() - found[0][0].keys()
            apart = difference(found[0][1], found[-1][1])
            bad = bad or bool(cells) or apart > LARGEST
            print(
                f"{count} workers: {len(found[-1][0])} cells, {len(cells)} differ; {len(found[-1][1])} maps,"
                f" largest difference {apart:.1e}",
                flush=True,
            )
    return int(bad)


if __name__ == "__main__":
    raise SystemExit(main())
