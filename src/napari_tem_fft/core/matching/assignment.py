"""Names of all that an image shows: of its grains by d and angles, of what is left over by its rings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ..crystal.library import PhaseLibrary
from ..crystal.phase import Phase
from ..grains.bent_lattices import BentLattice
from ..grains.grain import Grain, GrainSet
from ..profile.radial_profile import ProfilePeak, RadialProfile
from ..spots.kinds import lattice_kinds, plane_lattice
from ..spots.spot import Spot, SpotKind, friedel_representative
from . import (
    EvidenceCache,
    MatchParams,
    Outcome,
    PhaseOverride,
    RingMatch,
    ScalePrior,
    match_rings,
)
from .geometry import GRAIN_SCALE, ImageGeometry, Stretches
from .library_candidates import LibrarySearch, library_candidates, with_labels
from .match import match_image
from .pair_index import PhaseIndex
from .result import GrainMatch, indexed_as, matches_of_spots

#: The tag of phases of the user's library.
LIBRARY_TAG = "library"
#: An image shows nothing where its power is less than this share of the noise that neighbouring rings have.
CUT_AWAY = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class CandidateSet:
    """What may be named.

    Attributes
    ----------
    phases : tuple of Phase
        The candidates.
    others : tuple of Phase
        Outside the candidates; reported where they would match.
    decisions : tuple of Decision
        A person's overrides of grains' phases.
    stated : bool
        A person has said what the sample can hold, by phases or elements: no phase outside the candidates is
        their rival then, unless `MatchParams.outside` is given.
    index : PhaseIndex, optional
        Of the candidates and the others, where it is prepared; else it is built when it is needed.
    library : PhaseLibrary, optional
        Its entries that fit a grain's lattice join the candidates; or what opens it, when it is needed.
    searched : LibrarySearch, optional
        What was searched of a library already, or what it holds.
    """

    phases: tuple[Phase, ...]
    others: tuple[Phase, ...] = ()
    decisions: tuple[PhaseOverride, ...] = ()
    stated: bool = False
    index: PhaseIndex | None = None
    library: PhaseLibrary | Callable[[], PhaseLibrary] | None = None
    searched: LibrarySearch | None = None


@dataclass(frozen=True, slots=True)
class PhaseAssignments:
    """What `assign_phases` found.

    Attributes
    ----------
    matches : tuple of GrainMatch
        One for each grain, more where lattices overlap.
    rings : tuple of RingMatch
    choice : CandidateSet
        What could be named, those of a library included.
    geometry : ImageGeometry
        The scale and the stretch that the grains share.
    """

    matches: tuple[GrainMatch, ...]
    rings: tuple[RingMatch, ...]
    choice: CandidateSet
    geometry: ImageGeometry = field(default_factory=ImageGeometry)


def assign_phases(
    found: GrainSet,
    profiles: Sequence[RadialProfile],
    choice: CandidateSet,
    calibration_uncertainty: float,
    params: MatchParams,
    cache: EvidenceCache | None = None,
    stretches: Stretches = (),
    shear: float = 0.0,
) -> PhaseAssignments:
    """Names of the grains and of the rings of one image.

    Parameters
    ----------
    found : GrainSet
    profiles : sequence of RadialProfile
        "whole image" first; the one whose peaks are matched, and that tells how far the image reaches.
    choice : Choice
        Its decisions are those on the grains as they are now.
    calibration_uncertainty : float
        Relative standard uncertainty of the image's scale.
    params : MatchParams
    cache : EvidenceCache, optional
        What is known of these grains already.
    stretches : Stretches, optional
        What is believed of the image's stretches (`expected_stretches`).
    shear : float
        What is known of that along the diagonal (`Calibration.shear`).
    """
    cache = cache or EvidenceCache()
    if choice.index is not None:
        cache.take(choice.index)
    if choice.library is not None:
        library = choice.library if isinstance(choice.library, PhaseLibrary) else choice.library()
        choice = _with_library(choice, library, found, calibration_uncertainty, params, cache)
    band = recorded_band(profiles[0])
    asked, choice = choice, with_overrides(choice)
    pool = choice.searched.pool if choice.searched is not None else 0
    if choice.stated and params.outside is None:
        params = replace(params, outside=0.0)
    image = match_image(
        found.grains,
        without_shear(found.spots, shear),
        choice.phases,
        calibration_uncertainty,
        params,
        choice.decisions,
        band,
        choice.others,
        cache,
        stretches,
        choice.stated,
        pool,
    )
    matches = with_labels(image.matches, choice.phases)
    peaks = ring_peaks(profiles, found.spots, matches)
    of_table = [phase for phase in choice.phases if LIBRARY_TAG not in phase.tags]
    rings = match_rings(peaks, of_table, known_scale(matches, calibration_uncertainty), params, band)
    named = replace(asked, library=None, index=None)
    return PhaseAssignments(matches, rings, named, image.geometry.sheared(shear))


def without_shear(spots: Sequence[Spot], shear: float) -> tuple[Spot, ...]:
    """The spots where they would be in an image without shear."""
    if not shear:
        return tuple(spots)
    return tuple(
        replace(spot, g=friedel_representative((y - shear * x, x - shear * y)))
        for spot in spots
        for y, x in [spot.g]
    )


def _with_library(
    choice: CandidateSet,
    library: PhaseLibrary,
    found: GrainSet,
    uncertainty: float,
    params: MatchParams,
    cache: EvidenceCache,
) -> CandidateSet:
    """The choice with the phases of the library that the grains can be."""
    index = cache.index_of((*choice.phases, *choice.others))
    joined = library_candidates(
        library, choice.phases, choice.others, index, found.grains, found.spots, params, uncertainty
    )
    cache.take(joined.index)
    by_elements = joined.search.by_elements and choice.stated  # else solid gases alone are left out
    searched = replace(joined.search, by_elements=by_elements)
    return replace(choice, phases=joined.phases, index=joined.index, searched=searched)


def with_overrides(choice: CandidateSet) -> CandidateSet:
    """The choice with the phases that a person has set among the candidates."""
    said = {decision.phase for decision in choice.decisions if decision.kind != "reject"}
    joining = tuple(phase for phase in choice.others if phase.id in said)
    left = tuple(phase for phase in choice.others if phase.id not in said)
    return replace(choice, phases=(*choice.phases, *joining), others=left)


def recorded_band(whole: RadialProfile) -> tuple[float, float]:
    """Smallest and largest |g| (1/nm) that an image shows: the search's limits, or the edges of a filter.

    Parameters
    ----------
    whole : RadialProfile
        Of the whole image, in units of the noise.
    """
    shown = np.flatnonzero(whole.intensity >= CUT_AWAY)
    if not len(shown):
        return float(whole.g[0]), float(whole.g[-1])
    return float(whole.g[shown[0]]), float(whole.g[shown[-1]])


def ring_peaks(
    profiles: Sequence[RadialProfile], spots: Sequence[Spot], matches: Sequence[GrainMatch]
) -> tuple[ProfilePeak, ...]:
    """Peaks that angles say nothing of: those at which no grain with spots in two directions has one.

    A crystal's spots make peaks of the profile too; distances alone must not overrule what distances and
    angles have said of them.
    """
    judged = {spot for match in matches if match.outcome is not Outcome.SINGLE_D for spot in match.spots}
    lengths = np.array([spot.length for spot in spots if spot.id in judged])
    of_curve = {profile.curve: profile.peaks for profile in profiles}
    peaks = of_curve.get("whole image") or of_curve.get("local maximum") or ()
    return tuple(
        peak for peak in peaks if not (np.abs(lengths - peak.g) < 2 * peak.width + 3 * peak.sigma).any()
    )


def known_scale(matches: Sequence[GrainMatch], calibration_uncertainty: float) -> ScalePrior:
    """The image's scale by its calibration, or by the phases that were identified."""
    sure = [match.candidates[0] for match in matches if match.outcome is Outcome.IDENTIFIED]
    sure = [candidate for candidate in sure if candidate.scale_sigma > 0]
    if not sure:
        return ScalePrior(0.0, max(calibration_uncertainty, 1e-4))
    weight = np.array([candidate.scale_sigma**-2.0 for candidate in sure])
    middle = float(np.log([candidate.scale for candidate in sure]) @ weight / weight.sum())
    return ScalePrior(middle, float(np.hypot(weight.sum() ** -0.5, GRAIN_SCALE)))


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
RING_LIKE_SIGMAS = 2.0


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
        hint = _hint(lattice, elements, RING_LIKE_SIGMAS * calibration_uncertainty)
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


def label_kinds(
    spots: Sequence[Spot], start: GrainSet, grains: Sequence[Grain], matches: Sequence[GrainMatch]
) -> tuple[Spot, ...]:
    """The spots with the kinds that their grain's lattice and, where it has a name, its phase say.

    Satellites stay what they are, and no spot becomes one; nothing is switched on or off.

    Parameters
    ----------
    spots : sequence of Spot
    start : GrainSet
        As the run found it: the lattices are those of all its spots, whatever a person switched off since.
    grains, matches
        As they are now.
    """
    kinds = _kinds_of_lattices(start)
    for number, match in matches_of_spots(grains, matches).items():
        if (indexed := indexed_as(number, match)) is not None:
            kinds[number] = "forbidden" if indexed.kind == "double diffraction" else "reflection"
    return tuple(
        spot if spot.kind == "satellite" else replace(spot, kind=kinds.get(spot.id, spot.kind))
        for spot in spots
    )


def _kinds_of_lattices(start: GrainSet) -> dict[int, SpotKind]:
    """What the lattice of each grain says of its spots but the satellites, by the spots' ids."""
    by_id = {spot.id: spot for spot in start.spots if spot.kind != "satellite"}
    groups = [[by_id[n] for n in grain.spots if n in by_id] for grain in start.grains]
    return {
        spot.id: kind
        for own in groups
        for spot, kind in zip(own, lattice_kinds(own, plane_lattice(own)) if own else (), strict=True)
        if kind != "satellite"
    }
