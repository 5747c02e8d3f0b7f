"""Which image a result belongs to: a hash of its pixels, not its name. A part of `layers.results`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .image import KEY, LayerData

#: Name of the note in a result's metadata.
IMAGE = "image"


def content_id(pixels: NDArray[Any]) -> str:
    """Return what tells the pixels of one image from those of any other: of shape, type and values.

    Examples
    --------
    >>> one, other = np.zeros((2, 3)), np.zeros((3, 2))
    >>> content_id(one) == content_id(one.copy()), content_id(one) == content_id(other)
    (True, False)
    """
    known = hashlib.sha256(f"{pixels.shape} {pixels.dtype.str} ".encode())
    known.update(np.ascontiguousarray(pixels).data)
    return known.hexdigest()[:32]


def stamped(layer_data: LayerData, content: str) -> LayerData:
    """Return a result's layer that tells of which pixels it was made."""
    data, kwargs, kind = layer_data
    notes = {**kwargs["metadata"][KEY], IMAGE: content}
    return data, {**kwargs, "metadata": {**kwargs["metadata"], KEY: notes}}, kind


def belongs_to(metadata: Mapping[str, Any], content: str, name: str) -> bool:
    """Whether a layer is a result of the image with these pixels.

    Documents of version 0.1 know it by the image's name only.
    """
    notes = metadata.get(KEY, {})
    if "of" not in notes:
        return False
    return bool(notes[IMAGE] == content if IMAGE in notes else notes["of"] == name)
