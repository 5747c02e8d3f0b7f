"""Images are read with their scale, and with how well it is known, in which parameters have no word."""

from pathlib import Path

import numpy as np
import pytest

from dm_writer import write_dm
from forward_model import fringes, white_noise
from napari_tem_fft import api
from napari_tem_fft.core.image.calibration import Calibration, Correction
from napari_tem_fft.core.image.micrograph import Micrograph
from napari_tem_fft.core.pipeline import Analysis, AnalysisParams
from napari_tem_fft.io.exchange.calibration_profile import CalibrationProfile
from napari_tem_fft.io.exchange.temfft import Document, StoredImage, save_temfft
from napari_tem_fft.io.plain import ReadError

SHAPE, PIXEL = (256, 240), 0.03
PROFILE = CalibrationProfile(Correction((1.01, 1.01), 0.003, "Au 111"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A .dm4 with one set of fringes of 0.235 nm."""
    pixels = 5 * fringes(SHAPE, (PIXEL, PIXEL), 0.235, 20.0) + white_noise(SHAPE, 1)
    return Path(write_dm(tmp_path / "film.dm4", pixels.astype(np.float32), PIXEL, "nm"))


def written_uncertainty(analysis: Analysis, folder: Path) -> float:
    """Of d in the table of spots, relative."""
    header, row, *_ = (api.save_results(analysis, folder) / "spots.csv").read_text().splitlines()
    cells = dict(zip(header.split(","), row.split(","), strict=True))
    return float(cells["d_calibration_sigma_nm"]) / float(cells["d_nm"])


def test_parameters_leave_the_uncertainty_of_a_profile_alone(file: Path, tmp_path: Path) -> None:
    corrected = api.read(file, calibration_profile=PROFILE)
    assert corrected.calibration.uncertainty == 0.003
    for params in (None, AnalysisParams(network="none")):
        analysis = api.analyse(corrected, params=params)
        assert analysis.micrograph.calibration.uncertainty == 0.003
        assert written_uncertainty(analysis, tmp_path / "out") == pytest.approx(0.003, rel=1e-3)


def test_what_the_user_states_holds_whatever_the_scale_is_from(file: Path) -> None:
    assert api.read(file).calibration.uncertainty == 0.02
    assert api.read(file, uncertainty=0.01).calibration.uncertainty == 0.01
    assert api.read(file, 0.031, uncertainty=0.01).calibration.uncertainty == 0.01
    assert api.read(file, calibration_profile=PROFILE, uncertainty=0.01).calibration.uncertainty == 0.01
    with pytest.raises(ValueError, match="0-50 %"):
        api.read(file, uncertainty=2.0)


def test_an_image_of_a_document_is_read_by_its_number(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    two = [Micrograph(rng.normal(0, 1, SHAPE), Calibration.real((PIXEL, PIXEL)), name=name) for name in "ab"]
    path = save_temfft(tmp_path / "two", Document.of([StoredImage(one) for one in two]))
    for number, image in enumerate(two):
        again = api.read(path, image=number)
        assert again.name == image.name and np.array_equal(again.pixels, image.pixels)
        assert not again.warnings
    assert "the first of 2 images is used, a; all by number: 0 a, 1 b" in api.read(path).warnings
    with pytest.raises(ReadError, match="there is no image 2 in it; choose one of its images: 0 a, 1 b"):
        api.read(path, image=2)
    with pytest.raises(ReadError, match="there is no stack in it"):
        api.read(path, frame=0)
