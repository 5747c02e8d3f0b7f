"""The parameters of an analysis in files, where the scale's uncertainty stands among them in per cent.

In memory it belongs to the image's calibration; the key in files is an interface, and stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ...core.image.calibration import UNCERTAINTY, Calibration
from ...core.matching.params import OUTSIDE
from ...core.parameters import from_dict, to_dict
from ...core.pipeline import AnalysisParams


def describe_parameters(params: AnalysisParams, calibration: Calibration) -> dict[str, Any]:
    """Parameters and the scale's uncertainty, ready for JSON."""
    percent = max(calibration.uncertainty_percent, UNCERTAINTY.field.low or 0.0)
    return {UNCERTAINTY.name: percent, **to_dict(params)}


def restore_parameters(stored: Mapping[str, Any]) -> tuple[AnalysisParams, float | None]:
    """Parameters, and the scale's uncertainty in per cent where they state it.

    Raises
    ------
    ValueError
        If a name is unknown, or a value has the wrong kind or exceeds its limits.
    """
    if not isinstance(stored, Mapping):
        raise ValueError(f"expected named values, got {stored!r:.80}")
    values = dict(stored)
    params = from_dict(AnalysisParams, {k: v for k, v in values.items() if k != UNCERTAINTY.name})
    if UNCERTAINTY.name not in values:
        return params, None
    percent = values[UNCERTAINTY.name]
    if isinstance(percent, bool) or not isinstance(percent, int | float):
        raise ValueError(f"{UNCERTAINTY.name}: expected a number, got {percent!r:.80}")
    return params, float(percent)


def without_old_default(params: AnalysisParams) -> AnalysisParams:
    """Parameters of version 0.1, which wrote the weight of phases outside the candidates, given or not."""
    if params.matching.outside != OUTSIDE:
        return params
    return replace(params, matching=replace(params.matching, outside=None))


def with_stored_uncertainty(calibration: Calibration, percent: float | None) -> Calibration:
    """The calibration of a stored analysis, known as well as its parameters say: by that it was named.

    Version 0.1 could leave another uncertainty with the image.
    """
    if percent is None or percent == describe_parameters(AnalysisParams(), calibration)[UNCERTAINTY.name]:
        return calibration
    return calibration.with_uncertainty(percent / 100)
