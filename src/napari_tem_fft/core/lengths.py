"""Lengths as people want to read them: in nm or in Angstrom."""

from __future__ import annotations

from typing import Literal

LengthUnit = Literal["nm", "angstrom"]
UNITS: tuple[LengthUnit, ...] = ("nm", "angstrom")
_SYMBOL = {"nm": "nm", "angstrom": "\u00c5"}
_FACTOR = {"nm": 1.0, "angstrom": 10.0}


def symbol(unit: LengthUnit) -> str:
    """The unit's sign."""
    return _SYMBOL[unit]


def in_unit(nm: float, unit: LengthUnit) -> float:
    """A length given in nm as a number in another unit."""
    return nm * _FACTOR[unit]


def factor(unit: LengthUnit) -> float:
    """How many of the unit are in a nm."""
    return _FACTOR[unit]


def spacing(nm: float, sigma: float | None = None, unit: LengthUnit = "nm", digits: int = 4) -> str:
    """A length with its uncertainty, where there is one, and its sign."""
    off = "" if sigma is None else f" ± {length(sigma, unit, digits)}"
    return f"{length(nm, unit, digits)}{off} {symbol(unit)}"


def frequency(per_nm: float, unit: LengthUnit = "nm", digits: int = 3) -> str:
    """A frequency in 1/nm or 1/Angstrom with its sign, as exact in either unit."""
    return f"{per_nm / _FACTOR[unit]:.{digits + (unit == 'angstrom')}f} 1/{symbol(unit)}"


def length(nm: float, unit: LengthUnit = "nm", digits: int = 4) -> str:
    """A length without its sign, as exact in either unit.

    Parameters
    ----------
    nm : float
        The length in nm.
    unit : {"nm", "angstrom"}
    digits : int
        Digits after the point in nm.
    """
    return f"{in_unit(nm, unit):.{digits - (unit == 'angstrom')}f}"
