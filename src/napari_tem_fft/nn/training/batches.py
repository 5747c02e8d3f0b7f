"""Batches of a training step: targets and weights drawn from the truth, and augmentation.

Everything follows from a seed and the step's number, so that a training that was interrupted goes on as
if it had not been.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..inference.prepare import InputParams, mirror, target
from ..simulation.synthesis import FAINT, VISIBLE, Truth
from .dataset import Pairs, restore_inputs

#: Relative and absolute change of each channel of an augmented input.
GAIN, SHIFT = 0.05, 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Inputs, shape (n, rows, columns, channels); targets and weights, shape (n, rows, columns, 1)."""

    inputs: NDArray[np.float32]
    target: NDArray[np.float32]
    weight: NDArray[np.float32]


def visible(truth: Truth, limits: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which reflections are to be found: local SNR above `VISIBLE`, |g| within the searched limits."""
    length = np.hypot(*truth.g.T)
    return np.asarray((truth.snr >= VISIBLE) & (length >= limits[0]) & (length <= limits[1]))


def drawn(
    truth: Truth, limits: NDArray[np.float64], disc: float, params: InputParams
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Target and weight on the network's cells.

    Returns
    -------
    target : ndarray of uint8, shape (rows, columns)
        1 in the discs of visible reflections.
    weight : ndarray of uint8, shape (rows, columns)
        0 in the discs of those that are neither visible nor invisible, and where nothing is searched.
    """
    found = visible(truth, limits)
    wanted = target(truth.g[found], disc, params)
    doubtful = target(truth.g[(truth.snr >= FAINT) & ~found], 1.5 * disc, params)
    length = radius_of_cells(params)
    searched = (length >= limits[0]) & (length <= limits[1])
    return wanted, (searched & ((doubtful == 0) | (wanted == 1))).astype(np.uint8)


def radius_of_cells(params: InputParams) -> NDArray[np.float64]:
    """|g| of an input's cells, 1/nm; infinite in its empty row."""
    rows = np.arange(-params.half, params.half + 2)[:, None]
    columns = np.arange(-params.margin, params.half + 1)
    radius = np.hypot(rows, columns) * params.grid.step[0]
    radius[-1] = np.inf
    return np.asarray(radius)


def batch_of(
    pairs: Pairs,
    members: NDArray[np.intp],
    disc: float,
    params: InputParams,
    rng: np.random.Generator | None = None,
) -> Batch:
    """The pairs with these numbers, augmented if a generator is given (turns, mirrors, gain)."""
    both = [drawn(pairs.truth[i], pairs.limits[i], disc, params) for i in members]
    inputs = restore_inputs(pairs.inputs[members], params)
    masks = np.stack([np.stack(pair, axis=-1) for pair in both]).astype(np.float32)
    if rng is not None:
        for i in range(len(members)):
            transpose, flip = bool(rng.integers(2)), bool(rng.integers(2))
            inputs[i] = mirror(inputs[i], params, transpose, flip)
            masks[i] = mirror(masks[i], params, transpose, flip)
        shape = (len(members), 1, 1, inputs.shape[-1])
        inputs *= 1 + GAIN * rng.standard_normal(shape, np.float32)
        inputs += SHIFT * rng.standard_normal(shape, np.float32) * (inputs != 0)
    return Batch(inputs, masks[..., :1], masks[..., 1:])


def batches(
    pairs: Pairs, size: int, disc: float, params: InputParams, seed: int, first: int, last: int
) -> Iterator[Batch]:
    """Augmented batches number `first` to `last` (not included), each made while the last is used."""
    per_epoch = max(len(pairs) // size, 1)

    def make(number: int) -> Batch:
        epoch, place = divmod(number, per_epoch)
        order = np.random.default_rng([seed, epoch]).permutation(len(pairs))
        members = order[place * size : (place + 1) * size]
        return batch_of(pairs, members, disc, params, np.random.default_rng([seed, 7, number]))

    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(make, first)
        for number in range(first, last):
            batch = coming.result()
            if number + 1 < last:
                coming = pool.submit(make, number + 1)
            yield batch
