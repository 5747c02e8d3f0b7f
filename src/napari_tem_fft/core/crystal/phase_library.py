"""PhaseLibrary: thousands of reference structures in memory, with the properties that a search needs."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from heapq import heapify, heappop, heappush

import gemmi
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from .phase import Miller, Phase
from .phase_selection import ElementRule, is_searched

#: Entries are one phase if their reduced cells agree with the reference's within this relative difference.
SAME_PHASE = 0.015
#: Within this they are the same phase with another cell (pressure, temperature, vacancies): separate
#: candidates with one name.
SAME_TYPE = 0.04
#: Fraction of a structure's atoms that may differ, as between refinements of one material (magnetite and
#: maghemite differ by 0.029), and the fraction if both have the same mineral name, as in a solid solution.
SAME_COMPOSITION, SAME_SOLUTION = 0.025, 0.1
#: Smallest cosine between two powder patterns. First, for phases that occupy the same positions: 212 pairs of
#: minerals of one composition, group and cell have less than 0.9, and those inspected, down to 0.6, were one
#: phase in older and newer refinements. Second, for two space groups of one crystal system, which are then
#: two models of one structure: with and without a centre of inversion, hydrogen ordered or not. HgTe with the
#: structures of zinc blende and rock salt has 0.82.
SAME_PATTERN, SAME_MODEL = 0.75, 0.9
#: Hydrogen bonded to these is often not located, so it does not show whether two structures are the same.
_HIDE_HYDROGEN = frozenset({"C", "N", "O", "F", "S", "Cl"})
#: Enantiomorphic pairs of space groups.
_HANDS = {
    78: 76,
    95: 91,
    96: 92,
    145: 144,
    153: 151,
    154: 152,
    170: 169,
    172: 171,
    179: 178,
    181: 180,
    213: 212,
}
#: ln(d / mean edge of the cell) at which patterns are compared, and the width by which lines are broadened.
_PLACES, _SPREAD = np.arange(-2.2, 0.8, 0.04), 0.05
#: Finer positions on which the lines are placed before they are broadened.
_FINE = np.arange(-2.3, 0.9, 0.02)
_SYSTEMS = ("triclinic", "monoclinic", "orthorhombic", "tetragonal", "trigonal", "hexagonal", "cubic")
#: Number of pairs of entries, or of patterns, that are processed at a time.
_AT_A_TIME = 10_000


@dataclass(frozen=True, slots=True, eq=False)
class Identities:
    """Properties that decide whether structures are one phase, one row for each structure.

    Attributes
    ----------
    names : tuple of str
        Name of each structure; its formula if it has no name of its own.
    formulas : tuple of str
        "Mg1.9SiO4".
    groups : tuple of str
        Hermann-Mauguin symbols.
    lines : ndarray, shape (n, lines, 2)
        d in nm and relative intensity of the strongest powder lines; the intensity is 0 beyond the last line.
    reduced : ndarray, shape (n, 7), nm
        Lengths of each reduced cell (edges and diagonals) in rising order, which change continuously.
    """

    names: tuple[str, ...]
    formulas: tuple[str, ...]
    groups: tuple[str, ...]
    lines: NDArray[np.float32]
    reduced: NDArray[np.float64]

    def rows(self, numbers: NDArray[np.intp]) -> Identities:
        """Select rows."""
        return Identities(
            tuple(self.names[n] for n in numbers),
            tuple(self.formulas[n] for n in numbers),
            tuple(self.groups[n] for n in numbers),
            self.lines[numbers],
            self.reduced[numbers],
        )

    @classmethod
    def joined(cls, parts: Sequence[Identities]) -> Identities:
        """Concatenate identities, all with the same number of lines."""
        return cls(
            tuple(text for part in parts for text in part.names),
            tuple(text for part in parts for text in part.formulas),
            tuple(text for part in parts for text in part.groups),
            np.concatenate([part.lines for part in parts]),
            np.concatenate([part.reduced for part in parts]),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Anchor:
    """A phase of the checked table that stands for equal library entries: its id and properties (one row)."""

    id: str
    identity: Identities

    @property
    def reduced(self) -> NDArray[np.float64]:
        """As in `Identities`, shape (7,)."""
        return np.asarray(self.identity.reduced[0])


@dataclass(frozen=True, eq=False)
class PhaseLibrary:
    """Reference structures with the properties that a search uses.

    Attributes
    ----------
    key : str
        Hash of all entries.
    held : int
        Number of structures in the whole library, from which these may be a selection.
    ids : tuple of str
    elements : tuple of frozenset of str
    identities : Identities
    cells : ndarray, shape (entries, 6), nm and degrees
        Cells as given in the sources.
    usual : ndarray of bool, shape (entries,)
        Whether the structure was measured near 300 K and 1 bar, or nothing is stated.
    zone_entry : ndarray of int, shape (zones,)
        Entry to which each low-index zone belongs, in rising order.
    zone_uvw : ndarray of int, shape (zones, 3)
    zone_shape : ndarray, shape (zones, 3)
        ln of the three shortest lengths of the zone's reciprocal lattice (1/nm); see `shape_of`.
    zone_share : ndarray, shape (zones,)
        Probability of seeing each zone; those of an entry sum to 1.
    anchors : tuple of Anchor
        Phases of the table that stand for entries that are the same.
    load : callable
        Returns the phases of some entries, given their numbers and, for each, the zones to be matched, or
        None.
    """

    key: str
    held: int
    ids: tuple[str, ...]
    elements: tuple[frozenset[str], ...]
    identities: Identities
    cells: NDArray[np.float64]
    usual: NDArray[np.bool_]
    zone_entry: NDArray[np.int32]
    zone_uvw: NDArray[np.int8]
    zone_shape: NDArray[np.float32]
    zone_share: NDArray[np.float32]
    load: Callable[[Sequence[int], Sequence[frozenset[Miller] | None]], tuple[Phase, ...]]
    anchors: tuple[Anchor, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def reduced(self) -> NDArray[np.float64]:
        """As in `Identities`, shape (entries, 7)."""
        return self.identities.reduced

    @cached_property
    def tree(self) -> KDTree:
        """Search tree of the zones' shapes."""
        return KDTree(self.zone_shape, leafsize=64, balanced_tree=False, compact_nodes=False)

    @cached_property
    def references(self) -> NDArray[np.intp]:
        """For each entry, the number of the entry (possibly itself) or anchor that stands for its phase.

        The numbers of anchors follow those of the entries.
        """
        return reference_entries(self.identities, self.usual, self.anchors)

    def anchor(self, reference: int) -> Anchor | None:
        """The anchor with a number from `references`; None if the number is an entry's."""
        return self.anchors[reference - len(self)] if reference >= len(self) else None

    def allowed_by(self, rule: ElementRule) -> PhaseLibrary:
        """The entries to search if a rule restricts the elements of the sample."""
        return self.selected(np.array([is_searched(elements, rule) for elements in self.elements], bool))

    def selected(self, chosen: NDArray[np.bool_]) -> PhaseLibrary:
        """A subset of the entries."""
        if chosen.all():
            return self
        numbers = np.flatnonzero(chosen)
        new_number = np.cumsum(chosen) - 1
        zones = chosen[self.zone_entry] if len(self.zone_entry) else np.zeros(0, bool)
        load = self.load

        def load_selected(
            entries: Sequence[int], axes: Sequence[frozenset[Miller] | None]
        ) -> tuple[Phase, ...]:
            return load([int(numbers[entry]) for entry in entries], axes)

        return PhaseLibrary(
            self.key,
            self.held,
            tuple(self.ids[n] for n in numbers),
            tuple(self.elements[n] for n in numbers),
            self.identities.rows(numbers),
            self.cells[numbers],
            self.usual[numbers],
            new_number[self.zone_entry[zones]].astype(np.int32),
            self.zone_uvw[zones],
            self.zone_shape[zones],
            self.zone_share[zones],
            load_selected,
            self.anchors,
        )


def reference_entries(
    identities: Identities, usual: NDArray[np.bool_], anchors: Sequence[Anchor] = ()
) -> NDArray[np.intp]:
    """For each entry the one that stands for its phase; anchors, numbered after the entries, have priority.

    Two entries are the same phase if their reduced cells agree within `SAME_PHASE`, their crystal systems and
    compositions are the same (see `same_phase`), and the same positions are occupied (similar powder
    intensities). The entry that is the same as most others becomes a reference. It and these others are one
    phase, and the remaining entries are treated in the same way. This avoids chains: two entries of a phase
    are both near its reference. Entries far from 300 K or 1 bar stand alone.

    Parameters
    ----------
    identities : Identities
        Identities of the entries.
    usual : ndarray of bool, shape (entries,)
    anchors : sequence of Anchor

    Examples
    --------
    >>> cells = np.array([[0.3580], [0.3615], [0.3650], [0.3700]]) * np.ones(7)
    >>> lines = np.array([[[0.2067, 1.0]], [[0.2087, 1.0]], [[0.2107, 1.0]], [[0.2136, 1.0]]], np.float32)
    >>> copper = Identities(("Copper",) * 4, ("Cu",) * 4, ("F m -3 m",) * 4, lines, cells)
    >>> reference_entries(copper, np.ones(4, bool)).tolist()
    [1, 1, 1, 3]
    """
    entries, found = len(usual), np.arange(len(usual))
    every = Identities.joined([identities, *(anchor.identity for anchor in anchors)])
    pairs, others = same_phase(every)
    taken = np.append(~usual, np.ones(len(anchors), bool))
    # among several phases of the table the one of the nearest composition, the first among equally near ones
    low, high = pairs.min(axis=1), pairs.max(axis=1)
    anchored = np.flatnonzero((low < entries) & (high >= entries))
    anchored = anchored[np.lexsort((-high[anchored], -others[anchored]))]
    anchored = anchored[usual[low[anchored]]]
    found[low[anchored]], taken[low[anchored]] = high[anchored], True
    pairs = pairs[~taken[pairs].any(axis=1)]
    both = np.concatenate([pairs, pairs[:, ::-1]])
    both = both[np.argsort(both[:, 0], kind="stable")]
    ends = np.searchsorted(both[:, 0], np.arange(entries + 1)).tolist()
    count = np.diff(ends).tolist()
    waiting = [(-number, n) for n, number in enumerate(count) if number]
    heapify(waiting)
    while waiting:
        believed, best = heappop(waiting)
        if taken[best] or not count[best]:
            continue
        if -believed != count[best]:  # among equally central ones the first
            heappush(waiting, (-count[best], best))
            continue
        near = both[ends[best] : ends[best + 1], 1]
        members = np.append(near[~taken[near]], best)
        found[members], taken[members] = best, True
        for member in members.tolist():
            for lost in both[ends[member] : ends[member + 1], 1].tolist():
                count[lost] -= 1
    return found


def same_phase(
    every: Identities, cell: float = SAME_PHASE, models: bool = True
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Pairs of structures that are one phase.

    Without hydrogen where it is seldom located, a fraction `SAME_COMPOSITION` of their atoms may differ, or
    `SAME_SOLUTION` if both have the same name. Two space groups of one crystal system may be two models of
    one structure if the intensities are more similar.

    Parameters
    ----------
    every : Identities
    cell : float
        Largest relative difference between reduced cells.
    models : bool
        Whether space groups may be two models of one structure.

    Returns
    -------
    pairs : ndarray, shape (pairs, 2)
    others : ndarray, shape (pairs,)
        Fraction of the atoms that differ.
    """
    system, group = np.array([_system_and_number(symbol) for symbol in every.groups]).reshape(-1, 2).T
    named = np.array([name != text for name, text in zip(every.names, every.formulas, strict=True)], bool)
    titles = np.unique([name.casefold() for name in every.names], return_inverse=True)[1]
    shares, marks = compositions(every.formulas)
    # preselect by bounds on the differences; an entry without a known space group belongs to all systems
    edges = np.log(every.reduced) / cell
    unknown = np.flatnonzero(group == 0)
    which = np.append(np.arange(len(group)), np.repeat(unknown, len(_SYSTEMS)))
    systems = np.append(system, np.tile(np.arange(len(_SYSTEMS)), len(unknown)))
    mineral = np.flatnonzero(named)
    kinds = system[mineral] + titles[mineral] * (len(_SYSTEMS) + 1)
    pairs = np.concatenate(
        [
            which[_near_pairs(edges[which], marks[which] / SAME_COMPOSITION, systems)],
            mineral[_near_pairs(edges[mineral], marks[mineral] / SAME_SOLUTION, kinds)],
        ]
    )
    pairs = pairs[(np.abs(edges[pairs[:, 0]] - edges[pairs[:, 1]]) <= 1).all(axis=1)]
    pairs = pairs[pairs[:, 0] != pairs[:, 1]]
    codes = np.sort(pairs.min(axis=1) * len(group) + pairs.max(axis=1))
    codes = codes[np.append(True, np.diff(codes) > 0)[: len(codes)]]
    pairs = np.stack(np.divmod(codes, max(len(group), 1)), axis=1)
    patterns = powder_patterns(every.lines, every.reduced)
    kept, shared = [np.zeros((0, 2), np.intp)], [np.zeros(0, np.float32)]
    for start in range(0, len(pairs), _AT_A_TIME):
        some = pairs[start : start + _AT_A_TIME]
        a, b = some.T
        others = 0.5 * np.abs(shares[a] - shares[b]).sum(axis=1)
        one_name = named[a] & named[b] & (titles[a] == titles[b])
        same = others <= np.where(one_name, SAME_SOLUTION, SAME_COMPOSITION)
        a, b, some, others = a[same], b[same], some[same], others[same]
        one_group = (group[a] == group[b]) & (group[a] > 0)
        alike = np.einsum("ni,ni->n", patterns[a], patterns[b])
        same = alike >= np.where(one_group, SAME_PATTERN, SAME_MODEL if models else 2.0)
        kept.append(some[same])
        shared.append(others[same])
    return np.concatenate(kept), np.concatenate(shared)


def compositions(formulas: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Atomic fractions of the elements, and three mixtures of these from 0 to 1 for a search tree.

    Returns
    -------
    shares : ndarray, shape (n, elements)
        Hydrogen is left out where it is seldom located.
    marks : ndarray, shape (n, 3)
        Mixtures. Between two structures, none differs by more than the fraction of atoms that differ.

    Examples
    --------
    >>> compositions(["CaMg2", "LiOH"])[0].tolist()  # Ca, Li, Mg, O
    [[0.3333333432674408, 0.0, 0.6666666865348816, 0.0], [0.0, 0.5, 0.0, 0.5]]
    """
    different, which = np.unique(np.array(formulas, object), return_inverse=True)
    counts = [_heavy_atoms(formula) for formula in different]
    symbols = {symbol: n for n, symbol in enumerate(sorted({s for one in counts for s in one}))}
    shares = np.zeros((len(counts), len(symbols)), np.float32)
    for row, one in enumerate(counts):
        for symbol, number in one.items():
            shares[row, symbols[symbol]] = number
    shares /= np.maximum(shares.sum(axis=1, keepdims=True), 1e-9)
    numbers = np.array([gemmi.Element(symbol).atomic_number for symbol in symbols], float)
    weights = np.stack([numbers == 8, numbers / 120, (numbers * 0.618) % 1.0], axis=1)
    return shares[which], (shares @ weights.reshape(len(symbols), 3))[which]


def _heavy_atoms(formula: str) -> dict[str, float]:
    """Number of atoms of each element, without hydrogen where it is seldom located."""
    counts: dict[str, float] = {}
    for symbol, number in re.findall(r"([A-Z][a-z]?)(\d*\.?\d*)", formula):
        counts[symbol] = counts.get(symbol, 0.0) + float(number or 1)
    if counts.keys() & _HIDE_HYDROGEN:
        counts = {symbol: number for symbol, number in counts.items() if symbol not in ("H", "D")}
    return counts


@cache
def _system_and_number(symbol: str) -> tuple[int, int]:
    """Crystal system and space group as numbers, equal for enantiomorphs; 0 for a setting without symbol."""
    group: gemmi.SpaceGroup | None = gemmi.find_spacegroup_by_name(symbol)
    if group is None:
        return len(_SYSTEMS), 0
    return _SYSTEMS.index(group.crystal_system_str()), _HANDS.get(group.number, group.number)


def _near_pairs(
    edges: NDArray[np.float64], marks: NDArray[np.float64], kind: NDArray[np.intp]
) -> NDArray[np.intp]:
    """Pairs of one kind whose marks, and nearly all edges, differ by at most 1, shape (pairs, 2)."""
    if len(edges) < 2:
        return np.zeros((0, 2), np.intp)
    apart = 10.0 + float(np.ptp(marks[:, 0]))
    # a few of the numbers leave few pairs; a tree of all of them would be slow
    places = [kind * apart + marks[:, 0], edges.mean(axis=1), edges[:, 0], edges[:, -1], *marks.T[1:]]
    tree = KDTree(np.stack(places, axis=1), leafsize=32)
    return np.asarray(tree.query_pairs(1.0, p=np.inf, output_type="ndarray"), np.intp)


def powder_patterns(lines: NDArray[np.float32], reduced: NDArray[np.float64]) -> NDArray[np.float32]:
    """Powder patterns of strong lines on a common scale, normalised to 1, shape (entries, places)."""
    found = np.zeros((len(lines), len(_PLACES)), np.float32)
    for start in range(0, len(lines), _AT_A_TIME):
        some = slice(start, start + _AT_A_TIME)
        found[some] = _patterns(lines[some], reduced[some])
    return found


def _patterns(lines: NDArray[np.float32], reduced: NDArray[np.float64]) -> NDArray[np.float32]:
    size = np.log(reduced.mean(axis=1))
    at = (np.log(np.maximum(lines[..., 0], 1e-6)) - size[:, None] - _FINE[0]) / (_FINE[1] - _FINE[0])
    first = np.floor(at).astype(np.intp)
    inside = (first >= 0) & (first < len(_FINE) - 1)
    row, part = np.nonzero(inside)[0], (at - first)[inside]
    intensity, place = lines[..., 1][inside], row * len(_FINE) + first[inside]
    number = len(lines) * len(_FINE)
    drawn = np.bincount(place, intensity * (1 - part), number) + np.bincount(
        place + 1, intensity * part, number
    )
    spread = np.exp(-0.5 * ((_FINE[:, None] - _PLACES) / _SPREAD) ** 2).astype(np.float32)
    found = drawn.reshape(len(lines), len(_FINE)).astype(np.float32) @ spread
    length = np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9)
    return np.asarray(found / length, np.float32)
