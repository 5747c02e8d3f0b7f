"""A stack hands out its frames as micrographs of the same calibration."""

import numpy as np
import pytest

from napari_tem_fft.core.image.calibration import Calibration
from napari_tem_fft.core.image.stack import ImageStack

FRAMES = np.arange(3 * 16 * 20).reshape(3, 16, 20)


def test_frame_carries_everything_of_the_stack():
    stack = ImageStack(FRAMES, Calibration.real((0.03, 0.02)), "series", "a.dm4", "hash", {"date": "today"})
    frame = stack.frame(1)
    np.testing.assert_array_equal(frame.pixels, FRAMES[1])
    assert frame.pixel_size == (0.03, 0.02)
    assert (frame.source, frame.file_hash) == ("a.dm4", "hash")
    assert frame.metadata == {"date": "today", "frame": 1}
    assert (len(stack), stack.shape) == (3, (3, 16, 20))


@pytest.mark.parametrize("index", [-1, 3])
def test_no_such_frame(index):
    with pytest.raises(ValueError, match="choose one of 0 to 2"):
        ImageStack(FRAMES).frame(index)


@pytest.mark.parametrize("frames", [FRAMES[0], FRAMES.astype("complex64"), FRAMES[:0]])
def test_what_is_no_stack(frames):
    with pytest.raises(ValueError, match="a stack is"):
        ImageStack(frames)
