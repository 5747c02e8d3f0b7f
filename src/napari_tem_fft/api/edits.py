"""Edits of mask, spots, specimen and phases; each function of `api` here returns a new `Analysis`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.crystal.phase_selection import find_phase
from ..core.fourier.diffractogram import FrequencyGrid, display, display_grid
from ..core.fourier.mask import masked_inverse, render
from ..core.maps.strain import WHOLE_GRAIN, reference_text
from ..core.matching import OverrideKind, PhaseOverride, merge_overrides
from ..core.pipeline import Analysis
from ..core.progress import exhaust
from ..core.reanalysis import (
    EditCache,
    add_spot_at,
    measure_deformation,
    reanalyse_after_override,
    reanalyse_after_specimen_edit,
    reanalyse_after_spot_edit,
    spots_of_painted_mask,
)
from ..core.spots.spot import Spot


def fft_of(analysis: Analysis) -> tuple[FrequencyGrid, NDArray[np.float32]]:
    """The diffractogram of an analysis, as displayed.

    Returns
    -------
    grid : FrequencyGrid
        Step (y, x) in 1/nm; zero frequency is in the centre cell. `fft_of` and `mask_of` share it.
    image : ndarray of float32, shape ``grid.shape``
        log10 of power over noise.

    Examples
    --------
    >>> from napari_tem_fft import analyse, fft_of, read_sample, select
    >>> grid, image = fft_of(analyse(read_sample("edge"), select(["LiF", "Cu"])))
    >>> grid.cell((0.0, 0.0)), image.shape == grid.shape
    ((153, 153), True)
    """
    return display(analysis.diffractogram)


def mask_of(analysis: Analysis) -> NDArray[np.uint8]:
    """The mask of the enabled spots, for editing: discs at +g and -g, 1 inside.

    Returns
    -------
    ndarray of uint8, shape (y, x)
        On the grid of `fft_of`.

    Examples
    --------
    >>> from napari_tem_fft import analyse, mask_of, read_sample, select
    >>> mask = mask_of(analyse(read_sample("edge"), select(["LiF", "Cu"])))
    >>> mask.shape, bool((mask == mask[::-1, ::-1]).all())  # the same at +g and -g
    ((307, 307), True)
    """
    return render(analysis.spots, display_grid(analysis.diffractogram))


def fringes_of(
    analysis: Analysis, mask: ArrayLike | None = None
) -> tuple[NDArray[np.float32], tuple[float, float]]:
    """Bragg-filtered image: inverse transform of the masked part of the spectrum (lattice fringes only).

    Parameters
    ----------
    mask : ndarray, shape of `mask_of`, optional
        By default the mask of the enabled spots.

    Returns
    -------
    image : ndarray of float32, shape (y, x)
        Covers the whole field, in the micrograph's grey levels, with mean zero.
    pixel_size : tuple of float, (y, x), nm

    Raises
    ------
    ValueError
        If the mask has another shape.

    Examples
    --------
    >>> from napari_tem_fft import analyse, fringes_of, read_sample, select
    >>> image, pixel_size = fringes_of(analyse(read_sample("edge"), select(["LiF", "Cu"])))
    >>> [round(n * p, 2) for n, p in zip(image.shape, pixel_size)]  # the whole field, in nm
    [15.36, 15.36]
    """
    grid = display_grid(analysis.diffractogram)
    chosen = mask_of(analysis) if mask is None else _check(mask, grid)
    return masked_inverse(analysis.diffractogram, chosen, grid)


def with_mask(analysis: Analysis, mask: ArrayLike) -> Analysis:
    """Edit the mask of an analysis, and update spots, profile, grains, phases and maps.

    Parameters
    ----------
    mask : ndarray, shape of `mask_of`
        Nonzero is inside the mask. An erased disc disables its spots; a painted one adds a spot, which is
        refined and whose SNR is measured. Painting at g has the same effect at -g.

    Raises
    ------
    ValueError
        If the mask has another shape.

    Examples
    --------
    >>> from napari_tem_fft import analyse, mask_of, read_sample, select, with_mask
    >>> result = analyse(read_sample("edge"), select(["LiF", "Cu"]))
    >>> with_mask(result, 0 * mask_of(result)).components
    ()
    """
    checked = _check(mask, display_grid(analysis.diffractogram))
    cache = EditCache(analysis.diffractogram)
    spots = spots_of_painted_mask(analysis, checked, cache)
    return exhaust(reanalyse_after_spot_edit(analysis, spots, cache))


def with_spot(analysis: Analysis, g: tuple[float, float]) -> Analysis:
    """Add a spot at a given position, which is refined, and update the analysis.

    Parameters
    ----------
    g : tuple of float, (y, x), 1/nm
        y points down; must lie within the displayed diffractogram.

    Raises
    ------
    ValueError
        If g lies outside the diffractogram.

    Examples
    --------
    >>> from napari_tem_fft import analyse, read_sample, select, with_spot
    >>> result = analyse(read_sample("edge"), select(["LiF", "Cu"]))
    >>> len(result.spots), len(with_spot(result, (2.0, 3.0)).spots)
    (4, 5)
    """
    return with_edited_spots(analysis, add=[g])


def without_spots(analysis: Analysis, spots: Iterable[int]) -> Analysis:
    """Disable spots, and update the analysis.

    Parameters
    ----------
    spots : iterable of int
        Ids of the spots.

    Raises
    ------
    ValueError
        If there is no spot with one of the ids.

    Examples
    --------
    >>> from napari_tem_fft import analyse, read_sample, select, without_spots
    >>> result = analyse(read_sample("edge"), select(["LiF", "Cu"]))
    >>> [spot.enabled for spot in without_spots(result, [4]).spots]
    [True, True, True, False]
    """
    return with_edited_spots(analysis, delete=spots)


def with_edited_spots(
    analysis: Analysis,
    delete: Iterable[int] = (),
    restore: Iterable[int] = (),
    add: Iterable[Sequence[float]] = (),
) -> Analysis:
    """Apply several edits of the spots at once, and update the analysis only once.

    Parameters
    ----------
    delete, restore : iterable of int
        Ids of spots to disable, and of disabled spots to enable.
    add : iterable of (gy, gx) or (gy, gx, radius), 1/nm
        Positions of spots to add, with y down; each is refined first.

    Raises
    ------
    ValueError
        If there is no such spot, or g lies outside the displayed diffractogram.

    Examples
    --------
    >>> from napari_tem_fft.api import analyse, read_sample, select, with_edited_spots
    >>> result = analyse(read_sample("edge"), select(["LiF", "Cu"]))
    >>> edited = with_edited_spots(result, delete=[1, 2])
    >>> [spot.enabled for spot in edited.spots]
    [False, False, True, True]
    >>> with_edited_spots(edited, restore=[1, 2]).components[0].name
    'LiF'
    """
    gone, back = set(delete), set(restore)
    unknown = (gone | back) - {spot.id for spot in analysis.spots}
    if unknown:
        raise ValueError(f"there is no spot {', '.join(map(str, sorted(unknown)))}")
    spots: tuple[Spot, ...] = tuple(
        replace(spot, enabled=spot.id in back or (spot.enabled and spot.id not in gone))
        for spot in analysis.spots
    )
    cache = EditCache(analysis.diffractogram)
    for place in add:
        gy, gx, *radius = place
        _check_inside(analysis, (gy, gx))
        spots = add_spot_at(analysis, spots, (gy, gx), cache, radius[0] if radius else None)
    return exhaust(reanalyse_after_spot_edit(analysis, spots, cache))


def with_specimen(analysis: Analysis, specimen: ArrayLike | None) -> Analysis:
    """Replace the specimen mask of an analysis; names stay the same, areas and shares are updated.

    Parameters
    ----------
    specimen : ndarray, shape (y, x), optional
        Nonzero inside the specimen, of any resolution over the whole image; None for the automatic mask.

    Raises
    ------
    ValueError
        If its shape does not match the image, or it is empty.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_tem_fft.api import analyse, read_sample, select, with_specimen
    >>> result = analyse(read_sample("edge"), select(["LiF", "Cu"]))
    >>> result.vacuum_found, with_specimen(result, np.ones((16, 16))).vacuum_found
    (True, False)
    """
    mask = None if specimen is None else np.asarray(specimen)
    return exhaust(reanalyse_after_specimen_edit(analysis, mask))


def decide(analysis: Analysis, grain: int, phase: str, kind: OverrideKind = "override") -> Analysis:
    """Override the phase of a grain, and update names and maps.

    Parameters
    ----------
    grain : int
        Id of the grain.
    phase : str
        Id, name, alias or formula of a candidate, or of one of `Analysis.non_candidates`.
    kind : {"override", "lock", "reject"}
        Assign the phase; assign it and derive the image's scale from it (internal standard); exclude it.

    Raises
    ------
    ValueError
        If there is no such grain or phase, or the kind is unknown.

    Examples
    --------
    >>> from napari_tem_fft import analyse, decide, read_sample, select
    >>> result = analyse(read_sample("edge"), select(["LiF", "Cu"]))
    >>> decided = decide(result, 1, "copper")
    >>> decided.components[0].name, decided.components[0].by_user
    ('Cu', True)
    """
    if kind not in ("override", "lock", "reject"):
        raise ValueError(f"{kind!r} is not one of override, lock, reject")
    found = next((one for one in analysis.grains if one.id == grain), None)
    if found is None:
        raise ValueError(f"there is no grain {grain}; there are {len(analysis.grains)}")
    chosen = find_phase(analysis.known_phases, phase)
    override = PhaseOverride(grain, chosen.id, kind, found.centre)
    return exhaust(reanalyse_after_override(analysis, merge_overrides(analysis.decisions, (override,))))


def _check_inside(analysis: Analysis, g: tuple[float, float]) -> None:
    grid = display_grid(analysis.diffractogram)
    row, column = grid.cell(g)
    if not (0 <= row < grid.shape[0] and 0 <= column < grid.shape[1]):
        raise ValueError(f"g = {g} 1/nm lies outside the diffractogram")


def _check(mask: ArrayLike, grid: FrequencyGrid) -> NDArray[np.uint8]:
    array = np.asarray(mask)
    if array.shape != grid.shape:
        raise ValueError(f"a mask of shape {array.shape} for a diffractogram of {grid.shape}; see mask_of")
    return np.asarray(array != 0, np.uint8)


def with_deformation(
    analysis: Analysis, reference: Sequence[Sequence[float]] | None = None, resolution: float | None = None
) -> Analysis:
    """Measure strain and rotation of the lattice within each grain (`Analysis.deformations`).

    Parameters
    ----------
    analysis : Analysis
    reference : sequence of (y, x), nm, optional
        Corners of the undeformed region: two opposite corners of a rectangle, or a polygon. Grains with
        another lattice than this region, and by default all grains, have their own mean as reference.
    resolution : float, nm, optional
        Width of the filter; by default that of the analysis, 2 nm unless changed.

    Returns
    -------
    Analysis
        Analysis for which `save_results` also writes maps and ``deformation.csv``.

    Raises
    ------
    ValueError
        If there are fewer than two corners, or the resolution is out of range.

    Examples
    --------
    >>> from napari_tem_fft import analyse, read_sample, select, with_deformation
    >>> result = with_deformation(analyse(read_sample("edge"), select(["LiF", "Cu"])))
    >>> [one.grain for one in result.deformations]
    [1]
    """
    params = replace(
        analysis.params.deformation,
        deformation=True,
        reference=WHOLE_GRAIN if reference is None else reference_text(reference),
    )
    if resolution is not None:
        params = replace(params, resolution=resolution)
    return measure_deformation(analysis, params)
