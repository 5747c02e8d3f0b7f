"""What a match says: outcome, candidates with posterior and scale, and the indexed spots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from math import hypot
from typing import Literal

from ..crystal.orientation import CrystalOrientation
from ..crystal.phase import Miller


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
