"""Hermann-Mauguin symbols in all the forms in which files write them: short, full, with or without blanks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

import gemmi

#: Groups below this number have few symbols, all of which gemmi knows.
FIRST_ORTHORHOMBIC = 16
#: Axes that a full symbol may write before a plane; only cubic groups have four-fold ones there.
_TWOFOLD, _CUBIC, FIRST_CUBIC = r"(?:21?/)?", r"(?:(?:21?|4[123]?)/)?", 195
_ORIGIN = re.compile(r"\s*[:\s]?\s*\(?([SZ])\)?$")
_EXTENSION = re.compile(r"\s*:\s*([12HR])$", re.IGNORECASE)


def groups_named(symbol: str, cell: Sequence[float]) -> list[gemmi.SpaceGroup]:
    """The space group of a symbol, in all its origins and axes where the symbol does not tell.

    Parameters
    ----------
    symbol : str
        Short or full, such as "F m -3 m", "Fm3m", "F 4/m -3 2/m", "P63/mmc", "R -3 m :H", "F d -3 m Z".
    cell : sequence of 6 float
        Lengths, and angles in degrees; they decide which axis of a monoclinic group is unique.

    Returns
    -------
    list of gemmi.SpaceGroup
        Empty where there is no such symbol.

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
    """The group in both its origins, or on both axes of a rhombohedral one; alone if it has one setting."""
    if group.ext not in ("1", "2", "H", "R"):
        return [group]
    return [other for other in gemmi.spacegroup_table() if other.hm == group.hm]


def _find(symbol: str, cell: Sequence[float]) -> gemmi.SpaceGroup | None:
    return gemmi.find_spacegroup_by_name(symbol, cell[3], cell[5]) if symbol else None


def _short_symbol(full: str) -> str:
    """The short symbol of a full one; empty where it is none."""
    compact = re.sub(r"[\s.]", "", full)
    compact = compact[:1].upper() + compact[1:].lower()
    found = {hm for hm, pattern in _full_symbols() if pattern.fullmatch(compact)}
    return found.pop() if len(found) == 1 else ""


@cache
def _full_symbols() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """For each short symbol what its full one looks like: an axis may stand before each plane."""
    table = {group.hm: group.number for group in gemmi.spacegroup_table()}
    return tuple((hm, _full(hm, number)) for hm, number in table.items() if number >= FIRST_ORTHORHOMBIC)


def _full(hm: str, number: int) -> re.Pattern[str]:
    lattice, *parts = hm.split()
    axis = _CUBIC if number >= FIRST_CUBIC else _TWOFOLD
    texts = [axis + part if part in "mabcnde" else re.escape(part) for part in parts]
    if parts[-1] == "1":
        texts[-1] = "1?"
    return re.compile(lattice + "".join(texts))
