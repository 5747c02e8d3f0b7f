"""The bundled phase table, folders of CIF files and lists of d-spacings -> tuple of `Phase`."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from ..core.phase_choice import DEFAULT_TAGS, select_phases
from ..core.phases import Phase
from ..core.structure import LatticePlanes
from .crystal import Atom, build_structure, composition, formula, symmetry_named

__all__ = ["DEFAULT_TAGS", "load_table", "phase_from_entry", "select_phases"]

_RIGHT_ANGLES = (90.0, 90.0, 90.0)


@cache
def load_table() -> tuple[Phase, ...]:
    """The phases shipped with the package; read once, their reflections computed when first asked for."""
    text = (files("napari_tem_fft") / "data" / "phases.yaml").read_text(encoding="utf-8")
    return tuple(phase_from_entry(entry) for entry in table_entries(text))


def table_entries(text: str) -> list[dict[str, Any]]:
    """The table's entries as plain dictionaries."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    entries: list[dict[str, Any]] = yaml.load(text, Loader=loader)
    return entries


def phase_from_entry(entry: dict[str, Any]) -> Phase:
    """One entry of the table as a `Phase`."""
    atoms = [_atom(line) for line in entry["atoms"]]
    structure = build_structure(
        _cell(entry["cell"], entry["space_group"]), atoms, symmetry_named(entry["space_group"])
    )
    counts = composition(structure, atoms)
    return Phase(
        id=str(entry["id"]),
        name=str(entry["name"]),
        formula=str(entry.get("formula") or formula(counts)),
        elements=frozenset(counts),
        space_group=entry["space_group"],
        cell=structure.cell,
        reflections=LatticePlanes(structure),
        tags=tuple(map(str, entry.get("tags", ()))),
        aliases=tuple(map(str, entry.get("aliases", ()))),
        source=entry.get("source", ""),
        flag=entry.get("flag", ""),
        checked=entry.get("checked", ""),
    )


def _atom(line: str) -> Atom:
    element, x, y, z, *occupancy = line.split()
    return Atom(element, (float(x), float(y), float(z)), float(occupancy[0]) if occupancy else 1.0)


def _cell(lengths: list[float], space_group: str) -> tuple[float, ...]:
    """a, b, c in nm and the angles from the table's short form in Angstrom."""
    a, *rest = (length / 10 for length in lengths[:3])
    if len(lengths) == 1:
        return a, a, a, *_RIGHT_ANGLES
    if len(lengths) == 2:
        hexagonal = space_group[0] == "R" or space_group.split()[1].lstrip("-")[0] in "36"
        return a, a, rest[0], 90.0, 90.0, 120.0 if hexagonal else 90.0
    beta = lengths[3] if len(lengths) == 4 else 90.0
    return a, rest[0], rest[1], 90.0, beta, 90.0
