"""What a data set of rosettasciio is: a micrograph, a stack of them, or something named for what it is."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ...core.image.calibration import NOT_CALIBRATED, Calibration
from ...core.image.micrograph import KIND, TRANSFORM, Micrograph
from ...core.image.stack import ImageStack
from ...core.image.units import quantity
from ..errors import ReadError
from .axes import ADVICE, Axis, calibration_of
from .gatan import PACKED, Signal, gatan_tag, pixel_code
from .metadata import microscope_metadata
from .signals import is_lazy

_SPECTRAL_AXES = {"Energy", "Energy loss", "Wavelength"}
#: A unit that the file writes in brackets that do not belong to a list.
_BRACKETS = re.compile(r"[\[(][^\[\](),'\"]+[\])]$|\(?1/")
#: Units of the time axis of a stack, in seconds.
_SECONDS = {
    "s": 1.0,
    "sec": 1.0,
    "second": 1.0,
    "seconds": 1.0,
    "ms": 1e-3,
    "us": 1e-6,
    "µs": 1e-6,
    "min": 60.0,
}


@dataclass(frozen=True, slots=True)
class Contents:
    """What a data set is: its kind for the program, and a description for the user."""

    kind: Literal["image", "stack", "other"]
    words: str


def contents(signal: Signal) -> Contents:
    """Recognise a data set by its pixel type, its axes and their units (never by a mode tag)."""
    dtype, axes = signal["data"].dtype, axes_of(signal)
    if dtype.names or dtype.kind not in "buifc":
        return Contents("other", "a colour image (RGB), not data of a microscope")
    if dtype.kind == "c":
        return _transform(signal, axes)
    if len(axes) < 2:
        return Contents("other", "a spectrum" if _spectral(signal, axes) else "a line profile")
    if _spectral(signal, axes):
        return Contents("other", f"a {'line scan of spectra' if len(axes) == 2 else 'spectrum image'}")
    if len(axes) == 2:
        return Contents("image", f"an image of {axes[0].size} x {axes[1].size} pixels")
    return Contents("stack", f"a stack of {math.prod(axis.size for axis in axes[:-2])} images")


def _transform(signal: Signal, axes: list[Axis]) -> Contents:
    """A complex image in 1/nm is measured by its modulus, and so is one that certainly is a transform."""
    inverse = all(quantity(axis.unit)[0] == "inverse length" for axis in axes)
    if len(axes) == 2 and (inverse or pixel_code(signal) in PACKED):
        return Contents("image", "a complex-valued Fourier transform")
    return Contents(
        "other", "a complex-valued Fourier transform or wave; open the micrograph that it was made of"
    )


def axes_of(signal: Signal) -> list[Axis]:
    """Axes in the order of the array."""
    return [
        Axis(
            name=str(axis.get("name") or ""),
            size=int(axis.get("size", 0)),
            scale=_number(axis.get("scale")),
            unit=_unit(axis.get("units")),
            navigate=bool(axis.get("navigate", False)),
            offset=_number(axis.get("offset", 0.0)),
        )
        for axis in signal["axes"]
    ]


def stack_of(signal: Signal, frames: Any, path: Path, name: str, file_hash: str) -> ImageStack:
    """The stack in a data set of kind "stack"; `frames` gives its pixels, shape (n, ny, nx)."""
    calibration, warnings = _calibration(signal)
    return ImageStack(
        frames=frames,
        calibration=calibration,
        name=name,
        source=str(path),
        file_hash=file_hash,
        metadata={**microscope_metadata(signal), **_frame_interval(axes_of(signal)[:-2])},
        warnings=warnings,
    )


def _calibration(signal: Signal) -> tuple[Calibration, tuple[str, ...]]:
    """Calibration of a data set, and what the user should know of it, the reader's own words first."""
    calibration, warnings = calibration_of(*axes_of(signal)[-2:])
    said = tuple(signal.get("warnings", ()))
    if any(text.startswith(NOT_CALIBRATED) for text in said):
        warnings = ()
    elif signal.get("picture") and calibration.space == "none" and "gives no pixel size" in warnings[0]:
        warnings = (
            f"{NOT_CALIBRATED}: a picture has no size of a pixel; {ADVICE}, or the length of its scale bar",
        )
    return calibration, (*said, *warnings)


def _frame_interval(axes: list[Axis]) -> dict[str, float]:
    """Seconds from a frame to the next, where the file's one axis of frames is of time."""
    factor = _SECONDS.get(axes[0].unit.strip().lower(), 0.0) if len(axes) == 1 else 0.0
    seconds = factor * axes[0].scale if factor else 0.0
    return {"frame_interval_s": seconds} if 0 < seconds < math.inf else {}


def micrograph_of(signal: Signal, path: Path, name: str, file_hash: str) -> Micrograph:
    """The micrograph in a data set of kind "image".

    Raises
    ------
    ReadError
        If the image cannot be a micrograph.
    """
    calibration, warnings = _calibration(signal)
    metadata = microscope_metadata(signal)
    pixels = signal["data"]
    if is_lazy(signal):
        pixels = np.array(pixels, dtype=pixels.dtype.newbyteorder("="))
    if pixels.dtype.kind == "c":
        pixels, warnings = np.abs(pixels), (*warnings, "the modulus of a complex-valued FFT is shown")
        metadata[KIND] = TRANSFORM
    try:
        return Micrograph(
            pixels=pixels,
            calibration=calibration,
            name=name,
            source=str(path),
            file_hash=file_hash,
            metadata=metadata,
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
    found = gatan_tag(signal, "ImageTags", "Meta Data", "Format")
    return found if isinstance(found, str) else ""


def _number(value: Any) -> float:
    """Scale or offset as a number; NaN, which gives no calibration, if the axis has none."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def _unit(unit: Any) -> str:
    """The unit as text, empty where the file has something else in its place (as printed by the reader)."""
    if isinstance(unit, bytes):
        unit = unit.decode("utf-8", "replace")
    listed = (
        isinstance(unit, str) and unit.startswith(("[", "{", "(", "<", "Box(")) and not _BRACKETS.match(unit)
    )
    return "" if listed or not isinstance(unit, str) or unit == "<undefined>" else unit
