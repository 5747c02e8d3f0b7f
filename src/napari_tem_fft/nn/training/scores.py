"""How good a mask or a list of spots is against the truth, and from which output on spots should count."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..inference.prepare import InputParams, probable_spots
from ..simulation.synthesis import FAINT
from .batches import visible
from .dataset import Pairs

#: Spots count as found within this distance, 1/nm, within one frequency step, or within half of 1 / grain
#: size.
TOLERANCE = 0.05
LEVELS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)


@dataclass(frozen=True, slots=True)
class SpotScore:
    """Counts of one image.

    Attributes
    ----------
    found, missed : int
        Visible reflections with and without an answer.
    right, wrong : int
        Answers at a reflection (doubtful ones that were answered count neither way) and elsewhere.
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
    """Compare answers with an image's reflections; +g and -g are the same.

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
    """How far from a reflection an answer may lie, 1/nm, for grains of these sizes in nm."""
    return np.asarray(np.maximum(max(TOLERANCE, step), 0.5 / np.maximum(size, 1e-6)))


def distances(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance of each of a (n, 2) to each of b (m, 2) or its mirror, shape (n, m)."""
    pairs = [np.linalg.norm(a[:, None] - sign * b[None], axis=-1) for sign in (1, -1)]
    return np.asarray(np.minimum(*pairs))


@dataclass(frozen=True, slots=True)
class Rates:
    """Precision, recall and F1 over many images."""

    precision: float
    recall: float
    f1: float


def rates(scores: Sequence[SpotScore]) -> Rates:
    """Of the counts of all images together; nothing found and nothing to be found is perfect."""
    found, missed = sum(s.found for s in scores), sum(s.missed for s in scores)
    right, wrong = sum(s.right for s in scores), sum(s.wrong for s in scores)
    precision = right / (right + wrong) if right + wrong else 1.0
    recall = found / (found + missed) if found + missed else 1.0
    total = precision + recall
    return Rates(precision, recall, 2 * precision * recall / total if total else 0.0)


def dice(answer: NDArray[np.bool_], truth: NDArray[np.bool_], counted: NDArray[np.bool_]) -> tuple[int, int]:
    """Twice the common cells and the sum of both, where cells count; their ratio is the Dice coefficient."""
    common = int(np.count_nonzero(answer & truth & counted))
    return 2 * common, int(np.count_nonzero(answer & counted) + np.count_nonzero(truth & counted))


def interval(
    values: Sequence[SpotScore], draws: int = 2000, seed: int = 0, share: float = 0.95
) -> tuple[float, float]:
    """Bootstrap confidence interval of F1, images drawn with replacement."""
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
    levels: Sequence[float] = LEVELS,
) -> float:
    """The output from which spots count that gives the best F1.

    Parameters
    ----------
    outputs : iterable of ndarray, shape (rows, columns)
        Outputs of a network or a forest, one per pair, in the order of the pairs.
    """
    counts: dict[float, list[SpotScore]] = {level: [] for level in levels}
    for number, output in enumerate(outputs):
        for level in levels:
            counts[level].append(spots_of(output, pairs, number, inputs, level))
    return max(levels, key=lambda level: rates(counts[level]).f1)


def spots_of(
    output: NDArray[np.float32], pairs: Pairs, number: int, inputs: InputParams, least: float
) -> SpotScore:
    """Counts of an output's spots against the truth of pair `number`."""
    truth, limits = pairs.truth[number], pairs.limits[number]
    g, _ = probable_spots(output, least, inputs)
    length = np.hypot(*g.T)
    g = g[(length >= limits[0]) & (length <= limits[1])]
    return spot_score(g, truth.g, truth.snr, truth.size, visible(truth, limits), inputs.grid.step[0])
