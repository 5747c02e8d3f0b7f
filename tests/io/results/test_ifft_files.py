from dataclasses import replace

import numpy as np
import pytest
import tifffile

from forward_model import frequency
from napari_tem_fft.core.pipeline import Analysis
from napari_tem_fft.io.results.folder import save_results
from small_analysis import small_analysis


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    """Of fringes at 30 degrees with an amplitude of 3; the first spot lies on them."""
    small = small_analysis()
    first = replace(small.spots[0], g=frequency(0.25, 30.0), radius=0.4)
    return replace(small, spots=(first, *small.spots[1:]))


def test_each_inverse_is_in_grey_levels_over_the_whole_field(analysis, tmp_path):
    folder = save_results(analysis, tmp_path / "out", "tables", ("mask", "components", "spots"))
    written = {path.name for path in folder.glob("ifft*")}
    assert written == {
        "ifft.tif", "ifft_LiF+mine.tif", "ifft_unknown_crystal.tif", "ifft_spot_0.tif", "ifft_spot_1.tif",
    }  # fmt: skip
    with tifffile.TiffFile(folder / "ifft_spot_0.tif") as file:
        image, pixels = file.asarray(), file.pages[0].tags["XResolution"].value
        assert file.imagej_metadata["unit"] == "nm"
    assert image.shape[1] * pixels[1] / pixels[0] == pytest.approx(256 * 0.03, rel=1e-3)
    middle = image[image.shape[0] // 4 : -image.shape[0] // 4, image.shape[1] // 4 : -image.shape[1] // 4]
    assert np.sqrt(2) * middle.std() == pytest.approx(3.0, rel=0.1) and image.mean() == pytest.approx(
        0, abs=0.01
    )
    both = sum(tifffile.imread(folder / f"ifft_spot_{n}.tif") for n in (0, 1))
    np.testing.assert_allclose(tifffile.imread(folder / "ifft.tif"), both, atol=0.02)
    assert not tifffile.imread(folder / "ifft_unknown_crystal.tif").any()  # its only spot is disabled


def test_without_a_wish_none_is_written(analysis, tmp_path):
    assert not list(save_results(analysis, tmp_path / "out", "tables").glob("ifft*"))
