"""Text for people: lengths in nm or Angstrom, and names that can be shown anywhere."""

from __future__ import annotations

import math
from math import isfinite
from typing import Literal


def printable(text: str, keep: str = "") -> str:
    r"""The text with all characters escaped that cannot be printed: controls, line ends, halves of pairs.

    Parameters
    ----------
    text : str
    keep : str
        Characters that stay as they are.

    Examples
    --------
    >>> print(printable("film\x1b[31m\udcff.dm4"))
    film\x1b[31m\udcff.dm4
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text)


def count_text(number: int, noun: str) -> str:
    """Number and noun, which has an s but after 1.

    Examples
    --------
    >>> count_text(1, "grain"), count_text(2, "grain")
    ('1 grain', '2 grains')
    """
    return f"{number} {noun}{'' if number == 1 else 's'}"


def round_length(most: float) -> float:
    """The largest of ..., 0.5, 1, 2, 5, 10, ... that is at most `most`: how long a scale bar is.

    Examples
    --------
    >>> round_length(7.3), round_length(0.2)
    (5.0, 0.2)
    """
    decade = 10.0 ** math.floor(math.log10(most))
    return max(step * decade for step in (1, 2, 5) if step * decade <= most * (1 + 1e-9))


def parse_numbers(text: str) -> tuple[float, ...]:
    """Numbers with commas, semicolons or spaces between them.

    Raises
    ------
    ValueError
        If something is no number.

    Examples
    --------
    >>> parse_numbers("0.2087, 0.1808"), parse_numbers("")
    ((0.2087, 0.1808), ())
    """
    try:
        numbers = tuple(float(part) for part in text.replace(",", " ").replace(";", " ").split())
    except ValueError:
        raise ValueError(f"{text!r} is no list of numbers") from None
    if not all(isfinite(number) for number in numbers):
        raise ValueError(f"{text!r} is no list of numbers")
    return numbers


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
    off = "" if sigma is None else f" ± {uncertainty(sigma, unit, digits)}"
    return f"{length(nm, unit, digits)}{off} {symbol(unit)}"


def frequency(per_nm: float, unit: LengthUnit = "nm", digits: int = 3) -> str:
    """A frequency with its sign, nm⁻¹ or Å⁻¹, as exact in either unit."""
    return f"{per_nm / _FACTOR[unit]:.{digits + (unit == 'angstrom')}f} {symbol(unit)}⁻¹"


def uncertainty(nm: float, unit: LengthUnit = "nm", digits: int = 4) -> str:
    """A length's standard deviation without its sign, with more digits where it would seem to be nothing.

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
    """A number and its standard deviation, with more digits where that would seem to be nothing.

    One without a standard deviation stands alone.

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
    """A number with its sign; nothing is neither more nor less.

    Examples
    --------
    >>> signed(0.5), signed(-0.001)
    ('+0.50', '0.00')
    """
    text = f"{value:+.{digits}f}"
    return text if float(text) else text[1:]


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
