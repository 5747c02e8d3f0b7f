"""Match all grains of an image to phases together, with one scale and one stretch for the image."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..crystal.phase import Phase
from ..grains.grain import Grain
from ..spots.spot import Spot
from .candidates import candidate, candidates, single_d
from .geometry import GRAIN_SCALE, Distortions, ImageGeometry, ScalePrior, expected_distortions
from .observations import ANY_G, COLLINEAR, Observed, observe
from .pair_index import PhaseIndex
from .params import OUTSIDE, MatchParams
from .result import Candidate, GrainMatch, Outcome, PhaseOverride
from .search import Found, search
from .verdict import (
    IDENTIFIED_SHARE,
    LARGEST_MISFIT,
    SHOWING_SPOTS,
    Context,
    against_rivals,
    judge,
    rests_on_geometry,
    shows_stretch,
    with_hints,
)
from .weighing import EvidenceCache

#: A second lattice in a grain needs this many spots that the first does not explain, in two directions.
FURTHER_SPOTS = 3
#: The third strongest of these spots has at least this SNR.
FURTHER_SNR = 18.0
#: The first lattice needs this many spots, and the probability that the phase is unlisted is at most this.
FIRST_SPOTS = 3
MOST_UNLISTED = 0.9


def split_rows(found: Found, phases: int) -> list[tuple[int, NDArray[np.bool_]]]:
    """Find the rows that contain a second lattice, with the spots that the best lattice does not explain.

    Parameters
    ----------
    found : Found
    phases : int
        Number of candidates.
    """
    split = []
    for row in range(len(found.observed.valid)):
        best = found.best(row)
        if best is None or found.phase[row, phases:].sum() > MOST_UNLISTED:
            continue
        explained = found.evidence.explained[best] | found.evidence.double_diffraction[best]
        rest = found.observed.valid[row] & ~explained
        if explained.sum() >= FIRST_SPOTS and _is_lattice(found.observed, row, rest):
            split.append((row, rest))
    return split


def _is_lattice(observed: Observed, row: int, rest: NDArray[np.bool_]) -> bool:
    if rest.sum() < FURTHER_SPOTS:
        return False
    strong = np.sort(observed.snr[row, rest])[::-1]
    azimuth = observed.azimuth[row, rest]
    turned = np.abs(np.sin(azimuth[:, None] - azimuth[None]))
    return bool(strong[FURTHER_SPOTS - 1] >= FURTHER_SNR and (turned > np.sin(COLLINEAR)).any())


#: A phase outside the candidates joins an ambiguous set if its probability is at least this share of the
#: named phase's.
JOINS = 0.5


def with_alternatives(
    matches: Sequence[GrainMatch], free: Sequence[GrainMatch], outside: Sequence[Phase], weight: float
) -> tuple[GrainMatch, ...]:
    """Add to each match the phases outside the candidates that would be named if they were candidates.

    If these are more probable than the named phase despite their lower prior, the outcome becomes an
    ambiguous set of both.

    Parameters
    ----------
    matches : sequence of GrainMatch
        Matches that consider only the candidates.
    free : sequence of GrainMatch
        Matches of the same grains, or some of them, that consider all phases.
    outside : sequence of Phase
        The phases that are not candidates.
    weight : float
        Prior probability of such a phase relative to a candidate (`MatchParams.outside`).
    """
    barred = {phase.id for phase in outside}
    of_grain: dict[int, GrainMatch] = {}
    for match in free:
        of_grain.setdefault(match.grain, match)
    first = {match.grain: index for index, match in reversed(list(enumerate(matches)))}
    return tuple(
        _with_outside(match, of_grain[match.grain], barred, weight)
        if match.grain in of_grain and first[match.grain] == index
        else match
        for index, match in enumerate(matches)
    )


def _with_outside(match: GrainMatch, free: GrainMatch, barred: set[str], weight: float) -> GrainMatch:
    """The match, with what it would be if all phases were candidates."""
    mine = sum(c.posterior for c in free.candidates if c.phase in match.phases)
    outside = [c for c in free.candidates if c.phase in barred]
    if match.outcome.names_phases and weight * sum(c.posterior for c in outside) > mine:
        return _widened_set(match, free, tuple(c for c in outside if c.posterior >= JOINS * mine))
    named = free.phases if free.outcome.names_phases else ()
    alternatives = tuple(c for c in outside if c.phase in named)
    if not alternatives:
        return match
    how = "as well" if set(named) & set(match.phases) else "better"
    names = ", ".join(candidate.phase for candidate in alternatives)
    reason = f"{match.reason}; not among the candidates but fits {how}: {names}"
    return replace(match, alternatives=alternatives, reason=reason)


def _widened_set(match: GrainMatch, free: GrainMatch, null_models: tuple[Candidate, ...]) -> GrainMatch:
    """An ambiguous set of the named phases and the better ones outside the candidates."""
    names = [candidate.phase for candidate in null_models]
    reason = (
        f"{' / '.join(match.phases)} by the candidates alone, but {', '.join(names)} outside them fit better:"
        " say which elements the sample can hold"
    )
    return replace(
        match,
        outcome=Outcome.AMBIGUOUS,
        phases=tuple(sorted({*match.phases, *names})),
        candidates=free.candidates,
        reason=reason,
        unlisted=free.unlisted,
        alternatives=null_models,
    )


#: Largest number of lattices to look for in one grain.
MOST_LATTICES = 3
#: If an image could be strongly stretched, this many of its clearest grains decide whether it is: a stretch
#: less probable than this is not considered for the other grains.
TELLING_GRAINS, WORTH_A_LOOK = 6, 0.05
#: If phases that are this probable explain this share of the spots of these grains without a stretch, none is
#: considered: a freer prior of the stretch would have less than `WORTH_A_LOOK` of the probability. It is not
#: concluded of one grain alone: in `distorted_images.py`, 3 % more of such grains were named wrongly.
SURELY = 0.9
#: Number of unknown crystals per image that are compared with all candidates at any scale, and the standard
#: deviation of ln scale assumed for that.
HINTED_GRAINS, HINT_SCALE = 3, 0.05
#: Standard deviation of ln scale with which an internal standard is matched.
STANDARD_SEARCH = 0.05


@dataclass(frozen=True, slots=True)
class ImageMatch:
    """Result of `match_image`: a match per grain (several where lattices overlap), and the geometry."""

    matches: tuple[GrainMatch, ...]
    geometry: ImageGeometry


def match_image(
    grains: Sequence[Grain],
    spots: Sequence[Spot],
    phases: Sequence[Phase],
    calibration_uncertainty: float,
    params: MatchParams | None = None,
    decisions: Sequence[PhaseOverride] = (),
    band: tuple[float, float] = ANY_G,
    outside: Sequence[Phase] = (),
    cache: EvidenceCache | None = None,
    distortions: Distortions = (),
    stated: bool = False,
    pool: int = 0,
) -> ImageMatch:
    """Match the grains of an image to phases by all their spots, and fit the scale and stretch they share.

    Parameters
    ----------
    grains : sequence of Grain
    spots : sequence of Spot
        Only enabled spots are used.
    phases : sequence of Phase
        The candidates.
    calibration_uncertainty : float
        Relative standard uncertainty of the image's scale (0.02 is 2 %).
    params : MatchParams, optional
    decisions : sequence of PhaseOverride, optional
        The user's overrides of grains' phases.
    band : tuple of float, 1/nm, optional
        Smallest and largest |g| at which the image could show a spot, as limited by the Nyquist frequency,
        the search and filters. Reflections missing outside this band are not evidence against a phase.
    outside : sequence of Phase, optional
        Phases outside the candidates. Their evidence is computed as well, and they are reported where they
        would match (`GrainMatch.alternatives`); see `with_alternatives`.
    cache : EvidenceCache, optional
        Evidence that was computed for these grains before.
    distortions : Distortions, optional
        Prior of the image's stretch. By default it follows from `MatchParams.stretch`; without that either,
        it is the prior of an image of unknown origin.
    stated : bool
        Whether the user has restricted the sample to certain phases or elements.
    pool : int
        Number of phases that could have been candidates, if only those entries of a library are given that
        can fit.

    Returns
    -------
    ImageMatch
        Matches in the order of the grains. A grain in which several lattices overlap has several
        consecutive matches, each with its own spots.
    """
    params, cache = params or MatchParams(), cache or EvidenceCache()
    index = cache.index_of((*phases, *outside))
    uncertainty = max(calibration_uncertainty, 1e-4)
    believed = distortions or expected_distortions(params.stretch)
    matcher = _Matcher(
        grains,
        spots,
        tuple(phases),
        params,
        tuple(decisions),
        index,
        len(phases),
        band,
        believed,
        stated,
        cache,
        pool,
    )
    found = matcher.match(uncertainty)
    matches = found.matches
    asked = {match.grain for match in matches if match.spots and not match.decided_by_user}
    left = [grain for grain in grains if grain.id in asked]
    if not outside or not left:
        return found
    free = replace(matcher, grains=left, phases=(*phases, *outside), decisions=()).match(uncertainty)
    weight = OUTSIDE if params.outside is None else params.outside
    return replace(found, matches=with_alternatives(matches, free.matches, outside, weight))


@dataclass(frozen=True, slots=True, eq=False)
class _Matcher:
    """Grains with the phases they are matched to: the first ones of the index, or all."""

    grains: Sequence[Grain]
    spots: Sequence[Spot]
    phases: tuple[Phase, ...]
    params: MatchParams
    decisions: tuple[PhaseOverride, ...]
    index: PhaseIndex
    candidates: int
    band: tuple[float, float]
    distortions: Distortions
    stated: bool
    cache: EvidenceCache
    pool: int = 0

    def match(self, uncertainty: float) -> ImageMatch:
        """A match for each grain, and for each further lattice that overlaps it."""
        scale = self.scale_prior(uncertainty)
        matcher = replace(self, distortions=self.likely_distortions(scale))
        found, owners = matcher.search_with_overlaps(scale)
        rejections = tuple(decision for decision in self.decisions if decision.kind == "reject")
        measured: dict[int, GrainMatch] = {}
        if len(rejections) < len(self.decisions):
            free = replace(self, decisions=rejections).match(uncertainty).matches
            measured = {match.grain: match for match in reversed(free)}
        matches = matcher.verdicts(found, owners, scale, measured)
        named = sum(match.outcome.names_phases and match.outcome is not Outcome.SINGLE_D for match in matches)
        return ImageMatch(matches, replace(found.geometry, grains=named) if named else ImageGeometry())

    def likely_distortions(self, scale: ScalePrior) -> Distortions:
        """The prior of the stretches, without those that the clearest grains rule out."""
        if len(self.distortions) == 1:
            return self.distortions
        clearest = sorted(self.grains, key=lambda grain: -len(grain.spots))[:TELLING_GRAINS]
        few = replace(self, grains=clearest, stated=False)
        observed, rows = observe(clearest, self.spots, self.params, self.band), range(len(clearest))
        least = min(self.distortions, key=lambda one: one[1])
        straight = ((1.0, least[1]),)
        if few._is_explained(replace(few, distortions=straight)._search(observed, rows, scale)):
            return straight
        if len(self.grains) <= TELLING_GRAINS:
            return self.distortions
        found = few._search(observed, rows, scale)
        left = [
            before
            for before, (share, _) in zip(self.distortions, found.distortions, strict=True)
            if share >= WORTH_A_LOOK
        ]
        total = sum(weight for weight, _ in left)
        return tuple((weight / total, distortion) for weight, distortion in left)

    def _is_explained(self, found: Found) -> bool:
        """Whether all grains with enough spots to show a stretch, two at least, are explained without one."""
        fits = []
        for row in np.flatnonzero(found.observed.two_directions()).tolist():
            if found.observed.valid[row].sum() < SHOWING_SPOTS:
                continue
            best = found.best(row)
            if best is None or found.phase[row, len(self.phases) :].sum() > 1 - SURELY:
                return False
            fit = candidate(found, best, 1.0, self.phases[self.index.zone_phase[found.hypotheses.zone[best]]])
            if fit.explained < IDENTIFIED_SHARE or fit.misfit > LARGEST_MISFIT:
                return False
            fits.append(fit)
        telling = sum(map(shows_stretch, fits)) > 1
        return telling and sum(fit.explained for fit in fits) > SURELY * len(fits)

    def scale_prior(self, uncertainty: float) -> ScalePrior:
        """The calibration, or the scale that the locked grains give."""
        locks = [decision for decision in self.decisions if decision.kind == "lock"]
        fits = [fit for lock in locks if (fit := self._scale_of(lock)) is not None]
        if not fits:
            return ScalePrior(0.0, uncertainty)
        weights = np.array([error**-2.0 for _, error in fits])
        middle = float(np.array([scale for scale, _ in fits]) @ weights / weights.sum())
        return ScalePrior(middle, float(np.hypot(weights.sum() ** -0.5, GRAIN_SCALE)))

    def _scale_of(self, lock: PhaseOverride) -> tuple[float, float] | None:
        """ln scale and its uncertainty from a locked grain, taken as its phase."""
        grain = [grain for grain in self.grains if grain.id == lock.grain]
        phase = [phase for phase in self.phases if phase.id == lock.phase]
        if not grain or not phase:
            return None
        observed = observe(grain, self.spots, self.params, self.band)
        index, scale = self.cache.index_of(phase), ScalePrior(0.0, STANDARD_SEARCH)
        found = search(observed, index, (1, 1), scale, self.distortions, self.params, self.cache)
        best = found.best(0)
        if best is None:
            return None
        return float(found.hypotheses.log_scale[best]), float(found.hypotheses.scale_error[best])

    def search_with_overlaps(self, scale: ScalePrior) -> tuple[Found, list[int]]:
        """The search, with additional rows for overlapping lattices, and the grain of each row."""
        observed = observe(self.grains, self.spots, self.params, self.band)
        owners = list(range(len(self.grains)))
        found = self._search(observed, owners, scale)
        for _ in range(MOST_LATTICES - 1):
            split = split_rows(found, len(self.phases))
            if not split:
                break
            tried, tried_owners = observed, list(owners)
            for row, rest in split:
                tried = tried.split(row, rest)
                tried_owners.append(owners[row])
            tried_found = self._search(tried, tried_owners, scale)
            kept = [
                change
                for number, change in enumerate(split)
                if self._is_named(tried_found, len(owners) + number, tried_owners, scale)
            ]
            if not kept:
                break
            for row, rest in kept:
                observed = observed.split(row, rest)
                owners.append(owners[row])
            found = tried_found if len(kept) == len(split) else self._search(observed, owners, scale)
        return found, owners

    def _search(self, observed: Observed, owners: Sequence[int], scale: ScalePrior) -> Found:
        barred = {
            row: self._barred_phases(self.grains[owner].id, row < len(self.grains))
            for row, owner in enumerate(owners)
            if any(decision.grain == self.grains[owner].id for decision in self.decisions)
        }
        phases = self.candidates, len(self.phases)
        known = self.params, self.cache, barred, self.pool
        # if anything is possible, phases that only brightness tells apart remain a set
        observed = replace(observed, brightness=self.stated)
        return search(observed, self.index, phases, scale, self.distortions, *known)

    def _barred_phases(self, grain: int, first: bool) -> NDArray[np.bool_]:
        """Which hypotheses the user has excluded; the last two are "unlisted" and "all spurious"."""
        ids = [phase.id for phase in self.phases]
        chosen = self._chosen(grain)
        if first and chosen is not None and chosen.phase in ids:
            return np.array([*(i != chosen.phase for i in ids), True, True])
        rejected = {d.phase for d in self.decisions if d.grain == grain and d.kind == "reject"}
        return np.array([*(i in rejected for i in ids), False, False])

    def _is_named(self, found: Found, row: int, owners: Sequence[int], scale: ScalePrior) -> bool:
        """Whether a second lattice is named, so that it gets an entry of its own."""
        return self._judge(found, row, owners, self._context(scale)).outcome.names_phases

    def _context(self, scale: ScalePrior, companions: Iterable[str] = ()) -> Context:
        phases = {phase.id: phase for phase in self.phases}
        known = frozenset(companions), self.stated
        return Context(scale, self.params, phases, *known, library=self.pool > 0)

    def _judge(self, found: Found, row: int, owners: Sequence[int], context: Context) -> GrainMatch:
        posterior = found.phase[row]
        ids = tuple(int(i) for i in found.observed.ids[row][found.observed.valid[row]])
        offered = candidates(found, row, self.phases)
        unlisted = min(1.0, float(posterior[len(self.phases) :].sum()))
        return judge(self.grains[owners[row]].id, ids, offered, unlisted, context)

    def verdicts(
        self,
        found: Found,
        owners: Sequence[int],
        scale: ScalePrior,
        measured: Mapping[int, GrainMatch] | None = None,
    ) -> tuple[GrainMatch, ...]:
        """A match for each row, grouped by grain; `measured` holds the matches without overrides."""
        plane = found.observed.two_directions()
        context = replace(self._context(scale), shared=self._share_distortion(found, plane))
        first = [
            self._judge(found, row, owners, context) if plane[row] else None for row in range(len(owners))
        ]
        sure = {row: m.phases[0] for row, m in enumerate(first) if m and m.outcome is Outcome.IDENTIFIED}
        sure |= {row: d.phase for row, g in enumerate(self.grains) if (d := self._chosen(g.id))}
        matches = []
        for row in sorted(range(len(owners)), key=lambda r: (owners[r], r)):
            companions = frozenset(phase for other, phase in sure.items() if other != row)
            seen = first[row]
            if seen is None:
                match = self._single(found, row, owners, companions)
            else:
                knowing = replace(context, companions=companions)
                match = judge(seen.grain, seen.spots, seen.candidates, seen.unlisted, knowing)
            matches.append(self._decide(match, found, row, measured or {}))
        judged, further = self._with_rivals(matches, scale, context)
        return self._with_hints(judged, further, scale, context)

    def _with_rivals(
        self, matches: Sequence[GrainMatch], scale: ScalePrior, context: Context
    ) -> tuple[list[GrainMatch], dict[int, tuple[Candidate, ...]]]:
        """Withdraw names by an unusual stretch or scale if another phase needs only another scale.

        The grain of a phase that has most spots decides for all grains of this phase. What these grains
        would be at any scale is returned too.
        """
        groups: dict[str, list[int]] = {}
        for number, match in enumerate(matches):
            if rests_on_geometry(match, context):
                groups.setdefault(match.phases[0], []).append(number)
        clearest = [max(group, key=lambda n: len(matches[n].spots)) for group in groups.values()]
        further = self._at_any_scale([matches[n] for n in clearest], scale) if clearest else []
        judged = list(matches)
        for group, first, candidates_at_any_scale in zip(groups.values(), clearest, further, strict=True):
            verdict = against_rivals(matches[first], candidates_at_any_scale, context)
            for n in group if not verdict.phases else ():
                judged[n] = replace(
                    matches[n], outcome=verdict.outcome, phases=(), reason=verdict.reason, hints=verdict.hints
                )
        return judged, dict(zip(clearest, further, strict=True))

    def _share_distortion(self, found: Found, plane: NDArray[np.bool_]) -> bool:
        """Whether at least two grains are explained with the same stretch of the image."""
        showing = 0
        for row in np.flatnonzero(plane).tolist():
            best = found.best(row)
            if best is None or found.phase[row, len(self.phases) :].sum() > 0.5:
                continue
            explained = found.evidence.explained[best]
            misfit = found.evidence.chi2[best, explained].sum() / max(2 * explained.sum() - 3, 1)
            showing += explained.sum() >= SHOWING_SPOTS - 1 and misfit <= LARGEST_MISFIT
        return showing >= 2

    def _with_hints(
        self,
        matches: Sequence[GrainMatch],
        known: Mapping[int, tuple[Candidate, ...]],
        scale: ScalePrior,
        context: Context,
    ) -> tuple[GrainMatch, ...]:
        """Add hints to the unknown crystals: what those with the most spots would be at any scale."""
        unknown = [
            n
            for n, m in enumerate(matches)
            if m.outcome is Outcome.UNKNOWN and len(m.spots) >= SHOWING_SPOTS - 1
        ]
        asked = sorted(unknown, key=lambda n: -len(matches[n].spots))[:HINTED_GRAINS]
        left = [n for n in asked if n not in known]
        of_match = dict(known) | dict(
            zip(left, self._at_any_scale([matches[n] for n in left], scale), strict=True)
        )
        return tuple(
            with_hints(match, of_match.get(n, ()), context) if n in unknown else match
            for n, match in enumerate(matches)
        )

    def _at_any_scale(self, matches: Sequence[GrainMatch], scale: ScalePrior) -> list[tuple[Candidate, ...]]:
        """The candidates of each grain alone, if the scale were almost free."""
        far = ScalePrior(scale.middle, max(HINT_SCALE, 2 * scale.error))
        narrow = ((1.0, min(distortion for _, distortion in self.distortions)),)
        offered = []
        for match in matches:
            grain = next(grain for grain in self.grains if grain.id == match.grain)
            own = observe([replace(grain, spots=match.spots)], self.spots, self.params, self.band)
            phases = self.candidates, len(self.phases)
            found = search(own, self.index, phases, far, narrow, self.params, self.cache)
            offered.append(candidates(found, 0, self.phases))
        return offered

    def _single(
        self, found: Found, row: int, owners: Sequence[int], companions: frozenset[str]
    ) -> GrainMatch:
        ids = set(found.observed.ids[row][found.observed.valid[row]].tolist())
        mine = [spot for spot in self.spots if spot.id in ids]
        strongest = max(mine, key=lambda spot: spot.snr, default=None)
        middle, error = found.geometry.correct(np.array([strongest.g if strongest else (0.0, 1.0)]))
        scale = float(middle[0]), float(np.hypot(error[0], GRAIN_SCALE))
        return single_d(self.grains[owners[row]].id, mine, self.phases, scale, self.params, companions)

    def _decide(
        self, match: GrainMatch, found: Found, row: int, measured: Mapping[int, GrainMatch]
    ) -> GrainMatch:
        """Apply the user's override, which concerns the grain's first lattice, to the match."""
        chosen = self._chosen(match.grain) if row < len(self.grains) else None
        if chosen is not None:
            free = measured.get(match.grain, match)
            word = "locked as an internal standard" if chosen.kind == "lock" else "set"
            return replace(
                match,
                outcome=Outcome.IDENTIFIED,
                phases=(chosen.phase,),
                candidates=self._chosen_first(free, chosen.phase, found, row),
                reason=f"{word} by the user; measured: {free.reason}",
                unlisted=free.unlisted,
                decided_by_user=True,
            )
        rejected = [d.phase for d in self.decisions if d.grain == match.grain and d.kind == "reject"]
        if rejected:
            names = ", ".join(dict.fromkeys(rejected))
            reason = f"{match.reason} ({names} rejected by the user)"
            return replace(match, reason=reason, decided_by_user=True)
        return match

    def _chosen(self, grain: int) -> PhaseOverride | None:
        """The latest override that assigns a phase to a grain."""
        said = [d for d in self.decisions if d.grain == grain and d.kind != "reject"]
        return said[-1] if said else None

    def _chosen_first(self, free: GrainMatch, phase: str, found: Found, row: int) -> tuple[Candidate, ...]:
        """The measured candidates, with the assigned phase first even if it is improbable."""
        others = tuple(c for c in free.candidates if c.phase != phase)
        mine = tuple(c for c in free.candidates if c.phase == phase)
        number = next((n for n, p in enumerate(self.phases) if p.id == phase), None)
        best = found.best(row, number) if number is not None and not mine else None
        if best is not None and number is not None:
            mine = (candidate(found, best, 0.0, self.phases[number]),)
        return (mine or (Candidate(phase, 0.0, 1.0, None, (), 0.0),)) + others
