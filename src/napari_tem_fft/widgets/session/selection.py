"""The spots that the user has selected, in whichever way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ...core.crystal.phase import format_hkl
from ...core.maps.component_map import component_name
from ...core.matching import Candidate, GrainMatch
from ...core.matching.result import indexed_as, matches_of_spots
from ...core.profile.radial_profile import ProfilePeak
from ...core.spots.spot import Spot
from ...core.text import count_text, signed, spacing
from ..forms.match_rows import match_words
from .image_state import ImageState
from .settings import length_unit

#: Largest relative difference between the d at the cursor and that of a reflection that is shown.
NEAR = 0.01


@dataclass(frozen=True, slots=True)
class Selection:
    """Spots that are emphasised in all layers until something else is selected.

    Attributes
    ----------
    spots : tuple of int
        Ids of the spots.
    grains : tuple of int
        Ids of their grains.
    words : str
        Description for the user.
    candidate : Candidate, optional
        Candidate by which the grain is shown; its named phase by default.
    """

    spots: tuple[int, ...]
    grains: tuple[int, ...]
    words: str
    candidate: Candidate | None = None


def spots_chosen(image_state: ImageState, spots: Sequence[Spot], words: str) -> Selection:
    """Select any spots."""
    return _chosen(image_state, spots, f"{words}: {_count(list(spots))}")


def peak_chosen(image_state: ImageState, peak: ProfilePeak) -> Selection:
    """Select the enabled spots at a peak of the profile."""
    reach = max(2 * peak.width, 3 * peak.sigma)
    near = [s for s in image_state.spots if s.enabled and abs(s.length - peak.g) <= reach]
    head = f"peak at {spacing(peak.d, peak.d_sigma, length_unit())}"
    return _chosen(image_state, near, f"{head}: {_count(near)}")


def spot_chosen(image_state: ImageState, spot: Spot, candidate: Candidate | None = None) -> Selection:
    """Select one spot, shown by a candidate or by the named phase."""
    match = matches_of_spots(image_state.grains, image_state.matches).get(spot.id)
    d = spacing(spot.d, spot.d_sigma, length_unit())
    words = f"spot {spot.id}: {d} at {spot.azimuth:.1f}°, SNR {spot.snr:.0f}"
    said = _explain(image_state, spot, match, candidate)
    return replace(_chosen(image_state, [spot], f"{words}; {said}"), candidate=candidate)


def explanation(image_state: ImageState, spot: Spot) -> str:
    """Describe the grain of a spot and its indexed reflection."""
    match = matches_of_spots(image_state.grains, image_state.matches).get(spot.id)
    return _explain(image_state, spot, match)


def nearest_line(image_state: ImageState, length: float) -> str:
    """Describe the reflection of a named phase nearest to |g| in 1/nm; empty if none is near."""
    named = {phase for component in image_state.components for phase in component.phases}
    lines = [
        (abs(off), f"near {phase.id} ({format_hkl(reflection.hkl, phase)}), {signed(100 * off, 1)} %")
        for phase in image_state.phases.values()
        if phase.id in named
        for reflection in phase.reflections
        if abs(off := 1 / (length * reflection.d) - 1) < NEAR
    ]
    return min(lines)[1] if lines else ""


def grain_chosen(image_state: ImageState, grain_id: int, candidate: Candidate | None = None) -> Selection:
    """Select the enabled spots of a grain, shown by a candidate or by the named phase."""
    grain = next(grain for grain in image_state.grains if grain.id == grain_id)
    spots = [spot for spot in image_state.spots if spot.id in grain.spots and spot.enabled]
    outcomes = [_outcome(match) for match in image_state.matches if match.grain == grain_id]
    words = f"grain {grain_id}, {grain.diameter:.1f} nm: {_count(spots)}; {', '.join(outcomes)}"
    if candidate is not None:
        words += f"; looked at as {candidate.phase}"
        if candidate.orientation is None:
            words += ", without a pattern: its spots lie in one direction"
    return replace(_chosen(image_state, spots, words), grains=(grain_id,), candidate=candidate)


def component_chosen(image_state: ImageState, name: str) -> Selection:
    """Select the spots of all grains of a component that belong to it."""
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
    """Return the component of the selected spots, if there is only one."""
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


def _explain(
    image_state: ImageState, spot: Spot, match: GrainMatch | None, candidate: Candidate | None = None
) -> str:
    if match is None:
        return "in no grain"
    indexed = indexed_as(spot.id, match)
    phase, names = match.candidates[0].phase if match.candidates else "", " / ".join(match.phases)
    if candidate is not None:
        indexed = next((each for each in candidate.indexed if each.spot == spot.id), None)
        phase = names = candidate.phase
    if indexed is None:
        return f"grain {match.grain}, not indexed"
    hkl = format_hkl(indexed.hkl, image_state.phases.get(phase))
    return f"grain {match.grain}, {names} ({hkl}), Δd {signed(100 * indexed.deviation(spot.d))} %"


def _outcome(match: GrainMatch) -> str:
    return f"{' / '.join(match.phases)} {match_words(match)}".strip()
