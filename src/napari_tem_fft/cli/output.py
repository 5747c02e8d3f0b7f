"""What the command line says of an analysis: a table of components for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.lengths import LengthUnit, length, symbol
from ..core.maps.component_map import ComponentMap, component_spots
from ..core.matching import RingMatch
from ..core.pipeline import Analysis
from ..io.figures.labels import spacings

HEADER = ("component", "outcome", "d ({})", "area (nm^2)", "of specimen", "probability", "grains")
#: Numbers of grains that are shown.
MOST_GRAINS = 8
#: Unknown crystals of which the hints are shown.
MOST_HINTED = 3


def report(analysis: Analysis, unit: LengthUnit = "nm") -> str:
    """Summary and table of an analysis, with lattice spacings in nm or Angstrom."""
    ny, nx = analysis.micrograph.shape
    py, px = analysis.micrograph.pixel_size
    pixel = f"{px:.4g} nm" if abs(py / px - 1) < 1e-4 else f"{px:.4g} x {py:.4g} nm"
    enabled = sum(spot.enabled for spot in analysis.spots)
    area = analysis.specimen.sum() * analysis.map_grid.pixel_area
    whole = "" if analysis.vacuum_found else " (all of it: no vacuum was found)"
    drawn = " (drawn by the user)" if analysis.specimen_by_user else whole
    lines = [
        f"{nx} x {ny} pixels of {pixel}, {known_to(analysis)}; specimen {area:.0f} nm^2{drawn};"
        f" {enabled} pairs of spots in {len(analysis.grains)} grains",
        *_network(analysis),
        *_components(analysis, unit),
        *_geometry(analysis),
        *_hints(analysis),
        *_outside_candidates(analysis),
        *([analysis.searched.text] if analysis.searched is not None else []),
        *(_ring_line(rings) for rings in analysis.rings if rings.phases),
        *(f"warning: {text}" for text in dict.fromkeys((*analysis.micrograph.warnings, *analysis.warnings))),
    ]
    return "\n".join(lines)


def known_to(analysis: Analysis) -> str:
    """How well the scale is known, and who says so."""
    calibration = analysis.micrograph.calibration
    return f"+/- {calibration.uncertainty_percent:.2g} % ({calibration.source})"


def _network(analysis: Analysis) -> list[str]:
    """Which network took part, and how many spots it alone proposed."""
    if analysis.network is None:
        return ["no network: the statistics found the spots"]
    own = sum(spot.enabled and spot.origin == "network" for spot in analysis.spots)
    shown = {spot.id for spot in analysis.spots if spot.enabled}
    doubted = len(shown.intersection(analysis.network.doubted))
    return [
        f"network {analysis.network.name}: {own} pairs of spots that the statistics alone had not proposed;"
        f" it doubts {doubted} of theirs, which stay"
    ]


def _components(analysis: Analysis, unit: LengthUnit) -> list[str]:
    if not analysis.components:
        return ["no crystal was found"]
    header = tuple(title.format(symbol(unit)) for title in HEADER)
    return table([header, *(_row(part, analysis, unit) for part in analysis.components)])


def _geometry(analysis: Analysis) -> list[str]:
    """What the named grains say of the image's scale and stretch."""
    if analysis.geometry is None or not analysis.geometry.grains:
        return []
    return [f"the image by its named crystals: {analysis.geometry}"]


def _hints(analysis: Analysis) -> list[str]:
    """Why unknown crystals have no name, what they would be, and what would settle it."""
    unknown = [m for m in analysis.matches if m.hints and not m.outcome.names_phases]
    return [f"unknown crystal, grain {m.grain}: {m.reason}" for m in unknown[:MOST_HINTED]]


def _outside_candidates(analysis: Analysis) -> list[str]:
    """Phases that were no candidates but would be named, with the grains that say so."""
    grains: dict[str, list[int]] = {}
    for match in analysis.matches:
        for candidate in match.alternatives:
            grains.setdefault(candidate.phase, []).append(match.grain)
    if not grains:
        return []
    names = (f"{phase} (grains {_numbers(ids)})" for phase, ids in grains.items())
    return [f"not among the candidates, but would fit: {', '.join(names)}"]


def _ring_line(rings: RingMatch) -> str:
    names = " / ".join(rings.phases)
    return f"rings, by d only: {names} {rings.outcome}: {rings.reason}".replace("  ", " ")


def _numbers(grains: Sequence[int]) -> str:
    """The first few numbers of grains."""
    return " ".join(map(str, grains[:MOST_GRAINS])) + (" ..." if len(grains) > MOST_GRAINS else "")


def _row(component: ComponentMap, analysis: Analysis, unit: LengthUnit) -> tuple[str, ...]:
    own = component_spots(component, analysis.grains, analysis.matches, analysis.spots)
    spots = [(spot.d, spot.snr) for spot in own]
    return (
        component.name,
        f"{component.outcome}, by the user" if component.by_user else component.outcome_words,
        "  ".join(length(d, unit) for d in spacings(spots)),
        f"{component.area:.1f} +/- {component.area_sigma:.1f}",
        f"{component.fraction:.1%}",
        f"{component.score:.2f}" if component.phases else "",
        _numbers(component.grains),
    )


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of equal length as lines with aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
