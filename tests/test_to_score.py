"""Results in the format of a scorer, by tests/benchmarks/to_score.py."""

import json
import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_tem_fft.core.grains.regions import union
from napari_tem_fft.core.matching import Outcome
from napari_tem_fft.core.pipeline import Analysis
from napari_tem_fft.io.results.folder import save_results
from small_analysis import GRID, small_analysis

write_score = runpy.run_path(str(Path(__file__).parent / "benchmarks" / "to_score.py"))["write_score"]


def answer_of(analysis: Analysis, place: Path) -> dict:
    folder = save_results(analysis, place / "img.dm4", "maps")
    return json.loads(write_score(folder, place / "scores").read_text())


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    return small_analysis()


def test_peaks_are_the_enabled_pairs_by_the_files_scale(analysis: Analysis, tmp_path: Path) -> None:
    answer = answer_of(analysis, tmp_path)
    assert [peak["d_nm"] for peak in answer["peaks"]] == pytest.approx([0.25, 1 / 4.3])
    assert [peak["azimuth_deg"] for peak in answer["peaks"]] == pytest.approx([30.0, 90.0])


def test_every_member_of_an_ambiguous_set_is_detected_and_mapped(analysis: Analysis, tmp_path: Path) -> None:
    answer = answer_of(analysis, tmp_path)
    expected = [("LiF", 0.6, True), ("mine", 0.35, True)]
    assert [(p["name"], p["score"], p["detected"]) for p in answer["phases"]] == expected
    assert answer["maps"] == {"LiF": "img__LiF.npy", "mine": "img__mine.npy"}
    inside = analysis.grain_regions[0].mask_on(GRID.box)
    for name in answer["maps"].values():
        np.testing.assert_array_equal(np.load(tmp_path / "scores" / name) >= 0.5, inside)


def test_single_d_is_not_detected_and_has_no_map(analysis: Analysis, tmp_path: Path) -> None:
    answer_of(analysis, tmp_path)
    match = replace(analysis.matches[0], outcome=Outcome.SINGLE_D, phases=())
    part = replace(analysis.components[0], outcome=Outcome.SINGLE_D, phases=(), name="unknown crystal")
    answer = answer_of(replace(analysis, matches=(match,), components=(part,)), tmp_path)
    assert [p["detected"] for p in answer["phases"]] == [False, False]
    assert list((tmp_path / "scores").glob("*.npy")) == []  # those of the first answer are gone


def test_maps_of_two_components_of_one_phase_are_joined(analysis: Analysis, tmp_path: Path) -> None:
    second = replace(
        analysis.components[1], name="LiF", phases=("LiF",), outcome=Outcome.IDENTIFIED, score=0.99
    )
    answer_of(replace(analysis, components=(analysis.components[0], second)), tmp_path)
    inside = np.load(tmp_path / "scores" / "img__LiF.npy") >= 0.5
    np.testing.assert_array_equal(inside, union(analysis.grain_regions, GRID.shape))
