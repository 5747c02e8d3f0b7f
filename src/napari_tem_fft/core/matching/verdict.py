"""Turn probabilities into one of five outcomes with a reason; find look-alikes; give hints.

A hint names the phase that a grain would be if the scale were off by more than its uncertainty allows. The
grain stays unknown, but the hint says which scale it would need, because a wrong scale is a common cause.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ..crystal.phase import Phase
from ..crystal.structure import lines_of
from ..image.calibration import STANDARD_UNCERTAINTY, Correction
from .geometry import GRAIN_SCALE, ScalePrior, stretch_direction
from .params import MatchParams
from .result import Candidate, GrainMatch, Outcome

#: Lines with at least this d (nm) and this relative |F| are compared.
COMPARED_D, COMPARED_F = 0.12, 0.15
#: Relative tolerance of d, after a common scale.
SAME_D = 0.0035
#: No internal standard distinguishes two scales that differ by less than this.
HARDLY = 0.004


@dataclass(frozen=True, slots=True)
class LookAlike:
    """A phase with the same d-spacings as another one, up to a common factor.

    Attributes
    ----------
    phase : str
    scale : float
        Factor on the d-spacings of the other phase.
    """

    phase: str
    scale: float


def look_alikes(phase: Phase, others: Sequence[Phase], largest_scale: float = 0.05) -> tuple[LookAlike, ...]:
    """Find phases whose strong lines all match lines of `phase`, and vice versa, nearest scale first.

    Parameters
    ----------
    phase : Phase
    others : sequence of Phase
    largest_scale : float
        Largest relative difference of the scales (0.05 is 5 %).
    """
    mine = _lines(phase)
    found = []
    for other in others:
        if other.id != phase.id and (shift := _common_shift(mine, _lines(other), largest_scale)) is not None:
            found.append(LookAlike(other.id, float(np.exp(shift))))
    return tuple(sorted(found, key=lambda alike: abs(alike.scale - 1)))


def _lines(phase: Phase) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """ln d of the strong lines and of all lines."""
    d, relative_f = lines_of(phase.reflections)
    strong = (d >= COMPARED_D) & ~(relative_f < COMPARED_F)
    return np.log(d[strong]), np.log(d[d >= 0.9 * COMPARED_D])


def _common_shift(
    mine: tuple[NDArray[np.float64], NDArray[np.float64]],
    other: tuple[NDArray[np.float64], NDArray[np.float64]],
    largest: float,
) -> float | None:
    """The shift of ln d that maps the strong lines of each phase onto lines of the other, if any."""
    if not len(mine[0]) or not len(other[0]):
        return None
    shifts = other[1] - mine[0][0]
    for shift in sorted(shifts[np.abs(shifts) <= np.log1p(largest)], key=abs):
        if _is_covered(mine[0] + shift, other[1]) and _is_covered(other[0] - shift, mine[1]):
            return float(shift)
    return None


def _is_covered(lines: NDArray[np.float64], by: NDArray[np.float64]) -> bool:
    return bool((np.abs(lines[:, None] - by[None]).min(axis=1) < SAME_D).all())


def settle_ambiguous(members: Sequence[Candidate], phases: Mapping[str, Phase]) -> str:
    """What would distinguish the members of an ambiguous set: elements, a better scale, more reflections."""
    means = []
    elements = [phases[member.phase].elements for member in members if member.phase in phases]
    if elements and len(set(elements)) == len(elements):
        telling = frozenset.union(*elements) - frozenset.intersection(*elements)
        means.append(f"an element analysis ({', '.join(sorted(telling))})")
    scales = sorted(member.scale for member in members)
    gaps = [b - a for a, b in pairwise(scales)]
    if gaps and min(gaps) > HARDLY:
        means.append(f"a calibration better than {100 * min(gaps) / 3:.1g} % (an internal standard)")
    if not means or len({_pattern(member) for member in members}) == len(members):
        means.append("another zone axis or more reflections")
    return " or ".join(means)


def _pattern(member: Candidate) -> tuple[tuple[int, ...], ...]:
    """The indexed planes, regardless of order and sign."""
    return tuple(sorted(tuple(sorted(map(abs, spot.hkl))) for spot in member.indexed))


#: The scale that a named phase needs is within this many standard deviations of the stated one; the
#: uncertainty of its own fit counts.
SCALE_SIGMAS = 3.0
#: Up to this deviation, another scale explains a grain as well as a stretch that no other grain shows:
#: the error of a file's scale is often larger than stated.
RIVAL_SIGMAS = 5.0
#: A larger stretch needs evidence in the image itself, unless the user has stated it.
USUAL_STRETCH = 0.015
#: One grain with this many spots in this many directions is evidence of a stretch; so are two that agree.
SHOWING_SPOTS, SHOWING_DIRECTIONS = 4, 3
#: Largest misfit of a likely phase, and of one that is evidence of a stretch.
LARGEST_MISFIT = 2.2
#: A hint explains this share of the spots, and at most this many are given. If the sample is not restricted,
#: it explains at least `SHOWING_SPOTS`, and shows the stretch that it needs: some phase fits three spots at
#: some scale or stretch.
HINT_SHARE, MOST_HINTS = 0.75, 3


@dataclass(frozen=True, slots=True)
class Context:
    """What the outcome for a grain depends on besides its own spots.

    Attributes
    ----------
    scale : ScalePrior
        Prior of the image's scale: its calibration, or an internal standard.
    params : MatchParams
    phases : mapping of str to Phase
    companions : frozenset of str
        Phases that are identified in other grains of the image.
    stated : bool
        The user has restricted the sample to certain phases or elements.
    shared : bool
        At least two grains agree on the image's stretch.
    library : bool
        A library of phases was searched.
    """

    scale: ScalePrior
    params: MatchParams
    phases: Mapping[str, Phase]
    companions: frozenset[str] = field(default_factory=frozenset)
    stated: bool = False
    shared: bool = False
    library: bool = False

    @property
    def usual_stretch(self) -> float:
        """Largest stretch that needs no evidence in the image."""
        stated = self.params.stretch
        return USUAL_STRETCH if stated is None else max(USUAL_STRETCH, 2 * stated / 100)


def needs_scale(candidate: Candidate, context: Context, sigmas: float = SCALE_SIGMAS) -> bool:
    """Whether a phase needs a scale that the prior rules out."""
    error = float(np.sqrt(candidate.scale_sigma**2 + GRAIN_SCALE**2 + context.scale.error**2))
    return bool(abs(np.log(candidate.scale) - context.scale.middle) > sigmas * error)


def needs_stretch(candidate: Candidate, context: Context) -> bool:
    """Whether a phase needs more stretch than the image gives evidence for."""
    if candidate.stretch <= context.usual_stretch:
        return False
    shown = context.shared or shows_stretch(candidate)
    return not (context.stated and shown and candidate.misfit <= LARGEST_MISFIT)


def shows_stretch(candidate: Candidate) -> bool:
    """Whether one grain has enough spots in enough directions to determine the image's stretch."""
    spots = [spot.hkl for spot in candidate.indexed]
    directions = {_direction(hkl) for hkl in spots}
    return len(spots) >= SHOWING_SPOTS and len(directions) >= SHOWING_DIRECTIONS


def rests_on_geometry(match: GrainMatch, context: Context) -> bool:
    """Whether a measured name needs a stretch that only this grain shows, or an unlikely scale."""
    if len(match.phases) != 1 or match.outcome is Outcome.SINGLE_D or match.decided_by_user:
        return False
    best = match.candidates[0]
    stretched = best.stretch > context.usual_stretch and not context.shared
    return stretched or needs_scale(best, context, LIKELY_SIGMAS)


def against_rivals(match: GrainMatch, further: Sequence[Candidate], context: Context) -> GrainMatch:
    """Withdraw the name if another phase explains as many spots without the stretch, at another scale.

    Either the image is stretched or the error of its scale is larger than stated; if the scale has a large
    error anyway, its size is not known. The spots cannot distinguish the two.

    Parameters
    ----------
    match : GrainMatch
        A match for which `rests_on_geometry` is true.
    further : sequence of Candidate
        What the grain would be at any scale, almost without stretch.
    context : Context
    """
    best = match.candidates[0]
    rivals = [
        c
        for c in further
        if c.phase != best.phase
        and len(c.indexed) >= len(best.indexed)
        and c.misfit <= LARGEST_MISFIT
        and c.stretch <= context.usual_stretch
        and needs_scale(c, context)
        and not needs_scale(c, context, RIVAL_SIGMAS)
    ]
    if not rivals:
        return match
    nearest_last = sorted(rivals, key=lambda c: -abs(np.log(c.scale) - context.scale.middle))
    rivals = list({c.phase: c for c in nearest_last}.values())[::-1][:MOST_HINTS]
    needed = f"if the image is stretched by {100 * best.stretch:.1f} %"
    if best.stretch <= context.usual_stretch:
        needed = f"at a scale {_off(best)}"
    other = " or ".join(hint_words(c, context) for c in rivals)
    reason = f"{best.phase} {needed}, or {other}: the spots cannot decide between them"
    return replace(match, outcome=Outcome.UNKNOWN, phases=(), reason=reason, hints=tuple(rivals))


def _direction(hkl: tuple[int, int, int]) -> tuple[int, ...]:
    divided = tuple(i // max(int(np.gcd.reduce(hkl)), 1) for i in hkl)
    return max(divided, tuple(-i for i in divided))


def hint_words(candidate: Candidate, context: Context) -> str:
    """What a phase would need, such as "MgO at a scale 9.7 % shorter"."""
    needs = []
    if needs_scale(candidate, context):
        needs.append(f"at a scale {_off(candidate)}")
    if needs_stretch(candidate, context):
        along = stretch_direction(*candidate.distortion)
        needs.append(
            f"if stretched by {100 * candidate.stretch:.1f} % along {along:.0f} degrees: scan distortion?"
        )
    return " ".join([candidate.phase, *(needs or [f"with {100 * (candidate.scale - 1):+.1f} % calibration"])])


def _off(candidate: Candidate) -> str:
    """How far off a scale is: "9.7 % shorter"."""
    off = 100 * (candidate.scale - 1)
    return f"{abs(off):.1f} % {'longer' if off > 0 else 'shorter'}"


def is_hint(candidate: Candidate, context: Context) -> bool:
    """Whether a phase fits, apart from the scale or stretch that it would need."""
    enough = candidate.explained >= HINT_SHARE and candidate.misfit <= LARGEST_MISFIT
    return enough and (needs_scale(candidate, context) or needs_stretch(candidate, context))


def _is_supported(hint: Candidate, context: Context) -> bool:
    """Whether there is reason to give a hint: the sample is restricted, or the grain has enough spots."""
    if context.stated:
        return True
    return shows_stretch(hint) if needs_stretch(hint, context) else len(hint.indexed) >= SHOWING_SPOTS


def with_hints(match: GrainMatch, further: Sequence[Candidate], context: Context) -> GrainMatch:
    """Add to an unknown crystal its nearest hints, and what would settle the question.

    Parameters
    ----------
    match : GrainMatch
    further : sequence of Candidate
        What the grain would be at any scale, best first.
    context : Context
    """
    told = [c.phase for c in match.hints]
    every = sorted(
        (c for c in (*match.candidates, *further) if is_hint(c, context) and c.phase not in told),
        key=lambda c: needs_scale(c, context) + needs_stretch(c, context),
    )
    phases = tuple({c.phase: c for c in reversed(every)}.values())[::-1]
    nearest = tuple(c for c in phases if _is_supported(c, context))[:MOST_HINTS]
    said = f"; would be {', or '.join(hint_words(c, context) for c in nearest)}" if nearest else ""
    if phases and not nearest:
        what = f"{len(phases)} phases fit" if len(phases) > 1 else f"{phases[0].phase} fits"
        said = f"; {what} at another scale or stretch, as some phase does if the spots are so few"
    hints = (*match.hints, *nearest)
    return replace(match, hints=hints, reason=f"{match.reason}{said}; {_settle_unknown(hints, context)}")


def correction_of_hint(candidate: Candidate, grain: int) -> Correction:
    """The correction of the calibration by which a grain becomes the phase of a hint.

    A usual stretch is not corrected.

    Parameters
    ----------
    candidate : Candidate
        A hint, or a member of an ambiguous set.
    grain : int
        Id of the grain, for the message.

    Raises
    ------
    CalibrationError
        If the scale would change by a factor of 3 or more.

    Examples
    --------
    >>> gold = Candidate("Au", 0.4, 1.05, (0, 1, 1), (), 1.0, scale_sigma=0.001)
    >>> correction_of_hint(gold, 3).factors, correction_of_hint(gold, 3).standard
    ((1.05, 1.05), 'Au in grain 3 along [0 1 1], 0 spots')
    """
    e, f = candidate.distortion if candidate.stretch > USUAL_STRETCH else (0.0, 0.0)
    axis = " along [{} {} {}]".format(*candidate.zone_axis) if candidate.zone_axis else ""
    return Correction(
        (candidate.scale / (1 + e), candidate.scale / (1 - e)),
        max(STANDARD_UNCERTAINTY, candidate.scale_sigma),
        f"{candidate.phase} in grain {grain}{axis}, {len(candidate.indexed)} spots",
        f if candidate.stretch > USUAL_STRETCH else None,
    )


def _settle_unknown(hints: Sequence[Candidate], context: Context) -> str:
    means = []
    if any(needs_scale(c, context) for c in hints):
        means.append("a known crystal in the image (an internal standard)")
    if any(needs_stretch(c, context) for c in hints):
        means.append("the image's stretch (calibrate on a known crystal)")
    if not context.stated:
        means.append("the elements that the sample can hold")
    if not means:
        means.append("a CIF file of the phase that you expect, or more reflections")
    return f"{' or '.join(means)} would settle it"


#: Probability that an ambiguous set covers; the second value applies if the sample is not restricted. Many
#: phases then share a lattice and differ only in their intensities and the scale, which are the least
#: reliable measures. With 0.95, the sets of real images miss the true phase more often than one time in 20.
#: Sweep of COVERAGE_OF_ALL: halved, right names 4 -> 6; doubled, nothing.
COVERAGE, COVERAGE_OF_ALL = 0.95, 0.995
#: Larger sets are reported as unknown: with stated elements, and without.
LARGEST_SET, LARGEST_OF_ALL = 8, 5
#: Number of spots that a lattice must explain to be identified; to be likely or in a set; to be likely if the
#: phase is identified in another grain of the image.
#: No record says on what LIKELY_SPOTS was set. Sweep of LIKELY_SPOTS: halved, right names 4 -> 7; doubled,
#: right names 4 -> 1.
IDENTIFIED_SPOTS, LIKELY_SPOTS, COMPANION_SPOTS = 4, 3, 2
#: Share of the grain's spots that must be explained to be identified, and to be likely or in a set.
#: No record says on what LIKELY_SHARE was set. Sweep of LIKELY_SHARE: halved, nothing; doubled, right names
#: 4 -> 3.
IDENTIFIED_SHARE, LIKELY_SHARE = 0.75, 0.6
#: A lattice that explains a smaller share, but at least this, can be in a set if its probability is high.
LEAST_SHARE = 0.4
#: A grain of at most this many spots is likely only with at least this probability: if the sample is
#: restricted and the scale is known to `TRUSTED_SCALE`, and otherwise. With 0.99 for both, 2 % fewer of the
#: grains of `intensities.py` are named, and none less wrongly.
FEW_SPOTS, FEW_SPOTS_AT, FEW_SPOTS_AT_ELSE = 3, 0.97, 0.99
#: If elements are stated, a library is searched, and the probability of an unlisted phase is below the first
#: value, a phase is likely even with twice the usual doubt, because that doubt is between listed candidates.
#: Of grains of 600 phases of a library (tests/benchmarks/library_bench.py) 17 of 18 such names were right;
#: without the phase in the library, 1 % of the grains got such a name (14 % another name, two thirds of them
#: of a related phase).
SURELY_LISTED, DOUBT_OF_LISTED = 0.02, 2.0
#: Above this probability of an unlisted phase, none is offered. The second value is for few spots, which
#: hardly distinguish a listed lattice from an unlisted one, so that the prior decides.
MOST_UNLISTED, MOST_UNLISTED_OF_FEW = 0.7, 0.8
#: Another cell of the named phase is mentioned if its probability is at least this.
TOLD_CELL = 0.05
#: The scale of an identified phase deviates by at most this, or by 0.75 of the calibration's uncertainty.
TRUSTED_SCALE = 0.015
#: The scale of a likely phase is within this many standard deviations of the prior, or within `SCALE_SIGMAS`
#: if the sample is restricted, the scale is known to `TRUSTED_SCALE`, and the phase is probable enough to be
#: identified and explains more than a few spots.
LIKELY_SIGMAS = 2.0


def judge(
    grain: int,
    spots: tuple[int, ...],
    candidates: Sequence[Candidate],
    unlisted: float,
    context: Context,
) -> GrainMatch:
    """Decide the outcome for a grain with spots in at least two directions.

    Parameters
    ----------
    grain : int
    spots : tuple of int
        Ids of the spots that were matched.
    candidates : sequence of Candidate
        Best first.
    unlisted : float
        Probability that the phase is none of the candidates.
    context : Context
    """
    outcome, phases, reason = _outcome(candidates, unlisted, context)
    return GrainMatch(grain, outcome, phases, tuple(candidates), reason, spots, unlisted)


_Verdict = tuple[Outcome, tuple[str, ...], str]


def _outcome(candidates: Sequence[Candidate], unlisted: float, context: Context) -> _Verdict:
    few = bool(candidates) and len(candidates[0].indexed) <= FEW_SPOTS
    if not candidates or unlisted > (MOST_UNLISTED_OF_FEW if few else MOST_UNLISTED):
        return Outcome.UNKNOWN, (), _unlisted_reason(candidates, unlisted)
    best, cells = candidates[0], _other_cells(candidates, context)
    belief = best.posterior + sum(candidate.posterior for candidate in cells)
    needs = [
        *(["at the stated scale"] if needs_scale(best, context) else []),
        *(["without stretching the image"] if needs_stretch(best, context) else []),
    ]
    if needs:
        return Outcome.UNKNOWN, (), f"nothing fits {' and '.join(needs)}"
    if best.explained < LIKELY_SHARE and not _is_part_of_more(best, context):
        return Outcome.UNKNOWN, (), f"no lattice explains more than {best.explained:.0%} of the spots"
    if best.explained >= LIKELY_SHARE and _is_likely(best, belief, unlisted, context):
        doubt = _doubt(best, belief, context)
        return (
            Outcome.LIKELY if doubt else Outcome.IDENTIFIED,
            (best.phase,),
            (doubt or _identified_reason(best)) + _cell_words(cells),
        )
    return _undecided_verdict(candidates, unlisted, context)


def _other_cells(candidates: Sequence[Candidate], context: Context) -> list[Candidate]:
    """Candidates that are the same phase as the best one, with other cells of the library."""
    best = candidates[0].phase
    kin = _kin(best, context)
    return [c for c in candidates[1:] if c.phase in kin or best in _kin(c.phase, context)]


def _kin(phase: str, context: Context) -> frozenset[str]:
    return context.phases[phase].kin if phase in context.phases else frozenset()


def _is_part_of_more(best: Candidate, context: Context) -> bool:
    """Whether a lattice that leaves many spots unexplained is still certain enough to be offered."""
    enough = len(best.indexed) >= IDENTIFIED_SPOTS and best.explained >= LEAST_SHARE
    return (
        enough
        and best.posterior >= context.params.identify_at
        and not needs_scale(best, context, LIKELY_SIGMAS)
    )


def _is_likely(best: Candidate, belief: float, unlisted: float, context: Context) -> bool:
    spots, params = len(best.indexed), context.params
    known = context.stated and context.scale.error <= TRUSTED_SCALE
    sure = known and spots > FEW_SPOTS and belief >= params.identify_at
    if needs_scale(best, context, SCALE_SIGMAS if sure else LIKELY_SIGMAS):
        return False
    if best.misfit > LARGEST_MISFIT:
        return False
    if best.phase in context.companions:
        return belief >= (params.identify_at if spots <= COMPANION_SPOTS else params.likely_at)
    few_at = FEW_SPOTS_AT if known else FEW_SPOTS_AT_ELSE
    needed = max(params.likely_at, few_at) if spots <= FEW_SPOTS else params.likely_at
    if context.stated and context.library and unlisted < SURELY_LISTED and spots > FEW_SPOTS:
        needed = 1 - DOUBT_OF_LISTED * (1 - needed)
    return spots >= LIKELY_SPOTS and belief >= needed


def _doubt(best: Candidate, belief: float, context: Context) -> str:
    """Why a phase is likely rather than identified; empty if it is identified."""
    if belief < context.params.identify_at:
        return f"probability {belief:.0%}; {scale_words(best)}"
    if len(best.indexed) < IDENTIFIED_SPOTS:
        return f"only {len(best.indexed)} spots; {scale_words(best)}"
    if best.explained < IDENTIFIED_SHARE:
        return f"only {best.explained:.0%} of the spots are explained; {scale_words(best)}"
    trusted = max(TRUSTED_SCALE, 0.75 * context.scale.error)
    if abs(np.log(best.scale) - context.scale.middle) > trusted or needs_scale(best, context, LIKELY_SIGMAS):
        return f"{scale_words(best)}, a large correction: check the calibration"
    return ""


def _undecided_verdict(candidates: Sequence[Candidate], unlisted: float, context: Context) -> _Verdict:
    """An ambiguous set, or unknown if the set is too large or has too few spots."""
    best = candidates[0]
    spots = len(best.indexed)
    cover = COVERAGE if context.stated else COVERAGE_OF_ALL
    possible = [c for c in candidates if not (needs_scale(c, context) or needs_stretch(c, context))]
    members = tuple(
        phase for phase in credible_set(candidates, unlisted, cover) if phase in {c.phase for c in possible}
    )
    if spots < LIKELY_SPOTS and not set(members) & context.companions:
        return Outcome.UNKNOWN, (), f"only {spots} spots of one lattice; the nearest is {best.phase}"
    if len(members) == 1 and spots <= FEW_SPOTS and needs_scale(best, context, LIKELY_SIGMAS):
        # two spots fit some phase at some scale, and a single name would be mistaken for the answer
        return Outcome.UNKNOWN, (), f"only {spots} spots fit {best.phase}, which {scale_words(best)}"
    if len(members) > (LARGEST_SET if context.stated else LARGEST_OF_ALL):
        nearest = ", ".join(members[:3])
        reason = (
            f"too little evidence: {len(members)} phases or more fit these {spots} spots, first {nearest}"
        )
        return Outcome.UNKNOWN, (), reason
    return Outcome.AMBIGUOUS, tuple(sorted(members)), _ambiguous_reason(candidates, members, context)


def credible_set(
    candidates: Sequence[Candidate], unlisted: float, cover: float = COVERAGE
) -> tuple[str, ...]:
    """The most probable phases that together cover a share of the probability of the listed ones."""
    total, members = 0.0, []
    for candidate in candidates:
        members.append(candidate.phase)
        total += candidate.posterior
        if total >= cover * (1 - unlisted):
            break
    return tuple(members)


def scale_words(candidate: Candidate) -> str:
    """The change of the calibration that a phase needs: "needs +1.8 % calibration"."""
    return f"needs {100 * (candidate.scale - 1):+.1f} % calibration"


def _identified_reason(best: Candidate) -> str:
    return f"{len(best.indexed)} spots fit in d and angle; {scale_words(best)}"


def _cell_words(cells: Sequence[Candidate]) -> str:
    """The other possible cells of a named phase: "; its cell can be that of Cu_Fm-3m-2 (12%) too"."""
    told = [f"{c.phase} ({c.posterior:.0%})" for c in cells if c.posterior >= TOLD_CELL]
    return f"; its cell can be that of {' or '.join(told)} too" if told else ""


def _unlisted_reason(candidates: Sequence[Candidate], unlisted: float) -> str:
    if not candidates:
        return "no candidate fits the spots in d and angle"
    best = candidates[0]
    nearest = f"the nearest is {best.phase}, which {scale_words(best)}"
    return f"probably none of the candidates ({unlisted:.0%}); {nearest}"


def _ambiguous_reason(candidates: Sequence[Candidate], members: tuple[str, ...], context: Context) -> str:
    if len(members) == 1:
        best = candidates[0]
        return (
            f"{best.phase}, or a phase that is not among the candidates ({1 - best.posterior:.0%}):"
            f" {len(best.indexed)} spots,"
            f" {scale_words(best)}; more reflections or another grain would settle it"
        )
    by_phase = {candidate.phase: candidate for candidate in candidates}
    wants = ", ".join(f"{phase} {scale_words(by_phase[phase])}" for phase in members)
    settle = settle_ambiguous([by_phase[phase] for phase in members], context.phases)
    names = f"{', '.join(members[:-1])} and {members[-1]}"
    return f"these spots cannot distinguish {names} ({wants}); {settle} would settle it"
