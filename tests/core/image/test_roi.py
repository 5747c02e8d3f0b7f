import numpy as np
import pytest

from forward_model import fringes, white_noise
from napari_tem_fft.core.image.calibration import Calibration
from napari_tem_fft.core.image.micrograph import Micrograph, RegionOfInterest
from napari_tem_fft.core.image.roi import part_of, roi_from_metadata, roi_in_metadata
from napari_tem_fft.core.pipeline import analysis_steps
from napari_tem_fft.core.progress import exhaust

PIXEL = 0.03
SHAPE = (300, 420)


def two_grains():
    """Fringes of 0.235 nm around (3.5, 3.5) nm and of 0.203 nm around (5.5, 9) nm."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]] * PIXEL
    image = white_noise(SHAPE, 4)
    for (cy, cx), d in (((3.5, 3.5), 0.235), ((5.5, 9.0), 0.203)):
        image += (np.hypot(y - cy, x - cx) < 2.0) * fringes(SHAPE, (PIXEL, PIXEL), d, 40.0)
    return Micrograph(image.astype(np.float32), Calibration.real(PIXEL), "two")


def test_a_rectangle_is_cut_out():
    part, start = part_of(two_grains(), [(0.3, 0.6), (0.3, 3.0), (6.0, 3.0), (6.0, 0.6)])
    assert start == (10, 20) and part.shape == (191, 81)
    np.testing.assert_array_equal(part.pixels, two_grains().pixels[10:201, 20:101])
    assert part.roi == RegionOfInterest((10, 20)) and part.name == "two part"
    assert part.metadata == two_grains().metadata
    assert two_grains().roi is None and part.crop(slice(5, 50), slice(0, 40)).roi is None


def test_too_small_or_outside_is_refused():
    for corners in ([(1, 1), (1, 1.2), (1.2, 1.2)], [(20, 20), (20, 30), (30, 30)]):
        with pytest.raises(ValueError, match="too few pixels"):
            part_of(two_grains(), corners)


def test_a_polygon_finds_its_own_grains_only():
    whole = exhaust(analysis_steps(two_grains(), ()))
    assert len(whole.grains) == 2
    triangle = [(0.0, 0.0), (0.0, 12.5), (8.9, 0.0)]  # the first grain; the box holds both
    part, start = part_of(two_grains(), triangle)
    assert part.roi.start == start == (0, 0)
    assert part.roi.corners == ((0.0, 0.0), (0.0, 12.5), (8.9, 0.0))
    analysis = exhaust(analysis_steps(part, ()))
    (grain,) = analysis.grains
    assert [spot.d for spot in analysis.spots] == [pytest.approx(0.235, rel=0.012)]
    assert grain.id == 1 and grain.centre == pytest.approx((3.5, 3.5), abs=0.5)
    assert analysis.specimen.mean() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(
    "roi", [None, RegionOfInterest((3, 4)), RegionOfInterest((3, 4), ((0.0, 0.0), (0.0, 1.5), (2.5, 0.0)))]
)
def test_files_keep_it_among_the_metadata_as_ever(roi):
    micrograph = Micrograph(np.zeros((20, 20)), metadata={"voltage_kV": 300.0}, roi=roi)
    written = roi_in_metadata(micrograph)
    assert roi_from_metadata(written) == ({"voltage_kV": 300.0}, roi)
    assert ("part_start" in written, "part" in written) == (roi is not None, bool(roi and roi.corners))


@pytest.mark.parametrize(
    "entries",
    [
        {"part_start": [1, 2], "part": [[0, 0], [0, "a"], [1, 0]]},
        {"part_start": [1, 2], "part": [[0, 0], [0, 1]]},
        {"part_start": [1, 2], "part": [[0, 0], [0, 1e999], [1, 0]]},
        {"part_start": [1.5, 2]},
        {"part_start": [1]},
        {"part": 3},
    ],
)
def test_what_is_no_region_is_refused(entries):
    with pytest.raises(ValueError, match="region of interest"):
        roi_from_metadata(entries)
