"""Results of matching: outcomes, candidates and indexed spots, and the user's overrides."""

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
    """The five possible outcomes for a grain."""

    IDENTIFIED = "identified"
    LIKELY = "likely"
    AMBIGUOUS = "ambiguous"
    SINGLE_D = "single d only"
    UNKNOWN = "unknown"

    @property
    def names_phases(self) -> bool:
        """Whether the phases of a match with this outcome count as detected."""
        return self in (Outcome.IDENTIFIED, Outcome.LIKELY, Outcome.AMBIGUOUS)


def outcome_words(outcome: str, phases: Sequence[str], probability: float) -> str:
    """Describe an outcome, for display next to the names; for a set of one with the probability of others.

    >>> outcome_words(Outcome.AMBIGUOUS, ["Au"], 0.92)
    'ambiguous: 8 % for a phase that is not among the candidates'
    >>> outcome_words(Outcome.AMBIGUOUS, ["Ag", "Au"], 0.92)
    'ambiguous'
    """
    if outcome != Outcome.AMBIGUOUS or len(phases) != 1:
        return str(outcome)
    return f"{outcome}: {100 * (1 - probability):.0f} % for a phase that is not among the candidates"


@dataclass(frozen=True, slots=True)
class IndexedSpot:
    """A spot explained by a reflection of a candidate phase.

    Attributes
    ----------
    spot : int
        The spot's id.
    hkl : tuple of int
    d_reference : float, nm
        d of the reference cell of the phase, without the candidate's scale.
    d_residual : float
        (d measured x scale) / d_reference - 1.
    angle_residual : float, degrees
        Measured minus fitted azimuth, counter-clockwise as displayed.
    kind : {"reflection", "double diffraction"}
        "double diffraction" is at a forbidden position that is the sum of two observed reflections.
    """

    spot: int
    hkl: Miller
    d_reference: float
    d_residual: float
    angle_residual: float = 0.0
    kind: Literal["reflection", "double diffraction"] = "reflection"

    def deviation(self, d: float) -> float:
        """Relative deviation of a measured d (nm), by the scale of the image, from the reference.

        Examples
        --------
        >>> round(IndexedSpot(1, (1, 1, 1), 0.2354, 0.0).deviation(0.2401), 4)
        0.02
        """
        return d / self.d_reference - 1


@dataclass(frozen=True, slots=True)
class Candidate:
    """A phase that a grain could be.

    Attributes
    ----------
    phase : str
        The phase's id.
    posterior : float
        Probability among all candidates, "all spurious" and "unlisted".
    scale : float
        Factor on the measured d that fits best; 1.018 means that it "needs +1.8 % calibration".
    zone_axis : tuple of int, optional
        [uvw] along the beam; None for spots in a single direction.
    indexed : tuple of IndexedSpot
    explained : float
        Share of the grain's spots that are indexed; faint ones have less weight.
    scale_sigma : float
        Standard uncertainty of `scale` from the grain's own spots.
    misfit : float
        Squared residuals in units of the stated errors, per degree of freedom: about 1, or less if the errors
        are smaller than stated.
    orientation : CrystalOrientation, optional
        Orientation of the crystal, from the rotation of the placed pattern; None for spots in a single
        direction, and in results of version 0.1.
    distortion : tuple of float
        The two stretches of the image in the fit (see `geometry`).
    reference : str
        Id of the nearest of several references of the phase; empty if there is only one.
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
        """Relative elongation of the image along one direction, and contraction across it."""
        return hypot(*self.distortion)


@dataclass(frozen=True, slots=True)
class GrainMatch:
    """Match of a grain to phases.

    Attributes
    ----------
    grain : int
        The grain's id.
    outcome : Outcome
    phases : tuple of str
        Ids of the named phase, or of the ambiguous set; empty for "single d only" and "unknown".
    candidates : tuple of Candidate
        Best first; for "single d only", every (phase, hkl) within tolerance.
    reason : str
        One sentence for the user: why this outcome, and what would settle it.
    spots : tuple of int
        Ids of the matched spots. If two lattices overlap in a grain, two matches have its id, each with its
        own spots; the first has the stronger ones.
    unlisted : float
        Probability that the lattice is none of the candidates, including that all spots are spurious.
    decided_by_user : bool
        The phase was assigned by the user, not measured.
    alternatives : tuple of Candidate
        Phases outside the candidates that would be named, or be members of the set, if they were candidates.
    hints : tuple of Candidate
        For an unknown crystal: what it would be if the error of the scale, or the stretch of the image, were
        larger than the priors allow.
    ring_like : str
        Name of the component of the bent lattice to which the grain belongs; empty for a crystal.

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
        """Probability of the named phase, or of the whole ambiguous set."""
        return min(1.0, sum(c.posterior for c in self.candidates if c.phase in self.phases))

    @property
    def outcome_words(self) -> str:
        """Description of the outcome; see the function `outcome_words`."""
        return outcome_words(self.outcome, self.phases, self.probability)


def matches_of_spots(grains: Sequence[Grain], matches: Sequence[GrainMatch]) -> dict[int, GrainMatch]:
    """Map the id of every spot of a grain to its match.

    If the grain has several matches, it is the one whose best candidate explains the spot, else the first.
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
    """The reflection by which a match's best candidate explains a spot; None if no phase is named."""
    if not match.phases or not match.candidates:
        return None
    return next((indexed for indexed in match.candidates[0].indexed if indexed.spot == spot), None)


OverrideKind = Literal["override", "reject", "lock"]
#: An override follows a grain whose centre has moved by less than this share of its diameter.
MOVED = 0.5


@dataclass(frozen=True, slots=True)
class PhaseOverride:
    """The user's override of the phase of a grain.

    Attributes
    ----------
    grain : int
        The grain's id.
    phase : str
        The phase's id.
    kind : {"override", "reject", "lock"}
        "override" assigns the phase regardless of matching, "reject" excludes it. "lock" assigns the phase
        and takes the scale of the image from it (an internal standard).
    centre : tuple of float, (y, x), nm, optional
        Centre of the grain, by which it is found again after grains are renumbered.

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
    """Merge earlier overrides with later ones.

    A later override that assigns a phase replaces all earlier ones of its grain. One that rejects a phase is
    added to them, and replaces those that concern the same phase.
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
    """Update overrides to the present ids of their grains; those of grains that are gone are removed.

    An override without a centre keeps the id of its grain.
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
