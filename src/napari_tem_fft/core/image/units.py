"""Interpretation of the unit of an axis: a length, an inverse length, an angle or an energy, in any spelling.

Common spellings in files are known here; all others are passed to pint, which takes a second to import and is
imported only for these.
"""

from __future__ import annotations

import math
import re
import unicodedata
from functools import lru_cache
from typing import Any, Literal

Quantity = Literal["length", "inverse length", "angle", "energy", "none"]

#: Lengths in nm by common spellings in microscopy, some of which have other meanings elsewhere (A, NM, u).
LENGTHS_NM = {
    **dict.fromkeys(("nm", "nanometer", "NM", "Nm", "nms"), 1.0),
    **dict.fromkeys(("\u03bcm", "um", "micrometer", "micron", "microns", "\u03bc", "UM", "\u039cM"), 1e3),
    **dict.fromkeys(("\u00c5", "A", "angstrom", "ang", "AA", "\u00e5"), 0.1),
    **dict.fromkeys(("pm", "picometer", "PM"), 1e-3),
    **dict.fromkeys(("mm", "millimeter"), 1e6),
    **dict.fromkeys(("cm", "centimeter", "CM"), 1e7),
    **dict.fromkeys(("m", "meter"), 1e9),
    **dict.fromkeys(("inch", '"'), 25.4e6),
}
_ANGLES = {"mrad", "rad", "deg", "\u00b0", "\u03bcrad", "urad", "radian", "degree"}
_ENERGIES = {"ev", "kev", "mev"}
#: Common units that are not lengths. They are not passed to pint, which interprets the first ones as screen
#: lengths.
_NO_LENGTHS = {
    *("px", "pixel", "pix", "pt", "point", "", "none", "unknown", "a.u.", "au", "arb", "frame", "slice"),
    *("s", "sec", "second", "ms", "us", "\u03bcs", "ns", "min", "hour", "h", "hz", "k", "c", "v", "kv", "na"),
    *("count", "electron", "e", "time", "channel", "undefined"),
}
#: Texts that are passed to pint: one or two words. Formulas are not, so that no text from a file is
#: evaluated.
_WORD = re.compile(r"[^\W\d_]{1,24}(?: [^\W\d_]{1,24})?")
_PER_PIXEL = re.compile(r"(?<=\S)(?: ?/ ?| per )(?:px|pix|pixels?)$", re.IGNORECASE)
#: Pint's names of lengths that occur in microscopy: the metre with any prefix, and a few others.
_METRIC = re.compile(r"[a-z]*meter|angstrom|micron|fermi|bohr|atomic_unit_of_length|inch|thou")
#: Spellings of an inverse, after removal of spaces.
_BEFORE = ("1/", "1./", "per", "inverse", "reciprocal", "/")
_AFTER = re.compile(r"(?:\^|\*\*)?[({]?-1(?:\.0)?[)}]?$")


def quantity(unit: str) -> tuple[Quantity, float]:
    r"""Physical quantity of a unit, and its factor to nm or 1/nm (1 for other quantities).

    Examples
    --------
    >>> quantity("\u00b5m"), quantity("1/n_m"), quantity("Angstroms"), quantity("furlong")
    (('length', 1000.0), ('inverse length', 1.0), ('length', 0.1), ('none', 1.0))
    """
    text = _plain(unit)
    below = _inverted(text)
    if below is not None and (length := _length(below)) is not None:
        return "inverse length", 1.0 / length
    if (length := _length(text)) is not None:
        return "length", length
    if text in _ANGLES or text.removesuffix("s") in _ANGLES:
        return "angle", 1.0
    return ("energy", 1.0) if text.casefold() in _ENERGIES else ("none", 1.0)


def _plain(unit: str) -> str:
    """The unit with unified signs, without brackets, escapes and the "_" after a prefix."""
    text = re.sub(r"\\+u([0-9A-Fa-f]{4})", lambda found: chr(int(found[1], 16)), unit)
    text = unicodedata.normalize("NFKC", text).replace("\u2212", "-").replace("\0", "").strip()
    text = re.sub(r"(?<=[^\W\d_])_(?=m(?![^\W\d_]))", "", text)  # n_m
    text = _PER_PIXEL.sub("", text)
    while len(text) > 1 and (text[0], text[-1]) in (("[", "]"), ("(", ")")):
        text = text[1:-1].strip()
    return text


def _inverted(text: str) -> str | None:
    """The unit whose inverse this is; None if it is not written as an inverse."""
    close = text.replace(" ", "").replace("\u00b7", "")
    for start in _BEFORE:
        if close.lower().startswith(start) and len(close) > len(start):
            return _plain(close[len(start) :])
    ending = _AFTER.search(close)
    return _plain(close[: ending.start()]) if ending and ending.start() > 0 else None


def _length(text: str) -> float | None:
    """The length in nm; None if the text is not a length."""
    if text in LENGTHS_NM:
        return LENGTHS_NM[text]
    name = text.casefold()
    if not {name, name.removesuffix("s")}.isdisjoint(_NO_LENGTHS | _ANGLES | _ENERGIES):
        return None
    bare = "".join(sign for sign in unicodedata.normalize("NFD", name) if not unicodedata.combining(sign))
    for one in (name, bare.removesuffix("s").replace("metre", "meter")):
        if len(one) > 2 and one in LENGTHS_NM:
            return LENGTHS_NM[one]
    return _length_by_pint(text) if _WORD.fullmatch(text) else None


@lru_cache(maxsize=64)
def _length_by_pint(text: str) -> float | None:
    """Length in nm of a unit with an uncommon spelling, interpreted by pint."""
    import pint

    registry: Any = pint.UnitRegistry()
    for spelling in dict.fromkeys((text, text.casefold(), text.replace(" ", ""))):
        try:
            asked = registry.Quantity(1, spelling)
            length = float(asked.to("nm").magnitude)
        except Exception:  # pint raises many types of exceptions for words that are not units
            continue
        metric = _METRIC.fullmatch(str(asked.units)) and 0 < length < math.inf
        return float(f"{length:.12g}") if metric else None
    return None
