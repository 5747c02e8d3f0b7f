"""ComponentMap: where each phase is, as a heatmap that stops where its fringes do, and its colour.

The palette is Okabe and Ito's (2008) without black, followed by five of Tol's "muted" scheme. Beyond these
twelve come darker and paler shades of them, neither near black nor near white: each in turn the one that is
farthest from all before it, by the least of its distances in OKLab as people see them with all cones and
without those for long or medium waves (Machado et al., 2009).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from re import fullmatch
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from ..grains.bent_lattices import BentLattice
from ..grains.grain import Grain
from ..grains.regions import GrainRegion
from ..matching import GrainMatch, Outcome
from ..matching.result import matches_of_spots, outcome_words
from ..spots.spot import Spot
from .map_grid import MapGrid

#: Name of the component of grains whose phase is unknown.
UNKNOWN_CRYSTAL = "unknown crystal"
#: Best outcome first.
#: If the shares add up to more than this, components overlap; less is rounding.
MOST_SHARE = 1.005
_RANK = {outcome: rank for rank, outcome in enumerate(Outcome)}


@dataclass(frozen=True, slots=True, eq=False)
class ComponentMap:
    """One component of the sample: a phase, an ambiguous set, a bent lattice, or unknown crystal.

    Attributes
    ----------
    name : str
        Phase id; "A / B" for an ambiguous set, in the order of the alphabet; "ring-like lattice"; "unknown
        crystal".
    phases : tuple of str
        The ids behind the name, in that order; empty for a bent lattice and for unknown crystal.
    outcome : Outcome
        The best outcome among its grains.
    score : float
        Posterior of the named phase or set (0 without one).
    grains : tuple of int
        Ids of its grains.
    heat : ndarray of float32, shape of the MapGrid, 0..1
        Amplitude over the grain's own; >= 0.5 is the component's mask.
    area, area_sigma : float, nm^2
    fraction : float
        Share of the specimen's area, not of the frame's.
    by_user : bool
        Whether a person has decided on the phase of some of its grains.
    bent : BentLattice, optional
        What is known of a bent lattice; its grains are places of it and no crystals of their own.

    Examples
    --------
    >>> import numpy as np
    >>> heat = np.float32([[0.0, 0.4], [0.6, 1.0]])
    >>> part = ComponentMap("Cu", ("Cu",), Outcome.IDENTIFIED, 0.99, (1,), heat, 2.0, 0.3, 0.5)
    >>> part.mask.tolist()
    [[False, False], [True, True]]
    """

    name: str
    phases: tuple[str, ...]
    outcome: Outcome
    score: float
    grains: tuple[int, ...]
    heat: NDArray[np.float32]
    area: float
    area_sigma: float
    fraction: float
    by_user: bool = False
    bent: BentLattice | None = None

    @property
    def outcome_words(self) -> str:
        """The outcome for the user; see `core.matching.result.outcome_words`, of a bent lattice its d."""
        if self.bent is not None:
            return self.bent.words()
        return outcome_words(self.outcome, self.phases, self.score)

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Where the component is, shape of the MapGrid."""
        inside: NDArray[np.bool_] = self.heat >= 0.5
        return inside


def named_phases(match: GrainMatch) -> tuple[str, ...]:
    """Phases of the component to which a match assigns its grain, in alphabetical order.

    Two grains with the same indistinguishable phases belong to one component, whichever phase is the more
    probable for each.
    """
    return tuple(sorted(match.phases)) if match.outcome.names_phases else ()


def component_name(match: GrainMatch) -> str:
    """Name of that component; "A / B" for an ambiguous set."""
    return " / ".join(named_phases(match)) or match.ring_like or UNKNOWN_CRYSTAL


def component_spots(
    component: ComponentMap, grains: Sequence[Grain], matches: Sequence[GrainMatch], spots: Sequence[Spot]
) -> tuple[Spot, ...]:
    """The enabled spots by which a component was found."""
    found = matches_of_spots(grains, matches)
    own = {spot for spot, match in found.items() if component_name(match) == component.name}
    return tuple(spot for spot in spots if spot.id in own and spot.enabled)


def component_maps(
    grains: Sequence[Grain],
    matches: Sequence[GrainMatch],
    regions: Sequence[GrainRegion],
    specimen: NDArray[np.bool_],
    grid: MapGrid,
    bent: Sequence[BentLattice] = (),
) -> tuple[ComponentMap, ...]:
    """Gather the grains of each phase (or ambiguous set, or bent lattice) into one map; nameless ones last.

    Parameters
    ----------
    matches : sequence of GrainMatch
        One or more a grain: a grain in which two lattices overlap belongs to two components.
    regions : sequence of GrainRegion
        Each grain's own, in the order of `grains`.
    specimen : ndarray of bool, shape (y, x)
        No map extends beyond it.
    bent : sequence of BentLattice
        Bent lattices that the matches name.
    """
    row_of = {grain.id: row for row, grain in enumerate(grains)}
    sets: dict[str, list[GrainMatch]] = {}
    for match in matches:
        sets.setdefault(component_name(match), []).append(match)
    area = float(specimen.sum()) * grid.pixel_area
    known = {lattice.name: lattice for lattice in bent}
    components = [
        replace(
            _component(name, members, grains, row_of, regions, specimen, grid, area), bent=known.get(name)
        )
        for name, members in sets.items()
    ]
    return tuple(sorted(components, key=lambda c: (not c.phases, c.name == UNKNOWN_CRYSTAL, -c.area)))


def bent_lattices_of(components: Sequence[ComponentMap]) -> tuple[BentLattice, ...]:
    """The bent lattices among components."""
    return tuple(component.bent for component in components if component.bent is not None)


def strongest(components: Sequence[ComponentMap], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """The strongest component at each place, as one label image.

    Parameters
    ----------
    components : sequence of ComponentMap
        Largest first.
    shape : tuple of int, (y, x)

    Returns
    -------
    ndarray of uint8, shape (y, x)
        0 where there is none, 1 for the first component, and so on. Where two are equally strong, it is
        the later one: the smaller, which would else be hidden.
    """
    label = np.zeros(shape, np.uint8)
    best = np.full(shape, 0.5, np.float32)
    for number, component in enumerate(components, 1):
        wins = component.heat >= best
        label[wins], best[wins] = number, component.heat[wins]
    return label


def overlap_words(components: Sequence[ComponentMap]) -> list[str]:
    """That shares of the specimen add up to more than the whole, where they do.

    Examples
    --------
    >>> overlap_words([])
    []
    """
    whole = sum(component.fraction for component in components)
    said = "components lie over each other: their shares add up to {:.0f} % of the specimen"
    return [said.format(100 * whole)] if whole > MOST_SHARE else []


def _component(
    name: str,
    members: Sequence[GrainMatch],
    grains: Sequence[Grain],
    row_of: dict[int, int],
    regions: Sequence[GrainRegion],
    specimen: NDArray[np.bool_],
    grid: MapGrid,
    specimen_area: float,
) -> ComponentMap:
    ids = tuple(dict.fromkeys(match.grain for match in members))
    rows = [row_of[number] for number in ids]
    heat = np.zeros(grid.shape, np.float32)
    for region in (regions[row] for row in rows):
        np.maximum(heat[region.box], region.heat, out=heat[region.box])
    heat[~specimen] = 0
    area = float(np.count_nonzero(heat >= 0.5)) * grid.pixel_area
    phases = named_phases(members[0])
    # the best that is known of a phase; of unknown crystals a single d only where none shows more
    outcome = (min if phases else max)((match.outcome for match in members), key=_RANK.__getitem__)
    score = max((match.probability for match in members), default=0.0) if phases else 0.0
    return ComponentMap(
        name=name,
        phases=phases,
        outcome=outcome,
        score=score,
        grains=ids,
        heat=heat,
        area=area,
        # where the boundary is drawn is one choice for all grains: its error does not average out
        area_sigma=float(sum(grains[row].area_sigma for row in rows)),
        fraction=area / specimen_area if specimen_area else 0.0,
        by_user=any(match.decided_by_user for match in members),
    )


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
