"""A model in an analysis: in Python, on the command line, and in the results."""

import json
import shutil
import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from dm_writer import write_dm
from forward_model import fringes, white_noise
from napari_tem_fft import api
from napari_tem_fft.cli.main import main
from napari_tem_fft.core.image.calibration import Calibration
from napari_tem_fft.core.image.micrograph import Micrograph
from napari_tem_fft.core.pipeline import AnalysisParams
from napari_tem_fft.nn.inference.model import (
    ModelError,
    known_models,
    load_config,
    model_folder,
    resolve_name,
    shipped_models,
)
from small_network import INPUTS, small_model

PIXELS = (30 * fringes((300, 320), (0.02, 0.02), 0.235, 20.0) + white_noise((300, 320), 2, 60.0)).astype("f4")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "small"
    small_model(folder)
    return folder


def test_an_analysis_says_which_network_took_part(folder: Path) -> None:
    micrograph = Micrograph(PIXELS, Calibration.real((0.02, 0.02)), "fringes")
    analysis = api.analyse(micrograph, (), AnalysisParams(network=str(folder)))
    assert analysis.network is not None and analysis.network.name == "small"
    assert len(analysis.network.weights_sha256) == 64
    picture = analysis.picture
    assert picture is not None and picture.probability.shape == picture.grid.shape == INPUTS.grid.shape
    left, right = picture.probability[:, :31], picture.probability[:, 32:]
    assert np.array_equal(left[::-1, ::-1], right)
    assert [spot.origin for spot in analysis.spots] == ["window"]  # an untrained network deletes nothing


def test_none_is_the_statistics_alone() -> None:
    assert api.segment_of(AnalysisParams(network="none")) is None
    assert api.segment_of(AnalysisParams(network="")) is None


def test_the_command_line_keeps_the_name_and_the_hash(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_dm(tmp_path / "a.dm4", PIXELS, (0.02, 0.02), "nm")
    assert main(["analyse", str(file), "-o", str(tmp_path / "out"), "--network", str(folder)]) == 0
    assert "network small: " in capsys.readouterr().out
    stored = json.loads((tmp_path / "out" / "a.dm4" / "analysis.json").read_text())
    config = json.loads((folder / "config.json").read_text())
    assert stored["network"] == {
        "name": "small",
        "weights_sha256": config["weights_sha256"],
        "doubted": stored["network"]["doubted"],
    }
    assert stored["parameters"]["network"] == str(folder)


def test_the_usual_network_is_the_shipped_one_where_it_can_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NAPARI_TEM_FFT_NETWORK")
    assert resolve_name("auto") == "spots" and resolve_name("none") == resolve_name("") == ""
    monkeypatch.setenv("NAPARI_TEM_FFT_NETWORK", "ours")
    assert resolve_name("auto") == "ours" and resolve_name("theirs") == "theirs"


def test_a_model_is_found_by_its_path_or_by_its_name_among_the_users_own(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_tem_fft.nn.inference.model.own_folder", lambda: tmp_path)
    shutil.copytree(folder, tmp_path / "mine")
    assert model_folder(folder) == folder and model_folder("mine") == tmp_path / "mine"
    assert known_models() == (*shipped_models(), "mine") and "spots" in shipped_models()
    with pytest.raises(ModelError, match=r"theirs: neither the name of a model \(known: .*mine\)"):
        model_folder("theirs")
    with pytest.raises(ModelError, match=r"none: selects no model"):
        model_folder("none")
    with pytest.raises(ModelError, match="neither the name of a model"):
        model_folder("../mine")  # a name is no way out of the folder


@pytest.mark.parametrize("values", [{"least": 1.5}, {"least": -0.1}, {"disc": 0.0}, {"disc": 11.0}])
def test_a_configuration_that_no_model_can_have_is_refused(values: dict[str, float], tmp_path: Path) -> None:
    small_model(tmp_path / "model")
    path = tmp_path / "model" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
    with pytest.raises(ModelError, match=r"config\.json: impossible values"):
        load_config(path.parent)


#: A Python in which neither TensorFlow nor Keras can be imported, nor anything of a window.
BLOCKED = """
import os, sys
os.environ.pop("NAPARI_TEM_FFT_NETWORK", None)
sys.modules |= dict.fromkeys(["tensorflow", "keras", "napari", "qtpy", "PyQt6", "magicgui", "npe2"])
from napari_tem_fft.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def test_the_network_runs_without_tensorflow_and_without_napari(tmp_path: Path) -> None:
    image = str(files("napari_tem_fft") / "data" / "edge.dm4")
    command = [sys.executable, "-c", BLOCKED, "analyse", image, "-o", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == ""
    assert "network spots: " in done.stdout
    assert (tmp_path / "edge.dm4" / "spots.csv").read_text().count("\n") > 2


def test_a_damaged_model_ends_a_run_with_the_reason(folder: Path, tmp_path: Path) -> None:
    for name in ("config.json", "weights.keras"):
        shutil.copy(folder / name, tmp_path / name)
    with (tmp_path / "weights.keras").open("ab") as file:
        file.write(b"more")
    image = str(files("napari_tem_fft") / "data" / "edge.dm4")
    for command in ("analyse", "batch"):
        out = str(tmp_path / command)
        done = subprocess.run(
            [sys.executable, "-m", "napari_tem_fft", command, image, "-o", out, "--network", str(tmp_path)],
            capture_output=True, text=True, timeout=100,
        )  # fmt: skip
        assert done.returncode == 2 and "their SHA-256 differs" in done.stderr
