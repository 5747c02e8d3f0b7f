"""The network against its rivals, on simulated images or any others of which the truth is known."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.fourier.diffractogram import Diffractogram
from ...core.fourier.local_spectra import LocalSpectra
from ...core.image.micrograph import Micrograph
from ..inference.prepare import InputParams, network_input, probable_spots, target
from ..inference.propose import Predict, confirm
from ..simulation.synthesis import FAINT, TrueGrain, Truth
from .baselines import Detector, frequencies
from .batches import drawn, visible
from .dataset import spectra_of
from .scores import (
    SpotScore,
    dice,
    distances,
    interval,
    rates,
    reach_of,
    spot_score,
)

#: Bounds of the SNR classes for which recall is given.
SNR_CLASSES = (14.0, 18.0, 25.0, 40.0, 80.0, 200.0, 1000.0, np.inf)
#: Relative width of a group of d that count as one.
D_GROUP = 0.003


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """A micrograph of which the truth is known up to |g| = `q_max`, and the window of its local spectra."""

    micrograph: Micrograph
    truth: Truth
    window: float = 11.0
    q_max: float = np.inf


@dataclass(slots=True, eq=False)
class MethodScore:
    """What one method did on all images so far."""

    spots: list[SpotScore] = field(default_factory=list)
    strong: list[SpotScore] = field(default_factory=list)
    common: int = 0
    both: int = 0
    errors: list[float] = field(default_factory=list)
    false_on_empty: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    by_snr: list[tuple[float, bool]] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        """The figures of the table."""
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
    """The maxima of a network's (or a forest's) output as they are."""

    def detect(diffractogram: Diffractogram, spectra: LocalSpectra) -> NDArray[np.float64]:
        g, _ = probable_spots(predict(network_input(diffractogram, spectra, inputs)), least, inputs)
        length = np.hypot(*g.T)
        return np.asarray(g[(length >= diffractogram.q_min) & (length <= diffractogram.q_max)])

    return detect


def confirmed_detector(predict: Predict, inputs: InputParams, least: float, false_alarms: float) -> Detector:
    """What the network proposes and the statistics confirm."""
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
    """Every method on every image.

    Masks are compared as discs of one radius, whatever the method answered.
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
    # what is weaker than the class counts neither way
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
