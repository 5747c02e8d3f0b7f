"""The network in a process of its own: ``python -m napari_tem_fft.nn.serve MODEL_FOLDER``.

It reads inputs from its standard input and writes outputs to its standard output, as `wire` says; it tells
when it is ready, after a first call. It ends when its input is closed or its parent is gone. Whatever
TensorFlow prints goes to the standard error, for the pipe is kept apart before it is loaded.
"""

from __future__ import annotations

import io
import os
import queue
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .model import ModelConfig, ModelError, load_predict, model_folder
from .propose import Predict
from .wire import ARRAY, FAILURE, READY, Message, WireError, own_pipes, receive, send

#: How often a process without work looks whether its parent lives, in seconds.
LOOK = 2.0


def main(argv: Sequence[str]) -> int:
    """Serve a model until nobody listens any longer; returns the exit code."""
    if len(argv) != 1:
        print("usage: python -m napari_tem_fft.nn.serve MODEL_FOLDER", file=sys.stderr)
        return 2
    requests, answers = own_pipes()
    inbox: queue.Queue[Message] = queue.Queue()
    threading.Thread(target=_listen, args=(requests, inbox), daemon=True).start()
    try:
        config, predict = load_predict(model_folder(Path(argv[0])))
        predict(np.zeros((*config.inputs.shape, len(config.inputs.channels)), np.float32))
    except (ModelError, OSError, MemoryError) as error:
        send(answers, Message(FAILURE, text=str(error) or type(error).__name__))
        return 1
    send(answers, Message(READY))
    _serve(config, predict, inbox, answers)
    return 0


def _listen(requests: io.FileIO, inbox: queue.Queue[Message]) -> None:
    """Pass requests on; end the process, whatever it does, when there can be no more."""
    try:
        while (message := receive(requests)) is not None:
            inbox.put(message)
    except OSError:
        pass
    os._exit(0)


def _serve(config: ModelConfig, predict: Predict, inbox: queue.Queue[Message], answers: io.FileIO) -> None:
    parent, shape = os.getppid(), (*config.inputs.shape, len(config.inputs.channels))
    while os.getppid() == parent:
        try:
            request = inbox.get(timeout=LOOK)
        except queue.Empty:
            continue
        try:
            if request.array is None or request.array.shape != shape:
                found = None if request.array is None else request.array.shape
                raise WireError(f"the network takes an input of shape {shape}, not {found}")
            answer = Message(ARRAY, predict(request.array))
        except Exception as error:  # whoever asked is told, and the next may ask
            answer = Message(FAILURE, text=f"{type(error).__name__}: {error}")
        send(answers, answer)


if __name__ == "__main__":
    code = 1
    try:
        code = main(sys.argv[1:])
    except BrokenPipeError:
        code = 0
    finally:
        sys.stderr.flush()
        os._exit(code)  # a thread that waits for input must not hold it up
