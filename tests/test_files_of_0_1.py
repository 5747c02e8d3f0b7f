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
from napari_tem_fft.core.pipeline import Analysis
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
    assert analysis.params.matching.stretch == 0.5 and analysis.params.spots.false_alarms == 0.02


def test_a_folder_of_results() -> None:
    check_copper(load_results(OLD / "results", api.read(OLD / "copper.dm4")))


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
    params = read_params(OLD / "params.json")
    assert params.spots.false_alarms == 0.02 and params.matching.stretch == 0.5
    assert read_params(OLD / "results" / "analysis.json").spots.false_alarms == 0.02


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
    described = json.loads((run / "run.json").read_text())
    described["inputs"] = [str(OLD / "copper.dm4")]
    (run / "run.json").write_text(json.dumps(described))
    assert main(["batch", "-o", str(run), "--resume", "--workers", "1"]) == 0
    assert "1 of 1 files analysed" in capsys.readouterr().out
