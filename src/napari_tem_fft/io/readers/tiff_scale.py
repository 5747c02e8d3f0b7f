"""Pixel size of a TIFF file along x and y, from the metadata of microscope software, ImageJ and OME.

A resolution for printing (such as 72 dots per inch) is never used as a pixel size.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

import tifffile

from ...core.image.calibration import NOT_CALIBRATED
from ...core.image.units import quantity

Pair = tuple[float, float]

#: A pixel in cm or inch that is larger than this, nm, is a resolution for printing.
LARGEST_PRINTED = 1000.0
#: Smallest plausible pixel of a resolution in cm or inch, nm.
SMALLEST = 1e-4
#: Unit of the resolution in nm, by TIFF's ResolutionUnit.
_RESOLUTION_NM = {2: 25.4e6, 3: 1e7}
#: Longest text of a tag that is searched, characters.
LONGEST = 2**20
#: Gatan's own tags: unit, origin and scale, each of x and of y.
_GATAN = {"units": (65003, 65004), "offset": (65006, 65007), "scale": (65009, 65010)}
_SIS, _TVIPS, _ZEISS = (33560, 33471), 37706, 34118
#: TVIPS' code for the microscope's diffraction mode.
_TVIPS_DIFFRACTION = 3


@dataclass(frozen=True, slots=True)
class Scale:
    """Pixel size along y and x as stated in a file.

    Attributes
    ----------
    size, offset : tuple of float, (y, x)
    units : tuple of str, (y, x)
        As written in the file; empty if there is no scale.
    warnings : tuple of str
    instrument : str
        Manufacturer or program that wrote the scale; empty if there is none.
    microscope : dict
        Other metadata of the microscope, with rosettasciio's names.
    """

    size: Pair = (math.nan, math.nan)
    units: tuple[str, str] = ("", "")
    offset: Pair = (0.0, 0.0)
    warnings: tuple[str, ...] = ()
    instrument: str = ""
    microscope: dict[str, Any] = field(default_factory=dict)


def scale_of(file: tifffile.TiffFile, page: tifffile.TiffPage, number: int = 0) -> Scale:
    """Read the scale of a page from the first metadata that states one, those of microscopes first.

    Parameters
    ----------
    number : int
        Index of the image in the file, for metadata that list several images.
    """
    readers: tuple[tuple[str, Callable[[tifffile.TiffFile, tifffile.TiffPage, int], Scale | None]], ...] = (
        ("FEI", _fei),
        ("TVIPS", _tvips),
        ("Olympus", _olympus),
        ("Zeiss", _zeiss),
        ("Gatan", _gatan),
        ("ImageJ", _imagej),
        ("OME", _ome),
        ("Thermo", _thermo),
        ("the resolution in its header", _resolution),
    )
    for name, read in readers:
        try:
            found = read(file, page, number)
        except (
            KeyError,
            TypeError,
            ValueError,
            IndexError,
            AttributeError,
            ZeroDivisionError,
            OverflowError,
        ):
            continue  # damaged metadata count as missing
        if found is not None:
            return Scale(found.size, found.units, found.offset, found.warnings, name, found.microscope)
    return Scale()


def _scale_of_sizes(unit: str, y: Any, x: Any, **microscope: Any) -> Scale | None:
    """A scale with these pixel sizes; None if they are not positive and finite."""
    size = float(y), float(x)
    if not all(0 < s < math.inf for s in size):
        return None
    return Scale(size, (unit, unit), microscope={k: v for k, v in microscope.items() if v is not None})


def _fei(file: tifffile.TiffFile, page: tifffile.TiffPage, number: int) -> Scale | None:
    """FEI's and Thermo's text in sections: metres per pixel of the scan, or the field of view."""
    sections = file.fei_metadata if file.is_fei else None
    if not sections:
        return None
    volt = _section(sections, "Beam").get("HV")
    kilovolt = volt / 1e3 if isinstance(volt, int | float) else None
    for name in ("Scan", "EScan", "CScan"):
        entry = _section(sections, name)
        if "PixelWidth" in entry and "PixelHeight" in entry:
            return _scale_of_sizes("m", entry["PixelHeight"], entry["PixelWidth"], beam_energy=kilovolt)
    image = _section(sections, "Image")
    for name in ("IRBeam", "EBeam", "CBeam", "Beam"):
        entry = _section(sections, name)
        if "HFW" in entry and "VFW" in entry:
            sizes = entry["VFW"] / image["ResolutionY"], entry["HFW"] / image["ResolutionX"]
            return _scale_of_sizes("m", *sizes, beam_energy=kilovolt)
    return None


def _section(sections: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = sections.get(name)
    return found if isinstance(found, Mapping) else {}


def _tvips(file: tifffile.TiffFile, page: tifffile.TiffPage, number: int) -> Scale | None:
    """TVIPS: nm per pixel; older versions store it as the resolution."""
    if not page.is_tvips:
        return None
    entry = page.tags[_TVIPS].value
    volt = entry.get("TemHighTension")
    known = {"beam_energy": volt / 1e3 if volt else None, "magnification": entry.get("TemMagnification")}
    if entry.get("TemMode") == _TVIPS_DIFFRACTION:
        text = f"{NOT_CALIBRATED}: a diffraction pattern, and the file states no pixel size in 1/nm"
        return Scale(warnings=(text,), microscope={"beam_energy": known["beam_energy"]})
    if "PixelSizeX" in entry and "PixelSizeY" in entry:
        found = _scale_of_sizes("nm", entry["PixelSizeY"], entry["PixelSizeX"], **known)
        if found is not None:
            return found
    return _resolution(file, page, number)


def _olympus(file: tifffile.TiffFile, page: tifffile.TiffPage, number: int) -> Scale | None:
    """Olympus (SIS): metres per pixel."""
    for code in _SIS:
        entry = page.tags[code].value if code in page.tags else None
        if isinstance(entry, Mapping) and "pixelsizex" in entry:
            magnification = entry.get("magnification")
            return _scale_of_sizes(
                "m",
                entry.get("pixelsizey", entry["pixelsizex"]),
                entry["pixelsizex"],
                magnification=magnification,
            )
    return None


def _zeiss(file: tifffile.TiffFile, page: tifffile.TiffPage, number: int) -> Scale | None:
    """Zeiss (SmartSEM): the pixel size with its unit."""
    if not page.is_sem:
        return None
    entry = page.tags[_ZEISS].value
    for name in ("ap_image_pixel_size", "ap_pixel_size"):
        if name in entry:
            _, size, unit = entry[name]
            return _scale_of_sizes(str(unit), size, size)
    metres = entry[""][3] * 1024 / page.imagewidth
    return _scale_of_sizes("m", metres, metres)


def _gatan(file: tifffile.TiffFile, page: tifffile.TiffPage, number: int) -> Scale | None:
    """Gatan's software and rosettasciio: unit, scale and origin of each axis."""
    if not all(code in page.tags for code in _GATAN["scale"]):
        return None
    (x, y), (unit_x, unit_y) = (
        [page.tags[code].value if code in page.tags else "" for code in _GATAN[name]]
        for name in ("scale", "units")
    )
    first = [float(page.tags[code].value) if code in page.tags else 0.0 for code in _GATAN["offset"]]
    return Scale((float(y), float(x)), (_text(unit_y), _text(unit_x)), (first[1], first[0]))


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value or "")


def _imagej(file: tifffile.TiffFile, page: tifffile.TiffPage, number: int) -> Scale | None:
    """ImageJ: pixels per unit; the description names the unit, and sometimes a separate one for y."""
    metadata = file.imagej_metadata if file.is_imagej else None
    unit = _text((metadata or {}).get("unit", ""))
    if (
        not unit
        or metadata is None
        or (quantity(unit)[0] == "none" and unit.strip('"').lower() in ("pixel", "pixels", "px"))
    ):
        return None
    y, x = _units_per_pixel(page)
    return _refuse_print_resolution(y, x, (_text(metadata.get("yunit")) or unit, unit))


def _ome(file: tifffile.TiffFile, page: tifffile.TiffPage, number: int) -> Scale | None:
    """OME-XML: physical size and unit (micrometres by default) of each image."""
    root = _xml(file.pages.first.description)
    pixels = [] if root is None else [one for one in root.iter() if _local_name(one.tag) == "Pixels"]
    if not pixels:
        return None
    entry = pixels[number if number < len(pixels) else 0].attrib
    if "PhysicalSizeX" not in entry and "PhysicalSizeY" not in entry:
        return None
    sizes, units = [], []
    for axis in "YX":
        present = f"PhysicalSize{axis}" in entry
        sizes.append(float(entry[f"PhysicalSize{axis}"]) if present else math.nan)
        units.append(entry.get(f"PhysicalSize{axis}Unit", "\u00b5m") if present else "")
    return Scale((sizes[0], sizes[1]), (units[0], units[1]))


def _thermo(file: tifffile.TiffFile, page: tifffile.TiffPage, number: int) -> Scale | None:
    """Newer software of Thermo Fisher and FEI (Velox, EPU, TIA): JSON or XML in one of the tags."""
    for text in _texts(page):
        found = _in_json(text) if text.startswith("{") else _in_xml(text)
        if found is not None:
            return found
    return None


def _texts(page: tifffile.TiffPage) -> Iterator[str]:
    """Yield the texts in a page's description and private tags that may be XML or JSON."""
    for tag in page.tags:
        if (tag.code != 270 and tag.code < 32768) or not isinstance(tag.value, str | bytes):
            continue
        text = tag.value if isinstance(tag.value, str) else tag.value.decode("utf-8", "replace")
        text = text.strip("\0 \r\n\t\ufeff")
        if text[:1] in ("{", "<") and len(text) < LONGEST:
            yield text


def _in_json(text: str) -> Scale | None:
    """Velox: BinaryResult.PixelSize with its unit."""
    stored = json.loads(text)
    entry = stored.get("BinaryResult", stored) if isinstance(stored, dict) else {}
    size = entry.get("PixelSize")
    if not isinstance(size, dict):
        return None
    unit = str(entry.get("PixelUnitX", "m")), str(entry.get("PixelUnitY", "m"))
    found = _scale_of_sizes(unit[0], size["height"], size["width"])
    return None if found is None else Scale(found.size, (unit[1], unit[0]))


def _in_xml(text: str) -> Scale | None:
    """EPU: pixelSize with x and y; FEI's older software: a list of labels with values and units."""
    root = _xml(text)
    if root is None:
        return None
    for node in root.iter():
        if _local_name(node.tag).lower() == "pixelsize":
            sizes = {_local_name(axis.tag).lower(): _value(axis) for axis in node}
            if sizes.get("x") and sizes.get("y"):
                return _scale_of_sizes("m", sizes["y"], sizes["x"])
    labels = {}
    for node in root.iter():
        entry = {_local_name(child.tag): (child.text or "").strip() for child in node}
        if {"Label", "Value", "Unit"} <= entry.keys():
            name = re.sub(r"[\s_()]", "", entry["Label"]).lower()
            labels[name] = (float(entry["Value"]), entry["Unit"]) if _is_number(entry["Value"]) else (0.0, "")
    for names in (("pixelsizey", "pixelsizex"), ("pixelheight", "pixelwidth"), ("pixelsize", "pixelsize")):
        if all(name in labels for name in names):
            (y, unit_y), (x, unit_x) = (labels[name] for name in names)
            return Scale((y, x), (unit_y, unit_x))
    return None


def _value(axis: ElementTree.Element) -> float:
    texts = [(child.text or "").strip() for child in axis if _local_name(child.tag).lower() == "numericvalue"]
    return float(texts[0]) if texts else 0.0


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _xml(text: str) -> ElementTree.Element | None:
    """The root of an XML text without entity definitions; None for anything else."""
    text = text.strip("\0 \r\n\t\ufeff")
    if not text.startswith("<") or len(text) > LONGEST or "<!ENTITY" in text or "<!DOCTYPE" in text:
        return None
    try:
        return ElementTree.fromstring(text.encode())
    except ElementTree.ParseError:
        return None


def _local_name(tag: Any) -> str:
    """The name of an element or attribute without its namespace."""
    return str(tag).rpartition("}")[2]


def _resolution(file: tifffile.TiffFile, page: tifffile.TiffPage, number: int) -> Scale | None:
    """The resolution in the header, unless it is a resolution for printing."""
    code = int(page.tags["ResolutionUnit"].value) if "ResolutionUnit" in page.tags else 2
    y, x = (_RESOLUTION_NM[code] * step for step in _units_per_pixel(page))
    if not all(SMALLEST < step < LARGEST_PRINTED for step in (y, x)):
        return None
    text = "the pixel size comes from the resolution in the TIFF's header; no microscope software states it"
    return Scale((y, x), ("nm", "nm"), warnings=(text,))


def _units_per_pixel(page: tifffile.TiffPage) -> Pair:
    """Units per pixel along y and x."""
    steps = []
    for name in ("YResolution", "XResolution"):
        number, divisor = page.tags[name].value
        steps.append(divisor / number)
    return steps[0], steps[1]


def _refuse_print_resolution(y: float, x: float, units: tuple[str, str]) -> Scale:
    """A scale, or a warning if it is in cm or inch and so coarse that it is meant for printing."""
    for step, unit in ((y, units[0]), (x, units[1])):
        kind, factor = quantity(unit)
        if kind == "length" and factor in _RESOLUTION_NM.values() and step * factor > LARGEST_PRINTED:
            dots = f"{25.4e6 / (step * factor):.3g} dots per inch"
            text = f"{NOT_CALIBRATED}: the file has only a resolution for printing ({dots}), no pixel size"
            return Scale(warnings=(text,))
    return Scale((y, x), units)
