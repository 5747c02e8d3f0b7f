"""A structure of OPTIMADE -> `PhaseEntry`: cell, atoms with occupancies, and the symmetry that they have."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import gemmi
import numpy as np
from numpy.typing import NDArray

from ...core.crystal.phase import reciprocal_basis
from ...core.crystal.phase_selection import ELEMENTS
from .cif import SHORTEST_CONTACT, check_cell
from .crystal import (
    SAME_ATOM,
    Atom,
    build_structure,
    composition,
    density,
    formula,
    shortest_contact,
    symmetry_of,
)
from .entry import AtomRow, PhaseEntry

#: Fields that are requested for each structure.
FIELDS = (
    "id", "elements", "chemical_formula_reduced", "chemical_formula_descriptive", "lattice_vectors", "nsites",
    "cartesian_site_positions", "species", "species_at_sites", "structure_features", "dimension_types",
    "last_modified",
)  # fmt: skip
#: Most sites of a structure.
MOST_SITES = 1000
#: Atoms are equivalent by symmetry if they coincide within this, Angstrom.
SYMMETRY_PRECISION = 0.01
#: Structure features that mean that a structure is not complete enough to be computed.
_NOT_WHOLE = {
    "unknown_positions": "positions of atoms are missing",
    "assemblies": "its atoms are alternatives",
    "implicit_atoms": "atoms without a position belong to it",
}
_COMPUTED = "computed, not measured: its cell may be off by 1-2 %"


def load_spglib() -> Any:
    """spglib, which finds the symmetry of atoms; nothing but fetched structures needs it.

    Raises
    ------
    ValueError
        Where it is not installed.
    """
    try:
        return import_module("spglib")
    except ImportError as error:
        raise ValueError(
            "fetching structures needs spglib, which is not installed: pip install spglib (it has no wheels"
            " for Macs with Intel processors and Python 3.14), or import CIF files of the database"
        ) from error


def entry_of(structure: Any, origin: str, licence: str = "", computed: bool = False) -> PhaseEntry:
    """The entry of one structure.

    Parameters
    ----------
    structure : mapping
        As the server gave it: "id", "attributes".
    origin : str
        Database and number.
    licence : str
    computed : bool
        Whether the cell is computed, not measured.

    Raises
    ------
    ValueError
        If it is not whole, or makes no sense.
    """
    attributes = structure.get("attributes") if isinstance(structure, Mapping) else None
    if not isinstance(attributes, Mapping):
        raise ValueError("it has no attributes")
    for feature in attributes.get("structure_features") or ():
        if feature in _NOT_WHOLE:
            raise ValueError(_NOT_WHOLE[feature])
    lattice = _array(attributes.get("lattice_vectors"), (3, 3), "its lattice vectors are missing or damaged")
    sites = attributes.get("cartesian_site_positions")
    if not isinstance(sites, Sequence) or not 0 < len(sites) <= MOST_SITES:
        raise ValueError(f"it has no atom positions, or more than {MOST_SITES}")
    positions = _array(sites, (len(sites), 3), "an atom has no position")
    kinds = _kinds(attributes, len(sites))
    if abs(float(np.linalg.det(lattice))) < 1.0:
        raise ValueError("its lattice vectors lie in a plane")
    fractions = positions @ np.linalg.inv(lattice)
    if len(np.unique(np.round(fractions % 1.0, 4) % 1.0, axis=0)) < len(sites):
        raise ValueError("its atoms lie on one another")
    notes = [_COMPUTED] if computed else []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # spglib's, of how it reports its own errors
        cell, atoms, operators, group, number = _symmetric(lattice, fractions, kinds)
    check_cell(cell)
    listed = [Atom(element, (x, y, z), occupancy) for element, x, y, z, occupancy in atoms]
    whole = build_structure(cell, listed, symmetry_of([gemmi.Op(text) for text in operators]))
    if shortest_contact(whole) < SHORTEST_CONTACT:
        raise ValueError("its atoms lie on one another")
    counts = composition(whole, listed)
    if any(atom.occupancy < 0.99 for atom in listed):
        notes.append("partly occupied sites")
    text = formula(counts)
    return PhaseEntry(
        id=origin, name=text, formula=text, elements=tuple(sorted(counts)), space_group=group, number=number,
        cell=cell, atoms=atoms, operators=operators, density=round(density(whole, counts), 4), source=origin,
        code=origin, licence=licence, notes=tuple(notes),
    )  # fmt: skip


def _array(values: Any, shape: tuple[int, int], problem: str) -> NDArray[np.float64]:
    try:
        array = np.array(values, float)
    except (TypeError, ValueError) as error:
        raise ValueError(problem) from error
    if array.shape != shape or not np.isfinite(array).all() or np.abs(array).max() > 1e4:
        raise ValueError(problem)
    return array


def _kinds(attributes: Mapping[str, Any], sites: int) -> list[tuple[tuple[str, float], ...]]:
    """Elements with their occupancies on each site."""
    known: dict[str, tuple[tuple[str, float], ...]] = {}
    for one in attributes.get("species") or ():
        symbols, shares = one["chemical_symbols"], one["concentration"]
        if len(symbols) != len(shares):
            raise ValueError("a species has no occupancy")
        parts = [
            (str(s), float(n)) for s, n in zip(symbols, shares, strict=True) if s not in ("vacancy", "X")
        ]
        unknown = [symbol for symbol, _ in parts if symbol not in ELEMENTS]
        if unknown or any(not 0 <= n <= 1.01 for _, n in parts):
            raise ValueError(f"a species is none: {', '.join(unknown) or 'its occupancy'}")
        known[str(one["name"])] = tuple(("H" if s == "D" else s, min(n, 1.0)) for s, n in parts if n > 0)
    names = attributes.get("species_at_sites") or ()
    if len(names) != sites or any(name not in known for name in names):
        raise ValueError("its atoms and its species do not agree")
    return [known[name] for name in names]


def _symmetric(
    lattice: NDArray[np.float64], fractions: NDArray[np.float64], kinds: list[tuple[tuple[str, float], ...]]
) -> tuple[tuple[float, ...], tuple[AtomRow, ...], tuple[str, ...], str, int]:
    """Cell, atoms, operators and group in the standard setting of the symmetry that the atoms have."""
    different = list(dict.fromkeys(kinds))
    numbers = [different.index(kind) + 1 for kind in kinds]
    spglib = load_spglib()
    failure = getattr(spglib, "SpglibError", RuntimeError)  # before 2.7 it answers with None
    given: Any = (lattice, fractions % 1.0, numbers)
    try:
        found = spglib.get_symmetry_dataset(given, symprec=SYMMETRY_PRECISION)
    except failure:
        found = None
    if found is None:
        raise ValueError("its atoms lie on one another")
    group = next((g for g in gemmi.spacegroup_table() if g.hall == _hall(found.hall_number)), None)
    standard, places, types = found.std_lattice, found.std_positions, found.std_types
    cell = tuple(round(v, 9) for v in (*np.linalg.norm(standard, axis=1) / 10, *_angles(standard)))
    symmetry: Any = spglib.get_symmetry_from_database(found.hall_number)
    operations = list(zip(symmetry["rotations"], symmetry["translations"], strict=True))
    atoms: list[AtomRow] = []
    left = np.ones(len(places), bool)
    direct = np.linalg.inv(reciprocal_basis(cell)).T
    for n in range(len(places)):
        if not left[n]:
            continue
        for rotation, shift in operations:
            apart = places - (rotation @ places[n] + shift)
            left &= np.linalg.norm((apart - np.rint(apart)) @ direct, axis=1) > SAME_ATOM
        left[n] = False
        x, y, z = (float(value) % 1.0 for value in places[n])
        atoms += [(element, x, y, z, share) for element, share in different[types[n] - 1]]
    operators = tuple(_triplet(rotation, shift) for rotation, shift in operations)
    name = group.xhm() if group else found.international
    return cell, tuple(atoms), operators, name, int(found.number)


def _hall(number: int) -> str:
    """The Hall symbol of spglib's number, as gemmi writes it."""
    kind = load_spglib().get_spacegroup_type(number)
    return str(kind.hall_symbol).replace("=", '"').strip() if kind else ""


def _angles(lattice: NDArray[np.float64]) -> list[float]:
    unit = lattice / np.linalg.norm(lattice, axis=1)[:, None]
    cosines = unit[1] @ unit[2], unit[0] @ unit[2], unit[0] @ unit[1]
    return [round(float(np.degrees(np.arccos(np.clip(c, -1, 1)))), 6) for c in cosines]


def _triplet(rotation: NDArray[Any], shift: NDArray[Any]) -> str:
    operation = gemmi.Op("x,y,z")
    operation.rot = (np.asarray(rotation, int) * gemmi.Op.DEN).tolist()
    operation.tran = (np.rint(np.asarray(shift) * gemmi.Op.DEN).astype(int) % gemmi.Op.DEN).tolist()
    return str(operation.triplet())
