"""From probabilities to one of the five honest outcomes, with a sentence that says why."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .geometry import GRAIN_SCALE
from .hints import LARGEST_MISFIT, Context, needs_scale, needs_stretch
from .lookalikes import what_would_settle
from .result import Candidate, GrainMatch, Outcome

#: Share of the probability that an ambiguous set covers, and the same where nobody has said what the sample
#: can hold: many phases then have the same lattice, and only intensities and the scale, the least reliable of
#: all, tell them apart. At 0.95 sets of real images are without the truth more often than one in 20.
#: Sweep of COVERAGE_OF_ALL: halved, right names 4 -> 6; doubled, nothing.
COVERAGE, COVERAGE_OF_ALL = 0.95, 0.995
#: The largest set that still says something, where the elements are stated and where nothing is.
LARGEST_SET, LARGEST_OF_ALL = 8, 5
#: Spots that a lattice must explain to be identified; to be likely or in a set; to be likely where the same
#: phase is identified in another grain of the image.
#: No record says on what LIKELY_SPOTS was set. Sweep of LIKELY_SPOTS: halved, right names 4 -> 7; doubled,
#: right names 4 -> 1.
IDENTIFIED_SPOTS, LIKELY_SPOTS, COMPANION_SPOTS = 4, 3, 2
#: Share of the grain's spots that must be explained to be identified, and to be likely or in a set.
#: No record says on what LIKELY_SHARE was set. Sweep of LIKELY_SHARE: halved, nothing; doubled, right names
#: 4 -> 3.
IDENTIFIED_SHARE, LIKELY_SHARE = 0.75, 0.6
#: A lattice that explains less, but at least this, can be in a set if it is sure by itself.
LEAST_SHARE = 0.4
#: With so few spots a phase is likely only from this probability.
FEW_SPOTS, FEW_SPOTS_AT = 3, 0.99
#: Where elements are stated, a library is searched, and a phase that is not listed is less probable than the
#: first, twice the doubt is likely still: it is doubt between candidates, which is measured. Of grains of 600
#: phases of a library (tests/benchmarks/library_bench.py) 17 of 18 such names were right; where the library
#: lacked the phase, 1 % of the grains got such a name (14 % a name of another kind, two of three relatives).
SURELY_LISTED, DOUBT_OF_LISTED = 0.02, 2.0
#: Above this probability of a phase that is not listed, nothing is offered; and the same for few spots, which
#: hardly tell a listed lattice from another, so that it is what was believed before that decides.
MOST_UNLISTED, MOST_UNLISTED_OF_FEW = 0.7, 0.8
#: Another cell of the named phase is told from this probability on.
TOLD_CELL = 0.05
#: The scale of an identified phase is within this, or within 0.75 of the calibration's uncertainty.
TRUSTED_SCALE = 0.015
#: The scale of a likely phase is within this many standard deviations of what is known of it.
LIKELY_SIGMAS = 2.0


def judge(
    grain: int,
    spots: tuple[int, ...],
    candidates: Sequence[Candidate],
    unlisted: float,
    context: Context,
) -> GrainMatch:
    """The outcome for one grain whose spots show at least two directions.

    Parameters
    ----------
    grain : int
    spots : tuple of int
        Ids of the spots that were matched.
    candidates : sequence of Candidate
        Best first.
    unlisted : float
        Probability that it is none of them.
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
    """Candidates that are the best phase too, at other cells that a library has of it."""
    best = candidates[0].phase
    kin = _kin(best, context)
    return [c for c in candidates[1:] if c.phase in kin or best in _kin(c.phase, context)]


def _kin(phase: str, context: Context) -> frozenset[str]:
    return context.phases[phase].kin if phase in context.phases else frozenset()


def _is_part_of_more(best: Candidate, context: Context) -> bool:
    """Whether a lattice that leaves many spots unexplained is still sure enough to be offered."""
    enough = len(best.indexed) >= IDENTIFIED_SPOTS and best.explained >= LEAST_SHARE
    return enough and best.posterior >= context.params.identify_at and _scale_is_possible(best, context)


def _is_likely(best: Candidate, belief: float, unlisted: float, context: Context) -> bool:
    spots, params = len(best.indexed), context.params
    if not _scale_is_possible(best, context) or best.misfit > LARGEST_MISFIT:
        return False
    if best.phase in context.companions:
        return belief >= (params.identify_at if spots <= COMPANION_SPOTS else params.likely_at)
    needed = max(params.likely_at, FEW_SPOTS_AT) if spots <= FEW_SPOTS else params.likely_at
    if context.stated and context.library and unlisted < SURELY_LISTED and spots > FEW_SPOTS:
        needed = 1 - DOUBT_OF_LISTED * (1 - needed)
    return spots >= LIKELY_SPOTS and belief >= needed


def _scale_is_possible(best: Candidate, context: Context) -> bool:
    error = float(np.sqrt(best.scale_sigma**2 + GRAIN_SCALE**2 + context.scale.error**2))
    return bool(abs(np.log(best.scale) - context.scale.middle) < LIKELY_SIGMAS * error)


def _doubt(best: Candidate, belief: float, context: Context) -> str:
    """Why a likely phase is not called identified; empty if it is."""
    if belief < context.params.identify_at:
        return f"probability {belief:.0%}; {scale_words(best)}"
    if len(best.indexed) < IDENTIFIED_SPOTS:
        return f"only {len(best.indexed)} spots; {scale_words(best)}"
    if best.explained < IDENTIFIED_SHARE:
        return f"only {best.explained:.0%} of the spots are explained; {scale_words(best)}"
    if abs(np.log(best.scale) - context.scale.middle) > max(TRUSTED_SCALE, 0.75 * context.scale.error):
        return f"{scale_words(best)}, which is much: check the calibration"
    return ""


def _undecided_verdict(candidates: Sequence[Candidate], unlisted: float, context: Context) -> _Verdict:
    """An ambiguous set, or unknown where the set would be too large or rest on too little."""
    best = candidates[0]
    spots = len(best.indexed)
    cover = COVERAGE if context.stated else COVERAGE_OF_ALL
    possible = [c for c in candidates if not (needs_scale(c, context) or needs_stretch(c, context))]
    members = tuple(
        phase for phase in credible_set(candidates, unlisted, cover) if phase in {c.phase for c in possible}
    )
    if spots < LIKELY_SPOTS and not set(members) & context.companions:
        return Outcome.UNKNOWN, (), f"only {spots} spots of one lattice; the nearest is {best.phase}"
    if len(members) == 1 and spots <= FEW_SPOTS and not _scale_is_possible(best, context):
        # some pair of spots fits some phase at some scale, and one name is soon taken for the answer
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
    """The most probable phases that together hold so much of the probability of the listed ones."""
    total, members = 0.0, []
    for candidate in candidates:
        members.append(candidate.phase)
        total += candidate.posterior
        if total >= cover * (1 - unlisted):
            break
    return tuple(members)


def scale_words(candidate: Candidate) -> str:
    """How far off the calibration would have to be: "needs +1.8 % calibration"."""
    return f"needs {100 * (candidate.scale - 1):+.1f} % calibration"


def _identified_reason(best: Candidate) -> str:
    return f"{len(best.indexed)} spots fit in d and angle; {scale_words(best)}"


def _cell_words(cells: Sequence[Candidate]) -> str:
    """The other cells of a named phase: "; its cell can be that of Cu_Fm-3m-2 (12%) too"."""
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
            f"{best.phase} or a phase that is not among the candidates ({1 - best.posterior:.0%}):"
            f" {len(best.indexed)} spots,"
            f" {scale_words(best)}; more reflections or another grain would settle it"
        )
    by_phase = {candidate.phase: candidate for candidate in candidates}
    wants = ", ".join(f"{phase} {scale_words(by_phase[phase])}" for phase in members)
    settle = what_would_settle([by_phase[phase] for phase in members], context.phases)
    return f"these spots do not tell {' from '.join(members)} ({wants}); {settle} would settle it"
