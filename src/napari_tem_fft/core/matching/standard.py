"""An internal standard: the scale and both stretches of an image from one grain of a known crystal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..crystal.phase import Phase
from ..grains.grain import Grain
from ..image.calibration import STANDARD_UNCERTAINTY, CalibrationError, Correction
from ..spots.spot import Spot
from .candidates import candidate
from .geometry import ScalePrior
from .observations import observe
from .pair_index import build_index
from .params import MatchParams
from .search import search
from .verdict import LARGEST_MISFIT
from .weighing import EvidenceCache

#: How far the scale may be off, as a standard deviation of its logarithm, and the image be stretched.
STANDARD_SCALE, STANDARD_STRETCH = 0.05, 0.03
#: Spots that have to be indexed, and their share of the grain's.
LEAST_SPOTS, LEAST_SHARE = 4, 0.6
#: If scale or stretch are known worse than this, more than one zone axis of the standard fits.
WORST = 0.01


def correction_on_grain(
    grain: Grain, spots: Sequence[Spot], phase: Phase, params: MatchParams | None = None
) -> Correction:
    """Factors of both axes, and the shear that is left, from all spots of a grain that is a known crystal.

    Parameters
    ----------
    grain : Grain
    spots : sequence of Spot
    phase : Phase
        What the grain is.
    params : MatchParams, optional

    Raises
    ------
    CalibrationError
        If the grain's spots are not those of this phase, or are too few to tell.
    """
    params = params or MatchParams()
    observed = observe([grain], spots, params)
    index, scale = build_index([phase]), ScalePrior(0.0, STANDARD_SCALE)
    it_is = {0: np.array([False, True, True])}
    how = ((1.0, STANDARD_STRETCH),), params, EvidenceCache(), it_is
    found = search(observed, index, (1, 1), scale, *how)
    best = found.best(0)
    fits = None if best is None else candidate(found, best, 1.0, phase)
    if fits is None or fits.explained < LEAST_SHARE or fits.misfit > LARGEST_MISFIT:
        raise CalibrationError(
            f"the spots of grain {grain.id} are not those of {phase.id} along a low zone axis"
        )
    geometry = found.geometry
    unsure = max(geometry.scale_sigma, geometry.stretch_sigma) > WORST
    if len(fits.indexed) < LEAST_SPOTS or unsure:
        raise CalibrationError(
            f"{len(fits.indexed)} spots of grain {grain.id} fit {phase.id}, but in more than one way:"
            f" {LEAST_SPOTS} or more of one zone axis are needed; or correct the scale on single spots"
        )
    s, e, f = geometry.mean
    axis = " ".join(map(str, fits.zone_axis or ()))
    return Correction(
        (float(np.exp(s) / (1 + e)), float(np.exp(s) / (1 - e))),
        max(STANDARD_UNCERTAINTY, geometry.scale_sigma),
        f"{phase.id} along [{axis}], {len(fits.indexed)} spots",
        f,
    )
