"""Phase and Reflection: lattices as d-spacings, angles and relative |F|; how indices are written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import gcd
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Miller = tuple[int, int, int]


def as_miller(values: Sequence[int] | NDArray[np.integer]) -> Miller:
    """Three indices as a tuple of integers."""
    first, second, third = map(int, values)
    return first, second, third


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
        \\|F\\| divided by the phase's largest; kinematic, with electron scattering factors of neutral atoms:
        a weak prior, never a criterion. NaN if the atoms are unknown.
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
    """A crystalline phase from the reference table, a CIF file or a list of d-spacings.

    Attributes
    ----------
    id : str
        Short unique name ("LiF", "TiO2_rutile"); for a CIF file, its name without the extension.
    name : str
        Full name.
    formula : str
    elements : frozenset of str
    space_group : str
        Hermann-Mauguin symbol; empty for a list of d-spacings.
    cell : tuple of 6 float
        a, b, c in nm, alpha, beta, gamma in degrees; empty for a list of d-spacings, which can only be
        matched by d.
    reflections : sequence of Reflection
        Allowed reflections, sorted by falling d down to the table's smallest d. `LatticePlanes` if the atoms
        are known; it computes them at first use.
    tags, aliases : tuple of str
    source, flag, checked : str
        Reference; a doubt that is shown to the user (empty if none); what the entry was compared with.
    references : tuple of Phase
        Entries of a library that are this phase with different cells, itself first; empty if there is only
        one cell.
    label : str
        Name of the phase if it stands for several references:
        "Cu, Fm-3m; 5 entries, a 0.3607-0.3621 nm".
    kin : frozenset of str
        Candidates that are the same phase with another cell, as under pressure.
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
        """The cells to match: those of its references, or its own."""
        return self.references or (self,)

    @property
    def is_layered(self) -> bool:
        """Whether its crystals are plates that lie flat: phases in the table's set "2d"."""
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


Style = Literal["plain", "overbar"]
_OVERLINE = "\u0305"


def has_hexagonal_axes(phase: Phase) -> bool:
    """Whether a phase is trigonal or hexagonal in hexagonal axes, where four indices are usual."""
    if not phase.cell:
        return False
    a, b, _, alpha, beta, gamma = phase.cell
    return abs(a / b - 1) < 1e-3 and abs(alpha - 90) + abs(beta - 90) + abs(gamma - 120) < 0.1


def format_hkl(hkl: Miller, phase: Phase | None = None, style: Style = "plain") -> str:
    """Planes as text; four indices (hkil) for hexagonal axes.

    Parameters
    ----------
    hkl : tuple of int
    phase : Phase, optional
        Decides whether four indices are written; without it there are three.
    style : {"plain", "overbar"}
        "1 -1 0", or "110" with a combining overline over the second 1. Only matplotlib draws the overline:
        napari's canvas leaves it out, so that +g and -g get the same name, and tables in small type lose it.

    Examples
    --------
    >>> format_hkl((1, -1, 0))
    '1 -1 0'
    """
    return _join_indices(four_indices(hkl, phase) or hkl, style)


def four_indices(hkl: Miller, phase: Phase | None) -> tuple[int, int, int, int] | None:
    """(hkil) of planes if a phase has hexagonal axes, otherwise None."""
    if phase is None or not has_hexagonal_axes(phase):
        return None
    h, k, third = hkl
    return h, k, -(h + k), third


def format_zone(uvw: Miller, phase: Phase | None = None, style: Style = "plain") -> str:
    """Zone axis as text, in square brackets; four indices [UVTW] for hexagonal axes."""
    indices = four_index_zone(uvw) if phase is not None and has_hexagonal_axes(phase) else uvw
    return f"[{_join_indices(indices, style)}]"


def four_index_zone(uvw: Miller) -> tuple[int, int, int, int]:
    """[uvw] of hexagonal axes as [UVTW] with U + V + T = 0, in the smallest whole numbers."""
    u, v, w = uvw
    indices = (2 * u - v, 2 * v - u, -(u + v), 3 * w)
    common = gcd(*indices) or 1
    return indices[0] // common, indices[1] // common, indices[2] // common, indices[3] // common


def _join_indices(indices: Sequence[int], style: Style) -> str:
    """Join the indices; with blanks between them if one has two digits."""
    parts = [_one(index, style) for index in indices]
    return (" " if style == "plain" or max(map(abs, indices)) > 9 else "").join(parts)


def _one(index: int, style: Style) -> str:
    if index >= 0 or style == "plain":
        return str(index)
    return "".join(digit + _OVERLINE for digit in str(-index))
