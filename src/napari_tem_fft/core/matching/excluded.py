"""Phases that were not allowed but would fit: so that a choice of candidates never hides the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..grains import Grain
from ..phases import Phase
from ..spots import Spot
from .match import match_grains
from .observed import ANY_G
from .params import MatchParams
from .result import GrainMatch


def with_excluded(
    grains: Sequence[Grain],
    spots: Sequence[Spot],
    matches: Sequence[GrainMatch],
    phases: tuple[Sequence[Phase], Sequence[Phase]],
    calibration_uncertainty: float,
    params: MatchParams | None = None,
    band: tuple[float, float] = ANY_G,
) -> tuple[GrainMatch, ...]:
    """The matches, each with the phases that were not allowed but would be named if they were.

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
    of_grain: dict[int, GrainMatch] = {}
    for match in again:
        of_grain.setdefault(match.grain, match)
    first = {match.grain: index for index, match in reversed(list(enumerate(matches)))}
    return tuple(
        _told(match, of_grain[match.grain], barred)
        if match.grain in of_grain and first[match.grain] == index
        else match
        for index, match in enumerate(matches)
    )


def _told(match: GrainMatch, free: GrainMatch, barred: set[str]) -> GrainMatch:
    """The match with what it would be if all phases were allowed."""
    named = free.phases if free.outcome.names_phases else ()
    excluded = tuple(c for c in free.candidates if c.phase in named and c.phase in barred)
    if not excluded:
        return match
    how = "as well" if set(named) & set(match.phases) else "better"
    names = ", ".join(candidate.phase for candidate in excluded)
    reason = f"{match.reason}; not among the candidates but fits {how}: {names}"
    return replace(match, excluded=excluded, reason=reason)
