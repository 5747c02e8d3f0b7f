"""Response times in napari: from a brush stroke to profile and maps, and pauses of the window.

    python tests/benchmarks/napari_latency.py [FILE.dm4] [--strokes 2] [--frames 40] [--network none]

Without a file a simulated micrograph of 4096 x 4096 pixels with 30 grains is created; --size and --grains
create a smaller one. Printed are

* the time that napari alone needs to add an image and labels of 2049 x 2049 and to remove one, a second time;
* opening the docks and the file, and the first analysis, started just after opening the docks: seconds, the
  longest pause of the window during it (measured with a timer of 5 ms), and the processor time of the GUI
  thread in the most expensive of these pauses, which other work on the machine does not lengthen; time
  from *Run* to the mask, in the first analysis and in a second one;
* a row per stroke: erasing the disc of a spot, painting it again, painting elsewhere, erasing a disc with the
  bucket, undo, redo: seconds until the new profile and until the last of the maps is drawn, the longest
  pause, the processor time of the most expensive pause, and that of all threads until the maps; then the
  median and the largest of each;
* the FFT of a dragged rectangle of 512 x 512 pixels: frames per second, and the longest pause.

Without a display layers are not drawn; with one (``QT_QPA_PLATFORM=xcb``) their drawing is also measured, and
the time to draw the canvas. A virtual display draws in software, on the processor that everything else needs.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("NAPARI_CONFIG", "")
SIZE, GRAINS, SIDE = 4096, 30, 512


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?", type=Path, help="micrograph; a simulated one by default")
    parser.add_argument("--size", type=int, default=SIZE, help="pixels a side of the simulated one")
    parser.add_argument("--grains", type=int, default=GRAINS, help="grains of the simulated one")
    parser.add_argument("--strokes", type=int, default=2, help="how often each kind of stroke is done")
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--network", default="spots", help="name of a model or path of its folder, or none")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench()
        bench.napari_alone()
        file = args.file or simulated(Path(scratch) / "simulated.dm4", args.size, args.grains)
        bench.first_run(file, args.network)
    print("           seconds                  of processor")
    print("stroke     profile    maps     gap  in a gap    maps")
    row, rows = "{:9s} {:8.3f} {:7.3f} {:7.3f} {:9.3f} {:7.3f}", []
    for number in range(args.strokes):
        for kind, stroke in bench.strokes(number):
            rows.append(bench.follow(stroke))
            print(row.format(kind, *rows[-1]))
    print(row.format("median", *np.median(rows, axis=0)))
    print(row.format("maximum", *np.max(rows, axis=0)))
    rate, gap = bench.live(args.frames)
    print(f"live FFT of {SIDE} x {SIDE} pixels: {rate:.1f} frames a second, gap {gap:.3f} s")
    if bench.drawings:
        print(f"a drawing of the canvas: {1000 * np.median(bench.drawings):.0f} ms")
    sys.stdout.flush()
    os._exit(0)


def simulated(path: Path, size: int, grains: int) -> Path:
    """The micrograph of the benchmark `end_to_end.py`."""
    from end_to_end import make_micrograph

    make_micrograph(path, size, grains)
    return path


class Bench:
    """A viewer with the plugin's docks, and a timer that detects when the window does not respond."""

    def __init__(self) -> None:
        _stand_in_for_the_driver()
        import napari
        from qtpy.QtCore import QTimer
        from qtpy.QtWidgets import QApplication

        self.viewer = napari.Viewer(show=True)
        self.app = QApplication.instance()
        self.beats: list[tuple[float, float]] = []
        self.drawings: list[float] = []
        self.known = self.shown = None
        self.timer = QTimer(interval=5)
        self.timer.timeout.connect(lambda: self.beats.append((time.perf_counter(), time.thread_time())))
        self.timer.start()
        self._watch_canvas()

    def napari_alone(self) -> None:
        """Print the time for adding and removing layers without the plugin."""
        pixels, cells = np.zeros((2049, 2049), np.float32), np.zeros((2049, 2049), np.uint8)
        seconds: list[float] = []
        for _ in range(2):
            for act in (
                lambda: self.viewer.add_image(pixels, contrast_limits=(0, 1)),
                lambda: self.viewer.add_labels(cells),
                lambda: self.viewer.layers.pop(),
            ):
                start = time.thread_time()
                act()
                seconds.append(time.thread_time() - start)
                self.app.processEvents()
        self.viewer.layers.clear()
        words = "napari alone: image {:.3f} s, labels {:.3f} s, removing one {:.3f} s of processor"
        print(words.format(*seconds[3:]))

    def first_run(self, file: Path, network: str) -> None:
        """Open a file and analyse it, as a user does."""
        from napari.layers import Layer

        from napari_tem_fft.plugin.reader import read_layers
        from napari_tem_fft.widgets.docks.profile import ProfileDock
        from napari_tem_fft.widgets.docks.tem_fft import TemFftDock

        self.dock = TemFftDock(self.viewer)
        self.dock.network.value = network
        self.session = self.dock.session
        self.timed("opening the docks", lambda: self._open(self.dock), self._all_open)
        docks = self.viewer.window.dock_widgets.values()
        self.profile = next(dock for dock in docks if isinstance(dock, ProfileDock))
        self._watch_plot()
        layer = Layer.create(*read_layers(str(file))[0])
        self.timed("showing the image", lambda: self.viewer.add_layer(layer), lambda: True)
        masks = [self._analysed(what) for what in ("first analysis", "second analysis")]
        print("Run to the mask: {:.2f} s, then {:.2f} s".format(*masks))
        self.findings = self.session.current
        size = " x ".join(map(str, self.findings.micrograph.shape))
        found = f"{len(self.findings.spots)} spots in {len(self.findings.grains)} grains"
        print(f"{file.name}: {size}, {found}, {len(self.findings.components)} components")

    def _analysed(self, what: str) -> float:
        """Analyse the image; returns the seconds from *Run* to the mask of the spots."""
        from napari_tem_fft.layers.results import role_of

        moments: list[float] = []

        def note(step) -> None:
            if any(role_of(layer) == "mask" for layer in step.product.layers):
                moments.append(time.perf_counter())

        self.session.runner.stepped.connect(note)
        start = time.perf_counter()
        self.timed(what, self.dock.run.click, lambda: not self.session.running)
        self.session.runner.stepped.disconnect(note)
        return moments[0] - start

    def _open(self, dock) -> None:
        self.viewer.window.add_dock_widget(dock, name="TEM FFT")

    def _all_open(self) -> bool:
        """Whether the docks opened by the main one exist, and napari has had a second to load."""
        from napari_tem_fft.widgets.docks.tem_fft import BELOW

        wanted = tuple(BELOW.values())
        open_ = [w for w in self.viewer.window.dock_widgets.values() if isinstance(w, wanted)]
        rested = time.perf_counter() - self.beats[0][0] > 1.0
        return len(open_) == len(wanted) and rested

    def _watch_canvas(self) -> None:
        """Record the time of each drawing of the canvas."""
        canvas = self.viewer.window._qt_viewer.canvas.native
        draw = canvas.paintGL

        def timed() -> None:
            start = time.perf_counter()
            draw()
            self.drawings.append(time.perf_counter() - start)

        canvas.paintGL = timed

    def _watch_plot(self) -> None:
        """Record when profiles other than the known ones are first drawn."""
        plot = self.profile.plot
        paint = plot.paintEvent

        def timed(event) -> None:
            paint(event)
            if self.shown is None and plot.view.profiles is not self.known:
                self.shown = time.perf_counter()

        plot.paintEvent = timed

    def wait(self, ready, limit: float = 300.0) -> None:
        """Run the event loop until a condition is met."""
        start = time.perf_counter()
        while not ready():
            self.app.processEvents()
            time.sleep(0.0005)
            if time.perf_counter() - start > limit:
                raise TimeoutError

    def gaps(self) -> tuple[float, float]:
        """The longest pause since the timer was reset, and the processor time of the most expensive one."""
        count = len(self.beats)
        self.wait(lambda: len(self.beats) > count + 2)
        longest, costliest = np.diff(self.beats, axis=0).max(axis=0)
        return float(longest), float(costliest)

    def timed(self, what: str, act, ready) -> None:
        """Perform an action, wait until it is finished, and print its time and pauses."""
        self.start_beats()
        start = time.perf_counter()
        act()
        self.wait(ready)
        seconds = time.perf_counter() - start
        longest, costliest = self.gaps()
        print(f"{what}: {seconds:.2f} s, gap {longest:.3f} s ({costliest:.3f} s of processor)")

    def start_beats(self) -> None:
        self.beats[:] = [(time.perf_counter(), time.thread_time())]

    def strokes(self, number: int):
        """Each kind of stroke with the function that performs it."""
        mask = self.findings.group["mask"]
        spots = [spot for spot in self.findings.spots if spot.enabled]
        spot, other = spots[number % len(spots)], spots[-1 - number % len(spots)]
        half = (np.array(mask.data.shape) - 1) / 2
        empty = half + (0.31 + 0.04 * number) * half * np.array([1.0, 0.6])
        yield "erase", lambda: self._paint(mask, self._place(mask, spot), spot.radius, 0)
        yield "restore", lambda: self._paint(mask, self._place(mask, spot), spot.radius, 1)
        yield "paint", lambda: self._paint(mask, empty, spot.radius, 1)
        yield "fill", lambda: mask.fill(np.round(self._place(mask, other)), 0)
        yield "undo", self.session.edits.undo
        yield "redo", self.session.edits.redo

    def follow(self, stroke) -> tuple[float, float, float, float, float]:
        """Perform a stroke; returns the values of a row of the table."""
        known = self.findings.analysis
        self.known, self.shown = self.profile.plot.view.profiles, None
        self.start_beats()
        start, work = time.perf_counter(), time.process_time()
        stroke()
        self.wait(lambda: self.findings.analysis is not known and not self.session.running)
        self.app.processEvents()
        maps, work = time.perf_counter() - start, time.process_time() - work
        self.wait(lambda: self.shown is not None)
        return (self.shown - start, maps, *self.gaps(), work)

    def _place(self, mask, spot) -> np.ndarray:
        from napari_tem_fft.layers.image import KEY

        steps = np.array(mask.metadata[KEY]["step_1_nm"])
        return np.array(spot.g) / steps + (np.array(mask.data.shape) - 1) / 2

    def _paint(self, mask, centre, radius: float, label: int) -> None:
        from napari_tem_fft.layers.image import KEY

        mask.brush_size = int(2 * radius / min(mask.metadata[KEY]["step_1_nm"])) + 3
        mask.paint(centre, label)

    def live(self, frames: int) -> tuple[float, float]:
        """Drag a rectangle; returns the transforms shown per second, and the longest pause."""
        self.dock.live.setChecked(True)
        live = self.dock.live_fft
        self.wait(lambda: not live.runner.running)
        part, micrograph = live._group["part"], self.findings.micrograph
        side = min(SIDE, *micrograph.shape) * np.array(micrograph.pixel_size)
        corners = np.array([(0, 0), (0, 1), (1, 1), (1, 0)]) * side
        shown: list[object] = []
        live.runner.stepped.connect(shown.append)
        self.start_beats()
        start = time.perf_counter()
        for i in range(frames):
            part.data = [corners + (0.5 + 0.01 * i) * 0.2 * side]
            count = len(shown)
            self.wait(lambda count=count: len(shown) > count)
        self.wait(lambda: not live.runner.running)
        return len(shown) / (time.perf_counter() - start), self.gaps()[0]


def _stand_in_for_the_driver() -> None:
    """Answer napari's queries to the OpenGL driver if there is no display."""
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
