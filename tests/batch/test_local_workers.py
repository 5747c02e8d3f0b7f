import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tifffile

from napari_tem_fft.batch.backends import LocalWorkers
from napari_tem_fft.batch.engine import engine_of
from napari_tem_fft.batch.job import Job
from napari_tem_fft.batch.record import Record
from napari_tem_fft.batch.sources import find_sources
from small_run import run, summary


@pytest.fixture(autouse=True)
def _index_in_a_folder_of_its_own(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


def records_of(workers: LocalWorkers, count: int) -> list[Record]:
    done: list[Record] = []
    end = time.monotonic() + 200
    while len(done) < count and time.monotonic() < end:
        done += workers.poll(0.2)
    return done


def untimed(output) -> list[dict[str, str]]:
    return [{k: v for k, v in row.items() if k != "seconds"} for row in summary(output)]


def test_two_processes_give_what_one_gives(images, finished, tmp_path):
    outcome = run(images, tmp_path, lambda job: LocalWorkers(job, 2))
    assert (outcome.state, outcome.analysed, outcome.failed) == ("done", 3, 2)
    assert untimed(tmp_path) == untimed(finished)
    for name in ("specimen.tif", "grains.tif"):
        ours, theirs = (tifffile.imread(folder / "d.dm3" / name) for folder in (tmp_path, finished))
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_a_worker_that_is_killed_costs_its_file_one_retry_and_nothing_else(images, tmp_path):
    source = find_sources([images / "d.dm3"], tmp_path).sources[0]
    (tmp_path / ".d.dm3.left").mkdir()
    workers = LocalWorkers(Job(str(tmp_path)), 1)
    workers.submit(source)
    os.kill(workers.pids[0], signal.SIGKILL)
    (record,) = records_of(workers, 1)
    assert (record.state, record.attempts) == ("analysed", 2)
    assert not (tmp_path / ".d.dm3.left").exists()

    workers.submit(source)
    first = workers.pids[0]
    os.kill(first, signal.SIGKILL)
    while not (found := workers.poll(0.1)) and workers.pids[0] == first:
        pass
    os.kill(workers.pids[0], signal.SIGKILL)
    (record,) = found or records_of(workers, 1)
    workers.close()
    assert (record.state, record.attempts) == ("failed", 2)
    assert "SIGKILL" in record.reason


def test_work_that_is_broken_off_ends_at_once(images, tmp_path):
    workers = LocalWorkers(Job(str(tmp_path)), 1)
    workers.submit(find_sources([images / "d.dm3"], tmp_path).sources[0])
    start = time.monotonic()
    workers.close()
    assert time.monotonic() - start < 5
    assert workers.busy() == 0


def test_threads_of_one_process_load_the_engine_once(tmp_path, monkeypatch):
    """As those of a dask worker do that was started with several threads."""
    loads = []

    def slow(params):
        loads.append(params.network)
        time.sleep(0.05)

    monkeypatch.setattr("napari_tem_fft.api.segment_of", slow)
    job = Job(str(tmp_path / "threads"))
    with ThreadPoolExecutor(4) as pool:
        engines = set(pool.map(engine_of, [job] * 4))
    assert len(engines) == len(loads) == 1


def test_a_worker_that_gives_no_sign_of_life_is_ended_and_its_file_reported(images, tmp_path):
    source = find_sources([images / "d.dm3"], tmp_path).sources[0]
    workers = LocalWorkers(Job(str(tmp_path)), 1, silent_after=0.01)
    workers.submit(source)
    (record,) = records_of(workers, 1)
    assert (record.state, record.attempts) == ("failed", 1)
    assert "not finished after 0.01 s" in record.reason
    assert workers.busy() == 0 and workers.free() == 1
    workers.close()
