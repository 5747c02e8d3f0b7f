"""A network's process without a network: ``python fake_server.py HOW``, for tests of who talks to it.

It answers with the mean of the channels. HOW is "good", "fails" (says that it cannot start), "dies" (before
it is ready), "dies once" FILE (at its first question, which the file remembers), "slow" (half a minute
for an answer), or "slow once" FILE (for the first one).
"""

import os
import sys
import time
from pathlib import Path

import numpy as np

from napari_tem_fft.nn.wire import ARRAY, FAILURE, READY, Message, own_pipes, receive, send


def main(how: str, memory: str = "") -> None:
    requests, answers = own_pipes()
    print("this must not get into the pipe", flush=True)
    if how == "dies":
        sys.exit("no driver for this card")
    if how == "fails":
        send(answers, Message(FAILURE, text="TensorFlow is not here"))
        return
    send(answers, Message(READY))
    while (request := receive(requests)) is not None:
        if how == "dies once" and not Path(memory).exists():
            Path(memory).touch()
            os._exit(7)
        if how == "slow" or (how == "slow once" and not Path(memory).exists()):
            Path(memory or os.devnull).touch()
            time.sleep(30)
        if request.array.shape[0] == 1:
            send(answers, Message(FAILURE, text="ValueError: another shape"))
        else:
            send(answers, Message(ARRAY, request.array.mean(axis=-1, dtype=np.float32)))


def command(how: str = "good", memory: object = "") -> tuple[str, ...]:
    """The command line that starts this."""
    return sys.executable, __file__, how, str(memory)


def lives(pid: int) -> bool:
    """Whether there is a process of this number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    main(*sys.argv[1:])
