"""What the command ``phases`` prints: the table of phases, and the reflections of single ones."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.crystal.miller import format_hkl
from ..core.crystal.phase import Phase
from ..core.lengths import LengthUnit, length, symbol
from ..core.matching import look_alikes
from .output import table

#: Most look-alikes that are listed, and the largest relative difference of their scale.
MOST_ALIKE, ALIKE_WITHIN = 8, 0.03


def phase_table(phases: Sequence[Phase], known: int, unit: LengthUnit = "nm") -> str:
    """List of phases with their cells, and how many of all that are known they are."""
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
    doubtful = ["(!) read the doubt with: napari-tem-fft phases NAME"] if any(p.flag for p in phases) else []
    return "\n".join([*table([header, *rows]), f"{len(phases)} of {known} phases active", *doubtful])


def cell_text(cell: Sequence[float], unit: LengthUnit = "nm") -> str:
    """Cell lengths; angles only where they are not right. Empty where only d-spacings are known."""
    lengths, angles = cell[:3], cell[3:]
    oblique = [f"{angle:g}" for angle in angles if angle != 90]
    return " ".join([*(length(edge, unit) for edge in lengths), *oblique])


def phase_lines(
    phase: Phase, known: Sequence[Phase] = (), unit: LengthUnit = "nm", d_min: float = 0.1
) -> str:
    """Lattice spacings of a phase, what it is easily mistaken for, where it comes from, and what is in doubt.

    Parameters
    ----------
    phase : Phase
    known : sequence of Phase
        Among which look-alikes are looked for.
    unit : {"nm", "angstrom"}
    d_min : float, nm
        Smallest d that is listed.
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
