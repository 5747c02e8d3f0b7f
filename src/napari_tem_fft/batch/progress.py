"""Progress of a run for the user: images done, failures, rate, and time left."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from ..core.progress import Step

#: The rate is measured over this many of the latest images, so that it follows the current speed.
LOOKED_BACK = 30


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is.

    Attributes
    ----------
    done, total, failed : int
        Files with or without results, all files that are known, and those without results.
    rate : float
        Images per minute, recently; 0 while unknown.
    seconds_left : float, optional
        None while unknown.
    """

    done: int
    total: int
    failed: int
    rate: float
    seconds_left: float | None


class Tracker:
    """Follows the steps of `batch_steps` with a pulse.

    Parameters
    ----------
    clock : callable
        Seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._moments: deque[float] = deque([clock()], LOOKED_BACK + 1)
        self._failed, self._begun = 0, False

    def note(self, step: Step) -> Progress:
        """Take a step in, with a record or without; files that come before the first pulse are no rate."""
        now, record = self._clock(), step.product
        if record is None and not self._begun:
            self._begun = True
            self._moments.clear()
            self._moments.append(now)
        if record is not None:
            self._failed += record.state != "analysed"
            self._moments.append(now)
        spent = now - self._moments[0]
        count = len(self._moments) - 1
        rate = count / spent if count and spent > 0 else 0.0
        left = (step.total - step.done) / rate if rate else None
        return Progress(step.done, step.total, self._failed, 60 * rate, left)
