"""The reduced cell of a lattice as numbers that change without jumps."""

from __future__ import annotations

from collections.abc import Sequence

import gemmi
import numpy as np
from numpy.typing import NDArray


def reduced_lengths(cell: Sequence[float], centring: str = "P") -> NDArray[np.float64]:
    """Lengths of a Delaunay-reduced cell's edges and diagonals in rising order.

    Unlike the six numbers of a reduced cell they do not jump from one kind of cell to another.

    Parameters
    ----------
    cell : sequence of 6 float
        nm and degrees.
    centring : {"P", "A", "B", "C", "I", "F", "R"}
        "R" on hexagonal axes.

    Returns
    -------
    ndarray, shape (7,), nm

    Examples
    --------
    >>> reduced_lengths((0.4, 0.4, 0.4, 90, 90, 90)).round(4).tolist()
    [0.4, 0.4, 0.4, 0.5657, 0.5657, 0.5657, 0.6928]
    >>> copper = reduced_lengths((0.3615, 0.3615, 0.3615, 90, 90, 90), "F")
    >>> same = reduced_lengths((0.25562, 0.25562, 0.3615, 90, 90, 90), "I")
    >>> bool(np.abs(copper - same).max() < 1e-4)
    True
    """
    a, b, c, *angles = cell
    selling = gemmi.GruberVector(gemmi.UnitCell(10 * a, 10 * b, 10 * c, *angles), centring).selling()
    selling.reduce()
    edges = np.array(selling.get_cell().orth.mat.tolist()).T / 10
    fourth = -edges.sum(axis=0)
    vectors = [*edges, fourth, *(fourth + edge for edge in edges)]
    return np.sort(np.linalg.norm(vectors, axis=1))
