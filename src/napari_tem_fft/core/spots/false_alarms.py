"""False alarms: the number of spots expected from noise alone, and the SNR threshold that follows from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..parameters import WithinLimits, param


@dataclass(frozen=True, slots=True)
class SpotParams(WithinLimits):
    """How significant a spot must be."""

    false_alarms: float = param(
        0.01,
        "false alarms",
        unit="an image",
        low=1e-6,
        high=10.0,
        help="Expected number of spots in an image that has no crystal.",
    )


def log_tail(snr: NDArray[np.float32] | float, counts: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """ln P(SNR > snr) for noise whose mean is estimated from `counts` independent values."""
    n = np.asarray(counts, np.float64)
    return np.asarray(-n * np.log1p(np.asarray(snr, np.float64) / n))


def threshold(tests: float, false_alarms: float, counts: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """SNR that noise exceeds `false_alarms` times in `tests` trials, on average."""
    n = np.asarray(counts, np.float64)
    return np.asarray(n * np.expm1(np.log(tests / false_alarms) / n))
