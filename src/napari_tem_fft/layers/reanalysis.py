"""What follows when a person changes the spots, and an analysis shown again, as generators of steps."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..core.edit_cache import EditCache
from ..core.events import (
    DiffractogramReady,
    GrainsFound,
    MapsReady,
    MaskPainted,
    PhasesAssigned,
    ProfilesReady,
    SpotsFound,
)
from ..core.fourier.diffractogram import display_grid
from ..core.fourier.mask import render
from ..core.pipeline import Analysis
from ..core.progress import Step
from ..core.reanalysis import (
    add_spot_at,
    profiles_of_painted_mask,
    reanalyse_after_spot_edit,
    spots_of_painted_mask,
)
from ..core.spots.spot import Spot


def painted_steps(
    analysis: Analysis, spots: Sequence[Spot], after: NDArray[np.uint8], cache: EditCache | None = None
) -> Generator[Step, None, Analysis]:
    """Take over a painted mask: its profile at once, then the spots, then all that follows from them.

    Parameters
    ----------
    analysis : Analysis
        The last complete one.
    spots : sequence of Spot
        Those that the mask showed before it was painted on; they may be newer than the analysis.
    after : ndarray, shape of the display grid
        The mask as painted.
    cache : EditCache, optional
        Of the analysis.
    """
    yield Step("profile", 0, 1, MaskPainted(profiles_of_painted_mask(analysis, after, cache)))
    edited = spots_of_painted_mask(replace(analysis, spots=tuple(spots)), after, cache)
    return (yield from _following(analysis, edited, cache))


def moved_steps(
    analysis: Analysis, spots: Sequence[Spot], cache: EditCache | None = None
) -> Generator[Step, None, Analysis]:
    """Take over other spots, as they were before an edit or after it: their profile at once."""
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
    """Take over the spot at a frequency (y, x) in 1/nm that a person pointed at; it is refined first."""
    return (yield from moved_steps(analysis, add_spot_at(analysis, spots, g, cache), cache))


def recalled_steps(analysis: Analysis) -> Generator[Step, None, Analysis]:
    """An analysis that was complete before, shown again after an undo without any work."""
    products = (
        MaskPainted(analysis.profiles),
        SpotsFound(analysis.spots),
        ProfilesReady(analysis.profiles),
        GrainsFound(analysis.grains),
        PhasesAssigned(analysis.matches, analysis.rings),
        MapsReady(analysis.components),
    )
    for done, product in enumerate(products, 1):
        yield Step("shown again", done, len(products), product)
    return analysis


def replayed_steps(analysis: Analysis) -> Generator[Step, None, Analysis]:
    """All the products of an analysis once more, without any work, so that it is shown again."""
    yield Step("shown again", 0, 1, DiffractogramReady(analysis.diffractogram))
    return (yield from recalled_steps(analysis))
