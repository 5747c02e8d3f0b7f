"""What the network costs in napari: time to the first mask, the window's longest gap, memory over 200 images.

    python tests/benchmarks/network_process.py [FILE.dm4] [--model NAME_OR_FOLDER] [--calls 200]

Without a file the sample of the package is taken; without a model the default one, or, where there is none,
an untrained one of the same size. Prints

* reference: how long a bare Python takes to import TensorFlow, here and now;
* loading: time from opening the dock to a loaded network, CPU time that this took (which another load on the
  machine does not change), and the window's longest gap meanwhile;
* closing: time from closing the dock until the network's process is gone;
* cold: from opening the dock, with Run clicked at once, to the mask; CPU time of both processes, which run
  beside each other, so that two free processors take as long as the larger one;
* warm: from Run to the mask with the network loaded, of which the network's part, and without a network;
  the longest gap of each;
* memory of the network's process after 20 images and after all (resident, MiB).

Runs without a screen; under a screen with ``QT_QPA_PLATFORM=xcb`` the drawing is measured too.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from importlib.resources import files
from pathlib import Path

import numpy as np
from napari_latency import _stand_in_for_the_driver

UNTRAINED = """
import sys
from pathlib import Path
from napari_tem_fft.nn.model import ModelConfig, save_model
from napari_tem_fft.nn.prepare import InputParams
from napari_tem_fft.nn.unet import NetworkParams, network_for
inputs, network = InputParams(), NetworkParams()
save_model(Path(sys.argv[1]), ModelConfig("untrained", inputs, network), network_for(inputs, network))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?", type=Path, help="micrograph; the sample of the package by default")
    parser.add_argument("--model", default="", help="name of a model or path of its folder")
    parser.add_argument("--calls", type=int, default=200)
    args = parser.parse_args()
    file = args.file or Path(str(files("napari_tem_fft") / "data" / "sample.dm4"))
    with tempfile.TemporaryDirectory() as scratch:
        model = args.model or default_model(Path(scratch) / "untrained")
        bench = Bench(file)
        print(f"{file.name}: {bench.size} pixels; model {model}")
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", "import tensorflow"], check=True, capture_output=True)
        print(f"reference: import tensorflow takes {time.perf_counter() - start:.2f} s")
        bench.loading(model)
        bench.closing()
        bench.cold(model)
        bench.warm(model)
        bench.memory(args.calls)
    sys.stdout.flush()
    os._exit(0)


def default_model(scratch: Path) -> str:
    """Name of the default model; the folder of an untrained one where there is none."""
    from napari_tem_fft.nn.model import DEFAULT, shipped_models

    if DEFAULT in shipped_models():
        return DEFAULT
    subprocess.run([sys.executable, "-c", UNTRAINED, str(scratch)], check=True, capture_output=True)
    return str(scratch)


class Bench:
    """A viewer with one micrograph, and a beat that tells when the window does not answer."""

    def __init__(self, file: Path) -> None:
        _stand_in_for_the_driver()
        import napari
        from napari.layers import Layer
        from qtpy.QtCore import QTimer
        from qtpy.QtWidgets import QApplication

        from napari_tem_fft._reader import read_layers

        self.viewer = napari.Viewer(show=True)
        self.app = QApplication.instance()
        self.viewer.add_layer(Layer.create(*read_layers(str(file))[0]))
        self.size = " x ".join(map(str, self.viewer.layers[0].data.shape))
        self.beats: list[float] = []
        self.timer = QTimer(interval=5)
        self.timer.timeout.connect(lambda: self.beats.append(time.perf_counter()))
        self.timer.start()

    def until(self, ready, limit: float = 600.0) -> float:
        """Run the event loop until something is so; the time that it took."""
        start = time.perf_counter()
        while not ready():
            self.app.processEvents()
            time.sleep(0.0005)
            if time.perf_counter() - start > limit:
                break
        return time.perf_counter() - start

    def gap(self) -> float:
        """The longest time between two beats since the last question."""
        beats, self.beats[:] = np.array(self.beats), []
        return float(np.diff(beats).max()) if len(beats) > 1 else float("nan")

    def open(self, model: str) -> None:
        """Open the dock as a user does, with a network chosen."""
        from napari_tem_fft.widgets.tem_fft import TemFftDock

        self.dock = TemFftDock(self.viewer)
        self.session = self.dock.session
        self.dock.network.value = model
        self.viewer.window.add_dock_widget(self.dock, name="TEM FFT")
        self.until(lambda: self.session.network._holders)

    def loading(self, model: str) -> None:
        self.until(lambda: len(self.beats) > 20)
        start = time.perf_counter()
        self.open(model)
        opened = time.perf_counter() - start
        self.until(lambda: False, 0.5)  # the docks that come along are drawn
        self.beats.clear()
        self.until(lambda: self.session.network._process.state == "ready")
        loaded = time.perf_counter() - start
        print(
            f"loading: dock open after {opened:.2f} s, network loaded after {loaded:.2f} s;"
            f" {cpu_seconds(self.session.network._process.pid):.2f} s of CPU; gap {self.gap():.3f} s"
        )

    def closing(self) -> None:
        pid = self.session.network._process.pid
        start = time.perf_counter()
        self.viewer.window.remove_dock_widget(self.dock)
        self.until(lambda: not Path(f"/proc/{pid}").exists(), 30)
        print(f"closing: the process is gone {time.perf_counter() - start:.2f} s after the dock")

    def cold(self, model: str) -> None:
        start, busy = time.perf_counter(), time.process_time()
        self.open(model)
        self.dock.run.click()
        self.until(self.masked)
        network, window = cpu_seconds(self.session.network._process.pid), time.process_time() - busy
        print(
            f"cold: mask {time.perf_counter() - start:.2f} s after the dock was opened; CPU: {network:.2f} s"
            f" of the network's process, {window:.2f} s of the window's"
        )
        self.until(lambda: not self.session.running)

    def masked(self) -> bool:
        """Whether the mask of the run is shown."""
        return "mask" in self.session._roles

    def run(self) -> float:
        """Seconds from a click on Run to the mask."""
        start = time.perf_counter()
        self.dock.run.click()
        self.until(self.masked)
        seconds = time.perf_counter() - start
        self.until(lambda: not self.session.running)
        return seconds

    def runs(self, number: int = 3) -> str:
        self.beats.clear()
        best = min(self.run() for _ in range(number))
        return f"mask {best:.2f} s after Run (best of {number}), gap {self.gap():.3f} s"

    def warm(self, model: str) -> None:
        inside: list[float] = []
        process = self.session.network._process
        predict = process.predict

        def timed(inputs):
            start = time.perf_counter()
            output = predict(inputs)
            inside.append(time.perf_counter() - start)
            return output

        process.predict = timed
        print(f"warm: {self.runs()}, of which the network {min(inside):.3f} s")
        self.dock.network.value = ""
        print(f"without a network: {self.runs()}")
        self.dock.network.value = model
        self.until(lambda: self.session.network._process.state == "ready")

    def memory(self, calls: int) -> None:
        process = self.session.network._process
        config = process.config
        inputs = (
            np.random.default_rng(0)
            .normal(size=(*config.inputs.shape, len(config.inputs.channels)))
            .astype(np.float32)
        )
        sizes, seconds = [], []
        for _ in range(calls):
            start = time.perf_counter()
            process.predict(inputs)
            seconds.append(time.perf_counter() - start)
            sizes.append(resident(process.pid))
        first, last = sizes[min(20, calls - 1)], sizes[-1]
        print(
            f"memory of the process: {first:.0f} MiB after 20 images, {last:.0f} MiB after {calls}, at most"
            f" {max(sizes):.0f} MiB; {1000 * np.median(seconds):.0f} ms an image"
        )


def cpu_seconds(pid: int) -> float:
    """Time for which a process has had a processor."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> float:
    """Memory of a process, MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


if __name__ == "__main__":
    main()
