import numpy as np
import pytest

from forward_model import white_noise
from movie import PATH, PIXEL, SIZE, movie
from napari_tem_fft.core.image.calibration import Calibration
from napari_tem_fft.core.image.micrograph import Micrograph
from napari_tem_fft.core.progress import exhaust
from napari_tem_fft.core.series import drift_steps


def micrograph(pixels, size=PIXEL):
    return Micrograph(np.asarray(pixels, np.float32), Calibration.real(size), "frame")


def test_the_drift_of_a_film_is_measured_and_the_common_field_is_cut_out():
    frames = movie()
    drift = exhaust(drift_steps(3, lambda number: micrograph(frames[number])))
    assert drift.known == (True, True, True)
    np.testing.assert_allclose(drift.shifts, PATH, atol=3)
    rows, columns = drift.common
    cut = [drift.cut(micrograph(frames[n]), n) for n in range(3)]
    assert {image.shape for image in cut} == {(rows.stop - rows.start, columns.stop - columns.start)}
    assert rows.start == 0 and columns.stop == SIZE  # the sample moves down and to the left
    assert columns.start == -round(drift.shifts[2][1])
    np.testing.assert_allclose(drift.origin(0), (rows.start, columns.start))


def test_noise_and_a_lattice_without_anything_else_claim_no_shift():
    noise = [micrograph(white_noise((256, 256), seed)) for seed in (1, 2)]
    x = np.arange(256) * PIXEL
    lattice = [micrograph(image.pixels + np.cos(2 * np.pi * x / 0.2)) for image in noise]
    constant = [micrograph(np.ones((64, 64)))] * 2
    for frames in (noise, lattice, constant):
        assert exhaust(drift_steps(2, frames.__getitem__)).known == (True, False)


def test_frames_that_are_nowhere_the_same_are_not_cut():
    film = np.pad(movie()[0], ((0, 0), (0, SIZE)), mode="reflect")
    moved = (film[:, :SIZE], film[:, 130 : SIZE + 130], film[:, 260 : SIZE + 260])
    drift = exhaust(drift_steps(3, lambda number: micrograph(moved[number])))
    assert all(drift.known) and drift.common is None
    assert drift.shifts[2][1] == pytest.approx(-260, abs=6)  # by the frame between
    assert drift.cut(micrograph(moved[2]), 2).shape == (SIZE, SIZE)
    assert drift.origin(2)[1] == pytest.approx(260, abs=6)


def test_frames_of_other_sizes_are_refused():
    frames = [micrograph(white_noise((64, 64), 1)), micrograph(white_noise((64, 80), 1))]
    with pytest.raises(ValueError, match="80 x 64 pixels, but the first frame has 64 x 64"):
        exhaust(drift_steps(2, frames.__getitem__))
