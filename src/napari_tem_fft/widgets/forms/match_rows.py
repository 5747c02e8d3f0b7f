"""Rows of the table of candidates: grains, rings, what they could be, and every spot or ring explained."""

from __future__ import annotations

from collections.abc import Sequence

from ...core.crystal.miller import format_hkl, format_zone
from ...core.crystal.phase import Phase
from ...core.lengths import LengthUnit, length, symbol
from ...core.maps.colours import UNKNOWN, colours_of
from ...core.maps.component_map import component_name
from ...core.matching import Candidate, GrainMatch, IndexedRing, IndexedSpot, RingMatch
from ...core.matching.assignment import ring_peaks
from ...core.spots.spot import Spot
from ..session.image_state import ImageState
from .tree import Row

#: Candidates listed a grain.
MOST_CANDIDATES = 12
#: A row's key: number of the match (of the rings, from -1 downwards), phase or "", id of the spot or -1.
Key = tuple[int, str, int]


def columns(unit: LengthUnit) -> tuple[str, ...]:
    """Titles of the columns."""
    d = f"d ({symbol(unit)})"
    return "grain, phase, (hkl)", "prob.", "zone", "fits", d, "d off", "angle off"


def match_rows(image_state: ImageState, unit: LengthUnit = "nm") -> list[Row]:
    """Return one row a match, its candidates below, and below each the spots that it explains; then rings."""
    colours = colours_of(component.name for component in image_state.components)
    rows = _Rows(image_state, unit)
    matches = [rows.match(index, match, colours) for index, match in enumerate(image_state.matches)]
    rings = image_state.analysis.rings if image_state.analysis is not None else ()
    return matches + [rows.rings(number, one) for number, one in enumerate(rings)]


class _Rows:
    """Makes rows; knows the spots, the phases and the unit of lengths."""

    def __init__(self, image_state: ImageState, unit: LengthUnit) -> None:
        self.unit = unit
        self.spots = {spot.id: spot for spot in image_state.spots}
        analysis = image_state.analysis
        known: Sequence[Phase] = (*analysis.phases, *analysis.others) if analysis is not None else ()
        self.phases = {phase.id: phase for phase in known}
        self.peaks = ring_peaks(image_state.profiles, image_state.spots, image_state.matches)

    def match(self, index: int, match: GrainMatch, colours: dict[str, str]) -> Row:
        """A grain's row."""
        name = " / ".join(match.phases)
        children = [self._candidate(index, c) for c in match.candidates[:MOST_CANDIDATES]]
        if match.unlisted:
            cells = ("a lattice that is not listed", f"{match.unlisted:.3f}", "", "", "", "", "")
            children.append(Row(None, cells, help="Or spots that belong to no lattice at all"))
        told = [candidate for candidate in match.alternatives if candidate not in match.candidates]
        children += [self._candidate(index, candidate, "not a candidate: ") for candidate in told]
        said = ", by you" if match.decided_by_user else ""
        words = f"grain {match.grain}: {name} {match.outcome_words}{said}".replace("  ", " ")
        cells = (words, "", "", "", "", "", "")
        return Row(
            (index, "", -1), cells, colours.get(component_name(match), UNKNOWN), match.reason, tuple(children)
        )

    def _candidate(self, index: int, candidate: Candidate, before: str = "") -> Row:
        phase, off = self.phases.get(candidate.phase), 100 * (candidate.scale - 1)
        zone = format_zone(candidate.zone_axis, phase) if candidate.zone_axis else ""
        cells = (
            f"{before}{candidate.phase}",
            f"{candidate.posterior:.3f}",
            zone,
            f"{candidate.explained:.0%}",
            "",
            f"{off:+.2f} %",
            "",
        )
        help = f"needs the pixel size changed by {off:+.2f} %; click for its rings"
        known = [indexed for indexed in candidate.indexed if indexed.spot in self.spots]
        children = tuple(self._spot(index, candidate.phase, i, self.spots[i.spot]) for i in known)
        return Row((index, candidate.phase, -1), cells, help=help, children=children)

    def _spot(self, index: int, phase: str, indexed: IndexedSpot, spot: Spot) -> Row:
        d, sigma = length(spot.d, self.unit), length(spot.d_sigma, self.unit)
        cells = (
            f"({format_hkl(indexed.hkl, self.phases.get(phase))})",
            "",
            "",
            "",
            f"{d} ± {sigma}",
            f"{100 * indexed.d_residual:+.2f} %",
            f"{indexed.angle_residual:+.2f}°",
        )
        reference = f"{length(indexed.d_reference, self.unit)} {symbol(self.unit)}"
        help = f"spot {spot.id}; reference d {reference}; {indexed.kind}"
        return Row((index, phase, spot.id), cells, help=help)

    def rings(self, number: int, match: RingMatch) -> Row:
        """The row of rings that no grain explains."""
        children = []
        for candidate in match.candidates[:MOST_CANDIDATES]:
            key, off = (-1 - number, candidate.phase, -1), f"{100 * (candidate.scale - 1):+.2f} %"
            probability = f"{candidate.posterior:.3f}" if candidate.posterior else ""
            cells = (candidate.phase, probability, "", f"{candidate.explained:.0%}", "", off, "")
            rings = tuple(self._ring(candidate.phase, ring) for ring in candidate.indexed)
            children.append(Row(key, cells, help="click for its rings", children=rings))
        words = f"{len(match.peaks)} rings, by d only: {' / '.join(match.phases)} {match.outcome}"
        cells = (words.replace("  ", " "), "", "", "", "", "", "")
        return Row((-1 - number, "", -1), cells, UNKNOWN, match.reason, tuple(children))

    def _ring(self, phase: str, ring: IndexedRing) -> Row:
        hkl = f"({format_hkl(ring.hkl, self.phases.get(phase))})" if any(ring.hkl) else ""
        seen = length(self.peaks[ring.peak].d, self.unit) if ring.peak < len(self.peaks) else ""
        off = f"{100 * ring.d_residual:+.2f} %"
        return Row(None, (hkl, "", "", "", seen, off, ""))
