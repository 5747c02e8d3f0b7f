import numpy as np
import pytest

from forward_model import fringes, white_noise
from napari_tem_fft.core.image.calibration import Calibration
from napari_tem_fft.core.image.micrograph import Micrograph
from napari_tem_fft.core.image.roi import part_of
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
    assert "part" not in part.metadata and part.name == "two part"


def test_too_small_or_outside_is_refused():
    for corners in ([(1, 1), (1, 1.2), (1.2, 1.2)], [(20, 20), (20, 30), (30, 30)]):
        with pytest.raises(ValueError, match="too few pixels"):
            part_of(two_grains(), corners)


def test_a_polygon_finds_its_own_grains_only():
    whole = exhaust(analysis_steps(two_grains(), ()))
    assert len(whole.grains) == 2
    triangle = [(0.0, 0.0), (0.0, 12.5), (8.9, 0.0)]  # the first grain; the box holds both
    part, _ = part_of(two_grains(), triangle)
    analysis = exhaust(analysis_steps(part, ()))
    (grain,) = analysis.grains
    assert [spot.d for spot in analysis.spots] == [pytest.approx(0.235, rel=0.012)]
    assert grain.id == 1 and grain.centre == pytest.approx((3.5, 3.5), abs=0.5)
    assert analysis.specimen.mean() == pytest.approx(0.5, abs=0.02)
