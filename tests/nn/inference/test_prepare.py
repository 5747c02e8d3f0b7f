import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forward_model import fringes, white_noise
from napari_tem_fft.core.image.calibration import Calibration
from napari_tem_fft.core.image.micrograph import Micrograph
from napari_tem_fft.nn.inference.prepare import (
    InputParams,
    mirror,
    network_input,
    probable_spots,
    target,
    whole_plane,
)
from napari_tem_fft.nn.training.dataset import quantise_inputs, restore_inputs, spectra_of

SMALL = InputParams(half=31, margin=8)


def seen(d: float, azimuth: float, shape: tuple[int, int], pixel: float, params: InputParams) -> np.ndarray:
    pixels = white_noise(shape, 1) + fringes(shape, (pixel, pixel), d, azimuth)
    return network_input(*spectra_of(Micrograph(pixels, Calibration.real(pixel)), 11.0), params)


@pytest.mark.parametrize(("shape", "pixel"), [((512, 512), 0.02), ((400, 300), 0.04), ((1024, 1024), 0.045)])
def test_a_spot_lies_in_its_cell_whatever_the_image(shape, pixel):
    """d = 0.25 nm at 30 degrees: g = (-2, 3.464), cells of 10/255: row 255 - 51, column 32 + 88."""
    inputs = seen(0.25, 30.0, shape, pixel, InputParams())
    for channel in range(4):
        row, column = np.unravel_index(inputs[..., channel].argmax(), inputs.shape[:2])
        assert abs(row - 204) <= 2 and abs(column - 120) <= 2


def test_spot_at_the_border_of_the_half_plane_is_whole():
    inputs = seen(0.25, 89.5, (512, 512), 0.03, InputParams())
    row, column = np.unravel_index(inputs[..., 0].argmax(), inputs.shape[:2])
    mirror = inputs[2 * 255 - row, 2 * 32 - column, 0]
    assert mirror == inputs[row, column, 0]


def test_noise_is_no_surprise():
    inputs = network_input(
        *spectra_of(Micrograph(white_noise((512, 512), 2), Calibration.real(0.03)), 11.0), InputParams()
    )
    assert np.abs(inputs[..., :4]).max() < 3.0
    assert abs(inputs[..., 1].mean()) < 0.1


def test_nothing_beyond_nyquist():
    inputs = seen(0.3, 10.0, (300, 300), 0.1, InputParams())
    assert (inputs[:, 32 + 130 :, :4] == 0).all()


def test_discs_and_their_maxima():
    g = np.array([[1.0, 4.0], [-3.0, 0.05], [5.0, 5.0]])
    mask = target(g, 0.4, SMALL)
    found, heights = probable_spots(mask.astype(np.float32), 0.5, SMALL)
    assert len(found) == 3 and (heights == 1).all()
    apart = np.minimum(*(np.linalg.norm(found[:, None] - s * g[None], axis=-1) for s in (1, -1)))
    assert apart.min(axis=0).max() < 0.17  # half a cell


@given(st.booleans(), st.booleans(), st.integers(0, 5))
def test_mirrors_of_an_input_are_inputs_of_mirrored_spots(transpose, flip, seed):
    g = np.random.default_rng(seed).uniform(-7, 7, (4, 2))
    turned = g[:, ::-1] if transpose else g
    turned = turned * [-1, 1] if flip else turned
    mask = mirror(target(g, 0.5, SMALL), SMALL, transpose, flip)
    assert np.array_equal(mask, target(turned, 0.5, SMALL))


def test_whole_plane_is_symmetric():
    mask = target(np.array([[2.0, 3.0]]), 0.5, SMALL)
    plane = whole_plane(mask, SMALL)
    assert plane.shape == (63, 63) and np.array_equal(plane, plane[::-1, ::-1]) and plane.sum() > 0


def test_bytes_hold_an_input():
    inputs = seen(0.25, 30.0, (256, 256), 0.03, SMALL)
    again = restore_inputs(quantise_inputs(inputs)[None], SMALL)[0]
    assert np.abs(again - np.clip(inputs, -1.5, 9.1)).max() < 0.022


@pytest.mark.parametrize("wrong", [{"channels": ("colour",)}, {"channels": ()}, {"half": 3}, {"margin": 300}])
def test_impossible_grids_are_refused(wrong):
    with pytest.raises(ValueError, match=r"channels|grid"):
        InputParams(**wrong)
