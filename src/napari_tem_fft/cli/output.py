"""Output of analyses and phases as tables for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.crystal.phase import Phase, format_hkl
from ..core.maps.component_map import ComponentMap, bent_lattices_of, component_spots, overlap_words
from ..core.maps.strain import STRAINS, Deformation, Shown, unused_reference
from ..core.matching import RingMatch, look_alikes
from ..core.pipeline import Analysis
from ..core.text import LengthUnit, count_text, length, symbol
from ..io.figures.labels import spacings

HEADER = ("component", "outcome", "d ({})", "area (nm^2)", "of specimen", "probability", "grains")
#: Largest number of grain ids printed in a list.
MOST_GRAINS = 8
#: Largest number of grains whose deformation is printed.
MOST_DEFORMED = 6
#: Largest number of unknown crystals whose hints are printed.
MOST_HINTED = 3


def report(analysis: Analysis, unit: LengthUnit = "nm") -> str:
    """Summary and table of an analysis, with d-spacings in nm or Angstrom."""
    ny, nx = analysis.micrograph.shape
    py, px = analysis.micrograph.pixel_size
    pixel = f"{px:.4g} nm" if abs(py / px - 1) < 1e-4 else f"{px:.4g} x {py:.4g} nm"
    enabled = sum(spot.enabled for spot in analysis.spots)
    area = analysis.specimen.sum() * analysis.map_grid.pixel_area
    whole = "" if analysis.vacuum_found else " (all of it: no vacuum was found)"
    drawn = " (drawn by the user)" if analysis.specimen_by_user else whole
    lines = [
        f"{nx} x {ny} pixels of {pixel}, {known_to(analysis)}; specimen {area:.0f} nm^2{drawn};"
        f" {count_text(enabled, 'pair')} of spots in {count_text(len(analysis.grains), 'grain')}",
        *_network(analysis),
        *_components(analysis, unit),
        *overlap_words(analysis.components),
        *_geometry(analysis),
        *_bent(analysis),
        *_hints(analysis),
        *_deformation(analysis),
        *_outside_candidates(analysis),
        *([analysis.searched.text] if analysis.searched is not None else []),
        *(_ring_line(rings) for rings in analysis.rings if rings.phases),
        *(f"warning: {text}" for text in dict.fromkeys((*analysis.micrograph.warnings, *analysis.warnings))),
    ]
    return "\n".join(lines)


def known_to(analysis: Analysis) -> str:
    """Uncertainty of the scale and its source."""
    calibration = analysis.micrograph.calibration
    return f"+/- {calibration.uncertainty_percent:.2g} % ({calibration.source})"


def _network(analysis: Analysis) -> list[str]:
    """The network used, and the number of spots that only it proposed."""
    if analysis.network is None:
        return ["no network used: spots found by statistical tests alone"]
    own = sum(spot.enabled and spot.origin == "network" for spot in analysis.spots)
    shown = {spot.id for spot in analysis.spots if spot.enabled}
    doubted = len(shown.intersection(analysis.network.doubted))
    return [
        f"network {analysis.network.name}: {own} pairs of spots that statistical tests alone did not propose;"
        f" {doubted} of the others have a low network probability and are kept"
    ]


def _components(analysis: Analysis, unit: LengthUnit) -> list[str]:
    if not analysis.components:
        return ["no crystal was found"]
    header = tuple(title.format(symbol(unit)) for title in HEADER)
    return table([header, *(_row(part, analysis, unit) for part in analysis.components)])


def _geometry(analysis: Analysis) -> list[str]:
    """Scale and stretch of the image according to the named grains."""
    sentence = "" if analysis.geometry is None else analysis.geometry.sentence()
    return [sentence] if sentence else []


def _bent(analysis: Analysis) -> list[str]:
    """Explanations for bent lattices, whose regions are not individual crystals."""
    return [f"{one.name}: {one.evidence}" for one in bent_lattices_of(analysis.components)]


def _hints(analysis: Analysis) -> list[str]:
    """Why unknown crystals have no name, what they could be, and what would settle it."""
    unknown = [m for m in analysis.matches if m.hints and not m.outcome.names_phases and not m.ring_like]
    return [f"unknown crystal, grain {m.grain}: {m.reason}" for m in unknown[:MOST_HINTED]]


def _deformation(analysis: Analysis) -> list[str]:
    """Deformation of the largest grains, with its reference."""
    lines = [_deformed(part, analysis.params.grains.false_share) for part in analysis.deformations]
    more = len(lines) - MOST_DEFORMED
    unused = unused_reference(analysis.deformations, analysis.params.deformation)
    return [
        *([unused] if unused else []),
        *lines[:MOST_DEFORMED],
        *([f"deformation of {more} more grains: deformation.csv"] if more > 0 else []),
    ]


def _deformed(part: Deformation, false_share: float) -> str:
    shown: dict[Shown, tuple[str, float, str]] = {
        "eps_xx": ("eps_xx", 100.0, "%"),
        "eps_yy": ("eps_yy", 100.0, "%"),
        "eps_xy": ("eps_xy", 100.0, "%"),
        "d_change": ("change of d", 100.0, "%"),
        "rotation": ("rotation", 1.0, "degrees"),
    }
    wanted = [*STRAINS, "rotation"] if part.strain is not None else ["d_change", "rotation"]
    words = []
    for what, (name, factor, unit) in shown.items():
        found = part.summary(what, false_share) if what in wanted else None
        if found is not None:
            low, high, sigma = (factor * number for number in (found.low, found.high, found.sigma))
            words.append(
                f"{name} {low:+.2f} to {high:+.2f} {unit} (+/- {sigma:.2f}), above the noise in"
                f" {found.significant_share:.0%}"
            )
    against = "the reference region" if part.of_region else "its mean"
    along = "" if part.along is None else f" along its one g at {part.along:.0f} degrees"
    return f"deformation of grain {part.grain} against {against}{along}: {'; '.join(words)}"


def _outside_candidates(analysis: Analysis) -> list[str]:
    """Phases outside the candidates that would be named, with the grains that they fit."""
    grains: dict[str, list[int]] = {}
    for match in analysis.matches:
        for candidate in match.alternatives:
            grains.setdefault(candidate.phase, []).append(match.grain)
    if not grains:
        return []
    names = (f"{phase} (grain{'s' if len(ids) > 1 else ''} {_numbers(ids)})" for phase, ids in grains.items())
    return [f"phases outside the candidates that fit equally well: {', '.join(names)}"]


def _ring_line(rings: RingMatch) -> str:
    names = " / ".join(rings.phases)
    return f"rings, by d only: {names} {rings.outcome}: {rings.reason}".replace("  ", " ")


def _numbers(grains: Sequence[int]) -> str:
    """The first few grain ids, as text."""
    return " ".join(map(str, grains[:MOST_GRAINS])) + (" ..." if len(grains) > MOST_GRAINS else "")


def _row(component: ComponentMap, analysis: Analysis, unit: LengthUnit) -> tuple[str, ...]:
    own = component_spots(component, analysis.grains, analysis.matches, analysis.spots)
    spots = [(spot.d, spot.snr) for spot in own]
    return (
        component.name,
        _outcome(component, unit),
        "  ".join(length(d, unit) for d in spacings(spots)),
        f"{component.area:.1f} +/- {component.area_sigma:.1f}",
        f"{component.fraction:.1%}",
        f"{component.score:.2f}" if component.phases else "",
        _numbers(component.grains),
    )


def _outcome(component: ComponentMap, unit: LengthUnit) -> str:
    if component.bent is not None:
        return component.bent.words(unit)
    return f"{component.outcome}, by the user" if component.by_user else component.outcome_words


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Format rows of equal length as lines with aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


#: Largest number of look-alikes listed, and largest relative difference of their scale.
MOST_ALIKE, ALIKE_WITHIN = 8, 0.03


def phase_table(phases: Sequence[Phase], known: int, unit: LengthUnit = "nm") -> str:
    """Table of phases with their cells, and how many of all known phases they are."""
    header = ("phase", "formula", "name", "space group", f"cell ({symbol(unit)}, deg)", "sets")
    rows = [
        (
            p.id,
            p.formula,
            p.name,
            p.space_group,
            cell_text(p.cell, unit),
            " ".join(p.tags) + (" (!)" if p.flag else ""),
        )
        for p in phases
    ]
    doubtful = ["(!) for the doubt see: napari-tem-fft phases NAME"] if any(p.flag for p in phases) else []
    return "\n".join([*table([header, *rows]), f"{len(phases)} of {known} phases active", *doubtful])


def cell_text(cell: Sequence[float], unit: LengthUnit = "nm") -> str:
    """Cell lengths, and angles unless they are right angles; empty if only d-spacings are known."""
    lengths, angles = cell[:3], cell[3:]
    oblique = [f"{angle:g}" for angle in angles if angle != 90]
    return " ".join([*(length(edge, unit) for edge in lengths), *oblique])


def phase_lines(
    phase: Phase, known: Sequence[Phase] = (), unit: LengthUnit = "nm", d_min: float = 0.1
) -> str:
    """d-spacings of a phase, similar phases, its source, and doubts about it.

    Parameters
    ----------
    phase : Phase
    known : sequence of Phase
        Phases among which similar ones are searched.
    unit : {"nm", "angstrom"}
    d_min : float, nm
        Smallest d listed.
    """
    header = ("hkl", f"d ({symbol(unit)})", "multiplicity", "|F| relative")
    rows = [
        (
            format_hkl(r.hkl, phase) if any(r.hkl) else "",
            length(r.d, unit, 5),
            str(r.multiplicity),
            f"{r.relative_f:.2f}" if r.relative_f == r.relative_f else "",
        )
        for r in phase.reflections
        if r.d >= d_min
    ]
    alike = look_alikes(phase, known, ALIKE_WITHIN)[:MOST_ALIKE]
    notes = {
        "same pattern": ", ".join(f"{one.phase} ({100 * (one.scale - 1):+.1f} %)" for one in alike),
        "source": phase.source,
        "checked": phase.checked,
        "doubt": phase.flag,
    }
    about = (phase.name, phase.formula, phase.space_group, f"cell {cell_text(phase.cell, unit)}")
    lines = [
        f"{phase.id}: {', '.join(part for part in about if part and part != 'cell ')}",
        *table([header, *rows]),
        *(f"  {label}: {text}" for label, text in notes.items() if text),
    ]
    return "\n".join(lines)
