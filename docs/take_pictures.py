"""Pictures of the window: every dock in dark and light theme and two sizes, and those of the README's tour.

    xvfb-run -a -s "-screen 0 2000x1200x24" python docs/take_pictures.py docks OUTPUT [--sizes 1280x800 ...]
    xvfb-run -a -s "-screen 0 2000x1200x24" python docs/take_pictures.py tour docs/images
    xvfb-run -a -s "-screen 0 2000x1200x24" python docs/take_pictures.py all OUTPUT
    python docs/take_pictures.py shrink FOLDER

The first writes DOCK_THEME_SIZE.png and tells, of each, whether the window kept the size that it was given,
and which labels and buttons are narrower than their text. The second walks through the tour of the README
with the mouse of Qt, takes its pictures, and tells what the window said. The third does both, into one
folder. The last gives each picture of a folder that is larger than 250 kB a palette.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import numpy as np

os.environ.setdefault("NAPARI_CONFIG", "")
#: Largest picture of the README, bytes; the scales and numbers of colours that are tried for it.
LARGEST, SCALES, COLOURS = 250_000, (1.0, 0.85, 0.7, 0.6, 0.5), (256, 128, 96)
DOCKS = ("TEM FFT", "Profile", "Results", "Spots", "Calibration", "Series", "Batch", "Train", "Library")


class Window:
    """napari with the sample, its analysis and all docks."""

    def __init__(self, network: bool = False) -> None:
        import napari
        from qtpy.QtWidgets import QApplication

        from napari_tem_fft.widgets.docks.tem_fft import TemFftDock

        self.viewer = napari.Viewer()
        self.app = QApplication.instance()
        self.dock = TemFftDock(self.viewer)
        self.main = self.viewer.window.add_dock_widget(self.dock, name="TEM FFT")
        if not network:
            self.dock.network.value = ""
        self.wait(2.0)
        for name in ("Series", "Batch", "Train", "Library"):
            self.dock.open_dock(name)
        self.main.raise_()
        self.wait(1.0)

    def wait(self, seconds: float = 0.5, until: Callable[[], bool] | None = None) -> None:
        """Let napari draw for so long, or until something is so."""
        import time

        end = time.monotonic() + (600 if until else seconds)
        while time.monotonic() < end and not (until and until()):
            self.app.processEvents()
            time.sleep(0.01)
        self.app.processEvents()

    def open_sample(self) -> None:
        """Open the package's sample, and say what it can hold."""
        self.viewer.open(str(files("napari_tem_fft") / "data" / "sample.dm4"), plugin="napari-tem-fft")
        self.dock.candidates.elements.setText("Li, C, O, Cu")
        self.wait(1.0)

    def run(self) -> None:
        """Run the whole chain."""
        self.dock.run.click()
        self.rest()

    def rest(self) -> None:
        """Wait until nothing is under way."""
        session = self.dock.session
        self.wait(until=lambda: not (session.running or session.spotlight.runner.running))
        self.wait(1.0)
        self.wait(until=self._labelled)

    def _labelled(self) -> bool:
        """Whether every text of the plots that are seen has its picture."""
        from napari_tem_fft.widgets.plots.canvas import QuickText

        figures = [
            canvas.figure
            for canvas in self.app.allWidgets()
            if hasattr(canvas, "figure") and canvas.isVisible()
        ]
        return all(text.ready() for figure in figures for text in figure.findobj(QuickText))

    def resize(self, width: int, height: int) -> tuple[int, int]:
        """Give the window a size, and return the one that it takes."""
        window = self.viewer.window._qt_window
        window.showNormal()
        window.resize(width, height)
        self.wait(0.6)
        return window.width(), window.height()

    def show(self, name: str) -> object:
        """Bring a dock to the front; returns its widget."""
        widgets = self.viewer.window.dock_widgets
        widget = widgets.get(name) or widgets[f"{name} (TEM FFT)"]
        from napari_tem_fft.widgets.docks.dock import dock_of

        dock_of(widget).raise_()
        self.wait(0.4)
        return widget

    def picture(self) -> np.ndarray:
        """The whole window as pixels."""
        self.wait(0.4)
        return self.viewer.screenshot(canvas_only=False, flash=False)


def clipped(widget: object) -> list[str]:
    """Texts of visible labels and buttons that are narrower than they need."""
    from qtpy.QtWidgets import QAbstractButton, QLabel

    found = []
    for child in (*widget.findChildren(QAbstractButton), *widget.findChildren(QLabel)):
        words = isinstance(child, QLabel) and child.wordWrap()
        needed = child.minimumSizeHint() if words else child.sizeHint()
        short = child.width() < needed.width() - 1 and not words
        low = words and child.height() < child.heightForWidth(child.width()) - 1
        if child.isVisible() and child.text() and (short or low):
            found.append(f"{child.text()[:40]!r} {child.width()} of {needed.width()}")
    return found


def ran_batch(window: Window) -> None:
    """Run the package's samples in the Batch dock."""
    batch = window.show("Batch")
    window.dock.candidates.elements.setText("Li, C, O, F, Cu")
    session, results = (Path(tempfile.gettempdir()) / name for name in ("session", "results"))
    session.mkdir(exist_ok=True)
    shutil.rmtree(results, ignore_errors=True)
    for sample in (files("napari_tem_fft") / "data").iterdir():
        if sample.name.endswith(".dm4"):
            (session / sample.name).write_bytes(sample.read_bytes())
    batch.form.add_inputs([str(session)])
    batch.form.output.setText(str(results))
    batch.start.click()
    window.wait(until=lambda: not batch.run.running)


def take_docks(output: Path, sizes: list[str]) -> None:
    """Every dock in both themes and all sizes."""
    window = Window()
    window.open_sample()
    window.run()
    window.show("Results").components.maps.trigger()
    window.wait(until=lambda: window.dock.session.current.group.get("orientation") is not None)
    ran_batch(window)
    for theme in ("dark", "light"):
        window.viewer.theme = theme
        for size in sizes:
            asked = tuple(map(int, size.split("x")))
            for name in DOCKS:
                widget = window.show(name)
                got = window.resize(*asked)
                window.dock.views.wanted.emit("both")
                path = output / f"{name.replace(' ', '_').lower()}_{theme}_{size}.png"
                save(path, window.picture())
                short = "; ".join(clipped(widget)) or "nothing clipped"
                print(f"{path.name}: {'as asked' if got == asked else f'{got} instead'}; {short}", flush=True)
    os._exit(0)


def save(path: Path, image: np.ndarray, most: int | None = None) -> None:
    """Write a picture; with a palette, and smaller, where it has more bytes."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(image[..., :3])
    picture.save(path, optimize=True)
    for scale in SCALES if most else ():
        size = round(scale * picture.width), round(scale * picture.height)
        smaller = picture.resize(size, Image.Resampling.LANCZOS) if scale < 1 else picture
        for colours in COLOURS:
            if path.stat().st_size < (most or 0):
                return
            reduced = smaller.quantize(
                colours, Image.Quantize.MAXCOVERAGE, kmeans=3, dither=Image.Dither.NONE
            )
            reduced.save(path, optimize=True)


def take_tour(output: Path) -> None:
    """The README's pictures that show docks."""
    window = Window()
    window.show("TEM FFT")
    window.resize(1280, 800)
    window.open_sample()
    save(output / "tour_open.png", window.picture(), LARGEST)
    window.run()
    window.show("TEM FFT")
    window.show("Profile")
    window.dock.views.wanted.emit("both")
    save(output / "tour_run.png", window.picture(), LARGEST)
    window.resize(1440, 900)
    window.dock.views.wanted.emit("both")
    save(output / "main.png", window.picture(), LARGEST)
    window.resize(1280, 800)
    take_choices(window, output)
    components = window.show("Results").components
    window.dock.views.wanted.emit("both")
    components.tree.expandAll()
    save(output / "tour_components.png", window.picture(), LARGEST)
    components.tree.collapseAll()
    components.show_sizes.setChecked(True)
    components.maps.trigger()
    window.wait(until=lambda: window.dock.session.current.group.get("orientation") is not None)
    window.dock.views.wanted.emit("real")
    save(output / "tour_grains.png", window.picture(), LARGEST)
    ran_batch(window)
    window.dock.session.current.group.remove("orientation")
    save(output / "tour_batch.png", window.picture(), LARGEST)
    window.show("TEM FFT")
    window.show("Profile")
    window.dock.panel.setChecked(True)
    window.rest()
    window.resize(1440, 900)
    save(output / "panel.png", window.picture(), LARGEST)
    os._exit(0)


def take_choices(window: Window, output: Path) -> None:
    """What clicks, a ring, a line and a question about a phase give, with the mouse."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from mouse import press_on_canvas

    window.dock.views.wanted.emit("both")
    window.wait(0.5)
    findings = window.dock.session.current
    plane = findings.group.plane()

    def place(g: tuple[float, float]) -> np.ndarray:
        return np.add(plane.centre, np.multiply(plane.factor, g))

    def said(what: str) -> None:
        chosen, words = window.dock.choice.text(), window.dock.spots.said.text()
        print(f"{what}: {window.viewer.status!r} {chosen!r} {words!r}")

    strong = max(findings.spots, key=lambda spot: spot.snr)
    press_on_canvas(window.viewer, place(strong.g))
    window.rest()
    said("a click on the strongest spot")
    save(output / "tour_choose.png", window.picture(), LARGEST)
    window.dock.spots.tools["ring"].click()
    press_on_canvas(window.viewer, place((0.0, 4.6)), place((0.0, 4.8)), place((0.0, 5.0)))
    window.rest()
    said("a ring around Cu 111")
    save(output / "tour_ring.png", window.picture(), LARGEST)
    window.dock.session.pick(None)
    window.dock.spots.tools["remove"].click()
    press_on_canvas(window.viewer, place(strong.g))
    window.rest()
    said("the strongest spot removed")
    save(output / "tour_remove.png", window.picture(), LARGEST)
    window.dock.spots.undo.click()
    window.rest()
    window.dock.spots.tools["line"].click()
    press_on_canvas(window.viewer, place((0.0, 0.0)), place(np.multiply(0.5, strong.g)), place(strong.g))
    window.wait(1.0)
    said("a line from g = 0 to the strongest spot")
    save(output / "tour_line.png", window.picture(), LARGEST)
    window.dock.session.deselect()
    window.show("Spots")
    press_on_canvas(window.viewer, place(strong.g))
    window.rest()
    save(output / "tour_spots.png", window.picture(), LARGEST)
    window.dock.session.deselect()
    why = window.show("Results").candidates
    window.dock.session.look_at_grain(findings.grains[0].id)
    window.rest()
    why.question.name.setText("Au")
    why.question.rings.click()
    why.question.why.click()
    window.wait(until=lambda: why.reason.text().startswith("Au"))
    window.dock.views.wanted.emit("both")
    save(output / "tour_why.png", window.picture(), LARGEST)
    why.clear.click()
    window.show("Profile")
    window.rest()


def shrink(folder: Path) -> None:
    """Give pictures that are too large a palette."""
    from PIL import Image

    for path in sorted(folder.glob("*.png")):
        before = path.stat().st_size
        if before > LARGEST:
            save(path, np.asarray(Image.open(path).convert("RGB")), LARGEST)
            print(f"{path.name}: {before} -> {path.stat().st_size} bytes")


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("docks", "tour", "all", "shrink"))
    parser.add_argument("output", type=Path)
    parser.add_argument("--sizes", nargs="+", default=["1280x800", "1920x1080"])
    args = parser.parse_args()
    if args.what == "docks":
        take_docks(args.output, args.sizes)
    elif args.what == "tour":
        take_tour(args.output)
    elif args.what == "all":  # napari starts anew for each, in a process of its own
        for what in ("docks", "tour"):
            subprocess.run([sys.executable, __file__, what, args.output, "--sizes", *args.sizes], check=True)
    else:
        shrink(args.output)


if __name__ == "__main__":
    main()
