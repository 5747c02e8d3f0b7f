"""Weighed: placements of grains' spots with their evidence, by all phases of an index at once.

What a grain's spots say of a phase does not depend on other phases, so that the candidates and the phases
outside of them are weighed in one go, and then judged with only the candidates allowed, or all.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from threading import RLock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..crystal.phase import Phase
from .evidence import Evidence, Expected, expected_patterns, near_best, quick_merit, weigh
from .geometry import ScalePrior
from .null_models import unlisted_evidence
from .observations import Observed
from .pair_index import PhaseIndex, build_index, index_key
from .placement import Hypotheses, propose

#: Grains and indices that are kept, the last used ones.
MOST_GRAINS, MOST_INDICES = 256, 4
#: Grains of fewer spots are weighed by themselves where that spares this many empty places in the arrays.
WORTH_A_GROUP = 30
#: An index's key, the number of its phases that are candidates, and all else that evidence depends on.
Key = tuple[str, int, bytes]


@dataclass(frozen=True, slots=True, eq=False)
class Weighed:
    """All placements of some grains.

    Attributes
    ----------
    hypotheses : Hypotheses
    evidence : Evidence
    merit : ndarray, shape (hypotheses,)
        By the quick look.
    unlisted : ndarray, shape (grains,)
        ln evidence of "a lattice not in the table".
    """

    hypotheses: Hypotheses
    evidence: Evidence
    merit: NDArray[np.float64]
    unlisted: NDArray[np.float64]

    def of_first(self, phases: int, index: PhaseIndex) -> Weighed:
        """What is worth weighing of the first phases of the index."""
        of_these = index.zone_phase[self.hypotheses.zone] < phases
        chosen = np.flatnonzero(near_best(self.merit, self.hypotheses.grain, len(self.unlisted), of_these))
        if len(chosen) == len(self.merit):
            return self
        return self.rows(chosen)

    def rows(self, chosen: NDArray[np.intp]) -> Weighed:
        """Some of the placements."""
        parts = self.hypotheses.rows(chosen), self.evidence.rows(chosen)
        return Weighed(*parts, self.merit[chosen], self.unlisted)


class EvidenceCache:
    """Evidence of grains by all that it depends on, and the indices that it was weighed by.

    What a grain's spots say does not depend on other grains; only the posterior of the image does. So whoever
    matches the grains of an image again and again (after edits, or with other phases allowed) makes one and
    hands it on: grains whose spots are the same are not weighed again. Results are the same without it.

    Parameters
    ----------
    *indices : PhaseIndex
        Such as are prepared already.
    """

    def __init__(self, *indices: PhaseIndex) -> None:
        self._indices = OrderedDict((index.key, index) for index in indices)
        self._expected: dict[tuple[str, tuple[float, float]], Expected] = {}
        self._grains: OrderedDict[Key, Weighed] = OrderedDict()
        self._lock = RLock()  # an edit that was given up may still be weighing while the next one begins

    def for_another_image(self) -> EvidenceCache:
        """A cache that shares the indices and their expectations, and knows no grains.

        Results of an image then depend on nothing that was analysed before it.
        """
        other = EvidenceCache()
        other._indices, other._expected, other._lock = self._indices, self._expected, self._lock
        return other

    def take(self, index: PhaseIndex) -> None:
        """Add an index that is prepared."""
        with self._lock:
            self._indices.setdefault(index.key, index)
            self._indices.move_to_end(index.key)

    def index_of(self, phases: Sequence[Phase]) -> PhaseIndex:
        """The index of these phases in this order, built where it is not prepared."""
        key = index_key(phases)
        with self._lock:
            if key not in self._indices:
                self._indices[key] = build_index(phases)
            self._indices.move_to_end(key)
            while len(self._indices) > MOST_INDICES:
                self._indices.popitem(last=False)
            return self._indices[key]

    def expected(self, index: PhaseIndex, band: tuple[float, float]) -> Expected:
        """What is expected of an index within a band of |g|, 1/nm."""
        with self._lock:
            if (index.key, band) not in self._expected:
                while len(self._expected) >= MOST_INDICES:
                    self._expected.pop(next(iter(self._expected)))
                self._expected[index.key, band] = expected_patterns(index, band)
            return self._expected[index.key, band]

    def recall(self, keys: Sequence[Key]) -> dict[Key, Weighed]:
        """What is known of some grains."""
        with self._lock:
            known = {key: self._grains[key] for key in keys if key in self._grains}
            for key in known:
                self._grains.move_to_end(key)
        return known

    def keep(self, found: Mapping[Key, Weighed]) -> None:
        """Keep the evidence of some grains, and that of the last others."""
        with self._lock:
            self._grains.update(found)
            while len(self._grains) > MOST_GRAINS:
                self._grains.popitem(last=False)


def weigh_grains(
    observed: Observed, index: PhaseIndex, candidates: int, scale: ScalePrior, cache: EvidenceCache
) -> Weighed:
    """Weigh all placements of all grains by all phases of an index.

    Parameters
    ----------
    observed : Observed
    index : PhaseIndex
    candidates : int
        The first phases, as many as this, are candidates: what is worth weighing of them alone is
        weighed too, so that `Weighed.of_first` gives their evidence as well as that of all phases.
    scale : ScalePrior
    cache : EvidenceCache
        Grains that it knows are not weighed again.
    """
    keys = [(index.key, candidates, _key(observed, row, scale)) for row in range(len(observed.valid))]
    before = cache.expected(index, observed.band)
    if not keys:
        return _weigh(observed, index, candidates, scale, before)
    known = cache.recall(keys)
    new = [row for row, key in enumerate(keys) if key not in known]
    for group in _groups_of_like_width(new, observed.places):
        weighed = _weigh(observed.rows(group).narrow(), index, candidates, scale, before)
        known |= zip([keys[row] for row in group], _split(weighed), strict=True)
    cache.keep(known)
    return _join_grains([known[key] for key in keys], observed.valid.shape[1])


def _key(observed: Observed, row: int, scale: ScalePrior) -> bytes:
    """All that the evidence of a grain depends on."""
    spots = int(observed.places[row])
    names = [f.name for f in fields(observed) if f.name not in ("ids", "distortion", "band")]
    prior = np.array([spots, scale.middle, scale.error, observed.distortion, *observed.band])
    return b"".join(array.tobytes() for array in (prior, *(getattr(observed, n)[row, :spots] for n in names)))


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


def _weigh(
    observed: Observed, index: PhaseIndex, candidates: int, scale: ScalePrior, before: Expected
) -> Weighed:
    """What is worth weighing of the candidates or of all."""
    hypotheses = propose(observed, index, scale.middle, scale.error)
    merit, grains = quick_merit(hypotheses, observed, before, scale), len(observed.valid)
    of_first = index.zone_phase[hypotheses.zone] < candidates
    worth = near_best(merit, hypotheses.grain, grains)
    worth |= near_best(merit, hypotheses.grain, grains, of_first)
    hypotheses = hypotheses.rows(worth)
    return Weighed(
        hypotheses, weigh(hypotheses, observed, index, before), merit[worth], unlisted_evidence(observed)
    )


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
    """An array over a number of spots; those beyond the grain's own are marked as absent."""
    if array.ndim == 1 or name in ("distortion", "information", "gradient"):
        return array
    fitted = np.zeros((len(array), width, *array.shape[2:]), array.dtype)
    spots = min(width, array.shape[1])
    fitted[:, :spots] = array[:, :spots]
    return fitted
