"""Correct the calibration of an image on an internal standard: a grain of a known crystal."""

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

#: Prior standard deviations of ln scale and of the stretch.
STANDARD_SCALE, STANDARD_STRETCH = 0.05, 0.03
#: Smallest number of indexed spots, and their smallest share of the grain's spots.
LEAST_SPOTS, LEAST_SHARE = 4, 0.6
#: If the uncertainty of the scale or stretch is larger than this, more than one zone axis fits.
WORST = 0.01


def correction_on_grain(
    grain: Grain, spots: Sequence[Spot], phase: Phase, params: MatchParams | None = None
) -> Correction:
    """Fit the factors of both axes, and the remaining shear, to all spots of a grain of a known crystal.

    Parameters
    ----------
    grain : Grain
    spots : sequence of Spot
    phase : Phase
        The phase of the grain.
    params : MatchParams, optional

    Raises
    ------
    CalibrationError
        If the spots do not fit this phase, or are too few.
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
