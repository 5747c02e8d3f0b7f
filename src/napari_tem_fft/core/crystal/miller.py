"""How indices are written: "1 -1 0", or with overbars in pictures; in four indices for hexagonal axes."""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd
from typing import Literal

from .phase import Miller, Phase

Style = Literal["plain", "overbar"]
_OVERLINE = "\u0305"


def has_hexagonal_axes(phase: Phase) -> bool:
    """Whether a phase is trigonal or hexagonal in hexagonal axes, so that four indices are usual."""
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
        Decides whether four indices are written; three without it.
    style : {"plain", "overbar"}
        "1 -1 0", or "110" with a combining overline over the second 1. Only matplotlib draws that: napari's
        canvas leaves it out, and then +g and -g have one name; tables of small letters lose it.

    Examples
    --------
    >>> format_hkl((1, -1, 0))
    '1 -1 0'
    """
    return _join_indices(four_indices(hkl, phase) or hkl, style)


def four_indices(hkl: Miller, phase: Phase | None) -> tuple[int, int, int, int] | None:
    """(hkil) of planes where a phase has hexagonal axes; None elsewhere."""
    if phase is None or not has_hexagonal_axes(phase):
        return None
    h, k, third = hkl
    return h, k, -(h + k), third


def format_zone(uvw: Miller, phase: Phase | None = None, style: Style = "plain") -> str:
    """Zone axis as text, in square brackets; four indices [UVTW] for hexagonal axes."""
    indices = four_index_zone(uvw) if phase is not None and has_hexagonal_axes(phase) else uvw
    return f"[{_join_indices(indices, style)}]"


def four_index_zone(uvw: Miller) -> tuple[int, int, int, int]:
    """[uvw] of hexagonal axes as [UVTW] with U + V + T = 0, in smallest whole numbers."""
    u, v, w = uvw
    indices = (2 * u - v, 2 * v - u, -(u + v), 3 * w)
    common = gcd(*indices) or 1
    return indices[0] // common, indices[1] // common, indices[2] // common, indices[3] // common


def _join_indices(indices: Sequence[int], style: Style) -> str:
    """Indices in a row; with blanks where one has two digits."""
    parts = [_one(index, style) for index in indices]
    return (" " if style == "plain" or max(map(abs, indices)) > 9 else "").join(parts)


def _one(index: int, style: Style) -> str:
    if index >= 0 or style == "plain":
        return str(index)
    return "".join(digit + _OVERLINE for digit in str(-index))
