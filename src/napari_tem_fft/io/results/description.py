"""Contents of ``analysis.json``: an analysis without its arrays, with units, versions and the file's hash.

In files the scale's uncertainty is stored among the parameters, which is part of the file format; in memory
it belongs to the image's calibration.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from ... import __version__
from ...core.crystal.phase import Phase
from ...core.crystal.structure import LatticePlanes, Structure
from ...core.grains.plane_cell import PlaneCell
from ...core.image.calibration import UNCERTAINTY, Calibration
from ...core.image.micrograph import Micrograph
from ...core.image.roi import roi_in_metadata
from ...core.maps.component_map import ComponentMap
from ...core.matching import ImageGeometry
from ...core.matching.library_candidates import LibrarySearch
from ...core.matching.params import OUTSIDE
from ...core.parameters import from_dict, to_dict
from ...core.pipeline import Analysis, AnalysisParams, EditStart
from ...core.profile.radial_profile import ProfilePeak
from ...core.spots.spot import Spot
from ..phases.table import load_table
from ..plain import from_plain, to_plain


def describe_parameters(params: AnalysisParams, calibration: Calibration) -> dict[str, Any]:
    """Parameters and the scale's uncertainty as JSON values."""
    percent = max(calibration.uncertainty_percent, UNCERTAINTY.field.low or 0.0)
    return {UNCERTAINTY.name: percent, **to_dict(params)}


def restore_parameters(stored: Mapping[str, Any]) -> tuple[AnalysisParams, float | None]:
    """Restore parameters, and the scale's uncertainty in per cent if it is among them.

    Raises
    ------
    ValueError
        If a name is unknown, or a value has the wrong type or exceeds its limits.
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
    """Drop the weight of phases outside the candidates, which version 0.1 stored even if it was not set."""
    if params.matching.outside != OUTSIDE:
        return params
    return replace(params, matching=replace(params.matching, outside=None))


def with_stored_uncertainty(calibration: Calibration, percent: float | None) -> Calibration:
    """The calibration of a stored analysis, with the uncertainty from its parameters, which it used.

    In files of version 0.1 the image's calibration could have a different uncertainty.
    """
    if percent is None or percent == describe_parameters(AnalysisParams(), calibration)[UNCERTAINTY.name]:
        return calibration
    return calibration.with_uncertainty(percent / 100)


FORMAT = "napari-tem-fft analysis"
FORMAT_VERSION = 1
#: Units, written to each file.
UNITS = {
    "length": "nm",
    "area": "nm^2",
    "frequency g": "1/nm, without 2 pi; d = 1/|g|",
    "pairs": "(y, x)",
    "azimuth": "degrees counter-clockwise from +x as displayed, modulo 180",
    "orientation": "azimuth (rotation, modulo period) of the normal of hkl, zone_axis away from the viewer",
    "sigma": "one standard uncertainty of the fit alone; that of the calibration is stated separately",
    "d": "with the image's calibration; scale is the factor that a match would need",
    "geometry": "mean is ln of the factor on d, then stretch of g along x against y and along the diagonal",
    "snr": "power over mean noise power",
    "plane_cells": "reduced reciprocal cell of each grain's spots: a <= b (1/nm), angle 60 to 90 degrees",
    "log_false_alarm": "natural logarithm",
}
LIBRARIES = ("numpy", "scipy", "scikit-image", "rosettasciio", "gemmi")
_TEXTS = ("id", "name", "formula", "space_group", "source", "flag", "checked", "label")
_ARRAYS = {"sites": float, "occupancy": float, "element": np.intp, "factors": float, "rotations": np.int64}
#: Most sites of a stored structure.
MOST_SITES = 20_000


def describe(
    analysis: Analysis, maps: Sequence[str], files: Sequence[str], cells: Mapping[int, PlaneCell | None]
) -> dict[str, Any]:
    """Everything except the arrays, as JSON values.

    Parameters
    ----------
    maps : sequence of str
        File name of the map of each component.
    files : sequence of str
        All files that are written together with the description.
    cells : mapping of int to PlaneCell or None
        Plane cell of each grain, by the grain's id.
    """
    return {
        **written(FORMAT, FORMAT_VERSION),
        "micrograph": describe_micrograph(analysis.micrograph),
        "units": UNITS,
        "parameters": describe_parameters(analysis.params, analysis.micrograph.calibration),
        "network": to_plain(analysis.network) if analysis.network is not None else None,
        "warnings": list(analysis.warnings),
        "map_grid": to_plain(analysis.map_grid),
        "specimen_area": float(analysis.specimen.sum() * analysis.map_grid.pixel_area),
        "vacuum_found": analysis.vacuum_found,
        "specimen_by_user": analysis.specimen_by_user,
        "components": [
            _without_keys(component, "heat") | {"map": name, "label": label}
            for label, (component, name) in enumerate(zip(analysis.components, maps, strict=True), 1)
        ],
        "matches": to_plain(analysis.matches),
        "rings": to_plain(analysis.rings),
        "geometry": _geometry(analysis.geometry),
        "decisions": to_plain(analysis.decisions),
        "edit_start": _describe_start(analysis.edit_start) if analysis.edit_start is not None else None,
        "grains": to_plain(analysis.grains),
        "spots": [_spot(spot) for spot in analysis.spots],
        "peaks": [_peak(peak) for profile in analysis.profiles for peak in profile.peaks],
        "phases": [phase.id for phase in analysis.phases],
        "others": [phase.id for phase in analysis.non_candidates],
        "candidates_stated": analysis.candidates_stated,
        "own_phases": to_plain(_phases_to_store(analysis.known_phases)),
        "library": describe_library(analysis.searched, analysis.known_phases),
        "plane_cells": [_plane_cell(grain.id, cells[grain.id]) for grain in analysis.grains],
        "files": list(files),
    }


def written(format_name: str, version: int) -> dict[str, Any]:
    """Format, time of writing and software versions."""
    return {
        "format": format_name,
        "format_version": version,
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "software": _software(),
    }


def describe_micrograph(micrograph: Micrograph) -> dict[str, Any]:
    """Everything about a micrograph except its pixels: file, hash, calibration and its origin, microscope."""
    return {
        "name": micrograph.name,
        "file": micrograph.source,
        "sha256": micrograph.file_hash,
        "shape": list(micrograph.shape),
        "dtype": micrograph.pixels.dtype.name,
        "calibration": to_plain(micrograph.calibration) | {"unit": micrograph.calibration.unit},
        "metadata": _json_metadata(roi_in_metadata(micrograph)),
        "warnings": list(micrograph.warnings),
    }


def _geometry(geometry: ImageGeometry | None) -> dict[str, Any] | None:
    """The scale and stretch that the grains share, with derived values for readers."""
    if geometry is None:
        return None
    derived = ("scale", "scale_sigma", "stretch", "stretch_sigma", "direction")
    return {**to_plain(geometry), **{name: getattr(geometry, name) for name in derived}}


def _describe_start(start: EditStart) -> dict[str, Any]:
    """The spots and grains from which edits start; their maps are separate files."""
    return {
        "spots": [_spot(spot) for spot in start.found.spots],
        "grains": to_plain(start.found.grains),
        "specimen": start.specimen is not None,
    }


def _spot(spot: Spot) -> dict[str, Any]:
    derived = {"d": spot.d, "d_sigma": spot.d_sigma}
    angles = {"azimuth": spot.azimuth, "azimuth_sigma": spot.azimuth_sigma}
    return {**to_plain(spot), **derived, **angles}


def _peak(peak: ProfilePeak) -> dict[str, Any]:
    return {**to_plain(peak), "d": peak.d, "d_sigma": peak.d_sigma}


def _without_keys(component: ComponentMap, array: str) -> dict[str, Any]:
    names = [name for name in ComponentMap.__slots__ if name != array]
    return {name: to_plain(getattr(component, name)) for name in names}


def _json_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata from the image's file; values that JSON cannot represent are written as text."""
    out: dict[str, Any] = {}
    for key, value in metadata.items():
        try:
            out[str(key)] = to_plain(value)
        except TypeError:
            out[str(key)] = str(value)
    return out


@cache
def _software() -> dict[str, str]:
    found = {"napari-tem-fft": __version__, "python": platform.python_version()}
    for library in LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return found


def _phases_to_store(phases: Sequence[Phase]) -> list[Phase]:
    """Phases that are not in the bundled table and must be stored in full."""
    bundled = {phase.id: phase for phase in load_table()}
    return [phase for phase in phases if bundled.get(phase.id) is not phase and not is_by_atoms(phase)]


def _plane_cell(grain: int, cell: PlaneCell | None) -> dict[str, Any] | None:
    """A grain's own two-dimensional reciprocal cell, as far as its spots determine one."""
    if cell is None:
        return None
    names = ("a", "a_sigma", "b", "b_sigma", "angle", "angle_sigma")
    numbers = {name: getattr(cell, name) for name in names}
    return {"grain": grain, **numbers, "d_a": cell.d[0], "d_b": cell.d[1], "spots": list(cell.spots)}


def is_by_atoms(phase: Phase) -> bool:
    """Whether a phase is stored by its atoms: phases of a library, and those that refer to a library's."""
    return isinstance(phase.reflections, LatticePlanes) and (
        "library" in phase.tags or bool(phase.references)
    )


def describe_library(searched: LibrarySearch | None, phases: Sequence[Phase]) -> dict[str, Any] | None:
    """The library searched, and phases with their atoms; None if there was no search and no such phase."""
    if searched is None:
        return None
    return {
        **to_plain(searched),
        "text": searched.text,
        "phases": [_describe(phase) for phase in phases if is_by_atoms(phase)],
    }


def restore_library(stored: Mapping[str, Any] | None) -> tuple[LibrarySearch | None, tuple[Phase, ...]]:
    """Restore the result of `describe_library`.

    Raises
    ------
    ValueError, KeyError, TypeError
        If the data are damaged.
    """
    if not stored:
        return None, ()
    return from_plain(LibrarySearch, stored), tuple(_restore(one) for one in stored["phases"])


def _describe(phase: Phase) -> dict[str, Any]:
    planes = phase.reflections
    if not isinstance(planes, LatticePlanes):
        raise TypeError(f"{phase.id} has no atoms")
    structure = planes.structure
    own = {name: getattr(phase, name) for name in _TEXTS}
    own |= {"elements": sorted(phase.elements), "tags": list(phase.tags), "aliases": list(phase.aliases)}
    own |= {"cell": list(phase.cell), "d_min": planes.d_min, "zone_share": planes.zone_share}
    own["zones"] = None if planes.zones is None else sorted(planes.zones)
    own |= {name: np.round(getattr(structure, name), 7).tolist() for name in _ARRAYS}
    own["kin"] = sorted(phase.kin)
    own["references"] = [_describe(one) for one in phase.references[1:]]
    return own


def _restore(stored: Mapping[str, Any]) -> Phase:
    arrays = {name: np.array(stored[name], kind) for name, kind in _ARRAYS.items()}
    sites = len(arrays["sites"])
    shapes = {"sites": (sites, 3), "occupancy": (sites,), "element": (sites,)}
    fits = all(arrays[name].shape == shape for name, shape in shapes.items())
    if not fits or not 0 < sites <= MOST_SITES or arrays["element"].max() >= len(arrays["factors"]):
        raise ValueError(f"the atoms of {stored['id']} are incomplete")
    cell = tuple(float(value) for value in stored["cell"])
    structure = Structure(cell, **arrays)
    zones = None if stored["zones"] is None else frozenset(_axis(uvw) for uvw in stored["zones"])
    planes = LatticePlanes(structure, float(stored["d_min"]), zones, float(stored["zone_share"]))
    texts: dict[str, Any] = {name: str(stored[name]) for name in _TEXTS}
    phase = Phase(
        **texts,
        elements=frozenset(map(str, stored["elements"])),
        cell=cell,
        reflections=planes,
        tags=tuple(map(str, stored["tags"])),
        aliases=tuple(map(str, stored["aliases"])),
        kin=frozenset(map(str, stored.get("kin", ()))),  # since version 0.3
    )
    more = tuple(_restore(one) for one in stored["references"])
    return replace(phase, references=(phase, *more)) if more else phase


def _axis(uvw: Sequence[int]) -> tuple[int, int, int]:
    u, v, w = uvw
    return int(u), int(v), int(w)
