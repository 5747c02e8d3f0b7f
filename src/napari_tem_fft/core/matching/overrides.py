"""Decision: what a person says of a grain's phase, and how it follows the grain when things are run again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ..grains.grain import Grain

OverrideKind = Literal["override", "reject", "lock"]
#: A decision follows a grain whose centre has moved by less than this share of its diameter.
MOVED = 0.5


@dataclass(frozen=True, slots=True)
class PhaseOverride:
    """A person's override of a grain's phase.

    Attributes
    ----------
    grain : int
        The grain's id.
    phase : str
        The phase's id.
    kind : {"override", "reject", "lock"}
        "override": it is this phase, whatever matching says. "reject": it is not this phase. "lock": it
        is this phase, and the image's scale follows from it (an internal standard).
    centre : tuple of float, (y, x), nm, optional
        Where the grain was, by which it is found again when grains have new numbers.

    Examples
    --------
    >>> old = PhaseOverride(1, "Cu", "override")
    >>> [one.phase for one in merge_overrides((old,), (PhaseOverride(1, "Li2O", "override"),))]
    ['Li2O']
    """

    grain: int
    phase: str
    kind: OverrideKind
    centre: tuple[float, float] | None = None


def merge_overrides(
    earlier: Sequence[PhaseOverride], later: Sequence[PhaseOverride]
) -> tuple[PhaseOverride, ...]:
    """Earlier decisions, but not on grains on which there is a later one of another kind than rejecting.

    A decision to reject is added to earlier ones, unless they say that the grain is that very phase.
    """
    kept = [decision for decision in earlier if not any(_replaces(one, decision) for one in later)]
    return (*kept, *later)


def _replaces(later: PhaseOverride, earlier: PhaseOverride) -> bool:
    if later.grain != earlier.grain:
        return False
    if later.kind == "reject":
        return later.phase == earlier.phase
    return True


def follow_grains(decisions: Sequence[PhaseOverride], grains: Sequence[Grain]) -> tuple[PhaseOverride, ...]:
    """The decisions with the ids that their grains have now; those whose grain is gone are left out.

    A decision without a centre keeps its grain's id.
    """
    followed = []
    for decision in decisions:
        grain = _grain_at(decision, grains)
        if grain is not None:
            followed.append(replace(decision, grain=grain.id, centre=grain.centre))
    return tuple(followed)


def _grain_at(decision: PhaseOverride, grains: Sequence[Grain]) -> Grain | None:
    if decision.centre is None:
        return next((grain for grain in grains if grain.id == decision.grain), None)
    apart = [float(np.hypot(*np.subtract(grain.centre, decision.centre))) for grain in grains]
    near = [i for i, grain in enumerate(grains) if apart[i] <= MOVED * max(grain.diameter, 1.0)]
    return grains[min(near, key=lambda i: apart[i])] if near else None
