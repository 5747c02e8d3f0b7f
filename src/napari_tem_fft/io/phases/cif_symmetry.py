"""What a CIF file says of its symmetry: operators, symbol or number; two origins; cells written out in P1."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import gemmi
import numpy as np
from numpy.typing import NDArray

from ...core.crystal.phase import reciprocal_basis
from ...core.crystal.structure import Structure
from .crystal import (
    SAME_ATOM,
    Atom,
    Symmetry,
    build_structure,
    shortest_contact,
    symmetry_of,
)

SYMOP_TAGS = (
    "_space_group_symop_operation_xyz",
    "_symmetry_equiv_pos_as_xyz",
    "_space_group_symop.operation_xyz",
)


@dataclass(frozen=True, slots=True, eq=False)
class Setting:
    """A space group as the file may mean it."""

    name: str
    symmetry: Symmetry
    note: str = ""


def settings_of(
    block: gemmi.cif.Block, small: gemmi.SmallStructure, cell: Sequence[float], notes: list[str]
) -> list[Setting]:
    """Possible settings: the operators if there are any, else the symbol, else the number.

    Raises
    ------
    ValueError
        If the file says nothing of its symmetry.
    """
    named = _named_groups(small, cell)
    operators = [op for tag in SYMOP_TAGS for op in block.find_values(tag)]
    if len(operators) > 1 or (operators and (not named or named[0].number == 1)):
        return [_from_operators(operators, named)]
    if operators:
        notes.append(f"lists no operators but the identity; taken as {named[0].xhm()}")
    if not named:
        raise ValueError("its symmetry is given neither by operators nor by a space group")
    if small.spacegroup_hm and gemmi.find_spacegroup_by_name(_symbol(small)) is None:
        notes.append(f"space group {small.spacegroup_hm!r} is not known; number {named[0].number} is used")
    return [Setting(group.xhm(), symmetry_of(group.operations())) for group in named]


def _named_groups(small: gemmi.SmallStructure, cell: Sequence[float]) -> list[gemmi.SpaceGroup]:
    """The space group by its symbol or number, in all its origins where the file does not tell."""
    symbol = _symbol(small)
    group = gemmi.find_spacegroup_by_name(symbol, cell[3], cell[5]) if symbol else None
    if group is None and small.spacegroup_hall:
        hall = [g for g in gemmi.spacegroup_table() if g.hall == small.spacegroup_hall.replace("_", " ")]
        group = hall[0] if hall else None
    if group is None and small.spacegroup_number:
        group = gemmi.find_spacegroup_by_number(small.spacegroup_number)
    if group is None:
        return []
    if group.ext in "HR" and ":" not in symbol:
        wanted = "H" if abs(cell[5] - 120) < 1 else "R"
        return [g for g in gemmi.spacegroup_table() if g.hm == group.hm and g.ext == wanted] or [group]
    if group.ext in "12" and ":" not in symbol:
        return [g for g in gemmi.spacegroup_table() if g.hm == group.hm]
    return [group]


def _symbol(small: gemmi.SmallStructure) -> str:
    """The symbol as gemmi knows it: "F d -3 m S" and "F d -3 m Z" are the origins 1 and 2."""
    symbol = re.sub(
        r"\s*[:\s]?\(?([SZ])\)?$", lambda m: ":1" if m[1] == "S" else ":2", small.spacegroup_hm.strip()
    )
    return symbol.replace("_", "")


def _from_operators(operators: Sequence[str], named: Sequence[gemmi.SpaceGroup]) -> Setting:
    try:
        group = gemmi.GroupOps([gemmi.Op(gemmi.cif.as_string(op)) for op in operators])
    except (ValueError, RuntimeError) as error:
        raise ValueError(f"a symmetry operator cannot be read: {error}") from error
    known = gemmi.find_spacegroup_by_ops(group)
    name = known.xhm() if known else named[0].xhm() if named else f"{len(operators)} operators"
    return Setting(name, symmetry_of(group))


def best_setting(
    cell: tuple[float, ...], atoms: Sequence[Atom], choices: Sequence[Setting], notes: list[str]
) -> tuple[Structure, str]:
    """The setting whose atoms keep the sanest distances."""
    built = [(build_structure(cell, _once(cell, atoms, c.symmetry), c.symmetry), c.name) for c in choices]
    if len(built) > 1:
        built.sort(key=lambda pair: (-round(min(shortest_contact(pair[0]), 0.15), 3), len(pair[0].sites)))
        notes.append(f"two origins are possible; {built[0][1]} keeps the atoms at sane distances")
    return built[0]


def _once(cell: tuple[float, ...], atoms: Sequence[Atom], symmetry: Symmetry) -> list[Atom]:
    """Atoms without those that symmetry makes of an earlier one of the same element."""
    kept: list[Atom] = []
    direct = np.asarray(np.linalg.inv(reciprocal_basis(cell)).T, np.float64)
    seen = {atom.element: np.zeros((0, 3)) for atom in atoms}
    for atom in atoms:
        position = np.array(atom.position)
        if atom.occupancy > 0.6 and _meets(seen[atom.element], position, direct):
            continue
        images = symmetry.rotations @ position + symmetry.translations
        seen[atom.element] = np.concatenate([seen[atom.element], images])
        kept.append(atom)
    return kept


def _meets(images: NDArray[np.float64], position: NDArray[np.float64], direct: NDArray[np.float64]) -> bool:
    """Whether one of the images is the atom at the position."""
    apart = images - position
    apart = (apart - np.round(apart)) @ direct
    return bool(((apart * apart).sum(axis=1) < SAME_ATOM**2).any())


def with_hidden_symmetry(structure: Structure) -> Structure:
    """A cell written out in P1 gets the rotations that leave all its |F| as they are."""
    if len(structure.rotations) > 1:
        return structure
    a, b, c, *angles = structure.cell
    cell = gemmi.UnitCell(10 * a, 10 * b, 10 * c, *angles)
    candidates = symmetry_of(gemmi.find_lattice_symmetry(cell, "P", 0.3)).rotations
    hkl = np.stack(np.meshgrid(*3 * [np.arange(-3, 4)], indexing="ij"), -1).reshape(-1, 3)
    reference = structure.amplitude(hkl)
    keeps = [
        np.abs(structure.amplitude(hkl @ r) - reference).max() < 0.01 * reference.max() for r in candidates
    ]
    if sum(keeps) <= 1:
        return structure
    return replace(structure, rotations=np.unique(candidates[keeps], axis=0))
