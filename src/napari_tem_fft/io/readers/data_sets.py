"""Convert the data sets that rosettasciio returns to micrographs and stacks, or describe them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...core.image.calibration import AS_READ, NOT_CALIBRATED, Calibration
from ...core.image.micrograph import KIND, TRANSFORM, ImageStack, Micrograph
from ...core.image.units import Quantity, quantity
from ..plain import ReadError
from .formats import read_other, recognise
from .gatan import PACKED, Signal, gatan_tag, pixel_code, read_gatan

#: Advice for the user if the scale is unknown.
ADVICE = 'state the size of a pixel in nm (--pixel-size NM, pixel_size=, or "pixel size" in the window)'


#: Smallest and largest pixel of a micrograph, nm: a thousandth of an atom and a millimetre.
_PIXEL_NM = (1e-4, 1e6)


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis as described in the file: name, number of pixels, scale, unit as text, first value."""

    name: str
    size: int
    scale: float
    unit: str
    navigate: bool = False
    offset: float = 0.0


def calibration_of(rows: Axis, columns: Axis) -> tuple[Calibration, tuple[str, ...]]:
    """Calibration of an image from its two axes, with warnings for the user.

    Returns
    -------
    calibration : Calibration
        In space "real" or "reciprocal" if both axes have a usable scale of that kind, otherwise "none".
    warnings : tuple of str
        Empty for an image calibrated in a length.
    """
    (along_y, factor_y), (along_x, factor_x) = quantity(rows.unit), quantity(columns.unit)
    kinds, scale = (along_y, along_x), (rows.scale * factor_y, columns.scale * factor_x)
    if kinds[0] != kinds[1] or kinds[0] not in ("length", "inverse length"):
        return Calibration(), (_no_scale_warning(kinds, rows.unit, columns.unit),)
    usable = _PIXEL_NM if kinds[0] == "length" else (0.0, math.inf)
    if not all(usable[0] < s < usable[1] for s in scale):
        return Calibration(), (
            f"{NOT_CALIBRATED}: the file's pixel size is {rows.scale:g} x {columns.scale:g} {columns.unit},"
            f" which is impossible; {ADVICE}",
        )
    if kinds[0] == "length":
        return Calibration(scale, "real", source=AS_READ), ()
    origin = _origin(rows, columns)
    return Calibration(scale, "reciprocal", source=AS_READ, origin=origin), (
        "calibrated in 1/nm: a diffraction pattern or a stored FFT, measured as it is and not transformed",
    )


def _origin(rows: Axis, columns: Axis) -> tuple[float, float] | None:
    """Pixel (y, x) of g = 0; None if both axes start at 0, the default of files without an origin."""
    y, x = (0.0 - axis.offset / axis.scale for axis in (rows, columns))
    return (y, x) if (y, x) != (0.0, 0.0) and math.isfinite(y) and math.isfinite(x) else None


def _no_scale_warning(kinds: Sequence[Quantity], rows: str, columns: str) -> str:
    if "angle" in kinds:
        return (
            f"{NOT_CALIBRATED}: a diffraction pattern in {columns or rows}, an angle and not 1/nm; state"
            " the size of a pixel in 1/nm (pattern --pixel-size)"
        )
    if kinds[0] != kinds[1]:
        return f"{NOT_CALIBRATED}: the unit is {rows!r} along y but {columns!r} along x; {ADVICE}"
    if not rows.strip():
        return f"{NOT_CALIBRATED}: the file gives no pixel size; {ADVICE}"
    return f"{NOT_CALIBRATED}: the file's unit {rows!r} is not a known unit of length; {ADVICE}"


_Convert = Callable[[Any], Any]


def _positive(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if 0 < number < float("inf") else None


def _kilovolt(value: Any) -> float | None:
    volt = _positive(value)
    return None if volt is None else volt / 1e3


def _text(value: Any) -> str | None:
    if not isinstance(value, str) or value.strip().lower() in ("", "[]", "unknown", "none"):
        return None
    return " ".join(value.split())


#: Metadata entry -> tags below ImageTags in which Gatan's software stores it, preferred tag first.
_GATAN_TAGS: dict[str, tuple[tuple[str, _Convert], ...]] = {
    "voltage_kV": (("Microscope Info/Voltage", _kilovolt),),
    "magnification": (
        ("Microscope Info/Indicated Magnification", _positive),
        ("Microscope Info/Actual Magnification", _positive),
    ),
    "exposure_s": (
        ("DataBar/Exposure Time (s)", _positive),
        ("Acquisition/Parameters/High Level/Exposure (s)", _positive),
        ("Acquisition/Parameters/Detector/exposure (s)", _positive),
    ),
    "date": (("DataBar/Acquisition Date", _text), ("SI/Acquisition/Date", _text)),
    "time": (("DataBar/Acquisition Time", _text),),
    "microscope": (
        ("Session Info/Microscope", _text),
        ("Microscope Info/Microscope", _text),
        ("Microscope Info/Name", _text),
    ),
    "operator": (("Session Info/Operator", _text), ("Microscope Info/Operator", _text)),
    "specimen": (("Session Info/Specimen", _text), ("Microscope Info/Specimen", _text)),
    "camera": (("Acquisition/Device/Name", _text), ("DataBar/Device Name", _text)),
    "illumination": (("Microscope Info/Illumination Mode", _text),),
}

#: Metadata entry -> paths in the metadata that rosettasciio creates for the other formats.
_GENERAL_TAGS: dict[str, tuple[tuple[str, _Convert], ...]] = {
    "voltage_kV": (("Acquisition_instrument/TEM/beam_energy", _positive),),
    "magnification": (("Acquisition_instrument/TEM/magnification", _positive),),
    "exposure_s": (("Acquisition_instrument/TEM/Camera/exposure", _positive),),
    "date": (("General/date", _text),),
    "time": (("General/time", _text),),
    "microscope": (("Acquisition_instrument/TEM/microscope", _text),),
    "operator": (("General/authors", _text),),
}


def microscope_metadata(signal: Mapping[str, Any]) -> dict[str, Any]:
    """Extract the microscope's metadata from one data set of rosettasciio.

    Returns
    -------
    dict
        Those of these entries that the file has: voltage_kV, magnification, exposure_s (numbers), date, time
        (as written in the file), microscope, operator, specimen, camera, illumination and image_name (text).
        The magnification is for display only: no scale is derived from it.
    """
    metadata = _mapping(signal.get("metadata"))
    tags = _mapping(_value_at(_mapping(signal.get("original_metadata")), "ImageList/TagGroup0/ImageTags"))
    created = _mapping(_value_at(tags, "source/Tags at creation"))  # of a stack assembled from single images
    found: dict[str, Any] = {}
    for table, source in ((_GATAN_TAGS, tags), (_GATAN_TAGS, created), (_GENERAL_TAGS, metadata)):
        for name, places in table.items():
            values = (convert(_value_at(source, place)) for place, convert in places)
            value = next((v for v in values if v is not None), None)
            if value is not None:
                found.setdefault(name, value)
    title = _text(_value_at(metadata, "General/title"))
    return found if title is None else {"image_name": title, **found}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _value_at(tags: Mapping[str, Any], place: str) -> Any:
    """The value at a path of nested names; None if there is none."""
    value: Any = tags
    for name in place.split("/"):
        value = _mapping(value).get(name)
    return value


def read_signals(path: Path, lazy: bool = False) -> list[Signal]:
    """Read all data sets of a file, whose format is recognised by its content.

    Parameters
    ----------
    path : Path
    lazy : bool
        Return dask arrays where the format allows it. Large files always return them.

    Raises
    ------
    ReadError
        If the file cannot be read.
    """
    kind = recognise(path)
    return read_gatan(path, lazy) if kind == "dm" else read_other(path, kind, lazy)


def is_lazy(signal: Signal) -> bool:
    """Whether the pixels of a data set have not been read yet."""
    data = signal["data"]
    return not isinstance(data, np.ndarray) or isinstance(data, np.memmap)


@dataclass(frozen=True, slots=True, eq=False)
class FramesOnDisk:
    """Frames of a stack that stay on disk; the file is open only while frames are read.

    Attributes
    ----------
    path : Path
    index : int
        Index of the data set in the file.
    shape : tuple of int, (n, ny, nx)
    dtype : dtype
    """

    path: Path
    index: int
    shape: tuple[int, int, int]
    dtype: np.dtype[Any]

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return 3

    @property
    def size(self) -> int:
        """Number of pixels of all frames."""
        return math.prod(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> NDArray[Any]:
        data = read_signals(self.path, lazy=True)[self.index]["data"]
        # a copy, because a view would keep the file open
        return np.array(data.reshape(self.shape)[key], dtype=self.dtype)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self[:], dtype=dtype)


def frames_of(signal: Signal, path: Path, index: int) -> NDArray[Any] | FramesOnDisk:
    """Pixels of a stack, shape (n, ny, nx); all axes before the image axes are flattened into one."""
    *before, ny, nx = signal["data"].shape
    shape = (math.prod(before), ny, nx)
    if is_lazy(signal):
        return FramesOnDisk(path, index, shape, np.dtype(signal["data"].dtype).newbyteorder("="))
    frames: NDArray[Any] = signal["data"].reshape(shape)
    return frames


_SPECTRAL_AXES = {"Energy", "Energy loss", "Wavelength"}
#: A unit in brackets, as some files write it, but not a printed list.
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
    """Kind of a data set for the program, and a description of it for the user."""

    kind: Literal["image", "stack", "other"]
    description: str


def contents(signal: Signal) -> Contents:
    """Classify a data set by its pixel type, its axes and their units (not by tags that name a mode)."""
    dtype, axes = signal["data"].dtype, axes_of(signal)
    if dtype.names or dtype.kind not in "buifc":
        return Contents("other", "a colour image (RGB), not a micrograph")
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
    """Accept a complex image in 1/nm, or stored as a packed transform: its modulus can be measured."""
    inverse = all(quantity(axis.unit)[0] == "inverse length" for axis in axes)
    if len(axes) == 2 and (inverse or pixel_code(signal) in PACKED):
        return Contents("image", "a complex-valued Fourier transform")
    return Contents(
        "other", "a complex-valued Fourier transform or wave; open the micrograph from which it was computed"
    )


def axes_of(signal: Signal) -> list[Axis]:
    """Axes of a data set in the order of its array."""
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
    """Create the stack of a data set of kind "stack"; `frames` are its pixels, shape (n, ny, nx)."""
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
    """Calibration of a data set and warnings for the user, starting with those of the reader."""
    calibration, warnings = calibration_of(*axes_of(signal)[-2:])
    reader_warnings = tuple(signal.get("warnings", ()))
    if any(text.startswith(NOT_CALIBRATED) for text in reader_warnings):
        warnings = ()
    elif signal.get("picture") and calibration.space == "none" and "gives no pixel size" in warnings[0]:
        warnings = (
            f"{NOT_CALIBRATED}: a picture has no pixel size; {ADVICE}, or the length of its scale bar",
        )
    return calibration, (*reader_warnings, *warnings)


def _frame_interval(axes: list[Axis]) -> dict[str, float]:
    """Interval between frames in seconds, if the stack has a single frame axis in units of time."""
    factor = _SECONDS.get(axes[0].unit.strip().lower(), 0.0) if len(axes) == 1 else 0.0
    seconds = factor * axes[0].scale if factor else 0.0
    return {"frame_interval_s": seconds} if 0 < seconds < math.inf else {}


def micrograph_of(signal: Signal, path: Path, name: str, file_hash: str) -> Micrograph:
    """Create the micrograph of a data set of kind "image".

    Raises
    ------
    ReadError
        If the image cannot be used as a micrograph.
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
    """The image's own name in the file; empty if it has none."""
    return str(microscope_metadata(signal).get("image_name", ""))


def _spectral(signal: Signal, axes: list[Axis]) -> bool:
    if any(quantity(axis.unit)[0] == "energy" for axis in axes):
        return True
    if gatan_tag(signal, "ImageTags", "Meta Data", "Format") == "Image":
        return False
    return any(axis.name in _SPECTRAL_AXES for axis in axes) or (len(axes) == 2 and axes[0].navigate)


def _number(value: Any) -> float:
    """Scale or offset as a number; NaN (no calibration) if it is missing."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def _unit(unit: Any) -> str:
    """The unit as text; empty if it is undefined or not a text, even if printed as one (a list, a Box)."""
    if isinstance(unit, bytes):
        unit = unit.decode("utf-8", "replace")
    listed = (
        isinstance(unit, str) and unit.startswith(("[", "{", "(", "<", "Box(")) and not _BRACKETS.match(unit)
    )
    return "" if listed or not isinstance(unit, str) or unit == "<undefined>" else unit
