"""What goes through the pipes between a window and the network's process: short headers, bare numbers.

A message is a header (kind, and three sizes or a length), followed by float32 values in C order, by UTF-8
text, or by nothing. Nothing of it is ever run, and what claims to be too long is refused.
"""

from __future__ import annotations

import io
import math
import os
import struct
import sys
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

READY, ARRAY, FAILURE = b"REDY", b"ARRY", b"FAIL"
HEADER = struct.Struct("<4s3I")
#: Longest text in bytes, and most values of an array.
LONGEST_TEXT, MOST_VALUES = 1 << 16, 1 << 28


class WireError(OSError):
    """What came through the pipe is no message."""


class Stream(Protocol):
    """An unbuffered binary file: it may take or give less than it is asked for."""

    def readinto(self, buffer: Any, /) -> int | None: ...  # noqa: D102
    def write(self, buffer: Any, /) -> int | None: ...  # noqa: D102


@dataclass(frozen=True, slots=True, eq=False)
class Message:
    """One message.

    Attributes
    ----------
    kind : {READY, ARRAY, FAILURE}
    array : ndarray of float32, of two or three axes, optional
    text : str
    """

    kind: bytes
    array: NDArray[np.float32] | None = None
    text: str = ""


def send(stream: Stream, message: Message) -> None:
    """Write a message.

    Raises
    ------
    OSError
        If the other end is closed.
    """
    if message.array is not None:
        values = np.ascontiguousarray(message.array, "<f4")
        sizes, content = (*values.shape, 0)[:3], values.data.cast("B")
    else:
        text = message.text.encode()[:LONGEST_TEXT]
        sizes, content = (len(text), 0, 0), memoryview(text)
    _write(stream, memoryview(HEADER.pack(message.kind, *sizes)))
    _write(stream, content)


def receive(stream: Stream) -> Message | None:
    """Read a message; None where the stream has ended.

    Raises
    ------
    WireError
        If it is no message, or breaks off.
    """
    head = bytearray(HEADER.size)
    if not _read(stream, head):
        return None
    kind, *sizes = HEADER.unpack(head)
    if kind == ARRAY:
        shape = tuple(sizes if sizes[2] else sizes[:2])
        if math.prod(shape) > MOST_VALUES:
            raise WireError(f"an array of {shape}")
        array = np.empty(shape, "<f4")
        return Message(kind, array) if _read(stream, array.data.cast("B")) else _broken()
    if kind not in (READY, FAILURE) or sizes[0] > LONGEST_TEXT:
        raise WireError(f"{kind!r} is no message")
    text = bytearray(sizes[0])
    return Message(kind, None, text.decode(errors="replace")) if _read(stream, text) else _broken()


def _broken() -> Message:
    raise WireError("a message breaks off")


def _write(stream: Stream, content: memoryview) -> None:
    while len(content):
        content = content[stream.write(content) or 0 :]


def _read(stream: Stream, buffer: bytearray | memoryview) -> bool:
    """Fill a buffer; whether there was enough to do so."""
    rest = memoryview(buffer)
    while len(rest):
        count = stream.readinto(rest)
        if not count:
            return False
        rest = rest[count:]
    return True


def own_pipes() -> tuple[io.FileIO, io.FileIO]:
    """The process's input and output for itself alone; what it and its children print goes to the errors."""
    requests, answers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return io.FileIO(requests, "r"), io.FileIO(answers, "w")
