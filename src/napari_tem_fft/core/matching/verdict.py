"""From probabilities to one of the five honest outcomes, with a sentence that says why."""

from __future__ import annotations

from collections.abc import Sequence

from .params import MatchParams
from .result import Candidate, GrainMatch, Outcome

#: Share of the probability that an ambiguous set covers, and the largest set that still says something.
COVERAGE, LARGEST_SET = 0.95, 4
#: Spots that a lattice must explain to be called identified, likely, or possible at all.
IDENTIFIED_SPOTS, LIKELY_SPOTS = 4, 3
#: Share of the grain's spots that must be explained to be identified, and to be likely or ambiguous.
IDENTIFIED_SHARE, LIKELY_SHARE = 0.75, 0.5
#: An identified phase needs a scale within this, or within 0.75 of the calibration's uncertainty.
TRUSTED_SCALE = 0.015


def judge(
    grain: int,
    spots: tuple[int, ...],
    candidates: Sequence[Candidate],
    unlisted: float,
    uncertainty: float,
    params: MatchParams,
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
    uncertainty : float
        Relative standard uncertainty of the calibration.
    params : MatchParams
    """
    outcome, phases, reason = _outcome(candidates, unlisted, uncertainty, params)
    return GrainMatch(grain, outcome, phases, tuple(candidates), reason, spots, unlisted)


def _outcome(
    candidates: Sequence[Candidate], unlisted: float, uncertainty: float, params: MatchParams
) -> tuple[Outcome, tuple[str, ...], str]:
    if not candidates or unlisted > 0.5:
        return Outcome.UNKNOWN, (), _unknown_reason(candidates, unlisted)
    best = candidates[0]
    explained = len(best.indexed)
    if best.posterior >= params.likely_at and best.explained >= LIKELY_SHARE and explained >= LIKELY_SPOTS:
        doubt = _doubt(best, uncertainty, params)
        outcome = Outcome.LIKELY if doubt else Outcome.IDENTIFIED
        return outcome, (best.phase,), doubt or _identified_reason(best)
    members = credible_set(candidates, unlisted)
    if best.explained < LIKELY_SHARE:
        return Outcome.UNKNOWN, (), f"only {best.explained:.0%} of the spots fit any one lattice"
    if len(members) > LARGEST_SET:
        return Outcome.UNKNOWN, (), f"too little evidence: {len(members)} phases fit these {explained} spots"
    return Outcome.AMBIGUOUS, members, _ambiguous_reason(candidates, members)


def credible_set(candidates: Sequence[Candidate], unlisted: float) -> tuple[str, ...]:
    """The most probable phases that together hold 95 % of what is not "unlisted"; at least two."""
    total, members = 0.0, []
    for candidate in candidates:
        members.append(candidate.phase)
        total += candidate.posterior
        if total >= COVERAGE * (1 - unlisted) and len(members) > 1:
            break
    return tuple(members)


def _doubt(best: Candidate, uncertainty: float, params: MatchParams) -> str:
    """Why a likely phase is not called identified; empty if it is."""
    if best.posterior < params.identify_at:
        return f"probability {best.posterior:.0%}; {_scale_words(best)}"
    if len(best.indexed) < IDENTIFIED_SPOTS:
        return f"only {len(best.indexed)} spots; {_scale_words(best)}"
    if best.explained < IDENTIFIED_SHARE:
        return f"only {best.explained:.0%} of the spots are explained; {_scale_words(best)}"
    if abs(best.scale - 1) > max(TRUSTED_SCALE, 0.75 * uncertainty):
        return f"{_scale_words(best)}, which is much: check the calibration"
    return ""


def _scale_words(candidate: Candidate) -> str:
    return f"needs {100 * (candidate.scale - 1):+.1f} % calibration"


def _identified_reason(best: Candidate) -> str:
    return f"{len(best.indexed)} spots fit in d and angle; {_scale_words(best)}"


def _unknown_reason(candidates: Sequence[Candidate], unlisted: float) -> str:
    if not candidates:
        return "no candidate fits the spots in d and angle"
    best = candidates[0]
    return f"probably none of the candidates ({unlisted:.0%}); the nearest is {best.phase}, which {_scale_words(best)}"


def _ambiguous_reason(candidates: Sequence[Candidate], members: tuple[str, ...]) -> str:
    by_phase = {candidate.phase: candidate for candidate in candidates}
    wants = ", ".join(f"{phase} {_scale_words(by_phase[phase])}" for phase in members)
    return f"these spots cannot tell {' from '.join(members)}: {wants}"
