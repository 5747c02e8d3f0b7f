"""Weighed: placements of a grain's spots with their evidence, remembered while the spots stay the same.

What a grain's spots say does not depend on other grains; only the posterior of the image does. So the
grains that an edit has not touched, and those that another try of overlaps has not, are not weighed again.
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

from .evidence import Evidence, promising, weigh
from .hypotheses import propose
from .index import PhaseIndex
from .joint import ScalePrior
from .observed import Observed
from .placement import Hypotheses
from .rivals import unlisted

#: Grains remembered for one table of candidates.
MOST_REMEMBERED = 256


@dataclass(frozen=True, slots=True, eq=False)
class Weighed:
    """All placements of some grains.

    Attributes
    ----------
    hypotheses : Hypotheses
    evidence : Evidence
    unlisted : ndarray, shape (grains,)
        ln evidence of "a lattice not in the table".
    """

    hypotheses: Hypotheses
    evidence: Evidence
    unlisted: NDArray[np.float64]


#: An edit that was given up may still be weighing while the next one begins.
_lock = Lock()
_remembered: WeakKeyDictionary[PhaseIndex, OrderedDict[bytes, Weighed]] = WeakKeyDictionary()


def weighed(observed: Observed, index: PhaseIndex, scale: ScalePrior) -> Weighed:
    """Weigh all placements of all grains; those whose spots were weighed before are remembered."""
    keys = [_key(observed, row, scale) for row in range(len(observed.there))]
    if not keys:
        return _weigh(observed, index, scale)
    known = _recall(index, keys)
    new = [row for row, key in enumerate(keys) if key not in known]
    if new:
        parts = _split(_weigh(observed.rows(new), index, scale))
        found = dict(zip([keys[row] for row in new], parts, strict=True))
        _keep(index, found)
        known |= found
    return _joined([known[key] for key in keys], observed.there.shape[1])


def _key(observed: Observed, row: int, scale: ScalePrior) -> bytes:
    """All that the evidence of a grain depends on."""
    spots = int(np.count_nonzero(observed.ids[row] >= 0))
    names = [f.name for f in fields(observed) if f.name not in ("ids", "stretch", "band")]
    prior = np.array([spots, scale.middle, scale.error, observed.stretch, *observed.band])
    return b"".join(array.tobytes() for array in (prior, *(getattr(observed, n)[row, :spots] for n in names)))


def _recall(index: PhaseIndex, keys: list[bytes]) -> dict[bytes, Weighed]:
    with _lock:
        memory = _remembered.setdefault(index, OrderedDict())
        known = {key: memory[key] for key in keys if key in memory}
        for key in known:
            memory.move_to_end(key)
    return known


def _keep(index: PhaseIndex, found: dict[bytes, Weighed]) -> None:
    with _lock:
        memory = _remembered.setdefault(index, OrderedDict())
        memory.update(found)
        while len(memory) > MOST_REMEMBERED:
            memory.popitem(last=False)


def _weigh(observed: Observed, index: PhaseIndex, scale: ScalePrior) -> Weighed:
    hypotheses = propose(observed, index, scale.middle, scale.error)
    hypotheses = hypotheses.rows(promising(hypotheses, observed, index))
    return Weighed(hypotheses, weigh(hypotheses, observed, index), unlisted(observed))


def _split(whole: Weighed) -> Iterator[Weighed]:
    """Each grain by itself."""
    for row in range(len(whole.unlisted)):
        mine = np.flatnonzero(whole.hypotheses.grain == row)
        part = whole.hypotheses.rows(mine), whole.evidence.rows(mine)
        yield Weighed(*part, whole.unlisted[row : row + 1])


def _joined(parts: list[Weighed], width: int) -> Weighed:
    """Grains one after the other, numbered by their place, with as many spots as the widest has."""
    grain = np.repeat(np.arange(len(parts)), [len(part.hypotheses.grain) for part in parts])
    hypotheses = _concatenated([part.hypotheses for part in parts], width)
    return Weighed(
        replace(hypotheses, grain=grain),
        _concatenated([part.evidence for part in parts], width),
        np.concatenate([part.unlisted for part in parts]),
    )


def _concatenated(parts: list[Any], width: int) -> Any:
    kind = type(parts[0])
    columns = ([_fitted(getattr(part, f.name), f.name, width) for part in parts] for f in fields(kind))
    return kind(*map(np.concatenate, columns))


def _fitted(array: NDArray[Any], name: str, width: int) -> NDArray[Any]:
    """An array over so many spots; those beyond the grain's own are not there."""
    if array.ndim == 1 or name == "stretch":
        return array
    fitted = np.zeros((len(array), width, *array.shape[2:]), array.dtype)
    spots = min(width, array.shape[1])
    fitted[:, :spots] = array[:, :spots]
    return fitted
