"""What version 0.1 has written opens: results, documents, calibration profiles, parameters, models, runs."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from napari_tem_fft import api
from napari_tem_fft.batch.job import stored_job
from napari_tem_fft.batch.state import read_records, read_run
from napari_tem_fft.cli.main import main
from napari_tem_fft.cli.options import read_params
from napari_tem_fft.core.image.micrograph import RegionOfInterest
from napari_tem_fft.core.pipeline import Analysis
from napari_tem_fft.core.progress import exhaust
from napari_tem_fft.core.reanalysis import reanalyse_after_specimen_edit
from napari_tem_fft.io.results.folder import load_results
from napari_tem_fft.nn.inference.model import load_predict

OLD = Path(__file__).parent / "data" / "v0.1"


def check_copper(analysis: Analysis) -> None:
    """A grain of copper along [011], named by the user, as 0.1 found it."""
    (component,) = analysis.components
    assert component.name == "Cu" and component.area == pytest.approx(21.9, abs=0.05)
    assert sorted(spot.d for spot in analysis.spots) == pytest.approx([0.1807, 0.2087, 0.2088], abs=2e-4)
    (match,) = analysis.matches
    assert match.phases == ("Cu",) and match.decided_by_user
    (decision,) = analysis.decisions
    assert (decision.grain, decision.phase) == (1, "Cu")
    assert analysis.micrograph.calibration.uncertainty == 0.015
    assert analysis.params.matching.stretch == 0.5 and analysis.params.spots.false_alarms == 0.02


def test_a_folder_of_results() -> None:
    check_copper(load_results(OLD / "results", api.read(OLD / "copper.dm4")))


def test_a_region_of_interest_among_the_metadata(tmp_path: Path) -> None:
    folder = shutil.copytree(OLD / "results", tmp_path / "results")
    stored = json.loads((folder / "analysis.json").read_text())
    triangle = [[0.0, 0.0], [0.0, 7.1], [7.6, 0.0]]
    stored["micrograph"]["metadata"] |= {"part_start": [2, 3], "part": triangle}
    (folder / "analysis.json").write_text(json.dumps(stored))
    analysis = load_results(folder, api.read(OLD / "copper.dm4"))
    assert analysis.micrograph.roi == RegionOfInterest((2, 3), tuple(map(tuple, triangle)))
    drawn = exhaust(reanalyse_after_specimen_edit(analysis, np.ones(analysis.specimen.shape)))
    assert drawn.specimen.mean() == pytest.approx(0.5, abs=0.03)


def test_a_document() -> None:
    analysis = api.load(OLD / "copper.temfft")
    check_copper(analysis)
    edited = api.without_spots(analysis, [analysis.spots[0].id])
    assert sum(spot.enabled for spot in edited.spots) == 2


def test_a_calibration_profile() -> None:
    micrograph = api.read(OLD / "copper.dm4", calibration_profile=OLD / "profile.json")
    stored = json.loads((OLD / "profile.json").read_text())["correction"]
    assert micrograph.calibration.pixel_size == pytest.approx([0.03 * f for f in stored["factors"]])
    assert micrograph.calibration.uncertainty < 0.005


def test_parameters() -> None:
    params, percent = read_params(OLD / "params.json")
    assert percent == 1.5
    assert params.spots.false_alarms == 0.02 and params.matching.stretch == 0.5
    assert read_params(OLD / "results" / "analysis.json")[0].spots.false_alarms == 0.02


def test_parameters_state_the_uncertainty_of_the_scale(tmp_path: Path) -> None:
    command = ["analyse", str(OLD / "copper.dm4"), "-o", str(tmp_path), "--params", str(OLD / "params.json")]
    assert main([*command, "--network", "none"]) == 0
    stored = json.loads((tmp_path / "copper.dm4" / "analysis.json").read_text())
    assert stored["micrograph"]["calibration"]["uncertainty"] == 0.015
    assert stored["parameters"]["calibration_uncertainty"] == 1.5


def test_an_analysis_whose_parameters_state_another_uncertainty_than_its_image(tmp_path: Path) -> None:
    """As napari of 0.1 saved them: what was named by holds."""
    folder = shutil.copytree(OLD / "results", tmp_path / "results")
    stored = json.loads((folder / "analysis.json").read_text())
    stored["micrograph"]["calibration"]["uncertainty"] = 0.02
    (folder / "analysis.json").write_text(json.dumps(stored))
    analysis = load_results(folder, api.read(OLD / "copper.dm4"))
    assert analysis.micrograph.calibration.uncertainty == 0.015


def test_a_model() -> None:
    config, predict = load_predict(OLD / "model")
    output = predict(np.zeros((*config.inputs.shape, len(config.inputs.channels)), np.float32))
    assert output.shape == config.inputs.shape and np.isfinite(output).all()


def test_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is read, its report is made again, and it is resumed: nothing is done twice."""
    run = tmp_path / "run"
    shutil.copytree(OLD / "run", run)
    shutil.copytree(OLD / "results", run / "copper.dm4")
    (record,) = read_records(run)
    assert record.state == "analysed" and record.folder == "copper.dm4"
    job = stored_job(read_run(run) or {}, str(run))
    assert job.names == ("Cu",) and job.params.network == "none"
    assert job.calibration_uncertainty is None  # it was not stated: each file's own
    described = json.loads((run / "run.json").read_text())
    described["inputs"] = [str(OLD / "copper.dm4")]
    (run / "run.json").write_text(json.dumps(described))
    assert main(["batch", "-o", str(run), "--resume", "--workers", "1"]) == 0
    assert "1 of 1 files analysed" in capsys.readouterr().out
    (note,) = json.loads((run / "run.json").read_text())["notes"]
    assert note.endswith("images analysed before are by napari-tem-fft 0.1.0")


def test_a_run_with_a_stated_uncertainty(tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(OLD / "run", run)
    shutil.copytree(OLD / "results", run / "copper.dm4")
    described = json.loads((run / "run.json").read_text())
    described["inputs"] = [str(OLD / "copper.dm4")]
    described["job"]["uncertainty_stated"] = described["settings"]["uncertainty stated"] = True
    described["job"]["params"]["calibration_uncertainty"] = 1.5
    described["settings"]["calibration_uncertainty"] = 1.5
    (run / "run.json").write_text(json.dumps(described))
    assert stored_job(read_run(run) or {}, str(run)).calibration_uncertainty == 1.5
    assert main(["batch", "-o", str(run), "--resume", "--workers", "1"]) == 0
