"""Build a `Structure` from an asymmetric unit: symmetry, atoms of the cell, formula, density, contacts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from math import gcd

import gemmi
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from ...core.crystal.phase import reciprocal_basis
from ...core.crystal.structure import Structure

#: Symmetry copies of an atom closer than this, nm, are one atom on a special position.
SAME_ATOM = 0.01
_ANIONS = ("B", "As", "Te", "Se", "Si", "P", "C", "S", "I", "Br", "N", "Cl", "O", "F", "H", "D")
_ALKALI = ("Li", "Na", "K", "Rb", "Cs", "Mg", "Ca", "Sr", "Ba")
#: Number of distinct positions along an edge, and an offset that keeps common coordinates off their borders.
_PLACES, _BETWEEN = 1_000_000, 0.3183
_FRACTIONS = np.array([1 / 3, 2 / 3, 1 / 6, 5 / 6])


@dataclass(frozen=True, slots=True)
class Atom:
    """An atom of the asymmetric unit: element symbol, fractional coordinates, chemical occupancy."""

    element: str
    position: tuple[float, float, float]
    occupancy: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Symmetry:
    """Operations x' = R x + t of a space group, centring included: shapes (n, 3, 3) and (n, 3)."""

    rotations: NDArray[np.int64]
    translations: NDArray[np.float64]


def symmetry_of(operations: Iterable[gemmi.Op]) -> Symmetry:
    """The operations of a gemmi group, or of a list of operations, as arrays."""
    ops = list(operations)
    rotations = np.array([op.rot for op in ops], np.int64) // gemmi.Op.DEN
    return Symmetry(rotations, np.array([op.tran for op in ops], float) / gemmi.Op.DEN)


@cache
def symmetry_by_name(symbol: str) -> Symmetry:
    """The operations of a space group, from its Hermann-Mauguin symbol.

    Raises
    ------
    ValueError
        If there is no such space group.
    """
    group = gemmi.find_spacegroup_by_name(symbol)
    if group is None:
        raise ValueError(f"unknown space group {symbol!r}")
    return symmetry_of(group.operations())


def build_structure(cell: tuple[float, ...], atoms: Sequence[Atom], symmetry: Symmetry) -> Structure:
    """Generate all atoms of the cell from the asymmetric unit.

    Parameters
    ----------
    cell : tuple of 6 float
        nm and degrees.
    atoms : sequence of Atom
    symmetry : Symmetry
    """
    sites, owner = orbits_of(cell, atoms, symmetry)
    elements = sorted({atom.element for atom in atoms})
    row = {element: i for i, element in enumerate(elements)}
    return Structure(
        cell=cell,
        sites=sites,
        occupancy=np.array([atom.occupancy for atom in atoms])[owner],
        element=np.array([row[atom.element] for atom in atoms], np.intp)[owner],
        factors=np.array([_scattering(element) for element in elements]),
        rotations=_laue(symmetry.rotations),
    )


def orbits_of(
    cell: tuple[float, ...], atoms: Sequence[Atom], symmetry: Symmetry
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Fractional coordinates of all atoms of a cell, shape (n, 3), and indices into `atoms`, shape (n,)."""
    direct = np.asarray(np.linalg.inv(reciprocal_basis(cell)).T, np.float64)
    orbits = [_orbit(np.array(atom.position), symmetry, direct) for atom in atoms]
    return np.concatenate(orbits), np.repeat(np.arange(len(atoms)), [len(orbit) for orbit in orbits])


def composition(structure: Structure, atoms: Sequence[Atom]) -> dict[str, float]:
    """Number of atoms of each element in the unit cell."""
    elements = sorted({atom.element for atom in atoms})
    counts = np.bincount(structure.element, structure.occupancy, len(elements))
    return {element: float(count) for element, count in zip(elements, counts, strict=True)}


def formula(counts: dict[str, float]) -> str:
    """Chemical formula of the smallest unit, metals first: "Li2CO3", "LiNi0.8Mn0.1Co0.1O2"."""
    whole = {element: round(count) for element, count in counts.items()}
    if all(abs(counts[e] - n) < 0.02 and n > 0 for e, n in whole.items()):
        unit = float(gcd(*whole.values()))
    else:
        unit = max(1.0, _formula_units(counts))
    amounts = {element: count / unit for element, count in counts.items()}
    order = sorted(counts, key=lambda e: (_place(e), -amounts[e], e))
    return "".join(element + _amount(amounts[element]) for element in order)


def density(structure: Structure, counts: dict[str, float]) -> float:
    """Calculated density, g/cm3."""
    volume = 1.0 / float(np.linalg.det(reciprocal_basis(structure.cell)))
    mass = sum(gemmi.Element(element).weight * count for element, count in counts.items())
    return 1.66053907e-3 * mass / volume


def shortest_contact(structure: Structure) -> float:
    """Smallest distance between two fully occupied sites, nm; infinite if there are fewer than two."""
    full = np.unique(structure.sites[structure.occupancy > 0.99].round(9), axis=0)
    direct = np.linalg.inv(reciprocal_basis(structure.cell)).T
    shifts = np.stack(np.meshgrid(*3 * [np.arange(-1, 2)], indexing="ij"), -1).reshape(-1, 3)
    images = KDTree((full + shifts[:, None]).reshape(-1, 3) @ direct)
    distance, _ = images.query(full @ direct, k=[2])  # the nearest is the atom itself
    return float(np.min(distance, initial=np.inf))


def _orbit(
    position: NDArray[np.float64], symmetry: Symmetry, direct: NDArray[np.float64]
) -> NDArray[np.float64]:
    """All images of an atom in the cell, without duplicates on special positions, shape (n, 3)."""
    images = _images(_snap(position), symmetry)
    apart = _apart(images, images[0])
    same = _lengths(apart, direct) < SAME_ATOM
    if same.sum() == 1:
        return images
    images = _images(images[0] + apart[same].mean(axis=0), symmetry)
    return images[np.sort(_first_of_each(images))]


def _first_of_each(images: NDArray[np.float64]) -> NDArray[np.intp]:
    """Indices of the first image at each position; images at one position agree up to rounding."""
    grid = np.floor(images * _PLACES + _BETWEEN).astype(np.int64) % _PLACES
    codes = (grid[:, 0] * _PLACES + grid[:, 1]) * _PLACES + grid[:, 2]
    return np.asarray(np.unique(codes, return_index=True)[1], np.intp)


def _images(position: NDArray[np.float64], symmetry: Symmetry) -> NDArray[np.float64]:
    images: NDArray[np.float64] = (symmetry.rotations @ position + symmetry.translations) % 1.0
    return images


def _apart(images: NDArray[np.float64], position: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shortest vectors from a position to each image, in fractions of the cell."""
    apart = images - position
    return apart - np.round(apart)


def _lengths(apart: NDArray[np.float64], direct: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.linalg.norm(apart @ direct, axis=1), np.float64)


def _snap(position: NDArray[np.float64]) -> NDArray[np.float64]:
    """Replace coordinates written as .3333 or .66667 by exact thirds and sixths."""
    position = position % 1.0
    nearest = _FRACTIONS[np.abs(position[:, None] - _FRACTIONS).argmin(axis=1)]
    return np.where(np.abs(position - nearest) < 1e-4, nearest, position)


def _laue(rotations: NDArray[np.int64]) -> NDArray[np.int64]:
    """The distinct rotations up to inversion (hkl and -h-k-l are equivalent anyway)."""
    flat = rotations.reshape(len(rotations), 9)
    sign = np.sign(np.linalg.det(rotations)).astype(np.int64)
    return np.unique(flat * sign[:, None], axis=0).reshape(-1, 3, 3)


@cache
def _scattering(element: str) -> NDArray[np.float64]:
    return np.array(gemmi.Element(element).c4322.get_coefs()).reshape(2, 5)


def _formula_units(counts: dict[str, float]) -> float:
    """Largest number of formula units for which every fully ordered element has an integer count."""
    whole = [round(count) for count in counts.values() if abs(count - round(count)) < 0.02 and count > 0.5]
    return float(gcd(*whole)) if whole else 1.0


def _place(element: str) -> int:
    """Sort key: alkali and alkaline earth metals first, then the other metals, then anions."""
    return _ANIONS.index(element) if element in _ANIONS else -2 if element in _ALKALI else -1


def _amount(amount: float) -> str:
    return "" if abs(amount - 1) < 0.005 else f"{amount:.2f}".rstrip("0").rstrip(".")
