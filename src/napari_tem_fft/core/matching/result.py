"""What a match says, which match speaks for a spot, and what a person says instead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from math import hypot
from typing import Literal

import numpy as np

from ..crystal.orientation import CrystalOrientation
from ..crystal.phase import Miller
from ..grains.grain import Grain


class Outcome(StrEnum):
    """The five things that can honestly be said of a grain."""

    IDENTIFIED = "identified"
    LIKELY = "likely"
    AMBIGUOUS = "ambiguous"
    SINGLE_D = "single d only"
    UNKNOWN = "unknown"

    @property
    def names_phases(self) -> bool:
        """Whether the phases of the match count as detected."""
        return self in (Outcome.IDENTIFIED, Outcome.LIKELY, Outcome.AMBIGUOUS)


def outcome_words(outcome: str, phases: Sequence[str], probability: float) -> str:
    """An outcome for the user: one name that is ambiguous may be something else, and how probably.

    >>> outcome_words(Outcome.AMBIGUOUS, ["Au"], 0.92)
    'ambiguous, or a phase that is not among the candidates (8 %)'
    >>> outcome_words(Outcome.AMBIGUOUS, ["Ag", "Au"], 0.92)
    'ambiguous'
    """
    if outcome != Outcome.AMBIGUOUS or len(phases) != 1:
        return str(outcome)
    return f"{outcome}, or a phase that is not among the candidates ({100 * (1 - probability):.0f} %)"


@dataclass(frozen=True, slots=True)
class IndexedSpot:
    """A spot explained by a reflection of a candidate phase.

    Attributes
    ----------
    spot : int
        The spot's id.
    hkl : tuple of int
    d_reference : float, nm
        Of the phase's table cell, before the candidate's scale.
    d_residual : float
        (d measured x scale) / d_reference - 1.
    angle_residual : float, degrees
        Measured minus fitted azimuth, counter-clockwise as displayed.
    kind : {"reflection", "double diffraction"}
        The latter at a forbidden position that is the sum of two observed reflections.
    """

    spot: int
    hkl: Miller
    d_reference: float
    d_residual: float
    angle_residual: float = 0.0
    kind: Literal["reflection", "double diffraction"] = "reflection"

    def deviation(self, d: float) -> float:
        """By what share a measured d (nm), as the image's scale has it, differs from the reference.

        Examples
        --------
        >>> round(IndexedSpot(1, (1, 1, 1), 0.2354, 0.0).deviation(0.2401), 4)
        0.02
        """
        return d / self.d_reference - 1


@dataclass(frozen=True, slots=True)
class Candidate:
    """One phase that a grain could be.

    Attributes
    ----------
    phase : str
        The phase's id.
    posterior : float
        Probability among all candidates, "all spurious" and "a lattice not in the table".
    scale : float
        Factor on the measured d that fits best; 1.018 reads "needs +1.8 % calibration".
    zone_axis : tuple of int, optional
        [uvw] along the beam; None where fewer than two directions were seen.
    indexed : tuple of IndexedSpot
    explained : float
        Share of the grain's spots that are indexed, faint ones counting less.
    scale_sigma : float
        Standard uncertainty of `scale` from the grain's own spots.
    misfit : float
        Squared residuals over the stated errors, for each degree of freedom: about 1, or less where the
        errors are smaller than stated.
    orientation : CrystalOrientation, optional
        How the crystal lies in the image, by the rotation of the placed pattern; None where fewer than two
        directions were seen, and in results of version 0.1.
    distortion : tuple of float
        The two stretches of the image that it was fitted with (`geometry`).
    reference : str
        The nearest of several references of a phase, by its id; empty where there is one alone.
    """

    phase: str
    posterior: float
    scale: float
    zone_axis: Miller | None
    indexed: tuple[IndexedSpot, ...]
    explained: float
    scale_sigma: float = 0.0
    misfit: float = 0.0
    orientation: CrystalOrientation | None = None
    distortion: tuple[float, float] = (0.0, 0.0)
    reference: str = ""

    @property
    def stretch(self) -> float:
        """How much longer the image would be along one direction, and shorter across it."""
        return hypot(*self.distortion)


@dataclass(frozen=True, slots=True)
class GrainMatch:
    """What is known of one grain's phase.

    Attributes
    ----------
    grain : int
        The grain's id.
    outcome : Outcome
    phases : tuple of str
        Ids of the named phase, or of the ambiguous set; empty for single d only and unknown.
    candidates : tuple of Candidate
        Best first; for single d only every (phase, hkl) within tolerance.
    reason : str
        One sentence for the user: why this outcome, and what would settle it.
    spots : tuple of int
        Ids of the spots that were matched. Where two lattices overlap in one grain, there are two
        matches with the grain's id, each with its own spots; the first has the stronger ones.
    unlisted : float
        Probability that the lattice is none of the candidates (spurious spots included).
    decided_by_user : bool
        The phase is a person's decision, not a measurement.
    alternatives : tuple of Candidate
        Phases that were not allowed but would be named, or be members of the set, if all were.
    hints : tuple of Candidate
        Of an unknown crystal: what it would be if the scale were further off, or the image more stretched,
        than is believed.
    ring_like : str
        Name of the component of the bent lattice of which the grain is a place; empty for a crystal.

    Examples
    --------
    >>> match = GrainMatch(3, Outcome.AMBIGUOUS, ("Ag", "Au"), reason="their lattices differ by 0.2 %")
    >>> match.outcome.names_phases
    True
    """

    grain: int
    outcome: Outcome
    phases: tuple[str, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    reason: str = ""
    spots: tuple[int, ...] = ()
    unlisted: float = 0.0
    decided_by_user: bool = False
    alternatives: tuple[Candidate, ...] = field(default=(), metadata={"key": "excluded"})
    hints: tuple[Candidate, ...] = ()
    ring_like: str = ""

    @property
    def probability(self) -> float:
        """Of the named phase, or of the whole ambiguous set."""
        return min(1.0, sum(c.posterior for c in self.candidates if c.phase in self.phases))

    @property
    def outcome_words(self) -> str:
        """The outcome for the user; see `outcome_words`."""
        return outcome_words(self.outcome, self.phases, self.probability)


def matches_of_spots(grains: Sequence[Grain], matches: Sequence[GrainMatch]) -> dict[int, GrainMatch]:
    """The match of every spot that belongs to a grain, by the spot's id.

    Of several matches of its grain it is the one whose best candidate explains the spot, else the first.
    """
    of_grain: dict[int, list[GrainMatch]] = {}
    for match in matches:
        of_grain.setdefault(match.grain, []).append(match)
    return {
        spot: next((m for m in of_grain[grain.id] if indexed_as(spot, m)), of_grain[grain.id][0])
        for grain in grains
        if grain.id in of_grain
        for spot in grain.spots
    }


def indexed_as(spot: int, match: GrainMatch) -> IndexedSpot | None:
    """The reflection by which a match's best candidate explains a spot; None if it names no phase."""
    if not match.phases or not match.candidates:
        return None
    return next((indexed for indexed in match.candidates[0].indexed if indexed.spot == spot), None)


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
