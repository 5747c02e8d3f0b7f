"""One CIF file -> `Phase`: symmetry never guessed silently, and every doubt said."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import gemmi
import numpy as np
from numpy.typing import NDArray

from ..core.phases import Phase, Reflection, reciprocal_basis
from ..core.structure import D_MIN, LatticePlanes, Structure
from .crystal import (
    Atom,
    Symmetry,
    build_structure,
    composition,
    density,
    formula,
    shortest_contact,
    symmetry_of,
)

#: Larger files are no inorganic structures, larger cells would take minutes: bytes, nm^3.
LARGEST_FILE, LARGEST_CELL = 4_000_000, 12.0
#: Atoms closer than this make no sense, nm; crystals are not denser or lighter than this, g/cm3.
SHORTEST_CONTACT, DENSITIES = 0.06, (0.05, 25.0)
_SYMOP_TAGS = (
    "_space_group_symop_operation_xyz",
    "_symmetry_equiv_pos_as_xyz",
    "_space_group_symop.operation_xyz",
)


@dataclass(frozen=True, slots=True, eq=False)
class CifPhase:
    """A phase from a CIF file with what the user should know of it.

    Attributes
    ----------
    phase : Phase
    warnings : tuple of str
        Empty where nothing had to be assumed.
    """

    phase: Phase
    warnings: tuple[str, ...] = ()


def read_cif(path: str | Path) -> Phase:
    """The structure in a CIF file.

    Raises
    ------
    ValueError
        If it cannot be used; the message names the file and says why.
    """
    return read_cif_with_warnings(path).phase


def read_cif_with_warnings(path: str | Path) -> CifPhase:
    """As `read_cif`, with the doubts there are."""
    path = Path(path)
    try:
        block, notes = _structure_block(_text(path))
        return _phase_of(block, path.stem, notes)
    except (ValueError, RuntimeError, UnicodeError) as error:
        raise ValueError(f"{path.name}: {error}") from error


def _text(path: Path) -> str:
    """Text of the file: UTF-8 with or without byte-order mark, UTF-16 by its mark, else Latin-1."""
    if path.stat().st_size > LARGEST_FILE:
        raise ValueError(f"larger than {LARGEST_FILE / 1e6:.0f} MB, which no structure of a simple phase is")
    data = path.read_bytes()
    if b"\0" in data and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ValueError("not a text file")
    encodings = ("utf-16",) if data.startswith((b"\xff\xfe", b"\xfe\xff")) else ("utf-8-sig", "latin-1")
    for encoding in encodings:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise ValueError("not a text file")


def _structure_block(text: str) -> tuple[gemmi.cif.Block, list[str]]:
    """The block that holds the structure."""
    document = gemmi.cif.read_string(text)
    blocks = [block for block in document if block.find_value("_cell_length_a")]
    if not blocks and any(block.find_value("_cell.length_a") for block in document):
        raise ValueError("a macromolecular (mmCIF) file, not the structure of a simple phase")
    if not blocks:
        raise ValueError("no unit cell in it")
    with_atoms = [b for b in blocks if b.find_values("_atom_site_fract_x")]
    notes = [f"{len(blocks)} structures in it; the first is used"] if len(blocks) > 1 else []
    return (with_atoms or blocks)[0], notes


def _phase_of(block: gemmi.cif.Block, stem: str, notes: list[str]) -> CifPhase:
    small = gemmi.make_small_structure_from_block(block)
    cell = _cell(block)
    atoms = _atoms(small, notes)
    choices = _symmetries(block, small, cell, notes)
    if not atoms:
        return CifPhase(
            _without_atoms(block, stem, cell, choices[0]), (*notes, "no atoms: matched by d only")
        )
    structure, group = _best_setting(cell, atoms, choices, notes)
    structure = _with_hidden_symmetry(structure)
    counts = composition(structure, atoms)
    _check_sanity(structure, counts, notes)
    phase = Phase(
        id=stem,
        name=_name(block, stem),
        formula=formula(counts),
        elements=frozenset(counts),
        space_group=group,
        cell=cell,
        reflections=LatticePlanes(structure),
        tags=("user",),
        source=_source(block),
        flag="; ".join(notes),
    )
    return CifPhase(phase, tuple(notes))


def _cell(block: gemmi.cif.Block) -> tuple[float, ...]:
    names = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
    values = [gemmi.cif.as_number(block.find_value(f"_cell_{name}") or "?") for name in names]
    if not np.isfinite(values).all():
        raise ValueError("the unit cell is incomplete")
    cell = tuple(round(v, 9) for v in (*(length / 10 for length in values[:3]), *values[3:]))
    if min(cell[:3]) < 0.1 or not all(20 < angle < 160 for angle in cell[3:]):
        raise ValueError("the unit cell makes no sense: " + " ".join(f"{v:g}" for v in values))
    volume = 1.0 / abs(float(np.linalg.det(reciprocal_basis(cell))))
    if not np.isfinite(volume) or volume > LARGEST_CELL:
        raise ValueError(f"the unit cell is larger than {LARGEST_CELL:g} nm^3")
    return cell


def _atoms(small: gemmi.SmallStructure, notes: list[str]) -> list[Atom]:
    atoms, dropped = [], set()
    for site in small.sites:
        x, y, z = site.fract.tolist()
        position = (float(x), float(y), float(z))
        if site.element.atomic_number == 0:
            dropped.add(site.label or site.type_symbol)
        elif not np.isfinite(position).all():
            dropped.add(f"{site.label} (no position)")
        elif site.occ > 0:
            atoms.append(Atom(_element(site), position, min(float(site.occ), 1.0)))
    if dropped:
        notes.append(f"atoms left out: {', '.join(sorted(dropped))}")
    if any(atom.occupancy < 0.99 for atom in atoms):
        notes.append("partly occupied sites")
    return atoms


def _element(site: gemmi.SmallStructure.Site) -> str:
    return "H" if site.element.name == "D" else str(site.element.name)


@dataclass(frozen=True, slots=True, eq=False)
class _Setting:
    """A space group as the file may mean it."""

    name: str
    symmetry: Symmetry
    note: str = ""


def _symmetries(
    block: gemmi.cif.Block, small: gemmi.SmallStructure, cell: Sequence[float], notes: list[str]
) -> list[_Setting]:
    """Possible settings: the operators if there are any, else the symbol, else the number.

    Raises
    ------
    ValueError
        If the file says nothing of its symmetry.
    """
    named = _named_groups(small, cell)
    operators = [op for tag in _SYMOP_TAGS for op in block.find_values(tag)]
    if len(operators) > 1 or (operators and (not named or named[0].number == 1)):
        return [_from_operators(operators, named)]
    if operators:
        notes.append(f"lists no operators but the identity; taken as {named[0].xhm()}")
    if not named:
        raise ValueError("its symmetry is given neither by operators nor by a space group")
    if small.spacegroup_hm and gemmi.find_spacegroup_by_name(_symbol(small)) is None:
        notes.append(f"space group {small.spacegroup_hm!r} is not known; number {named[0].number} is used")
    return [_Setting(group.xhm(), symmetry_of(group.operations())) for group in named]


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


def _from_operators(operators: Sequence[str], named: Sequence[gemmi.SpaceGroup]) -> _Setting:
    try:
        group = gemmi.GroupOps([gemmi.Op(gemmi.cif.as_string(op)) for op in operators])
    except (ValueError, RuntimeError) as error:
        raise ValueError(f"a symmetry operator cannot be read: {error}") from error
    known = gemmi.find_spacegroup_by_ops(group)
    name = known.xhm() if known else named[0].xhm() if named else f"{len(operators)} operators"
    return _Setting(name, symmetry_of(group))


def _best_setting(
    cell: tuple[float, ...], atoms: Sequence[Atom], choices: Sequence[_Setting], notes: list[str]
) -> tuple[Structure, str]:
    """The setting whose atoms keep the sanest distances."""
    built = [(build_structure(cell, _once(cell, atoms, c.symmetry), c.symmetry), c.name) for c in choices]
    if len(built) > 1:
        built.sort(key=lambda pair: (-round(min(_contact(pair[0]), 0.15), 3), len(pair[0].sites)))
        notes.append(f"two origins are possible; {built[0][1]} keeps the atoms at sane distances")
    return built[0]


def _once(cell: tuple[float, ...], atoms: Sequence[Atom], symmetry: Symmetry) -> list[Atom]:
    """Atoms without those that symmetry makes of an earlier one of the same element."""
    kept: list[Atom] = []
    direct = np.asarray(np.linalg.inv(reciprocal_basis(cell)).T, np.float64)
    seen: dict[str, list[NDArray[np.float64]]] = {}
    for atom in atoms:
        images = symmetry.rotations @ np.array(atom.position) + symmetry.translations
        earlier = seen.setdefault(atom.element, [])
        if (
            any(_meets(images, np.array(atom.position), other, direct) for other in earlier)
            and atom.occupancy > 0.6
        ):
            continue
        earlier.append(images)
        kept.append(atom)
    return kept


def _meets(
    images: NDArray[np.float64],
    position: NDArray[np.float64],
    other: NDArray[np.float64],
    direct: NDArray[np.float64],
) -> bool:
    apart = other - position
    apart = (apart - np.round(apart)) @ direct
    return bool(((apart * apart).sum(axis=1) < 0.01**2).any())


def _contact(structure: Structure) -> float:
    return shortest_contact(structure) if 1 < (structure.occupancy > 0.99).sum() <= 1500 else 1.0


def _with_hidden_symmetry(structure: Structure) -> Structure:
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


def _check_sanity(structure: Structure, counts: dict[str, float], notes: list[str]) -> None:
    contact = _contact(structure)
    if contact < SHORTEST_CONTACT:
        notes.append(f"two atoms are only {contact:.3f} nm apart")
    rho = density(structure, counts)
    if not DENSITIES[0] < rho < DENSITIES[1]:
        notes.append(f"its density would be {rho:.2f} g/cm3")


def _without_atoms(block: gemmi.cif.Block, stem: str, cell: tuple[float, ...], setting: _Setting) -> Phase:
    """A phase of which only cell and space group are known: spacings that the group allows."""
    text = gemmi.cif.as_string(block.find_value("_chemical_formula_sum") or "")
    counts = {symbol: float(n or 1) for symbol, n in re.findall(r"([A-Z][a-z]?)(\d*\.?\d*)", text)}
    dummy = build_structure(cell, [Atom("C", (0.1234, 0.2719, 0.4117))], setting.symmetry)
    families = tuple(
        Reflection(r.hkl, r.d, r.multiplicity, float("nan"), r.members) for r in LatticePlanes(dummy, D_MIN)
    )
    return Phase(
        id=stem,
        name=_name(block, stem),
        formula=formula(counts) if counts else "",
        elements=frozenset(counts),
        space_group=setting.name,
        cell=(),
        reflections=families,
        tags=("user",),
        source=_source(block),
        flag="no atoms in the file: matched by d only",
    )


def _name(block: gemmi.cif.Block, stem: str) -> str:
    tags = ("_chemical_name_mineral", "_chemical_name_common", "_chemical_name_systematic")
    texts = (gemmi.cif.as_string(block.find_value(tag) or "").strip() for tag in tags)
    return next((" ".join(text.split()) for text in texts if text and text not in "?."), stem)


def _source(block: gemmi.cif.Block) -> str:
    """Journal, year and database number, as far as the file names them."""
    tags = ("_journal_name_full", "_journal_year", "_journal_volume", "_journal_page_first")
    words = [gemmi.cif.as_string(block.find_value(tag) or "").strip() for tag in tags]
    code = gemmi.cif.as_string(block.find_value("_cod_database_code") or "").strip()
    text = " ".join(" ".join(word.split()) for word in words if word and word not in "?.")
    return "; ".join(part for part in (text, f"COD {code}" if code else "") if part) or "the user's CIF file"
