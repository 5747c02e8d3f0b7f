"""The walk through a file's tags sees what is there and refuses what cannot be, before it costs anything."""

import time

import numpy as np
import pytest

from dm_writer import DmImage, Leaf, encode
from napari_tem_fft.io.plain import ReadError
from napari_tem_fft.io.readers.gatan import Values, outline
from napari_tem_fft.io.readers.micrographs import read_images

BILLIONS = 10**12


def written(tmp_path, tree, version=4, order="<"):
    path = tmp_path / "a.dm4"
    path.write_bytes(encode(tree, version, order))
    return path


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("version", [3, 4])
def test_every_kind_of_tag(tmp_path, version, order):
    tree = {
        "Group": {"Number": 7, "Deep": [{"Real": 0.5}, {}]},
        "Voltage [V]": np.float32(2.0),
        "Text": "abc",
        "Rectangle": (0, 0, 8, 9),
        "Pixels": np.arange(6, dtype="int16"),
        "Complex": np.zeros(3, "complex64"),
    }
    found = outline(written(tmp_path, tree, version, order))
    assert found.tags["Group"] == {"Number": 7, "Deep": {"TagGroup0": {"Real": 0.5}, "TagGroup1": {}}}
    assert found.tags["Voltage [V]"] == 2.0
    sizes = {name: (tag.n_bytes, tag.count) for name, tag in found.tags.items() if isinstance(tag, Values)}
    assert sizes == {"Text": (6, 3), "Rectangle": (16, 1), "Pixels": (12, 6), "Complex": (24, 3)}
    assert (found.has_bracket, found.order) == (True, order)


def test_values_lie_where_the_outline_says(tmp_path):
    path = written(tmp_path, {"Pixels": np.arange(6, dtype="int16")})
    offset = outline(path).tags["Pixels"].offset
    np.testing.assert_array_equal(np.fromfile(path, "<i2", 6, offset=offset), np.arange(6))


@pytest.mark.parametrize(
    ("leaf", "message"),
    [
        (Leaf((20, 3, BILLIONS)), "incomplete file"),
        (Leaf((20, 3, -1)), "impossible size"),
        (Leaf((20, 15, 0, 0, BILLIONS)), "impossible size"),
        (Leaf((20, 18, 0, BILLIONS)), "impossible size"),
        (Leaf((20, 15, 0, BILLIONS, 0, 3, 1)), "fields"),
        (Leaf((15, 0, BILLIONS, 0, 3)), "fields"),
        (Leaf((18, BILLIONS)), "incomplete file"),
        (Leaf((20, 99, 1)), "unknown kind"),
        (Leaf((20, 20, 3, 4, 1)), "unknown kind"),
        (Leaf((99,)), "unknown kind"),
        (Leaf(()), "damaged|incomplete"),
        (Leaf((20, 10, 2**24 + 1), bytes(2**24 + 1)), "too large"),
    ],
)
def test_impossible_tags_cost_nothing(tmp_path, leaf, message):
    image = DmImage(np.zeros((16, 16), "int16"), tags={"Odd": leaf}).tree()
    path = written(tmp_path, {"ImageList": [image]})
    start = time.perf_counter()
    with pytest.raises(ReadError, match=message):
        read_images(path)
    assert time.perf_counter() - start < 1.0


def test_a_million_millions_of_pixels_are_refused(tmp_path):
    image = DmImage(np.zeros((16, 16), "int16")).tree()
    image["ImageData"] |= {"Data": Leaf((20, 2, BILLIONS)), "Dimensions": [10**6, 10**6]}
    with pytest.raises(ReadError, match="incomplete file"):
        read_images(written(tmp_path, {"ImageList": [image]}))


def test_bottomless_nesting_is_refused(tmp_path):
    tree = {}
    for _ in range(200):
        tree = {"Group": tree}
    with pytest.raises(ReadError, match="nested too deeply"):
        outline(written(tmp_path, tree))


def test_negative_counts_are_refused(tmp_path):
    path = written(tmp_path, {"Group": {}})
    content = path.read_bytes()
    path.write_bytes(
        content.replace(
            b"Group" + bytes(7) + b"\x0a\x01\0" + bytes(8), b"Group" + bytes(7) + b"\x0a\x01\0" + b"\xff" * 8
        )
    )
    with pytest.raises(ReadError, match="negative length"):
        outline(path)
