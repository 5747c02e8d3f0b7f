"""Comparison with other programs on the same images with the same pixel size.

    python tests/benchmarks/peers.py --data DIR [--cache DIR] [--peer RUNNER.py] [--only NAME,...]

DIR contains simulated micrographs (``images/`` and ``truth/``). hyperspy, pyxem, ncempy and pyTEMlib are
installed from the package registry into separate environments in the cache folder, unless they exist; a
program that cannot be installed is skipped with a message. Answers are stored there, too, and reused.
``--peer`` adds a program by its runner, which is run by this Python (see `peer_runners/exchange.py`). The
functions of each program are used as documented, with their defaults and with further settings; for the
second line of each, the setting with the largest F1 over all images was chosen afterwards, in its favour.

Printed over all micrographs with crystals: visible reflections found (d from 0.12 to 0.55 nm), false spots,
F1, error of d (median and 95th percentile) of those found; false spots per image without crystals (white
noise, amorphous films, and the micrograph without any); for programs that name phases the correct and wrong
ones, and Dice of the maps; processor seconds (median) and memory per image. ``--figure PNG`` plots found
against false spots.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import venv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from detection import distinct, false_ones, near, visible
from false_alarms import PIXEL
from false_alarms import field as noise_field
from numpy.typing import NDArray
from score_dev import uncertainty

from napari_tem_fft.io.readers.micrographs import read_micrograph
from napari_tem_fft.io.results.map_files import read_map

RUNNERS = Path(__file__).parent / "peer_runners"
#: Peer -> what is installed for it.
PEERS = {
    "hyperspy": ("hyperspy", "scikit-image"),
    "pyxem": ("pyxem",),
    "ncempy": ("ncempy",),
    "pytemlib": ("pyTEMlib",),
}
LIMITS = (1 / 0.55, 1 / 0.12)
#: Longest time for one image and all settings of a peer, s.
PATIENCE = 600
Points = NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """An image with its ground truth."""

    name: str
    image: NDArray[np.float32]
    pixel_size: tuple[float, float]
    truth: Mapping[str, Any] = field(default_factory=dict)
    folder: Path = Path()

    @property
    def candidates(self) -> list[str]:
        return list(self.truth.get("candidates", []))


@dataclass
class Score:
    """Result of one setting of a program over all images."""

    true: int = 0
    found: int = 0
    false: int = 0
    noise_images: int = 0
    noise_spots: int = 0
    errors: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    memory: float = 0.0
    phases: list[int] = field(default_factory=lambda: [0, 0, 0])
    dice: list[float] = field(default_factory=list)

    @property
    def f1(self) -> float:
        return 2 * self.found / max(self.found + self.true + self.false, 1)


def cases(data: Path, fields: int) -> Iterator[Case]:
    """The micrographs with ground truth, then fields without crystals."""
    for path in sorted((data / "images").glob("*.dm4")):
        micrograph = read_micrograph(path)
        truth = json.loads((data / "truth" / f"{path.stem}.json").read_text())
        pixels = np.asarray(micrograph.pixels, np.float32)
        yield Case(path.stem, pixels, micrograph.pixel_size, truth, data / "truth")
    for kind in ("white", "film"):
        for seed in range(fields):
            pixels = noise_field(kind, 1024, 9000 + seed).astype(np.float32)
            yield Case(f"{kind} {seed}", pixels, PIXEL)


def python_of(peer: str, cache: Path) -> Path | None:
    """The Python of a program's environment, created if it is missing; None if that fails."""
    folder = cache / peer
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists():
        print(f"installing {peer} into {folder}", file=sys.stderr)
        venv.create(folder, with_pip=True)
    command = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *PEERS[peer]]
    if not (folder / "installed").exists():
        if subprocess.run(command, capture_output=True).returncode:
            return None
        (folder / "installed").touch()
    return python


def runs_of(python: Path, runner: Path, case: Case, place: Path) -> dict[str, Any]:
    """Answer of a runner for an image, possibly from an earlier call; empty if it fails."""
    given, answered = place / "image.npz", place / "answer.json"
    if answered.is_file() and answered.stat().st_mtime > runner.stat().st_mtime:
        return dict(json.loads(answered.read_text()))
    place.mkdir(parents=True, exist_ok=True)
    np.savez(given, image=case.image, pixel_size=case.pixel_size, limits=LIMITS)
    about = {"name": case.name, "candidates": case.candidates, "uncertainty": uncertainty(case.name)}
    given.with_suffix(".json").write_text(json.dumps(about))
    try:
        done = subprocess.run(
            [python, runner, given, answered], capture_output=True, text=True, timeout=PATIENCE
        )
    except subprocess.TimeoutExpired:
        print(f"{runner.stem}, {case.name}: no answer within {PATIENCE} s", file=sys.stderr)
        return {}
    if done.returncode:
        print(f"{runner.stem}, {case.name}: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
        return {}
    return dict(json.loads(answered.read_text()))


def add(score: Score, run: Mapping[str, Any], case: Case, place: Path) -> None:
    """Add the answer for one image to the score of its setting."""
    found = np.array(run["g"], float).reshape(-1, 2)
    score.seconds.append(run["seconds"])
    score.memory = max(score.memory, run["memory"])
    true, tolerance = visible(dict(case.truth)) if case.truth else (np.zeros((0, 2)), np.zeros(0))
    if not len(true):
        score.noise_images += 1
        score.noise_spots += len(distinct(found, 0.1))
    else:
        score.true += len(true)
        score.found += int(near(true, found, tolerance).sum())
        score.false += false_ones(found, true, tolerance)
        score.errors += errors_of_d(true, found, tolerance)
    if "maps" in run:
        add_maps(score, run["maps"], case, place)


def errors_of_d(true: Points, found: Points, tolerance: Points) -> list[float]:
    """Relative error of d of each reflection found, with the nearest answer."""
    errors = []
    for g, reach in zip(true, tolerance, strict=True):
        if len(found):
            apart = np.minimum(np.linalg.norm(found - g, axis=1), np.linalg.norm(found + g, axis=1))
            nearest = int(np.argmin(apart))
            if apart[nearest] < reach:
                errors.append(abs(float(np.linalg.norm(g) / np.linalg.norm(found[nearest])) - 1))
    return errors


def add_maps(score: Score, maps: Mapping[str, str], case: Case, place: Path) -> None:
    """Phases right, missed and wrong, and the Dice coefficient of each phase in the image."""
    from skimage.io import imread
    from skimage.transform import resize

    there = case.truth.get("phases_detectable", [])
    score.phases[0] += len(set(there) & set(maps))
    score.phases[1] += len(set(there) - set(maps))
    score.phases[2] += len(set(maps) - set(there))
    for phase in there:
        truth = imread(case.folder / case.truth["masks"][phase]) > 0
        answer = np.zeros(truth.shape, bool)
        if phase in maps:
            answer = resize(read_map(place / maps[phase]), truth.shape, order=1) >= 0.5
        score.dice.append(2 * float((truth & answer).sum()) / max(float(truth.sum() + answer.sum()), 1.0))


def row(name: str, setting: str, score: Score) -> str:
    """One line of the table."""
    errors = 100 * np.array(score.errors or [np.nan])
    right, missed, wrong = score.phases
    named = f"{right} of {right + missed}, {wrong} wrong" if right + missed + wrong else "-"
    dice = f"{np.mean(score.dice):.2f}" if score.dice else "-"
    cells = (
        name, setting, f"{score.found} of {score.true}", str(score.false), f"{score.f1:.2f}",
        f"{np.median(errors):.2f} / {np.percentile(errors, 95):.2f} %",
        f"{score.noise_spots / max(score.noise_images, 1):.1f}", named, dice,
        f"{np.median(score.seconds):.1f}", f"{score.memory:.0f}",
    )  # fmt: skip
    return "| " + " | ".join(cells) + " |"


def chosen(settings: Mapping[str, Score]) -> list[str]:
    """The first setting, which is the default, and the best one."""
    first = next(iter(settings))
    best = max(settings, key=lambda name: settings[name].f1)
    return list(dict.fromkeys((first, best)))


def point(score: Score) -> tuple[float, float]:
    """Position of a setting in the figure."""
    return max(score.false, 0.5), score.found / max(score.true, 1)


def draw(path: Path, scores: Mapping[str, Mapping[str, Score]]) -> None:
    """Plot found against false spots: each setting is a point, the best one of each program is filled."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.0, 4.0), dpi=90, layout="constrained")
    axes = figure.subplots()
    for number, (name, settings) in enumerate(scores.items()):
        x, y = np.array([point(score) for score in settings.values()]).T
        axes.plot(x, y, "o", color=f"C{number}", alpha=0.35, markersize=5)
        axes.plot(*point(settings[chosen(settings)[-1]]), "o", color=f"C{number}", label=name)
    axes.set(xscale="log", ylim=(0, 1.02))
    axes.set(xlabel="false spots (0 is drawn at 0.5)", ylabel="share of visible reflections found")
    axes.legend(loc="lower right")
    figure.savefig(path)


def scores_of(
    python: Path, runner: Path, images: Sequence[Case], place: Path
) -> tuple[str, dict[str, Score]]:
    """Version of a program, and the scores of its settings."""
    version, settings = runner.stem, dict[str, Score]()
    for case in images:
        own = place / "answers" / runner.stem / case.name.replace(" ", "_")
        answered = runs_of(python, runner, case, own)
        (own / "image.npz").unlink(missing_ok=True)
        version = answered.get("version", version)
        for run in answered.get("runs", ()):
            add(settings.setdefault(run["setting"], Score()), run, case, own)
    return version, settings


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = os.environ.get("NAPARI_TEM_FFT_DATA")
    parser.add_argument("--data", type=Path, default=Path(default) / "dev" if default else None)
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "napari-tem-fft-peers")
    parser.add_argument("--peer", type=Path, action="append", default=[], help="a runner of your own")
    parser.add_argument("--only", default="", help="names of programs, all where absent")
    parser.add_argument("--noise", type=int, default=4, help="fields of each kind of noise")
    parser.add_argument("--figure", type=Path)
    args = parser.parse_args()
    if args.data is None:
        print("skipped: --data says where the simulated micrographs are")
        return 0
    args.cache.mkdir(parents=True, exist_ok=True)
    images = list(cases(args.data, args.noise))
    wanted = [name for name in args.only.split(",") if name] or ["ours", *PEERS]
    table, scores = [], {}
    for name in [*wanted, *(str(path) for path in args.peer)]:
        own = name == "ours" or name not in PEERS
        python = Path(sys.executable) if own else python_of(name, args.cache)
        runner = Path(name) if name.endswith(".py") else RUNNERS / f"{name}_runner.py"
        if python is None or not runner.is_file():
            print(f"{name} is skipped: it cannot be installed here, or has no runner", file=sys.stderr)
            continue
        version, settings = scores_of(python, runner, images, args.cache)
        if settings:
            scores[version] = settings
            shown = list(settings) if own else chosen(settings)
            table += [row(version, one, settings[one]) for one in shown]
    head = [
        "program",
        "setting",
        "found",
        "false",
        "F1",
        "error of d",
        "false on noise",
        "phases",
        "Dice",
        "s",
        "MB",
    ]
    print("\n".join(("| " + " | ".join(head) + " |", "|" + "---|" * len(head), *table)))
    if args.figure:
        draw(args.figure, scores)
    return 0


if __name__ == "__main__":
    sys.exit(main())
