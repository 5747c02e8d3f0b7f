"""Where TensorFlow cannot be installed the statistics find the spots, and the program says so."""

import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

#: A Python in which neither TensorFlow nor Keras can be imported.
BLOCKED = """
import os, sys
os.environ.pop("NAPARI_TEM_FFT_NETWORK", None)
sys.modules["tensorflow"] = sys.modules["keras"] = None
from napari_tem_fft.cli import main
sys.exit(main(sys.argv[1:]))
"""


def command_line(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", BLOCKED, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture(scope="module")
def image() -> Path:
    return Path(str(files("napari_tem_fft") / "data" / "edge.dm4"))


def test_the_statistics_work_alone_and_it_is_said(image: Path, tmp_path: Path) -> None:
    done = command_line("analyse", image, "-o", tmp_path, "--elements", "Cu, Li, O, C")
    assert done.returncode == 0, done.stderr
    assert "TensorFlow is missing" in done.stdout
    assert (tmp_path / "edge.dm4" / "spots.csv").read_text().count("\n") > 2


def test_a_network_by_name_is_refused_with_what_to_do(image: Path, tmp_path: Path) -> None:
    done = command_line("analyse", image, "-o", tmp_path, "--network", "spots")
    assert done.returncode == 2
    assert "needs TensorFlow" in done.stderr and "pip install tensorflow" in done.stderr
