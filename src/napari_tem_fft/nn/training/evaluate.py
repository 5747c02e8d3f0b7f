"""Comparison of the network with other methods, on images with known ground truth.

The random forest sees the network's input, with each channel also smoothed and max-filtered at several
scales, as in pixel classifiers of microscopy; it is trained with scikit-learn.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...core.fourier.diffractogram import Diffractogram
from ...core.fourier.local_spectra import LocalSpectra
from ...core.image.micrograph import Micrograph
from ...core.spots.false_alarms import threshold
from ...core.spots.seeds import Seed, find_seeds
from ..inference.prepare import InputParams, network_input, probable_spots, target
from ..inference.propose import Predict, confirm
from ..simulation.synthesis import FAINT, Truth
from .dataset import Pairs, batch_of, drawn, spectra_of, visible

#: An answer matches a reflection within this distance, 1/nm, within one frequency step, or within half of
#: 1 / grain size.
TOLERANCE = 0.05
LEVELS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)


@dataclass(frozen=True, slots=True)
class SpotScore:
    """Counts for one image.

    Attributes
    ----------
    found, missed : int
        Visible reflections with and without a matching answer.
    right, wrong : int
        Answers at a visible reflection and elsewhere (those at doubtful reflections are ignored).
    """

    found: int
    missed: int
    right: int
    wrong: int


def spot_score(
    answers: NDArray[np.float64],
    g: NDArray[np.float64],
    snr: NDArray[np.float64],
    size: NDArray[np.float64],
    is_visible: NDArray[np.bool_],
    step: float,
) -> SpotScore:
    """Compare answers with the reflections of an image; +g and -g are equivalent.

    Parameters
    ----------
    answers : ndarray, shape (n, 2), (y, x), 1/nm
    g, snr, size, is_visible : ndarray, shapes (m, 2), (m,), (m,), (m,)
        Properties of all reflections, including invisible ones.
    step : float, 1/nm
        Frequency step of the image.
    """
    if not len(g) or not len(answers):
        return SpotScore(0, int(is_visible.sum()), 0, len(answers))
    apart = distances(answers, g)
    reach = reach_of(size, step)
    near = apart <= reach
    found = near.any(axis=0) & is_visible
    right = (near & is_visible).any(axis=1)
    doubtful = (near & (snr >= FAINT)).any(axis=1) & ~right
    return SpotScore(
        int(found.sum()),
        int((is_visible & ~found).sum()),
        int(right.sum()),
        int((~right & ~doubtful).sum()),
    )


def reach_of(size: NDArray[np.float64], step: float) -> NDArray[np.float64]:
    """Largest distance of a matching answer from a reflection, 1/nm, for grains of these sizes in nm."""
    return np.asarray(np.maximum(max(TOLERANCE, step), 0.5 / np.maximum(size, 1e-6)))


def distances(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance of each of a (n, 2) from each of b (m, 2) or -b, shape (n, m)."""
    pairs = [np.linalg.norm(a[:, None] - sign * b[None], axis=-1) for sign in (1, -1)]
    return np.asarray(np.minimum(*pairs))


@dataclass(frozen=True, slots=True)
class Rates:
    """Precision, recall and F1 over many images."""

    precision: float
    recall: float
    f1: float


def rates(scores: Sequence[SpotScore]) -> Rates:
    """Rates for the summed counts of all images; nothing found with nothing to be found counts as perfect."""
    found, missed = sum(s.found for s in scores), sum(s.missed for s in scores)
    right, wrong = sum(s.right for s in scores), sum(s.wrong for s in scores)
    precision = right / (right + wrong) if right + wrong else 1.0
    recall = found / (found + missed) if found + missed else 1.0
    total = precision + recall
    return Rates(precision, recall, 2 * precision * recall / total if total else 0.0)


def dice(answer: NDArray[np.bool_], truth: NDArray[np.bool_], counted: NDArray[np.bool_]) -> tuple[int, int]:
    """Numerator (twice the intersection) and denominator (sum) of the Dice coefficient in `counted`."""
    common = int(np.count_nonzero(answer & truth & counted))
    return 2 * common, int(np.count_nonzero(answer & counted) + np.count_nonzero(truth & counted))


def interval(
    values: Sequence[SpotScore], draws: int = 2000, seed: int = 0, share: float = 0.95
) -> tuple[float, float]:
    """Bootstrap confidence interval of F1, resampling images."""
    rng = np.random.default_rng(seed)
    table = np.array([(s.found, s.missed, s.right, s.wrong) for s in values], np.float64)
    sums = table[rng.integers(0, len(table), (draws, len(table)))].sum(axis=1)
    found, missed, right, wrong = sums.T
    precision = right / np.maximum(right + wrong, 1)
    recall = found / np.maximum(found + missed, 1)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    low, high = np.quantile(f1, [(1 - share) / 2, (1 + share) / 2])
    return float(low), float(high)


def best_threshold(
    outputs: Iterable[NDArray[np.float32]],
    pairs: Pairs,
    inputs: InputParams,
) -> float:
    """Find the threshold on the output with the best F1.

    Parameters
    ----------
    outputs : iterable of ndarray, shape (rows, columns)
        Outputs of a network or a forest, one per pair, in the order of the pairs.
    """
    counts: dict[float, list[SpotScore]] = {level: [] for level in LEVELS}
    for number, output in enumerate(outputs):
        for level in LEVELS:
            counts[level].append(spots_of(output, pairs, number, inputs, level))
    return max(LEVELS, key=lambda level: rates(counts[level]).f1)


def spots_of(
    output: NDArray[np.float32], pairs: Pairs, number: int, inputs: InputParams, least: float
) -> SpotScore:
    """Compare the spots of an output with the ground truth of pair `number`."""
    truth, limits = pairs.truth[number], pairs.limits[number]
    g, _ = probable_spots(output, least, inputs)
    length = np.hypot(*g.T)
    g = g[(length >= limits[0]) & (length <= limits[1])]
    return spot_score(g, truth.g, truth.snr, truth.size, visible(truth, limits), inputs.grid.step[0])


#: Scales of the forest's features, cells.
SCALES = (1.0, 2.0, 4.0, 8.0)
#: Spot detector: maps a diffractogram and its local spectra to frequencies, shape (n, 2), (y, x), 1/nm.
Detector = Callable[[Diffractogram, LocalSpectra], NDArray[np.float64]]


def distinct(g: NDArray[np.float64], apart: float = TOLERANCE) -> NDArray[np.float64]:
    """Remove frequencies close to an earlier one; +g and -g are equivalent."""
    kept: list[NDArray[np.float64]] = []
    for one in np.asarray(g, np.float64).reshape(-1, 2):
        if not kept or distances(one[None], np.array(kept)).min() > apart:
            kept.append(one)
    return np.array(kept).reshape(-1, 2)


def frequencies(seeds: tuple[Seed, ...]) -> NDArray[np.float64]:
    """Distinct frequencies of seeds."""
    return distinct(np.array([seed.g for seed in seeds]).reshape(-1, 2))


def threshold_everywhere(false_alarms: float) -> Detector:
    """The classical detector: one false-alarm rate for the whole image and all local windows."""

    def detect(diffractogram: Diffractogram, spectra: LocalSpectra) -> NDArray[np.float64]:
        return frequencies(find_seeds(diffractogram, spectra, false_alarms))

    return detect


def threshold_whole_image(false_alarms: float) -> Detector:
    """The same threshold on the transform of the whole image only."""

    def detect(diffractogram: Diffractogram, spectra: LocalSpectra) -> NDArray[np.float64]:
        snr = diffractogram.snr()
        gy, gx = diffractogram.axes()
        length = np.hypot(gy, gx)
        searched = (length >= diffractogram.q_min) & (length <= diffractogram.q_max)
        searched[: diffractogram.half[0] + 1, 0] = False
        level = threshold(float(searched.sum()), false_alarms, diffractogram.counts)
        cells = np.argwhere(searched & (snr > level))
        order = np.argsort(-snr[cells[:, 0], cells[:, 1]])
        places = np.stack([gy[cells[order, 0], 0], gx[0, cells[order, 1]]], axis=1)
        return distinct(places, max(TOLERANCE, 1.5 * max(diffractogram.step)))

    return detect


@dataclass(frozen=True, slots=True)
class ForestParams:
    """Parameters of the random forest: trees, their depth, and cells sampled per image."""

    trees: int = 60
    depth: int = 16
    cells: int = 400
    images: int = 600
    seed: int = 0


def train_forest(pairs: Pairs, disc: float, inputs: InputParams, params: ForestParams) -> Predict:
    """Train a random forest; returns a function from an input to the probability of each cell.

    Raises
    ------
    ImportError
        If scikit-learn is not installed.
    """
    from sklearn.ensemble import RandomForestClassifier

    rng = np.random.default_rng(params.seed)
    features, labels = [], []
    for number in rng.permutation(len(pairs))[: params.images]:
        one = batch_of(pairs, np.array([number]), disc, inputs)
        counted = one.weight[0, ..., 0] > 0
        chosen = _balance(one.target[0, ..., 0] > 0, counted, params.cells, rng)
        features.append(forest_features(one.inputs[0]).reshape(-1, _width(inputs))[chosen])
        labels.append(one.target[0].ravel()[chosen] > 0)
    forest = RandomForestClassifier(
        params.trees, max_depth=params.depth, min_samples_leaf=4, n_jobs=-1, random_state=params.seed
    )
    forest.fit(np.concatenate(features), np.concatenate(labels))

    def predict(one: NDArray[np.float32]) -> NDArray[np.float32]:
        cells = forest_features(one).reshape(-1, _width(inputs))
        return np.asarray(forest.predict_proba(cells)[:, 1].reshape(one.shape[:2]), np.float32)

    return predict


def forest_features(one: NDArray[np.float32]) -> NDArray[np.float32]:
    """Features of each cell of an input: channels, smoothed, edge-enhanced, local maxima, |g|."""
    planes: list[Any] = [one[..., k] for k in range(one.shape[-1])]
    for k in range(one.shape[-1] - 1):
        smooth = [ndimage.gaussian_filter(one[..., k], scale) for scale in SCALES]
        planes += smooth
        planes += [one[..., k] - s for s in smooth]
        planes += [ndimage.maximum_filter(one[..., k], size) for size in (3, 7, 15)]
    return np.stack(planes, axis=-1)


def _width(inputs: InputParams) -> int:
    return len(inputs.channels) + (len(inputs.channels) - 1) * (2 * len(SCALES) + 3)


def _balance(
    masked: NDArray[np.bool_], counted: NDArray[np.bool_], cells: int, rng: np.random.Generator
) -> NDArray[np.intp]:
    """Sample cells of the mask, up to a half of all, and cells outside it, some of them bright."""
    inside = np.flatnonzero(masked & counted)
    outside = np.flatnonzero(~masked & counted)
    inside = rng.permutation(inside)[: cells // 2]
    return np.concatenate([inside, rng.permutation(outside)[: cells - len(inside)]])


#: Limits of the SNR classes for which recall is reported.
SNR_CLASSES = (14.0, 18.0, 25.0, 40.0, 80.0, 200.0, 1000.0, np.inf)


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """A micrograph with ground truth up to |g| = `q_max`, and the window of its local spectra."""

    micrograph: Micrograph
    truth: Truth
    window: float = 11.0
    q_max: float = np.inf


@dataclass(slots=True, eq=False)
class MethodScore:
    """Results of one method on all images so far."""

    spots: list[SpotScore] = field(default_factory=list)
    strong: list[SpotScore] = field(default_factory=list)
    common: int = 0
    both: int = 0
    errors: list[float] = field(default_factory=list)
    false_on_empty: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    by_snr: list[tuple[float, bool]] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        """The values for the table."""
        found = rates(self.spots)
        low, high = interval(self.spots) if self.spots else (0.0, 0.0)
        errors = np.array(self.errors or [np.nan])
        empty = self.false_on_empty
        snr = np.array([s for s, _ in self.by_snr])
        hit = np.array([h for _, h in self.by_snr])
        recall = {
            f"{a:g}-{b:g}": float(hit[(snr >= a) & (snr < b)].mean())
            for a, b in pairwise(SNR_CLASSES)
            if len(snr) and ((snr >= a) & (snr < b)).any()
        }
        return {
            "images": len(self.spots),
            "precision": found.precision,
            "recall": found.recall,
            "f1": found.f1,
            "f1_interval": [low, high],
            "f1_snr_25": rates(self.strong).f1,
            "dice": self.common / max(self.both, 1),
            "d_error_median": float(np.nanmedian(errors)),
            "d_error_95": float(np.nanpercentile(errors, 95)),
            "empty_images": len(empty),
            "false_spots_an_empty_image": float(np.mean(empty)) if empty else 0.0,
            "empty_images_without_a_spot": float(np.mean(np.array(empty) == 0)) if empty else 1.0,
            "seconds": float(np.median(self.seconds)) if self.seconds else 0.0,
            "recall_by_snr": recall,
        }


def network_detector(predict: Predict, inputs: InputParams, least: float) -> Detector:
    """Detector that returns the maxima of a network's (or forest's) output."""

    def detect(diffractogram: Diffractogram, spectra: LocalSpectra) -> NDArray[np.float64]:
        g, _ = probable_spots(predict(network_input(diffractogram, spectra, inputs)), least, inputs)
        length = np.hypot(*g.T)
        return np.asarray(g[(length >= diffractogram.q_min) & (length <= diffractogram.q_max)])

    return detect


def confirmed_detector(predict: Predict, inputs: InputParams, least: float, false_alarms: float) -> Detector:
    """Detector that returns the proposals of a network that are confirmed statistically."""
    propose = network_detector(predict, inputs, least)

    def detect(diffractogram: Diffractogram, spectra: LocalSpectra) -> NDArray[np.float64]:
        g, cell = propose(diffractogram, spectra), inputs.grid.step[0]
        return frequencies(confirm(g, diffractogram, spectra, cell, false_alarms))

    return detect


def compare(
    images: Iterable[Known],
    methods: dict[str, Detector],
    disc: float,
    inputs: InputParams,
) -> dict[str, MethodScore]:
    """Run each method on each image.

    Masks are compared as discs of one radius, whatever the method returned.
    """
    scores = {name: MethodScore() for name in methods}
    for image in images:
        diffractogram, spectra = spectra_of(image.micrograph, image.window)
        limits = np.array([diffractogram.q_min, min(diffractogram.q_max, image.q_max)])
        for name, detect in methods.items():
            start = time.perf_counter()
            answers = detect(diffractogram, spectra)
            scores[name].seconds.append(time.perf_counter() - start)
            answers = answers[np.hypot(*answers.T) <= limits[1]]
            _add(scores[name], answers, image.truth, limits, max(diffractogram.step), disc, inputs)
    return scores


def _add(
    score: MethodScore,
    answers: NDArray[np.float64],
    truth: Truth,
    limits: NDArray[np.float64],
    step: float,
    disc: float,
    inputs: InputParams,
) -> None:
    seen = visible(truth, limits)
    if not (truth.snr >= 1.0).any():
        score.false_on_empty.append(len(answers))
        return
    score.spots.append(spot_score(answers, truth.g, truth.snr, truth.size, seen, step))
    # weaker reflections than this class are ignored
    strong = seen & (truth.snr >= 25)
    lifted = np.where(seen & ~strong, 10.0, truth.snr)
    score.strong.append(spot_score(answers, truth.g, lifted, truth.size, strong, step))
    wanted, counted = drawn(truth, limits, disc, inputs)
    common, both = dice(target(answers, disc, inputs) > 0, wanted > 0, counted > 0)
    score.common, score.both = score.common + common, score.both + both
    if not len(answers) or not seen.any():
        score.by_snr += [(float(s), False) for s in truth.snr[seen]]
        return
    apart = distances(answers, truth.g[seen])
    reach = reach_of(truth.size[seen], step)
    hits = np.any(apart <= reach, axis=0)
    score.by_snr += [(float(s), bool(h)) for s, h in zip(truth.snr[seen], hits, strict=True)]
    length = np.hypot(*answers.T)
    best = apart.argmin(axis=1)
    near = apart[np.arange(len(answers)), best] <= reach[best]
    true = np.hypot(*truth.g[seen][best[near]].T)
    score.errors += np.abs(true / length[near] - 1).tolist()
