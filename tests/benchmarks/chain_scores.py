"""Distinct d-spacings found by the whole chain on held-back simulated images, with and without the network.

    python tests/benchmarks/chain_scores.py [--images 66] [--seed 1001] [--network spots] [--empty 40]

Three classes of a third of the images each, by dose: easy above 800, medium 150-800, hard 30-150 e/A^2.
Printed a class: precision, recall and F1 of the distinct d-spacings (d >= 0.12 nm, within 1 %; groups of
0.3 %) with a 95 % bootstrap interval of F1 over images, wrong d an image, and the same without the network;
at last the images without a crystal on which the chain finds a spot.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np

from napari_tem_fft.core.pipeline import AnalysisParams, analysis_steps
from napari_tem_fft.core.progress import exhaust
from napari_tem_fft.io.phases.table import load_table
from napari_tem_fft.nn.inference.model import load_segmenter
from napari_tem_fft.nn.inference.propose import Segmenter
from napari_tem_fft.nn.simulation.params import SynthesisParams, without_crystals
from napari_tem_fft.nn.simulation.synthesis import Synthetic, synthesise
from napari_tem_fft.nn.training.evaluate import d_score
from napari_tem_fft.nn.training.scores import SpotScore, interval, rates

CLASSES = {"easy": (800.0, 5000.0), "medium": (150.0, 800.0), "hard": (30.0, 150.0)}
BASE = SynthesisParams(empty=0.0, sizes=(1024, 1536, 2048), shares=(0.5, 0.3, 0.2))


def spacings(one: Synthetic, segment: Segmenter | None) -> tuple[np.ndarray, np.ndarray]:
    """d of all spots, and the limits of |g|."""
    analysis = exhaust(analysis_steps(one.micrograph, (), AnalysisParams(), segment))
    limits = np.array([analysis.diffractogram.q_min, analysis.diffractogram.q_max])
    return np.array([spot.d for spot in analysis.spots if spot.enabled]), limits


def line(name: str, scores: list[SpotScore]) -> str:
    """A row of the table."""
    found, (low, high) = rates(scores), interval(scores)
    wrong = sum(s.wrong for s in scores) / len(scores)
    return (
        f"{name:24s} precision {found.precision:.3f}  recall {found.recall:.3f}  F1 {found.f1:.3f}"
        f" ({low:.3f}-{high:.3f})  wrong d an image {wrong:.2f}"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=66)
    parser.add_argument("--empty", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1001)
    parser.add_argument("--network", default="spots")
    args = parser.parse_args()
    phases = load_table()
    methods = {"statistics": None, f"network {args.network}": load_segmenter(args.network)}
    for number, (name, dose) in enumerate(CLASSES.items()):
        params = replace(BASE, dose=dose)
        scores: dict[str, list[SpotScore]] = {method: [] for method in methods}
        for index in range(number * 10_000, number * 10_000 + args.images // 3):
            one = synthesise(args.seed, index, phases, params)
            for method, segment in methods.items():
                d, limits = spacings(one, segment)
                scores[method].append(d_score(d, one.truth, limits, 0.12, 0.01))
        for method in methods:
            print(line(f"{name}, {method}", scores[method]), flush=True)
    empty = without_crystals(BASE)
    for method, segment in methods.items():
        found = [
            len(spacings(synthesise(args.seed, 40_000 + k, phases, empty), segment)[0])
            for k in range(args.empty)
        ]
        print(f"without a crystal, {method}: a spot on {np.count_nonzero(found)} of {len(found)} images")


if __name__ == "__main__":
    main()
