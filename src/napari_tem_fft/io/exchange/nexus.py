"""Export of an analysis as one NeXus file, according to the application definition NXem as far as it applies.

NXem describes a session at a microscope. Fields that a micrograph's file does not state (vendor and model of
the microscope, preparation of the sample, whether it is simulated) are omitted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path, PureWindowsPath
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ...core.crystal.phase import Phase
from ...core.image.micrograph import Micrograph
from ...core.pipeline import Analysis
from ..plain import to_plain
from ..results.description import describe_parameters, written
from ..results.grain_tables import grain_rows
from ..results.map_files import label_planes
from .orientation_maps import orientation_grid

#: Columns of the table of grains that are written, with their units.
GRAIN_FIELDS = {
    "grain": "", "area_nm2": "nm^2", "diameter_nm": "nm", "x_nm": "nm", "y_nm": "nm", "probability": "",
    "euler_phi1_deg": "degree", "euler_Phi_deg": "degree", "euler_phi2_deg": "degree",
}  # fmt: skip


def write_nexus(path: str | Path, analysis: Analysis) -> Path:
    """Write micrograph, maps, grains, phases and provenance to a NeXus file (.nxs, HDF5).

    Parameters
    ----------
    path : path
    analysis : Analysis

    Returns
    -------
    Path

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    path = Path(path)
    with h5py.File(path, "w") as file:
        about = written("", 0)
        file.attrs.update({"NX_class": "NXroot", "default": "entry1", "creator": "napari-tem-fft",
                           "file_name": path.name, "file_time": about["written"]})  # fmt: skip
        entry = _group(file, "entry1", "NXentry", default="measurement")
        _text(entry, definition="NXem", title=analysis.micrograph.name,
              experiment_description="high-resolution TEM micrograph and its analysis")  # fmt: skip
        if start := _start_time(analysis.micrograph):
            _text(entry, start_time=start)
        _write_software(entry, about["software"])
        _write_input(entry, analysis.micrograph)
        _write_sample(entry, analysis)
        _write_conventions(entry)
        _write_measurement(entry, analysis.micrograph)
        _write_result(entry, analysis)
    return path


def _write_software(entry: h5py.Group, software: Mapping[str, str]) -> None:
    profiling = _group(entry, "profiling", "NXcs_profiling")
    for number, (name, version) in enumerate(software.items(), 1):
        program = _group(profiling, f"program{number}", "NXprogram")
        _text(program, program=name)
        program["program"].attrs["version"] = version


def _write_input(entry: h5py.Group, micrograph: Micrograph) -> None:
    """Write name and hash of the micrograph's original file."""
    note = _group(entry, "note1", "NXnote")
    name = PureWindowsPath(micrograph.source).name or micrograph.name
    _text(note, type="file", file_name=name, checksum=micrograph.file_hash, algorithm="sha256")


def _write_sample(entry: h5py.Group, analysis: Analysis) -> None:
    sample = _group(entry, "sample1", "NXsample")
    specimen = str(analysis.micrograph.metadata.get("specimen", ""))
    elements = sorted({element for one in orientation_grid(analysis).phases for element in one.elements})
    _text(sample, name=specimen, atom_types=", ".join(elements))


def _write_conventions(entry: h5py.Group) -> None:
    rotations = _group(entry, "consistent_rotations", "NXparameters")
    _text(rotations, rotation_handedness="counter_clockwise", rotation_convention="passive",
          euler_angle_convention="zxz", axis_angle_convention="rotation_angle_on_interval_zero_to_pi",
          sign_convention="p_minus_one")  # fmt: skip
    frame = _group(entry, "processing_reference_frame", "NXcoordinate_system")
    _text(frame, alias="image", type="cartesian", origin="front_top_left", x_direction="east",
          y_direction="south", z_direction="in")  # fmt: skip
    for name, axis in zip("xyz", np.eye(3), strict=True):
        frame[name] = axis


def _write_measurement(entry: h5py.Group, micrograph: Micrograph) -> None:
    measurement = _group(entry, "measurement", "NXem_measurement", default="event1")
    instrument = _group(measurement, "instrument", "NXem_instrument")
    _text(instrument, name=str(micrograph.metadata.get("microscope", "")), type="tem")
    event = _group(measurement, "event1", "NXem_event_data", default="image1")
    if voltage := micrograph.metadata.get("voltage_kV"):
        state = _group(event, "instrument", "NXem_instrument")
        source = _group(_group(state, "ebeam_column", "NXebeam_column"), "electron_source", "NXsource")
        _number(source, "voltage", 1e3 * float(voltage), "V")
    image = _group(event, "image1", "NXimage", default="image_2d")
    data = _data(image, "image_2d", micrograph.name, "real", micrograph.pixels, micrograph.pixel_size)
    data["real"].attrs["long_name"] = "intensity"
    calibration = _group(image, "calibration", "NXparameters")
    _text(calibration, source=micrograph.calibration.source)
    _number(calibration, "relative_uncertainty", micrograph.calibration.uncertainty)


def _write_result(entry: h5py.Group, analysis: Analysis) -> None:
    """Write maps, phases, grains and parameters for one region of interest, the whole image."""
    roi, grid = _group(entry, "roi1", "NXroi_process", default="components"), analysis.map_grid
    parameters = describe_parameters(analysis.params, analysis.micrograph.calibration)
    configuration = _group(_group(roi, "analysis", "NXprocess"), "configuration", "NXparameters")
    _text(configuration, json=json.dumps(to_plain(parameters)))
    if analysis.components:
        heats = np.stack([component.heat for component in analysis.components])
        data = _data(roi, "components", "components, 0 to 1", "strength", heats, grid.pixel_size, "component")
        _text(data, names=[component.name for component in analysis.components],
              outcomes=[str(component.outcome) for component in analysis.components])  # fmt: skip
        _number(data, "area", [component.area for component in analysis.components], "nm^2")
    labels = label_planes(analysis.grains, analysis.grain_regions, grid)
    _data(roi, "grain_map", "ids of grains", "grain", labels, grid.pixel_size, "plane")
    specimen = analysis.specimen.astype(np.uint8)
    _data(roi, "specimen", "1 inside the specimen", "specimen", specimen, grid.pixel_size)
    for number, phase in enumerate(_named_phases(analysis), 1):
        _write_phase(roi, f"phase{number}", phase)
    _write_grains(roi, analysis)


def _named_phases(analysis: Analysis) -> list[Phase]:
    """Phases of the components, in the order of the components."""
    known = {phase.id: phase for phase in analysis.known_phases}
    return [known[name] for name in dict.fromkeys(n for part in analysis.components for n in part.phases)]


def _write_phase(roi: h5py.Group, name: str, phase: Phase) -> None:
    group = _group(roi, name, "NXphase")
    _text(group, name=phase.id, description=phase.name)
    if phase.cell:
        cell = _group(group, "unit_cell", "NXunit_cell")
        _text(cell, space_group=phase.space_group)
        for edges, unit, names in ((phase.cell[:3], "nm", "abc"),
                                   (phase.cell[3:], "degree", ("alpha", "beta", "gamma"))):  # fmt: skip
            for key, value in zip(names, edges, strict=True):
                _number(cell, key, value, unit)


def _write_grains(roi: h5py.Group, analysis: Analysis) -> None:
    """Write the table of grains, one field per column; missing numbers are NaN."""
    rows = list(grain_rows(analysis))
    if not rows:
        return
    group = _group(roi, "grains", "NXcollection")
    for column, unit in GRAIN_FIELDS.items():
        cells = [row.get(column, "") for row in rows]
        _number(group, column, [np.nan if cell == "" else float(cell) for cell in cells], unit)
    _text(group, component=[row["component"] for row in rows], outcome=[row["outcome"] for row in rows])


def _group(parent: h5py.Group, name: str, nx_class: str, **attributes: str) -> h5py.Group:
    group = parent.create_group(name)
    group.attrs.update({"NX_class": nx_class, **attributes})
    return group


def _text(group: h5py.Group, **fields: str | Sequence[str]) -> None:
    """Write text fields, omitting empty ones."""
    for name, value in fields.items():
        if isinstance(value, str) and not value:
            continue
        group.create_dataset(name, data=value, dtype=h5py.string_dtype())


def _number(group: h5py.Group, name: str, value: Any, unit: str = "") -> None:
    group[name] = value
    if unit:
        group[name].attrs["units"] = unit


def _data(
    parent: h5py.Group,
    name: str,
    title: str,
    signal: str,
    pixels: NDArray[Any],
    pixel_size: Sequence[float],
    stacked: str = "",
) -> h5py.Group:
    """Write an NXdata group: an image, or a stack of images, with its axes in nm (pixel centres)."""
    axes = [*([f"indices_{stacked}"] if stacked else []), "axis_j", "axis_i"]
    group = _group(parent, name, "NXdata", signal=signal)
    group.attrs["axes"] = axes
    _text(group, title=title)
    group.create_dataset(signal, data=pixels, compression="gzip", compression_opts=1)
    for index, axis in enumerate(axes):
        group.attrs[f"{axis}_indices"] = np.uint32(index)
    for axis, size, step, along in zip(axes[-2:], pixels.shape[-2:], pixel_size, "yx", strict=True):
        _number(group, axis, (np.arange(size) + 0.5) * step, "nm")
        group[axis].attrs["long_name"] = f"{along} (nm)"
    if stacked:
        group[axes[0]] = np.arange(len(pixels))
    return group


def _start_time(micrograph: Micrograph) -> str:
    """Time of the recording in ISO 8601, if the file states it unambiguously; empty otherwise."""
    text = " ".join(str(micrograph.metadata.get(key, "")) for key in ("date", "time")).strip()
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return ""
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).isoformat() if found.year > 1 else ""
