"""Small micrographs for runs, and workers that are no processes."""

import csv
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dm_writer import write_dm
from forward_model import fringes, white_noise
from napari_tem_fft.batch.engine import analyse_source
from napari_tem_fft.batch.job import Job
from napari_tem_fft.batch.record import Record
from napari_tem_fft.batch.run import Outcome, batch_steps
from napari_tem_fft.batch.sources import Source, find_sources
from napari_tem_fft.core.progress import exhaust

PIXEL = 0.03


def write_micrograph(path: Path, seed: int, d: float = 0.235, covered: float = 1.0) -> None:
    shape = (300, 280)
    pixels = 1000 + white_noise(shape, seed, 60.0)
    pixels += 40 * fringes(shape, (PIXEL, PIXEL), d, 20.0 + seed) * (np.arange(280) < 280 * covered)
    write_dm(path, np.rint(pixels).astype(np.int16), PIXEL, "nm")


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three micrographs in two folders, one without scale, one text file under a Gatan name."""
    folder = tmp_path_factory.mktemp("images")
    (folder / "day").mkdir()
    write_micrograph(folder / "a <b>.dm4", 0)
    write_micrograph(folder / "day" / "c.dm4", 1)
    write_micrograph(folder / "d.dm3", 2, 0.2, covered=0.6)
    write_dm(folder / "plain.dm4", np.arange(4096, dtype=np.int16).reshape(64, 64))
    (folder / "text.dm4").write_text("not a Gatan file")
    (folder / "notes.txt").write_text("left out")
    return folder


class SameProcess:
    """Workers that work here, when they are asked what they have done."""

    def __init__(self, job: Job, analyse: Callable[[Job, Source], Record] = analyse_source) -> None:
        self.job, self.analyse, self.tasks = job, analyse, deque[Source]()
        self.closed = False

    def free(self) -> int:
        return 1 - len(self.tasks)

    def busy(self) -> int:
        return len(self.tasks)

    def submit(self, source: Source) -> None:
        self.tasks.append(source)

    def poll(self, seconds: float) -> list[Record]:
        return [self.analyse(self.job, self.tasks.popleft())] if self.tasks else []

    def close(self) -> None:
        self.closed = True


def run(images: Path, output: Path, hire=SameProcess, job: Job | None = None, **options) -> Outcome:
    job = replace(job or Job(str(output)), output=str(output))
    found = find_sources([images], output)
    return exhaust(batch_steps(found.sources, job, hire, inputs=[str(images)], **options))


@pytest.fixture(scope="session")
def finished(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run over the images; not to be changed."""
    output = tmp_path_factory.mktemp("run") / "out"
    run(images, output)
    return output


def summary(output: Path) -> list[dict[str, str]]:
    with (output / "summary.csv").open(newline="") as file:
        return list(csv.DictReader(file))
