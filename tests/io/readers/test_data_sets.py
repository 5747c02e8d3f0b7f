"""Large stacks stay on disk, and their file stays free."""

import os
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

from dm_writer import DmImage, write_dm, write_dm_images
from napari_tem_fft.io.readers import gatan, micrographs
from napari_tem_fft.io.readers.data_sets import FramesOnDisk

STACK = np.arange(5 * 16 * 20).reshape(5, 16, 20)


@pytest.fixture(autouse=True)
def _small_limit(monkeypatch):
    for module in (gatan, micrographs):
        monkeypatch.setattr(module, "LAZY_BYTES", 1000)


def is_open(path: Path) -> bool:
    links = Path("/proc/self/fd").iterdir()
    maps = Path("/proc/self/maps").read_text()
    return any(os.path.realpath(link) == str(path) for link in links) or str(path) in maps


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("tags", [{}, {"Alpha [deg]": 1.0}])
@pytest.mark.parametrize("suffix", ["dm3", "dm4"])
def test_frames_are_read_when_asked_for(tmp_path, suffix, tags, order):
    path = write_dm(tmp_path / f"a.{suffix}", STACK.astype("uint16"), tags=tags, order=order)
    (stack,) = micrographs.read_images(path)
    assert isinstance(stack.frames, FramesOnDisk)
    assert (stack.shape, stack.frames.dtype, stack.frames.ndim, stack.frames.size) == (
        (5, 16, 20),
        "uint16",
        3,
        STACK.size,
    )
    np.testing.assert_array_equal(stack.frame(3).pixels, STACK[3])
    np.testing.assert_array_equal(stack.frames[1:3, 4, ::2], STACK[1:3, 4, ::2])
    np.testing.assert_array_equal(np.asarray(stack.frames), STACK)
    assert stack.file_hash == ""


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_the_file_is_not_kept_open(tmp_path):
    path = write_dm(tmp_path / "a.dm4", STACK.astype("int32"))
    (stack,) = micrographs.read_images(path)
    frame = stack.frame(3)
    assert not is_open(path)
    np.testing.assert_array_equal(frame.pixels, STACK[3])


def test_single_images_of_a_large_file_are_read_at_once(tmp_path):
    images = [DmImage(STACK.astype("int16")), DmImage(STACK[0].astype("int16"))]
    stack, image = micrographs.read_images(write_dm_images(tmp_path / "a.dm4", images))
    assert isinstance(stack.frames, FramesOnDisk)
    assert type(image.pixels) is np.ndarray
    np.testing.assert_array_equal(image.pixels, STACK[0])


def test_colour_images_never_stop_a_large_file(tmp_path):
    images = [DmImage(STACK.astype("int16")), DmImage(np.zeros((16, 20, 4), "uint8"))]
    (stack,) = micrographs.read_images(write_dm_images(tmp_path / "a.dm4", images))
    np.testing.assert_array_equal(stack.frame(4).pixels, STACK[4])


def test_frames_on_disk_cross_processes(tmp_path):
    path = write_dm(tmp_path / "a.dm4", STACK.astype("int16"))
    (stack,) = micrographs.read_images(path)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(stack)).frame(2).pixels, STACK[2])
