"""NetworkProcess: the network in a process of its own, as seen from a window; imports no Keras.

TensorFlow beside OpenGL in one process crashes, and a process gives its memory back when it ends.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from .model import load_config, segmenter_for
from .propose import Segmenter
from .wire import ARRAY, FAILURE, READY, Message, WireError, receive, send

State = Literal["starting", "ready", "busy", "failed", "ended"]
#: Told from any thread of what happens: "ready", "failed", "ended" or "restarted", with what there is to say.
Tell = Callable[[str, str], None]
#: Longest that it may take to load TensorFlow, in seconds.
LONGEST_START = 600.0
#: Characters of what a process that died has printed that are told.
LAST_WORDS = 300


class NetworkError(ChildProcessError):
    """The network's process could not answer; the message says why."""


class NetworkCancelled(NetworkError):
    """Somebody has called off what was asked."""


class _Died(Exception):
    """The process ended before it had answered."""


class NetworkProcess:
    """A model that runs in a process of its own, started without waiting for it.

    Parameters
    ----------
    folder : Path
        The model's.
    tell : callable, optional
    command : sequence of str, optional
        What runs; the server of this package where absent.

    Raises
    ------
    ModelError
        If the folder's configuration is none.
    """

    def __init__(self, folder: Path, tell: Tell | None = None, command: Sequence[str] | None = None) -> None:
        self.folder = folder
        self.config = load_config(folder)
        self._tell = tell or (lambda event, text: None)
        self._command = tuple(command or server_command(folder))
        self._turn = threading.Lock()
        self._guard = threading.Lock()
        self._calls_off = 0
        self._child: _Child | None = None
        self._finalizer: weakref.finalize[..., NetworkProcess] | None = None

    @property
    def state(self) -> State:
        """What the process is at; "ended" also if it was never started."""
        return self._child.state if self._child is not None else "ended"

    @property
    def pid(self) -> int | None:
        """Number of the process, if there is one."""
        alive = self._child is not None and self.state not in ("failed", "ended")
        return self._child.process.pid if self._child is not None and alive else None

    def start(self) -> None:
        """Start the process if it does not run; returns at once."""
        self._running()

    def predict(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """The network's output; waits for it, so call it from a thread that may wait.

        A process that died is started again, once.

        Raises
        ------
        NetworkCancelled
            If `cancel` or `close` was called meanwhile.
        NetworkError
            If the network cannot be loaded, or its process has died twice.
        """
        number = self._calls_off
        with self._turn:
            try:
                return self._running().ask(inputs, lambda: self._calls_off == number)
            except _Died as death:
                self._tell("restarted", f"{death}; it is started again")
            try:
                return self._running().ask(inputs, lambda: self._calls_off == number)
            except _Died as death:
                raise NetworkError(f"{death} (for the second time)") from death

    def segmenter(self, false_alarms: float) -> Segmenter:
        """The model as `analysis_steps` takes it."""
        return segmenter_for(self.config, self.predict, false_alarms)

    def cancel(self) -> None:
        """Call off what was asked; a process that is at work on it is ended, and another one started."""
        self._calls_off += 1
        child = self._child
        if child is not None and child.state == "busy":
            child.end()
            self.start()
        elif child is not None:
            child.wake()

    def close(self) -> None:
        """End the process; `start` and `predict` would start another one."""
        self._calls_off += 1
        with self._guard:
            if self._finalizer is not None:
                self._finalizer()
            self._child = None

    def _running(self) -> _Child:
        with self._guard:
            if self._child is None or self._child.state in ("failed", "ended"):
                if self._finalizer is not None:
                    self._finalizer.detach()
                self._child = _Child(self._command, self._tell)
                self._finalizer = weakref.finalize(self, self._child.end)
            return self._child


class _Child:
    """One process, and the thread that listens to it."""

    def __init__(self, command: Sequence[str], tell: Tell) -> None:
        self.state: State = "starting"
        self._tell = tell
        self._wanted_dead = False
        self._changed = threading.Condition()
        self._answer: Message | None = None
        self._said = ""
        self._printed = tempfile.TemporaryFile()  # noqa: SIM115
        self.process = subprocess.Popen(
            command,
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._printed,
            env=os.environ | {"TF_FORCE_GPU_ALLOW_GROWTH": "true"},
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        self._listener = threading.Thread(target=self._listen, daemon=True, name="network")
        self._listener.start()

    def ask(self, inputs: NDArray[np.float32], wanted: Callable[[], bool]) -> NDArray[np.float32]:
        """The output for an input, once the process is ready."""
        self._wait("starting", wanted, LONGEST_START, then="busy")
        try:
            send(self.process.stdin, Message(ARRAY, inputs))  # type: ignore[arg-type]
        except (OSError, ValueError):
            self.process.kill()
        self._wait("busy", wanted, None)
        answer, self._answer = self._answer, None
        if answer is None or answer.array is None:
            raise NetworkError(f"the network could not answer: {answer.text if answer else 'nothing came'}")
        return answer.array

    def _wait(
        self, state: State, wanted: Callable[[], bool], limit: float | None, then: State = "ready"
    ) -> None:
        """Wait until the process is in another state than this one; if it is ready, it is `then` the next."""
        with self._changed:
            on_time = self._changed.wait_for(lambda: self.state != state or not wanted(), limit)
            called_off, found = not wanted(), self.state
            if found == "ready" and not called_off:
                self.state = then
        if called_off:
            raise NetworkCancelled("the network was called off")
        if not on_time:
            raise NetworkError(f"the network was not ready within {limit:.0f} s")
        if found == "failed":
            raise NetworkError(self._said)
        if found == "ended":
            raise _Died(self._said)

    def wake(self) -> None:
        """Let those who wait see whether they are still wanted."""
        with self._changed:
            self._changed.notify_all()

    def end(self) -> None:
        """End the process now."""
        self._wanted_dead = True
        self.process.kill()
        if threading.current_thread() is not self._listener:
            self._listener.join()

    def _listen(self) -> None:
        try:
            while (message := receive(self.process.stdout)) is not None:  # type: ignore[arg-type]
                self._take(message)
        except (WireError, OSError, ValueError):
            self.process.kill()
        try:
            code = self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        failed = self.state == "failed"
        self._set("failed" if failed else "ended", self._said if failed else self._epitaph(code))
        for file in (self.process.stdin, self.process.stdout, self._printed):
            if file is not None:
                file.close()

    def _take(self, message: Message) -> None:
        if message.kind == READY:
            self._set("ready", "")
        elif message.kind == FAILURE and self.state == "starting":
            self._set("failed", message.text)
        else:
            with self._changed:
                self._answer, self.state = message, "ready"
                self._changed.notify_all()

    def _set(self, state: State, said: str) -> None:
        with self._changed:
            news = state != self.state
            self.state, self._said = state, said
            self._changed.notify_all()
        if news and not self._wanted_dead:
            self._tell(state, said)

    def _epitaph(self, code: int) -> str:
        """How the process ended, with the last that it has printed."""
        how = f"ended with code {code}"
        if code < 0:
            how = f"was ended by {signal.Signals(-code).name}"
            how += " (from outside, or for want of memory)" if code == -signal.SIGKILL else ""
        self._printed.seek(0)
        words = self._printed.read()[-LAST_WORDS:].decode(errors="replace").strip()
        said = f": {words}" if words and code > 0 else ""
        return f"the network's process {how}{said}"


def server_command(folder: Path) -> tuple[str, ...]:
    """What serves a model; modules in the folder where napari was started do not shadow any of its own."""
    return sys.executable, "-P", "-m", "napari_tem_fft.nn.serve", str(folder)
