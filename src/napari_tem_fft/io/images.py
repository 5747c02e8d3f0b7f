"""What a data set of rosettasciio is: a micrograph, a stack of them, or something named for what it is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..core.micrograph import Micrograph
from ..core.stack import ImageStack
from .errors import ReadError
from .gatan import Signal
from .metadata import microscope_metadata
from .signals import is_lazy
from .units import Axis, calibration_of, quantity

_SPECTRAL_AXES = {"Energy", "Energy loss", "Wavelength"}


@dataclass(frozen=True, slots=True)
class Contents:
    """What a data set is, in one word for the program and a few for the user."""

    kind: Literal["image", "stack", "other"]
    words: str


def contents(signal: Signal) -> Contents:
    """Recognise a data set by its pixel type, its axes and their units (never by a mode tag)."""
    dtype, axes = signal["data"].dtype, axes_of(signal)
    if dtype.names or dtype.kind not in "buifc":
        return Contents("other", "a colour image (RGB), not data of a microscope")
    if dtype.kind == "c":
        return Contents("other", "a complex-valued Fourier transform; open the micrograph it was made of")
    if len(axes) < 2:
        return Contents("other", "a spectrum" if _spectral(signal, axes) else "a line profile")
    if _spectral(signal, axes):
        return Contents("other", f"a {'line scan of spectra' if len(axes) == 2 else 'spectrum image'}")
    if len(axes) == 2:
        return Contents("image", f"an image of {axes[0].size} x {axes[1].size} pixels")
    return Contents("stack", f"a stack of {math.prod(axis.size for axis in axes[:-2])} images")


def axes_of(signal: Signal) -> list[Axis]:
    """Axes in the order of the array."""
    return [
        Axis(
            name=str(axis.get("name") or ""),
            size=int(axis.get("size", 0)),
            scale=_scale(axis.get("scale")),
            unit=_unit(axis.get("units")),
            navigate=bool(axis.get("navigate", False)),
        )
        for axis in signal["axes"]
    ]


def stack_of(signal: Signal, frames: Any, path: Path, name: str, file_hash: str) -> ImageStack:
    """The stack in a data set of kind "stack"; `frames` gives its pixels, shape (n, ny, nx)."""
    calibration, warnings = calibration_of(*axes_of(signal)[-2:])
    return ImageStack(
        frames=frames,
        calibration=calibration,
        name=name,
        source=str(path),
        file_hash=file_hash,
        metadata=microscope_metadata(signal),
        warnings=warnings,
    )


def micrograph_of(signal: Signal, path: Path, name: str, file_hash: str) -> Micrograph:
    """The micrograph in a data set of kind "image".

    Raises
    ------
    ReadError
        If the image cannot be a micrograph.
    """
    calibration, warnings = calibration_of(*axes_of(signal)[-2:])
    try:
        return Micrograph(
            pixels=np.array(signal["data"]) if is_lazy(signal) else signal["data"],
            calibration=calibration,
            name=name,
            source=str(path),
            file_hash=file_hash,
            metadata=microscope_metadata(signal),
            warnings=warnings,
        )
    except ValueError as error:
        raise ReadError(path, str(error)) from error


def title_of(signal: Signal) -> str:
    """The image's own name in the file, empty where it has none."""
    return str(microscope_metadata(signal).get("image_name", ""))


def _spectral(signal: Signal, axes: list[Axis]) -> bool:
    if any(quantity(axis.unit)[0] == "energy" for axis in axes):
        return True
    if _format(signal) == "Image":
        return False
    return any(axis.name in _SPECTRAL_AXES for axis in axes) or (len(axes) == 2 and axes[0].navigate)


def _format(signal: Signal) -> str:
    tags = signal.get("original_metadata", {})
    for name in ("ImageList", "TagGroup0", "ImageTags", "Meta Data", "Format"):
        tags = tags.get(name, {}) if isinstance(tags, dict) else {}
    return tags if isinstance(tags, str) else ""


def _scale(scale: Any) -> float:
    """The scale as a number; NaN, which no calibration is made of, for an axis that has none."""
    try:
        return float(scale)
    except (TypeError, ValueError):
        return math.nan


def _unit(unit: Any) -> str:
    """The unit as text, empty where the file has something else in its place (as printed by the reader)."""
    return unit if isinstance(unit, str) and not unit.startswith(("[", "{", "(", "<", "Box(")) else ""
