"""Phases that are no candidates but would fit: so that a choice of candidates never hides the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..crystal.phase import Phase
from .result import Candidate, GrainMatch, Outcome

#: A phase outside the candidates joins a set if it is at least so probable beside the named.
JOINS = 0.5


def with_alternatives(
    matches: Sequence[GrainMatch], free: Sequence[GrainMatch], outside: Sequence[Phase], weight: float
) -> tuple[GrainMatch, ...]:
    """The matches, each with the phases that were not allowed but would be named if they were.

    Where these are more probable than the named ones, in spite of their weight, the named and they are an
    ambiguous set.

    Parameters
    ----------
    matches : sequence of GrainMatch
        With the candidates alone allowed.
    free : sequence of GrainMatch
        Of the same grains, or of some, with all phases allowed.
    outside : sequence of Phase
        The phases that are no candidates.
    weight : float
        How probable, before looking, they are beside a candidate (`MatchParams.outside`).
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
