"""What follows from spots or a specimen that a person has changed; what the change does not touch is kept."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from .fourier.diffractogram import BandImage, Diffractogram, band_image, display_grid
from .fourier.mask import edit, render
from .grains.candidate import SearchContext
from .grains.edit import measure_by_hand, regroup
from .grains.grain import GrainSet
from .grains.region import union
from .maps.component_map import component_maps
from .maps.drawn_specimen import cut_grains, specimen_on_grid, uncut_grains
from .maps.strain import wanted_deformations
from .pipeline import (
    EDIT_STAGES,
    Analysis,
    follow_spots,
    grain_set_of,
    search_context,
    specimen_of,
)
from .profile.radial_profile import masked_profile
from .progress import Step, renumber_steps
from .spots.spot import Spot, friedel_representative, separation

#: A grain of which less than this share is still in a grain after an edit was none.
STILL_THERE = 0.5
#: A spot that was pointed at lies within so many cells of the shown diffractogram.
POINTED = 3.0
#: Stages of what follows a specimen mask.
SPECIMEN_STAGES = 2


@dataclass(frozen=True, slots=True, eq=False)
class _Start:
    """Grains and specimen before the first edit, from which all edits begin.

    So what an edit leaves depends on the spots as they are now, not on the way there: a spot that was
    erased and painted again leaves nothing behind.
    """

    found: GrainSet
    specimen: NDArray[np.bool_] | None


#: Images of diffractograms whose spots are edited, and where the edits began, for as long as these live.
_bands: WeakKeyDictionary[Diffractogram, BandImage] = WeakKeyDictionary()
_starts: WeakKeyDictionary[Diffractogram, _Start] = WeakKeyDictionary()


def reanalyse_after_spot_edit(analysis: Analysis, spots: Sequence[Spot]) -> Generator[Step, None, Analysis]:
    """Everything downstream of the spots again after a person's edit.

    The products of the steps are: tuple of RadialProfile, tuple of Grain, tuple of GrainMatch, tuple of
    ComponentMap; the result is the new `Analysis`.
    """
    grid = display_grid(analysis.diffractogram)
    masked = masked_profile(analysis.diffractogram, render(spots, grid), grid, analysis.params.profile)
    whole, _, local = analysis.profiles  # no edit changes these two
    profiles = (whole, masked, local)
    yield Step("profile", 1, EDIT_STAGES, profiles)
    context = search_context_of(analysis)
    start = _edit_start(analysis)
    found = regroup(context, spots, start.found)
    specimen = analysis.specimen if analysis.specimen_by_user else _specimen_after(start, found)
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
    )
    next(rest)
    edited = yield from renumber_steps(rest, 0, EDIT_STAGES)
    return replace(edited, network=analysis.network, picture=analysis.picture)


def reanalyse_after_specimen_edit(
    analysis: Analysis, specimen: NDArray[Any] | None
) -> Generator[Step, None, Analysis]:
    """Grains, maps and fractions again for a specimen mask that a person has drawn.

    The products of the steps are: tuple of Grain, tuple of ComponentMap; the result is the new `Analysis`,
    with `specimen_by_user`. Spots, profiles and names stay.

    Parameters
    ----------
    specimen : ndarray, shape (y, x), optional
        Not zero where there is matter; of any resolution, over the whole image. None goes back to what
        the image shows.

    Raises
    ------
    ValueError
        If it has another shape than the image, or holds nothing.
    """
    grid, found = analysis.map_grid, _grains_before_cut(analysis)
    whole, spectra = analysis.diffractogram, analysis.local_spectra
    if specimen is None:
        mask = specimen_of(analysis.micrograph, whole, spectra, found, grid)
    else:
        mask = specimen_on_grid(specimen, analysis.micrograph, grid)
        found = cut_grains(found, mask, grid)
    yield Step("grains", 1, SPECIMEN_STAGES, found.grains)
    centres = {grain.id: grain.centre for grain in found.grains}
    components = component_maps(found.grains, analysis.matches, found.regions, mask, grid)
    yield Step("maps", 2, SPECIMEN_STAGES, components)
    return replace(
        analysis,
        grains=found.grains,
        grain_regions=found.regions,
        specimen=mask,
        specimen_by_user=specimen is not None,
        components=components,
        decisions=tuple(replace(one, centre=centres[one.grain]) for one in analysis.decisions),
        deformations=wanted_deformations(analysis.params.deformation, whole, spectra, found, grid),
    )


def _grains_before_cut(analysis: Analysis) -> GrainSet:
    """The grains as they were measured, before a person's specimen cut them."""
    found = grain_set_of(analysis)
    return uncut_grains(found, analysis.map_grid) if analysis.specimen_by_user else found


def spots_of_painted_mask(analysis: Analysis, after: NDArray[np.uint8]) -> tuple[Spot, ...]:
    """The spots after a person repainted the mask; hand them to `edited_steps`.

    Parameters
    ----------
    after : ndarray, shape of ``display_grid(analysis.diffractogram)``
        The mask as painted; non-zero is masked.
    """
    grid = display_grid(analysis.diffractogram)
    before = render(analysis.spots, grid)
    contexts: list[SearchContext] = []

    def measure(g: tuple[float, float], radius: float, number: int) -> Spot:
        if not contexts:
            contexts.append(search_context_of(analysis))
        return measure_by_hand(contexts[0], g, radius, number)

    return edit(analysis.spots, before, after, grid, measure)


def add_spot_at(analysis: Analysis, spots: Sequence[Spot], g: tuple[float, float]) -> tuple[Spot, ...]:
    """The spots and the one that a person pointed at: refined, or enabled again if it was there before.

    Parameters
    ----------
    spots : sequence of Spot
        They may be newer than those of the analysis.
    g : tuple of float, (y, x), 1/nm
    """
    near = [spot for spot in spots if separation(spot.g, g) <= spot.radius]
    if near:
        known = min(near, key=lambda spot: separation(spot.g, g)).id
        return tuple(replace(spot, enabled=True) if spot.id == known else spot for spot in spots)
    radius = POINTED * max(display_grid(analysis.diffractogram).step)
    number = max((spot.id for spot in spots), default=0) + 1
    return (*spots, measure_by_hand(search_context_of(analysis), friedel_representative(g), radius, number))


def search_context_of(analysis: Analysis) -> SearchContext:
    """The scene of a finished analysis; its image is kept, for edits come one after another."""
    whole = analysis.diffractogram
    band = _bands.get(whole)
    if band is None:
        band = _bands[whole] = band_image(whole)
    return search_context(band, analysis.micrograph, whole, analysis.local_spectra, analysis.params)


def _edit_start(analysis: Analysis) -> _Start:
    whole = analysis.diffractogram
    if whole not in _starts:
        specimen = None if analysis.specimen_by_user else analysis.specimen
        _starts[whole] = _Start(_grains_before_cut(analysis), specimen)
    return _starts[whole]


def _specimen_after(start: _Start, found: GrainSet) -> NDArray[np.bool_] | None:
    """The specimen after an edit: as it was, and all crystals; None where one vanished, for it to be sought.

    A spot less in a grain takes away no matter.
    """
    if start.specimen is None:
        return None
    crystals = union(found.regions, start.specimen.shape)
    for region in start.found.regions:
        if np.count_nonzero(crystals[region.box] & region.mask) < STILL_THERE * region.area:
            return None
    return start.specimen | crystals
