"""CalibrationProfile: a scale correction in a file, for all images with the same microscope settings."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from os import PathLike
from pathlib import Path
from typing import Any

import platformdirs

from ...core.image.calibration import CalibrationError, Correction
from ...core.image.micrograph import Micrograph
from ..plain import ReadError, from_plain, read_json, to_plain

_FORMAT = "napari-tem-fft calibration profile"
_VERSION = 1
#: Largest file of a profile, bytes; real ones have a few lines.
_LONGEST = 2**20
#: Magnifications and voltages that differ by less than this fraction are considered equal.
_SAME_NUMBER = 0.005


@dataclass(frozen=True, slots=True)
class CalibrationProfile:
    """A scale correction, and the microscope settings to which it applies.

    Attributes
    ----------
    correction : Correction
    microscope : str
        Name as in the image files; empty for any.
    magnification : float, optional
        Indicated magnification; None for any. It only selects images: no scale is derived from it.
    created : str
        Date (year-month-day).
    voltage_kV : float, optional
        None for any.
    camera : str
        Name as in the image files; empty for any.
    """

    correction: Correction
    microscope: str = ""
    magnification: float | None = None
    created: str = field(default_factory=lambda: date.today().isoformat())
    voltage_kV: float | None = None
    camera: str = ""


def profile_of(micrograph: Micrograph, correction: Correction) -> CalibrationProfile:
    """Create a profile for all images with this image's microscope settings, taken from its metadata."""
    known = micrograph.metadata
    magnification, voltage = known.get("magnification"), known.get("voltage_kV")
    return CalibrationProfile(
        correction,
        str(known.get("microscope", "")),
        None if magnification is None else float(magnification),
        voltage_kV=None if voltage is None else float(voltage),
        camera=str(known.get("camera", "")),
    )


def profiles_folder() -> Path:
    """Folder in the user's configuration whose profiles are offered for matching images."""
    return Path(platformdirs.user_config_dir("napari-tem-fft", appauthor=False)) / "calibration"


def fitting_profiles(
    metadata: Mapping[str, Any], folder: Path | None = None
) -> tuple[tuple[Path, CalibrationProfile], ...]:
    """Find the saved profiles that certainly match an image's microscope settings, newest first.

    Microscope and magnification must be stated by both and agree; voltage and camera must agree if both state
    them. Files that are not profiles are ignored.

    Parameters
    ----------
    metadata : mapping
        Microscope settings from the image's file (`Micrograph.metadata`).
    folder : Path, optional
        Folder of the profiles; by default `profiles_folder`.
    """
    found = []
    for path in sorted((folder or profiles_folder()).glob("*.json")):
        try:
            profile = load_profile(path)
        except ReadError:
            continue
        agreement = _agreement(profile, metadata)
        certain = [agreement.get(what) for what in ("microscope", "magnification")]
        if all(certain) and False not in agreement.values():
            found.append((path, profile))
    return tuple(sorted(found, key=lambda one: one[1].created, reverse=True))


def apply_profile(profile: CalibrationProfile, micrograph: Micrograph) -> Micrograph:
    """Correct the calibration of a micrograph with a profile.

    If the file does not state the microscope or the magnification to which the profile applies, the
    correction is applied with a warning.

    Raises
    ------
    CalibrationError
        If the profile belongs to another microscope or magnification, or the image has no scale.
    """
    unknown = [what for what, agrees in _comparison(profile, micrograph).items() if agrees is None]
    warnings = micrograph.warnings
    if unknown:
        warnings = (
            *warnings,
            f"the file does not state its {' and '.join(unknown)}: make sure that the calibration profile for"
            f" {setting_words(profile)} applies to it",
        )
    calibration = micrograph.calibration.corrected(profile.correction)
    return replace(micrograph, calibration=calibration, warnings=warnings)


def save_profile(path: str | PathLike[str], profile: CalibrationProfile) -> None:
    """Write a profile to a JSON file."""
    content = {"format": _FORMAT, "version": _VERSION, **to_plain(profile)}
    Path(path).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def load_profile(path: str | PathLike[str]) -> CalibrationProfile:
    """Read a profile written by `save_profile`.

    Raises
    ------
    ReadError
        If the file does not exist or is not a calibration profile.
    """
    try:
        content: Any = read_json(path, _LONGEST)
        if content["format"] != _FORMAT or content["version"] != _VERSION:
            raise ValueError(f"version {content['version']} of {content['format']!r}")
        return from_plain(CalibrationProfile, content)
    except FileNotFoundError as error:
        raise ReadError(path, "the file does not exist", f"looked for {path}") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ReadError(
            path, f"not a calibration profile ({error})", "save one with the calibration dock"
        ) from error


def _comparison(profile: CalibrationProfile, micrograph: Micrograph) -> dict[str, bool | None]:
    """Whether each of the profile's settings agrees with the image; None if the image does not state it."""
    agreement = _agreement(profile, micrograph.metadata)
    if False in agreement.values():
        raise CalibrationError(
            f"{micrograph.name}: the calibration profile applies to {setting_words(profile)}, but the image"
            f" was taken with {_setting_of(micrograph.metadata)}"
        )
    return agreement


def _agreement(profile: CalibrationProfile, metadata: Mapping[str, Any]) -> dict[str, bool | None]:
    """Whether each setting of the profile agrees with the metadata; None if they do not state it."""
    agreement: dict[str, bool | None] = {}
    for what, stated in (("microscope", profile.microscope), ("camera", profile.camera)):
        if stated:
            found = str(metadata.get(what, ""))
            agreement[what] = found == stated if found else None
    for what, key, number in (
        ("magnification", "magnification", profile.magnification),
        ("voltage", "voltage_kV", profile.voltage_kV),
    ):
        if number is not None:
            value = metadata.get(key)
            agreement[what] = None if value is None else math.isclose(value, number, rel_tol=_SAME_NUMBER)
    return agreement


def setting_words(profile: CalibrationProfile) -> str:
    """Microscope, magnification, voltage and camera of a profile, as text.

    Examples
    --------
    >>> setting_words(CalibrationProfile(Correction((1.0, 1.0)), "Titan", 380e3, voltage_kV=300.0))
    'Titan at 380000x, 300 kV'
    """
    setting = {key: getattr(profile, key) for key in ("magnification", "voltage_kV", "camera")}
    return _words(profile.microscope or "any microscope", setting)


def _setting_of(metadata: Mapping[str, Any]) -> str:
    return _words(str(metadata.get("microscope", "")) or "an unnamed microscope", metadata)


def _words(microscope: str, setting: Mapping[str, Any]) -> str:
    magnification, voltage = setting.get("magnification"), setting.get("voltage_kV")
    return "".join(
        [
            microscope,
            "" if magnification is None else f" at {magnification:g}x",
            "" if voltage is None else f", {voltage:g} kV",
            f", {setting['camera']}" if setting.get("camera") else "",
        ]
    )
