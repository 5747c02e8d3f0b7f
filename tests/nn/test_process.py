"""The network's process seen from its user: with a process that has no network, and with a real one."""

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import fake_server
from napari_tem_fft.nn.model import load_predict
from napari_tem_fft.nn.process import NetworkCancelled, NetworkError, NetworkProcess
from small_network import small_model, some_inputs


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "small"
    small_model(folder)
    return folder


@pytest.fixture
def told() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def made(folder: Path, told: list[tuple[str, str]]) -> Iterator[Callable[..., NetworkProcess]]:
    """Make processes with a fake server, and see that they leave nothing behind."""
    all_made: list[NetworkProcess] = []

    def make(how: str = "good", memory: object = "") -> NetworkProcess:
        command = fake_server.command(how, memory)
        all_made.append(NetworkProcess(folder, lambda *what: told.append(what), command))
        return all_made[-1]

    yield make
    for process in all_made:
        process.close()


def until(true: Callable[[], bool], limit: float = 20.0) -> None:
    end = time.monotonic() + limit
    while not true():
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.01)


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


INPUTS = some_inputs()


def test_it_starts_without_waiting_and_answers(made, told) -> None:
    network = made()
    assert network.state == "ended" and network.pid is None
    start = time.monotonic()
    network.start()
    assert time.monotonic() - start < 1 and network.state == "starting"
    assert np.allclose(network.predict(INPUTS), INPUTS.mean(axis=-1), atol=1e-6)
    assert network.state == "ready" and told == [("ready", "")]


def test_what_cannot_be_answered_is_said_and_the_next_is_answered(made) -> None:
    network = made()
    with pytest.raises(NetworkError, match="another shape"):
        network.predict(INPUTS[:1])
    pid = network.pid
    network.predict(INPUTS)
    assert network.pid == pid


def test_one_that_is_killed_between_questions_is_started_again(made) -> None:
    network = made()
    network.predict(INPUTS)
    os.kill(network.pid, signal.SIGKILL)
    until(lambda: network.state == "ended")
    network.predict(INPUTS)


def test_one_that_dies_over_a_question_is_started_again_once(made, told, tmp_path: Path) -> None:
    assert made("dies once", tmp_path / "died").predict(INPUTS).shape == INPUTS.shape[:2]
    restarted = [text for event, text in told if event == "restarted"]
    assert len(restarted) == 1 and "ended with code 7" in restarted[0]


def test_one_that_cannot_live_says_why(made) -> None:
    with pytest.raises(NetworkError, match=r"(?s)code 1: .*no driver for this card \(for the second time\)"):
        made("dies").predict(INPUTS)


def test_one_that_cannot_load_says_why_and_is_not_tried_again(made, told) -> None:
    with pytest.raises(NetworkError, match="TensorFlow is not here"):
        made("fails").predict(INPUTS)
    assert [event for event, _ in told] == ["failed"]


def in_thread(call: Callable[[], object]) -> tuple[threading.Thread, list[Exception]]:
    errors: list[Exception] = []

    def run() -> None:
        try:
            call()
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, errors


def test_cancel_ends_the_work_and_leaves_a_fresh_process(made) -> None:
    network = made("slow")
    thread, errors = in_thread(lambda: network.predict(INPUTS))
    until(lambda: network.state == "busy")
    pid = network.pid
    network.cancel()
    thread.join(5)
    assert isinstance(errors[0], NetworkCancelled) and not lives(pid)
    until(lambda: network.state == "ready")
    assert network.pid != pid


def test_cancel_before_it_is_ready_keeps_the_process(folder: Path) -> None:
    sleeper = (sys.executable, "-c", "import time; time.sleep(60)")
    network = NetworkProcess(folder, None, sleeper)
    thread, errors = in_thread(lambda: network.predict(INPUTS))
    until(lambda: network.pid is not None)
    pid = network.pid
    network.cancel()
    thread.join(5)
    assert isinstance(errors[0], NetworkCancelled) and network.pid == pid
    network.close()
    assert not lives(pid)


def test_nothing_is_left_behind(made, folder: Path) -> None:
    network = NetworkProcess(folder, None, fake_server.command())
    network.predict(INPUTS)
    pid = network.pid
    del network
    gc.collect()
    until(lambda: not lives(pid), 5)


def test_it_ends_with_a_parent_that_is_killed(folder: Path) -> None:
    code = f"""
import time, fake_server, numpy as np
from pathlib import Path
from napari_tem_fft.nn.process import NetworkProcess
network = NetworkProcess(Path({str(folder)!r}), None, fake_server.command())
network.predict(np.zeros((64, 40, 5), "f4"))
print(network.pid, flush=True)
time.sleep(60)
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment) as parent:
        pid = int(parent.stdout.readline())
        assert lives(pid)
        parent.kill()
    until(lambda: not lives(pid), 10)


def test_the_real_one_answers_as_in_this_process(folder: Path, told) -> None:
    network = NetworkProcess(folder, lambda *what: told.append(what))
    _, predict = load_predict(folder)
    assert np.allclose(network.predict(INPUTS), predict(INPUTS), atol=1e-6)
    with pytest.raises(NetworkError, match="takes an input of shape"):
        network.predict(INPUTS[:8])
    assert np.allclose(network.predict(INPUTS), predict(INPUTS), atol=1e-6)
    pid = network.pid
    network.close()
    assert not lives(pid) and told == [("ready", "")]


def test_the_real_one_says_what_is_wrong_with_a_model(folder: Path, tmp_path: Path) -> None:
    for name in ("config.json", "weights.keras"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    with (tmp_path / "weights.keras").open("ab") as file:
        file.write(b"0")
    network = NetworkProcess(tmp_path)
    with pytest.raises(NetworkError, match="another SHA-256"):
        network.predict(INPUTS)
    network.close()
