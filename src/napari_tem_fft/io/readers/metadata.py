"""Metadata of the microscope in a file, under the names that users look for. Every entry may be missing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

_Convert = Callable[[Any], Any]


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if 0 < number < float("inf") else None


def _kilovolt(value: Any) -> float | None:
    volt = _number(value)
    return None if volt is None else volt / 1e3


def _text(value: Any) -> str | None:
    if not isinstance(value, str) or value.strip().lower() in ("", "[]", "unknown", "none"):
        return None
    return " ".join(value.split())


#: Entry -> places where Gatan's program writes it, best first, within ImageTags.
_GATAN_TAGS: dict[str, tuple[tuple[str, _Convert], ...]] = {
    "voltage_kV": (("Microscope Info/Voltage", _kilovolt),),
    "magnification": (
        ("Microscope Info/Indicated Magnification", _number),
        ("Microscope Info/Actual Magnification", _number),
    ),
    "exposure_s": (
        ("DataBar/Exposure Time (s)", _number),
        ("Acquisition/Parameters/High Level/Exposure (s)", _number),
        ("Acquisition/Parameters/Detector/exposure (s)", _number),
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

#: Entry -> places in the metadata that rosettasciio creates from the other formats.
_GENERAL_TAGS: dict[str, tuple[tuple[str, _Convert], ...]] = {
    "voltage_kV": (("Acquisition_instrument/TEM/beam_energy", _number),),
    "magnification": (("Acquisition_instrument/TEM/magnification", _number),),
    "exposure_s": (("Acquisition_instrument/TEM/Camera/exposure", _number),),
    "date": (("General/date", _text),),
    "time": (("General/time", _text),),
    "microscope": (("Acquisition_instrument/TEM/microscope", _text),),
    "operator": (("General/authors", _text),),
}


def microscope_metadata(signal: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata of one data set of rosettasciio.

    Returns
    -------
    dict
        voltage_kV, magnification, exposure_s (numbers), date, time (as the file writes them),
        microscope, operator, specimen, camera, illumination and image_name (text); those that the file
        has. The magnification is for display only: no scale is ever derived from it.
    """
    metadata = _mapping(signal.get("metadata"))
    tags = _mapping(_at(_mapping(signal.get("original_metadata")), "ImageList/TagGroup0/ImageTags"))
    created = _mapping(_at(tags, "source/Tags at creation"))  # where a stack was built of single images
    found: dict[str, Any] = {}
    for table, source in ((_GATAN_TAGS, tags), (_GATAN_TAGS, created), (_GENERAL_TAGS, metadata)):
        for name, places in table.items():
            values = (convert(_at(source, place)) for place, convert in places)
            value = next((v for v in values if v is not None), None)
            if value is not None:
                found.setdefault(name, value)
    title = _text(_at(metadata, "General/title"))
    return found if title is None else {"image_name": title, **found}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _at(tags: Mapping[str, Any], place: str) -> Any:
    """The value at a path of names, None where there is none."""
    value: Any = tags
    for name in place.split("/"):
        value = _mapping(value).get(name)
    return value
