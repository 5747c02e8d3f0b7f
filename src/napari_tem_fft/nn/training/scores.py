"""How good a mask or a list of spots is against the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..simulation.synthesis import FAINT

#: Spots count as found within this distance, 1/nm, one frequency step, or half of 1 / grain size.
TOLERANCE = 0.05


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
        Of all reflections, the invisible ones too.
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
