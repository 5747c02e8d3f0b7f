"""Messages: there and back, and what is none."""

import io

import numpy as np
import pytest

from napari_tem_fft.nn.wire import ARRAY, FAILURE, HEADER, READY, Message, WireError, receive, send


@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 2)])
def test_arrays_come_back(shape: tuple[int, ...]) -> None:
    stream, array = io.BytesIO(), np.random.default_rng(0).normal(size=shape).astype(np.float32)
    send(stream, Message(ARRAY, array.T))
    send(stream, Message(FAILURE, text="kein Größenmaß"))
    send(stream, Message(READY))
    stream.seek(0)
    assert np.array_equal(receive(stream).array, array.T)
    assert receive(stream).text == "kein Größenmaß"
    assert receive(stream).kind == READY
    assert receive(stream) is None


@pytest.mark.parametrize(
    "content",
    [
        HEADER.pack(ARRAY, 1 << 20, 1 << 20, 5),
        HEADER.pack(ARRAY, 2, 2, 2) + bytes(20),
        HEADER.pack(FAILURE, 1 << 30, 0, 0),
        b"2026-11-25 WARNING: something printed",
    ],
)
def test_what_is_no_message_is_refused(content: bytes) -> None:
    with pytest.raises(WireError):
        receive(io.BytesIO(content))
