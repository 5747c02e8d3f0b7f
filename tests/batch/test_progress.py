import pytest

from napari_tem_fft.batch.progress import Tracker
from napari_tem_fft.batch.record import Record
from napari_tem_fft.core.progress import Step


def test_rate_and_time_left_are_told_of_what_was_done_of_late():
    now = [100.0]
    tracker = Tracker(lambda: now[0])
    tracker.note(Step("kept", 0, 100, Record(0, "kept", "kept")))
    assert tracker.note(Step("", 0, 100)).seconds_left is None
    for done in range(1, 41):
        now[0] += 2.0
        state = "failed" if done % 10 == 0 else "analysed"
        progress = tracker.note(Step("a", done, 100, Record(done, "a", "a", state)))
    assert (progress.done, progress.total, progress.failed) == (40, 100, 4)
    assert progress.rate == pytest.approx(30.0)
    assert progress.seconds_left == pytest.approx(120.0)
    now[0] += 60.0
    assert tracker.note(Step("", 40, 100)).rate == pytest.approx(15.0)
