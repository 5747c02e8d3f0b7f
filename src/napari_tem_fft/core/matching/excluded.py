"""Phases that were not allowed but would fit: so that a choice of candidates never hides the answer."""

from __future__ import annotations

from collections.abc import Sequence

from ..grains import Grain
from ..phases import Phase
from ..spots import Spot
from .match import match_grains
from .params import MatchParams
from .result import Candidate, GrainMatch, Outcome


def excluded_fits(
    grains: Sequence[Grain],
    spots: Sequence[Spot],
    matches: Sequence[GrainMatch],
    table: Sequence[Phase],
    calibration_uncertainty: float,
    params: MatchParams | None = None,
) -> dict[int, tuple[Candidate, ...]]:
    """For grains whose phase is unknown: what they would be if all phases were allowed.

    Parameters
    ----------
    grains : sequence of Grain
    spots : sequence of Spot
    matches : sequence of GrainMatch
        With the candidates that were allowed.
    table : sequence of Phase
        All phases, allowed or not.
    calibration_uncertainty : float
        Relative standard uncertainty of the image's scale.
    params : MatchParams, optional

    Returns
    -------
    dict of int to tuple of Candidate
        By the grain's id: the named phase or the members of the ambiguous set, best first. Grains to which
        the whole table gives no name either are left out.
    """
    unknown = {match.grain for match in matches if match.outcome is Outcome.UNKNOWN}
    left = [grain for grain in grains if grain.id in unknown]
    if not left:
        return {}
    again = match_grains(left, spots, table, calibration_uncertainty, params)
    return {
        match.grain: tuple(candidate for candidate in match.candidates if candidate.phase in match.phases)
        for match in again
        if match.outcome.names_phases
    }
