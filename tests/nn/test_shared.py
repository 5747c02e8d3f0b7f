"""One network for several processes: real processes, with a tiny model."""

import multiprocessing
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from napari_tem_fft.nn import shared
from napari_tem_fft.nn.model import ModelError, load_predict
from napari_tem_fft.nn.process import NetworkError
from napari_tem_fft.nn.shared import Address, SharedNetwork, shared_segmenter
from small_network import small_model, some_inputs


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "small"
    small_model(folder)
    return folder


@pytest.fixture
def network(folder):
    network = SharedNetwork(str(folder), multiprocessing.get_context("spawn"))
    yield network
    network.close()
    assert not Path(network.address.place).exists()


def test_several_get_what_the_network_gives_and_a_process_that_dies_is_replaced(folder, network):
    _, predict = load_predict(folder)
    several = [shared_segmenter(str(folder), network.address, 0.01) for _ in range(2)]
    for seed, one in enumerate(several):
        np.testing.assert_allclose(one.predict(some_inputs(seed)), predict(some_inputs(seed)), atol=1e-6)
    first = network.pid
    os.kill(first, signal.SIGINT)  # Ctrl-C in a terminal reaches all processes: it is not for this one
    np.testing.assert_allclose(several[0].predict(some_inputs(2)), predict(some_inputs(2)), atol=1e-6)
    assert network.pid == first
    os.kill(first, signal.SIGKILL)
    while network.pid == first:
        time.sleep(0.05)
        network.keep_alive()
    np.testing.assert_allclose(several[0].predict(some_inputs(3)), predict(some_inputs(3)), atol=1e-6)
    with pytest.raises(NetworkError, match="could not answer: ValueError"):
        several[1].predict(np.zeros((3, 4), np.float32))


def test_a_network_that_cannot_be_reached_or_loaded_is_told(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(shared, "REACHED_WITHIN", 0.1)
    nowhere = shared_segmenter(str(folder), Address(str(tmp_path / "nothing"), b"key"), 0.01)
    with pytest.raises(NetworkError, match="died 2 times"):
        nowhere.predict(some_inputs())
    with pytest.raises(ModelError, match="no model"):
        SharedNetwork("gone", multiprocessing)
