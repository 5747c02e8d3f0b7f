"""The loopback of this machine as a cluster."""

import os
import signal
import subprocess
import sys
import time

import pytest

from napari_tem_fft.batch.backends import Cluster, WorkersError
from napari_tem_fft.batch.job import Job
from napari_tem_fft.batch.run import batch_steps
from napari_tem_fft.batch.sources import find_sources
from napari_tem_fft.core.progress import exhaust
from small_run import summary, write_micrograph

pytest.importorskip("distributed")
pytestmark = pytest.mark.filterwarnings("ignore")


def test_no_scheduler_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("napari_tem_fft.batch.backends.REACHED_WITHIN", 1)
    with pytest.raises(WorkersError, match=r"no scheduler can be reached at tcp://127\.0\.0\.1:9"):
        Cluster(Job(str(tmp_path)), "tcp://127.0.0.1:9")


@pytest.fixture
def scheduler(tmp_path):
    """A scheduler and two workers in processes of their own: address and workers."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    options = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True, "env": environment}
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0"]
    head = subprocess.Popen([*command, "--no-dashboard"], **options)
    line = next(line for line in head.stderr if "Scheduler at:" in line)
    address = line.split()[-1]
    command = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-nanny"]
    options["stderr"] = subprocess.DEVNULL
    workers = [subprocess.Popen([*command, "--no-dashboard"], **options) for _ in range(2)]
    yield address, workers
    for process in (*workers, head):
        process.kill()
        process.wait()
    head.stderr.close()


def test_a_run_on_a_scheduler_outlives_one_of_its_workers(scheduler, tmp_path):
    address, workers = scheduler
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(6):
        write_micrograph(folder / f"{number}.dm4", number)
    (folder / "text.dm4").write_text("not a Gatan file")
    found = find_sources([folder], tmp_path / "out")
    steps = batch_steps(found.sources, Job(str(tmp_path / "out")), lambda job: Cluster(job, address))
    next(steps)
    workers[0].send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))
    start = time.monotonic()
    outcome = exhaust(steps)
    assert (outcome.state, outcome.analysed, outcome.failed) == ("done", 6, 1)
    assert [row["file"] for row in summary(tmp_path / "out")] == [f"{n}.dm4" for n in range(6)] + ["text.dm4"]
    assert time.monotonic() - start < 200
