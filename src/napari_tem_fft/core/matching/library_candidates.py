"""Select candidates from a library: phases with a zone that fits the plane cell of a grain's spots."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..crystal.phase import Miller, Phase
from ..crystal.phase_library import SAME_PHASE, SAME_TYPE, Identities, PhaseLibrary, same_phase
from ..grains.grain import Grain
from ..grains.plane_cell import MOST_INDEX, PlaneCell, plane_cells, reduce_bases, sublattices
from ..spots.spot import Spot
from .pair_index import PhaseIndex, build_index, join_indices
from .params import MatchParams
from .result import GrainMatch

#: Largest number of phases that are matched per grain, and per image; see tests/benchmarks/library_bench.py.
MOST_A_GRAIN, MOST_AN_IMAGE = 120, 240
#: Largest squared distance of a zone from a grain's cell, in units of its errors (three parameters: 99.7 %).
GATE = 14.0
#: Standard deviation of the stretch that the preselection allows for if none is stated.
STRETCH = 0.01
#: Error of a cell that is fitted to many spots, as a share of the error of a single spot (`d_error`).
OF_MANY = 0.7
#: -ln of the probability that a crystal shows a coarser lattice than its own (because its other spots are
#: weak), and a finer one (by double diffraction).
WEAK_HALF, FORBIDDEN_SEEN = 3.0, 3.0


@dataclass(frozen=True, slots=True)
class Selection:
    """Entries of a library that are selected for matching.

    Attributes
    ----------
    references : tuple of int
        Numbers of the reference entries of the phases, best first.
    zones : mapping of int to frozenset of tuple of int
        The possible zone axes of each entry of these phases, not only of the reference entries.
    """

    references: tuple[int, ...]
    zones: dict[int, frozenset[Miller]]


def select_entries(
    library: PhaseLibrary,
    cells: Sequence[Sequence[PlaneCell]],
    params: MatchParams,
    scale_uncertainty: float,
) -> Selection:
    """Select the entries that fit the shape and size of the grains' cells.

    Parameters
    ----------
    library : PhaseLibrary
    cells : sequence of sequence of PlaneCell
        The likely cells of each grain's spots.
    params : MatchParams
    scale_uncertainty : float
        Relative standard uncertainty of the image's scale.
    """
    best: dict[int, float] = {}
    axes: dict[int, set[Miller]] = {}
    for of_grain in cells:
        zones, merit = _fitting_zones(library, of_grain, params, scale_uncertainty)
        references = library.references[library.zone_entry[zones]]
        order = np.argsort(-merit, kind="stable")
        firsts = order[np.sort(np.unique(references[order], return_index=True)[1])][:MOST_A_GRAIN]
        chosen = np.isin(references, references[firsts])
        for place, row in enumerate(firsts.tolist()):
            number = int(references[row])
            # by rank, so that the limit per image keeps the best entries of every grain
            best[number] = max(best.get(number, -np.inf), -float(place))
        for zone in zones[chosen].tolist():
            u, v, w = library.zone_uvw[zone].tolist()
            axes.setdefault(int(library.zone_entry[zone]), set()).add((u, v, w))
    kept = sorted(best, key=lambda number: (-best[number], number))[:MOST_AN_IMAGE]
    wanted = set(kept)
    found = {
        entry: frozenset(uvw)
        for entry, uvw in sorted(axes.items())
        if int(library.references[entry]) in wanted
    }
    return Selection(tuple(kept), found)


def _fitting_zones(
    library: PhaseLibrary, cells: Sequence[PlaneCell], params: MatchParams, scale_uncertainty: float
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Zones that fit the cells of one grain, each once, with their scores (ln)."""
    found: list[NDArray[np.intp]] = []
    merits: list[NDArray[np.float64]] = []
    for cell in cells if len(library.zone_entry) else ():
        shapes, covariances, priors = _lattices_of(cell, params, scale_uncertainty)
        reach = np.sqrt(GATE * np.linalg.eigvalsh(covariances)[:, -1])
        near = library.tree.query_ball_point(shapes, reach)
        inverse = np.linalg.inv(covariances)
        for shape, metric, prior, rows in zip(shapes, inverse, priors, near, strict=True):
            zones = np.array(rows, np.intp)
            apart = library.zone_shape[zones].astype(float) - shape
            misfit = np.einsum("ni,ij,nj->n", apart, metric, apart)
            fits = misfit < GATE
            found.append(zones[fits])
            share = np.maximum(library.zone_share[zones[fits]], 1e-5)
            merits.append(prior - 0.5 * misfit[fits] + np.log(share))
    if not found:
        return np.zeros(0, np.intp), np.zeros(0)
    zones, merit = np.concatenate(found), np.concatenate(merits)
    order = np.lexsort((-merit, zones))
    zones, first = np.unique(zones[order], return_index=True)
    return zones, merit[order][first]


def _lattices_of(
    cell: PlaneCell, params: MatchParams, scale_uncertainty: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Possible lattices of a crystal whose spots have a given cell: shape, its covariance, ln of the prior.

    These are the cell itself, finer reciprocal lattices of which only some spots are seen, and coarser ones
    if forbidden reflections are seen.
    """
    basis, count = cell.vectors(), len(cell.spots)
    turns, priors = [np.eye(2)], [0.0]
    for index in range(2, MOST_INDEX + 1):
        for matrix in sublattices(index):
            turns.append(np.linalg.inv(matrix))
            priors.append(-min((count - 2) * np.log(index), WEAK_HALF + np.log(index)))
    for matrix in sublattices(2):
        turns.append(matrix.astype(float))
        priors.append(-FORBIDDEN_SEEN)
    reduced = reduce_bases(np.array(turns) @ basis)
    vectors = np.concatenate([reduced, (reduced[:, 1] - reduced[:, 0])[:, None]], axis=1)
    length = np.linalg.norm(vectors, axis=2)
    # ln of a length changes by (vector / length^2) . d(vector), and a vector is a sum of those measured
    sums = vectors @ np.linalg.inv(basis)
    jacobian = (sums[..., None] * (vectors / length[..., None] ** 2)[:, :, None]).reshape(len(turns), 3, 4)
    covariance = jacobian @ cell.errors() @ jacobian.transpose(0, 2, 1)
    twice = 2 * np.arctan2(vectors[..., 0], vectors[..., 1])
    believed = STRETCH if params.stretch is None else params.stretch / 100
    for stretched in (np.cos(twice), np.sin(twice)):
        covariance += believed**2 * stretched[:, :, None] * stretched[:, None]
    covariance += scale_uncertainty**2 + (OF_MANY * params.d_error / 100) ** 2 * np.eye(3)
    return np.log(length), covariance, np.array(priors)


#: Cells of one phase with a smaller relative difference are treated as one; at most this many are kept.
SAME_CELL, MOST_CELLS = 0.003, 5


@dataclass(frozen=True, slots=True)
class LibrarySearch:
    """Description of a search of the user's library, or of a library that was not searched.

    Attributes
    ----------
    key : str
        Hash of the library.
    held : int
        Number of structures in the library.
    allowed : int
        Number of those of the stated elements; all if no elements are stated.
    pool : int
        Number of phases that could have been named: those of the table and those allowed of the library,
        where entries of one phase count once; 0 if the library was not searched.
    weighed : int
        Number of phases of the library that fitted the shape of a grain's lattice.
    by_elements : bool
    """

    key: str
    held: int
    allowed: int
    pool: int = 0
    weighed: int = 0
    by_elements: bool = False

    @property
    def text(self) -> str:
        """One sentence: "library: 412 of 9257 structures by elements searched, 37 phases weighed"."""
        what = f"{self.allowed} of {self.held} structures" + (" by elements" if self.by_elements else "")
        if self.pool:
            return f"library: {what} searched, {self.weighed} phases weighed"
        return (
            f"the library holds {self.allowed} more structures of these elements: search them with --library"
        )


@dataclass(frozen=True, slots=True, eq=False)
class LibraryCandidates:
    """Candidates including those from a library.

    Attributes
    ----------
    phases : tuple of Phase
        Phases of the table, some with additional references, followed by those only in the library.
    index : PhaseIndex
        Index of these and of the phases outside the candidates.
    search : LibrarySearch
    """

    phases: tuple[Phase, ...]
    index: PhaseIndex
    search: LibrarySearch


def library_candidates(
    library: PhaseLibrary,
    table: Sequence[Phase],
    others: Sequence[Phase],
    index: PhaseIndex,
    grains: Sequence[Grain],
    spots: Sequence[Spot],
    params: MatchParams,
    scale_uncertainty: float,
) -> LibraryCandidates:
    """Select the candidates for the grains of an image.

    Parameters
    ----------
    library : PhaseLibrary
        The entries that are allowed.
    table : sequence of Phase
        Candidates that are always matched.
    others : sequence of Phase
        Phases outside the candidates.
    index : PhaseIndex
        Index of table and others.
    grains, spots
        Those of the image.
    params : MatchParams
    scale_uncertainty : float
    """
    cells = [found for grain in grains if (found := plane_cells(grain, spots))]
    chosen = select_entries(library, cells, params, scale_uncertainty)
    groups = {reference: list[int]() for reference in chosen.references}
    for entry in chosen.zones:
        groups[int(library.references[entry])].append(entry)
    outside = {phase.id for phase in others}
    place = {phase.id: number for number, phase in enumerate(table)}
    phases, alone, added = list(table), list[Phase](), list[tuple[int, int, Phase]]()
    stands: dict[int, str] = {}
    for reference, fitting in groups.items():
        anchor = library.anchor(reference)
        if anchor is not None and anchor.id in outside:
            continue  # a phase outside the candidates stays there
        entries = _distinct(library, anchor.reduced if anchor else library.reduced[reference], fitting)
        loaded = library.load(entries, [chosen.zones[entry] for entry in entries])
        label = label_of(library, reference, loaded[0])
        if anchor is not None and anchor.id in place:
            number = place[anchor.id]
            own = phases[number]
            more = tuple(one for one in loaded if same_axes(one.cell, own.cell))[: MOST_CELLS - 1]
            phases[number] = replace(own, references=(own, *more), label=label)
            added += [(number, n, one) for n, one in enumerate(more, 1)]
            continue
        number = len(table) + len(alone)
        variants = (loaded[0], *(one for one in loaded[1:] if same_axes(one.cell, loaded[0].cell)))
        added += [(number, n, one) for n, one in enumerate(variants)]
        alone.append(replace(loaded[0], references=variants if len(variants) > 1 else (), label=label))
        stands[reference if anchor is None else entries[0]] = loaded[0].id
    kin = _kin_of(library, stands, place)
    alone = [replace(phase, kin=kin[phase.id]) if phase.id in kin else phase for phase in alone]
    candidates = (*phases, *alone)
    joined = _joined_index(index, len(table), len(alone), added, (*candidates, *others))
    stand = np.unique(library.references)
    pool = len(table) + int((stand < len(library)).sum())
    search = LibrarySearch(
        library.key, library.held, len(library), pool, len(groups), len(library) < library.held
    )
    return LibraryCandidates(candidates, joined, search)


def _kin_of(
    library: PhaseLibrary, stands: Mapping[int, str], table: Iterable[str]
) -> dict[str, frozenset[str]]:
    """Find, for candidates only in the library, those that are the same phase with another cell.

    Parameters
    ----------
    library : PhaseLibrary
    stands : mapping of int to str
        The candidate of each reference entry.
    table : iterable of str
        Ids of the candidates of the table.
    """
    known = set(table)
    anchors = [anchor for anchor in library.anchors if anchor.id in known]
    entries = library.identities.rows(np.array(list(stands), np.intp))
    every = Identities.joined([entries, *(anchor.identity for anchor in anchors)])
    ids = [*stands.values(), *(anchor.id for anchor in anchors)]
    kin: dict[str, set[str]] = {}
    for a, b in same_phase(every, SAME_TYPE, models=False)[0].tolist():
        for one, other in ((a, b), (b, a)):
            if one < len(stands):
                kin.setdefault(ids[one], set()).add(ids[other])
    return {one: frozenset(others) for one, others in kin.items()}


def _joined_index(
    index: PhaseIndex,
    table: int,
    alone: int,
    added: Sequence[tuple[int, int, Phase]],
    phases: Sequence[Phase],
) -> PhaseIndex:
    """Add phases behind the candidates of the table to the index, and references to the candidates."""
    behind = index.zone_phase >= table
    moved = replace(index, zone_phase=(index.zone_phase + alone * behind).astype(np.int32))
    new = build_index([phase for _, _, phase in added])
    number = np.array([n for n, _, _ in added], np.int32)
    variant = np.array([v for _, v, _ in added], np.int16)
    if len(added):
        own = new.zone_phase
        new = replace(new, zone_phase=number[own], zone_variant=variant[own])
    return join_indices((moved, new), phases)


def _distinct(library: PhaseLibrary, reference: NDArray[np.float64], fitting: Sequence[int]) -> list[int]:
    """Entries of a phase whose cells the matcher can distinguish, nearest to the reference first."""
    own = np.log(reference)
    order = sorted(fitting, key=lambda e: (float(np.abs(np.log(library.reduced[e]) - own).max()), e))
    kept: list[int] = []
    for entry in order:
        cell = np.log(library.reduced[entry])
        if all(np.abs(np.log(library.reduced[one]) - cell).max() > SAME_CELL for one in kept):
            kept.append(entry)
    return kept[:MOST_CELLS]


def label_of(library: PhaseLibrary, reference: int, phase: Phase) -> str:
    """Label of a phase of the library, such as "Cu, Fm-3m; 5 entries, a 0.3607-0.3621 nm"."""
    members = np.flatnonzero(library.references == reference)
    groups = {_short(library.identities.groups[n]) for n in members} - {_short(phase.space_group)}
    compositions = {library.identities.formulas[n] for n in members} | {phase.formula}
    group = _short(phase.space_group)
    title = f"{phase.formula}, {group}"
    if phase.name and phase.name.casefold() != phase.formula.casefold():
        title = f"{phase.name} ({title})"
    if len(members) == 1 and library.anchor(reference) is None:
        return title
    a, b, c = library.cells[members, :3].T
    edges = [("a", a)] + ([("b", b)] if np.ptp(b - a) > 1e-4 or abs(b[0] - a[0]) > 1e-4 else [])
    edges += [("c", c)] if abs(c[0] - a[0]) > 1e-4 else []
    spread = ", ".join(f"{name} {edge.min():.4f}-{edge.max():.4f}" for name, edge in edges)
    count = f"{len(members)} {'entries' if len(members) > 1 else 'entry'}"
    if len(compositions) > 1:
        count += f" of {len(compositions)} compositions"
    if groups:
        count += f", also as {' and '.join(sorted(groups))}"
    return f"{title}; {count}, {spread} nm"


def _short(group: str) -> str:
    """A Hermann-Mauguin symbol as it is printed: "Fd-3m"."""
    return group.split(":")[0].replace(" ", "") if "operators" not in group else group


def with_labels(matches: Sequence[GrainMatch], phases: Sequence[Phase]) -> tuple[GrainMatch, ...]:
    """Add labels to matches with phases that have several references, and the nearest reference."""
    labels = {phase.id: phase.label for phase in phases if phase.label}
    return tuple(_with_labels(match, labels) for match in matches)


def _with_labels(match: GrainMatch, labels: Mapping[str, str]) -> GrainMatch:
    said = []
    for candidate in match.candidates:
        if candidate.phase in match.phases and candidate.phase in labels:
            nearest = f", nearest {candidate.reference}" if candidate.reference else ""
            said.append(f"{candidate.phase}: {labels[candidate.phase]}{nearest}")
    return replace(match, reason="; ".join([match.reason, *said])) if said else match


def same_axes(cell: Sequence[float], other: Sequence[float]) -> bool:
    """Whether two cells use the same axes, so that their (hkl) mean the same planes."""
    edges = np.abs(np.array(cell[:3]) / np.array(other[:3]) - 1).max() < 2 * SAME_PHASE
    return bool(edges and np.abs(np.array(cell[3:]) - np.array(other[3:])).max() < 2)
