"""How sure a name is, in words; what a person has set is said to be so."""

from __future__ import annotations

from ...core.maps.component_map import ComponentMap, component_name
from ...core.matching import GrainMatch, Outcome
from ..session.image_state import ImageState
from ..session.preferences import length_unit

BY_USER = "assigned by user"
#: Of a grain that is no crystal of its own.
PLACE = "place of a ring-like lattice"


def match_words(match: GrainMatch) -> str:
    """Outcome of a grain's match."""
    if match.ring_like:
        return PLACE
    return BY_USER if match.decided_by_user and match.phases else match.outcome_words


def single_d_fits(image_state: ImageState, component: ComponentMap) -> tuple[str, ...] | None:
    """The phases that have the d of a component of which only single d are known; None of any other."""
    if component.phases or component.bent is not None:
        return None
    own = [match for match in image_state.matches if component_name(match) == component.name]
    if not own or any(match.outcome is not Outcome.SINGLE_D for match in own):
        return None
    return tuple(dict.fromkeys(candidate.phase for match in own for candidate in match.candidates))


def component_words(image_state: ImageState, component: ComponentMap) -> str:
    """Outcome of a component, and how many of its grains a person has assigned to it."""
    if component.bent is not None:
        return component.bent.words(length_unit())
    own = [match for match in image_state.matches if component_name(match) == component.name]
    set_by_user = {match.grain for match in own if match.decided_by_user}
    if not set_by_user:
        return component.outcome_words
    if set_by_user >= set(component.grains):
        return BY_USER
    return f"{component.outcome}; {BY_USER} in {len(set_by_user)} of {len(component.grains)} grains"
