"""How long a person waits in napari: from a brush stroke to profile and maps, and the GUI's longest gap.

    python tests/benchmarks/napari_latency.py [FILE.dm4] [--strokes 6] [--frames 40]

Without a file the sample of the package is taken. A stroke erases or restores the disc of one spot; then
the time to the new profile and to the new maps is measured, and meanwhile a timer of 5 ms tells the longest
time for which the GUI did not answer, and the processor time that the GUI's thread spent in the costliest of
these gaps, and that all threads spent until the maps (other work on the machine does not count in either).
Then a rectangle of 512 x 512 pixels is dragged: transforms a second.
Runs without a screen; under a screen with ``QT_QPA_PLATFORM=xcb`` the drawing is measured too.
"""

from __future__ import annotations

import argparse
import os
import time
from importlib.resources import files
from pathlib import Path

import numpy as np

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("NAPARI_CONFIG", "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?", type=Path, help="micrograph; the sample of the package by default")
    parser.add_argument("--strokes", type=int, default=6)
    parser.add_argument("--frames", type=int, default=40)
    args = parser.parse_args()
    file = args.file or Path(str(files("napari_tem_fft") / "data" / "sample.dm4"))
    bench = Bench(file)
    print(f"{file.name}: {bench.size}, {len(bench.findings.spots)} spots")
    print("           seconds                            of processor")
    print("stroke     profile   maps  GUI's longest gap    maps  costliest gap")
    for number in range(args.strokes):
        print("{:9s} {:8.3f} {:6.3f} {:18.3f} {:7.3f} {:14.3f}".format(*bench.stroke(number)))
    print(f"live FFT of 512 x 512 pixels: {bench.live(args.frames):.1f} a second")
    os._exit(0)


class Bench:
    """A viewer with the main dock and one analysed micrograph."""

    def __init__(self, file: Path) -> None:
        _stand_in_for_the_driver()
        import napari
        from napari.layers import Layer
        from qtpy.QtCore import QTimer
        from qtpy.QtWidgets import QApplication

        from napari_tem_fft._reader import read_layers
        from napari_tem_fft.widgets.profile import ProfileDock
        from napari_tem_fft.widgets.tem_fft import TemFftDock

        self.viewer = napari.Viewer(show=os.environ["QT_QPA_PLATFORM"] != "offscreen")
        self.app = QApplication.instance()
        self.dock = TemFftDock(self.viewer)
        self.viewer.window.add_dock_widget(self.dock, name="TEM FFT")
        self.profile = ProfileDock(self.viewer)
        self.viewer.window.add_dock_widget(self.profile, name="profile", area="bottom")
        self.session = self.dock.session
        self.viewer.add_layer(Layer.create(*read_layers(str(file))[0]))
        self.beats: list[tuple[float, float]] = []
        self.timer = QTimer(interval=5)
        self.timer.timeout.connect(lambda: self.beats.append((time.perf_counter(), time.thread_time())))
        self.timer.start()
        self.dock.run.click()
        self.wait(lambda: not self.session.running)
        self.findings = self.session.current
        self.size = " x ".join(map(str, self.findings.micrograph.shape))

    def wait(self, ready, limit: float = 300.0) -> float:
        """Run the event loop until something is so; the time that it took."""
        start = time.perf_counter()
        while not ready():
            self.app.processEvents()
            time.sleep(0.001)
            if time.perf_counter() - start > limit:
                raise TimeoutError
        return time.perf_counter() - start

    def stroke(self, number: int) -> tuple[str, float, float, float, float, float]:
        """Erase the disc of a spot, or paint it again; and the numbers of a row of the table."""
        mask, before = self.findings.group["mask"], self.findings.profiles
        known = self.findings.analysis
        spot = self.findings.spots[number // 2 % len(self.findings.spots)]
        erase = spot.enabled
        self.beats.clear()
        start, cost, work = time.perf_counter(), time.thread_time(), time.process_time()
        self._paint(mask, spot, 0 if erase else 1)
        profile = self.wait(lambda: self.findings.profiles is not before)
        self.wait(lambda: self.findings.analysis is not known and not self.session.running)
        maps, work = time.perf_counter() - start, time.process_time() - work
        self.wait(lambda: len(self.beats) > 2)
        gaps, costs = np.diff([(start, cost), *self.beats], axis=0).max(axis=0)
        return ("erase" if erase else "restore"), profile, maps, float(gaps), work, float(costs)

    def _paint(self, mask, spot, label: int) -> None:
        from napari_tem_fft._layers import KEY

        steps = np.array(mask.metadata[KEY]["step_1_nm"])
        centre = np.array(spot.g) / steps + (np.array(mask.data.shape) - 1) / 2
        mask.brush_size = int(2 * spot.radius / steps.min()) + 3
        mask.paint(centre, label)

    def live(self, frames: int) -> float:
        """Drag a rectangle; transforms shown a second."""
        self.dock.live.setChecked(True)
        live = self.dock.live_fft
        self.wait(lambda: not live.runner.running)
        part = self.viewer.layers[f"part · {self.findings.micrograph.name}"]
        side = 512 * np.array(self.findings.micrograph.pixel_size)
        corners = np.array([(0, 0), (0, 1), (1, 1), (1, 0)]) * side
        shown: list[object] = []
        live.runner.stepped.connect(shown.append)
        start = time.perf_counter()
        for i in range(frames):
            part.data = [corners + (0.5 + 0.01 * i) * 0.2 * side]
            count = len(shown)
            self.wait(lambda count=count: len(shown) > count)
        self.wait(lambda: not live.runner.running)
        return len(shown) / (time.perf_counter() - start)


def _stand_in_for_the_driver() -> None:
    """Answer napari's questions to the OpenGL driver where there is no screen."""
    if os.environ["QT_QPA_PLATFORM"] != "offscreen":
        return
    import napari._vispy.canvas
    import napari._vispy.layers.base
    import napari._vispy.layers.image
    import napari._vispy.layers.labels

    layers = napari._vispy.layers
    for module in (layers.base, layers.image, layers.labels, napari._vispy.canvas):
        module.get_max_texture_sizes = lambda: (16384, 2048)
    layers.image.get_gl_extensions = lambda: ""


if __name__ == "__main__":
    main()
