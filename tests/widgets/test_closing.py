"""Closing napari while work runs leaves no process behind."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys
import napari
from napari.layers import Layer
from qtpy.QtCore import QTimer
from napari_tem_fft.plugin.reader import read_layers
from napari_tem_fft.widgets.docks.tem_fft import TemFftDock

viewer = napari.Viewer()
dock = TemFftDock(viewer)
viewer.window.add_dock_widget(dock, name="TEM FFT")
viewer.add_layer(Layer.create(*read_layers(sys.argv[1])[0]))
dock.session.runner.stepped.connect(lambda step: QTimer.singleShot(0, viewer.close))
QTimer.singleShot(0, dock.run.click)
napari.run(force=True)
print("closed", flush=True)
"""


@pytest.mark.skipif(os.environ.get("QT_QPA_PLATFORM") == "offscreen", reason="napari needs an OpenGL driver")
def test_the_process_ends_by_itself(grain_file):
    env = {**os.environ, "NAPARI_CONFIG": "", "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    command = [sys.executable, "-c", SCRIPT, str(grain_file)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["closed"]
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(
    os.environ.get("QT_QPA_PLATFORM") == "offscreen", reason="the canvas needs an OpenGL driver"
)
def test_opened_run_and_cleared_again_and_again_the_process_lives():
    """A short round of the benchmark, in a process of its own, which may crash."""
    script = Path(__file__).parents[1] / "benchmarks" / "random_use.py"
    env = {**os.environ, "NAPARI_CONFIG": "", "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    command = [sys.executable, str(script), "--cycles", "3"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0 and done.stdout.endswith("0 faults\n"), done.stdout + done.stderr
