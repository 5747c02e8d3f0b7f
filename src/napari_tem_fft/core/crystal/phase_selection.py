"""Which phases may be named: selected by name, by set, or by the elements that the sample may contain."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from .phase import Phase

#: Sets that come first if the user states neither phases nor sets nor elements. All others follow.
DEFAULT_TAGS = ("battery", "sei", "collector", "contaminant")
#: Set that is used only if elements, phases or sets are stated. Otherwise a larger table reduces the number
#: of
#: correct names: with it, the lithium carbonate of the bundled micrograph was ambiguous with andalusite.
EXTENDED_TAG = "extended"
#: Phases that do not exist in a microscope at room temperature, such as ice: candidates only by name, by set,
#: or if hydrogen is stated. In images of oxides, grains with three spots were assigned to them as often as to
#: anything else.
COLD_TAG = "cryo"
#: Sets of elements that form only gases and liquids at 300 K: library structures of one of these sets are
#: treated as `COLD_TAG`. At 26 GPa the cell of hydrogen matches many zones of other crystals.
_FROZEN = frozenset(
    frozenset(symbols.split())
    for symbols in ("H", "O", "N", "F", "Cl", "He", "Ne", "Ar", "Kr", "Xe", "H O", "H N", "N O", "C O", "F H",
                    "Cl H", "Br", "Br H", "H I", "H S")
)  # fmt: skip
#: The tag that every phase has.
ALL_TAGS = "all"
_SYMBOLS = (
    "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr"
    " Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta"
    " W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm D"
)
ELEMENTS = frozenset(_SYMBOLS.split())


@dataclass(frozen=True, slots=True)
class ElementRule:
    """What is known about the elements in the sample.

    Attributes
    ----------
    optional : frozenset of str
        May be present. Hydrogen always may, unless excluded: most detectors do not see it.
    required : frozenset of str
        Every phase must contain all of these.
    any_of : frozenset of str
        Every phase must contain at least one of these.
    excluded : frozenset of str
        No phase may contain any of these.

    If any of the first three is given, a phase is allowed only if all its elements are among them.
    """

    optional: frozenset[str] = frozenset()
    required: frozenset[str] = frozenset()
    any_of: frozenset[str] = frozenset()
    excluded: frozenset[str] = frozenset()

    @property
    def named(self) -> frozenset[str]:
        """The elements that are stated as present or possible."""
        return self.optional | self.required | self.any_of

    def allows(self, elements: Iterable[str]) -> bool:
        """Whether a phase with these elements may be named."""
        elements, named = frozenset(elements), self.named
        if elements & self.excluded or not self.required <= elements:
            return False
        if self.any_of and not elements & self.any_of:
            return False
        return not named or elements <= named | {"H", "D"}


def is_searched(elements: Iterable[str], rule: ElementRule | None = None) -> bool:
    """Whether a library structure with these elements is searched: gases and liquids at 300 K are not.

    They are searched too if hydrogen is stated (ice), or if no other elements are stated.

    Examples
    --------
    >>> [is_searched({"O"}, parse_elements(text)) for text in ("Zn, O", "Zn, O, H", "O")]
    [False, True, True]
    """
    elements, rule = frozenset(elements), rule or ElementRule()
    if not rule.allows(elements):
        return False
    named, light = rule.named, {"H" if symbol == "D" else symbol for symbol in elements}
    return light not in _FROZEN or "H" in named or bool(named and named <= elements)


def parse_elements(text: str) -> ElementRule:
    """Read "Li, F, O, +Cu, -Na, Fe|Co": optional, required (+), excluded (- or !), any of (|).

    Raises
    ------
    ValueError
        If tokens are not elements; the message names each of them.
    """
    sets: dict[str, set[str]] = {"optional": set(), "required": set(), "any_of": set(), "excluded": set()}
    unknown = []
    for token in filter(None, re.split(r"[,;\s]+", text)):
        kind = {"+": "required", "-": "excluded", "!": "excluded"}.get(token[:1], "optional")
        names = token.lstrip("+-!").split("|")
        symbols = [name[:1].upper() + name[1:].lower() for name in names]
        unknown += [name for name, symbol in zip(names, symbols, strict=True) if symbol not in ELEMENTS]
        sets["any_of" if len(symbols) > 1 else kind].update(symbols)
    if unknown:
        raise ValueError(f"not an element: {', '.join(repr(name) for name in unknown)}")
    return ElementRule(**{kind: frozenset(symbols) for kind, symbols in sets.items()})


def select_phases(
    table: Sequence[Phase],
    names: Sequence[str] | None = None,
    tags: Sequence[str] | None = None,
    elements: ElementRule | str | None = None,
) -> tuple[Phase, ...]:
    """Select the candidates: by name if names are given, otherwise by set; both restricted by the elements.

    Without names or sets, the usual sets come first: among equally probable phases, theirs are listed first,
    but they have no other priority. The set "cryo" (ice) is left out unless hydrogen is stated, and the set
    "extended" unless elements are stated.

    Parameters
    ----------
    table : sequence of Phase
    names : sequence of str, optional
        Ids, names, aliases or formulas; case and punctuation do not matter.
    tags : sequence of str, optional
        A phase with any of these sets is selected; "all" selects every phase. The user's own phases (tag
        "user") are always selected.
    elements : ElementRule or str, optional

    Raises
    ------
    ValueError
        If a name is unknown or matches several phases, or a set or an element is unknown.
    """
    rule = parse_elements(elements) if isinstance(elements, str) else elements
    named = rule.named if rule is not None else frozenset()
    pool = table if names or tags else _searched(table, named)
    if names:
        chosen = tuple({phase.id: phase for phase in (find_phase(pool, name) for name in names)}.values())
    elif tags:
        chosen = _by_tags(pool, tags)
    else:  # those of the usual sets and the user's own first
        first = {"user", *DEFAULT_TAGS}
        chosen = tuple(sorted(pool, key=lambda phase: not first & set(phase.tags)))
    return tuple(phase for phase in chosen if rule is None or rule.allows(phase.elements))


def _searched(table: Sequence[Phase], named: frozenset[str]) -> Sequence[Phase]:
    """Phases that are searched if neither names nor sets are given, depending on the stated elements."""
    if not named:
        return usual_phases(table)
    return table if "H" in named else tuple(phase for phase in table if COLD_TAG not in phase.tags)


def usual_phases(table: Sequence[Phase]) -> tuple[Phase, ...]:
    """The phases that are searched if nothing is stated: all except the sets "extended" and "cryo"."""
    return tuple(phase for phase in table if not {EXTENDED_TAG, COLD_TAG} & set(phase.tags))


def non_candidates(phases: Sequence[Phase], table: Sequence[Phase]) -> tuple[Phase, ...]:
    """The phases of a table that are not candidates, without the set "extended"."""
    chosen = {phase.id for phase in phases}
    return tuple(phase for phase in usual_phases(table) if phase.id not in chosen)


def extended_left_out(phases: Sequence[Phase], table: Sequence[Phase]) -> str:
    """A sentence about the phases that are searched only if elements are stated; empty if there are none.

    Examples
    --------
    >>> from napari_tem_fft.io.phases.table import load_table
    >>> table = load_table()
    >>> extended_left_out(select_phases(table), table).split(", ")[-1]
    '2 of ice where hydrogen is stated'
    >>> extended_left_out(select_phases(table, elements="Li, F"), table)
    ''
    """
    chosen = {phase.id for phase in phases}
    waiting = [phase for phase in table if EXTENDED_TAG in phase.tags]
    whole = all(phase.id in chosen for phase in usual_phases(table))
    if not whole or not waiting or any(phase.id in chosen for phase in waiting):
        return ""
    cold = sum(COLD_TAG in phase.tags for phase in table)
    further = sum(COLD_TAG not in phase.tags for phase in waiting)
    ice = f", {cold} of ice where hydrogen is stated" if cold else ""
    return f"{further} further phases are searched where the sample's elements are stated{ice}"


def find_phase(table: Sequence[Phase], name: str) -> Phase:
    """The one phase with this id, alias, name or formula.

    Raises
    ------
    ValueError
        If there is none (the message suggests similar names), or if there are several.
    """
    exact = {phase.id: phase for phase in table if name.strip() in (phase.id, *phase.aliases, phase.name)}
    if len(exact) == 1:
        return next(iter(exact.values()))
    wanted = normalise_name(name)
    for level in _LEVELS if wanted else ():
        found = [phase for phase in table if wanted in {normalise_name(text) for text in level(phase)}]
        if len(found) == 1:
            return found[0]
        if found:
            raise ValueError(
                f"{name!r} fits several phases: {', '.join(p.id for p in found)}; give one of these"
            )
    raise ValueError(f"no phase is called {name!r}{_suggestion(table, wanted)}")


def normalise_name(name: str) -> str:
    """A name in lower case without punctuation."""
    return re.sub(r"[^0-9a-z]", "", name.casefold())


_LEVELS: tuple[Callable[[Phase], tuple[str, ...]], ...] = (
    lambda phase: (phase.id,),
    lambda phase: (*phase.aliases, phase.name),
    lambda phase: (
        phase.formula,
        phase.id.split("_")[0],
        *(name.split(" (")[0] for name in (phase.name, *phase.aliases)),
    ),
)


def _by_tags(table: Sequence[Phase], tags: Sequence[str]) -> tuple[Phase, ...]:
    wanted = set(tags)
    known = {tag for phase in table for tag in phase.tags} | {ALL_TAGS, *DEFAULT_TAGS}
    if wanted - known:
        raise ValueError(
            f"no set is called {', '.join(sorted(wanted - known))}; there are {', '.join(sorted(known))}"
        )
    if ALL_TAGS in wanted:
        return tuple(table)
    return tuple(phase for phase in table if (wanted | {"user"}) & set(phase.tags))


def _suggestion(table: Sequence[Phase], wanted: str) -> str:
    names = {normalise_name(text): phase.id for phase in table for level in _LEVELS for text in level(phase)}
    close = list(dict.fromkeys(names[key] for key in get_close_matches(wanted, names, 4, 0.6)))
    return f"; did you mean {', '.join(close)}?" if close else ""
