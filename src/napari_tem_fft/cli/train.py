"""The command ``train``: generate training images, train a network, or fine-tune an existing one."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tqdm import tqdm

from ..core.crystal.phase_selection import usual_phases
from ..core.parameters import parameters_of
from ..io.phases.table import load_table
from ..nn.inference.model import (
    CONFIG,
    WEIGHTS,
    ModelConfig,
    ModelError,
    file_hash,
    model_folder,
)
from ..nn.inference.prepare import InputParams
from ..nn.inference.unet import NetworkParams
from ..nn.simulation.conditions import SynthesisParams, no_larger_than
from ..nn.training.dataset import Pairs, join_pairs, load_pairs, make_pairs
from ..nn.training.keras_unet import import_keras, load_network
from ..nn.training.params import FINE_TUNING, TrainParams
from . import main as cli
from .common import OK, UsageError, add_parameter, say

if TYPE_CHECKING:
    from ..nn.training.train import TrainStep

ABOUT = """\
Train a network that finds Bragg spots, on simulated images that are generated first, and write its folder:
config.json, weights.keras, log.csv, curves.png. Repeat the same command to continue an interrupted training
from its last checkpoint. With --finetune the training starts from another model and uses masks that you
have corrected, together with --mix simulated images, so that the network forgets nothing that it knew."""
EXAMPLES = """\
examples:
  napari-tem-fft train -o models/mine
  napari-tem-fft train -o models/mine --images 4000 --steps 6000 --base 24
  napari-tem-fft train -o models/more --start spots --steps 2000 --rate 0.001
  napari-tem-fft train -o models/ours --finetune spots --pairs corrections"""
#: First seeds of the training images and of the validation images.
SEEDS = (1, 501)
Params = TypeVar("Params")


def add_command(commands: Any, name: str) -> None:
    """Add the command to the parser."""
    parser = cli.add_command(
        commands, name, description=ABOUT, epilog=EXAMPLES, usage="napari-tem-fft train [options] -o FOLDER",
    )  # fmt: skip
    parser.add_argument(
        "-o", "--output", metavar="FOLDER", type=Path, required=True, help="folder of the new model"
    )
    parser.add_argument("--name", help="name of the model (default: the folder's)")
    data = parser.add_argument_group("images")
    data.add_argument(
        "--images", metavar="N", type=int, default=2400, help="number of simulated images (default: 2400)"
    )
    data.add_argument("--held-back", metavar="N", type=int, default=192, help="for validation (default: 192)")
    data.add_argument(
        "--keep-pairs", metavar="DIR", type=Path, help="folder of the images (default: FOLDER/pairs)"
    )
    data.add_argument(
        "--workers", metavar="N", type=int, default=0, help="processes that generate images (default: all)"
    )
    data.add_argument(
        "--largest", metavar="N", type=int, default=4096, help="largest side of an image, pixels"
    )
    data.add_argument(
        "--start", metavar="MODEL", help="name or folder of a model whose training is continued"
    )
    tune = parser.add_argument_group("fine-tuning")
    tune.add_argument("--finetune", metavar="MODEL", help="name or folder of the model to start from")
    tune.add_argument("--pairs", metavar="DIR", type=Path, help="folder of saved pairs with corrected masks")
    tune.add_argument(
        "--mix", metavar="N", type=int, default=64, help="additional simulated images (default: 64)"
    )
    parser.add_argument("--progress", choices=("bar", "json", "none"), default="bar", help="progress display")
    for title, kind in (("training", TrainParams), ("network", NetworkParams)):
        group = parser.add_argument_group(title)
        for parameter in parameters_of(kind):
            add_parameter(group, parameter, f"{title}:{parameter.name}", parameter.name)


def run(args: argparse.Namespace) -> int:
    """Run the command."""
    if (args.finetune is None) != (args.pairs is None):
        raise UsageError("--finetune MODEL and --pairs DIR belong together")
    if args.start is not None and args.finetune is not None:
        raise UsageError("--finetune MODEL starts from that model; omit --start")
    if (args.output / CONFIG).is_file():
        raise UsageError(f"{args.output} already contains a model; choose another folder")
    try:
        import_keras()  # fails before minutes are spent on generating images
        config = _fine_tune(args) if args.finetune else _train(args)
    except (ModelError, ValueError, OSError) as error:
        raise UsageError(str(error)) from error
    say(f"{args.output}: model {config.name!r}, threshold on the output {config.least:g}")
    return OK


def _train(args: argparse.Namespace) -> ModelConfig:
    from ..nn.training.train import train_steps

    inputs, start = InputParams(), None
    ancestry: tuple[str, ...] = ()
    network = _given_params(NetworkParams(), args, "network")
    if args.start is not None:
        old, start, ancestry = _model_to_start_from(args.start)
        inputs, network = old.inputs, old.network
    params = _given_params(TrainParams(), args, "training")
    pairs = _make_pairs(args, "train", args.images, SEEDS[0], inputs)
    held_back = _make_pairs(args, "held-back", args.held_back, SEEDS[1], inputs)
    name = args.name or args.output.name
    steps = train_steps(args.output, name, pairs, held_back, inputs, network, params, start, ancestry)
    return _run_training(steps, args)


def _fine_tune(args: argparse.Namespace) -> ModelConfig:
    from ..nn.training.corrections import load_pairs as load_corrections
    from ..nn.training.train import train_steps

    old, network, ancestry = _model_to_start_from(args.finetune)
    corrected = load_corrections(args.pairs)
    if not corrected:
        raise UsageError(f"{args.pairs}: there are no training pairs (*.npz) in this folder")
    own = Pairs.of_corrections([(pair.inputs, pair.g) for pair in corrected], old.inputs)
    params = _given_params(FINE_TUNING, args, "training")
    pairs = own
    if args.mix:
        repeats = max(args.mix // len(own), 1)  # as much weight as all simulated ones
        pairs = join_pairs([own] * repeats + [_make_pairs(args, "train", args.mix, SEEDS[0], old.inputs)])
    steps = train_steps(
        args.output, args.name or args.output.name, pairs, own, old.inputs, old.network, params,
        start=network, ancestry=ancestry,
    )  # fmt: skip
    return _run_training(steps, args)


def _model_to_start_from(name: str) -> tuple[ModelConfig, Any, tuple[str, ...]]:
    """Configuration and network of a model, and the ancestry of models trained from it."""
    folder = model_folder(name)
    old, network = load_network(folder)
    return old, network, (f"{old.name} {file_hash(folder / WEIGHTS)}", *old.ancestry)


def _make_pairs(args: argparse.Namespace, part: str, count: int, seed: int, inputs: InputParams) -> Pairs:
    """Load the pairs of a series, generating those that are missing."""
    if count < 1:
        raise UsageError(f"{part}: at least one image is needed")
    folder = (args.keep_pairs or args.output / "pairs") / part
    try:
        synthesis = no_larger_than(SynthesisParams(), args.largest)
    except ValueError as error:
        raise UsageError(f"--largest: {error}") from error
    made = make_pairs(folder, count, seed, usual_phases(load_table()), synthesis, inputs, args.workers)
    with tqdm(total=count, desc=f"images ({part})", disable=args.progress != "bar") as bar:
        for number in made:
            bar.update(number - bar.n)
            _report(args, {"stage": f"images ({part})", "step": number, "steps": count})
    return load_pairs(folder, count)


def _run_training(steps: Any, args: argparse.Namespace) -> ModelConfig:
    """Run a training to its end and report its progress."""
    bar, result = None, list[ModelConfig]()
    try:
        for step in _keep_result(steps, result):
            bar = bar or tqdm(total=step.steps, desc="training", disable=args.progress != "bar")
            bar.update(step.step - bar.n)
            bar.set_postfix({"loss": step.loss, **step.scores})
            loss = {} if math.isnan(step.loss) else {"loss": step.loss}
            place = {"stage": "training", "step": step.step, "steps": step.steps}
            _report(args, {**place, **loss, **step.scores})
    finally:
        if bar is not None:
            bar.close()
    return result[0]


def _keep_result(steps: Any, result: list[ModelConfig]) -> Iterator[TrainStep]:
    result.append((yield from steps))


def _report(args: argparse.Namespace, line: dict[str, Any]) -> None:
    if args.progress == "json":
        print(json.dumps(line), flush=True, file=sys.stdout)


def _given_params(defaults: Params, args: argparse.Namespace, group: str) -> Params:
    """A parameter dataclass with the values given on the command line."""
    given = vars(args)
    values = {
        f.name: given.get(f"{group}:{f.name}", getattr(defaults, f.name))
        for f in fields(defaults)  # type: ignore[arg-type]
    }
    try:
        return type(defaults)(**values)
    except ValueError as error:
        raise UsageError(str(error)) from error
