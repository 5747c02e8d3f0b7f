"""Plane lattices: reduced cells, continuous numbers that distinguish them, sub- and superlattices."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

#: Largest index of the sublattices and superlattices that are tried.
MOST_INDEX = 4


def reduce_bases(bases: NDArray[np.float64]) -> NDArray[np.float64]:
    """The shortest bases of lattices, a no longer than b, with an angle between 60 and 90 degrees.

    Parameters
    ----------
    bases : ndarray, shape (n, 2, 2) or (n, 2, 3)
        Rows are the two vectors.

    Returns
    -------
    ndarray, of the same shape

    Examples
    --------
    >>> reduce_bases(np.array([[[1.0, 0.0], [3.0, 2.0]]])).tolist()
    [[[1.0, 0.0], [0.0, 2.0]]]
    """
    a, b = bases[:, 0].copy(), bases[:, 1].copy()
    for _ in range(64):
        swap = (b * b).sum(axis=1) < (a * a).sum(axis=1)
        a[swap], b[swap] = b[swap], a[swap].copy()
        turns = np.rint((a * b).sum(axis=1) / (a * a).sum(axis=1))
        b -= turns[:, None] * a
        if not turns.any() and not swap.any():
            break
    b *= np.where((a * b).sum(axis=1) < 0, -1.0, 1.0)[:, None]
    return np.stack([a, b], axis=1)


def shape_of(bases: NDArray[np.float64]) -> NDArray[np.float64]:
    """ln of the three shortest lengths of each lattice, the same for all its bases and its mirror image.

    They change without a jump where a reduced basis does: that is what a search needs.

    Parameters
    ----------
    bases : ndarray, shape (n, 2, 2) or (n, 2, 3), 1/nm

    Returns
    -------
    ndarray, shape (n, 3)

    Examples
    --------
    >>> np.exp(shape_of(np.array([[[3.0, 0.0], [0.0, 4.0]]]))).round(6).tolist()
    [[3.0, 4.0, 5.0]]
    """
    reduced = reduce_bases(bases)
    a, b = reduced[:, 0], reduced[:, 1]
    lengths = np.stack([np.linalg.norm(v, axis=1) for v in (a, b, b - a)], axis=1)
    shape: NDArray[np.float64] = np.log(lengths)
    return shape


@cache
def sublattices(index: int) -> NDArray[np.int64]:
    """Matrices that turn a basis into bases of all its sublattices of an index, shape (n, 2, 2).

    Examples
    --------
    >>> len(sublattices(1)), len(sublattices(2)), len(sublattices(3)), len(sublattices(4))
    (1, 3, 4, 7)
    """
    matrices = [
        ((a, shift), (0, index // a))
        for a in range(1, index + 1)
        if index % a == 0
        for shift in range(index // a)
    ]
    found = np.array(matrices, np.int64)
    found.flags.writeable = False
    return found
