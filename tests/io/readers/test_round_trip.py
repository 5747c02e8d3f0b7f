"""Whatever is written into a Gatan file is what is read from it (property-based), damaged files included."""

import runpy
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from dm_writer import DmImage, write_dm_images
from napari_tem_fft.core.image.units import LENGTHS_NM
from napari_tem_fft.io.readers.micrographs import read_images

DTYPES = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "float32", "float64", "bool"]
SCALES = st.floats(2**-12, 2**12, width=32)
#: Text that a file can hold in one of its 16 bit characters each.
NAMES = st.text(st.characters(max_codepoint=0xD7FF, exclude_categories=("Cc", "Zs", "Zl", "Zp")), max_size=12)


@st.composite
def images(draw):
    """An image or a stack with its scale, unit and origin along y and x."""
    shape = draw(arrays.array_shapes(min_dims=2, max_dims=3, min_side=2, max_side=20))
    pixels = draw(arrays.arrays(draw(st.sampled_from(DTYPES)), shape))
    assume(not (pixels.dtype == np.uint8 and len(shape) == 3 and shape[-1] == 4))  # the writer's colour image
    before = (1.0,) * (len(shape) - 2)
    units = draw(st.tuples(*[st.sampled_from(sorted(LENGTHS_NM))] * 2))
    return DmImage(
        pixels,
        scale=(*before, *draw(st.tuples(SCALES, SCALES))),
        units=(*("",) * len(before), *units),
        origin=(*before, *draw(st.tuples(SCALES, SCALES))),
        name=draw(NAMES),
        microscope={"Voltage": draw(st.floats(1e3, 3e6))},
    )


@given(
    written=st.lists(images(), min_size=1, max_size=3),
    version=st.sampled_from([3, 4]),
    order=st.sampled_from("<>"),
    thumbnail=st.booleans(),
)
@settings(max_examples=150)
def test_what_is_written_is_read(written, version, order, thumbnail):
    with tempfile.TemporaryDirectory() as folder:
        path = write_dm_images(
            Path(folder) / "a.dm4", written, version=version, order=order, thumbnail=thumbnail
        )
        found = read_images(path)
    assert len(found) == len(written)
    for one, image in zip(found, written, strict=True):
        pixels = getattr(one, "frames", None) if image.pixels.ndim == 3 else one.pixels
        assert pixels.dtype == image.pixels.dtype
        np.testing.assert_array_equal(pixels, image.pixels)
        factors = [LENGTHS_NM[unit] for unit in image.units[-2:]]
        expected = [float(np.float32(s)) * f for s, f in zip(image.scale[-2:], factors, strict=True)]
        assert one.metadata["voltage_kV"] == image.microscope["Voltage"] / 1e3
        if all(1e-4 < size < 1e6 for size in expected):
            assert one.calibration.pixel_size == pytest.approx(expected, rel=1e-12)
            assert one.warnings == ()
        else:  # smaller than a thousandth of an atom, or larger than a millimetre
            assert one.calibration.space == "none"


@pytest.mark.parametrize("kind", ["dm", "mrc", "tiff", "emd", "ser", "dm5", "png"])
def test_nothing_but_read_errors_comes_out_of_damaged_files(tmp_path, kind):
    pytest.importorskip("resource", reason="limits of time and memory need Unix")
    fuzz = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "fuzz_reader.py"))
    written, suffix, header = fuzz["SEEDS"][kind]
    figures = fuzz["run"](written(tmp_path), 800 if kind == "dm" else 150, 7, tmp_path, suffix, header)
    assert figures.faults == []
    assert figures.outcomes["opened"] > 10
