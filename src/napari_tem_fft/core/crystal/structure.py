"""Structure: the atoms of a cell, and its lattice planes, computed from the atoms or given as a list."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from itertools import product
from typing import overload

import numpy as np
from numpy.typing import NDArray

from .phase import Miller, Phase, Reflection, as_miller, reciprocal_basis

#: Smallest d that is listed, nm.
#: No record says on what it was set. Sweep: halved, nothing; doubled, belief 0.73 -> 0.69.
D_MIN = 0.08
#: Reflections with less than this fraction of the largest |F| count as forbidden.
FORBIDDEN = 1e-3
#: Largest number of terms of structure factors in memory at once.
AT_ONCE = 500_000
#: Part of every key: increase it when the meaning of the arrays changes.
VERSION = "planes-2"
#: Relative difference within which two cells agree.
SAME_METRIC = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class Structure:
    """All atoms of one unit cell.

    Attributes
    ----------
    cell : tuple of 6 float
        a, b, c in nm, alpha, beta, gamma in degrees.
    sites : ndarray, shape (n, 3)
        Fractional coordinates of every atom in the cell (symmetry applied, each atom once).
    occupancy : ndarray, shape (n,)
    element : ndarray of int, shape (n,)
        Row of `factors` for each site.
    factors : ndarray, shape (elements, 2, 5)
        Amplitudes (Angstrom) and widths (Angstrom^2) of the five Gaussians of the electron scattering
        factor, f = sum a exp(-b s^2), s = 1 / (2 d) (International Tables C, table 4.3.2.2).
    rotations : ndarray of int, shape (m, 3, 3)
        Rotations of the Laue group on columns of fractional coordinates; hkl transforms as hkl @ R.
    """

    cell: tuple[float, ...]
    sites: NDArray[np.float64]
    occupancy: NDArray[np.float64]
    element: NDArray[np.intp]
    factors: NDArray[np.float64]
    rotations: NDArray[np.int64]

    def key(self) -> str:
        """Hash of the content: equal for equal structures, whatever their names."""
        digest = hashlib.sha256(VERSION.encode())
        digest.update(np.asarray(self.cell, float).round(9).tobytes())
        for array in (self.sites, self.occupancy, self.factors, self.rotations):
            digest.update(np.ascontiguousarray(np.round(array, 6)).tobytes())
        digest.update(np.ascontiguousarray(self.element, np.int64).tobytes())
        return digest.hexdigest()

    def amplitude(self, hkl: NDArray[np.int64]) -> NDArray[np.float64]:
        """|F(hkl)| summed over the cell's atoms, shape (n,), Angstrom."""
        parts = np.array_split(hkl, 1 + len(hkl) * len(self.sites) // AT_ONCE)
        return np.concatenate([self._amplitude(part) for part in parts])

    def _amplitude(self, hkl: NDArray[np.int64]) -> NDArray[np.float64]:
        s2 = (np.linalg.norm(hkl @ reciprocal_basis(self.cell), axis=1) / 20.0) ** 2
        a, b = self.factors[:, 0, :, None], self.factors[:, 1, :, None]
        scattering = (a * np.exp(-b * s2)).sum(axis=1)
        weight = scattering[self.element] * self.occupancy[:, None]
        phase = 2 * np.pi * (self.sites @ hkl.T)
        real, imaginary = (weight * np.cos(phase)).sum(axis=0), (weight * np.sin(phase)).sum(axis=0)
        total: NDArray[np.float64] = np.hypot(real, imaginary)
        return total


class LatticePlanes(Sequence[Reflection]):
    """The reflections of a structure as a sequence of families, in order of falling d.

    Attributes
    ----------
    structure : Structure
        The structure, or a function that returns it when it is first needed.
    d_min : float, nm
        Smallest d that is listed.
    zones : frozenset of tuple of int, optional
        The only zone axes for which the phase is matched, if a search has selected them; all by default.
    zone_share : float
        Prior probability that one of these is seen.
    stated : str
        A unique identifier of the structure, if one is known before the cell's atoms are generated.
    """

    def __init__(
        self,
        structure: Structure | Callable[[], Structure],
        d_min: float = D_MIN,
        zones: frozenset[Miller] | None = None,
        zone_share: float = 1.0,
        stated: str = "",
    ) -> None:
        self._stated = stated
        self._given, self.d_min, self.zones, self.zone_share = structure, d_min, zones, zone_share

    @cached_property
    def structure(self) -> Structure:
        """The atoms of the cell."""
        return self._given if isinstance(self._given, Structure) else self._given()

    @cached_property
    def key(self) -> str:
        """A hash that identifies the structure, including the zone axes if they are limited."""
        known = f"{VERSION} {self._stated}".encode()
        key = hashlib.sha256(known).hexdigest() if self._stated else self.structure.key()
        return key if self.zones is None else f"{key} {self.zone_share:.6g} {sorted(self.zones)}"

    @property
    def rotations(self) -> NDArray[np.int64]:
        """Rotations of the Laue group (see `Structure`)."""
        return self.structure.rotations

    @property
    def basis(self) -> NDArray[np.float64]:
        """Rows a*, b*, c*, shape (3, 3), 1/nm."""
        return reciprocal_basis(self.structure.cell)

    @property
    def direct(self) -> NDArray[np.float64]:
        """Rows a, b, c in the same Cartesian coordinates, shape (3, 3), nm."""
        return np.asarray(np.linalg.inv(self.basis).T, np.float64)

    @cached_property
    def _families(self) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
        """Representative hkl, d and relative |F| of each allowed family, sorted by falling d."""
        basis = reciprocal_basis(self.structure.cell)
        hkl = _representatives(_half_sphere(basis, self.d_min), self.structure.rotations)
        amplitude = self.structure.amplitude(hkl)
        relative = amplitude / amplitude.max()
        d = 1.0 / np.linalg.norm(hkl @ basis, axis=1)
        keep = np.nonzero(relative > FORBIDDEN)[0]
        keep = keep[np.lexsort((-_code(hkl[keep]), -relative[keep].round(4), -d[keep].round(9)))]
        return hkl[keep], d[keep], relative[keep]

    @cached_property
    def arrays(self) -> PlaneArrays:
        """All single (hkl) as arrays."""
        hkl, d, relative = self._families
        turned = _orbit(hkl, self.structure.rotations)
        codes = _code(turned)
        first = np.sort(codes, axis=1)
        distinct = np.ones_like(first, bool)
        distinct[:, 1:] = first[:, 1:] != first[:, :-1]
        order = np.argsort(codes, axis=1, kind="stable")
        family, column = np.nonzero(distinct)
        members = turned[family, order[family, column]]
        return PlaneArrays(members, d[family], relative[family], family)

    @overload
    def __getitem__(self, index: int) -> Reflection: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Reflection]: ...
    def __getitem__(self, index: int | slice) -> Reflection | Sequence[Reflection]:
        if isinstance(index, int) and "_list" not in self.__dict__:
            return self._reflection(range(len(self))[index])  # those of a whole library would take 15 MB
        return self._list[index]

    @cached_property
    def _list(self) -> list[Reflection]:
        """The families, each with its members, those with the largest h, k, l first."""
        return [self._reflection(i) for i in range(len(self))]

    def _reflection(self, index: int) -> Reflection:
        hkl, d, relative = self._families
        first, last = np.searchsorted(self.arrays.family, (index, index + 1)).tolist()
        members = tuple(as_miller(row) for row in self.arrays.hkl[first:last][::-1].tolist())
        representative = as_miller(hkl[index].tolist())
        return Reflection(representative, float(d[index]), last - first, float(relative[index]), members)

    def lines(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """d in nm and relative |F| of all families, in order of falling d."""
        return self._families[1], self._families[2]

    def __len__(self) -> int:
        return len(self._families[0])

    def __iter__(self) -> Iterator[Reflection]:
        return iter(self._list)


@dataclass(frozen=True, slots=True, eq=False)
class PlaneArrays:
    """Single lattice planes, both +hkl and -hkl, sorted by family.

    Attributes
    ----------
    hkl : ndarray of int, shape (n, 3)
    d : ndarray, shape (n,), nm
    relative_f : ndarray, shape (n,)
    family : ndarray of int, shape (n,)
        Index of the family in the phase's reflections.
    """

    hkl: NDArray[np.int64]
    d: NDArray[np.float64]
    relative_f: NDArray[np.float64]
    family: NDArray[np.intp]


def _half_sphere(basis: NDArray[np.float64], d_min: float) -> NDArray[np.int64]:
    """Every hkl with d >= d_min, one of each pair hkl, -hkl, shape (n, 3)."""
    direct = np.linalg.inv(basis).T
    axes = [np.arange(-most, most + 1) for most in (np.linalg.norm(direct, axis=1) / d_min).astype(int)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    grid = grid[_code(grid) > 0]
    inside: NDArray[np.int64] = grid[np.linalg.norm(grid @ basis, axis=1) <= 1.0 / d_min]
    return inside


def _representatives(hkl: NDArray[np.int64], rotations: NDArray[np.int64]) -> NDArray[np.int64]:
    """One hkl for each set of symmetry-equivalent ones: the largest in the order h, k, l."""
    codes = np.zeros(len(hkl), np.int64)
    for rotation in rotations:
        code = _code(hkl @ rotation)
        np.maximum(codes, np.abs(code), out=codes)
    return _decode(np.unique(codes))


def _orbit(hkl: NDArray[np.int64], rotations: NDArray[np.int64]) -> NDArray[np.int64]:
    """All symmetry equivalents of each hkl, including its negatives, shape (n, 2 m, 3)."""
    turned = np.einsum("ni,mij->nmj", hkl, rotations)
    return np.concatenate([turned, -turned], axis=1)


_BASE = 512


def _code(hkl: NDArray[np.int64]) -> NDArray[np.int64]:
    """One integer for each hkl that sorts by h, then k, then l, and changes sign with hkl."""
    return (hkl[..., 0] * _BASE + hkl[..., 1]) * _BASE + hkl[..., 2]


def _decode(code: NDArray[np.int64]) -> NDArray[np.int64]:
    half = _BASE // 2
    third = (code + half) % _BASE - half
    code = (code - third) // _BASE
    second = (code + half) % _BASE - half
    return np.stack([(code - second) // _BASE, second, third], -1)


def lines_of(reflections: Sequence[Reflection]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """d in nm and relative |F| of a phase's reflections, in order of falling d."""
    if isinstance(reflections, LatticePlanes):
        return reflections.lines()
    return np.array([r.d for r in reflections]), np.array([r.relative_f for r in reflections])


class ListedPlanes:
    """The interface of `LatticePlanes`, for a cell and a list of reflections with all their members.

    Attributes
    ----------
    basis, direct : ndarray, shape (3, 3)
        Rows a*, b*, c* in 1/nm, and a, b, c in nm.
    """

    zones: frozenset[Miller] | None = None
    zone_share = 1.0

    def __init__(self, phase: Phase) -> None:
        self._phase = phase
        self.basis = reciprocal_basis(phase.cell)
        self.direct = np.asarray(np.linalg.inv(self.basis).T, np.float64)

    @cached_property
    def arrays(self) -> PlaneArrays:
        """All single (hkl) as arrays."""
        rows = [
            (member, r.d, r.relative_f, number)
            for number, r in enumerate(self._phase.reflections)
            for member in r.members
        ]
        hkl, d, relative_f, family = (list(column) for column in zip(*rows, strict=True))
        return PlaneArrays(
            np.array(hkl, np.int64), np.array(d), np.array(relative_f), np.array(family, np.intp)
        )

    @cached_property
    def rotations(self) -> NDArray[np.int64]:
        """Rotations that keep the cell and every family."""
        metric = self.direct @ self.direct.T
        candidates = _small_matrices()
        turned = candidates.transpose(0, 2, 1) @ metric @ candidates
        same = np.abs(turned - metric).max(axis=(1, 2)) < SAME_METRIC * metric.max()
        family = {tuple(hkl): f for hkl, f in zip(self.arrays.hkl.tolist(), self.arrays.family, strict=True)}
        few = self.arrays.hkl[: 400 if len(self.arrays.hkl) > 400 else None]
        known = [family[tuple(hkl)] for hkl in few.tolist()]
        kept = [
            matrix
            for matrix in candidates[same]
            if [family.get(tuple(hkl)) for hkl in (few @ matrix).tolist()] == known
        ]
        return np.array(kept, np.int64)

    @cached_property
    def key(self) -> str:
        """Hash of the content."""
        digest = hashlib.sha256(b"listed planes 1")
        for array in (self.direct.round(9), self.arrays.hkl, self.arrays.relative_f.round(6)):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def planes_of(phase: Phase) -> LatticePlanes | ListedPlanes | None:
    """The planes of a phase, with the data needed for angles; None if only d-spacings are known."""
    if isinstance(phase.reflections, LatticePlanes):
        return phase.reflections
    if phase.cell and phase.reflections and all(r.members for r in phase.reflections):
        return _planes_of(phase)
    return None


@lru_cache(maxsize=256)
def _planes_of(phase: Phase) -> ListedPlanes:
    return ListedPlanes(phase)


@cache
def _small_matrices() -> NDArray[np.int64]:
    """Proper rotations of lattices in their usual cells: entries -1, 0 and 1, determinant 1."""
    every = np.array(list(product((-1, 0, 1), repeat=9)), np.int64).reshape(-1, 3, 3)
    determinant = np.einsum("ni,ni->n", every[:, 0], np.cross(every[:, 1], every[:, 2]))
    proper: NDArray[np.int64] = every[determinant == 1]
    return proper
