"""The atoms that a CIF file lists: elements from types and labels, dummies, atoms on one place."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from fractions import Fraction
from math import isfinite, nan

import gemmi
import numpy as np
from scipy.spatial import KDTree

from ...core.crystal.phase import reciprocal_basis
from ...core.crystal.phase_selection import ELEMENTS
from ...core.crystal.structure import Structure
from .crystal import Atom

#: Most atoms in a file; a file with more does not describe a simple phase.
MOST_ATOMS = 1000
#: Atoms closer than this, nm, share one site, and the largest occupancy of a full site (rounding).
ONE_PLACE, FULL = 0.01, 1.03
#: Groups of atoms that files list as one, and the atom that scatters for them (their hydrogen hardly does).
MOLECULES = {
    "NH4": "N", "ND4": "N", "NH3": "N", "NH2": "N", "NH": "N", "H3O": "O", "D3O": "O", "H2O": "O", "D2O": "O",
    "OH": "O", "OD": "O", "O-H": "O", "WAT": "O", "OW": "O", "CH4": "C", "CH3": "C", "CH2": "C",
}  # fmt: skip
#: Site types of several atoms without given positions, and of no atom.
_NO_ATOM = (
    "CN", "CO3", "NO3", "PO4", "SO4", "CO2", "SCN", "NO2", "ClO4", "BF4", "PF6", "BH4", "AlH4", "Va", "Vac",
)  # fmt: skip
_TAGS = ("fract_x", "fract_y", "fract_z", "?label", "?type_symbol", "?occupancy", "?calc_flag")
_HEAVIEST = ("Es", "Fm", "Md", "No", "Lr", "Rf", "Db", "Sg", "Bh", "Hs", "Mt", "Ds", "Rg", "Cn", "Nh", "Fl")
_GROUP = re.compile(r"[A-Za-z]+(?:-[A-Za-z]+)?(?:\d(?=[A-Z+-]|$))?[A-Z]?\d?")
_HEAD = re.compile(r"[A-Za-z][A-Za-z-]*")


def atoms_of(block: gemmi.cif.Block, notes: list[str]) -> list[Atom]:
    """The atoms of a block; what had to be left out or assumed is noted.

    Raises
    ------
    ValueError
        If there are too many.
    """
    table = block.find("_atom_site_", list(_TAGS))
    if len(table) > MOST_ATOMS:
        raise ValueError(f"{len(table)} atoms are listed, and at most {MOST_ATOMS} are read")
    known = elements_of_formula(gemmi.cif.as_string(block.find_value("_chemical_formula_sum") or ""))
    atoms, dropped, taken = [], dict[str, None](), dict[str, None]()
    for row in table:
        label, kind, flag = (gemmi.cif.as_string(row[n]).strip() if row.has(n) else "" for n in (3, 4, 6))
        name = label or kind or "?"
        if flag.lower() == "dum":
            dropped[f"{name} (a dummy)"] = None
            continue
        element, note = element_of(kind if kind.strip("?.") else label, known, bool(kind.strip("?.")))
        position = (_number(row[0]), _number(row[1]), _number(row[2]))
        if not element:
            dropped[name] = None
        elif not all(map(isfinite, position)):
            dropped[f"{name} (no position)"] = None
        elif (occupancy := _occupancy(row[5] if row.has(5) else "1")) > 0:
            atoms.append(Atom(element, position, min(occupancy, 1.0)))
            if note:
                taken[note] = None
    if dropped:
        notes.append(f"atoms left out: {', '.join(sorted(dropped))}")
    notes += taken
    if any(atom.occupancy < 0.99 for atom in atoms):
        notes.append("partly occupied sites")
    return atoms


def element_of(text: str, known: Collection[str] = (), is_type: bool = True) -> tuple[str, str]:
    """The element that a type symbol or a label means, and what had to be assumed.

    Parameters
    ----------
    text : str
        "Fe3+", "NH4+", "Wat1", "O-H2", "CA1".
    known : collection of str
        Elements of the file's formula, which distinguish a two-letter symbol from a letter and a name.
    is_type : bool
        Whether it is a type symbol, not a label.

    Returns
    -------
    element : str
        Deuterium is hydrogen; empty where it is none.
    note : str

    Examples
    --------
    >>> element_of("Fe3+")
    ('Fe', '')
    >>> element_of("NH4+")
    ('N', 'NH4 is taken as N')
    >>> element_of("CA1", {"C", "H"}, is_type=False)
    ('C', '')
    >>> element_of("Du")
    ('', '')
    """
    head = _HEAD.match(text)
    if head is None:
        return "", ""
    letters, name = head[0], _GROUP.match(text)
    for group in (name[0], name[0].rstrip("0123456789"), letters[:3]) if name else ():
        element = MOLECULES.get(group.upper())
        if element and group not in ELEMENTS:
            return element, f"{group} is taken as {element}"
        if group in _NO_ATOM and (is_type or group.startswith("Va")) and not {"V"} & set(known):
            return "", ""
    two, one = letters[:2].capitalize(), letters[0].upper()
    if is_type and letters in _HEAVIEST:
        return "", ""
    readings = [symbol for symbol in dict.fromkeys((two, one)) if symbol in ELEMENTS]
    readings = [symbol for symbol in readings if symbol != "D" or len(letters) == 1 or letters[1].isupper()]
    if len(readings) > 1 and letters[1].isupper():
        if not is_type and not known:
            return _hydrogen(two), f"label {text} is read as {two}"
        readings = [symbol for symbol in readings if symbol in known] or readings
    return (_hydrogen(readings[0]), "") if readings else ("", "")


def elements_of_formula(formula: str) -> frozenset[str]:
    """The elements in a formula such as "Na Pb2 C2 (O7 H)"."""
    return frozenset(re.findall(r"[A-Z][a-z]?", formula)) & ELEMENTS


def with_shared_places(structure: Structure, atoms: Sequence[Atom], notes: list[str]) -> list[Atom]:
    """Atoms with occupancies that no place exceeds: several full atoms on one place share it evenly.

    Parameters
    ----------
    structure : Structure
        All atoms of the cell.
    atoms : sequence of Atom
        Atoms of the asymmetric unit.
    notes : list of str
        What was assumed is added.
    """
    sites = structure.sites % 1.0 % 1.0
    basis = reciprocal_basis(structure.cell)
    reach = ONE_PLACE * float(np.linalg.norm(basis, axis=1).max())
    tree = KDTree(sites, boxsize=np.ones(3))
    pairs = tree.query_pairs(min(reach, 0.49), p=np.inf, output_type="ndarray")
    apart = sites[pairs[:, 0]] - sites[pairs[:, 1]]
    apart = (apart - np.round(apart)) @ np.linalg.inv(basis).T
    pairs = pairs[np.linalg.norm(apart, axis=1) < ONE_PLACE]
    total = structure.occupancy.copy()
    np.add.at(total, pairs[:, 0], structure.occupancy[pairs[:, 1]])
    np.add.at(total, pairs[:, 1], structure.occupancy[pairs[:, 0]])
    crowded = np.flatnonzero(total > FULL)
    if not len(crowded):
        return list(atoms)
    symbols = sorted({atom.element for atom in atoms})
    names = ", ".join(dict.fromkeys(symbols[n] for n in structure.element[crowded].tolist()))
    notes.append(f"{names}: {total.max():.3g} atoms on one place; each is taken as its share of one")
    shared = []
    for atom in atoms:
        near = tree.query_ball_point(np.array(atom.position) % 1.0 % 1.0, reach, p=np.inf)
        mine = [total[n] for n in near if total[n] > FULL and symbols[structure.element[n]] == atom.element]
        shared.append(replace(atom, occupancy=atom.occupancy / float(max(mine))) if mine else atom)
    return shared


def _hydrogen(symbol: str) -> str:
    return "H" if symbol == "D" else symbol


def _number(text: str) -> float:
    """A coordinate: 0.25, .25(3), 1/4; not a number where it is none."""
    value = gemmi.cif.as_number(text)
    if value == value or not re.fullmatch(r"'?-?\d{1,3}/\d{1,3}'?", text):
        return float(value)
    try:
        return float(Fraction(text.strip("'")))
    except ZeroDivisionError:
        return nan


def _occupancy(text: str) -> float:
    value = float(gemmi.cif.as_number(text))
    return value if isfinite(value) else 1.0
