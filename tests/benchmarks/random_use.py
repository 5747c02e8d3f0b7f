"""Random use of the window by a script: is the right image beside each FFT, and is nothing left behind?

    xvfb-run -a -s "-screen 0 1600x1000x24" python tests/benchmarks/random_use.py [--minutes 60] [--seed 0]

Opens, runs, edits, undoes, selects, switches, saves, clears and reopens in random order; the same seed does
the same again. After each action it is checked that one image alone is shown, that the FFT beside it was made
of its pixels, that no layer of another image is seen, and that nobody was told of a fault that is none of the
user's. Printed are the actions with a fault, with the number of the action, how often each action was done,
and the resident memory after the first clearing of all layers and after the last.
"""

from __future__ import annotations

import argparse
import collections
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
os.environ.setdefault("NAPARI_CONFIG", "")
#: Rows, columns and pixel size (nm) of the images.
IMAGES = ((240, 256, 0.03), (300, 200, 0.02), (220, 220, 0.045))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--actions", type=int, default=10**9, help="stop after so many")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        user = User(Path(scratch), args.seed)
        faults = user.use(60 * args.minutes, args.actions)
        print(f"{sum(user.done.values())} actions, seed {args.seed}: {dict(user.done)}")
        first, last = user.memory[0], user.memory[-1]
        print(f"resident memory after the first and the last clearing: {first:.0f}, {last:.0f} MB")
        print(f"{faults} faults", flush=True)
    os._exit(1 if faults else 0)


class User:
    """Somebody who does anything at any time."""

    def __init__(self, place: Path, seed: int) -> None:
        import napari
        from napari.utils.notifications import notification_manager
        from qtpy.QtWidgets import QApplication

        from napari_tem_fft.widgets.docks.tem_fft import TemFftDock

        self.random = np.random.default_rng(seed)
        self.place, self.files = place, [write(place, number) for number in range(len(IMAGES))]
        self.viewer = napari.Viewer()
        self.app = QApplication.instance()
        self.dock = TemFftDock(self.viewer)
        self.viewer.window.add_dock_widget(self.dock, name="TEM FFT")
        self.dock.network.value = ""
        self.dock.candidates.names.setText("LiF, Cu")
        self.told = notification_manager.records
        self.done: collections.Counter[str] = collections.Counter()
        self.memory: list[float] = []
        self.wait(2.0)

    def wait(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.app.processEvents()
            time.sleep(0.005)

    def rest(self) -> None:
        """Wait until nothing is under way."""
        end = time.monotonic() + 120
        while time.monotonic() < end and self.dock.session.running:
            self.wait(0.05)
        self.wait(0.1)

    def use(self, seconds: float, actions: int) -> int:
        """Act until the time is over; returns the number of faults."""
        end, faults = time.monotonic() + seconds, 0
        names = [name[3:] for name in dir(self) if name.startswith("do_")]
        self.do_clear()
        for number in range(actions):
            if time.monotonic() > end:
                break
            name = str(self.random.choice(names))
            self.told.clear()
            getattr(self, f"do_{name}")()
            self.wait(float(self.random.choice([0.0, 0.05, 0.5])))
            if self.random.random() < 0.5:
                self.rest()
                for fault in self.faults():
                    faults += 1
                    print(f"action {number}, {name}: {fault}", flush=True)
            self.done[name] += 1
        self.rest()
        self.do_clear()
        return faults

    def faults(self) -> list[str]:
        """What is wrong with what is shown."""
        from napari_tem_fft.layers.identity import IMAGE, content_id
        from napari_tem_fft.layers.results import KEY
        from napari_tem_fft.widgets.session.source import is_source

        found = [
            str(r.message) for r in self.told if str(r.severity) == "error" and "first" not in str(r.message)
        ]
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
        return found

    def do_open(self) -> None:
        if len(self.dock.image._images) < 6:
            self.viewer.open(str(self.random.choice(self.files)), plugin="napari-tem-fft")

    def do_run(self) -> None:
        self.dock.run.click()

    def do_step(self) -> None:
        self.dock.step.click()

    def do_cancel(self) -> None:
        self.dock.cancel.click()

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

    def do_undo(self) -> None:
        self.dock.spots.undo.click()

    def do_live(self) -> None:
        self.dock.live.setChecked(not self.dock.live.isChecked())

    def do_panel(self) -> None:
        if self.dock.panel.isEnabled() and self.random.random() < 0.3:
            self.dock.panel.setChecked(not self.dock.panel.isChecked())
            self.wait(0.5)

    def do_remove(self) -> None:
        if len(self.viewer.layers):
            self.viewer.layers.selection = {
                self.viewer.layers[int(self.random.integers(len(self.viewer.layers)))]
            }
            self.viewer.layers.remove_selected()

    def do_reopen(self) -> None:
        """Save all, clear all, open again."""
        self.rest()
        if len(self.viewer.layers):
            (path,) = self.viewer.layers.save(str(self.place / "all.temfft"), plugin="napari-tem-fft")
            self.viewer.layers.clear()
            self.wait(0.05)
            self.viewer.open(path, plugin="napari-tem-fft")

    def do_clear(self) -> None:
        if self.memory and self.random.random() < 0.7:
            return
        self.viewer.layers.select_all()
        self.viewer.layers.remove_selected()
        self.rest()
        self.memory.append(resident())


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
    """Memory of this process, MB."""
    import gc

    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    main()
