"""Rows of the table of candidates: grains and rings, their candidates, and the explained spots or rings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...core.crystal.phase import format_hkl, format_zone
from ...core.maps.component_map import UNKNOWN, ComponentMap, colours_of, component_name
from ...core.matching import Candidate, GrainMatch, IndexedRing, IndexedSpot, Outcome, RingMatch
from ...core.matching.assignment import ring_peaks
from ...core.matching.geometry import stretch_direction
from ...core.matching.verdict import USUAL_STRETCH
from ...core.spots.spot import Spot
from ...core.text import LengthUnit, count_text, length, signed, symbol, uncertainty
from ..session.image_state import ImageState
from ..session.settings import length_unit
from .tree import Row

BY_USER = "assigned by user"
#: Outcome of a grain that is not a separate crystal.
PLACE = "place of a ring-like lattice"


def match_words(match: GrainMatch) -> str:
    """Describe the outcome of a match."""
    if match.ring_like:
        return PLACE
    return BY_USER if match.decided_by_user and match.phases else match.outcome_words


def single_d_fits(image_state: ImageState, component: ComponentMap) -> tuple[str, ...] | None:
    """The phases that fit a component with a single d; None for other components."""
    if component.phases or component.bent is not None:
        return None
    own = [match for match in image_state.matches if component_name(match) == component.name]
    if not own or any(match.outcome is not Outcome.SINGLE_D for match in own):
        return None
    return tuple(dict.fromkeys(candidate.phase for match in own for candidate in match.candidates))


def component_words(image_state: ImageState, component: ComponentMap) -> str:
    """Describe the outcome of a component, and how many of its grains the user has assigned."""
    if component.bent is not None:
        return component.bent.words(length_unit())
    own = [match for match in image_state.matches if component_name(match) == component.name]
    set_by_user = {match.grain for match in own if match.decided_by_user}
    if not set_by_user:
        return component.outcome_words
    if set_by_user >= set(component.grains):
        return BY_USER
    return f"{component.outcome}; {BY_USER} in {len(set_by_user)} of {len(component.grains)} grains"


#: Number of candidates listed per grain.
MOST_CANDIDATES = 12
#: Title and help of a column next to Δd in tables of spots.
AFTER_FIT = "Δd after fit (%)"
AFTER_FIT_HELP = "Remaining Δd after the scale and distortion of the fit of the phase to the grain"
#: Key of a row: number of the match (negative for rings), phase or "", and id of the spot, -1, or HINT for a
#: hint.
Key = tuple[int, str, int]
HINT = -2


def columns(unit: LengthUnit) -> tuple[str, ...]:
    """Titles of the columns."""
    d = f"d ({symbol(unit)})"
    measured = d, "Δd (%)", AFTER_FIT, "Δangle (°)"
    return "grain, phase, (hkl)", "probability", "zone axis", "indexed (%)", *measured


def match_rows(image_state: ImageState, unit: LengthUnit = "nm") -> list[Row]:
    """Return a row per match, with its candidates and their explained spots below, followed by rings."""
    colours = colours_of(component.name for component in image_state.components)
    rows = _Rows(image_state, unit)
    matches = [rows.match(index, match, colours) for index, match in enumerate(image_state.matches)]
    rings = image_state.analysis.rings if image_state.analysis is not None else ()
    return matches + [rows.rings(number, one) for number, one in enumerate(rings)]


class _Rows:
    """Makes rows, given the spots, the phases and the unit of lengths."""

    def __init__(self, image_state: ImageState, unit: LengthUnit) -> None:
        self.unit = unit
        self.matches = image_state.matches
        self.spots = {spot.id: spot for spot in image_state.spots}
        self.phases = image_state.phases
        self.peaks = ring_peaks(image_state.profiles, image_state.spots, image_state.matches)

    def match(self, index: int, match: GrainMatch, colours: dict[str, str]) -> Row:
        """The row of a grain."""
        name = " / ".join(match.phases)
        children = [self._candidate(index, c) for c in match.candidates[:MOST_CANDIDATES]]
        if match.unlisted:
            cells = _cells("other (unlisted) phase", f"{match.unlisted:.3f}")
            children.append(Row(None, cells, help="Includes spots that do not belong to any lattice"))
        told = [candidate for candidate in match.alternatives if candidate not in match.candidates]
        children += [self._candidate(index, candidate, outside=True) for candidate in told]
        children += [self._hint(index, candidate) for candidate in match.hints]
        words = f"grain {match.grain}: {name} {match_words(match)}".replace("  ", " ")
        cells = _cells(words)
        colour = colours.get(component_name(match), UNKNOWN)
        record = {**self._grain_record(index), "row": "grain", "reason": match.reason}
        return Row((index, "", -1), cells, colour, match.reason, tuple(children), record)

    def _grain_record(self, index: int) -> dict[str, Any]:
        """Values that all rows of a grain share."""
        match = self.matches[index]
        named = " / ".join(match.phases)
        return {"row": "", "grain": match.grain, "named": named, "outcome": match_words(match)}

    def _candidate(self, index: int, candidate: Candidate, outside: bool = False) -> Row:
        """The row of a candidate, or of a phase outside the candidates, which has no probability."""
        match, phase = self.matches[index], self.phases.get(candidate.phase)
        off = 100 * (candidate.scale - 1)
        known = [indexed for indexed in candidate.indexed if indexed.spot in self.spots]
        deviations = [indexed.deviation(self.spots[indexed.spot].d) for indexed in known]
        # single d are compared one by one, which makes none of them more probable
        probable = not outside and match.outcome is not Outcome.SINGLE_D
        zone = format_zone(candidate.zone_axis, phase) if candidate.zone_axis else ""
        cells = _cells(
            f"outside candidates: {candidate.phase}" if outside else candidate.phase,
            f"{candidate.posterior:.3f}" if probable else "",
            zone,
            f"{100 * candidate.explained:.0f}",
            deviation=signed(100 * _mean(deviations, candidate.scale)),
        )
        help = f"needs the pixel size changed by {signed(off)} %; click for its rings"
        if outside:
            help = f"{help}; its probability would be {candidate.posterior:.3f} if it were a candidate"
        children = tuple(self._spot(index, candidate.phase, i, self.spots[i.spot]) for i in known)
        record = {
            **self._grain_record(index),
            "row": "outside candidates" if outside else "candidate",
            "candidate": candidate.phase,
            "probability": float(candidate.posterior) if probable else None,
            "zone_axis": zone,
            "indexed": float(candidate.explained),
            "scale_change_percent": float(off),
        }
        return Row((index, candidate.phase, -1), cells, help=help, children=children, record=record)

    def _hint(self, index: int, candidate: Candidate) -> Row:
        """The row of a hint: the phase of an unknown crystal at another scale or stretch."""
        row = self._candidate(index, candidate, outside=True)
        needs = f"if the scale is changed by {signed(100 * (candidate.scale - 1), 1)} %"
        if candidate.stretch > USUAL_STRETCH:
            along = stretch_direction(*candidate.distortion)
            needs += f", and the image stretched by {100 * candidate.stretch:.1f} % along {along:.0f}°"
        cells = (f"closest: {candidate.phase}", *row.cells[1:])
        help = f"{candidate.phase}, {needs}; click for its rings, and to apply it to the calibration"
        record = {**row.record, "row": "hint", "probability": None}
        return Row((index, candidate.phase, HINT), cells, help=help, children=row.children, record=record)

    def _spot(self, index: int, phase: str, indexed: IndexedSpot, spot: Spot) -> Row:
        d, sigma = length(spot.d, self.unit), uncertainty(spot.d_sigma, self.unit)
        off = indexed.deviation(spot.d)
        single = self.matches[index].outcome is Outcome.SINGLE_D  # a single d fits at any scale
        cells = _cells(
            f"({format_hkl(indexed.hkl, self.phases.get(phase))})",
            d=f"{d} ± {sigma}",
            deviation=signed(100 * off),
            left="" if single else signed(100 * indexed.d_residual),
            angle=signed(indexed.angle_residual),
        )
        reference = f"{length(indexed.d_reference, self.unit)} {symbol(self.unit)}"
        help = f"spot {spot.id}; reference d {reference}; {indexed.kind}"
        record = {
            **self._grain_record(index),
            "row": "reflection",
            "candidate": phase,
            "hkl": " ".join(map(str, indexed.hkl)),
            "spot": spot.id,
            "d_nm": float(spot.d),
            "d_sigma_nm": float(spot.d_sigma),
            "d_reference_nm": float(indexed.d_reference),
            "d_deviation_percent": float(100 * off),
            "d_change_percent": float(100 * indexed.d_residual),
            "angle_change_deg": float(indexed.angle_residual),
        }
        return Row((index, phase, spot.id), cells, help=help, record=record)

    def rings(self, number: int, match: RingMatch) -> Row:
        """The row of rings that are not explained by grains."""
        children = []
        for candidate in match.candidates[:MOST_CANDIDATES]:
            key, known = (-1 - number, candidate.phase, -1), map(self._ring_deviation, candidate.indexed)
            off = _mean([each for each in known if each is not None], candidate.scale)
            probability = f"{candidate.posterior:.3f}" if candidate.posterior else ""
            indexed = f"{100 * candidate.explained:.0f}"
            cells = _cells(candidate.phase, probability, indexed=indexed, deviation=signed(100 * off))
            single = match.outcome is Outcome.SINGLE_D
            lines = tuple(self._ring(candidate.phase, ring, single) for ring in candidate.indexed)
            children.append(Row(key, cells, help="click for its rings", children=lines))
        words = (
            f"{count_text(len(match.peaks), 'ring')}, by d only: {' / '.join(match.phases)} {match.outcome}"
        )
        cells = _cells(words.replace("  ", " "))
        return Row((-1 - number, "", -1), cells, UNKNOWN, match.reason, tuple(children))

    def _ring(self, phase: str, ring: IndexedRing, single: bool) -> Row:
        hkl = f"({format_hkl(ring.hkl, self.phases.get(phase))})" if any(ring.hkl) else ""
        left, off = "" if single else signed(100 * ring.d_residual), self._ring_deviation(ring)
        if off is None:
            return Row(None, _cells(hkl, left=left))
        seen = length(self.peaks[ring.peak].d, self.unit)
        return Row(None, _cells(hkl, d=seen, deviation=signed(100 * off), left=left))

    def _ring_deviation(self, ring: IndexedRing) -> float | None:
        """Deviation of a ring's d from its reference; None if its peak does not exist any longer."""
        known = ring.peak < len(self.peaks)
        return self.peaks[ring.peak].d / ring.d_reference - 1 if known else None


def _mean(deviations: Sequence[float], scale: float) -> float:
    """Mean deviation of the reflections of a candidate, or by its scale if none are listed."""
    return sum(deviations) / len(deviations) if deviations else 1 / scale - 1


def _cells(
    words: str,
    probability: str = "",
    zone: str = "",
    indexed: str = "",
    d: str = "",
    deviation: str = "",
    left: str = "",
    angle: str = "",
) -> tuple[str, ...]:
    """The cells of a row in the order of `columns`."""
    return words, probability, zone, indexed, d, deviation, left, angle
