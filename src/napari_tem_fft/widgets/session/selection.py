"""Chosen: the spots that a person has picked, whichever way they were pointed at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ...core.crystal.miller import format_hkl
from ...core.lengths import signed, spacing
from ...core.maps.component_map import component_name
from ...core.matching import GrainMatch
from ...core.matching.attribution import indexed_as, matches_of_spots
from ...core.profile.radial_profile import ProfilePeak
from ...core.spots.spot import Spot
from ..forms.outcome_words import match_words
from ..forms.summary import count_text
from .image_state import ImageState
from .preferences import length_unit

#: A reflection is shown where the cursor's d differs from its own by less than this share.
NEAR = 0.01


@dataclass(frozen=True, slots=True)
class Selection:
    """Spots that stand out in every picture until something else is chosen.

    Attributes
    ----------
    spots : tuple of int
        Ids of the spots.
    grains : tuple of int
        Ids of the grains in which they are.
    words : str
        What they are, for the user.
    """

    spots: tuple[int, ...]
    grains: tuple[int, ...]
    words: str


def spots_chosen(image_state: ImageState, spots: Sequence[Spot], words: str) -> Selection:
    """Choose any spots."""
    return _chosen(image_state, spots, f"{words}: {_count(list(spots))}")


def peak_chosen(image_state: ImageState, peak: ProfilePeak) -> Selection:
    """Choose the enabled spots that make a peak of the profile."""
    reach = max(2 * peak.width, 3 * peak.sigma)
    near = [s for s in image_state.spots if s.enabled and abs(s.length - peak.g) <= reach]
    head = f"peak at {spacing(peak.d, peak.d_sigma, length_unit())}"
    return _chosen(image_state, near, f"{head}: {_count(near)}")


def spot_chosen(image_state: ImageState, spot: Spot) -> Selection:
    """Choose one spot."""
    match = matches_of_spots(image_state.grains, image_state.matches).get(spot.id)
    d = spacing(spot.d, spot.d_sigma, length_unit())
    words = f"spot {spot.id}: {d} at {spot.azimuth:.1f}°, SNR {spot.snr:.0f}"
    return _chosen(image_state, [spot], f"{words}; {_explain(spot, match)}")


def explanation(image_state: ImageState, spot: Spot) -> str:
    """Return the grain of a spot and the reflection as which it is indexed, in words."""
    return _explain(spot, matches_of_spots(image_state.grains, image_state.matches).get(spot.id))


def nearest_line(image_state: ImageState, length: float) -> str:
    """Return the reflection of a named phase nearest to |g| in 1/nm, in words; empty if none is near."""
    named = {phase for component in image_state.components for phase in component.phases}
    lines = [
        (abs(off), f"near {phase.id} ({format_hkl(reflection.hkl, phase)}), {signed(100 * off, 1)} %")
        for phase in image_state.phases.values()
        if phase.id in named
        for reflection in phase.reflections
        if abs(off := 1 / (length * reflection.d) - 1) < NEAR
    ]
    return min(lines)[1] if lines else ""


def grain_chosen(image_state: ImageState, grain_id: int) -> Selection:
    """Choose the enabled spots of a grain."""
    grain = next(grain for grain in image_state.grains if grain.id == grain_id)
    spots = [spot for spot in image_state.spots if spot.id in grain.spots and spot.enabled]
    outcomes = [_outcome(match) for match in image_state.matches if match.grain == grain_id]
    words = f"grain {grain_id}, {grain.diameter:.1f} nm: {_count(spots)}; {', '.join(outcomes)}"
    chosen = _chosen(image_state, spots, words)
    return Selection(chosen.spots, (grain_id,), chosen.words)


def component_chosen(image_state: ImageState, name: str) -> Selection:
    """Choose the spots of all grains of a component that belong to it."""
    component = next(component for component in image_state.components if component.name == name)
    match_of = matches_of_spots(image_state.grains, image_state.matches)
    spots = [
        spot
        for spot in image_state.spots
        if spot.enabled and spot.id in match_of and component_name(match_of[spot.id]) == component.name
    ]
    chosen = _chosen(
        image_state, spots, f"{name}: {_count(spots)} in {count_text(len(component.grains), 'grain')}"
    )
    return Selection(chosen.spots, component.grains, chosen.words)


def phase_of(image_state: ImageState, chosen: Selection) -> str | None:
    """Return the component to which the chosen spots belong, if it is one only."""
    match_of = matches_of_spots(image_state.grains, image_state.matches)
    names = {
        component.name
        for component in image_state.components
        for spot in chosen.spots
        if spot in match_of and component_name(match_of[spot]) == component.name
    }
    return names.pop() if len(names) == 1 else None


def _chosen(image_state: ImageState, spots: Iterable[Spot], words: str) -> Selection:
    ids = tuple(spot.id for spot in spots)
    grains = tuple(grain.id for grain in image_state.grains if set(ids) & set(grain.spots))
    return Selection(ids, grains, words)


def _count(spots: list[Spot]) -> str:
    return count_text(len(spots), "spot")


def _explain(spot: Spot, match: GrainMatch | None) -> str:
    if match is None:
        return "in no grain"
    indexed = indexed_as(spot.id, match)
    if indexed is None:
        return f"grain {match.grain}, not indexed"
    hkl = format_hkl(indexed.hkl)
    return f"grain {match.grain}, {' / '.join(match.phases)} ({hkl}), {signed(100 * indexed.d_residual)} %"


def _outcome(match: GrainMatch) -> str:
    return f"{' / '.join(match.phases)} {match_words(match)}".strip()
