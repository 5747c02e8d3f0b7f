"""Lattice planes of a phase whose atoms are not at hand: a result that was saved holds the planes alone."""

from __future__ import annotations

import hashlib
from functools import cache, cached_property, lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from .phase import Miller, Phase, reciprocal_basis
from .structure import LatticePlanes, PlaneArrays

#: Two cells agree within this (relative).
SAME_METRIC = 1e-3


class ListedPlanes:
    """The same as `LatticePlanes` gives, from a cell and a list of reflections with all their members.

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
        """Every single (hkl) as arrays."""
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
    """The planes of a phase with what angles need; None where only d-spacings are known."""
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
    """All proper rotations of lattices in their usual cells: entries -1, 0, 1 and determinant 1."""
    every = np.array(list(product((-1, 0, 1), repeat=9)), np.int64).reshape(-1, 3, 3)
    determinant = np.einsum("ni,ni->n", every[:, 0], np.cross(every[:, 1], every[:, 2]))
    proper: NDArray[np.int64] = every[determinant == 1]
    return proper
