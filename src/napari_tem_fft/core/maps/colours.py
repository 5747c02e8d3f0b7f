"""Colours: one per phase, the same in every picture, distinct for colour-blind people too.

The palette is Okabe and Ito's (2008) without black, followed by five of Tol's "muted" scheme. Beyond these
twelve come darker and paler shades of them, neither near black nor near white: each in turn the one that is
farthest from all before it, by the least of its distances in OKLab as people see them with all cones and
without those for long or medium waves (Machado et al., 2009).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from re import fullmatch
from zlib import crc32

from .component_map import UNKNOWN_CRYSTAL

PALETTE = (
    "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7",
    "#332288", "#88CCEE", "#882255", "#999933", "#44AA99",
)  # fmt: skip
#: Shades for components beyond the palette; plots hatch them as well.
SHADES = (
    "#954200", "#E0E0C2", "#8F5575", "#EAAE80", "#00507D", "#CCE8F8", "#F2CF80", "#4C9CC9",
    "#EEBC4C", "#5C4EA0", "#3C7EA3", "#A36186", "#ABDAF4", "#006F50", "#ADAD5C", "#803800",
    "#4CBB9D", "#EEBF99", "#F4EC7B", "#AA4B00", "#99D8C7", "#338EC1", "#ADA7CF", "#36525F",
)  # fmt: skip
#: Colour of crystals without a name.
UNKNOWN = "#BBBBBB"
#: Number of colours that are given first; the others are for images with more components.
_FIRST = 7
#: A perceptually even circular colour map that colour-blind people can read too; and one that is pale at
#: zero.
CIRCULAR, DIVERGING = "twilight_shifted", "PuOr"
#: The colour range of a deformation ends at this percentile of it.
REACH = 98.0


def colours_of(names: Iterable[str], known: Mapping[str, str] | None = None) -> dict[str, str]:
    """A colour ("#RRGGBB") for each component.

    A name's own colour depends on nothing but the name. Where two have the same one, the later in the
    alphabet takes the next free colour. Beyond 36 components colours repeat.

    Parameters
    ----------
    names : iterable of str
    known : mapping of str to str, optional
        Colours that names already have, such as in the earlier images of a series: they are kept.
    """
    chosen = dict(known or {})
    for name in sorted(set(names) - set(chosen)):
        chosen[name] = UNKNOWN if name == UNKNOWN_CRYSTAL else _free(name, set(chosen.values()))
    return chosen


def is_colour(text: object) -> bool:
    """Whether this is a colour as `colours_of` has them."""
    return isinstance(text, str) and fullmatch("#[0-9A-Fa-f]{6}", text) is not None


def _free(name: str, taken: set[str]) -> str:
    own = crc32(name.encode()) % _FIRST
    order = (*PALETTE[own:_FIRST], *PALETTE[:own], *PALETTE[_FIRST:], *SHADES)
    return next((colour for colour in order if colour not in taken), PALETTE[own])
