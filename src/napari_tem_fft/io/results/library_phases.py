"""Phases of a library in ``analysis.json``: in full, by their atoms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ...core.crystal.phase import Phase
from ...core.crystal.structure import LatticePlanes, Structure
from ...core.matching.library_candidates import LibrarySearch
from ..plain import from_plain, to_plain

_TEXTS = ("id", "name", "formula", "space_group", "source", "flag", "checked", "label")
_ARRAYS = {"sites": float, "occupancy": float, "element": np.intp, "factors": float, "rotations": np.int64}
#: Structures of more atoms are none of ours.
MOST_SITES = 20_000


def is_by_atoms(phase: Phase) -> bool:
    """Whether a phase is stored by its atoms: those of a library, and those that have references there."""
    return isinstance(phase.reflections, LatticePlanes) and (
        "library" in phase.tags or bool(phase.references)
    )


def describe_library(searched: LibrarySearch | None, phases: Sequence[Phase]) -> dict[str, Any] | None:
    """What was searched, and the phases with their atoms; None where there is nothing to be said."""
    if searched is None:
        return None
    return {
        **to_plain(searched),
        "text": searched.text,
        "phases": [_describe(phase) for phase in phases if is_by_atoms(phase)],
    }


def restore_library(stored: Mapping[str, Any] | None) -> tuple[LibrarySearch | None, tuple[Phase, ...]]:
    """What `describe_library` described.

    Raises
    ------
    ValueError, KeyError, TypeError
        If it is damaged.
    """
    if not stored:
        return None, ()
    return from_plain(LibrarySearch, stored), tuple(_restore(one) for one in stored["phases"])


def _describe(phase: Phase) -> dict[str, Any]:
    planes = phase.reflections
    if not isinstance(planes, LatticePlanes):
        raise TypeError(f"{phase.id} has no atoms")
    structure = planes.structure
    own = {name: getattr(phase, name) for name in _TEXTS}
    own |= {"elements": sorted(phase.elements), "tags": list(phase.tags), "aliases": list(phase.aliases)}
    own |= {"cell": list(phase.cell), "d_min": planes.d_min, "zone_share": planes.zone_share}
    own["zones"] = None if planes.zones is None else sorted(planes.zones)
    own |= {name: np.round(getattr(structure, name), 7).tolist() for name in _ARRAYS}
    own["references"] = [_describe(one) for one in phase.references[1:]]
    return own


def _restore(stored: Mapping[str, Any]) -> Phase:
    arrays = {name: np.array(stored[name], kind) for name, kind in _ARRAYS.items()}
    sites = len(arrays["sites"])
    shapes = {"sites": (sites, 3), "occupancy": (sites,), "element": (sites,)}
    fits = all(arrays[name].shape == shape for name, shape in shapes.items())
    if not fits or not 0 < sites <= MOST_SITES or arrays["element"].max() >= len(arrays["factors"]):
        raise ValueError(f"the atoms of {stored['id']} are incomplete")
    cell = tuple(float(value) for value in stored["cell"])
    structure = Structure(cell, **arrays)
    zones = None if stored["zones"] is None else frozenset(_axis(uvw) for uvw in stored["zones"])
    planes = LatticePlanes(structure, float(stored["d_min"]), zones, float(stored["zone_share"]))
    texts: dict[str, Any] = {name: str(stored[name]) for name in _TEXTS}
    phase = Phase(
        **texts,
        elements=frozenset(map(str, stored["elements"])),
        cell=cell,
        reflections=planes,
        tags=tuple(map(str, stored["tags"])),
        aliases=tuple(map(str, stored["aliases"])),
    )
    more = tuple(_restore(one) for one in stored["references"])
    return replace(phase, references=(phase, *more)) if more else phase


def _axis(uvw: Sequence[int]) -> tuple[int, int, int]:
    u, v, w = uvw
    return int(u), int(v), int(w)
