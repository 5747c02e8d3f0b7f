import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_tem_fft.core.grains.region import union
from napari_tem_fft.core.matching import Outcome
from napari_tem_fft.core.pipeline import Analysis
from napari_tem_fft.io.exchange.scoring import write_score
from small_analysis import GRID, small_analysis


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    return small_analysis()


def test_peaks_are_the_enabled_pairs_by_the_files_calibration(analysis: Analysis, tmp_path: Path) -> None:
    answer = json.loads(write_score(analysis, tmp_path, "img").read_text())
    assert [peak["d_nm"] for peak in answer["peaks"]] == pytest.approx([0.25, 1 / 4.3])
    assert [peak["azimuth_deg"] for peak in answer["peaks"]] == pytest.approx([30.0, 90.0])


def test_every_member_of_an_ambiguous_set_is_detected_and_mapped(analysis: Analysis, tmp_path: Path) -> None:
    answer = json.loads(write_score(analysis, tmp_path, "img").read_text())
    expected = [("LiF", 0.6, True), ("mine", 0.35, True)]
    assert [(p["name"], p["score"], p["detected"]) for p in answer["phases"]] == expected
    assert answer["maps"] == {"LiF": "img__LiF.npy", "mine": "img__mine.npy"}
    for name in answer["maps"].values():
        np.testing.assert_array_equal(
            np.load(tmp_path / name) >= 0.5, analysis.grain_regions[0].mask_on(GRID.box)
        )


def test_single_d_is_not_detected_and_has_no_map(analysis: Analysis, tmp_path: Path) -> None:
    write_score(analysis, tmp_path, "img")
    match = replace(analysis.matches[0], outcome=Outcome.SINGLE_D, phases=())
    part = replace(analysis.components[0], outcome=Outcome.SINGLE_D, phases=(), name="unknown crystal")
    single = replace(analysis, matches=(match,), components=(part,))
    answer = json.loads(write_score(single, tmp_path, "img").read_text())
    assert [p["detected"] for p in answer["phases"]] == [False, False]
    assert list(tmp_path.glob("*.npy")) == []  # those of the first answer are gone


def test_maps_of_two_components_of_one_phase_are_joined(analysis: Analysis, tmp_path: Path) -> None:
    second = replace(
        analysis.components[1], name="LiF", phases=("LiF",), outcome=Outcome.IDENTIFIED, score=0.99
    )
    write_score(replace(analysis, components=(analysis.components[0], second)), tmp_path, "img")
    inside = np.load(tmp_path / "img__LiF.npy") >= 0.5
    np.testing.assert_array_equal(inside, union(analysis.grain_regions, GRID.shape))
