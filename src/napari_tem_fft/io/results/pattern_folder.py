"""A measured diffraction pattern as a folder: ``pattern.json``, tables and a picture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ...core.parameters import to_dict
from ...core.profile.radial_profile import ProfilePeak
from ...core.saed.beam_stop import BeamStop
from ...core.saed.measure import PatternMeasurement
from ...core.saed.peaks import PatternSpot
from ...core.text import LengthUnit
from ..plain import json_line, to_plain
from .description import describe_micrograph, written
from .tables import write_profiles, write_rows
from .whole_folder import replace_folder

FORMAT, FORMAT_VERSION = "napari-tem-fft pattern", 1
PATTERN, SPOTS, RINGS, PROFILE, PICTURE = (
    "pattern.json",
    "spots.csv",
    "rings.csv",
    "profile.csv",
    "pattern.png",
)
UNITS = {
    "length": "nm",
    "frequency g": "1/nm, without 2 pi; d = 1/|g|",
    "pairs": "(y, x)",
    "centre, positions": "pixels (y, x); the centre of the first pixel is 0",
    "azimuth": "degrees counter-clockwise from +x as displayed, modulo 180",
    "sigma": "one standard uncertainty of the fit alone; that of the calibration is stated separately",
    "snr": "height divided by the scatter of the ring",
    "height, profile": "grey levels of the file, minus the median of the image",
    "log_false_alarm": "natural logarithm",
}
SPOT_COLUMNS = (
    "id", "d_nm", "d_sigma_nm", "d_calibration_sigma_nm", "azimuth_deg", "azimuth_sigma_deg", "g_per_nm",
    "gx_per_nm", "gy_per_nm", "g_sigma_per_nm", "snr", "log_false_alarm", "seen", "height", "x_pixel",
    "y_pixel", "partner_x_pixel", "partner_y_pixel",
)  # fmt: skip
RING_COLUMNS = (
    "d_nm", "d_sigma_nm", "d_calibration_sigma_nm", "g_per_nm", "g_sigma_per_nm", "width_per_nm", "height",
    "significance",
)  # fmt: skip


def save_pattern(measured: PatternMeasurement, folder: str | Path, unit: LengthUnit = "nm") -> Path:
    """Save a measured pattern to a folder, replacing an earlier one, and return the folder.

    d-spacings are written in `unit`, but in nm in ``pattern.json``.

    Raises
    ------
    OSError
        If the folder cannot be written.
    """
    folder = Path(folder)
    from ..figures.pattern import write_pattern_picture  # matplotlib is slow to import

    with replace_folder(folder, PATTERN) as fresh:
        write_rows(fresh / SPOTS, SPOT_COLUMNS, spot_rows(measured), unit)
        write_rows(fresh / RINGS, RING_COLUMNS, ring_rows(measured), unit)
        write_profiles(fresh / PROFILE, (measured.profile,), unit)
        write_pattern_picture(fresh / PICTURE, measured, unit)
        text = json_line(_describe(measured), indent=1, allow_nan=False)
        (fresh / PATTERN).write_text(text, encoding="utf-8")
    return folder


def spot_rows(measured: PatternMeasurement) -> Iterator[dict[str, Any]]:
    """Yield the rows of the table of spots, by increasing |g|."""
    calibration = measured.micrograph.calibration.uncertainty
    for spot in measured.spots:
        yield {
            "id": spot.id,
            "d_nm": f"{spot.d:.7f}",
            "d_sigma_nm": f"{spot.d_sigma:.7f}",
            "d_calibration_sigma_nm": f"{calibration * spot.d:.7f}",
            "azimuth_deg": f"{spot.azimuth:.4f}",
            "azimuth_sigma_deg": f"{spot.azimuth_sigma:.4f}",
            "g_per_nm": f"{spot.length:.6f}",
            "gx_per_nm": f"{spot.g[1]:.6f}",
            "gy_per_nm": f"{spot.g[0]:.6f}",
            "g_sigma_per_nm": f"{spot.sigma:.6f}",
            "snr": f"{spot.snr:.2f}",
            "log_false_alarm": f"{spot.log_false_alarm:.2f}",
            "seen": "+g and -g" if spot.paired else "one side",
            "height": f"{spot.height:.6g}",
            **_pixels(spot),
        }


def _pixels(spot: PatternSpot) -> dict[str, str]:
    names = ("", "partner_")
    return {
        f"{name}{axis}_pixel": f"{value:.3f}"
        for name, position in zip(names, spot.positions, strict=False)
        for axis, value in zip(("y", "x"), position, strict=True)
    }


def ring_rows(measured: PatternMeasurement) -> Iterator[dict[str, Any]]:
    """Yield the rows of the table of rings (peaks of the profile), by increasing |g|."""
    calibration = measured.micrograph.calibration.uncertainty
    for peak in measured.profile.peaks:
        yield {
            "d_nm": f"{peak.d:.7f}",
            "d_sigma_nm": f"{peak.d_sigma:.7f}",
            "d_calibration_sigma_nm": f"{calibration * peak.d:.7f}",
            "g_per_nm": f"{peak.g:.6f}",
            "g_sigma_per_nm": f"{peak.sigma:.6f}",
            "width_per_nm": f"{peak.width:.5f}",
            "height": f"{peak.height:.6g}",
            "significance": f"{peak.significance:.1f}",
        }


def _describe(measured: PatternMeasurement) -> dict[str, Any]:
    return {
        **written(FORMAT, FORMAT_VERSION),
        "micrograph": describe_micrograph(measured.micrograph),
        "units": UNITS,
        "parameters": to_dict(measured.params),
        "warnings": list(measured.warnings),
        "centre": to_plain(measured.centre),
        "mirrored": measured.mirrored,
        "ellipse": None if measured.ellipse is None else to_plain(measured.ellipse),
        "beam_stop": None if measured.stop is None else _beam_stop_runs(measured.stop),
        "spots": [
            _with_d(spot) | {"azimuth": spot.azimuth, "paired": spot.paired} for spot in measured.spots
        ],
        "rings": [_with_d(peak) for peak in measured.profile.peaks],
        "files": [SPOTS, RINGS, PROFILE, PICTURE],
    }


def _beam_stop_runs(stop: BeamStop) -> dict[str, Any]:
    """Pixels shaded by the beam stop, as runs [row, first column, column after the last]."""
    edges = np.diff(np.pad(stop.mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    (rows, first), (_, behind) = np.nonzero(edges == 1), np.nonzero(edges == -1)
    return {"share": stop.share, "rows": np.stack([rows, first, behind], axis=1).tolist()}


def _with_d(found: PatternSpot | ProfilePeak) -> dict[str, Any]:
    return {**to_plain(found), "d": found.d, "d_sigma": found.d_sigma}
