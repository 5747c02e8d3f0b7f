"""Scale and unit of an image's axes, as files have them, to a `Calibration` in nm or 1/nm."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ...core.image.calibration import Calibration

Quantity = Literal["length", "inverse length", "angle", "energy", "none"]

#: Lengths in nm, under every spelling met in files (both code points of the micro sign and of the angstrom).
LENGTHS_NM = {
    "nm": 1.0,
    "nanometer": 1.0,
    "nanometers": 1.0,
    "\u00b5m": 1e3,
    "\u03bcm": 1e3,
    "um": 1e3,
    "micrometer": 1e3,
    "micron": 1e3,
    "microns": 1e3,
    "mm": 1e6,
    "millimeter": 1e6,
    "m": 1e9,
    "meter": 1e9,
    "\u00c5": 0.1,
    "\u212b": 0.1,
    "A": 0.1,
    "Ang": 0.1,
    "angstrom": 0.1,
    "Angstrom": 0.1,
    "pm": 1e-3,
    "picometer": 1e-3,
}
_ANGLES = {"mrad", "rad", "deg", "°", "urad", "\u00b5rad"}
_ENERGIES = {"eV", "keV", "meV", "MeV"}


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis as the file describes it: name, number of pixels, scale, unit as text, first value."""

    name: str
    size: int
    scale: float
    unit: str
    navigate: bool = False
    offset: float = 0.0


def quantity(unit: str) -> tuple[Quantity, float]:
    """What a unit measures, and its factor to nm or 1/nm (1 for anything else)."""
    unit = unit.strip()
    if unit in LENGTHS_NM:
        return "length", LENGTHS_NM[unit]
    if _inverse(unit) in LENGTHS_NM:
        return "inverse length", 1.0 / LENGTHS_NM[_inverse(unit)]
    if unit in _ANGLES:
        return "angle", 1.0
    return ("energy", 1.0) if unit in _ENERGIES else ("none", 1.0)


def calibration_of(rows: Axis, columns: Axis) -> tuple[Calibration, tuple[str, ...]]:
    """Calibration of an image from its two axes, with what the user should be warned of.

    Returns
    -------
    calibration : Calibration
        In space "real" or "reciprocal" where both axes have a usable scale of that kind, else "none".
    warnings : tuple of str
        Empty for an image calibrated in a length.
    """
    (along_y, factor_y), (along_x, factor_x) = quantity(rows.unit), quantity(columns.unit)
    kinds, scale = (along_y, along_x), (rows.scale * factor_y, columns.scale * factor_x)
    if kinds[0] != kinds[1] or kinds[0] not in ("length", "inverse length"):
        return Calibration(), (_no_scale(kinds, rows.unit, columns.unit),)
    if not all(math.isfinite(s) and s > 0 for s in scale):
        return Calibration(), (
            f"not calibrated: the file's pixel size is {rows.scale:g} x {columns.scale:g}, which cannot be;"
            " give the pixel size in nm before measuring",
        )
    if kinds[0] == "length":
        return Calibration(scale, "real", source="file"), ()
    origin = _origin(rows, columns)
    return Calibration(scale, "reciprocal", source="file", origin=origin), (
        "calibrated in 1/nm: a diffraction pattern or a stored FFT, measured as it is and never transformed",
    )


def _origin(rows: Axis, columns: Axis) -> tuple[float, float] | None:
    """Pixel (y, x) of g = 0; None where both axes begin with 0, as they do when nobody has set it."""
    y, x = (0.0 - axis.offset / axis.scale for axis in (rows, columns))
    return (y, x) if (y, x) != (0.0, 0.0) and math.isfinite(y) and math.isfinite(x) else None


def _inverse(unit: str) -> str:
    """The unit under "1/...", or "" for a unit that is not written as an inverse."""
    plain = unit.replace(" ", "").replace("(", "").replace(")", "")
    if plain.startswith("1/"):
        return plain[2:]
    for end in ("^-1", "**-1", "-1", "\u207b\u00b9"):
        if plain.endswith(end):
            return plain[: -len(end)]
    return ""


def _no_scale(kinds: Sequence[Quantity], rows: str, columns: str) -> str:
    advice = "give the pixel size in nm before measuring"
    if "angle" in kinds:
        return f"not calibrated: a diffraction pattern in {columns or rows}, an angle and not 1/nm"
    if kinds[0] != kinds[1]:
        return f"not calibrated: the unit is {rows!r} along y but {columns!r} along x; {advice}"
    if not rows.strip():
        return f"not calibrated: the file gives no pixel size; {advice}"
    return f"not calibrated: the file's unit {rows!r} is no length that is known; {advice}"
