"""The command ``evaluate``: compare a network with other methods, as a table and a figure."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ..core.crystal.phase import Phase
from ..core.crystal.phase_selection import usual_phases
from ..core.image.micrograph import Micrograph
from ..io.phases.table import load_table
from ..io.readers.micrographs import read_micrograph
from ..nn.inference.model import DEFAULT, ModelError, load_predict, model_folder
from ..nn.inference.prepare import InputParams
from ..nn.simulation.conditions import SynthesisParams, plain, without_crystals
from ..nn.simulation.synthesis import Truth, synthesise
from ..nn.training.dataset import load_pairs, restore_inputs
from ..nn.training.evaluate import (
    Detector,
    ForestParams,
    Known,
    best_threshold,
    compare,
    confirmed_detector,
    network_detector,
    threshold_everywhere,
    threshold_whole_image,
    train_forest,
)
from . import main as cli
from .common import OK, UsageError, say

#: Largest truth file that is read, bytes.
LARGEST = 64 << 20


def known_micrographs(folder: Path) -> Iterator[tuple[Micrograph, NDArray[np.float64], NDArray[np.intp]]]:
    """Yield each micrograph of a folder with the ground truth of its reflections.

    Yields
    ------
    micrograph : Micrograph
    reflections : ndarray, shape (n, 4)
        g (y, x) in 1/nm with the file's calibration, local SNR, diameter of the grain in nm.
    grain : ndarray of int, shape (n,)

    Raises
    ------
    ValueError
        If a truth file is missing or damaged.
    """
    for path in sorted((folder / "images").glob("*.dm4")):
        truth = folder / "truth" / f"{path.stem}.json"
        try:
            if truth.stat().st_size > LARGEST:
                raise ValueError("too large")
            described = json.loads(truth.read_text(encoding="utf-8"))
            rows, grains = _reflections(described)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{truth}: not a truth file ({error})") from error
        yield read_micrograph(path), rows, grains


def _reflections(described: dict[str, object]) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    rows, grains = [], []
    for number, grain in enumerate(described["grains"]):  # type: ignore[arg-type, var-annotated]
        for one in grain["reflections"]:
            scale = float(one["d_proj_nm"]) / float(one["d_apparent_nm"]) if one.get("d_apparent_nm") else 1.0
            gy, gx = (scale * float(v) for v in one["g_rc_per_nm"])
            rows.append((gy, gx, float(one["snr_local"]), float(grain["diameter_nm"])))
            grains.append(number)
    return np.array(rows, np.float64).reshape(-1, 4), np.array(grains, np.intp)


ABOUT = """\
Compare a network with a random forest and with thresholds at a constant false-alarm rate: precision,
recall and F1 of the spots (with a 95 % bootstrap interval over images), Dice of the masks (all answers
drawn as discs of one radius), error of d, false spots on images without crystals, seconds per image. On
simulated images that were not used in training, and on a folder of micrographs with ground truth (--data);
then the recall of the arcs of bent layers (graphitic, 0.335 to 0.40 nm) against the radius of curvature."""
EXAMPLES = """\
examples:
  napari-tem-fft evaluate -o evaluation
  napari-tem-fft evaluate models/mine --against spots
  napari-tem-fft evaluate models/mine --forest-pairs models/mine/pairs/train --data micrographs"""
#: Number of pairs on which the threshold of the forest is chosen.
FOREST_HELD_BACK = 64
#: Limits of the radii of curvature, nm, for which the recall of arcs is reported.
RADII = (3.0, 5.0, 8.0, 15.0, 30.0, 50.0)
#: Parameters of images with bent graphitic layers alone.
BENT = replace(plain(SynthesisParams()), sizes=(1024,), shares=(1.0,), pixel_size=(0.015, 0.05), empty=1.0,
               curved=1.0, layer=(0.335, 0.40))  # fmt: skip
#: Smallest d in the ground truth of a folder of micrographs, nm.
DATA_D_MIN = 0.12
COLUMNS = {
    "precision": "precision", "recall": "recall", "f1": "F1", "f1_snr_25": "F1, SNR >= 25", "dice": "Dice",
    "d_error_median": "d error, median", "d_error_95": "d error, 95 %",
    "false_spots_an_empty_image": "false spots, empty image",
    "empty_images_without_a_spot": "empty images without a spot", "seconds": "seconds",
}  # fmt: skip


def add_command(commands: Any, name: str) -> None:
    """Add the command to the parser."""
    parser = cli.add_command(
        commands, name, description=ABOUT, epilog=EXAMPLES, usage="napari-tem-fft evaluate [options] [MODEL]",
    )  # fmt: skip
    parser.add_argument(
        "model", nargs="?", default=DEFAULT, metavar="MODEL", help="name or folder of a model"
    )
    parser.add_argument("--against", metavar="MODEL", help="another model to compare on the same images")
    parser.add_argument("-o", "--output", metavar="DIR", type=Path, default=Path("evaluation"))
    parser.add_argument(
        "--images", metavar="N", type=int, default=100, help="number of simulated images (default: 100)"
    )
    parser.add_argument(
        "--empty", metavar="N", type=int, default=60, help="images without crystals (default: 60)"
    )
    parser.add_argument(
        "--bent", metavar="N", type=int, default=12, help="images of bent layers per radius (default: 12)"
    )
    parser.add_argument("--seed", metavar="N", type=int, default=1001, help="seed of the simulated images")
    parser.add_argument("--data", metavar="DIR", type=Path, help="folder with images/ and truth/")
    parser.add_argument("--false-alarms", metavar="N", type=float, default=0.01, help="expected per image")
    parser.add_argument("--forest-pairs", metavar="DIR", type=Path, help="training pairs for the forest")
    parser.add_argument("--forest-images", metavar="N", type=int, default=600)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    try:
        config, predict = load_predict(model_folder(args.model))
        other = load_predict(model_folder(args.against)) if args.against else None
    except (ModelError, ImportError) as error:
        raise UsageError(str(error)) from error
    inputs = config.inputs
    methods: dict[str, Detector] = {
        "threshold, whole image": threshold_whole_image(args.false_alarms),
        "threshold, local spectra": threshold_everywhere(args.false_alarms),
    }
    if args.forest_pairs is not None:
        pairs = load_pairs(args.forest_pairs, args.forest_images)
        forest = train_forest(pairs, config.disc, inputs, ForestParams(images=args.forest_images))
        held_back = load_pairs(args.forest_pairs, FOREST_HELD_BACK, first=args.forest_images)
        outputs = (forest(restore_inputs(levels[None], inputs)[0]) for levels in held_back.inputs)
        methods["random forest"] = network_detector(
            forest, inputs, best_threshold(outputs, held_back, inputs)
        )
    methods["U-Net"] = network_detector(predict, inputs, config.least)
    methods["U-Net, confirmed"] = confirmed_detector(predict, inputs, config.least, args.false_alarms)
    if other is not None:
        name, (old, old_predict) = f"{args.against}, confirmed", other
        methods[name] = confirmed_detector(old_predict, old.inputs, old.least, args.false_alarms)
    phases = usual_phases(load_table())
    results = {
        "simulated": _compare(_simulate(args, phases), args.images + args.empty, methods, config.disc, inputs)
    }
    if args.data is not None:
        images = list(_from_folder(args.data))
        results["data"] = _compare(iter(images), len(images), methods, config.disc, inputs)
    bent = {
        f"{low:g}-{high:g}": _compare(
            _simulate_bent(args.seed, args.bent, (low, high)), args.bent, methods, config.disc, inputs
        )
        for low, high in (pairwise(RADII) if args.bent else ())
    }
    _write(args.output, results, bent, {"model": config.name, "weights_sha256": config.weights_sha256})
    return OK


def _simulate(args: argparse.Namespace, phases: tuple[Phase, ...]) -> Iterator[Known]:
    make = partial(_known, args.seed, phases)
    crystals = SynthesisParams(empty=0.0)
    yield from (make(k, crystals) for k in range(args.images))
    empty = without_crystals(crystals)
    yield from (make(args.images + k, empty) for k in range(args.empty))


def _simulate_bent(seed: int, count: int, radii: tuple[float, float]) -> Iterator[Known]:
    return (_known(seed, (), index, replace(BENT, curvature=radii)) for index in range(count))


def _known(seed: int, phases: tuple[Phase, ...], index: int, params: SynthesisParams) -> Known:
    one = synthesise(seed, index, phases, params)
    return Known(one.micrograph, one.truth, one.window)


def _from_folder(folder: Path) -> Iterator[Known]:
    for micrograph, rows, grain in known_micrographs(folder):
        truth = Truth(rows[:, :2], rows[:, 2], rows[:, 3], grain)
        yield Known(micrograph, truth, q_max=1 / DATA_D_MIN)


def _compare(
    images: Iterator[Known], count: int, methods: dict[str, Detector], disc: float, inputs: InputParams
) -> dict[str, Any]:
    scores = compare(tqdm(images, total=count, desc="images"), methods, disc, inputs)
    return {name: score.summary() for name, score in scores.items()}


def _write(
    folder: Path, results: dict[str, Any], bent: dict[str, dict[str, Any]], described: dict[str, Any]
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    whole = {**described, "results": results, "bent": bent}
    (folder / "evaluation.json").write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
    text = "\n\n".join(f"{part}\n\n{_table(methods)}" for part, methods in results.items())
    if bent:
        text += f"\n\nbent layers\n\n{_bent_table(bent)}"
    (folder / "table.md").write_text(text + "\n", encoding="utf-8")
    _draw(folder / "figure.png", results)
    print(text)
    say(f"written to {folder}: evaluation.json, table.md, figure.png")


def _table(methods: dict[str, Any]) -> str:
    lines = ["| method | " + " | ".join(COLUMNS.values()) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    for name, figures in methods.items():
        cells = [_cell(key, figures) for key in COLUMNS]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _bent_table(bent: dict[str, dict[str, Any]]) -> str:
    """Precision and recall of the frequencies along the arcs, one column per class of radii."""
    lines = [
        "| precision, recall at a radius (nm) of | " + " | ".join(bent) + " |",
        "|---" * (len(bent) + 1) + "|",
    ]
    for name in next(iter(bent.values())):
        cells = [f"{each[name]['precision']:.2f}, {each[name]['recall']:.2f}" for each in bent.values()]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(key: str, figures: dict[str, Any]) -> str:
    value = figures[key]
    if key == "f1":
        low, high = figures["f1_interval"]
        return f"{value:.3f} ({low:.3f}-{high:.3f})"
    return f"{value:.2%}" if key.startswith(("d_error", "empty_images_w")) else f"{value:.3f}"


def _draw(path: Path, results: dict[str, Any]) -> None:
    """Plot F1 of each method with its interval, and recall against SNR."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.4 * len(results)), layout="constrained")
    rows = figure.subplots(len(results), 2, squeeze=False)
    for (left, right), (part, methods) in zip(rows, results.items(), strict=True):
        names = list(methods)
        f1 = np.array([methods[name]["f1"] for name in names])
        bounds = np.array([methods[name]["f1_interval"] for name in names])
        left.barh(names, f1, xerr=np.abs(bounds.T - f1), color="#0072b2", ecolor="#333333", capsize=3)
        left.set(xlabel=f"F1 of the spots, {part}", xlim=(0, 1))
        left.invert_yaxis()
        for name, marker in zip(names, "osd^v", strict=False):
            recall = methods[name]["recall_by_snr"]
            middles = [np.sqrt(float(k.split("-")[0]) * min(float(k.split("-")[1]), 1e4)) for k in recall]
            right.plot(middles, list(recall.values()), marker=marker, label=name)
        right.set(xlabel="local SNR of the reflection", ylabel="recall", xscale="log", ylim=(0, 1.02))
        right.legend(fontsize="small")
    figure.savefig(path, dpi=130)
