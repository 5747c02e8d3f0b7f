"""What is said of grains that are places of a bent lattice: a component of its own, and a hint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..crystal.phase import Phase
from ..grains.bent_lattices import BentLattice
from .result import GrainMatch

#: Name of the component of a bent lattice; of further ones in the same image d is said as well.
RING_LIKE = "ring-like lattice"
#: Layered materials that curl: what is seen of them, their elements, and the range of the spacing of layers
#: in nm. Carbon: from graphite to soot (Franklin 1951, Biscoe and Warren 1942: .335 to .37).
LAYERED: tuple[tuple[str, frozenset[str], float, float], ...] = (
    ("graphitic carbon (002)", frozenset({"C"}), 0.335, 0.37),
    ("hexagonal BN (002)", frozenset({"B", "N"}), 0.333, 0.35),
    ("MoS2 (002)", frozenset({"Mo", "S"}), 0.61, 0.65),
    ("WS2 (002)", frozenset({"W", "S"}), 0.61, 0.65),
)
#: A spacing is within this many standard uncertainties of the scale.
SIGMAS = 2.0


def name_bent_lattices(
    lattices: Sequence[BentLattice], phases: Sequence[Phase], calibration_uncertainty: float
) -> tuple[BentLattice, ...]:
    """The lattices with the names of their components and what they may be.

    Parameters
    ----------
    lattices : sequence of BentLattice
        Of one image, the one of most places first.
    phases : sequence of Phase
        The candidates: a hint has the elements of some of them.
    calibration_uncertainty : float
        Relative standard uncertainty of the image's scale.
    """
    elements = {frozenset(phase.elements) for phase in phases}
    named: list[BentLattice] = []
    for lattice in lattices:
        name = f"{RING_LIKE}, d {lattice.d_low:.3f}-{lattice.d_high:.3f} nm" if named else RING_LIKE
        hint = _hint(lattice, elements, SIGMAS * calibration_uncertainty)
        named.append(replace(lattice, name=name, hint=hint))
    return tuple(named)


def _hint(lattice: BentLattice, elements: set[frozenset[str]], loose: float) -> str:
    """Layered materials with such a spacing: "graphitic carbon (002)?"."""
    fits = [
        what
        for what, needed, low, high in LAYERED
        if any(needed == known for known in elements)
        and lattice.d_low < high * (1 + loose)
        and lattice.d_high > low * (1 - loose)
    ]
    return f"{' or '.join(fits)}?" if fits else ""


def label_ring_like(matches: Sequence[GrainMatch], lattices: Sequence[BentLattice]) -> tuple[GrainMatch, ...]:
    """The matches of which the places of a bent lattice say to which component they belong, and why."""
    lattice_of = {grain: lattice for lattice in lattices for grain in lattice.grains}
    return tuple(
        _labelled(match, lattice_of[match.grain])
        if match.grain in lattice_of and not match.outcome.names_phases
        else match
        for match in matches
    )


def _labelled(match: GrainMatch, lattice: BentLattice) -> GrainMatch:
    reason = (
        f"a place of one bent lattice ({lattice.words()}): {lattice.evidence}; one spacing names no phase"
    )
    return replace(match, ring_like=lattice.name, reason=reason)
