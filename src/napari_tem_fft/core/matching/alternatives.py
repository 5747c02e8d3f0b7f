"""Phases that are no candidates but would fit: so that a choice of candidates never hides the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..crystal.phase import Phase
from ..grains.grain import Grain
from ..spots.spot import Spot
from .match import match_grains
from .observations import ANY_G
from .params import OUTSIDE, MatchParams
from .result import Candidate, GrainMatch, Outcome

#: A phase outside the candidates joins a set if it is at least so probable beside the named.
JOINS = 0.5


def with_alternatives(
    grains: Sequence[Grain],
    spots: Sequence[Spot],
    matches: Sequence[GrainMatch],
    phases: tuple[Sequence[Phase], Sequence[Phase]],
    calibration_uncertainty: float,
    params: MatchParams | None = None,
    band: tuple[float, float] = ANY_G,
) -> tuple[GrainMatch, ...]:
    """The matches, each with the phases that were not allowed but would be named if they were.

    Where these are more probable than the named ones, in spite of the weight `MatchParams.outside` that is
    theirs, the named and they are an ambiguous set.

    Parameters
    ----------
    grains : sequence of Grain
    spots : sequence of Spot
    matches : sequence of GrainMatch
        With the candidates that were allowed.
    phases : tuple of two sequences of Phase
        The candidates that were allowed, and all others.
    calibration_uncertainty, params, band
        As in `match_grains`.
    """
    allowed, others = phases
    asked = {match.grain for match in matches if match.spots and not match.decided_by_user}
    left = [grain for grain in grains if grain.id in asked]
    if not others or not left:
        return tuple(matches)
    again = match_grains(left, spots, (*allowed, *others), calibration_uncertainty, params, band=band)
    barred = {phase.id for phase in others}
    given = (params or MatchParams()).outside
    weight = OUTSIDE if given is None else given
    of_grain: dict[int, GrainMatch] = {}
    for match in again:
        of_grain.setdefault(match.grain, match)
    first = {match.grain: index for index, match in reversed(list(enumerate(matches)))}
    return tuple(
        _with_outside(match, of_grain[match.grain], barred, weight)
        if match.grain in of_grain and first[match.grain] == index
        else match
        for index, match in enumerate(matches)
    )


def _with_outside(match: GrainMatch, free: GrainMatch, barred: set[str], weight: float) -> GrainMatch:
    """The match with what it would be if all phases were allowed."""
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
    """The ambiguous set of what was named and of its rivals from outside the candidates."""
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
