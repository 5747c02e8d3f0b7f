"""PhaseLibrary: thousands of reference structures in memory, as far as a search needs them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from .phase import Miller, Phase
from .phase_selection import ElementRule

#: Entries of one type are one phase where their reduced cells agree within this with the reference's.
SAME_PHASE = 0.015
#: Cosine between two powder patterns of phases with the same positions occupied; hydrogen left out, or an
#: oxygen 0.02 of the cell away leave 0.95 and more.
SAME_PATTERN = 0.9
#: ln of d over the cell's mean edge at which patterns are compared, and how far lines are spread.
_PLACES, _SPREAD = np.arange(-2.2, 0.8, 0.04), 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Anchor:
    """A phase of the checked table by what tells whether entries of a library are the same phase.

    Attributes
    ----------
    id : str
    kind : str
        As `PhaseLibrary.types`.
    lines : ndarray, shape (n, 2)
    reduced : ndarray, shape (7,), nm
        As in `PhaseLibrary`.
    """

    id: str
    kind: str
    lines: NDArray[np.float32]
    reduced: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PhaseLibrary:
    """Reference structures by what they are searched by.

    Attributes
    ----------
    key : str
        Hash of all entries.
    held : int
        Structures that the whole library holds, of which these may be a selection.
    ids : tuple of str
    elements : tuple of frozenset of str
    types : tuple of str
        The same for entries of one composition, space group and number of atoms.
    lines : ndarray, shape (entries, n, 2)
        d in nm and relative intensity of each entry's strongest powder lines; intensity 0 where it has fewer.
    cells : ndarray, shape (entries, 6), nm and degrees
        As their sources give them.
    reduced : ndarray, shape (entries, 7), nm
        Lengths of each reduced cell (edges, and diagonals) in rising order, which change without jumps.
    usual : ndarray of bool, shape (entries,)
        Measured near 300 K and 1 bar, or nothing is stated.
    zone_entry : ndarray of int, shape (zones,)
        Which entry each low-index zone belongs to, rising.
    zone_uvw : ndarray of int, shape (zones, 3)
    zone_shape : ndarray, shape (zones, 3)
        ln of the three shortest lengths of the zone's reciprocal lattice (1/nm); see `shape_of`.
    zone_share : ndarray, shape (zones,)
        How probable each is to be seen; the zones of an entry sum to 1.
    anchors : tuple of Anchor
        Phases of the table, which stand for entries that are the same.
    load : callable
        The phases of some entries by their numbers, and of each the zones that are to be matched, or None.
    """

    key: str
    held: int
    ids: tuple[str, ...]
    elements: tuple[frozenset[str], ...]
    types: tuple[str, ...]
    lines: NDArray[np.float32]
    cells: NDArray[np.float64]
    reduced: NDArray[np.float64]
    usual: NDArray[np.bool_]
    zone_entry: NDArray[np.int32]
    zone_uvw: NDArray[np.int8]
    zone_shape: NDArray[np.float32]
    zone_share: NDArray[np.float32]
    load: Callable[[Sequence[int], Sequence[frozenset[Miller] | None]], tuple[Phase, ...]]
    anchors: tuple[Anchor, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def tree(self) -> KDTree:
        """Zones by their shape."""
        return KDTree(self.zone_shape, leafsize=64, balanced_tree=False, compact_nodes=False)

    @cached_property
    def references(self) -> NDArray[np.intp]:
        """What stands for the phase of each entry: an entry (itself, where it is alone), or an anchor.

        The numbers of anchors follow those of the entries.
        """
        return reference_entries(self.types, self.lines, self.reduced, self.usual, self.anchors)

    def anchor(self, reference: int) -> Anchor | None:
        """The anchor of a number of `references`; None where it is an entry."""
        return self.anchors[reference - len(self)] if reference >= len(self) else None

    def allowed_by(self, rule: ElementRule) -> PhaseLibrary:
        """The entries whose elements a rule allows."""
        return self.selected(np.array([rule.allows(elements) for elements in self.elements], bool))

    def selected(self, chosen: NDArray[np.bool_]) -> PhaseLibrary:
        """Some of the entries."""
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
            tuple(self.types[n] for n in numbers),
            self.lines[numbers],
            self.cells[numbers],
            self.reduced[numbers],
            self.usual[numbers],
            new_number[self.zone_entry[zones]].astype(np.int32),
            self.zone_uvw[zones],
            self.zone_shape[zones],
            self.zone_share[zones],
            load_selected,
            self.anchors,
        )


def reference_entries(
    types: Sequence[str],
    lines: NDArray[np.float32],
    reduced: NDArray[np.float64],
    usual: NDArray[np.bool_],
    anchors: Sequence[Anchor] = (),
) -> NDArray[np.intp]:
    """For each entry the one that stands for its phase; anchors, numbered behind the entries, come first.

    Of the entries of one type the one with most others within `SAME_PHASE` of its cell and of like
    intensities (the same positions are occupied) is a reference; these are then one phase, and the rest are
    looked at again. So nothing is chained: two entries of a phase are both near its reference. Entries far
    from 300 K or 1 bar stand alone.

    Parameters
    ----------
    types : sequence of str
    lines : ndarray, shape (entries, n, 2)
    reduced : ndarray, shape (entries, 7), nm
    usual : ndarray of bool, shape (entries,)
    anchors : sequence of Anchor
        As in `PhaseLibrary`.

    Examples
    --------
    >>> cells = np.array([[0.3580], [0.3615], [0.3650], [0.3700]]) * np.ones(7)
    >>> lines = np.array([[[0.2067, 1.0]], [[0.2087, 1.0]], [[0.2107, 1.0]], [[0.2136, 1.0]]], np.float32)
    >>> reference_entries(["Cu"] * 4, lines, cells, np.ones(4, bool)).tolist()
    [1, 1, 1, 3]
    """
    found, patterns = np.arange(len(types)), powder_patterns(lines, reduced)
    members: dict[str, list[int]] = {}
    for number, kind in enumerate(types):
        if usual[number]:
            members.setdefault(kind, []).append(number)
    for place, anchor in enumerate(anchors):
        numbers = np.array(members.get(anchor.kind, ()), np.intp)
        own = powder_patterns(anchor.lines[None], anchor.reduced[None])[0]
        near = np.abs(np.log(reduced[numbers] / anchor.reduced)).max(axis=1, initial=0.0) <= SAME_PHASE
        same = near & (patterns[numbers] @ own >= SAME_PATTERN)
        found[numbers[same]] = len(types) + place
        members[anchor.kind] = numbers[~same].tolist()
    for rest in members.values():
        left = np.array(rest, np.intp)
        while len(left) > 1:
            cells = np.log(reduced[left])
            near = np.abs(cells[:, None] - cells[None]).max(axis=2) <= SAME_PHASE
            near &= patterns[left] @ patterns[left].T >= SAME_PATTERN
            # of equally central ones the first
            best = int(near.sum(axis=1).argmax())
            found[left[near[best]]] = left[best]
            left = left[~near[best]]
    return found


def powder_patterns(lines: NDArray[np.float32], reduced: NDArray[np.float64]) -> NDArray[np.float32]:
    """Powder patterns of strong lines, on one scale and of length 1, shape (entries, places)."""
    found = np.zeros((len(lines), len(_PLACES)), np.float32)
    size = np.log(reduced.mean(axis=1)) if len(reduced) else np.zeros(0)
    for place in range(lines.shape[1]):
        d, intensity = lines[:, place, 0], lines[:, place, 1]
        at = np.log(np.maximum(d, 1e-6)) - size
        found += intensity[:, None] * np.exp(-0.5 * ((at[:, None] - _PLACES) / _SPREAD) ** 2)
    length = np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9)
    return np.asarray(found / length, np.float32)
