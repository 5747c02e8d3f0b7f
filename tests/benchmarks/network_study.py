"""Comparison of architectures, channels and losses of the U-Net by short trainings of equal length.

    python tests/benchmarks/network_study.py --pairs DIR --held-back DIR [--count 1600] [--steps 250]

DIR are folders of pairs as created by ``napari-tem-fft train --keep-pairs`` (seeds 1 and 501). One row per
variant: Dice, precision, recall and F1 of the spots on the validation pairs, seconds per step and per
inference, each also as a ratio to the first variant of the same run.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from napari_tem_fft.nn.inference.model import load_predict
from napari_tem_fft.nn.inference.prepare import CHANNELS, InputParams
from napari_tem_fft.nn.inference.unet import NetworkParams
from napari_tem_fft.nn.training.dataset import Pairs, load_pairs
from napari_tem_fft.nn.training.train import TrainParams, train_steps


@dataclass(frozen=True)
class Variant:
    """Name of a variant and what it changes."""

    name: str
    network: NetworkParams = field(default_factory=NetworkParams)
    channels: tuple[str, ...] = CHANNELS
    loss: str = "dice_focal"


VARIANTS = (
    Variant("as shipped"),
    Variant("without norm", NetworkParams(norm="none")),
    Variant("16 features, blocks of 2", NetworkParams(16, 3, 2)),
    Variant("12 features", NetworkParams(12)),
    Variant("two halvings", NetworkParams(depth=2)),
    Variant("without local spectra", channels=("image", "image_mean", "radius")),
    Variant("without whole image", channels=("local", "local_mean", "radius")),
    Variant("loss: Dice alone", loss="dice"),
    Variant("loss: cross entropy", loss="entropy"),
)


def run(
    variant: Variant, pairs: Pairs, held_back: Pairs, steps: int
) -> tuple[dict[str, float], float, float]:
    """Scores, seconds per step, seconds per inference."""
    inputs = InputParams(channels=variant.channels)
    params = replace(TrainParams(), steps=steps, every=steps, loss=variant.loss)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        times, scores = [], {}
        steps_of = train_steps(path, variant.name, pairs, held_back, inputs, variant.network, params)
        for step in steps_of:
            times.append(time.perf_counter())
            scores = step.scores or scores
        _, predict = load_predict(path)
        example = np.zeros((*inputs.shape, len(inputs.channels)), np.float32)
        predict(example)
        start = time.perf_counter()
        for _ in range(5):
            predict(example)
        inference = (time.perf_counter() - start) / 5
    return scores, float(np.median(np.diff(times[:-1]))), inference


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--held-back", type=Path, required=True)
    parser.add_argument("--count", type=int, default=1600)
    parser.add_argument("--held-back-count", type=int, default=96)
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--only", default="", help="numbers of the variants, separated by commas")
    args = parser.parse_args()
    pairs, held_back = load_pairs(args.pairs, args.count), load_pairs(args.held_back, args.held_back_count)
    chosen = [VARIANTS[int(k)] for k in args.only.split(",") if k] or VARIANTS
    first: tuple[float, float] | None = None
    print("variant                      Dice   prec.  recall F1     s/step (ratio)  s/inference (ratio)")
    for variant in chosen:
        scores, step, inference = run(variant, pairs, held_back, args.steps)
        first = first or (step, inference)
        figures = "  ".join(f"{scores[name]:.3f}" for name in ("dice", "precision", "recall", "f1"))
        print(
            f"{variant.name:28s} {figures}  {step:.2f} ({step / first[0]:.2f})"
            f"    {inference:.3f} ({inference / first[1]:.2f})",
            flush=True,
        )


if __name__ == "__main__":
    main()
