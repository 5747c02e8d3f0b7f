import time

import pytest

from napari_tem_fft.core.progress import Step
from napari_tem_fft.widgets.session.runner import Runner


def work(steps=3, pause=0.0, error=None):
    for done in range(1, steps + 1):
        time.sleep(pause)
        if error is not None and done == steps:
            raise error
        yield Step(f"step {done}", done, steps)
    return "result"


@pytest.fixture
def runner(qtbot):
    runner = Runner()
    runner.seen = []
    runner.stepped.connect(lambda step: runner.seen.append(step.name))
    runner.returned.connect(lambda value: runner.seen.append(value))
    runner.failed.connect(lambda error: runner.seen.append(str(error)))
    return runner


def wait(qtbot, runner, call):
    with qtbot.waitSignal(runner.stopped, timeout=60_000):
        call()


def test_all_at_once(qtbot, runner):
    wait(qtbot, runner, lambda: runner.start(work()))
    assert runner.seen == ["step 1", "step 2", "step 3", "result"]
    assert not runner.running
    assert not runner.paused


def test_a_step_a_click(qtbot, runner):
    wait(qtbot, runner, lambda: runner.start(work(2), single=True))
    assert runner.seen == ["step 1"]
    assert runner.paused
    wait(qtbot, runner, runner.advance)
    wait(qtbot, runner, runner.advance)
    assert runner.seen == ["step 1", "step 2", "result"]
    runner.advance()
    assert not runner.running


def test_steps_then_the_rest(qtbot, runner):
    wait(qtbot, runner, lambda: runner.start(work(), single=True))
    wait(qtbot, runner, lambda: runner.advance(single=False))
    assert runner.seen[-1] == "result"


def test_errors_arrive(qtbot, runner):
    wait(qtbot, runner, lambda: runner.start(work(2, error=ValueError("no scale"))))
    assert runner.seen == ["step 1", "no scale"]
    assert not runner.paused


def test_cancelled_work_is_silent(qtbot, runner):
    runner.start(work(20, pause=0.02))
    qtbot.waitUntil(lambda: len(runner.seen) > 0)
    wait(qtbot, runner, runner.cancel)
    seen = list(runner.seen)
    qtbot.wait(150)
    assert runner.seen == seen


def test_another_start_ends_the_first(qtbot, runner):
    runner.start(work(50, pause=0.02))
    runner.start(work(1))
    qtbot.waitUntil(lambda: runner.seen == ["step 1", "result"])
    qtbot.wait(100)
    assert runner.seen == ["step 1", "result"]


def test_cancel_of_paused_work_closes_it(qtbot, runner):
    closed = []

    def generator():
        try:
            yield Step("one", 1, 2)
        finally:
            closed.append(True)

    wait(qtbot, runner, lambda: runner.start(generator(), single=True))
    runner.cancel()
    assert closed == [True]
