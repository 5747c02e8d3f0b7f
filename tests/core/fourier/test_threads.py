import os
from threading import Barrier, Thread

import pytest
import scipy.linalg  # noqa: F401  loads its own BLAS beside that of numpy
from threadpoolctl import threadpool_info, threadpool_limits

from napari_tem_fft.core.fourier import threads as module
from napari_tem_fft.core.fourier.threads import (
    _threads,
    in_one_blas_thread,
    one_blas_thread,
    processors,
    threads,
)


@pytest.fixture(autouse=True)
def machine(monkeypatch, tmp_path):
    """A machine of four processors on which no control group says anything; its folder of control groups."""
    _threads.cache_clear()
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(4)), raising=False)
    monkeypatch.setattr(module, "CGROUPS", tmp_path)
    monkeypatch.setattr(module, "OWN_CGROUP", tmp_path / "own")
    (tmp_path / "own").write_text("0::/\n")
    yield tmp_path
    _threads.cache_clear()


@pytest.mark.parametrize(("allowed", "expected"), [("2", 2), ("0", 1), ("64", 4), ("", 4), ("two", 4)])
def test_threads_are_as_many_as_is_allowed_and_as_there_are(monkeypatch, allowed, expected):
    monkeypatch.setenv("OMP_NUM_THREADS", allowed)
    assert threads() == expected


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("1000 100000", 1),
        ("800000 100000", 4),
        ("max 100000", 4),
        ("", 4),
        ("1 0", 4),
    ],
)
def test_a_quota_of_the_control_group_counts(machine, limit, expected):
    (machine / "cpu.max").write_text(limit)
    assert processors() == expected


def test_the_tightest_of_the_groups_around_a_job_counts(machine):
    (machine / "own").write_text("4:memory:/elsewhere\n0::/slurm/job_7\n")
    (machine / "slurm" / "job_7").mkdir(parents=True)
    (machine / "slurm" / "job_7" / "cpu.max").write_text("max 100000")
    (machine / "slurm" / "cpu.max").write_text("300000 100000")
    assert processors() == 3
    (machine / "slurm" / "job_7" / "cpu.max").write_text("100000 100000")
    assert processors() == 1


def test_a_group_that_a_container_does_not_see_leaves_its_own(machine):
    (machine / "own").write_text("0::/../../elsewhere\n")
    (machine / "cpu.max").write_text("100000 100000")
    assert processors() == 1


def test_a_job_that_is_bound_to_some_processors_has_those(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3})
    assert processors() == 1


def test_other_systems_count_their_processors(monkeypatch, machine):
    monkeypatch.delattr(os, "sched_getaffinity")
    (machine / "own").unlink()
    for there, expected in ((8, 8), (None, 1)):
        monkeypatch.setattr(os, "cpu_count", lambda there=there: there)
        assert processors() == expected


def _blas_threads():
    return {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"}


@pytest.fixture
def two_blas_threads():
    with threadpool_limits(2, "blas"):
        yield


def test_matrix_products_have_one_thread_until_the_last_of_two_at_work_is_done(two_blas_threads):
    inside, left = Barrier(2), []

    def second():
        with one_blas_thread():
            inside.wait(10)
            inside.wait(10)
            left.append(_blas_threads())

    with one_blas_thread():
        thread = Thread(target=second)
        thread.start()
        inside.wait(10)
    assert _blas_threads() == {1}
    inside.wait(10)
    thread.join(10)
    assert left == [{1}]
    assert _blas_threads() == {2}


def test_between_the_steps_of_work_matrix_products_have_their_threads(two_blas_threads):
    closed = []

    @in_one_blas_thread
    def work(first):
        try:
            yield first, _blas_threads()
            yield first + 1, _blas_threads()
        finally:
            closed.append(True)
        return "done"

    steps = work(1)
    assert next(steps) == (1, {1})
    assert _blas_threads() == {2}
    assert next(steps) == (2, {1})
    with pytest.raises(StopIteration, match="done"):
        next(steps)
    given_up = work(1)
    next(given_up)
    given_up.close()
    assert closed == [True, True]
    assert _blas_threads() == {2}
