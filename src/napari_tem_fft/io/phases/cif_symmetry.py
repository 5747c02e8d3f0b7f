"""Symmetry in a CIF file: operators, symbol and number, their contradictions, origins, and cells in P1."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache

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
#: A cell has the symmetry of its group if the squares of its lengths agree within the first number; if they
#: differ by more than the second, a note is added. No correct cell among 9 275 minerals exceeds the first.
SAME_CELL, ROUNDED_CELL = 0.015, 0.004
#: Most symmetry operators of a space group.
MOST_OPERATORS = 192
#: Space groups below this number have few symbols, all of which gemmi knows.
FIRST_ORTHORHOMBIC = 16
#: Axes that may precede a plane in a full symbol; only cubic groups have four-fold axes there.
_TWOFOLD, _CUBIC, FIRST_CUBIC = r"(?:21?/)?", r"(?:(?:21?|4[123]?)/)?", 195
_ORIGIN = re.compile(r"\s*[:\s]?\s*\(?([SZ])\)?$")
_EXTENSION = re.compile(r"\s*:\s*([12HR])$", re.IGNORECASE)


@dataclass(frozen=True, slots=True, eq=False)
class Setting:
    """A space group in one of the settings that the file may mean."""

    name: str
    number: int
    symmetry: Symmetry
    operators: tuple[str, ...]


def settings_of(
    block: gemmi.cif.Block, small: gemmi.SmallStructure, cell: Sequence[float], notes: list[str]
) -> list[Setting]:
    """Possible settings: from the operators if there are any, otherwise from symbol, Hall symbol or number.

    Raises
    ------
    ValueError
        If the file does not state its symmetry, or all its statements are wrong.
    """
    listed = (gemmi.cif.as_string(op) for tag in SYMOP_TAGS for op in block.find_values(tag))
    operators = tuple(dict.fromkeys(listed))
    found = _said_settings(small, cell, operators, notes)
    fitting = [one for one in found if _cell_misfit(cell, one.symmetry) <= SAME_CELL]
    if not fitting:
        text = " ".join(f"{value:g}" for value in (*(10 * length for length in cell[:3]), *cell[3:]))
        raise ValueError(f"its cell ({text}) does not have the symmetry of its space group {found[0].name}")
    if min(_cell_misfit(cell, one.symmetry) for one in fitting) > ROUNDED_CELL:
        notes.append(f"its cell has the symmetry of its space group {fitting[0].name} only approximately")
    return fitting


def _said_settings(
    small: gemmi.SmallStructure, cell: Sequence[float], operators: tuple[str, ...], notes: list[str]
) -> list[Setting]:
    symbol, number = small.spacegroup_hm.strip(), small.spacegroup_number
    by_symbol = groups_named(symbol, cell) or _groups_by_hall(small.spacegroup_hall)
    by_number = _groups_by_number(number)
    if any(operator.replace(" ", "").lower() != "x,y,z" for operator in operators):
        return _by_operators(operators, by_symbol or by_number, notes)
    if not by_symbol and not by_number:
        if symbol.strip("?."):
            raise ValueError(f"its space group {symbol!r} is unknown, and it lists no symmetry operators")
        if operators:
            return [_by_name(group) for group in groups_named("P 1", cell)]
        raise ValueError("its symmetry is given neither by operators nor by a space group")
    if by_symbol and by_number and by_symbol[0].number != by_number[0].number:
        raise ValueError(
            f"its space group is {by_symbol[0].hm} by its symbol but {by_number[0].hm} by its number"
            f" {number}, and it lists no operators to decide between them: correct one of them"
        )
    if not by_symbol and symbol.strip("?."):
        notes.append(f"space group {symbol!r} is unknown; number {number} is used")
    groups = by_symbol or by_number
    if operators and groups[0].number != 1:
        notes.append(f"lists no operators except the identity; {groups[0].hm} is assumed")
    return [_by_name(group) for group in groups]


def _groups_by_hall(symbol: str) -> list[gemmi.SpaceGroup]:
    hall = symbol.replace("_", " ").strip()
    return [group for group in gemmi.spacegroup_table() if hall and group.hall == hall][:1]


def _groups_by_number(number: int) -> list[gemmi.SpaceGroup]:
    group = gemmi.find_spacegroup_by_number(number) if 1 <= number <= 230 else None
    return [] if group is None else in_all_settings(group)


def _by_name(group: gemmi.SpaceGroup) -> Setting:
    return _setting_called(group.xhm())


@lru_cache(maxsize=512)
def _setting_called(name: str) -> Setting:
    group = gemmi.SpaceGroup(name)
    operations = group.operations()
    return Setting(name, group.number, symmetry_of(operations), tuple(op.triplet() for op in operations))


def _by_operators(
    operators: tuple[str, ...], named: Sequence[gemmi.SpaceGroup], notes: list[str]
) -> list[Setting]:
    """The settings of the listed operators, or of the named group if the list cannot be correct."""
    listed, is_group = _listed_setting(operators)
    if not is_group:
        if not named:
            raise ValueError("its symmetry operators do not form a group, and no space group is named")
        notes.append(f"its symmetry operators do not form a group; the space group {named[0].hm} is used")
        return [_by_name(group) for group in named]
    count = len(listed.symmetry.rotations)
    if not named or listed.number == named[0].number:
        return [listed]
    if not listed.number and count == len(named[0].operations()):
        return [replace(listed, name=named[0].xhm(), number=named[0].number)]  # a setting without a symbol
    whole = [one for one in map(_by_name, named) if set(listed.operators) <= set(one.operators)]
    if whole:
        notes.append(
            f"lists {count} of the {len(whole[0].symmetry.rotations)} operators of the space group"
            f" {named[0].hm}, which is used"
        )
        return whole
    notes.append(f"its operators are those of {listed.name}, though it names {named[0].hm}; they are used")
    return [listed]


@lru_cache(maxsize=512)
def _listed_setting(operators: tuple[str, ...]) -> tuple[Setting, bool]:
    """The setting of a list of operators, and whether they form a group.

    Raises
    ------
    ValueError
        If an operator cannot be parsed.
    """
    if len(operators) > MOST_OPERATORS:
        raise ValueError(f"{len(operators)} symmetry operators are listed; no space group has that many")
    try:
        ops = [gemmi.Op(text).wrap() for text in operators]
    except (ValueError, RuntimeError) as error:
        raise ValueError(f"a symmetry operator cannot be read: {error}") from error
    symmetry, triplets = symmetry_of(ops), tuple(op.triplet() for op in ops)
    if not _is_group(ops):
        return Setting("no group", 0, symmetry, triplets), False
    known = gemmi.find_spacegroup_by_ops(gemmi.GroupOps(ops))
    name = known.xhm() if known else f"{len(operators)} operators"
    return Setting(name, known.number if known else 0, symmetry, triplets), True


def _cell_misfit(cell: Sequence[float], symmetry: Symmetry) -> float:
    """Largest relative change of the squares of the cell's lengths under the symmetry operations."""
    direct = np.linalg.inv(reciprocal_basis(cell)).T
    metric = direct @ direct.T
    turned = symmetry.rotations.transpose(0, 2, 1) @ metric @ symmetry.rotations
    edges = np.sqrt(np.diag(metric))
    return float((np.abs(turned - metric) / np.outer(edges, edges)).max())


def _is_group(operations: Sequence[gemmi.Op]) -> bool:
    """Whether each operation occurs once, and the product of any two is an operation too."""
    known = set(operations)
    return len(known) == len(operations) and all((a * b).wrap() in known for a in known for b in known)


def best_setting(
    cell: tuple[float, ...], atoms: Sequence[Atom], choices: Sequence[Setting], notes: list[str]
) -> tuple[Structure, Setting, list[Atom]]:
    """The structure in the setting with the most plausible interatomic distances, and its distinct atoms."""
    built = []
    for setting in choices:
        distinct = _once(cell, atoms, setting.symmetry)
        built.append((build_structure(cell, distinct, setting.symmetry), setting, distinct))
    if len(built) > 1:
        built.sort(key=lambda one: (-round(min(shortest_contact(one[0]), 0.15), 3), len(one[0].sites)))
        notes.append(f"two origins are possible; {built[0][1].name} gives plausible interatomic distances")
    return built[0]


def _once(cell: tuple[float, ...], atoms: Sequence[Atom], symmetry: Symmetry) -> list[Atom]:
    """Atoms without those that are symmetry copies of an earlier atom of the same element."""
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
    """Whether one of the images coincides with the position."""
    apart = images - position
    apart = (apart - np.round(apart)) @ direct
    return bool(((apart * apart).sum(axis=1) < SAME_ATOM**2).any())


def with_hidden_symmetry(structure: Structure) -> Structure:
    """Add to a cell given in P1 the rotations that leave all its |F| unchanged."""
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


def groups_named(symbol: str, cell: Sequence[float]) -> list[gemmi.SpaceGroup]:
    """Space groups of a symbol; several, with different origins and axes, if the symbol does not say which.

    Parameters
    ----------
    symbol : str
        Short or full, such as "F m -3 m", "Fm3m", "F 4/m -3 2/m", "P63/mmc", "R -3 m :H", "F d -3 m Z".
    cell : sequence of 6 float
        Lengths, and angles in degrees; they decide which axis of a monoclinic group is unique.

    Returns
    -------
    list of gemmi.SpaceGroup
        Empty if there is no such symbol.

    Examples
    --------
    >>> cubic = (0.4, 0.4, 0.4, 90, 90, 90)
    >>> [group.xhm() for group in groups_named("F 4/m -3 2/m", cubic)]
    ['F m -3 m']
    >>> [group.xhm() for group in groups_named("Fd3m", cubic)]
    ['F d -3 m:1', 'F d -3 m:2']
    """
    text = _ORIGIN.sub(lambda m: ":1" if m[1] == "S" else ":2", symbol.strip().replace("_", "").strip("'\""))
    extension = _EXTENSION.search(text)
    bare = text[: extension.start()] if extension else text
    group = _find(text, cell) or _find(bare, cell)
    if group is None and (short := _short_symbol(bare)):
        group = _find(short, cell)
    if group is None:
        return []
    if extension is None:
        return in_all_settings(group)
    wanted = extension[1].upper()
    return [g for g in in_all_settings(group) if g.ext == wanted] or [group]


def in_all_settings(group: gemmi.SpaceGroup) -> list[gemmi.SpaceGroup]:
    """The group with both its origins, or on both axes of a rhombohedral one; alone if it has one setting."""
    if group.ext not in ("1", "2", "H", "R"):
        return [group]
    return [other for other in gemmi.spacegroup_table() if other.hm == group.hm]


def _find(symbol: str, cell: Sequence[float]) -> gemmi.SpaceGroup | None:
    return gemmi.find_spacegroup_by_name(symbol, cell[3], cell[5]) if symbol else None


def _short_symbol(full: str) -> str:
    """The short symbol of a full one; empty if there is none."""
    compact = re.sub(r"[\s.]", "", full)
    compact = compact[:1].upper() + compact[1:].lower()
    found = {hm for hm, pattern in _full_symbols() if pattern.fullmatch(compact)}
    return found.pop() if len(found) == 1 else ""


@cache
def _full_symbols() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """For each short symbol a pattern of its full one, in which an axis may precede each plane."""
    table = {group.hm: group.number for group in gemmi.spacegroup_table()}
    return tuple((hm, _full(hm, number)) for hm, number in table.items() if number >= FIRST_ORTHORHOMBIC)


def _full(hm: str, number: int) -> re.Pattern[str]:
    lattice, *parts = hm.split()
    axis = _CUBIC if number >= FIRST_CUBIC else _TWOFOLD
    texts = [axis + part if part in "mabcnde" else re.escape(part) for part in parts]
    if parts[-1] == "1":
        texts[-1] = "1?"
    return re.compile(lattice + "".join(texts))
