"""Kinds of spots from the search to names, edits and the tables."""

from dataclasses import replace

import numpy as np
import pytest

from forward_model import fringes, white_noise
from napari_tem_fft.api.edits import without_spots
from napari_tem_fft.core.image.calibration import Calibration
from napari_tem_fft.core.image.micrograph import Micrograph
from napari_tem_fft.core.matching.observations import observe
from napari_tem_fft.core.matching.params import MatchParams
from napari_tem_fft.core.pipeline import Analysis, analysis_steps
from napari_tem_fft.core.progress import exhaust
from napari_tem_fft.core.reanalysis import reanalyse_after_spot_edit
from napari_tem_fft.io.results.tables import spot_rows

SHAPE, PIXEL = (448, 448), (0.03, 0.03)
#: (220) of silver along [111], and thirds of (422) between them.
STRONG, RODS = [(0.1444, 10.0), (0.1444, 70.0), (0.1444, 130.0)], [(0.2501, 40.0), (0.2501, 100.0)]


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    pixels = white_noise(SHAPE, 3)
    for d, azimuth in (*STRONG, *RODS):
        pixels += fringes(SHAPE, PIXEL, d, azimuth, 0.07 if d > 0.2 else 1.2)
    return exhaust(analysis_steps(Micrograph(pixels, Calibration.real(PIXEL), "rods"), ()))


def satellites_of(analysis: Analysis) -> list[int]:
    return [spot.id for spot in analysis.spots if spot.kind == "satellite"]


def test_satellites_are_kept_but_count_nowhere(analysis: Analysis):
    rods = [spot for spot in analysis.spots if spot.id in satellites_of(analysis)]
    assert [spot.d for spot in rods] == pytest.approx([0.2501] * 2, rel=0.01)
    assert not any(spot.enabled for spot in rods)
    assert set(satellites_of(analysis)) < set(analysis.grains[0].spots)
    observed = observe(analysis.grains, analysis.spots, MatchParams()).ids
    assert not np.isin(satellites_of(analysis), observed).any()
    masked = next(profile for profile in analysis.profiles if profile.curve == "masked")
    assert all(abs(peak.d / 0.2501 - 1) > 0.02 for peak in masked.peaks)


def test_the_table_says_the_kind(analysis: Analysis):
    kinds = {row["id"]: (row["spot_kind"], row["enabled"]) for row in spot_rows(analysis)}
    assert [kinds.pop(number) for number in satellites_of(analysis)] == [("satellite", 0)] * 2
    assert set(kinds.values()) == {("reflection", 1)}


def test_kinds_survive_edits_and_a_satellite_can_be_switched_on(analysis: Analysis):
    edited = without_spots(analysis, [1])
    assert [spot.kind for spot in edited.spots] == [spot.kind for spot in analysis.spots]
    known = satellites_of(analysis)
    spots = [replace(spot, enabled=spot.enabled or spot.id == known[0]) for spot in analysis.spots]
    counted = exhaust(reanalyse_after_spot_edit(analysis, spots))
    assert np.isin(known, observe(counted.grains, counted.spots, MatchParams()).ids).tolist() == [True, False]
    assert satellites_of(counted) == known
