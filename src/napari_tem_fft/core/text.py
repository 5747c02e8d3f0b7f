"""Text that can be shown anywhere, whatever characters the name of a file holds."""

from __future__ import annotations

from math import isfinite


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
