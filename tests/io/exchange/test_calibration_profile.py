"""A calibration profile survives its file, and is applied only where it belongs."""

import json
from dataclasses import replace

import numpy as np
import pytest

from napari_tem_fft.core.image.calibration import Calibration, CalibrationError, Correction
from napari_tem_fft.core.image.micrograph import Micrograph
from napari_tem_fft.io.exchange.calibration_profile import (
    CalibrationProfile,
    apply_profile,
    fitting_profiles,
    load_profile,
    profile_of,
    save_profile,
)
from napari_tem_fft.io.plain import ReadError

CORRECTION = Correction((1.02, 1.01), 0.004, "Au 111 and 200")
TITAN = {"microscope": "FEI Titan", "magnification": 500e3}
WHOLE = {**TITAN, "voltage_kV": 300.0, "camera": "OneView"}


def micrograph(**metadata):
    return Micrograph(np.eye(16), Calibration.real(0.02), "film", metadata=metadata)


@pytest.mark.parametrize("metadata", [{}, TITAN])
def test_round_trip(tmp_path, metadata):
    profile = profile_of(micrograph(**metadata), CORRECTION)
    save_profile(tmp_path / "titan.json", profile)
    assert load_profile(tmp_path / "titan.json") == profile
    assert profile.microscope == metadata.get("microscope", "")


def test_it_corrects_images_of_its_setting():
    profile = profile_of(micrograph(**TITAN), CORRECTION)
    corrected = apply_profile(profile, micrograph(**TITAN))
    assert corrected.pixel_size == pytest.approx((0.0204, 0.0202))
    assert corrected.calibration.uncertainty == 0.004
    assert corrected.calibration.source == "corrected on Au 111 and 200"
    assert corrected.warnings == ()


@pytest.mark.parametrize("other", [{**TITAN, "magnification": 600e3}, {**TITAN, "microscope": "JEOL ARM"}])
def test_it_refuses_images_of_another_setting(other):
    profile = profile_of(micrograph(**TITAN), CORRECTION)
    with pytest.raises(
        CalibrationError, match="applies to FEI Titan at 500000x, but the image was taken with"
    ):
        apply_profile(profile, micrograph(**other))


def test_it_warns_where_the_file_does_not_tell():
    corrected = apply_profile(profile_of(micrograph(**TITAN), CORRECTION), micrograph())
    assert corrected.pixel_size[0] == pytest.approx(0.0204)
    assert "does not state its microscope and magnification" in corrected.warnings[0]


def test_a_profile_for_any_microscope_never_warns():
    assert apply_profile(CalibrationProfile(CORRECTION), micrograph(**TITAN)).warnings == ()


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"format": "other", "version": 1}', "\x00", '{"format": 1, "version": 2}']
)
def test_what_is_no_profile(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(ReadError, match=r"a\.json: not a calibration profile"):
        load_profile(path)


def test_nonsense_in_a_profile(tmp_path):
    path = tmp_path / "a.json"
    save_profile(path, CalibrationProfile(CORRECTION))
    content = json.loads(path.read_text())
    content["correction"]["factors"] = [1.0, "much"]
    path.write_text(json.dumps(content))
    with pytest.raises(ReadError, match="not a calibration profile"):
        load_profile(path)
    with pytest.raises(ReadError, match="the file does not exist"):
        load_profile(tmp_path / "b.json")


@pytest.mark.parametrize("other", [{"voltage_kV": 80.0}, {"camera": "K3"}])
def test_another_voltage_or_camera_is_another_setting(other):
    profile = profile_of(micrograph(**WHOLE), CORRECTION)
    with pytest.raises(CalibrationError, match="at 500000x, 300 kV, OneView, but the image"):
        apply_profile(profile, micrograph(**{**WHOLE, **other}))
    assert apply_profile(profile, micrograph(**WHOLE)).warnings == ()


def test_saved_profiles_are_found_by_the_whole_setting_of_an_image(tmp_path):
    older = replace(profile_of(micrograph(**TITAN), CORRECTION), created="2024-05-01")
    newer = replace(profile_of(micrograph(**WHOLE), CORRECTION), created="2025-05-01")
    anywhere = CalibrationProfile(CORRECTION)
    for name, profile in {"a": older, "b": newer, "c": anywhere}.items():
        save_profile(tmp_path / f"{name}.json", profile)
    (tmp_path / "d.json").write_text("no profile")

    def names(**metadata):
        return [path.stem for path, _ in fitting_profiles(metadata, tmp_path)]

    assert names(**WHOLE) == ["b", "a"]
    assert names(**TITAN) == ["b", "a"]  # it tells neither voltage nor camera
    assert names(**{**WHOLE, "camera": "K3"}) == ["a"]
    assert names(**{**WHOLE, "magnification": 510e3}) == []
    assert names(microscope="FEI Titan") == [] and names() == []
    assert fitting_profiles(WHOLE, tmp_path / "nowhere") == ()


def test_a_profile_of_version_0_1_opens(tmp_path):
    save_profile(tmp_path / "a.json", profile_of(micrograph(**TITAN), CORRECTION))
    content = json.loads((tmp_path / "a.json").read_text())
    del content["voltage_kV"], content["camera"]
    (tmp_path / "a.json").write_text(json.dumps(content))
    assert load_profile(tmp_path / "a.json").voltage_kV is None
