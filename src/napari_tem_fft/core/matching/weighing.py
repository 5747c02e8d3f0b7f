"""Compute the evidence of all placements on the spots of grains, and cache it between edits.

The evidence of a phase does not depend on other phases. It is therefore computed once for the candidates and
the phases outside them, and then judged with only the candidates allowed, or with all phases.
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
from ..crystal.structure import LatticePlanes
from .brightness import Levels, ZonePowers, evidence_of_brightness, zone_powers
from .evidence import (
    Evidence,
    Expected,
    evidence_of_position,
    expected_patterns,
    near_best,
    quick_merit,
    weigh,
)
from .geometry import SCAN, GeometryPrior, ScalePrior
from .null_models import unlisted_evidence
from .observations import Observed
from .pair_index import PhaseIndex, build_index, index_key
from .placement import Hypotheses, propose

#: Number of most recently used grains and indices that are kept.
MOST_GRAINS, MOST_INDICES = 256, 4
#: Number of most recently used zones whose powers are kept, some 20 kB each.
MOST_ZONES = 500
#: Grains with fewer spots are processed separately if that saves this many empty elements of the arrays.
WORTH_A_GROUP = 30
#: Key of the index, number of its candidates, and a hash of everything else that the evidence depends on.
Key = tuple[str, int, bytes]


@dataclass(frozen=True, slots=True, eq=False)
class Weighed:
    """All placements of some grains with their evidence.

    Attributes
    ----------
    hypotheses : Hypotheses
    evidence : Evidence
    merit : ndarray, shape (hypotheses,)
        Quick estimates of the evidence (`quick_merit`).
    brightness : ndarray, shape (hypotheses,)
        Change of the ln evidence by the brightness of the spots (`evidence_of_brightness`).
    unlisted : ndarray, shape (grains,)
        ln evidence of an unlisted lattice.
    """

    hypotheses: Hypotheses
    evidence: Evidence
    merit: NDArray[np.float64]
    brightness: NDArray[np.float64]
    unlisted: NDArray[np.float64]

    def of_first(self, phases: int, index: PhaseIndex) -> Weighed:
        """Restrict to the placements worth considering if only the first phases of the index exist."""
        of_these = index.zone_phase[self.hypotheses.zone] < phases
        chosen = np.flatnonzero(near_best(self.merit, self.hypotheses.grain, len(self.unlisted), of_these))
        if len(chosen) == len(self.merit):
            return self
        return self.rows(chosen)

    def rows(self, chosen: NDArray[np.intp]) -> Weighed:
        """Select some of the placements."""
        parts = self.hypotheses.rows(chosen), self.evidence.rows(chosen)
        return Weighed(*parts, self.merit[chosen], self.brightness[chosen], self.unlisted)


class EvidenceCache:
    """Cache of the evidence of grains, and of the indices with which it was computed.

    The evidence of a grain does not depend on other grains; only the joint posterior does. Code that matches
    the grains of an image repeatedly (after edits, or with other phases allowed) should create a cache and
    pass it on, so that grains with unchanged spots are not computed again. Results are the same without it.

    Parameters
    ----------
    *indices : PhaseIndex
        Indices that exist already.
    """

    def __init__(self, *indices: PhaseIndex) -> None:
        self._indices = OrderedDict((index.key, index) for index in indices)
        self._expected: dict[tuple[str, tuple[float, float]], Expected] = {}
        self._powers: OrderedDict[tuple[str, bytes], ZonePowers] = OrderedDict()
        self._grains: OrderedDict[Key, Weighed] = OrderedDict()
        self._lock = RLock()  # an abandoned edit can still be running when the next one begins

    def for_another_image(self) -> EvidenceCache:
        """Create a cache that shares the indices and their expectations, but contains no grains.

        The results for an image then do not depend on images that were analysed before.
        """
        other = EvidenceCache()
        other._indices, other._expected, other._lock = self._indices, self._expected, self._lock
        other._powers = self._powers
        return other

    def take(self, index: PhaseIndex) -> None:
        """Add an existing index."""
        with self._lock:
            self._indices.setdefault(index.key, index)
            self._indices.move_to_end(index.key)

    def index_of(self, phases: Sequence[Phase]) -> PhaseIndex:
        """Return the index of these phases in this order; it is built if needed."""
        key = index_key(phases)
        with self._lock:
            if key not in self._indices:
                self._indices[key] = build_index(phases)
            self._indices.move_to_end(key)
            while len(self._indices) > MOST_INDICES:
                self._indices.popitem(last=False)
            return self._indices[key]

    def expected(self, index: PhaseIndex, band: tuple[float, float]) -> Expected:
        """Return the expectations for an index within a band of |g|, 1/nm."""
        with self._lock:
            if (index.key, band) not in self._expected:
                while len(self._expected) >= MOST_INDICES:
                    self._expected.pop(next(iter(self._expected)))
                self._expected[index.key, band] = expected_patterns(index, band)
            return self._expected[index.key, band]

    def powers(self, index: PhaseIndex, zone: int) -> ZonePowers:
        """Return the powers of the reflections of a zone; computed if they are not stored.

        Raises
        ------
        ValueError
            If the structure of the phase is not known.
        """
        planes = index.planes(zone)
        if not isinstance(planes, LatticePlanes):
            raise ValueError(f"the structure of phase {index.zone_phase[zone]} of the index is not known")
        key = planes.key, index.zone_hkl[zone].tobytes()
        with self._lock:
            if key not in self._powers:
                hkl = index.zone_hkl[zone].astype(np.int64)
                self._powers[key] = zone_powers(planes.structure, hkl, index.zone_basis[zone])
            self._powers.move_to_end(key)
            while len(self._powers) > MOST_ZONES:
                self._powers.popitem(last=False)
            return self._powers[key]

    def recall(self, keys: Sequence[Key]) -> dict[Key, Weighed]:
        """Return the stored evidence of some grains."""
        with self._lock:
            known = {key: self._grains[key] for key in keys if key in self._grains}
            for key in known:
                self._grains.move_to_end(key)
        return known

    def keep(self, found: Mapping[Key, Weighed]) -> None:
        """Store the evidence of some grains, and drop the least recently used."""
        with self._lock:
            self._grains.update(found)
            while len(self._grains) > MOST_GRAINS:
                self._grains.popitem(last=False)


def weigh_grains(
    observed: Observed, index: PhaseIndex, candidates: int, scale: ScalePrior, cache: EvidenceCache
) -> Weighed:
    """Compute the evidence of all placements of all phases of an index for all grains.

    Parameters
    ----------
    observed : Observed
    index : PhaseIndex
    candidates : int
        Number of phases, at the beginning of the index, that are candidates. Placements worth considering
        among them alone are included, so that `Weighed.of_first` is complete.
    scale : ScalePrior
    cache : EvidenceCache
        Evidence that it contains is not computed again.
    """
    keys = [(index.key, candidates, _key(observed, row, scale)) for row in range(len(observed.valid))]
    if not keys:
        return _weigh(observed, index, candidates, scale, cache)
    known = cache.recall(keys)
    new = [row for row, key in enumerate(keys) if key not in known]
    for group in _groups_of_like_width(new, observed.places):
        weighed = _weigh(observed.rows(group).narrow(), index, candidates, scale, cache)
        known |= zip([keys[row] for row in group], _split(weighed), strict=True)
    cache.keep(known)
    return _join_grains([known[key] for key in keys], observed.valid.shape[1])


def _key(observed: Observed, row: int, scale: ScalePrior) -> bytes:
    """Encode everything that the evidence of a grain depends on."""
    spots = int(observed.places[row])
    names = [f.name for f in fields(observed) if f.name not in ("ids", "distortion", "band", "brightness")]
    of_image = observed.distortion, *observed.band, observed.brightness
    prior = np.array([spots, scale.middle, scale.error, *of_image])
    return b"".join(array.tobytes() for array in (prior, *(getattr(observed, n)[row, :spots] for n in names)))


def _groups_of_like_width(rows: list[int], places: NDArray[np.int64]) -> list[list[int]]:
    """Sort rows by falling number of spots, and split them where the number drops strongly."""
    groups: list[list[int]] = []
    left = sorted(rows, key=lambda row: -places[row])
    for place, row in enumerate(left):
        spared = (places[groups[-1][0]] - places[row]) * (len(left) - place) if groups else WORTH_A_GROUP
        if spared >= WORTH_A_GROUP:
            groups.append([])
        groups[-1].append(row)
    return groups


def _weigh(
    observed: Observed, index: PhaseIndex, candidates: int, scale: ScalePrior, cache: EvidenceCache
) -> Weighed:
    """Compute the placements worth considering among the candidates or among all phases."""
    before = cache.expected(index, observed.band)
    hypotheses = propose(observed, index, scale.middle, scale.error)
    merit, grains = quick_merit(hypotheses, observed, before, scale), len(observed.valid)
    of_first = index.zone_phase[hypotheses.zone] < candidates
    worth = near_best(merit, hypotheses.grain, grains)
    worth |= near_best(merit, hypotheses.grain, grains, of_first)
    hypotheses = hypotheses.rows(worth)
    evidence, unlisted = weigh(hypotheses, observed, index, before), unlisted_evidence(observed)
    brightness = np.zeros(len(hypotheses.grain))
    if (
        observed.brightness and observed.distortion < SCAN
    ):  # the contrast of scanned images is of another kind
        prior = GeometryPrior(scale, observed.distortion)
        fit = hypotheses.likelihoods(evidence.log_evidence).marginal(prior.mean, prior.precision)
        position = evidence_of_position(hypotheses, observed, before)
        brightness = evidence_of_brightness(
            hypotheses,
            Levels(evidence.log_evidence, fit, position, unlisted),
            observed,
            index,
            candidates,
            lambda zone: cache.powers(index, zone),
        )
    return Weighed(hypotheses, evidence, merit[worth], brightness, unlisted)


def _split(whole: Weighed) -> Iterator[Weighed]:
    """Split into single grains."""
    for row in range(len(whole.unlisted)):
        mine = np.flatnonzero(whole.hypotheses.grain == row)
        yield replace(whole.rows(mine), unlisted=whole.unlisted[row : row + 1])


def _join_grains(parts: list[Weighed], width: int) -> Weighed:
    """Concatenate grains, numbered by position and padded to the largest number of spots."""
    grain = np.repeat(np.arange(len(parts)), [len(part.hypotheses.grain) for part in parts])
    hypotheses = _concatenate([part.hypotheses for part in parts], width)
    return Weighed(
        replace(hypotheses, grain=grain),
        _concatenate([part.evidence for part in parts], width),
        np.concatenate([part.merit for part in parts]),
        np.concatenate([part.brightness for part in parts]),
        np.concatenate([part.unlisted for part in parts]),
    )


def _concatenate(parts: list[Any], width: int) -> Any:
    kind = type(parts[0])
    columns = ([_fit_width(getattr(part, f.name), f.name, width) for part in parts] for f in fields(kind))
    return kind(*map(np.concatenate, columns))


def _fit_width(array: NDArray[Any], name: str, width: int) -> NDArray[Any]:
    """Pad an array to a number of spots; added ones are marked as absent."""
    if array.ndim == 1 or name in ("distortion", "information", "gradient"):
        return array
    fitted = np.zeros((len(array), width, *array.shape[2:]), array.dtype)
    spots = min(width, array.shape[1])
    fitted[:, :spots] = array[:, :spots]
    return fitted
