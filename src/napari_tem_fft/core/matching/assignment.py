"""Assign phases to the grains of an image, by d and angles, and to the remaining peaks, as rings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ..crystal.phase import Phase
from ..crystal.phase_library import PhaseLibrary
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
from .geometry import GRAIN_SCALE, Distortions, ImageGeometry
from .library_candidates import LibrarySearch, library_candidates, with_labels
from .match import match_image
from .pair_index import PhaseIndex
from .result import GrainMatch, indexed_as, matches_of_spots

#: The tag of phases of the user's library.
LIBRARY_TAG = "library"
#: Rings with less than this share of the noise of their neighbours were cut away by a filter.
CUT_AWAY = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class CandidateSet:
    """The phases that may be named.

    Attributes
    ----------
    phases : tuple of Phase
        The candidates.
    non_candidates : tuple of Phase
        Phases outside the candidates; they are reported where they would match.
    decisions : tuple of PhaseOverride
        The user's overrides of the phases of grains.
    stated : bool
        The user has restricted the sample to certain phases or elements. Phases outside the candidates then
        do not compete with them, unless `MatchParams.outside` is given.
    index : PhaseIndex, optional
        Index of the `known_phases`; built when needed by default.
    library : PhaseLibrary, optional
        A library, or a function that opens it. Entries that fit the lattice of a grain join the candidates.
    searched : LibrarySearch, optional
        Description of an earlier search of a library, or of a library that is not searched.
    """

    phases: tuple[Phase, ...]
    non_candidates: tuple[Phase, ...] = ()
    decisions: tuple[PhaseOverride, ...] = ()
    stated: bool = False
    index: PhaseIndex | None = None
    library: PhaseLibrary | Callable[[], PhaseLibrary] | None = None
    searched: LibrarySearch | None = None

    @property
    def known_phases(self) -> tuple[Phase, ...]:
        """The candidates, and the phases outside of them."""
        return self.phases + self.non_candidates


@dataclass(frozen=True, slots=True)
class PhaseAssignments:
    """Result of `assign_phases`.

    Attributes
    ----------
    matches : tuple of GrainMatch
        One per grain, or several where lattices overlap.
    rings : tuple of RingMatch
    choice : CandidateSet
        The candidates, including those from a library.
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
    distortions: Distortions = (),
    shear: float = 0.0,
) -> PhaseAssignments:
    """Assign phases to the grains and rings of one image.

    Parameters
    ----------
    found : GrainSet
    profiles : sequence of RadialProfile
        The first is "whole image": its peaks are matched, and it limits the band of the image.
    choice : CandidateSet
        Its decisions must refer to the present ids of the grains.
    calibration_uncertainty : float
        Relative standard uncertainty of the image's scale.
    params : MatchParams
    cache : EvidenceCache, optional
        Evidence that was computed for these grains before.
    distortions : Distortions, optional
        Prior of the image's stretch (`expected_distortions`).
    shear : float
        Known stretch along the diagonal (`Calibration.shear`).
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
        choice.non_candidates,
        cache,
        distortions,
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
    """Move the spots to where they would be in an image without shear."""
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
    """Add to the candidates the phases of the library that fit the grains."""
    index = cache.index_of(choice.known_phases)
    joined = library_candidates(
        library, choice.phases, choice.non_candidates, index, found.grains, found.spots, params, uncertainty
    )
    cache.take(joined.index)
    by_elements = joined.search.by_elements and choice.stated  # otherwise only solid gases are left out
    searched = replace(joined.search, by_elements=by_elements)
    return replace(choice, phases=joined.phases, index=joined.index, searched=searched)


def with_overrides(choice: CandidateSet) -> CandidateSet:
    """Make the phases that the user has assigned candidates."""
    said = {decision.phase for decision in choice.decisions if decision.kind != "reject"}
    joining = tuple(phase for phase in choice.non_candidates if phase.id in said)
    left = tuple(phase for phase in choice.non_candidates if phase.id not in said)
    return replace(choice, phases=(*choice.phases, *joining), non_candidates=left)


def recorded_band(whole: RadialProfile) -> tuple[float, float]:
    """The band of |g| (1/nm) that an image contains: the limits of the search, or the edges of a filter.

    Parameters
    ----------
    whole : RadialProfile
        Profile of the whole image, in units of the noise.
    """
    shown = np.flatnonzero(whole.intensity >= CUT_AWAY)
    if not len(shown):
        return float(whole.g[0]), float(whole.g[-1])
    return float(whole.g[shown[0]]), float(whole.g[shown[-1]])


def ring_peaks(
    profiles: Sequence[RadialProfile], spots: Sequence[Spot], matches: Sequence[GrainMatch]
) -> tuple[ProfilePeak, ...]:
    """Select the peaks at which no grain with spots in two directions has a spot.

    The spots of a crystal are peaks of the profile, too. They are matched by distances and angles, which
    must not be overruled by distances alone.
    """
    judged = {spot for match in matches if match.outcome is not Outcome.SINGLE_D for spot in match.spots}
    lengths = np.array([spot.length for spot in spots if spot.id in judged])
    of_curve = {profile.curve: profile.peaks for profile in profiles}
    peaks = of_curve.get("whole image") or of_curve.get("local maximum") or ()
    return tuple(
        peak for peak in peaks if not (np.abs(lengths - peak.g) < 2 * peak.width + 3 * peak.sigma).any()
    )


def known_scale(matches: Sequence[GrainMatch], calibration_uncertainty: float) -> ScalePrior:
    """The scale of the image from its calibration, or from the identified phases."""
    sure = [match.candidates[0] for match in matches if match.outcome is Outcome.IDENTIFIED]
    sure = [candidate for candidate in sure if candidate.scale_sigma > 0]
    if not sure:
        return ScalePrior(0.0, max(calibration_uncertainty, 1e-4))
    weight = np.array([candidate.scale_sigma**-2.0 for candidate in sure])
    middle = float(np.log([candidate.scale for candidate in sure]) @ weight / weight.sum())
    return ScalePrior(middle, float(np.hypot(weight.sum() ** -0.5, GRAIN_SCALE)))


#: Name of the component of a bent lattice; the names of further ones in the image include d.
RING_LIKE = "ring-like lattice"
#: Layered materials that curl: name of the reflection, elements, and range of the layer spacing in nm.
#: Carbon: from graphite to soot (Franklin 1951, Biscoe and Warren 1942: .335 to .37).
LAYERED: tuple[tuple[str, frozenset[str], float, float], ...] = (
    ("graphitic carbon (002)", frozenset({"C"}), 0.335, 0.37),
    ("hexagonal BN (002)", frozenset({"B", "N"}), 0.333, 0.35),
    ("MoS2 (002)", frozenset({"Mo", "S"}), 0.61, 0.65),
    ("WS2 (002)", frozenset({"W", "S"}), 0.61, 0.65),
)
#: Tolerance of a spacing, in standard uncertainties of the scale.
RING_LIKE_SIGMAS = 2.0


def name_bent_lattices(
    lattices: Sequence[BentLattice], phases: Sequence[Phase], calibration_uncertainty: float
) -> tuple[BentLattice, ...]:
    """Name the components of bent lattices, and say which layered materials they may be.

    Parameters
    ----------
    lattices : sequence of BentLattice
        The bent lattices of one image, the one with most places first.
    phases : sequence of Phase
        The candidates. A material is suggested only if the elements of a candidate allow it.
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
    """Layered materials with the spacing of a lattice, such as "graphitic carbon (002)?"."""
    fits = [
        what
        for what, needed, low, high in LAYERED
        if any(needed == known for known in elements)
        and lattice.d_low < high * (1 + loose)
        and lattice.d_high > low * (1 - loose)
    ]
    return f"{' or '.join(fits)}?" if fits else ""


def label_ring_like(matches: Sequence[GrainMatch], lattices: Sequence[BentLattice]) -> tuple[GrainMatch, ...]:
    """Mark the matches of grains that belong to a bent lattice as ring-like, with the reason."""
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
    """Label spots with the kind that follows from the lattice of their grain, and from its phase if named.

    Satellites keep their kind, and no spot becomes one. No spot is enabled or disabled.

    Parameters
    ----------
    spots : sequence of Spot
    start : GrainSet
        Result of the run. The lattices are those of all its spots, even if the user has disabled some since.
    grains, matches
        The present ones.
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
    """The kind of each spot but the satellites by the lattice of its grain; keys are the spots' ids."""
    by_id = {spot.id: spot for spot in start.spots if spot.kind != "satellite"}
    groups = [[by_id[n] for n in grain.spots if n in by_id] for grain in start.grains]
    return {
        spot.id: kind
        for own in groups
        for spot, kind in zip(own, lattice_kinds(own, plane_lattice(own)) if own else (), strict=True)
        if kind != "satellite"
    }
