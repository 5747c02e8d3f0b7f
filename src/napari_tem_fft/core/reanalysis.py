"""Update an analysis after the user edits spots, the specimen mask or the phases of grains.

Each function takes an analysis and the edit, and starts from the results of the run (`EditStart`): the result
depends on the present spots, specimen and overrides, but not on the order of the edits, nor on whether the
analysis was saved and loaded in between. An `EditCache` only makes a series of edits faster.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .fourier.diffractogram import BandImage, Diffractogram, band_image, display_grid
from .fourier.mask import edit, render
from .fourier.threads import in_one_blas_thread
from .grains.candidate import SearchContext
from .grains.edit import OutlineCache, measure_by_hand, regroup
from .grains.grain import GrainSet
from .grains.regions import union
from .image.roi import inside_part
from .maps.component_map import bent_lattices_of, component_maps
from .maps.specimen import cut_grains, specimen_on_grid, uncut_grains
from .maps.strain import DeformationParams, wanted_deformations
from .matching import EvidenceCache, PhaseOverride, follow_grains
from .matching.assignment import assign_phases, label_kinds
from .matching.geometry import expected_distortions
from .pipeline import (
    EDIT_STAGES,
    Analysis,
    DiffractogramReady,
    EditStart,
    GrainsFound,
    MapsReady,
    MaskPainted,
    PhasesAssigned,
    ProfilesReady,
    SpotsFound,
    follow_spots,
    grain_set_of,
    search_context,
    specimen_of,
    with_bent_lattices,
)
from .profile.radial_profile import RadialProfile, masked_profile
from .profile.ring_sums import RingSums, fine_spectrum
from .progress import Step, renumber_steps
from .spots.spot import Spot, friedel_representative, separation


class EditCache:
    """Cache for a series of edits of one diffractogram's spots; results are the same without it.

    Create one for each analysis that is edited (in the session of a viewer, or in a loop), pass it to each
    edit, and discard it with the analysis. Edits in several threads may share it.

    Parameters
    ----------
    diffractogram : Diffractogram
        Diffractogram of the analysis and of all its edits.
    evidence : EvidenceCache, optional
        Cache used for the analysis, so that grains that are not edited are not evaluated again.

    Attributes
    ----------
    outlines : OutlineCache
    ring_sums : RingSums
    evidence : EvidenceCache
    """

    def __init__(self, diffractogram: Diffractogram, evidence: EvidenceCache | None = None) -> None:
        self.diffractogram = diffractogram
        self.outlines = OutlineCache()
        self.ring_sums = RingSums(diffractogram)
        self.evidence = evidence or EvidenceCache()
        self._band: BandImage | None = None
        self._lock = Lock()

    def of(self, diffractogram: Diffractogram) -> EditCache:
        """The cache itself, if it belongs to this diffractogram.

        Raises
        ------
        ValueError
            If it belongs to another analysis.
        """
        if diffractogram is not self.diffractogram:
            raise ValueError("this EditCache belongs to another diffractogram: make one for each analysis")
        return self

    def band(self) -> BandImage:
        """The band-limited image in which spots are searched; computed at the first call."""
        with self._lock:
            if self._band is None:
                self._band = band_image(self.diffractogram)
            return self._band


#: A grain has vanished if less than this fraction of it is in a grain after an edit.
STILL_THERE = 0.5
#: A click selects a spot within this many cells of the displayed diffractogram.
POINTED = 3.0
#: Number of stages of the reanalysis after a specimen mask, and after an override.
SPECIMEN_STAGES = 2
OVERRIDE_STAGES = 2


@in_one_blas_thread
def reanalyse_after_spot_edit(
    analysis: Analysis, spots: Sequence[Spot], cache: EditCache | None = None
) -> Generator[Step, None, Analysis]:
    """Update everything downstream of the spots after a user's edit.

    The products of the steps are ProfilesReady, GrainsFound, PhasesAssigned and MapsReady; the result is
    the new `Analysis`.
    """
    mask: NDArray[np.uint8] = render(spots, display_grid(analysis.diffractogram))
    profiles = profiles_of_painted_mask(analysis, mask, cache)
    yield Step("profile", 1, EDIT_STAGES, ProfilesReady(profiles))
    context = search_context_of(analysis, cache)
    start = edit_start_of(analysis)
    found = regroup(context, spots, start.found, cache.outlines if cache is not None else None)
    specimen = analysis.specimen if analysis.specimen_by_user else _specimen_after(start, found, analysis)
    rest = follow_spots(
        analysis.micrograph,
        analysis.choice,
        analysis.params,
        context,
        found,
        analysis.warnings,
        profiles,
        specimen,
        analysis.specimen_by_user,
        cache.evidence if cache is not None else None,
        start.found,
    )
    next(rest)
    edited = yield from renumber_steps(rest, 0, EDIT_STAGES)
    return replace(edited, network=analysis.network, picture=analysis.picture, edit_start=start)


def painted_steps(
    analysis: Analysis, spots: Sequence[Spot], after: NDArray[np.uint8], cache: EditCache | None = None
) -> Generator[Step, None, Analysis]:
    """Apply a painted mask: yield its profile at once, then the spots, then all results that depend on them.

    Parameters
    ----------
    analysis : Analysis
        The last complete analysis.
    spots : sequence of Spot
        Spots that the mask showed before it was painted on; they may be newer than the analysis.
    after : ndarray, shape of the display grid
        The mask as painted.
    cache : EditCache, optional
        Cache of the analysis.
    """
    yield Step("profile", 0, 1, MaskPainted(profiles_of_painted_mask(analysis, after, cache)))
    edited = spots_of_painted_mask(replace(analysis, spots=tuple(spots)), after, cache)
    return (yield from _following(analysis, edited, cache))


def moved_steps(
    analysis: Analysis, spots: Sequence[Spot], cache: EditCache | None = None
) -> Generator[Step, None, Analysis]:
    """Apply other spots, from before or after an edit: yield their profile at once."""
    mask: NDArray[np.uint8] = render(spots, display_grid(analysis.diffractogram))
    yield Step("profile", 0, 1, MaskPainted(profiles_of_painted_mask(analysis, mask, cache)))
    return (yield from _following(analysis, spots, cache))


def _following(
    analysis: Analysis, spots: Sequence[Spot], cache: EditCache | None
) -> Generator[Step, None, Analysis]:
    following = reanalyse_after_spot_edit(analysis, spots, cache)
    yield Step("spots", 0, 1, SpotsFound(tuple(spots)))
    return (yield from following)


def pointed_steps(
    analysis: Analysis, spots: Sequence[Spot], g: tuple[float, float], cache: EditCache | None = None
) -> Generator[Step, None, Analysis]:
    """Add the spot at a frequency (y, x) in 1/nm that the user clicked; it is refined first."""
    return (yield from moved_steps(analysis, add_spot_at(analysis, spots, g, cache), cache))


@in_one_blas_thread
def reanalyse_after_specimen_edit(
    analysis: Analysis, specimen: NDArray[Any] | None
) -> Generator[Step, None, Analysis]:
    """Update grains, maps and fractions for a specimen mask that the user has drawn.

    The products of the steps are GrainsFound and MapsReady; the result is the new `Analysis`,
    with `specimen_by_user`. Spots, profiles and names stay.

    Parameters
    ----------
    specimen : ndarray, shape (y, x), optional
        Nonzero inside the specimen, of any resolution, over the whole image. None restores the detected
        specimen.

    Raises
    ------
    ValueError
        If its shape does not match the image, or it is empty.
    """
    grid, found, start = analysis.map_grid, _grains_before_cut(analysis), edit_start_of(analysis)
    whole, spectra = analysis.diffractogram, analysis.local_spectra
    if specimen is None:
        known = _specimen_after(start, found, analysis)
        mask = specimen_of(analysis.micrograph, whole, spectra, found, grid) if known is None else known
    else:
        mask = specimen_on_grid(specimen, analysis.micrograph, grid)
        found = cut_grains(found, mask, grid)
    yield Step("grains", 1, SPECIMEN_STAGES, GrainsFound(found.grains))
    centres = {grain.id: grain.centre for grain in found.grains}
    bent = bent_lattices_of(analysis.components)
    components = component_maps(found.grains, analysis.matches, found.regions, mask, grid, bent)
    yield Step("maps", 2, SPECIMEN_STAGES, MapsReady(components))
    return replace(
        analysis,
        grains=found.grains,
        grain_regions=found.regions,
        specimen=mask,
        specimen_by_user=specimen is not None,
        components=components,
        decisions=tuple(replace(one, centre=centres[one.grain]) for one in analysis.decisions),
        deformations=wanted_deformations(analysis.params.deformation, whole, spectra, found, grid),
        edit_start=start,
    )


@in_one_blas_thread
def reanalyse_after_override(
    analysis: Analysis, decisions: Sequence[PhaseOverride], cache: EditCache | None = None
) -> Generator[Step, None, Analysis]:
    """Update names and maps for other overrides by the user; nothing else changes.

    The products of the steps are PhasesAssigned and MapsReady; the result is the new `Analysis`.

    Parameters
    ----------
    analysis : Analysis
    decisions : sequence of PhaseOverride
        All overrides, including earlier ones.
    """
    choice = replace(analysis.choice, decisions=follow_grains(decisions, analysis.grains))
    scale = analysis.micrograph.calibration
    found = grain_set_of(analysis)
    known = cache.evidence if cache is not None else None
    params = analysis.params.matching
    distortions = expected_distortions(params.stretch, analysis.micrograph.metadata, scale.shear is not None)
    how = scale.uncertainty, params, known, distortions, scale.shear or 0.0
    names = assign_phases(found, analysis.profiles, choice, *how)
    seen = analysis.diffractogram, analysis.local_spectra, analysis.map_grid
    matches, bent = with_bent_lattices(names, found, *seen, scale.uncertainty, analysis.params)
    start = edit_start_of(analysis).found
    spots = label_kinds(analysis.spots, start, analysis.grains, matches)
    yield Step("phases", 1, OVERRIDE_STAGES, PhasesAssigned(matches, names.rings, spots))
    components = component_maps(
        analysis.grains, matches, analysis.grain_regions, analysis.specimen, analysis.map_grid, bent
    )
    yield Step("maps", 2, OVERRIDE_STAGES, MapsReady(components))
    return replace(
        analysis,
        spots=spots,
        matches=matches,
        rings=names.rings,
        geometry=names.geometry,
        decisions=choice.decisions,
        components=components,
    )


def override_steps(
    analysis: Analysis, decisions: Sequence[PhaseOverride], cache: EditCache | None = None
) -> Generator[Step, None, Analysis]:
    """Yield the products that overrides do not change, then the resulting names and maps."""
    steps = reanalyse_after_override(analysis, decisions, cache)
    yield Step("decision", 0, 1, SpotsFound(analysis.spots))
    yield Step("decision", 0, 1, ProfilesReady(analysis.profiles))
    yield Step("decision", 0, 1, GrainsFound(analysis.grains))
    return (yield from steps)


def measure_deformation(analysis: Analysis, params: DeformationParams) -> Analysis:
    """The analysis with these parameters and the deformation of its grains measured accordingly."""
    spectra = analysis.diffractogram, analysis.local_spectra
    found = wanted_deformations(params, *spectra, grain_set_of(analysis), analysis.map_grid)
    return replace(analysis, deformations=found, params=replace(analysis.params, deformation=params))


def recalled_steps(analysis: Analysis) -> Generator[Step, None, Analysis]:
    """Show a complete earlier analysis again after an undo, without computing anything."""
    products = (
        MaskPainted(analysis.profiles),
        SpotsFound(analysis.spots),
        ProfilesReady(analysis.profiles),
        GrainsFound(analysis.grains),
        PhasesAssigned(analysis.matches, analysis.rings, analysis.spots),
        MapsReady(analysis.components),
    )
    for done, product in enumerate(products, 1):
        yield Step("shown again", done, len(products), product)
    return analysis


def replayed_steps(analysis: Analysis) -> Generator[Step, None, Analysis]:
    """Yield all products of an analysis again, without computing anything, so that it is displayed."""
    yield Step("shown again", 0, 1, DiffractogramReady(analysis.diffractogram))
    return (yield from recalled_steps(analysis))


def spots_of_run(analysis: Analysis) -> tuple[Spot, ...]:
    """The spots as the run found them, before any edit."""
    return analysis.spots if analysis.edit_start is None else analysis.edit_start.found.spots


def is_edited(analysis: Analysis) -> bool:
    """Whether the enabled spots differ from those that the run found; an edit that was undone does not count.

    Spots that the run itself switched off (satellites, the camera's) are not a user's edit, nor is a change
    of their names. Files of version 0.1 do not contain the spots of the run; for these, enabled spots added
    by hand count as an edit.
    """
    counted = [{s.id for s in spots if s.enabled} for spots in (spots_of_run(analysis), analysis.spots)]
    return counted[0] != counted[1] or any(s.origin == "hand" and s.enabled for s in analysis.spots)


def edit_start_of(analysis: Analysis) -> EditStart:
    """The results of the run from which edits of an analysis start."""
    if analysis.edit_start is not None:
        return analysis.edit_start
    specimen = None if analysis.specimen_by_user else analysis.specimen
    return EditStart(_grains_before_cut(analysis), specimen)


def _grains_before_cut(analysis: Analysis) -> GrainSet:
    """The grains as measured, before a user's specimen mask cut them."""
    found = grain_set_of(analysis)
    return uncut_grains(found, analysis.map_grid) if analysis.specimen_by_user else found


def profiles_of_painted_mask(
    analysis: Analysis, mask: NDArray[np.uint8], cache: EditCache | None = None
) -> tuple[RadialProfile, ...]:
    """The profiles, with "masked" computed from a mask on the grid of the displayed diffractogram."""
    whole = analysis.diffractogram
    sums = None if cache is None else cache.of(whole).ring_sums
    spectrum = fine_spectrum(whole) if sums is None else sums.spectrum
    masked = masked_profile(spectrum, mask, display_grid(whole), analysis.params.profile, sums)
    return tuple(masked if profile.curve == "masked" else profile for profile in analysis.profiles)


def spots_of_painted_mask(
    analysis: Analysis, after: NDArray[np.uint8], cache: EditCache | None = None
) -> tuple[Spot, ...]:
    """The spots after the user repainted the mask, to be passed to `reanalyse_after_spot_edit`.

    Parameters
    ----------
    after : ndarray, shape of ``display_grid(analysis.diffractogram)``
        The mask as painted; nonzero is inside.
    """
    grid = display_grid(analysis.diffractogram)
    before = render(analysis.spots, grid)
    contexts: list[SearchContext] = []  # created for the first spot, because erasing needs none

    def measure(g: tuple[float, float], radius: float, number: int) -> Spot:
        if not contexts:
            contexts.append(search_context_of(analysis, cache))
        return measure_by_hand(contexts[0], g, radius, number)

    return edit(analysis.spots, before, after, grid, measure)


def add_spot_at(
    analysis: Analysis,
    spots: Sequence[Spot],
    g: tuple[float, float],
    cache: EditCache | None = None,
    radius: float | None = None,
) -> tuple[Spot, ...]:
    """The spots and the one that the user clicked: refined, or enabled again if it existed before.

    Parameters
    ----------
    spots : sequence of Spot
        Spots, which may be newer than those of the analysis.
    g : tuple of float, (y, x), 1/nm
    radius : float, 1/nm, optional
        Radius of its disc; by default three cells of the displayed diffractogram.
    """
    near = [spot for spot in spots if separation(spot.g, g) <= spot.radius]
    if near:
        known = min(near, key=lambda spot: separation(spot.g, g)).id
        return tuple(replace(spot, enabled=True) if spot.id == known else spot for spot in spots)
    radius = POINTED * max(display_grid(analysis.diffractogram).step) if radius is None else radius
    number = max((spot.id for spot in spots), default=0) + 1
    context = search_context_of(analysis, cache)
    return (*spots, measure_by_hand(context, friedel_representative(g), radius, number))


def search_context_of(analysis: Analysis, cache: EditCache | None = None) -> SearchContext:
    """The context in which spots of a finished analysis are measured."""
    whole = analysis.diffractogram
    band = band_image(whole) if cache is None else cache.of(whole).band()
    return search_context(band, analysis.micrograph, whole, analysis.local_spectra, analysis.params)


def _specimen_after(start: EditStart, found: GrainSet, analysis: Analysis) -> NDArray[np.bool_] | None:
    """The specimen after an edit: the earlier one plus all crystals, or None (detect again) if one vanished.

    Removing a spot from a grain does not reduce the specimen.
    """
    if start.specimen is None:
        return None
    crystals = union(found.regions, start.specimen.shape)
    for region in start.found.regions:
        if np.count_nonzero(crystals[region.box] & region.mask) < STILL_THERE * region.area:
            return None
    inside = inside_part(analysis.micrograph, analysis.map_grid)
    return start.specimen | (crystals if inside is None else crystals & inside)
