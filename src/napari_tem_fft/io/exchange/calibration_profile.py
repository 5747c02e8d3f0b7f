"""CalibrationProfile: a correction found once, kept in a file for all images of a microscope's setting."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field, replace
from datetime import date
from os import PathLike
from pathlib import Path
from typing import Any

from ...core.image.calibration import CalibrationError
from ...core.image.correction import Correction
from ...core.image.micrograph import Micrograph
from ..errors import ReadError
from ..json_file import read_json
from ..plain import from_plain, to_plain

_FORMAT = "napari-tem-fft calibration profile"
_VERSION = 1
#: A profile is a few lines; a longer file (bytes) is none.
_LONGEST = 2**20
#: Magnifications are the same setting where they differ by less than this share.
_SAME_MAGNIFICATION = 0.005


@dataclass(frozen=True, slots=True)
class CalibrationProfile:
    """A correction and the setting that it holds for.

    Attributes
    ----------
    correction : Correction
    microscope : str
        Name as the files give it; empty for any.
    magnification : float, optional
        Indicated magnification; None for any. It chooses the images, no scale is derived from it.
    created : str
        Date (year-month-day).
    """

    correction: Correction
    microscope: str = ""
    magnification: float | None = None
    created: str = field(default_factory=lambda: date.today().isoformat())


def profile_of(micrograph: Micrograph, correction: Correction) -> CalibrationProfile:
    """The profile for all images taken as this one was, by what its file tells of the microscope."""
    magnification = micrograph.metadata.get("magnification")
    return CalibrationProfile(
        correction,
        _microscope(micrograph),
        None if magnification is None else float(magnification),
    )


def apply_profile(profile: CalibrationProfile, micrograph: Micrograph) -> Micrograph:
    """The micrograph with its calibration corrected by a profile.

    Where the file does not tell the microscope or the magnification that the profile holds for, the
    correction is applied with a warning.

    Raises
    ------
    CalibrationError
        If the profile is that of another microscope or magnification, or the image has no scale.
    """
    unknown = [what for what, agrees in _comparison(profile, micrograph).items() if agrees is None]
    warnings = micrograph.warnings
    if unknown:
        warnings = (
            *warnings,
            f"the file does not tell its {' and '.join(unknown)}: make sure that the calibration profile of"
            f" {_setting(profile)} belongs to it",
        )
    calibration = micrograph.calibration.corrected(profile.correction)
    return replace(micrograph, calibration=calibration, warnings=warnings)


def save_profile(path: str | PathLike[str], profile: CalibrationProfile) -> None:
    """Write a profile as JSON."""
    content = {"format": _FORMAT, "version": _VERSION, **to_plain(profile)}
    Path(path).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def load_profile(path: str | PathLike[str]) -> CalibrationProfile:
    """Read a profile that `save_profile` wrote.

    Raises
    ------
    ReadError
        If the file is missing or is no calibration profile.
    """
    try:
        content: Any = read_json(path, _LONGEST)
        if content["format"] != _FORMAT or content["version"] != _VERSION:
            raise ValueError(f"version {content['version']} of {content['format']!r}")
        return from_plain(CalibrationProfile, content)
    except FileNotFoundError as error:
        raise ReadError(path, "there is no such file", f"looked for {path}") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ReadError(
            path, f"not a calibration profile ({error})", "save one with the calibration dock"
        ) from error


def _comparison(profile: CalibrationProfile, micrograph: Micrograph) -> dict[str, bool | None]:
    """Whether microscope and magnification are the profile's; None where the file does not tell."""
    agreement: dict[str, bool | None] = {}
    if profile.microscope:
        found = _microscope(micrograph)
        agreement["microscope"] = found == profile.microscope if found else None
    if profile.magnification is not None:
        value = micrograph.metadata.get("magnification")
        agreement["magnification"] = (
            None if value is None else math.isclose(value, profile.magnification, rel_tol=_SAME_MAGNIFICATION)
        )
    if False in agreement.values():
        raise CalibrationError(
            f"{micrograph.name}: the calibration profile holds for {_setting(profile)}, but the image was"
            f" taken with {_setting_of(micrograph)}"
        )
    return agreement


def _microscope(micrograph: Micrograph) -> str:
    return str(micrograph.metadata.get("microscope", ""))


def _setting(profile: CalibrationProfile) -> str:
    magnification = "" if profile.magnification is None else f" at {profile.magnification:g}x"
    return f"{profile.microscope or 'any microscope'}{magnification}"


def _setting_of(micrograph: Micrograph) -> str:
    magnification = micrograph.metadata.get("magnification")
    suffix = "" if magnification is None else f" at {magnification:g}x"
    return f"{_microscope(micrograph) or 'an unnamed microscope'}{suffix}"
