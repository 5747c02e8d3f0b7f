"""Distinct d-spacings found by the complete analysis of simulated test images, with and without the network.

    python tests/benchmarks/chain_scores.py [--images 66] [--seed 1001] [--network spots ...] [--empty 40]

Three classes of a third of the images each, by dose: easy above 800, medium 150-800, hard 30-150 e/A^2;
straight lattices recorded by a camera, without the scanned, bent, curved and processed images of the
training. Printed per class: precision, recall and F1 of the distinct d-spacings (d >= 0.12 nm, within 1 %;
groups of 0.3 %) with a 95 % bootstrap interval of F1 over images; answers at faint or forbidden points of a
true lattice are ignored. Then wrong d per image, the fraction of images with at most one, the image with most
of them, and ghosts per image; the same without the network; finally the number of images without crystals in
which a spot is found. `--list` prints a line per image.

A ghost is a grain with fewer than half of its spots within 1 % in g and 1 degree of a lattice point of a true
crystal that it overlaps ("strictly"); for crystals so small that the lens's transfer shifts their spots,
within 0.5 / diameter. Far from focus the lens displaces the fringes themselves, those of each reflection
differently, until they are next to their crystal: "not moved" are the ghosts that are not such fringes.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_tem_fft.core.pipeline import Analysis, AnalysisParams, analysis_steps
from napari_tem_fft.core.progress import exhaust
from napari_tem_fft.io.phases.table import load_table
from napari_tem_fft.nn.inference.model import load_segmenter
from napari_tem_fft.nn.inference.propose import Segmenter
from napari_tem_fft.nn.simulation.conditions import SynthesisParams, plain, without_crystals
from napari_tem_fft.nn.simulation.imaging import Lens
from napari_tem_fft.nn.simulation.synthesis import FAINT, Synthetic, TrueGrain, Truth, synthesise
from napari_tem_fft.nn.training.evaluate import SpotScore, distances, interval, rates, visible

CLASSES = {"easy": (800.0, 5000.0), "medium": (150.0, 800.0), "hard": (30.0, 150.0)}
BASE = plain(SynthesisParams(empty=0.0, sizes=(1024, 1536, 2048), shares=(0.5, 0.3, 0.2)))


#: Relative width of a group of d that count as one.
D_GROUP = 0.003


def d_groups(d: NDArray[np.float64], width: float = D_GROUP) -> NDArray[np.float64]:
    """Distinct d-spacings: those within `width` of a group's first are one."""
    groups: list[float] = []
    for value in np.sort(np.asarray(d, np.float64)):
        if not groups or value / groups[-1] - 1 > width:
            groups.append(float(value))
    return np.array(groups)


def d_score(
    answers: NDArray[np.float64],
    truth: Truth,
    limits: NDArray[np.float64],
    d_min: float,
    tolerance: float,
    grains: Sequence[TrueGrain] = (),
) -> SpotScore:
    """Distinct d-spacings found and missed, right and wrong, of an image.

    Answers at points of a crystal's lattice that are no visible reflection (faint ones, and
    forbidden ones that surfaces and double diffraction make) count neither way.

    Parameters
    ----------
    answers : ndarray, shape (n, 2), (y, x), 1/nm
    d_min : float, nm
        Smaller ones are not looked at.
    tolerance : float
        Relative; of grains so small that the lens's transfer changes across their spots (and moves these),
        half of 1 / size in g. A point of the lattice is met within twice that.
    grains : sequence of TrueGrain
        The crystals, with their lattices.
    """
    seen = visible(truth, limits)
    lengths = np.hypot(*truth.g.T)
    reach = np.maximum(tolerance, 0.5 / (truth.size * np.maximum(lengths, 1e-6)))
    answers = answers[np.hypot(*answers.T) <= 1 / d_min]
    near = np.abs(lengths / np.hypot(*answers.T)[:, None] - 1) <= reach
    right = (near & seen).any(axis=1)
    counted = right | ~((near & (truth.snr >= FAINT)).any(axis=1) | _on_lattices(answers, grains, tolerance))
    d = 1 / np.hypot(*answers.T)
    groups = d_groups(d[counted])
    member = np.abs(d[counted & right] / groups[:, None] - 1) <= D_GROUP
    good = int(member.any(axis=1).sum())
    wanted = d_groups(1 / lengths[seen])
    wanted = wanted[wanted >= d_min]
    found = (np.abs(wanted[:, None] * lengths - 1) <= 0.004) & (near & seen).any(axis=0)
    hits = int(found.any(axis=1).sum())
    return SpotScore(hits, len(wanted) - hits, good, len(groups) - good)


def _on_lattices(
    answers: NDArray[np.float64], grains: Sequence[TrueGrain], tolerance: float
) -> NDArray[np.bool_]:
    """Which frequencies lie on a point of any crystal's lattice, within twice the tolerance."""
    on, length = np.zeros(len(answers), bool), np.hypot(*answers.T)
    for grain in grains if len(answers) else ():
        points = grain.points(1.1 * float(length.max()))
        if len(points):
            reach = np.maximum(tolerance * length, 0.5 / grain.diameter)
            on |= distances(answers, points).min(axis=1) < 2 * reach
    return on


@dataclass(frozen=True)
class ImageScore:
    """Result for one image: spacings, ghosts, ghosts with one tolerance, and ghosts not moved by the lens."""

    index: int
    d: SpotScore
    ghosts: int
    strict: int
    unmoved: int


def analysed(one: Synthetic, segment: Segmenter | None) -> Analysis:
    """Run the complete analysis without phases."""
    return exhaust(analysis_steps(one.micrograph, (), AnalysisParams(), segment))


def score(index: int, one: Synthetic, segment: Segmenter | None) -> ImageScore:
    """Analyse an image and compare it with its ground truth."""
    analysis = analysed(one, segment)
    limits = np.array([analysis.diffractogram.q_min, analysis.diffractogram.q_max])
    g = np.array([spot.g for spot in analysis.spots if spot.enabled], float).reshape(-1, 2)
    d = d_score(g, one.truth, limits, 0.12, 0.01, one.grains)
    ghosts, strict, unmoved = (
        count_ghosts(analysis, one.grains, strictly, lens)
        for strictly, lens in ((False, None), (True, None), (False, one.lens))
    )
    return ImageScore(index, d, ghosts, strict, unmoved)


def count_ghosts(
    analysis: Analysis, grains: tuple[TrueGrain, ...], strictly: bool = False, lens: Lens | None = None
) -> int:
    """Count grains with fewer than half of their enabled spots at reflections of a crystal at that position.

    With a `lens`, a crystal from which the lens has displaced the fringes of a reflection also counts.
    """
    by_id = {spot.id: spot for spot in analysis.spots if spot.enabled}
    y, x = (places.ravel() for places in analysis.map_grid.positions())
    count = 0
    for grain, region in zip(analysis.grains, analysis.grain_regions, strict=True):
        g = np.array([by_id[n].g for n in grain.spots if n in by_id], float).reshape(-1, 2)
        if not len(g):
            continue
        rows, columns = np.nonzero(region.mask)
        place = y[region.box[0]][rows], x[region.box[1]][columns]
        true = np.zeros(len(g), bool)
        moved = np.zeros((len(g), 2)) if lens is None else lens.displacement(g)
        for crystal in grains:
            on = _on(g, crystal, 0.0 if strictly else 0.5 / crystal.diameter)
            true |= on & [_covers(crystal, place, shift) for shift in moved]
        count += bool(true.mean() < 0.5)
    return count


def _covers(crystal: TrueGrain, place: tuple[np.ndarray, np.ndarray], shift: np.ndarray) -> bool:
    """Whether a crystal covers any of some positions (y, x), in nm, itself or when displaced either way."""
    ways = (0, 1, -1) if shift.any() else (0,)
    return any(crystal.covers(*(p + w * by for p, by in zip(place, shift, strict=True))).any() for w in ways)


def _on(g: np.ndarray, crystal: TrueGrain, reach: float) -> np.ndarray:
    """Which frequencies are within 1 % and 1 degree, or within `reach`, of a point of a crystal's lattice."""
    length = np.hypot(*g.T)
    points = crystal.points(1.1 * length.max())  # both of each pair
    if not len(points):
        return np.zeros(len(g), bool)
    along = np.hypot(*points.T)
    cosine = np.clip(g @ points.T / (length[:, None] * along), -1, 1)
    near = (np.abs(length[:, None] / along - 1) < 0.01) & (np.degrees(np.arccos(cosine)) < 1)
    near |= np.hypot(*(g[:, None] - points).transpose(2, 0, 1)) < reach
    return near.any(axis=1)


def line(name: str, images: list[ImageScore]) -> str:
    """A row of the table."""
    scores = [image.d for image in images]
    found, (low, high) = rates(scores), interval(scores)
    wrong = np.array([one.wrong for one in scores])
    worst = images[int(np.argmax(wrong))]
    ghosts, strict, unmoved = (
        np.mean([getattr(image, key) for image in images]) for key in ("ghosts", "strict", "unmoved")
    )
    return (
        f"{name:24s} precision {found.precision:.3f}  recall {found.recall:.3f}  F1 {found.f1:.3f}"
        f" ({low:.3f}-{high:.3f})  wrong d an image {wrong.mean():.2f},"
        f" one at most on {(wrong < 2).mean():.1%} of the images, most {worst.d.wrong} (image {worst.index})"
        f"  ghosts an image {ghosts:.3f}, strictly {strict:.3f}, not moved {unmoved:.3f}"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=66)
    parser.add_argument("--empty", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1001)
    parser.add_argument("--network", nargs="+", default=["spots"], help="names or folders of models")
    parser.add_argument("--list", action="store_true", help="a line an image too")
    args = parser.parse_args()
    phases = load_table()
    methods = {"statistics": None} | {f"network {name}": load_segmenter(name) for name in args.network}
    for number, (name, dose) in enumerate(CLASSES.items()):
        params = replace(BASE, dose=dose)
        scores: dict[str, list[ImageScore]] = {method: [] for method in methods}
        for index in range(number * 10_000, number * 10_000 + args.images // 3):
            one = synthesise(args.seed, index, phases, params)
            for method, segment in methods.items():
                scores[method].append(score(index, one, segment))
                if args.list:
                    print(method, scores[method][-1], flush=True)
        for method in methods:
            print(line(f"{name}, {method}", scores[method]), flush=True)
    empty = without_crystals(BASE)
    for method, segment in methods.items():
        found = [
            sum(
                spot.enabled
                for spot in analysed(synthesise(args.seed, 40_000 + k, phases, empty), segment).spots
            )
            for k in range(args.empty)
        ]
        print(f"without a crystal, {method}: a spot on {np.count_nonzero(found)} of {len(found)} images")


if __name__ == "__main__":
    main()
