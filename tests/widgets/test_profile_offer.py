"""A saved calibration profile is offered for the images that it fits, and applied by a click alone."""

import numpy as np
import pytest
from napari.layers import Layer

from dm_writer import write_dm
from forward_model import fringes
from mouse import press
from napari_tem_fft.core.image.calibration import Correction
from napari_tem_fft.io.exchange import calibration_profile
from napari_tem_fft.io.exchange.calibration_profile import CalibrationProfile, save_profile
from napari_tem_fft.plugin.reader import read_layers

PIXEL = 0.03
TITAN = {"Voltage": 300e3, "Indicated Magnification": 380e3, "Microscope": "Titan"}
PROFILE = CalibrationProfile(Correction((0.98, 0.98), 0.004, "Au 1 1 1"), "Titan", 380e3, "2025-02-01", 300.0)


@pytest.fixture
def folder():
    """The user's folder of profiles, with one that fits and one of another voltage."""
    folder = calibration_profile.profiles_folder()
    folder.mkdir()
    save_profile(folder / "titan_380kx.json", PROFILE)
    other = CalibrationProfile(PROFILE.correction, "Titan", 380e3, voltage_kV=80.0)
    save_profile(folder / "titan_80kV.json", other)
    return folder


def add(viewer, path, magnification):
    image = np.random.default_rng(1).normal(0, 1, (200, 220))
    image += fringes(image.shape, (PIXEL, PIXEL), 0.2035, 20.0)
    microscope = {**TITAN, "Indicated Magnification": magnification}
    write_dm(path, image.astype(np.float32), PIXEL, "nm", microscope=microscope)
    return viewer.add_layer(Layer.create(*read_layers(str(path))[0]))


def test_it_is_offered_for_its_setting_and_applied_by_one_click(viewer, dock, folder, tmp_path):
    fits = add(viewer, tmp_path / "fits.dm4", 380e3)
    offer = dock.profiles
    assert not offer.isHidden() and offer.which.isHidden()
    assert "titan_380kx (corrected on Au 1 1 1, 2025-02-01)" in offer.text.text()
    assert "Titan at 380000x, 300 kV" in offer.apply.toolTip()
    assert tuple(fits.scale) == pytest.approx((PIXEL, PIXEL))  # nothing is applied by itself
    other = add(viewer, tmp_path / "other.dm4", 500e3)
    assert offer.isHidden()
    dock.image.image = fits
    assert not offer.isHidden()
    press(offer.apply)
    assert tuple(fits.scale) == pytest.approx((0.98 * PIXEL, 0.98 * PIXEL))
    assert dock.uncertainty.value() == pytest.approx(0.4)
    assert "0.0294" in dock.scale.text()
    assert offer.isHidden() and dock.session.current is None  # once, and without a run
    assert tuple(other.scale) == pytest.approx((PIXEL, PIXEL))


def test_an_image_that_was_analysed_is_analysed_again(viewer, dock, folder, tmp_path, run):
    fits = add(viewer, tmp_path / "fits.dm4", 380e3)
    before = run(dock.session, lambda: press(dock.run)).spots
    run(dock.session, lambda: press(dock.profiles.apply))
    after = dock.session.current
    assert after.layer is fits and after.analysis.micrograph.calibration.source == "corrected on Au 1 1 1"
    assert after.spots[0].d == pytest.approx(0.98 * before[0].d, rel=1e-3)


def test_of_several_the_newest_comes_first(viewer, dock, folder, tmp_path):
    newer = CalibrationProfile(Correction((1.01, 1.02)), "Titan", 380e3, "2025-03-01")
    save_profile(folder / "newer.json", newer)
    layer = add(viewer, tmp_path / "fits.dm4", 380e3)
    which = dock.profiles.which
    assert [which.itemText(n) for n in range(which.count())] == ["newer", "titan_380kx"]
    which.setCurrentIndex(1)
    assert "titan_380kx" in dock.profiles.text.text()
    which.setCurrentIndex(0)
    press(dock.profiles.apply)
    assert tuple(layer.scale) == pytest.approx((1.01 * PIXEL, 1.02 * PIXEL))


def test_a_scale_that_somebody_gave_is_left_alone(viewer, dock, folder, tmp_path):
    layer = add(viewer, tmp_path / "fits.dm4", 380e3)
    layer.scale = (0.05, 0.05)
    dock.profiles.offer_for(layer)
    assert dock.profiles.isHidden()
