"""Effect of fine-tuning on eight corrected images, and its cost for other images.

    python tests/benchmarks/fine_tuning.py [--network spots] [--corrected 8] [--images 40] [--mix 64]

Uses a kind of image that the forward model does not contain: a scanning instrument picks up mains
interference, which creates sharp spots near the g_y axis at frequencies that depend on the line time. The
network takes them for reflections; a user erases them in eight images. Printed: precision, recall and F1 of
the network's spots before and after, on other images of that kind and on normal ones, and the seconds needed.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from napari_tem_fft.core.image.micrograph import Micrograph
from napari_tem_fft.io.phases.table import load_table
from napari_tem_fft.nn.inference.model import load_predict, model_folder
from napari_tem_fft.nn.inference.prepare import InputParams, network_input
from napari_tem_fft.nn.simulation.conditions import SynthesisParams
from napari_tem_fft.nn.simulation.synthesis import synthesise
from napari_tem_fft.nn.training.dataset import Pairs, join_pairs, load_pairs, make_pairs, spectra_of, visible
from napari_tem_fft.nn.training.evaluate import Known, compare, network_detector
from napari_tem_fft.nn.training.keras_unet import load_network
from napari_tem_fft.nn.training.params import FINE_TUNING
from napari_tem_fft.nn.training.train import train_steps

IMAGES = SynthesisParams(sizes=(1024,), shares=(1.0,), empty=0.0, pixel_size=(0.015, 0.04))
CORRECTED_SEED, KIND_SEED, USUAL_SEED = 2001, 2002, 2003


def with_mains(micrograph: Micrograph, rng: np.random.Generator) -> Micrograph:
    """The image with stripes of the mains frequency and its harmonics, nearly parallel to the scan lines."""
    pixels = micrograph.pixels.astype(np.float32)
    y, x = (np.arange(n, dtype=np.float32) for n in pixels.shape)
    first = rng.uniform(0.06, 0.11)  # cycles a line
    drift = rng.uniform(-0.004, 0.004)
    for order in (1, 2, 3):
        turn = 2 * np.pi * (first * order * y[:, None] + drift * order * x + rng.random())
        pixels += np.float32(rng.uniform(0.2, 0.6) * pixels.std() / order) * np.cos(turn)
    return Micrograph(pixels, micrograph.calibration, micrograph.name)


def images(seed: int, count: int, mains: bool) -> Iterator[Known]:
    """Simulated images, with or without mains interference."""
    phases = load_table()
    for index in range(count):
        one = synthesise(seed, index, phases, IMAGES)
        rng = np.random.default_rng([seed, index, 1])
        yield Known(with_mains(one.micrograph, rng) if mains else one.micrograph, one.truth)


def corrections(count: int, inputs: InputParams) -> Pairs:
    """Images of that kind with the masks as a user would correct them: the visible reflections."""
    pairs = []
    for known in images(CORRECTED_SEED, count, mains=True):
        diffractogram, spectra = spectra_of(known.micrograph, known.window)
        limits = np.array([diffractogram.q_min, diffractogram.q_max])
        spots = known.truth.g[visible(known.truth, limits)]
        pairs.append((network_input(diffractogram, spectra, InputParams()), spots))
    return Pairs.of_corrections(pairs, inputs)


def scores(
    predict: Callable[..., np.ndarray], inputs: InputParams, least: float, count: int
) -> dict[str, str]:
    """Precision, recall and F1 on images of that kind and on normal ones."""
    method = {"network": network_detector(predict, inputs, least)}
    out = {}
    for name, seed, mains in (("with mains", KIND_SEED, True), ("usual", USUAL_SEED, False)):
        figures = compare(images(seed, count, mains), method, 0.08, inputs)["network"].summary()
        out[name] = "precision {precision:.3f}  recall {recall:.3f}  F1 {f1:.3f}".format(**figures)
    return out


def main() -> None:
    """Print the results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--network", default="spots")
    parser.add_argument("--corrected", type=int, default=8)
    parser.add_argument("--images", type=int, default=40)
    parser.add_argument("--mix", type=int, default=64)
    args = parser.parse_args()
    folder = model_folder(args.network)
    config, predict = load_predict(folder)
    before = scores(predict, config.inputs, config.least, args.images)
    own = corrections(args.corrected, config.inputs)
    with tempfile.TemporaryDirectory() as temporary:
        usual = Path(temporary) / "usual"
        for _ in make_pairs(usual, args.mix, 1, load_table(), SynthesisParams(), config.inputs):
            pass
        pairs = join_pairs([own] * max(args.mix // len(own), 1) + [load_pairs(usual, args.mix)])
        start = time.perf_counter()
        model = load_network(folder)[1]
        tuned = Path(temporary) / "tuned"
        for _ in train_steps(
            tuned, "tuned", pairs, own, config.inputs, config.network, FINE_TUNING, start=model
        ):
            pass
        seconds = time.perf_counter() - start
        new, predict = load_predict(tuned)
        after = scores(predict, new.inputs, new.least, args.images)
    for name in before:
        print(f"{name:12s} before: {before[name]}\n{'':12s} after:  {after[name]}")
    print(
        f"{args.corrected} corrected images and {args.mix} usual ones, {FINE_TUNING.steps} steps:"
        f" {seconds:.0f} s"
    )


if __name__ == "__main__":
    main()
