"""One network for many processes: a process of its own answers them all, one after the other.

TensorFlow takes several times the memory of everything else that a worker needs. What goes through the
sockets are bare numbers of the one shape that the model has, or text; nothing of it is ever run.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import AuthenticationError, parent_process
from multiprocessing.connection import Client, Connection, Listener, wait
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .model import ModelError, load_config, load_predict, model_folder, segmenter_for
from .process import NetworkError
from .propose import Predict, Segmenter

#: First byte of an answer: an output, or why there is none.
OUTPUT, FAILURE = b"O", b"F"
#: How long a process that has died may take to be there again, seconds.
REACHED_WITHIN = 60.0
#: How often an input is sent before it is given up.
ATTEMPTS = 2


@dataclass(frozen=True, slots=True)
class Address:
    """Where a shared network answers.

    Attributes
    ----------
    place : str
        A socket's file, or a pipe's name on Windows.
    key : bytes
        Known to those who may ask.
    """

    place: str
    key: bytes


class SharedNetwork:
    """The process of a model; kept alive by whoever made it.

    Parameters
    ----------
    name_or_path : str
        Of the model.
    context
        Of `multiprocessing`, by which the process is started.

    Raises
    ------
    ModelError
        If there is no such model.
    """

    def __init__(self, name_or_path: str, context: Any) -> None:
        self._folder, self._context = model_folder(name_or_path), context
        self._own = tempfile.mkdtemp(prefix="tem-fft-")
        pipe = rf"\\.\pipe\{Path(self._own).name}"
        place = pipe if sys.platform == "win32" else os.path.join(self._own, "network")
        self.address = Address(place, secrets.token_bytes(32))
        self._process = self._started()

    @property
    def pid(self) -> int:
        """Number of the process."""
        return int(self._process.pid)

    def keep_alive(self) -> None:
        """Start the process again if it has died."""
        if not self._process.is_alive():
            self._process.close()
            self._process = self._started()

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()
        self._process.close()
        shutil.rmtree(self._own, ignore_errors=True)

    def _started(self) -> Any:
        with suppress(FileNotFoundError):
            os.unlink(self.address.place)
        process = self._context.Process(target=_serve, args=(self.address, self._folder), daemon=True)
        process.start()
        return process


def shared_segmenter(name_or_path: str, address: Address, false_alarms: float) -> Segmenter:
    """A model as `analysis_steps` takes it, running in the process at an address; imports no Keras."""
    config = load_config(model_folder(name_or_path))
    shape = config.inputs.shape
    asked = _Asker(address)

    def predict(inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        answer = asked(np.ascontiguousarray(inputs, "<f4").tobytes())
        if answer[:1] != OUTPUT or len(answer) != 1 + 4 * shape[0] * shape[1]:
            raise NetworkError(f"the network could not answer: {answer[1:].decode(errors='replace')}")
        return np.frombuffer(answer, "<f4", offset=1).reshape(shape)

    return segmenter_for(config, predict, false_alarms)


class _Asker:
    """A line to the process, made anew where it breaks."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._line: Connection | None = None

    def __call__(self, request: bytes) -> bytes:
        for _ in range(ATTEMPTS):
            try:
                self._line = self._line or _connected(self._address)
                self._line.send_bytes(request)
                return self._line.recv_bytes()
            except (EOFError, OSError):
                if self._line is not None:
                    self._line.close()
                self._line = None
        raise NetworkError(
            f"the network's process has died {ATTEMPTS} times; perhaps the memory was too small"
        )


def _connected(address: Address) -> Connection:
    end = time.monotonic() + REACHED_WITHIN
    while True:
        try:
            return Client(address.place, authkey=address.key)
        except (OSError, EOFError):
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def _serve(address: Address, folder: Path) -> None:
    """Body of the process: answers until whoever started it is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that started it decides
    threading.Thread(target=_end_with_parent, daemon=True).start()
    network = _Network(folder)
    with Listener(address.place, authkey=address.key) as listener:
        threading.Thread(target=network.load, daemon=True).start()
        while True:
            with suppress(AuthenticationError, EOFError, OSError):
                line = listener.accept()
                threading.Thread(target=network.answer, args=(line,), daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(0)


class _Network:
    """The model, loaded while the first images are read, and used by one thread at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._turn, self._loaded = folder, threading.Lock(), threading.Event()
        self._predict: Predict | None = None
        self._problem = ""
        self._shape: tuple[int, ...] = ()

    def load(self) -> None:
        """Load the model; what goes wrong is told to whoever asks."""
        sys.modules.setdefault("matplotlib", None)  # type: ignore[arg-type]  # Keras would load it to plot
        try:
            config, self._predict = load_predict(self._folder)
            self._shape = (*config.inputs.shape, len(config.inputs.channels))
        except (ModelError, OSError, MemoryError) as error:
            self._problem = str(error) or type(error).__name__
        self._loaded.set()

    def answer(self, line: Connection) -> None:
        """Answer whoever is at the other end, until it hangs up."""
        self._loaded.wait()
        with suppress(EOFError, OSError), line:
            while True:
                line.send_bytes(self._answer(line.recv_bytes(self._longest())))

    def _longest(self) -> int:
        return 4 * int(np.prod(self._shape, dtype=np.int64)) if self._shape else 1 << 30

    def _answer(self, request: bytes) -> bytes:
        try:
            if self._predict is None:
                return FAILURE + self._problem.encode()
            inputs = np.frombuffer(request, "<f4").reshape(self._shape)
            with self._turn:
                return OUTPUT + np.ascontiguousarray(self._predict(inputs), "<f4").tobytes()
        except Exception as error:  # whoever asked is told, and the next may ask
            return FAILURE + f"{type(error).__name__}: {error}".encode()
