import os

import pytest

from napari_tem_fft.core.threads import _threads, threads


@pytest.fixture(autouse=True)
def _counted_anew():
    _threads.cache_clear()
    yield
    _threads.cache_clear()


@pytest.mark.parametrize(
    ("allowed", "processors", "expected"),
    [("2", 4, 2), ("0", 4, 1), ("64", 4, 4), ("", 4, 4), ("two", 4, 4), ("", None, 1)],
)
def test_threads_are_as_many_as_is_allowed_and_as_there_are(monkeypatch, allowed, processors, expected):
    monkeypatch.setattr(os, "cpu_count", lambda: processors)
    monkeypatch.setenv("OMP_NUM_THREADS", allowed)
    assert threads() == expected
