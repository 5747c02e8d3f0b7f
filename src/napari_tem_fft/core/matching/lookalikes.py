"""Look-alikes: phases that positions alone cannot tell apart once the scale may shift, and what can."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ..crystal.phase import Phase
from ..crystal.structure import lines_of
from .result import Candidate

#: Lines of a phase that are compared: those above this d (nm) and this relative |F|.
COMPARED_D, COMPARED_F = 0.12, 0.15
#: Lines agree within this after a common scale.
SAME_D = 0.0035
#: Two scales that differ by less than this are told apart by no standard.
HARDLY = 0.004


@dataclass(frozen=True, slots=True)
class LookAlike:
    """A phase that has the same d-spacings as another one after a common scale.

    Attributes
    ----------
    phase : str
    scale : float
        Factor on the other phase's d.
    """

    phase: str
    scale: float


def look_alikes(phase: Phase, others: Sequence[Phase], largest_scale: float = 0.05) -> tuple[LookAlike, ...]:
    """Phases whose strong lines all have a partner in `phase` and the other way round, nearest first.

    Parameters
    ----------
    phase : Phase
    others : sequence of Phase
    largest_scale : float
        How far the scales may differ (0.05: by 5 %).
    """
    mine = _lines(phase)
    found = []
    for other in others:
        if other.id != phase.id and (shift := _common_shift(mine, _lines(other), largest_scale)) is not None:
            found.append(LookAlike(other.id, float(np.exp(shift))))
    return tuple(sorted(found, key=lambda alike: abs(alike.scale - 1)))


def _lines(phase: Phase) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """ln d of the strong lines and of all lines."""
    d, relative_f = lines_of(phase.reflections)
    strong = (d >= COMPARED_D) & ~(relative_f < COMPARED_F)
    return np.log(d[strong]), np.log(d[d >= 0.9 * COMPARED_D])


def _common_shift(
    mine: tuple[NDArray[np.float64], NDArray[np.float64]],
    other: tuple[NDArray[np.float64], NDArray[np.float64]],
    largest: float,
) -> float | None:
    """The shift of ln d that brings the strong lines of each onto lines of the other, if there is one."""
    if not len(mine[0]) or not len(other[0]):
        return None
    shifts = other[1] - mine[0][0]
    for shift in sorted(shifts[np.abs(shifts) <= np.log1p(largest)], key=abs):
        if _is_covered(mine[0] + shift, other[1]) and _is_covered(other[0] - shift, mine[1]):
            return float(shift)
    return None


def _is_covered(lines: NDArray[np.float64], by: NDArray[np.float64]) -> bool:
    return bool((np.abs(lines[:, None] - by[None]).min(axis=1) < SAME_D).all())


def what_would_settle(members: Sequence[Candidate], phases: Mapping[str, Phase]) -> str:
    """What tells the members of an ambiguous set apart: elements, a better scale, more reflections."""
    means = []
    elements = [phases[member.phase].elements for member in members if member.phase in phases]
    if elements and len(set(elements)) == len(elements):
        telling = frozenset.union(*elements) - frozenset.intersection(*elements)
        means.append(f"an element analysis ({', '.join(sorted(telling))})")
    scales = sorted(member.scale for member in members)
    gaps = [b - a for a, b in pairwise(scales)]
    if gaps and min(gaps) > HARDLY:
        means.append(f"a calibration better than {100 * min(gaps) / 3:.1g} % (an internal standard)")
    if not means or len({_pattern(member) for member in members}) == len(members):
        means.append("another zone axis or more reflections")
    return " or ".join(means)


def _pattern(member: Candidate) -> tuple[tuple[int, ...], ...]:
    """Which planes are indexed, whatever their order and signs."""
    return tuple(sorted(tuple(sorted(map(abs, spot.hkl))) for spot in member.indexed))
