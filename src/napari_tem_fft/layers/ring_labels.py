"""Names of rings by their d, in nm or in Angstrom; a part of `layers.results`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core.lengths import LengthUnit, spacing
from .image import KEY, LayerData

#: Rings that are named by their d; those of a phase are by (hkl).
NAMED_BY_D = ("rings", "choice")


def in_unit(layer_data: LayerData, unit: LengthUnit) -> LayerData:
    """A layer of rings that are named by their d, with these in another unit; any other layer as it is."""
    data, kwargs, kind = layer_data
    if kwargs["metadata"][KEY]["role"] not in NAMED_BY_D:
        return layer_data
    features = kwargs["features"]
    return data, {**kwargs, "features": {**features, "label": d_labels(features, unit)}}, kind


def d_labels(features: Mapping[str, Any], unit: LengthUnit) -> list[str]:
    """Labels of rings by their d in a unit; the rings themselves have none, but the lines that carry them."""
    pairs = zip(features["label"], features["d (nm)"], strict=True)
    return [spacing(float(d), unit=unit) if label else "" for label, d in pairs]
