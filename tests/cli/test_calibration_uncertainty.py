"""How well a scale is known, on the command line: by option, profile or file of parameters, in this order."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dm_writer import write_dm
from forward_model import fringes, white_noise
from napari_tem_fft.cli.main import main
from napari_tem_fft.core.image.calibration import Correction
from napari_tem_fft.io.exchange.calibration_profile import CalibrationProfile, save_profile
from small_run import SameProcess

SHAPE, PIXEL = (256, 240), 0.03


@pytest.fixture(autouse=True)
def _no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_tem_fft.batch.backends.LocalWorkers", lambda job, _: SameProcess(job))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An image, a profile of 0.3 %, and parameters of 0.1 that state 1.5 %."""
    pixels = 5 * fringes(SHAPE, (PIXEL, PIXEL), 0.235, 20.0) + white_noise(SHAPE, 1)
    write_dm(tmp_path / "film.dm4", pixels.astype(np.float32), PIXEL, "nm")
    save_profile(tmp_path / "profile.json", CalibrationProfile(Correction((1.01, 1.01), 0.003, "Au 111")))
    params = {"calibration_uncertainty": 1.5, "network": "none", "spots": {"false_alarms": 0.02}}
    (tmp_path / "params.json").write_text(json.dumps(params))
    (tmp_path / "other.json").write_text(json.dumps({"network": "none"}))
    return tmp_path


def analysed(folder: Path, command: str, *options: str) -> dict[str, Any]:
    """The description that a command writes of the image."""
    output = folder / "out"
    restart = ["--restart"] if (output / "run.json").exists() else []
    known = [str(folder / word) if word.endswith(".json") else word for word in options]
    words = [command, str(folder / "film.dm4"), "-o", str(output), "--network", "none", *restart, *known]
    assert main(words) == 0
    stored: dict[str, Any] = json.loads((output / "film.dm4" / "analysis.json").read_text())
    return stored


@pytest.mark.parametrize("command", ["analyse", "batch"])
@pytest.mark.parametrize(
    ("options", "percent"),
    [
        ([], 2.0),
        (["--params", "other.json"], 2.0),
        (["--params", "params.json"], 1.5),
        (["--calibration-profile", "profile.json"], 0.3),
        (["--calibration-profile", "profile.json", "--params", "params.json"], 0.3),
        (["--calibration-uncertainty", "0.5", "--params", "params.json"], 0.5),
        (["--calibration-uncertainty", "0.5", "--calibration-profile", "profile.json"], 0.5),
    ],
)
def test_the_uncertainty_is_written_with_the_calibration_and_among_the_parameters(
    folder: Path, command: str, options: list[str], percent: float
) -> None:
    stored = analysed(folder, command, *options)
    assert stored["micrograph"]["calibration"]["uncertainty"] == pytest.approx(percent / 100)
    assert stored["parameters"]["calibration_uncertainty"] == percent


def test_an_earlier_analysis_as_parameters_states_its_uncertainty(folder: Path) -> None:
    analysed(folder, "analyse", "--calibration-uncertainty", "0.7")
    (folder / "out" / "film.dm4" / "analysis.json").rename(folder / "earlier.json")
    stored = analysed(folder, "analyse", "--params", "earlier.json")
    assert stored["parameters"]["calibration_uncertainty"] == 0.7


def test_a_run_is_resumed_with_the_uncertainty_it_was_begun_with(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    analysed(folder, "batch", "--calibration-uncertainty", "0.5")
    resume = ["batch", "-o", str(folder / "out"), "--resume"]
    assert main(resume) == 0
    assert main([*resume, "--calibration-uncertainty", "0.4"]) == 2
    assert "calibration_uncertainty: 0.5 then, 0.4 now" in capsys.readouterr().err


def test_a_resumed_run_keeps_its_profile_before_a_file_of_parameters(folder: Path) -> None:
    parameters = ["--params", str(folder / "params.json")]
    analysed(folder, "batch", "--calibration-profile", "profile.json", *parameters)
    assert main(["batch", "-o", str(folder / "out"), "--resume", "--network", "none", *parameters]) == 0


@pytest.mark.parametrize("command", ["analyse", "batch", "pattern"])
@pytest.mark.parametrize("percent", ["0", "30", "much"])
def test_an_uncertainty_out_of_the_question_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], command: str, percent: str
) -> None:
    words = [command, str(folder / "film.dm4"), "-o", str(folder), "--calibration-uncertainty", percent]
    try:
        code: Any = main(words)
    except SystemExit as end:
        code = end.code
    assert code == 2 and "calibration" in capsys.readouterr().err


def test_a_parameter_file_with_an_uncertainty_out_of_the_question_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for value in (50.0, "much", None, True):
        (folder / "params.json").write_text(json.dumps({"calibration_uncertainty": value}))
        command = ["analyse", str(folder / "film.dm4"), "-o", str(folder)]
        assert main([*command, "--params", str(folder / "params.json")]) == 2
        assert "params.json: not a parameter file" in capsys.readouterr().err
