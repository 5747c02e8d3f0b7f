"""Random use of the window by a script: does each FFT belong to its image, and is nothing left behind?

    xvfb-run -a -s "-screen 0 1600x1000x24" python tests/benchmarks/random_use.py [--minutes 60] [--seed 0]
    xvfb-run -a -s "-screen 0 1600x1000x24" python tests/benchmarks/random_use.py --cycles 50

The first opens, runs, edits, undoes, selects, switches, crops, saves, clears, reopens, and closes docks in
random order, reproducibly for a given seed. After half of the actions it waits until no work is in progress,
and checks that exactly one image is shown, that the FFT next to it was computed from its pixels, that no
layer of another image is visible, that no internal error was reported to the user, and that no object of a
closed dock is alive. The second opens a file, runs, and clears all layers by the keyboard, repeatedly; every
second time during the run.

Printed are the actions that caused a fault, with their numbers, how often each action was performed, and the
resident memory after the first image (opened, analysed and cleared), after the first cycle and after the last
clearing of all layers. The first cycle performs each kind of action once, with all three images and all
docks, because napari, Qt, the OpenGL driver and Python load what an action needs on its first use; after it
and after the last action the same docks are open. Exits with 1 if there was a fault, or if the memory grew by
more than 100 MB after the first cycle.
"""

from __future__ import annotations

import argparse
import collections
import ctypes
import gc
import os
import sys
import tempfile
import time
from pathlib import Path
from weakref import WeakSet

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
os.environ.setdefault("NAPARI_CONFIG", "")
#: Rows, columns and pixel size (nm) of the images.
IMAGES = ((240, 256, 0.03), (300, 200, 0.02), (220, 220, 0.045))
#: In messages about what the user can mend.
OF_THE_USER = ("open a micrograph first", "is too small")
#: Most images that are open at a time, and most memory (MB) that may be left over.
MOST, LEFT_OVER = 6, 100.0


def main() -> None:
    from napari.utils.notifications import notification_manager

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--actions", type=int, default=10**9, help="stop after so many")
    parser.add_argument("--cycles", type=int, help="open, run and clear so often, and nothing else")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, notification_manager:
        user = User(Path(scratch), args.seed)
        if args.cycles is None:
            user.use(60 * args.minutes, args.actions)
        else:
            user.repeat(args.cycles)
        print(f"{sum(user.done.values())} actions, seed {args.seed}: {dict(user.done)}")
        first, last = user.first or user.memory[0], user.memory[-1]
        print(f"resident memory after the first image: {user.memory[0]:.0f} MB")
        print(f"resident memory after the first cycle and the last clearing: {first:.0f}, {last:.0f} MB")
        print(f"{user.bad} faults", flush=True)
    os._exit(1 if user.bad or last - first > LEFT_OVER else 0)


class User:
    """A user who performs any action at any time."""

    def __init__(self, place: Path, seed: int) -> None:
        import napari
        from napari.utils.notifications import notification_manager
        from qtpy.QtWidgets import QApplication

        register_plugin()
        self.random = np.random.default_rng(seed)
        self.place, self.files = place, [write(place, number) for number in range(len(IMAGES))]
        self.viewer = napari.Viewer()
        self.app = QApplication.instance()
        self.told = notification_manager.records
        self.done: collections.Counter[str] = collections.Counter()
        self.memory: list[float] = []
        self.first: float | None = None
        self.closed: WeakSet[object] = WeakSet()
        self.bad, self.start = 0, time.monotonic()
        self.open_main_dock()

    def open_main_dock(self) -> None:
        """Open the main dock, which opens the others, and select phases that are compared quickly."""
        from napari_tem_fft.widgets.docks.tem_fft import TemFftDock

        self.dock = TemFftDock(self.viewer)
        self.viewer.window.add_dock_widget(self.dock, name="TEM FFT")
        self.dock.network.value = ""
        self.dock.candidates.names.setText("LiF, Cu")
        self.wait(1.0)

    def wait(self, seconds: float) -> None:
        """Let Qt work for so long, in a loop: outside of one it does not delete what is to go later."""
        from qtpy.QtCore import QEventLoop, QTimer

        loop = QEventLoop()
        QTimer.singleShot(round(1000 * seconds), loop.quit)
        loop.exec()

    def rest(self) -> None:
        """Wait until no work is in progress."""
        end = time.monotonic() + 120
        while time.monotonic() < end and self.dock.session.running:
            self.wait(0.05)
        self.wait(0.1)

    def repeat(self, cycles: int) -> None:
        """Open, run and clear so often."""
        for number in range(cycles):
            self.told.clear()
            self.do_open(self.files[number % len(self.files)])
            self.click(self.dock.run)
            if number % 2:
                self.wait(float(self.random.uniform(0.0, 0.5)))
            else:
                self.rest()
            self.viewer.screenshot(flash=False)  # the canvas is drawn
            self.report(number, "run")
            self.clear()
            self.report(number, "clear")
            self.done["cycle"] += 1
        self.clear()

    def use(self, seconds: float, actions: int) -> None:
        """Perform actions until the time is over."""
        names = [name[3:] for name in dir(self) if name.startswith("do_")]
        self.repeat(1)
        self.take_each_once(names)
        end = time.monotonic() + seconds
        for number in range(actions):
            if time.monotonic() > end:
                break
            name = str(self.random.choice(names))
            self.take(name, number)
            self.wait(float(self.random.choice([0.0, 0.05, 0.5])))
            if self.random.random() < 0.5:
                self.rest()
                self.report(number, name)
        self.finish("closing all")

    def finish(self, action: str) -> None:
        """Close all that was opened, so that the memory that is left can be compared."""
        self.rest()
        self.clear()
        self.put_back()
        self.report(len(self.memory), action)
        self.clear()

    def take_each_once(self, names: list[str]) -> None:
        """Take every kind of action once, in an order in which all have an effect, and note the memory."""
        from napari_tem_fft.widgets.docks.dock import Dock

        for path in self.files:
            self.do_open(path)
            self.do_run()
            self.rest()
        one_image = ("select", "grain_fft", "deselect", "erase", "undo", "redo", "paint", "uncertainty")
        more = ("step", "cancel", "run", "switch", "run", "live", "part", "live")
        for name in (*one_image, *more):
            self.act(name)
        for _ in range(2):
            self.turn_panel()
        for theme in ("light", "dark"):
            self.viewer.theme = theme
            self.rest()
        for name in self.dock.on_demand:
            self.click(self.dock.on_demand[name])
        self.act("open_docks")
        kinds = {type(w) for w in self.viewer.window.dock_widgets.values() if isinstance(w, Dock)}
        for kind in kinds:
            for widget in [w for w in self.viewer.window.dock_widgets.values() if isinstance(w, kind)]:
                self.close(widget)
                del widget
        for name in ("reopen", "remove", *(name for name in names if name not in self.done)):
            self.act(name)
        self.finish("first cycle")
        self.first = self.memory[-1]

    def act(self, name: str) -> None:
        """Take an action, wait until nothing is under way, and report what is wrong."""
        self.take(name, 0)
        self.rest()
        self.report(0, name)

    def take(self, name: str, number: int) -> None:
        """Take an action, and report an exception, which does not end the use."""
        self.told.clear()
        try:
            getattr(self, f"do_{name}")()
        except Exception as error:
            self.bad += 1
            print(f"action {number}, {name}: {error!r}", flush=True)
        self.done[name] += 1

    def put_back(self) -> None:
        """Close the panel and the docks opened on demand, open all others, and choose the dark theme."""
        from napari_tem_fft.widgets.docks.tem_fft import ON_DEMAND

        if self.dock.panel.isChecked():
            self.click(self.dock.panel)
        kinds = tuple(ON_DEMAND.values())
        for widget in [w for w in self.viewer.window.dock_widgets.values() if isinstance(w, kinds)]:
            self.close_dock(widget)
            del widget
        self.close(self.dock)  # opened anew, it brings the others
        self.viewer.theme = "dark"
        self.wait(1.5)
        self.rest()

    def report(self, number: int, action: str) -> None:
        """Print faults of what is shown."""
        for fault in self.faults():
            self.bad += 1
            print(f"action {number}, {action}: {fault}", flush=True)

    def faults(self) -> list[str]:
        """Faults of what is shown, and error messages."""
        from napari_tem_fft.layers.image import IMAGE, KEY, content_id
        from napari_tem_fft.widgets.session.source import is_source

        told = [str(r.message) for r in self.told if str(r.severity) == "error"]
        found = [text for text in told if not any(words in text for words in OF_THE_USER)]
        shown = [layer for layer in self.viewer.layers if layer.visible]
        sources = [layer for layer in shown if is_source(layer)]
        image = self.dock.image.image
        if image is not None and sources != [image]:
            found.append(f"{[layer.name for layer in sources]} shown, {image.name} chosen")
        state = self.dock.session.current
        made = {content_id(np.asarray(image.data))} if image is not None else set()
        made |= {content_id(state.micrograph.pixels)} if state is not None else set()
        for layer in shown:
            of = layer.metadata.get(KEY, {}).get(IMAGE)
            if of is not None and of not in made:
                found.append(f"{layer.name} of another image is shown")
        if state is not None and state.layer is not image:
            found.append(f"results of {state.layer.name}, {image} chosen")
        if len(self.closed):
            for _ in range(3):  # Qt lets go of what was connected a turn after its widgets are collected
                gc.collect()
                self.wait(0.05)
            found += [f"{each!r} of a closed dock is alive" for each in list(self.closed)]
        return found

    def click(self, widget: object) -> None:
        """Click on a widget, if it can be clicked."""
        from qtpy.QtCore import QPoint, Qt
        from qtpy.QtTest import QTest

        QTest.mouseClick(widget, Qt.MouseButton.LeftButton, pos=QPoint(8, widget.height() // 2))

    def clear(self) -> None:
        """Remove all layers by the keyboard, and record the remaining memory."""
        from qtpy.QtCore import Qt
        from qtpy.QtTest import QTest

        layers = self.viewer.window._qt_viewer.layers
        QTest.keyClick(layers, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
        QTest.keyClick(layers, Qt.Key.Key_Delete)
        self.rest()
        if len(self.viewer.layers):
            self.bad += 1
            print(f"not cleared: {[layer.name for layer in self.viewer.layers]}", flush=True)
            self.viewer.layers.clear()
        self.wait(3.5)  # the session collects what Qt lets go of in several turns
        self.memory.append(resident())
        minutes = (time.monotonic() - self.start) / 60
        print(f"{minutes:.1f} min, all cleared: {self.memory[-1]:.0f} MB", flush=True)

    def do_open(self, path: Path | None = None) -> None:
        if len(self.dock.image._images) < MOST:
            self.viewer.open(str(path or self.random.choice(self.files)), plugin="napari-tem-fft")

    def do_run(self) -> None:
        self.click(self.dock.run)

    def do_step(self) -> None:
        self.click(self.dock.step)

    def do_cancel(self) -> None:
        self.click(self.dock.cancel)

    def do_switch(self) -> None:
        if self.dock.image.count() and self.dock.image.isEnabled():
            self.dock.image.setCurrentIndex(int(self.random.integers(self.dock.image.count())))

    def do_select(self) -> None:
        state = self.dock.session.current
        if state is not None and state.analysis is not None and state.grains:
            self.dock.session.look_at_grain(int(self.random.choice([grain.id for grain in state.grains])))

    def do_deselect(self) -> None:
        self.dock.session.deselect()

    def do_erase(self) -> None:
        state = self.dock.session.current
        if state is not None and state.analysis is not None and state.spots:
            self.dock.session.edits.enable(
                [int(self.random.choice([spot.id for spot in state.spots]))], False
            )

    def do_paint(self) -> None:
        """Paint a disc on the mask with the mouse."""
        from mouse import press_on_canvas

        state = self.dock.session.current
        mask = state.group.get("mask") if state is not None else None
        if mask is None or mask not in self.viewer.layers or not mask.visible or not mask.editable:
            return
        self.viewer.layers.selection.active = mask
        mask.mode, mask.brush_size = str(self.random.choice(["paint", "erase"])), 7
        place = mask.data_to_world(self.random.uniform(0.2, 0.8, 2) * mask.data.shape)
        press_on_canvas(self.viewer, place, np.add(place, 0.05))
        mask.mode = "pan_zoom"

    def do_undo(self) -> None:
        self.click(self.dock.spots.undo)

    def do_redo(self) -> None:
        self.click(self.dock.spots.redo)

    def do_live(self) -> None:
        self.click(self.dock.live)

    def do_grain_fft(self) -> None:
        self.click(self.dock.of_grain)

    def do_part(self) -> None:
        """Analyse the contents of the rectangle of the live FFT."""
        if self.dock.live.isChecked() and len(self.dock.image._images) < MOST:
            self.click(self.dock.part)

    def do_panel(self) -> None:
        if self.random.random() < 0.3:
            self.turn_panel()

    def turn_panel(self) -> None:
        if self.dock.panel.isEnabled():
            self.click(self.dock.panel)
            self.wait(0.5)

    def do_uncertainty(self) -> None:
        self.dock.uncertainty.setValue(float(self.random.choice([0.5, 1.0, 2.0])))

    def do_theme(self) -> None:
        self.viewer.theme = str(self.random.choice(["dark", "light"]))

    def do_close_dock(self) -> None:
        """Close a dock by its title bar, and open the main one again if it was closed."""
        from napari_tem_fft.widgets.docks.dock import Dock

        docks = [w for w in self.viewer.window.dock_widgets.values() if isinstance(w, Dock)]
        if not docks or self.random.random() < 0.5:
            return
        widget = docks.pop(int(self.random.integers(len(docks))))
        docks.clear()  # they would keep one that is closed later
        self.close(widget)

    def close(self, widget: object) -> None:
        """Close a dock, and open the main one again if it was that."""
        if widget is self.dock:
            self.rest()
            if self.dock.panel.isChecked():
                self.click(self.dock.panel)
        self.close_dock(widget)
        del widget
        self.wait(0.2)
        if not hasattr(self, "dock"):
            self.open_main_dock()

    def close_dock(self, widget: object) -> None:
        """Close a dock by its title bar, and check whether any of its objects stays alive."""
        from qtpy.QtWidgets import QWidget

        from napari_tem_fft.widgets.docks.dock import dock_of

        self.closed.update((widget, *widget.findChildren(QWidget)))
        dock_of(widget).title.close_button.click()
        if widget is getattr(self, "dock", None):
            del self.dock

    def do_open_docks(self) -> None:
        self.click(self.dock.on_demand[str(self.random.choice(list(self.dock.on_demand)))])
        self.click(self.dock.to_calibration)

    def do_remove(self) -> None:
        if len(self.viewer.layers):
            self.viewer.layers.selection = {
                self.viewer.layers[int(self.random.integers(len(self.viewer.layers)))]
            }
            self.viewer.layers.remove_selected()

    def do_reopen(self) -> None:
        """Save everything, clear all layers, open it again."""
        self.rest()
        if len(self.viewer.layers):
            paths = self.viewer.layers.save(str(self.place / "all.temfft"), plugin="napari-tem-fft")
            if not paths:
                self.bad += 1
                print(f"not saved: {[layer.name for layer in self.viewer.layers]}", flush=True)
                return
            self.viewer.layers.clear()
            self.wait(0.05)
            self.viewer.open(paths[0], plugin="napari-tem-fft")

    def do_clear(self) -> None:
        if self.random.random() < 0.3:
            self.clear()


def register_plugin() -> None:
    """Register the plugin with napari if it is not installed."""
    from npe2 import PluginManager, PluginManifest

    manager = PluginManager.instance()
    manager.discover()
    if "napari-tem-fft" not in manager:
        manager.register(PluginManifest.from_file(Path(__file__).parents[2] / "napari.yaml"))


def write(place: Path, number: int) -> Path:
    """A micrograph of fringes in noise."""
    from dm_writer import write_dm
    from forward_model import fringes

    rows, columns, size = IMAGES[number]
    y, x = np.mgrid[:rows, :columns]
    inside = np.hypot(y - rows / 2, x - columns / 2) < 0.4 * min(rows, columns)
    image = np.random.default_rng(number).normal(0, 1, (rows, columns))
    for azimuth in (20.0, 90.5):
        image += inside * 2 * fringes((rows, columns), (size, size), 0.2087, azimuth + 10 * number)
    return write_dm(place / f"film {number}.dm4", image.astype(np.float32), size, "nm")


def resident() -> float:
    """Memory of this process, MB, without what it has freed and the C library keeps for later (Linux)."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    main()
