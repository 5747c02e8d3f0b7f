"""What a run loses when its workers are killed at random.

    python tests/benchmarks/poisson_kills.py [--files 2000] [--kills 1000] [--workers 2] [--between 2.5]
                                             [--minutes 60]

Small micrographs are analysed while a thread kills a random worker (SIGKILL) at exponentially distributed
intervals with a mean of `--between` seconds (a Poisson process). Use a larger mean on a busy machine, because
workers take some time to start. The run is resumed until the number of kills, or the time, is reached, and
starts over when all files are finished; finally it is resumed once without kills. A file is lost if it has no
record, a record but no results, or other spots than an undisturbed analysis (compared for a hundred of them).
A file whose analysis two workers did not survive is reported and not lost. Prints files, kills and losses.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from dm_writer import write_dm
from forward_model import fringes, white_noise
from napari_tem_fft.batch.backends import LocalWorkers, WorkersError
from napari_tem_fft.batch.engine import analyse_source
from napari_tem_fft.batch.job import Job
from napari_tem_fft.batch.run import Outcome, batch_steps
from napari_tem_fft.batch.sources import find_sources
from napari_tem_fft.batch.state import read_records
from napari_tem_fft.core.progress import exhaust

PIXEL, SIDE = 0.03, 160
#: Files whose spots are compared with those of an undisturbed analysis.
COMPARED = 100


class Killer(threading.Thread):
    """Kills workers, one at a time, until the required number is reached."""

    def __init__(self, kills: int, between: float, seconds: float, seed: int = 0) -> None:
        super().__init__(daemon=True)
        self.left, self.between, self.done = kills, between, 0
        self.end = time.monotonic() + seconds
        self.workers: LocalWorkers | None = None
        self.random = random.Random(seed)

    def hire(self, job: Job, count: int) -> LocalWorkers:
        """The workers of the next run, which are killed from now on."""
        self.workers = LocalWorkers(job, count)
        return self.workers

    def run(self) -> None:
        while self.left > 0 and time.monotonic() < self.end:
            time.sleep(self.random.expovariate(1 / self.between))
            try:
                pid = self.random.choice(self.workers.pids if self.workers else ())
                os.kill(pid, signal.SIGKILL)
            except (IndexError, ValueError, ProcessLookupError):  # between two runs, or it has just ended
                continue
            self.left, self.done = self.left - 1, self.done + 1
        self.left = 0


def write_files(folder: Path, count: int) -> None:
    folder.mkdir()
    for number in range(count):
        grain = 40 * fringes((SIDE, SIDE), (PIXEL, PIXEL), 0.2 + 0.1 * (number % 7) / 7, float(number % 180))
        pixels = 1000 + grain + white_noise((SIDE, SIDE), number, 60.0)
        write_dm(folder / f"{number:05d}.dm4", np.rint(pixels).astype(np.int16), PIXEL, "nm")


def run_once(images: Path, job: Job, hire, resume: bool) -> Outcome | None:
    """One run to its end; None if its workers were killed faster than they start."""
    found = find_sources([images], Path(job.output))
    try:
        return exhaust(batch_steps(found.sources, job, hire, inputs=[str(images)], resume=resume))
    except WorkersError:
        return None


def lost_files(images: Path, job: Job) -> list[str]:
    """Defects of the results, one line per file."""
    wrong, output = [], Path(job.output)
    records = {Path(record.path).name: record for record in read_records(output)}
    names = sorted(path.name for path in images.iterdir())
    wrong += [f"{name}: no record" for name in names if name not in records]
    for name, record in records.items():
        if record.state == "analysed" and not (output / record.folder / "analysis.json").is_file():
            wrong.append(f"{name}: no results")
    wrong += [f"{path.name}: half written" for path in output.glob(".*") if path.is_dir()]
    with tempfile.TemporaryDirectory() as place:
        again = Job(place, names=job.names, keep=job.keep)
        sources = find_sources([images], Path(place)).sources
        for source in random.Random(1).sample(sources, min(COMPARED, len(sources))):
            analyse_source(again, source)
            name = Path(source.path).name
            spots = [(Path(folder) / source.folder / "spots.csv") for folder in (place, job.output)]
            if records[name].state == "analysed" and spots[0].read_bytes() != spots[1].read_bytes():
                wrong.append(f"{name}: other spots")
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--between", type=float, default=2.5, help="seconds, on the average")
    parser.add_argument("--minutes", type=float, default=60.0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        images, output = Path(place, "images"), Path(place, "results")
        write_files(images, args.files)
        job = Job(str(output), names=("Al", "Cu"), keep="tables")
        killer = Killer(args.kills, args.between, 60 * args.minutes)
        killer.start()
        rounds, stopped, reported, lost = 0, 0, 0, 0
        while killer.left > 0:
            done = run_once(images, job, lambda job: killer.hire(job, args.workers), output.exists())
            rounds, stopped = rounds + (done is not None), stopped + (done is None)
            if done is not None:
                reported += done.failed
                lost += len(lost_files(images, job))
                print(
                    f"round {rounds}: {killer.done} kills, {done.failed} of {done.total} reported", flush=True
                )
                if killer.left > 0 and not done.failed:
                    shutil.rmtree(output)
        killer.left = 0
        last = run_once(images, job, lambda job: LocalWorkers(job, args.workers), output.exists())
        wrong = lost_files(images, job)
        print(f"{args.files} files, {args.workers} workers, {killer.done} kills, {rounds} whole runs,"
              f" {stopped} stopped because no worker lived long enough to begin, and resumed")  # fmt: skip
        print(f"files over which two workers died, reported and tried again: {reported}")
        print(f"after the last resume: {last.analysed if last else 0} of {args.files} analysed")
        print(f"lost: {lost + len(wrong)}", *wrong[:20], sep="\n  ")


if __name__ == "__main__":
    main()
