"""Image layers of micrographs, patterns and stacks, and micrographs from image layers.

Part of `layers.results`; also defines how the position and contrast of layers are stored.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.image.calibration import GIVEN, Calibration
from ..core.image.micrograph import ImageStack, Micrograph
from ..core.image.roi import roi_from_metadata, roi_in_metadata
from ..core.image.units import quantity

LayerData = tuple[Any, dict[str, Any], str]

#: Key of this plugin's entry in a layer's metadata.
KEY = "tem_fft"
AXES = ("y", "x")
#: Interpolation of images with fringes; without it, moire fringes would appear.
SMOOTH = "linear"
#: Metadata key of a result that identifies its image.
IMAGE = "image"
#: Metadata key of an image that was opened together with others: its number and their number.
NUMBERED = "opened"


def micrograph_layer(micrograph: Micrograph) -> LayerData:
    """Image layer of a micrograph or pattern; `micrograph_of` is the inverse.

    A pattern is placed so that its g = 0, if the file states it, is at the world's origin.
    """
    calibration = micrograph.calibration
    kwargs = {
        **place(calibration.scale, _corner(calibration), calibration.unit),
        **contrast(micrograph.pixels),
        "name": micrograph.name,
        "colormap": "gray",
        "interpolation2d": SMOOTH,
        "metadata": {KEY: _notes(micrograph, micrograph.pixels)},
    }
    return micrograph.pixels, kwargs, "image"


def stack_layer(stack: ImageStack) -> LayerData:
    """Image layer of a stack, with a frame axis before y and x; frames on disk are not loaded."""
    calibration, shown = stack.calibration, np.asarray(stack.frames[0])
    plane = place(calibration.scale, _corner(calibration), calibration.unit)
    kwargs = {
        "scale": (1.0, *plane["scale"]),
        "translate": (0.0, *plane["translate"]),
        "units": ("pixel", *plane["units"]),
        "axis_labels": ("frame", *AXES),
        "contrast_limits": (0.0, 1.0),
        **contrast(shown),
        "name": stack.name,
        "colormap": "gray",
        "interpolation2d": SMOOTH,
        "metadata": {KEY: _notes(stack, shown)},
    }
    return stack.frames, kwargs, "image"


def micrograph_of(pixels: NDArray[Any], kwargs: Mapping[str, Any]) -> Micrograph:
    """Micrograph of an image layer, whichever reader opened it.

    Parameters
    ----------
    pixels : ndarray, shape (ny, nx)
        The layer's data, or the displayed plane of a stack.
    kwargs : mapping
        The layer's name, scale, units and metadata; the user may have changed scale and units. For a plane
        of a stack also "frame", its index.
    """
    notes = kwargs.get("metadata", {}).get(KEY, {})
    frame = {"frame": kwargs["frame"]} if "frame" in kwargs else {}
    metadata, roi = roi_from_metadata(notes.get("microscope", {}))
    micrograph = Micrograph(
        np.asarray(pixels),
        name=kwargs["name"],
        source=notes.get("source", ""),
        file_hash=notes.get("file_hash", ""),
        metadata={**metadata, **frame},
        warnings=tuple(notes.get("warnings", ())),
        roi=roi,
    )
    return micrograph.with_calibration(calibration_of(kwargs))


def calibration_of(kwargs: Mapping[str, Any]) -> Calibration:
    """Scale of an image layer as currently set, with the uncertainty from the layer's metadata.

    Parameters
    ----------
    kwargs : mapping
        The layer's scale, units and metadata.
    """
    units = [str(unit) for unit in kwargs["units"]][-2:]
    return _calibration(kwargs["scale"][-2:], units, kwargs.get("metadata", {}).get(KEY, {}))


def place(scale: Sequence[float], corner: Sequence[float], unit: str) -> dict[str, Any]:
    """All arguments that define the position of a two-dimensional layer."""
    return {
        "scale": tuple(map(float, scale)),
        "translate": tuple(map(float, corner)),
        "units": (unit, unit),
        "axis_labels": AXES,
    }


def grey_range(pixels: NDArray[Any]) -> tuple[float, float]:
    """Range of the contrast slider; it is stored in the metadata because napari has no argument for it."""
    sample = _sample(pixels)
    return (float(sample.min()), float(sample.max())) if sample.size else (0.0, 1.0)


def contrast(pixels: NDArray[Any]) -> dict[str, Any]:
    """Contrast limits from the 0.5th to the 99.5th percentile."""
    sample = _sample(pixels)
    if not sample.size or sample.min() == sample.max():
        return {}
    low, high = np.percentile(sample, (0.5, 99.5))
    return {"contrast_limits": (float(low), float(high)) if low < high else grey_range(pixels)}


def _notes(image: Micrograph | ImageStack, shown: NDArray[Any]) -> dict[str, Any]:
    """Metadata of an image, for display and for `micrograph_of`."""
    calibration = image.calibration
    return {
        "role": "micrograph",
        "name": image.name,
        "source": image.source,
        "file_hash": image.file_hash,
        "calibration": {
            "uncertainty": calibration.uncertainty,
            "source": calibration.source,
            "origin": calibration.origin,
        },
        "scale": calibration.scale,
        "grey_range": grey_range(shown),
        "microscope": roi_in_metadata(image) if isinstance(image, Micrograph) else dict(image.metadata),
        "warnings": list(image.warnings),
    }


def _corner(calibration: Calibration) -> tuple[float, float]:
    if calibration.origin is None:
        return 0.0, 0.0
    (oy, ox), (sy, sx) = calibration.origin, calibration.scale
    return -oy * sy, -ox * sx


def _sample(pixels: NDArray[Any]) -> NDArray[np.float64]:
    """About 250 000 of the finite pixels, evenly distributed."""
    stride = max(1, int(np.sqrt(pixels.size / 250_000)))
    sample: NDArray[np.float64] = pixels[::stride, ::stride].astype(np.float64)
    return np.asarray(sample[np.isfinite(sample)])


def _calibration(scale: Sequence[float], units: Sequence[str], notes: Mapping[str, Any]) -> Calibration:
    known = notes.get("calibration", {})
    read = {key: value for key, value in known.items() if key == "uncertainty"}
    kinds, factors = zip(*map(quantity, units), strict=True)
    size = tuple(float(s) * factor for s, factor in zip(scale, factors, strict=True))
    kept = np.allclose(size, notes.get("scale", size), rtol=1e-9)
    source = known.get("source", "layer") if kept else GIVEN
    if set(kinds) == {"length"}:
        return Calibration((size[0], size[1]), "real", source=source, **read)
    if set(kinds) == {"inverse length"}:
        origin = tuple(known["origin"]) if known.get("origin") else None
        return Calibration((size[0], size[1]), "reciprocal", source=source, origin=origin, **read)
    return Calibration(**read)


def content_id(pixels: NDArray[Any]) -> str:
    """Return a fingerprint of an image's pixels, from their shape, type and values.

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
    """Add to a result's layer a note that identifies the pixels from which it was computed."""
    data, kwargs, kind = layer_data
    notes = {**kwargs["metadata"][KEY], IMAGE: content}
    return data, {**kwargs, "metadata": {**kwargs["metadata"], KEY: notes}}, kind


def belongs_to(metadata: Mapping[str, Any], content: str, name: str) -> bool:
    """Whether a layer is a result of the image with these pixels.

    In documents of version 0.1 the image is identified by its name only.
    """
    notes = metadata.get(KEY, {})
    if "of" not in notes:
        return False
    return bool(notes[IMAGE] == content if IMAGE in notes else notes["of"] == name)
