"""Weighed: placements of a grain's spots with their evidence, remembered while the spots stay the same.

What a grain's spots say does not depend on other grains; only the posterior of the image does. So the
grains that an edit has not touched, and those that another try of overlaps has not, are not weighed again.
Nor does it depend on other phases: those outside the candidates are weighed in one go with them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from .evidence import Evidence, near_best, quick_merit, weigh
from .hypotheses import propose
from .joint_posterior import ScalePrior
from .null_models import unlisted_evidence
from .observations import Observed
from .pair_index import PhaseIndex
from .placement import Hypotheses

#: Grains remembered for one table of phases.
MOST_REMEMBERED = 256
#: Grains of fewer spots are weighed by themselves where that spares so many empty places in the arrays.
WORTH_A_GROUP = 30


@dataclass(frozen=True, slots=True, eq=False)
class Weighed:
    """All placements of some grains.

    Attributes
    ----------
    hypotheses : Hypotheses
    evidence : Evidence
    merit : ndarray, shape (hypotheses,)
        By the quick look at positions alone.
    unlisted : ndarray, shape (grains,)
        ln evidence of "a lattice not in the table".
    """

    hypotheses: Hypotheses
    evidence: Evidence
    merit: NDArray[np.float64]
    unlisted: NDArray[np.float64]

    def of_first(self, phases: int, index: PhaseIndex) -> Weighed:
        """What is worth weighing of the first so many phases of the index."""
        of_these = index.zone_phase[self.hypotheses.zone] < phases
        chosen = np.flatnonzero(near_best(self.merit, self.hypotheses.grain, len(self.unlisted), of_these))
        if len(chosen) == len(self.merit):
            return self
        return self.rows(chosen)

    def rows(self, chosen: NDArray[np.intp]) -> Weighed:
        """Some of the placements."""
        parts = self.hypotheses.rows(chosen), self.evidence.rows(chosen)
        return Weighed(*parts, self.merit[chosen], self.unlisted)


@dataclass(frozen=True, slots=True, eq=False)
class _Known:
    """A grain with the numbers of first phases for which all that is worth weighing is weighed."""

    weighed: Weighed
    phases: frozenset[int]


#: An edit that was given up may still be weighing while the next one begins.
_lock = Lock()
_remembered: WeakKeyDictionary[PhaseIndex, OrderedDict[bytes, _Known]] = WeakKeyDictionary()


def weigh_grains(observed: Observed, index: PhaseIndex, phases: int, scale: ScalePrior) -> Weighed:
    """Weigh all placements of all grains; those whose spots were weighed before are remembered.

    Parameters
    ----------
    observed : Observed
    index : PhaseIndex
    phases : int
        So many phases of the index, the first ones, are candidates. All others are weighed in the same go,
        so that they are known when they are asked for, but are not among what is returned.
    scale : ScalePrior
    """
    every = int(index.zone_phase.max(initial=-1)) + 1
    phases = min(phases, every)
    keys = [_key(observed, row, scale) for row in range(len(observed.valid))]
    if not keys:
        return _weigh(observed, index, phases, scale)
    known = _recall(index, keys, phases)
    new = [row for row, key in enumerate(keys) if key not in known]
    for group in _groups_of_like_width(new, observed.places):
        parts = _split(_weigh(observed.rows(group).narrow(), index, phases, scale))
        known |= _keep(index, [keys[row] for row in group], parts, frozenset((phases, every)))
    return _join_grains([known[key] for key in keys], observed.valid.shape[1]).of_first(phases, index)


def _key(observed: Observed, row: int, scale: ScalePrior) -> bytes:
    """All that the evidence of a grain depends on."""
    spots = int(observed.places[row])
    names = [f.name for f in fields(observed) if f.name not in ("ids", "distortion", "band")]
    prior = np.array([spots, scale.middle, scale.error, observed.distortion, *observed.band])
    return b"".join(array.tobytes() for array in (prior, *(getattr(observed, n)[row, :spots] for n in names)))


def _recall(index: PhaseIndex, keys: list[bytes], phases: int) -> dict[bytes, Weighed]:
    with _lock:
        memory = _remembered.setdefault(index, OrderedDict())
        known = {key: memory[key].weighed for key in keys if key in memory and phases in memory[key].phases}
        for key in known:
            memory.move_to_end(key)
    return known


def _keep(
    index: PhaseIndex, keys: list[bytes], parts: Iterator[Weighed], phases: frozenset[int]
) -> dict[bytes, Weighed]:
    found = dict(zip(keys, parts, strict=True))
    with _lock:
        memory = _remembered.setdefault(index, OrderedDict())
        memory.update({key: _Known(part, phases) for key, part in found.items()})
        while len(memory) > MOST_REMEMBERED:
            memory.popitem(last=False)
    return found


def _groups_of_like_width(rows: list[int], places: NDArray[np.int64]) -> list[list[int]]:
    """The rows with most spots first, parted where those that follow have far fewer."""
    groups: list[list[int]] = []
    left = sorted(rows, key=lambda row: -places[row])
    for place, row in enumerate(left):
        spared = (places[groups[-1][0]] - places[row]) * (len(left) - place) if groups else WORTH_A_GROUP
        if spared >= WORTH_A_GROUP:
            groups.append([])
        groups[-1].append(row)
    return groups


def _weigh(observed: Observed, index: PhaseIndex, phases: int, scale: ScalePrior) -> Weighed:
    """What is worth weighing of the first phases or of all."""
    hypotheses = propose(observed, index, scale.middle, scale.error)
    merit, grains = quick_merit(hypotheses, observed, index), len(observed.valid)
    of_first = index.zone_phase[hypotheses.zone] < phases
    worth = near_best(merit, hypotheses.grain, grains)
    worth |= near_best(merit, hypotheses.grain, grains, of_first)
    hypotheses = hypotheses.rows(worth)
    return Weighed(hypotheses, weigh(hypotheses, observed, index), merit[worth], unlisted_evidence(observed))


def _split(whole: Weighed) -> Iterator[Weighed]:
    """Each grain by itself."""
    for row in range(len(whole.unlisted)):
        mine = np.flatnonzero(whole.hypotheses.grain == row)
        yield replace(whole.rows(mine), unlisted=whole.unlisted[row : row + 1])


def _join_grains(parts: list[Weighed], width: int) -> Weighed:
    """Grains one after the other, numbered by their place, with as many spots as the widest has."""
    grain = np.repeat(np.arange(len(parts)), [len(part.hypotheses.grain) for part in parts])
    hypotheses = _concatenate([part.hypotheses for part in parts], width)
    return Weighed(
        replace(hypotheses, grain=grain),
        _concatenate([part.evidence for part in parts], width),
        np.concatenate([part.merit for part in parts]),
        np.concatenate([part.unlisted for part in parts]),
    )


def _concatenate(parts: list[Any], width: int) -> Any:
    kind = type(parts[0])
    columns = ([_fit_width(getattr(part, f.name), f.name, width) for part in parts] for f in fields(kind))
    return kind(*map(np.concatenate, columns))


def _fit_width(array: NDArray[Any], name: str, width: int) -> NDArray[Any]:
    """An array over so many spots; those beyond the grain's own are not there."""
    if array.ndim == 1 or name == "distortion":
        return array
    fitted = np.zeros((len(array), width, *array.shape[2:]), array.dtype)
    spots = min(width, array.shape[1])
    fitted[:, :spots] = array[:, :spots]
    return fitted
