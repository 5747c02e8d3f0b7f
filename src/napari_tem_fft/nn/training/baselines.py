"""What the U-Net is compared with: thresholds at a constant false-alarm rate, and a random forest.

The forest sees the network's own input, each channel also smoothed and as its local maximum at several
scales, as pixel classifiers of microscopy do; scikit-learn trains it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...core.fourier.diffractogram import Diffractogram
from ...core.fourier.local_spectra import LocalSpectra
from ...core.fourier.noise import threshold
from ...core.spots.seeds import Seed, find_seeds
from ..inference.prepare import InputParams
from ..inference.propose import Predict
from .batches import batch_of
from .dataset import Pairs
from .scores import TOLERANCE, distances

#: Scales of the forest's features, cells.
SCALES = (1.0, 2.0, 4.0, 8.0)
#: Finds spots: maps a diffractogram and its local spectra to frequencies, shape (n, 2), (y, x), 1/nm.
Detector = Callable[[Diffractogram, LocalSpectra], NDArray[np.float64]]


def distinct(g: NDArray[np.float64], apart: float = TOLERANCE) -> NDArray[np.float64]:
    """Frequencies without those that lie near an earlier one; +g and -g are the same."""
    kept: list[NDArray[np.float64]] = []
    for one in np.asarray(g, np.float64).reshape(-1, 2):
        if not kept or distances(one[None], np.array(kept)).min() > apart:
            kept.append(one)
    return np.array(kept).reshape(-1, 2)


def frequencies(seeds: tuple[Seed, ...]) -> NDArray[np.float64]:
    """Distinct frequencies of seeds."""
    return distinct(np.array([seed.g for seed in seeds]).reshape(-1, 2))


def threshold_everywhere(false_alarms: float) -> Detector:
    """The classical detector: whole image and local windows at one false-alarm rate for all."""

    def detect(diffractogram: Diffractogram, spectra: LocalSpectra) -> NDArray[np.float64]:
        return frequencies(find_seeds(diffractogram, spectra, false_alarms))

    return detect


def threshold_whole_image(false_alarms: float) -> Detector:
    """The same threshold on the transform of the whole image alone."""

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
    """Of the random forest: trees, their depth, and cells of an image that it learns from."""

    trees: int = 60
    depth: int = 16
    cells: int = 400
    images: int = 600
    seed: int = 0


def train_forest(pairs: Pairs, disc: float, inputs: InputParams, params: ForestParams) -> Predict:
    """A random forest on the pairs, as a function from an input to the probability of each cell.

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
    """Features of every cell of an input: channels, smoothed, edge-enhanced, local maxima, |g|."""
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
    """As many cells of the mask as there are, up to a half, and others, of which some are bright."""
    inside = np.flatnonzero(masked & counted)
    outside = np.flatnonzero(~masked & counted)
    inside = rng.permutation(inside)[: cells // 2]
    return np.concatenate([inside, rng.permutation(outside)[: cells - len(inside)]])
