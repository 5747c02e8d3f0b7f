"""Real and simulated micrographs with known truth, where the folder of NAPARI_TEM_FFT_DATA is there."""

import json
from pathlib import Path

import numpy as np
import pytest

from napari_tem_fft import analyse, read
from napari_tem_fft.api import select
from napari_tem_fft.core.pipeline import Analysis


def apart(spot, d: float, azimuth: float) -> float:
    """Distance of a spot from known planes, 1/nm."""
    angle = np.radians(azimuth)
    gy, gx = -np.sin(angle) / d, np.cos(angle) / d
    return min(np.hypot(spot.g[0] - gy, spot.g[1] - gx), np.hypot(spot.g[0] + gy, spot.g[1] + gx))


def test_barium_titanate_has_the_spacings_that_were_measured_independently(data_folder: Path):
    analysis = analyse(read(data_folder / "real" / "BTO_crystal_1.dm4"))
    for d, azimuth in ((0.2763, 46.6), (0.3987, 0.0), (0.2742, 133.8), (0.3800, 90.4)):
        spot = min(analysis.spots, key=lambda s: apart(s, d, azimuth))
        assert spot.d == pytest.approx(d, rel=3e-3)
        assert (spot.azimuth - azimuth + 90) % 180 - 90 == pytest.approx(0.0, abs=0.3)
    named = {p for m in analysis.matches if m.outcome == "identified" for p in m.phases}
    assert named <= {"BaTiO3"}  # one axis is 5 % short


def test_graphene_shows_its_three_spacings_and_nothing_where_it_was_filtered_away(data_folder: Path):
    analysis = analyse(read(data_folder / "real" / "graphene_filter.dm3"), select(elements="C"))
    strongest = sorted(analysis.spots, key=lambda s: -s.snr)[:3]
    for spot in strongest:
        assert 0.2137 * 0.997 < spot.d < 0.2150 * 1.003
    turns = sorted(s.azimuth for s in strongest)
    assert np.diff(turns) == pytest.approx([60.0, 60.0], abs=1.0)
    assert all(s.length < 7.0 for s in analysis.spots)
    assert "graphite" in analysis.matches[0].phases  # though 110 was cut away


def test_barium_titanate_is_found_once_each_axis_is_calibrated(data_folder: Path):
    micrograph = read(
        data_folder / "real" / "BTO_crystal_1.dm4", pixel_size=(0.031171, 0.029718), uncertainty=0.003
    )
    analysis = analyse(micrograph, select(sets=["all"], elements="Ba, Sr, Ti, O"))
    assert analysis.matches[0].phases == ("BaTiO3",)


def simulated(data_folder: Path, name: str) -> tuple[Analysis, dict]:
    folder = data_folder / "dev"
    truth = json.loads((folder / "truth" / f"{name}.json").read_text())
    return analyse(read(folder / "images" / f"{name}.dm4")), truth


def test_nothing_is_found_where_there_is_no_crystal(data_folder: Path):
    analysis, truth = simulated(data_folder, "dev6_nothing")
    assert analysis.spots == () and analysis.components == ()
    assert 1 - analysis.specimen.mean() == pytest.approx(truth["vacuum_fraction"], abs=0.03)


def test_tiny_grains_of_a_large_field_are_found_where_they_are(data_folder: Path):
    analysis, truth = simulated(data_folder, "dev8_small_Ni_NaF")
    assert len(analysis.grains) == len(truth["grains"])
    centres = np.array([grain.centre for grain in analysis.grains])
    for grain in truth["grains"]:
        distance = np.hypot(*(centres - grain["centre_nm"]).T)
        assert distance.min() < 1.0
        found = analysis.grains[int(distance.argmin())]
        assert found.diameter == pytest.approx(grain["diameter_nm"], abs=1.0)
