"""ComponentMap: heat map of the regions with a phase's lattice fringes, and the components' colours.

The palette is that of Okabe and Ito (2008) without black, followed by five colours of Tol's "muted" scheme.
Beyond these twelve, darker and paler shades of them are used, neither nearly black nor nearly white: each is
the one farthest from all previous ones, measured by the smallest of its OKLab distances for normal vision and
for protanopia and deuteranopia (Machado et al., 2009).
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
#: If the shares add up to more than this, components overlap; smaller excesses are rounding.
MOST_SHARE = 1.005
_RANK = {outcome: rank for rank, outcome in enumerate(Outcome)}


@dataclass(frozen=True, slots=True, eq=False)
class ComponentMap:
    """One component of the sample: a phase, an ambiguous set, a bent lattice, or unknown crystal.

    Attributes
    ----------
    name : str
        Phase id; "A / B" for an ambiguous set, in alphabetical order; "ring-like lattice"; "unknown crystal".
    phases : tuple of str
        Phase ids in the name, in that order; empty for a bent lattice and for unknown crystals.
    outcome : Outcome
        Best outcome among its grains.
    score : float
        Posterior probability of the named phase or set; 0 without one.
    grains : tuple of int
        Ids of its grains.
    heat : ndarray of float32, shape of the MapGrid, 0..1
        Amplitude relative to that in the grain; the component's mask is where it is at least 0.5.
    area, area_sigma : float, nm^2
    fraction : float
        Share of the specimen's area, not of the image's.
    by_user : bool
        Whether the user has overridden the phase of some of its grains.
    bent : BentLattice, optional
        Properties of a bent lattice, whose grains are sections of it rather than separate crystals.

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
        """The outcome for the user (see `core.matching.result.outcome_words`); for a bent lattice its d."""
        if self.bent is not None:
            return self.bent.words()
        return outcome_words(self.outcome, self.phases, self.score)

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Mask of the component, shape of the MapGrid."""
        inside: NDArray[np.bool_] = self.heat >= 0.5
        return inside


def named_phases(match: GrainMatch) -> tuple[str, ...]:
    """Phases of the component to which a match assigns its grain, in alphabetical order.

    Two grains with the same set of indistinguishable phases belong to one component, whichever phase is more
    probable in each.
    """
    return tuple(sorted(match.phases)) if match.outcome.names_phases else ()


def component_name(match: GrainMatch) -> str:
    """Name of that component; "A / B" for an ambiguous set."""
    return " / ".join(named_phases(match)) or match.ring_like or UNKNOWN_CRYSTAL


def component_spots(
    component: ComponentMap, grains: Sequence[Grain], matches: Sequence[GrainMatch], spots: Sequence[Spot]
) -> tuple[Spot, ...]:
    """The enabled spots from which a component was found."""
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
    """Combine the grains of each phase (or ambiguous set, or bent lattice) into a map; unnamed ones last.

    Parameters
    ----------
    matches : sequence of GrainMatch
        One or more per grain: a grain in which two lattices overlap belongs to two components.
    regions : sequence of GrainRegion
        Region of each grain, in the order of `grains`.
    specimen : ndarray of bool, shape (y, x)
        Maps are limited to the specimen.
    bent : sequence of BentLattice
        Bent lattices named by the matches.
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
    """The bent lattices among the components."""
    return tuple(component.bent for component in components if component.bent is not None)


def strongest(components: Sequence[ComponentMap], shape: tuple[int, int]) -> NDArray[np.uint8]:
    """Label image of the strongest component at each position.

    Parameters
    ----------
    components : sequence of ComponentMap
        Largest first.
    shape : tuple of int, (y, x)

    Returns
    -------
    ndarray of uint8, shape (y, x)
        0 without a component, 1 for the first component, and so on. Of two equally strong components it is
        the later one, which is smaller and would otherwise be hidden.
    """
    label = np.zeros(shape, np.uint8)
    best = np.full(shape, 0.5, np.float32)
    for number, component in enumerate(components, 1):
        wins = component.heat >= best
        label[wins], best[wins] = number, component.heat[wins]
    return label


def overlap_words(components: Sequence[ComponentMap]) -> list[str]:
    """Warning if the shares of the specimen add up to more than the whole.

    Examples
    --------
    >>> overlap_words([])
    []
    """
    whole = sum(component.fraction for component in components)
    said = "components overlap: their shares add up to {:.0f} % of the specimen"
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
    # the best outcome for a phase; unknown crystals have the outcome of their best-determined grain
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
        # the threshold of the border is the same for all grains: its error does not average out
        area_sigma=float(sum(grains[row].area_sigma for row in rows)),
        fraction=area / specimen_area if specimen_area else 0.0,
        by_user=any(match.decided_by_user for match in members),
    )


PALETTE = (
    "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7",
    "#332288", "#88CCEE", "#882255", "#999933", "#44AA99",
)  # fmt: skip
#: Shades for components beyond the palette; plots also hatch them.
SHADES = (
    "#954200", "#E0E0C2", "#8F5575", "#EAAE80", "#00507D", "#CCE8F8", "#F2CF80", "#4C9CC9",
    "#EEBC4C", "#5C4EA0", "#3C7EA3", "#A36186", "#ABDAF4", "#006F50", "#ADAD5C", "#803800",
    "#4CBB9D", "#EEBF99", "#F4EC7B", "#AA4B00", "#99D8C7", "#338EC1", "#ADA7CF", "#36525F",
)  # fmt: skip
#: Colour of unknown crystals.
UNKNOWN = "#BBBBBB"
#: Number of colours that are assigned first; the others are for images with more components.
_FIRST = 7
#: A perceptually uniform circular colour map that is suitable for colour-blind readers, and a diverging one
#: that is pale at zero.
CIRCULAR, DIVERGING = "twilight_shifted", "PuOr"
#: The colour range of a deformation ends at this percentile of its absolute values.
REACH = 98.0


def deformation_limits(image: NDArray[np.float32]) -> tuple[float, float]:
    """Ends of the colour range of a map of a deformation, which is NaN where none is significant."""
    seen = np.abs(image[np.isfinite(image)])
    reach = max(float(np.percentile(seen, REACH)) if seen.size else 1.0, 1e-6)
    return -reach, reach


def colours_of(names: Iterable[str], known: Mapping[str, str] | None = None) -> dict[str, str]:
    """Assign a colour ("#RRGGBB") to each component.

    A name's preferred colour depends only on the name. Of two names with the same colour, the later one in
    alphabetical order gets the next free colour. Colours repeat beyond 36 components.

    Parameters
    ----------
    names : iterable of str
    known : mapping of str to str, optional
        Colours that names already have, for example in earlier images of a series; they are kept.
    """
    chosen = dict(known or {})
    for name in sorted(set(names) - set(chosen)):
        chosen[name] = UNKNOWN if name == UNKNOWN_CRYSTAL else _free(name, set(chosen.values()))
    return chosen


def is_colour(text: object) -> bool:
    """Whether a text is a colour in the format of `colours_of`."""
    return isinstance(text, str) and fullmatch("#[0-9A-Fa-f]{6}", text) is not None


def _free(name: str, taken: set[str]) -> str:
    own = crc32(name.encode()) % _FIRST
    order = (*PALETTE[own:_FIRST], *PALETTE[:own], *PALETTE[_FIRST:], *SHADES)
    return next((colour for colour in order if colour not in taken), PALETTE[own])
