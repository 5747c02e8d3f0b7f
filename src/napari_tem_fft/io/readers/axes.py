"""Scale and unit of an image's axes, as files have them, to a `Calibration` in nm or 1/nm."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ...core.image.calibration import AS_READ, NOT_CALIBRATED, Calibration
from ...core.image.units import Quantity, quantity

#: Advice for the user if the scale is unknown.
ADVICE = 'state the size of a pixel in nm (--pixel-size NM, pixel_size=, or "pixel size" in the window)'


#: Smallest and largest pixel of a micrograph, nm: a thousandth of an atom and a millimetre.
_PIXEL_NM = (1e-4, 1e6)


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis as the file describes it: name, number of pixels, scale, unit as text, first value."""

    name: str
    size: int
    scale: float
    unit: str
    navigate: bool = False
    offset: float = 0.0


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
    usable = _PIXEL_NM if kinds[0] == "length" else (0.0, math.inf)
    if not all(usable[0] < s < usable[1] for s in scale):
        return Calibration(), (
            f"{NOT_CALIBRATED}: the file's pixel size is {rows.scale:g} x {columns.scale:g} {columns.unit},"
            f" which cannot be; {ADVICE}",
        )
    if kinds[0] == "length":
        return Calibration(scale, "real", source=AS_READ), ()
    origin = _origin(rows, columns)
    return Calibration(scale, "reciprocal", source=AS_READ, origin=origin), (
        "calibrated in 1/nm: a diffraction pattern or a stored FFT, measured as it is and never transformed",
    )


def _origin(rows: Axis, columns: Axis) -> tuple[float, float] | None:
    """Pixel (y, x) of g = 0; None where both axes begin with 0, as they do when nobody has set it."""
    y, x = (0.0 - axis.offset / axis.scale for axis in (rows, columns))
    return (y, x) if (y, x) != (0.0, 0.0) and math.isfinite(y) and math.isfinite(x) else None


def _no_scale(kinds: Sequence[Quantity], rows: str, columns: str) -> str:
    if "angle" in kinds:
        return (
            f"{NOT_CALIBRATED}: a diffraction pattern in {columns or rows}, an angle and not 1/nm; state the"
            " size of a pixel in 1/nm (pattern --pixel-size)"
        )
    if kinds[0] != kinds[1]:
        return f"{NOT_CALIBRATED}: the unit is {rows!r} along y but {columns!r} along x; {ADVICE}"
    if not rows.strip():
        return f"{NOT_CALIBRATED}: the file gives no pixel size; {ADVICE}"
    return f"{NOT_CALIBRATED}: the file's unit {rows!r} is no length that is known; {ADVICE}"
