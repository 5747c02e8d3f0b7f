import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from napari_tem_fft.core.saed.beam_stop import BeamStop
from napari_tem_fft.core.saed.ellipse import RingEllipse
from napari_tem_fft.core.saed.measure import measure_pattern
from napari_tem_fft.io.results.pattern_folder import save_pattern
from pattern_model import diffuse, recorded, rings, spots

SHAPE, STEP, CENTRE = (300, 320), (0.05, 0.05), (150.2, 158.9)


@pytest.fixture(scope="module")
def measured():
    expected = diffuse(SHAPE, CENTRE, STEP) + rings(SHAPE, CENTRE, STEP, [(0.16, 30.0)])
    expected += spots(SHAPE, CENTRE, STEP, [(0.2355, 20.0, 500.0)])
    expected += spots(SHAPE, CENTRE, STEP, [(0.2039, 74.7, 500.0)], both=False)
    pattern = recorded(expected, STEP)
    return measure_pattern(
        replace(
            pattern, source="a.dm4", file_hash="ab", metadata={"microscope": "Titan", "voltage_kV": 300.0}
        )
    )


@pytest.fixture(scope="module")
def folder(measured, tmp_path_factory):
    return save_pattern(measured, tmp_path_factory.mktemp("out") / "a.dm4")


def test_folder_holds_what_is_promised(folder):
    names = {path.name for path in folder.iterdir()}
    assert names == {"pattern.json", "spots.csv", "rings.csv", "profile.csv", "pattern.png"}


def test_stop_and_ellipse_are_described(tmp_path, measured):
    mask = np.zeros(SHAPE, bool)
    mask[100:102, 150:170] = mask[100, 200:] = True
    saved = replace(measured, stop=BeamStop(mask), ellipse=RingEllipse(0.02, 0.001, 30.0))
    stored = json.loads((save_pattern(saved, tmp_path / "a") / "pattern.json").read_text(encoding="utf-8"))
    assert stored["beam_stop"]["rows"] == [[100, 150, 170], [100, 200, SHAPE[1]], [101, 150, 170]]
    assert list(stored["ellipse"].values()) == [0.02, 0.001, 30.0]


def test_tables_give_both_uncertainties(measured, folder):
    rows = rows_of(folder / "spots.csv")
    assert [row["seen"] for row in rows] == ["+g and -g", "one side"]
    assert [float(row["d_nm"]) for row in rows] == pytest.approx([0.2355, 0.2039], rel=2e-3)
    assert float(rows[0]["d_calibration_sigma_nm"]) == pytest.approx(0.02 * 0.2355, rel=0.01)
    assert 0 < float(rows[0]["d_sigma_nm"]) < 0.001
    assert rows[0]["partner_x_pixel"] and not rows[1]["partner_x_pixel"]
    rings_found = [float(row["d_nm"]) for row in rows_of(folder / "rings.csv")]
    assert any(d == pytest.approx(0.16, rel=1e-3) for d in rings_found)


def rows_of(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_json_names_calibration_and_microscope(folder):
    stored = json.loads((folder / "pattern.json").read_text(encoding="utf-8"))
    assert stored["micrograph"]["calibration"]["source"] == "file"
    assert stored["micrograph"]["calibration"]["uncertainty"] == 0.02
    assert stored["micrograph"]["calibration"]["unit"] == "1/nm"
    assert stored["micrograph"]["metadata"] == {"microscope": "Titan", "voltage_kV": 300.0}
    assert stored["spots"][0]["paired"] and "d_sigma" in stored["spots"][0]
