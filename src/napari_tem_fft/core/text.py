"""Formatting of text: lengths in nm or Angstrom, and names that can be displayed anywhere."""

from __future__ import annotations

import math
from math import isfinite
from typing import Literal


def printable(text: str, keep: str = "") -> str:
    r"""Escape all unprintable characters of a text: controls, line ends, unpaired surrogates.

    Parameters
    ----------
    text : str
    keep : str
        Characters that are not escaped.

    Examples
    --------
    >>> print(printable("film\x1b[31m\udcff.dm4"))
    film\x1b[31m\udcff.dm4
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text)


def count_text(number: int, noun: str) -> str:
    """Number and noun, in the plural except after 1.

    Examples
    --------
    >>> count_text(1, "grain"), count_text(2, "grain")
    ('1 grain', '2 grains')
    """
    return f"{number} {noun}{'' if number == 1 else 's'}"


def round_length(most: float) -> float:
    """The largest of ..., 0.5, 1, 2, 5, 10, ... that is at most `most`, as length of a scale bar.

    Examples
    --------
    >>> round_length(7.3), round_length(0.2)
    (5.0, 0.2)
    """
    decade = 10.0 ** math.floor(math.log10(most))
    return max(step * decade for step in (1, 2, 5) if step * decade <= most * (1 + 1e-9))


def parse_numbers(text: str) -> tuple[float, ...]:
    """Parse numbers separated by commas, semicolons or spaces.

    Raises
    ------
    ValueError
        If a part is not a number.

    Examples
    --------
    >>> parse_numbers("0.2087, 0.1808"), parse_numbers("")
    ((0.2087, 0.1808), ())
    """
    try:
        numbers = tuple(float(part) for part in text.replace(",", " ").replace(";", " ").split())
    except ValueError:
        raise ValueError(f"{text!r} is not a list of numbers") from None
    if not all(isfinite(number) for number in numbers):
        raise ValueError(f"{text!r} is not a list of numbers")
    return numbers


LengthUnit = Literal["nm", "angstrom"]
UNITS: tuple[LengthUnit, ...] = ("nm", "angstrom")
_SYMBOL = {"nm": "nm", "angstrom": "\u00c5"}
_FACTOR = {"nm": 1.0, "angstrom": 10.0}


def symbol(unit: LengthUnit) -> str:
    """Symbol of a unit."""
    return _SYMBOL[unit]


def in_unit(nm: float, unit: LengthUnit) -> float:
    """Convert a length in nm to another unit."""
    return nm * _FACTOR[unit]


def factor(unit: LengthUnit) -> float:
    """Number of units in a nanometre."""
    return _FACTOR[unit]


def spacing(nm: float, sigma: float | None = None, unit: LengthUnit = "nm", digits: int = 4) -> str:
    """Format a length with its uncertainty, if there is one, and its unit."""
    off = "" if sigma is None else f" ± {uncertainty(sigma, unit, digits)}"
    return f"{length(nm, unit, digits)}{off} {symbol(unit)}"


def frequency(per_nm: float, unit: LengthUnit = "nm", digits: int = 3) -> str:
    """Format a frequency with its unit, nm⁻¹ or Å⁻¹, with the same precision in both."""
    return f"{per_nm / _FACTOR[unit]:.{digits + (unit == 'angstrom')}f} {symbol(unit)}⁻¹"


def uncertainty(nm: float, unit: LengthUnit = "nm", digits: int = 4) -> str:
    """Format the standard deviation of a length without unit, with more digits if it would appear as zero.

    Examples
    --------
    >>> uncertainty(0.0012), uncertainty(0.00002), uncertainty(0.00002, "angstrom")
    ('0.0012', '0.00002', '0.0002')
    """
    value, places = in_unit(nm, unit), digits - (unit == "angstrom")
    if 0 < value < 0.5 * 10.0**-places:
        places = min(-math.floor(math.log10(value)), 9)
    return f"{value:.{places}f}"


def with_sigma(value: float, sigma: float, digits: int = 1) -> str:
    """Format a number and its standard deviation, with more digits if that would appear as zero.

    Without a standard deviation only the number is returned.

    Examples
    --------
    >>> with_sigma(179.8, 20.2), with_sigma(3.84, 0.03), with_sigma(3.84, 0.3, 0), with_sigma(4.8, 0.0)
    ('179.8 ± 20.2', '3.84 ± 0.03', '3.8 ± 0.3', '4.8')
    """
    if not sigma > 0:
        return f"{value:.{digits}f}"
    places = digits if sigma >= 0.5 * 10.0**-digits else min(math.ceil(-math.log10(sigma)), 9)
    return f"{value:.{places}f} ± {sigma:.{places}f}"


def signed(value: float, digits: int = 2) -> str:
    """Format a number with its sign; zero has none.

    Examples
    --------
    >>> signed(0.5), signed(-0.001)
    ('+0.50', '0.00')
    """
    text = f"{value:+.{digits}f}"
    return text if float(text) else text[1:]


def length(nm: float, unit: LengthUnit = "nm", digits: int = 4) -> str:
    """Format a length without unit, with the same precision in both units.

    Parameters
    ----------
    nm : float
        The length in nm.
    unit : {"nm", "angstrom"}
    digits : int
        Digits after the decimal point in nm.
    """
    return f"{in_unit(nm, unit):.{digits - (unit == 'angstrom')}f}"
