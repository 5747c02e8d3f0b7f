"""What the command line says of an analysis: a table of components for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from .core.maps import ComponentMap
from .core.matching.attribution import matches_of_spots
from .core.phases import Phase
from .core.pipeline import Analysis
from .core.spots import Spot

HEADER = ("component", "outcome", "d (nm)", "area (nm^2)", "of specimen", "probability")
#: Spacings of a component that are shown: those of its strongest spots.
MOST_D = 4
#: Spots whose d differ by less are one spacing.
SAME_D = 0.006


def report(analysis: Analysis) -> str:
    """Summary and table of an analysis."""
    ny, nx = analysis.micrograph.shape
    py, px = analysis.micrograph.pixel_size
    pixel = f"{px:.4g} nm" if abs(py / px - 1) < 1e-4 else f"{px:.4g} x {py:.4g} nm"
    enabled = sum(spot.enabled for spot in analysis.spots)
    area = analysis.specimen.sum() * analysis.map_grid.pixel_area
    lines = [
        f"{nx} x {ny} pixels of {pixel}, {known_to(analysis)}; specimen {area:.0f} nm^2;"
        f" {enabled} pairs of spots in {len(analysis.grains)} grains",
        *_network(analysis),
        *_components(analysis),
        *(f"warning: {text}" for text in (*analysis.micrograph.warnings, *analysis.warnings)),
    ]
    return "\n".join(lines)


def known_to(analysis: Analysis) -> str:
    """How well the scale is known, and who says so."""
    return f"+/- {analysis.params.calibration_uncertainty:.2g} % ({analysis.micrograph.calibration.source})"


def _network(analysis: Analysis) -> list[str]:
    """Which network took part, and how many spots it alone proposed."""
    if analysis.network is None:
        return []
    own = sum(spot.enabled and spot.origin == "network" for spot in analysis.spots)
    return [
        f"network {analysis.network.name}: {own} pairs of spots that the statistics alone had not proposed"
    ]


def _components(analysis: Analysis) -> list[str]:
    if not analysis.components:
        return ["no crystal was found"]
    return table([HEADER, *(_row(part, analysis) for part in analysis.components)])


def _row(component: ComponentMap, analysis: Analysis) -> tuple[str, ...]:
    return (
        component.name,
        str(component.outcome),
        "  ".join(f"{d:.4f}" for d in spacings(_spots_of(component, analysis))),
        f"{component.area:.1f} +/- {component.area_sigma:.1f}",
        f"{component.fraction:.1%}",
        f"{component.score:.2f}" if component.phases else "",
    )


def _spots_of(component: ComponentMap, analysis: Analysis) -> list[Spot]:
    matches = matches_of_spots(analysis.grains, analysis.matches)
    own = {spot for spot, match in matches.items() if match.phases == component.phases}
    return [spot for spot in analysis.spots if spot.id in own and spot.enabled]


def spacings(spots: Sequence[Spot]) -> list[float]:
    """Measured d of the strongest spots in nm, each once, largest first."""
    chosen: list[float] = []
    for spot in sorted(spots, key=lambda spot: -spot.snr):
        if len(chosen) < MOST_D and all(abs(spot.d / d - 1) > SAME_D for d in chosen):
            chosen.append(spot.d)
    return sorted(chosen, reverse=True)


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of equal length as lines with aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def phase_table(phases: Sequence[Phase]) -> str:
    """List of phases with their cells in nm and degrees."""
    header = ("phase", "formula", "name", "space group", "cell (nm, deg)", "sets")
    rows = [
        (p.id, p.formula, p.name, p.space_group, cell_text(p), " ".join(p.tags) + (" (!)" if p.flag else ""))
        for p in phases
    ]
    doubtful = ["(!) read the doubt with: napari-tem-fft phases NAME"] if any(p.flag for p in phases) else []
    return "\n".join([*table([header, *rows]), f"{len(phases)} phases", *doubtful])


def cell_text(phase: Phase) -> str:
    """Cell lengths in nm; angles only where they are not right."""
    lengths, angles = phase.cell[:3], phase.cell[3:]
    oblique = [f"{angle:g}" for angle in angles if angle != 90]
    return " ".join([*(f"{length:.4f}" for length in lengths), *oblique])


def phase_lines(phase: Phase, d_min: float = 0.1) -> str:
    """Lattice spacings of a phase, where they come from, and what is in doubt."""
    header = ("hkl", "d (nm)", "multiplicity", "|F| relative")
    rows = [
        (" ".join(map(str, r.hkl)), f"{r.d:.5f}", str(r.multiplicity), f"{r.relative_f:.2f}")
        for r in phase.reflections
        if r.d >= d_min
    ]
    notes = {"source": phase.source, "checked": phase.checked, "doubt": phase.flag}
    lines = [
        f"{phase.id}: {phase.name}, {phase.formula}, {phase.space_group}, cell {cell_text(phase)}",
        *table([header, *rows]),
        *(f"  {label}: {text}" for label, text in notes.items() if text),
    ]
    return "\n".join(lines)
