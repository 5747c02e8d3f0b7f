"""Tables of spots, profiles and series; units are part of the column names."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np

from ...core.crystal.phase import Phase, four_indices
from ...core.image.line_profile import LineProfile
from ...core.matching import GrainMatch, ImageGeometry, IndexedSpot
from ...core.matching.result import indexed_as, matches_of_spots
from ...core.pipeline import Analysis
from ...core.profile.radial_profile import Curve, ProfilePeak, RadialProfile
from ...core.series import Series, SeriesFrame, component_names
from ...core.spots.spot import Spot
from ...core.text import LengthUnit, factor, in_unit

SPOT_COLUMNS = (
    "id", "d_nm", "d_sigma_nm", "d_calibration_sigma_nm", "azimuth_deg", "azimuth_sigma_deg", "g_per_nm",
    "gx_per_nm", "gy_per_nm", "g_sigma_per_nm", "snr", "log_false_alarm", "origin", "enabled", "grain",
    "outcome", "phase", "by_user", "hkl", "hkil", "d_reference_nm", "d_residual_percent",
    "angle_residual_deg", "kind", "spot_kind", "d_corrected_nm", "d_corrected_sigma_nm",
)  # fmt: skip
PROFILE_COLUMNS = ("curve", "g_per_nm", "d_nm", "intensity", "background")
#: Columns of d-spacings, which are written in the user's preferred unit.
_D_COLUMN = re.compile(r"(?:^|_)d_(?:\w+_)?nm$")


def write_rows(
    path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]], unit: LengthUnit = "nm"
) -> None:
    """Write a table; d-spacings and the names of their columns are given in nm.

    Parameters
    ----------
    unit : {"nm", "angstrom"}
        Unit in which d-spacings are written; the names of their columns state it.
    """
    spacings = [name for name in columns if in_which(name, unit) != name]
    with path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
        writer = csv.writer(file)
        writer.writerow([in_which(name, unit) for name in columns])
        for row in rows:
            values = {name: row.get(name, "") for name in columns}
            values |= {name: _in_unit(values[name], unit) for name in spacings}
            writer.writerow(list(values.values()))


def in_which(column: str, unit: LengthUnit) -> str:
    """Name of a column, given for nm, if d-spacings are written in `unit`."""
    return column.removesuffix("nm") + unit if unit != "nm" and _D_COLUMN.search(column) else column


def read_rows(path: Path) -> Iterator[dict[str, str]]:
    """Read the rows of a table written by `write_rows`, with d-spacings in nm whatever the file's unit.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If a number is expected and missing.
    """
    with path.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        names = {name: re.sub("angstrom$", "nm", name) for name in reader.fieldnames or ()}
        for row in reader:
            yield {nm: row[name] if nm == name else _in_nm(row[name]) for name, nm in names.items()}


def _in_nm(angstrom: str | None) -> str:
    return f"{float(angstrom) / factor('angstrom'):.7g}" if angstrom else ""


def _in_unit(value: Any, unit: LengthUnit) -> Any:
    return value if value == "" else f"{in_unit(float(value), unit):.7g}"


def write_spots(path: Path, analysis: Analysis, unit: LengthUnit = "nm") -> None:
    """Write one row per spot, largest d first, with the reflection of the best candidate of its grain.

    d uses the image's calibration; its sigma is that of the fit alone, and the calibration's uncertainty is a
    separate column. Corrected d use the scale and stretch found from the named grains, with all
    uncertainties. The azimuth is counter-clockwise from +x as displayed, modulo 180.
    """
    rows = sorted(spot_rows(analysis), key=lambda row: -row["d_nm"])
    write_rows(path, SPOT_COLUMNS, rows, unit)


def spot_rows(analysis: Analysis) -> Iterator[dict[str, Any]]:
    """Yield the rows of the table of spots, in the order of the spots."""
    grain_of = {spot: grain.id for grain in analysis.grains for spot in grain.spots}
    match_of = matches_of_spots(analysis.grains, analysis.matches)
    calibration = analysis.micrograph.calibration.uncertainty
    known = {phase.id: phase for phase in analysis.known_phases}
    for spot in analysis.spots:
        yield (
            _measured_cells(spot, calibration)
            | _corrected_cells(spot, analysis.geometry)
            | {"grain": grain_of.get(spot.id, "")}
            | _index_cells(spot, match_of.get(spot.id), known)
        )


def _measured_cells(spot: Spot, calibration: float) -> dict[str, Any]:
    return {
        "id": spot.id,
        "d_nm": round(spot.d, 7),
        "d_sigma_nm": round(spot.d_sigma, 7),
        "d_calibration_sigma_nm": round(calibration * spot.d, 7),
        "azimuth_deg": round(spot.azimuth, 4),
        "azimuth_sigma_deg": round(spot.azimuth_sigma, 4),
        "g_per_nm": round(spot.length, 6),
        "gx_per_nm": round(spot.g[1], 6),
        "gy_per_nm": round(spot.g[0], 6),
        "g_sigma_per_nm": round(spot.sigma, 6),
        "snr": round(spot.snr, 2),
        "log_false_alarm": round(spot.log_false_alarm, 2),
        "origin": spot.origin,
        "enabled": int(spot.enabled),
        "spot_kind": spot.kind,
    }


def _corrected_cells(spot: Spot, geometry: ImageGeometry | None) -> dict[str, Any]:
    """d corrected by the scale and stretch found from the named grains, if there are any."""
    if geometry is None or not geometry.grains:
        return {}
    middle, error = geometry.correct(np.array([spot.g]))
    d = spot.d * float(np.exp(middle[0]))
    sigma = d * float(np.hypot(spot.d_sigma / spot.d, error[0]))
    return {"d_corrected_nm": round(d, 7), "d_corrected_sigma_nm": round(sigma, 7)}


def _index_cells(spot: Spot, match: GrainMatch | None, known: Mapping[str, Phase]) -> dict[str, Any]:
    if match is None:
        return {}
    row: dict[str, Any] = {"outcome": str(match.outcome), "phase": " / ".join(match.phases)}
    row["by_user"] = "yes" if match.decided_by_user else ""
    indexed = indexed_as(spot.id, match)
    if indexed is None:
        return row
    return row | _reflection(indexed, known.get(match.candidates[0].phase))


def _reflection(indexed: IndexedSpot, phase: Phase | None) -> dict[str, Any]:
    four = four_indices(indexed.hkl, phase)
    return {
        "hkl": " ".join(map(str, indexed.hkl)),
        "hkil": " ".join(map(str, four)) if four else "",
        "d_reference_nm": round(indexed.d_reference, 6),
        "d_residual_percent": round(100 * indexed.d_residual, 3),
        "angle_residual_deg": round(indexed.angle_residual, 3),
        "kind": indexed.kind,
    }


def write_profiles(path: Path, profiles: Sequence[RadialProfile], unit: LengthUnit = "nm") -> None:
    """Write all curves below each other, in full precision."""
    write_rows(path, PROFILE_COLUMNS, profile_rows(profiles), unit)


def write_line(path: Path, profile: LineProfile, unit: str) -> None:
    """Write a line profile: distance from its start in nm, 1/nm or pixels, and value."""
    columns = f"distance_{unit.replace('1/', 'per_')}", "value"
    pairs = zip(profile.position.tolist(), profile.value.tolist(), strict=True)
    write_rows(path, columns, (dict(zip(columns, pair, strict=True)) for pair in pairs))


def profile_rows(profiles: Sequence[RadialProfile]) -> Iterator[dict[str, Any]]:
    """Yield the rows of the table of profiles."""
    for profile in profiles:
        for g, intensity, background in zip(profile.g, profile.intensity, profile.background, strict=True):
            d = 1 / g if g > 0 else np.inf
            values = (profile.curve, repr(float(g)), f"{d:.7g}", float(intensity), float(background))
            yield dict(zip(PROFILE_COLUMNS, values, strict=True))


def read_profiles(path: Path, peaks: Sequence[ProfilePeak]) -> tuple[RadialProfile, ...]:
    """Read the curves from a file written by `write_profiles`, and assign the peaks to them."""
    rows: dict[str, list[tuple[float, float, float]]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            values = (float(row["g_per_nm"]), float(row["intensity"]), float(row["background"]))
            rows.setdefault(row["curve"], []).append(values)
    return tuple(
        _profile(cast(Curve, curve), values, [peak for peak in peaks if peak.curve == curve])
        for curve, values in rows.items()
    )


def _profile(
    curve: Curve, values: Sequence[tuple[float, float, float]], peaks: Sequence[ProfilePeak]
) -> RadialProfile:
    g, intensity, background = np.array(values).T
    return RadialProfile(curve, g, intensity, background, tuple(peaks))


#: Columns of every frame; four columns for each component follow.
FRAME_COLUMNS = ("frame", "time_s", "spots", "grains", "specimen_nm2", "drift_x_nm", "drift_y_nm", "problem")
GRAIN_COLUMNS = (
    "track", "frame", "time_s", "grain", "component", "x_nm", "y_nm", "area_nm2", "area_sigma_nm2",
    "diameter_nm",
)  # fmt: skip


def write_frames(path: Path, series: Series, interval: float = 0.0) -> None:
    """Write one row per frame: area and fraction of each component with their standard uncertainties."""
    names = component_names(series.frames)
    own = [f"{name} {what}" for name in names for what in _COMPONENT_COLUMNS]
    rows = [frame_record(frame, names, interval) for frame in series.frames]
    write_rows(path, (*FRAME_COLUMNS[:-1], *own, FRAME_COLUMNS[-1]), rows)


def write_tracks(path: Path, series: Series, interval: float = 0.0) -> None:
    """Write one row per grain and frame; a crystal has the same "track" in all frames."""
    write_rows(path, GRAIN_COLUMNS, track_records(series, interval))


_COMPONENT_COLUMNS = ("area_nm2", "area_sigma_nm2", "fraction", "fraction_sigma")


def frame_record(frame: SeriesFrame, names: Sequence[str], interval: float = 0.0) -> dict[str, Any]:
    """A frame as plain values by column.

    Parameters
    ----------
    names : sequence of str
        All components of the series; those missing in the frame have no area in it.
    interval : float, s
        Time between frames; 0 if it is unknown.
    """
    record: dict[str, Any] = {"frame": frame.frame, "time_s": frame.frame * interval if interval else ""}
    if frame.problem:
        return {**record, "problem": frame.problem}
    drift_y, drift_x = frame.drift if frame.drift is not None else ("", "")
    record |= {"spots": frame.spots, "grains": frame.grains, "specimen_nm2": frame.specimen}
    record |= {"drift_x_nm": drift_x, "drift_y_nm": drift_y}
    for name in names:
        values = (*frame.areas.get(name, (0.0, 0.0)), *frame.fraction(name))
        record |= {
            f"{name} {what}": float(value) for what, value in zip(_COMPONENT_COLUMNS, values, strict=True)
        }
    return {**record, "problem": ""}


def track_records(series: Series, interval: float = 0.0) -> Iterator[dict[str, Any]]:
    """Yield one record per grain and frame, in the order of tracks."""
    rows = [
        (track, frame.frame, grain)
        for frame, tracks in zip(series.frames, series.tracks, strict=True)
        for track, grain in zip(tracks, frame.crystals, strict=True)
    ]
    for track, number, grain in sorted(rows, key=lambda row: row[:2]):
        values = (
            track, number, number * interval if interval else "", grain.id, grain.component, grain.centre[1],
            grain.centre[0], grain.area, grain.area_sigma, grain.diameter,
        )  # fmt: skip
        yield dict(zip(GRAIN_COLUMNS, values, strict=True))
