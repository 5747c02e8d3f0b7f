"""From which output on a cell belongs to a spot: the threshold that gives the best F1 on held-back pairs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from ..inference.prepare import InputParams, probable_spots
from .batches import visible
from .dataset import Pairs
from .scores import SpotScore, rates, spot_score

LEVELS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)


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
        Of a network or a forest, one a pair, in their order.
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
