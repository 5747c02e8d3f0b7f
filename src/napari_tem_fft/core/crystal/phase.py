"""Phase and Reflection: reference lattices as d-spacings, angles and relative |F|."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Miller = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Reflection:
    """A family of symmetry-equivalent lattice planes.

    Attributes
    ----------
    hkl : tuple of int
        The family's representative.
    d : float, nm
    multiplicity : int
        Number of equivalent (hkl), counting hkl and its negative.
    relative_f : float
        \\|F\\| over the phase's largest; kinematic, neutral-atom electron scattering factors: a weak
        prior, never a criterion. NaN where the atoms are unknown.
    members : tuple of tuple of int
        All equivalent (hkl).
    """

    hkl: Miller
    d: float
    multiplicity: int
    relative_f: float
    members: tuple[Miller, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Phase:
    """A crystalline phase of the reference table, of a CIF file or of a list of d-spacings.

    Attributes
    ----------
    id : str
        Short unique name ("LiF", "TiO2_rutile"); a CIF's is its file's stem.
    name : str
        Full name.
    formula : str
    elements : frozenset of str
    space_group : str
        Hermann-Mauguin symbol; empty for a list of d-spacings.
    cell : tuple of 6 float
        a, b, c in nm, alpha, beta, gamma in degrees; empty for a list of d-spacings, which can be
        matched by d only.
    reflections : sequence of Reflection
        Sorted by falling d, down to the table's smallest d; allowed ones only. `LatticePlanes` where the
        atoms are known, which computes them at first use.
    tags, aliases : tuple of str
    source, flag, checked : str
        Reference; a doubt to be shown to the user (empty if none); what it was compared with.
    references : tuple of Phase
        Entries of a library that are this phase, with cells of their own, itself first; empty where there
        is one cell alone.
    label : str
        How the phase is named where several references stand for it:
        "Cu, Fm-3m; 5 entries, a 0.3607-0.3621 nm".
    kin : frozenset of str
        Candidates that are the same phase at another cell, as under pressure.
    """

    id: str
    name: str
    formula: str
    elements: frozenset[str]
    space_group: str
    cell: tuple[float, ...]
    reflections: Sequence[Reflection]
    tags: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    source: str = ""
    flag: str = ""
    checked: str = ""
    references: tuple[Phase, ...] = ()
    label: str = ""
    kin: frozenset[str] = frozenset()

    @property
    def d_only(self) -> bool:
        """True where only d-spacings are known, so that angles cannot be checked."""
        return not self.cell

    @property
    def variants(self) -> tuple[Phase, ...]:
        """The cells that count: those of its references, or its own."""
        return self.references or (self,)

    @property
    def is_layered(self) -> bool:
        """Whether its crystals are plates that lie flat: the table's set "2d"."""
        return "2d" in self.tags

    def reciprocal_basis(self) -> NDArray[np.float64]:
        """Rows a*, b*, c* in Cartesian coordinates, shape (3, 3), 1/nm, so that g = hkl @ basis."""
        return reciprocal_basis(self.cell)


def reciprocal_basis(cell: Sequence[float]) -> NDArray[np.float64]:
    """Rows a*, b*, c* of a cell (nm, degrees) in Cartesian coordinates, shape (3, 3), 1/nm; read-only."""
    return _reciprocal_basis(tuple(cell))


@lru_cache(maxsize=1024)
def _reciprocal_basis(cell: tuple[float, ...]) -> NDArray[np.float64]:
    a, b, c, alpha, beta, gamma = cell
    ca, cb, cg = np.cos(np.radians((alpha, beta, gamma)))
    sg = np.sin(np.radians(gamma))
    cy = (ca - cb * cg) / sg
    direct = np.array(
        [[a, 0, 0], [b * cg, b * sg, 0], [c * cb, c * cy, c * np.sqrt(max(1 - cb**2 - cy**2, 0))]]
    )
    basis: NDArray[np.float64] = np.linalg.inv(direct).T
    basis.flags.writeable = False
    return basis
