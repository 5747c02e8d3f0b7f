import numpy as np
import pytest

from napari_tem_fft.core.fourier.diffractogram import BandImage
from napari_tem_fft.core.fourier.stripes import measure_stripes
from napari_tem_fft.core.image.calibration import Calibration
from napari_tem_fft.core.image.micrograph import Micrograph
from napari_tem_fft.core.pipeline import analysis_steps
from napari_tem_fft.core.progress import exhaust

RINGS = np.arange(1.0, 10.0)


def noise(seed: int, side: int = 512) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((side, side)).astype(np.float32)


@pytest.mark.parametrize("axis", [0, 1])
def test_stripes_have_the_strength_that_they_were_given(axis):
    """Each line gets an offset of variance 0.25: that is their density, in the image's own pixels."""
    offsets = 0.5 * np.random.default_rng(1).standard_normal(512).astype(np.float32)
    image = noise(0) + (offsets[:, None] if axis == 0 else offsets)
    found = measure_stripes(BandImage(image, (0.04, 0.04), 1.0), RINGS, np.ones(9), 1.0)
    assert np.mean(found.density[axis][50:200]) == pytest.approx(0.25, rel=0.3)
    assert not found.density[1 - axis].any() and not found.none


def test_noise_alone_and_a_crystal_along_an_axis_are_no_stripes():
    at = 0.04 * np.arange(512)
    crystal = noise(2) + np.cos(2 * np.pi * 4.0 * at) + 0.5 * np.cos(2 * np.pi * 8.0 * at)
    for image in (noise(2), crystal.astype(np.float32)):
        assert measure_stripes(BandImage(image, (0.04, 0.04), 1.0), RINGS, np.ones(9), 1.0).none


def test_a_camera_whose_columns_differ_shows_no_crystal():
    """As strong as gains that are wrong by 0.3 to 1 % at 2500 electrons a pixel."""
    for seed in range(3):
        columns = (0.15 + 0.15 * seed) * np.random.default_rng(seed).standard_normal(512)
        image = 100 + noise(seed) + columns.astype(np.float32)
        micrograph = Micrograph(image.astype(np.float32), Calibration.real((0.04, 0.04)), "columns")
        assert not [spot for spot in exhaust(analysis_steps(micrograph, ())).spots if spot.enabled]
