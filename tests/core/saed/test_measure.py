"""Stored patterns with known spots and rings: what is measured on them."""

from dataclasses import replace

import numpy as np
import pytest

from forward_model import fringes, white_noise
from napari_tem_fft.core.image.calibration import Calibration, CalibrationError
from napari_tem_fft.core.image.micrograph import Micrograph, prepared_pixels
from napari_tem_fft.core.saed.measure import PatternParams, measure_pattern
from napari_tem_fft.io.readers.micrographs import read_micrograph
from pattern_model import diffuse, radius, recorded, rings, spots

SHAPE, STEP, CENTRE = (512, 480), (0.03, 0.031), (250.3, 233.8)
#: d (nm), azimuth (degrees), counts at the peak.
REFLECTIONS = [(0.2355, 20.0, 400.0), (0.2355, 130.0, 350.0), (0.2039, 74.7, 300.0), (0.1442, 50.0, 200.0)]
LINES = [(0.2355, 60.0), (0.2039, 30.0), (0.1442, 30.0), (0.123, 20.0)]
LIGHT = diffuse(SHAPE, CENTRE, STEP)


def spot_pattern(both=True, seed=0, origin=None):
    return recorded(LIGHT + spots(SHAPE, CENTRE, STEP, REFLECTIONS, both=both), STEP, seed, origin)


def ring_pattern(origin=None):
    return recorded(LIGHT + rings(SHAPE, CENTRE, STEP, LINES), STEP, 1, origin)


def off_centre(result):
    return np.abs(np.array(result.centre.position) - CENTRE).max()


@pytest.mark.parametrize("origin", [None, (248.0, 236.0), (0.0, 470.0), (-756.0, 20.0)])
def test_spots_and_centre_of_a_pattern(origin):
    result = measure_pattern(spot_pattern(origin=origin))
    assert sorted(s.d for s in result.spots) == pytest.approx(sorted(d for d, _, _ in REFLECTIONS), rel=1e-3)
    assert sorted(s.azimuth for s in result.spots) == pytest.approx([20.0, 50.0, 74.7, 130.0], abs=0.1)
    assert all(spot.paired and spot.origin == "pattern" for spot in result.spots)
    assert [spot.id for spot in result.spots] == [1, 2, 3, 4]
    assert off_centre(result) < 0.1 and result.centre.sigma < 0.1
    assert result.centre.source == "pairs of spots" and not result.mirrored
    assert any("contradicts" in text for text in result.warnings) == (
        origin in ((0.0, 470.0), (-756.0, 20.0))
    )


def test_the_error_bar_holds():
    pulls = []
    for seed in range(10):
        for spot in measure_pattern(spot_pattern(seed=seed)).spots:
            truth = min((d for d, _, _ in REFLECTIONS), key=lambda d, s=spot: abs(d - s.d))
            pulls.append((spot.d - truth) / spot.d_sigma)
    assert 0.5 < np.std(pulls) < 1.5


def test_a_spot_without_partner_carries_the_uncertainty_of_the_centre():
    pattern = spot_pattern(both=False)
    result = measure_pattern(pattern, centre=CENTRE)
    assert sorted(s.d for s in result.spots) == pytest.approx(sorted(d for d, _, _ in REFLECTIONS), rel=3e-3)
    assert not any(spot.paired for spot in result.spots)
    assert all(spot.sigma >= result.centre.sigma * min(STEP) for spot in result.spots)


def test_an_off_centre_origin_cancels_in_a_pair():
    right = measure_pattern(spot_pattern(), centre=CENTRE)
    wrong = measure_pattern(spot_pattern(), centre=(CENTRE[0] + 2.5, CENTRE[1] - 2.5))
    assert [s.d for s in wrong.spots] == pytest.approx([s.d for s in right.spots], rel=1e-9)


def test_rings_of_a_powder():
    result = measure_pattern(ring_pattern())
    assert result.spots == ()
    assert [peak.d for peak in result.profile.peaks] == pytest.approx([d for d, _ in LINES], rel=1e-3)
    assert off_centre(result) < 0.1
    assert all(peak.curve == "pattern" for peak in result.profile.peaks)


def test_a_beam_stop_is_no_obstacle():
    expected = LIGHT + spots(SHAPE, CENTRE, STEP, REFLECTIONS)
    expected[240:262, :250] = 3.0
    result = measure_pattern(recorded(expected, STEP))
    assert {round(s.d, 3) for s in result.spots} >= {0.204, 0.144}
    assert off_centre(result) < 0.5


def test_diffuse_light_alone_has_neither_spots_nor_rings():
    counts = sum(len(measure_pattern(recorded(LIGHT, STEP, seed)).spots) for seed in range(8))
    result = measure_pattern(recorded(LIGHT, STEP, 3))
    assert counts == 0
    assert result.profile.peaks == ()


@pytest.mark.parametrize("power", [1, 2])
def test_a_stored_transform_is_measured_and_its_pairs_are_one_datum(power):
    pixel, shape = 0.02, (512, 512)
    planes = [(0.2355, 20.0), (0.2039, 74.7)]
    image = white_noise(shape, 1) + sum(fringes(shape, (pixel, pixel), d, a, 0.3) for d, a in planes)
    window = np.hanning(512)
    stored = np.abs(np.fft.fftshift(np.fft.fft2(image * np.outer(window, window)))) ** power
    step = 1 / (512 * pixel)
    calibration = Calibration((step, step), "reciprocal", source="file", origin=(256.0, 256.0))
    result = measure_pattern(Micrograph(stored.astype(np.float32), calibration))
    assert result.mirrored
    assert result.centre.position == pytest.approx((256, 256), abs=0.02)
    assert sorted(s.d for s in result.spots) == pytest.approx([0.2039, 0.2355], rel=1e-3)


@pytest.mark.parametrize("law", ["counts", "few counts", "modulus", "power"])
def test_noise_of_any_law_has_no_spots(law):
    rng = np.random.default_rng(5)
    shape = (384, 384)
    values = {
        "counts": lambda: rng.poisson(200, shape),
        "few counts": lambda: rng.poisson(0.05, shape),
        "modulus": lambda: rng.rayleigh(1, shape),
        "power": lambda: rng.exponential(1, shape),
    }[law]()
    calibration = Calibration((0.03, 0.03), "reciprocal")
    result = measure_pattern(Micrograph(values.astype(np.float32), calibration), centre=(192.0, 192.0))
    assert result.spots == () and result.profile.peaks == ()


def test_hot_pixels_are_no_spots():
    counts = np.array(ring_pattern().pixels)
    counts[[100, 300, 411], [77, 450, 200]] = 60000
    result = measure_pattern(replace(ring_pattern(), pixels=counts))
    assert result.spots == ()


@pytest.mark.parametrize(
    ("calibration", "words"),
    [(Calibration.real(0.02), "micrograph"), (Calibration(), "1/nm")],
)
def test_only_a_pattern_is_measured(calibration, words):
    with pytest.raises(CalibrationError, match=words):
        measure_pattern(Micrograph(np.ones((64, 64)), calibration, "film"))


def test_a_pattern_without_symmetry_needs_its_centre():
    ramp = np.outer(np.arange(128.0), np.ones(128)) ** 3
    pattern = Micrograph(ramp, Calibration((0.03, 0.03), "reciprocal"), "ramp")
    with pytest.raises(ValueError, match=r"ramp: .*direct beam"):
        measure_pattern(pattern)


def test_a_field_without_lattice_spacings_is_refused():
    pattern = recorded(LIGHT, (1e-4, 1e-4))
    with pytest.raises(ValueError, match="no d from"):
        measure_pattern(pattern, centre=CENTRE)


def test_centre_outside_of_the_image():
    shape, centre = (256, 256), (-60.0, 128.0)
    expected = 50 + rings(shape, centre, (0.02, 0.02), [(0.2355, 60.0)])
    result = measure_pattern(recorded(expected, (0.02, 0.02)), centre=centre)
    assert [peak.d for peak in result.profile.peaks] == pytest.approx([0.2355], rel=1e-3)
    assert radius(shape, centre, (0.02, 0.02)).min() <= result.profile.g[0]


def test_limits_of_d():
    result = measure_pattern(spot_pattern(), PatternParams(d_min=0.19, d_max=0.21))
    assert [s.d for s in result.spots] == pytest.approx([0.2039], rel=1e-3)
    with pytest.raises(ValueError, match="smallest d"):
        PatternParams(d_min=0.5, d_max=0.2)


@pytest.mark.parametrize(
    ("name", "truth"),
    [
        ("real/graphene_filter.dm3", (0.2144, 0.2150, 0.2137)),
        ("real/BTO_crystal_1.dm4", (0.2763, 0.3987, 0.2742, 0.3800)),
    ],
)
def test_stored_transform_of_a_real_micrograph(data_folder, name, truth):
    """The spots that others have measured on the micrograph, found on its stored FFT."""
    micrograph = read_micrograph(data_folder / name)
    image, _ = prepared_pixels(micrograph)
    window = np.outer(*(np.hanning(n) for n in image.shape))
    stored = np.abs(np.fft.fftshift(np.fft.fft2(image * window))).astype(np.float32)
    step = [1 / (n * p) for n, p in zip(image.shape, micrograph.pixel_size, strict=True)]
    calibration = Calibration((step[0], step[1]), "reciprocal", source="file")
    result = measure_pattern(Micrograph(stored, calibration), PatternParams(d_max=0.55))
    assert result.mirrored
    for d in truth:
        assert min(abs(spot.d / d - 1) for spot in result.spots) < 1e-3


def test_a_real_pattern_that_is_cut_out_far_from_the_centre(data_folder):
    """A streak without spots or rings, whose file puts g = 0 far outside: nothing is made of it."""
    pattern = read_micrograph(data_folder / "quirks/2D_test_diffraction_pattern.dm3")
    result = measure_pattern(pattern)
    assert result.spots == () and result.profile.peaks == ()
    assert any("contradicts" in text for text in result.warnings)
    assert any("only the diffuse light" in text for text in result.warnings)
