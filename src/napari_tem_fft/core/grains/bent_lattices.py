"""Find bent lattices: curled, bent or turbostratic specimens whose parts are not separate crystals.

A local window sees only one direction, so the search for grains finds fringes whose direction or spacing
drifts (carbon onions, soot, nanotubes, bent foils) as a chain of small grains, called places here, with one
reflection each. Three criteria distinguish them from adjacent crystals:

* The fringes rotate *within* the places as much as between them. The direction of crystals changes only at
  their borders, as in twins, polycrystals of one visible family, or the two layers of a moire.
* In turbostratic specimens the stacks are straight, but their spacings differ, and the directions of
  neighbours are correlated. A crystalline phase has a single d.
* The whole image shows one broad family, with more spacings than the two or three that a crystal has in such
  a narrow range, and arcs of it in one place. Soot with stacks of a few planes looks like this.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from itertools import chain, combinations, product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, special
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ..fourier.diffractogram import Diffractogram
from ..fourier.local_spectra import LocalSpectra
from ..maps.map_grid import MapGrid
from ..spots.bragg_filter import bragg_field, field_noise, phase_slope
from ..spots.refinement import PHASE_WANDER
from ..spots.spot import Spot
from ..text import LengthUnit, in_unit, symbol
from .grain import Grain, GrainSet
from .regions import GrainRegion

#: Largest relative difference of |g| of neighbours; the spacings of soot vary by about 4 %.
SPREAD = 0.06
#: A grain has one family if spots with the |g| of its strongest one have this fraction of its power (SNR).
ONE_FAMILY = 0.7
#: Largest gap between the outlines (at half amplitude) of neighbours, nm.
GAP = 3.0
#: Width of the filter that examines a place, in fringe spacings: wide enough for one family, and narrow
#: enough for a radius of 5 nm (it keeps 1 / (1 + (2 pi width^2 c)^2) of a chirp c = curvature x g).
WIDTH = 1.5
#: Smallest fraction of the rotation between neighbours that happens within the places. It is .47 to .95 in
#: simulated arcs and onions of 5 to 50 nm, and 0 for adjacent crystals (`tests/benchmarks/bent_lattices.py`).
CONTINUOUS = 0.4
#: This fraction is significant by this many standard uncertainties, from at least this many places.
#: SHARE_ERROR is the smallest uncertainty of a pair.
SIGMAS, FEWEST, SHARE_ERROR = 4.0, 3, 0.1
#: Smallest range of directions of a ring-like lattice, degrees; below it, it is one slightly bent crystal.
LEAST_TURN = 10.0
#: Turbostratic stacks: smallest numbers of places and of touching pairs, and largest probabilities that the
#: spacings of one phase vary as much, and that randomly permuted directions of neighbours are as similar.
FEWEST_STACKS, FEWEST_PAIRS, UNEVEN, ALIKE, DEALS = 6, 4, 1e-6, 0.01, 1000
#: Broad family: half width in ln |g|, smallest fraction of the image's spots in it, and smallest numbers of
#: spots and grains. Two images of soot have .9 of their spots in such a band, thirty of crystals at most .7.
BROAD, BROAD_SHARE, FEWEST_BROAD, FEWEST_GRAINS = 0.13, 0.85, 8, 3
#: Number of spacings of one structure in such a band: {111} and {200} for cubic, (100), (002) and (101) for
#: hexagonal crystals. A family is broad if the probability of this many spacings is below UNEVEN.
CUBIC, HEXAGONAL = 2, 3
#: Initial values of the distortion, along an axis or a diagonal, in the fit of spacings.
TRIED_STRETCH = 0.02
#: Two spots of a grain closer in direction than this, degrees, whose |g| differ by this many sigmas, form an
#: arc: a crystal with both reflections would need a cell larger than twice their spacings. With this many
#: arcs, the spacings of hexagonal crystals are not considered.
ARC, ARC_SIGMAS, FEWEST_ARCS = 25.0, 3.0, 3


@dataclass(frozen=True, slots=True)
class BentLattice:
    """Grains and spots that belong to one bent lattice.

    Attributes
    ----------
    grains : tuple of int
        Ids of its grains.
    spots : tuple of int
        Ids of its spots, one per place.
    d_low, d_high : float, nm
        Smallest and largest spacing.
    turn : float, degrees
        Range of the directions of g, at most 90.
    evidence : str
        Why these are not separate crystals, as reported to the user.
    name : str
        Name of its component.
    hint : str
        A material that it could be, if the elements allow it: "graphitic carbon (002)?".

    Examples
    --------
    >>> BentLattice((1, 2), (4, 7), 0.342, 0.361, 55.0, "its fringes turn", "ring-like lattice").turn
    55.0
    """

    grains: tuple[int, ...]
    spots: tuple[int, ...]
    d_low: float
    d_high: float
    turn: float
    evidence: str
    name: str = ""
    hint: str = ""

    def words(self, unit: LengthUnit = "nm") -> str:
        """Description that is reported instead of an outcome, with d in nm or Angstrom.

        >>> BentLattice((1, 2), (3, 4, 5), 0.376, 0.41, 50.0, "").words()
        'ring-like: d 0.376-0.410 nm over 3 places'
        """
        digits = 3 if unit == "nm" else 2
        low, high = (f"{in_unit(d, unit):.{digits}f}" for d in (self.d_low, self.d_high))
        said = f"ring-like: d {low}-{high} {symbol(unit)} over {len(self.spots)} places"
        return f"{said}; {self.hint}" if self.hint else said


_Shown = tuple[Grain, GrainRegion, Spot]


@dataclass(frozen=True, slots=True, eq=False)
class _Place:
    """Fringes of a spot in its grain: centre, direction, and gradient of the direction."""

    grain: int
    spot: Spot
    region: GrainRegion
    middle: NDArray[np.float64]  # centre (y, x), nm
    azimuth: float  # of g at the centre, radians counter-clockwise as displayed
    gradient: NDArray[np.float64]  # of the azimuth along (y, x), 1/nm
    covariance: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two neighbours: the difference of their directions, and the fraction of it that lies within them."""

    first: int
    second: int
    turn: float  # radians
    share: float
    sigma: float
    one_grain: bool

    @property
    def broken(self) -> bool:
        """Whether the direction changes abruptly between them."""
        return not self.one_grain and self.share + 2 * self.sigma < CONTINUOUS


def find_bent_lattices(
    diffractogram: Diffractogram,
    spectra: LocalSpectra,
    found: GrainSet,
    unnamed: Set[int],
    grid: MapGrid,
    d_error: float = 0.005,
) -> tuple[BentLattice, ...]:
    """Find the bent lattices of an image, the one with most places first.

    Parameters
    ----------
    found : GrainSet
    unnamed : set of int
        Ids of the grains without a phase; only these are considered.
    grid : MapGrid
        Grid of the grains' regions.
    d_error : float
        Relative error of a single d in addition to that of its fit.
    """
    by_id = {spot.id: spot for spot in found.spots}
    seen = [
        (grain, region, [by_id[n] for n in grain.spots if n in by_id and by_id[n].enabled])
        for grain, region in zip(found.grains, found.regions, strict=True)
        if grain.id in unnamed and region.area
    ]
    shown = [(grain, region, spot) for grain, region, spots in seen for spot in one_family(spots)]
    chained = _chained(diffractogram, spectra, shown, grid, d_error) if len(shown) >= FEWEST else ()
    broad = one_broad_family([(grain.id, spot) for grain, _, spots in seen for spot in spots], d_error)
    if broad is not None and len(broad.spots) > sum(len(lattice.spots) for lattice in chained):
        return (broad,)
    return chained


def _chained(
    diffractogram: Diffractogram,
    spectra: LocalSpectra,
    shown: Sequence[_Shown],
    grid: MapGrid,
    d_error: float,
) -> tuple[BentLattice, ...]:
    """Find the bent lattices whose places are connected."""
    near = list(_neighbours(shown, grid))
    touching = sorted({n for first, second, _ in near for n in (first, second)})
    places = {n: _place(diffractogram, spectra, *shown[n], grid) for n in touching}
    pairs = [_pair(places, first, second, point) for first, second, point in near]
    clusters = _joined(pairs)
    return tuple(
        chain.from_iterable(_lattices(places, one, pairs, d_error) for one in _families(places, clusters))
    )


def one_family(spots: Sequence[Spot]) -> list[Spot]:
    """Select the spots of a grain with the |g| of its strongest; none if others have much of the power.

    Higher orders of the strongest spot are ignored.
    """
    if not spots:
        return []
    first = max(spots, key=lambda spot: spot.snr)
    family = [spot for spot in spots if abs(np.log(spot.length / first.length)) < SPREAD]
    rest = [spot for spot in spots if spot not in family and not _is_order_of(spot, first)]
    own = sum(spot.snr for spot in family)
    return family if own >= ONE_FAMILY * (own + sum(spot.snr for spot in rest)) else []


def _is_order_of(spot: Spot, first: Spot) -> bool:
    order = round(spot.length / first.length)
    turned = abs((spot.azimuth - first.azimuth + 90) % 180 - 90)
    return order > 1 and abs(spot.length / (order * first.length) - 1) < SPREAD and turned < LEAST_TURN


def _neighbours(
    shown: Sequence[_Shown], grid: MapGrid
) -> Iterator[tuple[int, int, NDArray[np.float64] | None]]:
    """Touching pairs with nearly the same |g|, and their point of contact (y, x), nm; None within a grain."""
    boxes = [region.tight()[0] for _, region, _ in shown]
    reach = [int(np.ceil(GAP / p)) for p in grid.pixel_size]
    for i, (grain, region, spot) in enumerate(shown):
        for j in range(i):
            if abs(np.log(spot.length / shown[j][2].length)) > SPREAD:
                continue
            if shown[j][0].id == grain.id:
                yield i, j, None
            elif all(
                a.start - r <= b.stop and b.start - r <= a.stop
                for a, b, r in zip(boxes[i], boxes[j], reach, strict=True)
            ):
                point = _contact(region, shown[j][1], grid)
                if point is not None:
                    yield i, j, point


def _contact(a: GrainRegion, b: GrainRegion, grid: MapGrid) -> NDArray[np.float64] | None:
    """Centre of the overlap of two regions, or of their nearest pixels; None if they do not touch."""
    sides = zip(a.tight()[0], b.tight()[0], strict=True)
    rows, columns = (slice(min(s.start, t.start), max(s.stop, t.stop)) for s, t in sides)
    here, there = a.mask_on((rows, columns)), b.mask_on((rows, columns))
    start, size = np.array([rows.start, columns.start]), np.array(grid.pixel_size)
    both = here & there
    if both.any():
        return np.asarray((np.argwhere(both).mean(axis=0) + start + 0.5) * size)
    away, nearest = ndimage.distance_transform_edt(~there, sampling=grid.pixel_size, return_indices=True)
    gap = float(away[here].min())
    if gap > GAP:
        return None
    close = here & (away <= gap + max(grid.pixel_size))
    middle = (np.argwhere(close).mean(axis=0) + nearest[:, close].mean(axis=1)) / 2
    return np.asarray((middle + start + 0.5) * size)


def _place(
    diffractogram: Diffractogram,
    spectra: LocalSpectra,
    grain: Grain,
    region: GrainRegion,
    spot: Spot,
    grid: MapGrid,
) -> _Place:
    """Fit the direction of the fringes at the centre of a place, and its gradient, by least squares."""
    box, inside = region.tight()
    part, width = grid.part(*box), WIDTH / spot.length
    field = bragg_field(diffractogram, spot.g, width, part)
    snr = (field.real**2 + field.imag**2) / field_noise(diffractogram, spectra, spot.g, width, part)
    dy, dx = phase_slope(field, part.pixel_size)
    azimuth = np.asarray(spot.g[0] * dx - spot.g[1] * dy, np.float64) / spot.length**2
    weight = np.where(inside, snr, 0).astype(np.float64) * (4 * np.pi * width * spot.length) ** 2
    total = max(float(weight.sum()), np.finfo(float).tiny)
    y, x = (np.broadcast_to(places, weight.shape) for places in part.positions())
    middle = np.array([(weight * y).sum(), (weight * x).sum()]) / total
    off = np.stack([y - middle[0], x - middle[1]])
    mean = float((weight * azimuth).sum()) / total
    # a region of a single row of pixels does not determine the gradient across it
    moments = np.einsum("ayx,byx,yx->ab", off, off, weight) + 1e-9 * total * np.eye(2)
    gradient = np.linalg.solve(moments, np.einsum("ayx,yx->a", off, weight * (azimuth - mean)))
    together = max(4 * np.pi * width**2 / grid.pixel_area, 1.0)  # map pixels with correlated noise
    # error of the gradient from a phase error of this many cycles over the radius
    wander = 8 * PHASE_WANDER / (spot.length * grain.diameter**2)
    covariance = together * np.linalg.inv(moments) + wander**2 * np.eye(2)
    turned = float(np.radians(spot.azimuth)) + mean
    return _Place(grain.id, spot, region, middle, turned, gradient, covariance)


def _pair(places: dict[int, _Place], first: int, second: int, point: NDArray[np.float64] | None) -> _Pair:
    a, b = places[first], places[second]
    turn = float((b.azimuth - a.azimuth + np.pi / 2) % np.pi - np.pi / 2)  # +g and -g are equivalent
    if point is None:
        return _Pair(first, second, turn, 0.0, np.inf, True)
    to_a, to_b = point - a.middle, point - b.middle
    left = turn + b.gradient @ to_b - a.gradient @ to_a
    error = np.radians(np.hypot(a.spot.azimuth_sigma, b.spot.azimuth_sigma))
    error = float(np.sqrt(error**2 + to_a @ a.covariance @ to_a + to_b @ b.covariance @ to_b))
    known = max(abs(turn), 1e-6)
    return _Pair(first, second, turn, float(1 - left / turn) if turn else 0.0, error / known, False)


def _joined(pairs: Sequence[_Pair]) -> list[list[int]]:
    """Group the numbers of connected places."""
    numbers = sorted({n for pair in pairs for n in (pair.first, pair.second)})
    if not numbers:
        return []
    ends = np.searchsorted(numbers, [[pair.first for pair in pairs], [pair.second for pair in pairs]])
    links = coo_array((np.ones(len(pairs)), (ends[0], ends[1])), shape=(len(numbers), len(numbers)))
    count, label = connected_components(links, directed=False)
    return [[n for n, one in zip(numbers, label, strict=True) if one == k] for k in range(count)]


def _families(places: dict[int, _Place], clusters: Sequence[list[int]]) -> Iterator[list[list[int]]]:
    """Group clusters of nearly the same spacing, the one with most places first."""
    left = sorted(clusters, key=lambda cluster: -len(cluster))
    while left:
        near = [abs(np.log(_middle(places, one) / _middle(places, left[0]))) < SPREAD for one in left]
        yield [one for one, same in zip(left, near, strict=True) if same]
        left = [one for one, same in zip(left, near, strict=True) if not same]


def _middle(places: dict[int, _Place], members: Sequence[int]) -> float:
    return float(np.median([places[n].spot.length for n in members]))


def _lattices(
    places: dict[int, _Place], clusters: Sequence[list[int]], pairs: Sequence[_Pair], d_error: float
) -> Iterator[BentLattice]:
    """Find the bent lattice of one spacing in the whole image, if there is one."""
    everywhere = sorted(chain.from_iterable(clusters))
    evidence = _uneven_stacks(
        places, everywhere, [pair for pair in pairs if pair.first in everywhere], d_error
    )
    if evidence:
        yield _lattice(places, everywhere, evidence)
        return
    whole = [pair for pair in pairs if pair.first in everywhere and not pair.broken]
    pieces = {
        tuple(piece): _continuous_turn(places, piece, [pair for pair in whole if pair.first in piece])
        for piece in sorted(_joined(whole), key=len, reverse=True)
    }
    bent = {piece: evidence for piece, evidence in pieces.items() if evidence}
    if bent:
        yield _lattice(places, list(chain.from_iterable(bent)), next(iter(bent.values())))


def _lattice(places: dict[int, _Place], members: Sequence[int], evidence: str) -> BentLattice:
    numbers = sorted(members)
    grains = tuple(dict.fromkeys(places[n].grain for n in numbers))
    spots = tuple(places[n].spot.id for n in numbers)
    d = [places[n].spot.d for n in numbers]
    return BentLattice(grains, spots, min(d), max(d), _spread(places, numbers), evidence)


def _continuous_turn(places: dict[int, _Place], members: list[int], pairs: Sequence[_Pair]) -> str:
    """Describe how directions rotate within the places as between them; empty if they do not."""
    known = [pair for pair in pairs if not pair.one_grain]
    if len(members) < FEWEST or not known or _spread(places, members) < LEAST_TURN:
        return ""
    sigma = np.hypot([pair.sigma for pair in known], SHARE_ERROR)
    weight = sigma**-2.0
    share = float(weight @ [pair.share for pair in known] / weight.sum())
    error = float(weight.sum() ** -0.5)
    if share < max(CONTINUOUS, SIGMAS * error):
        return ""
    return (
        f"{100 * share:.0f} +/- {100 * error:.0f} % of the rotation between neighbours lies within them; for"
        " adjacent crystals it would be 0"
    )


def _uneven_stacks(
    places: dict[int, _Place], members: list[int], pairs: Sequence[_Pair], d_error: float
) -> str:
    """Describe spacings that vary more than those of one phase, with similar neighbours; empty if none do."""
    known = [pair for pair in pairs if not pair.one_grain]
    if len(members) < FEWEST_STACKS or len(known) < FEWEST_PAIRS or _spread(places, members) < LEAST_TURN:
        return ""
    azimuth = np.array([places[n].azimuth for n in members])
    log_g = np.log([places[n].spot.length for n in members])
    error = np.hypot([places[n].spot.sigma / places[n].spot.length for n in members], d_error)
    if special.chdtrc(len(members) - 3, _misfit_of_spacings(log_g, azimuth, error, 1)) > UNEVEN:
        return ""
    ends = np.searchsorted(members, [[pair.first for pair in known], [pair.second for pair in known]])
    dealt = np.random.default_rng(0)

    def apart(turned: NDArray[np.float64]) -> float:
        between = turned[ends[0]] - turned[ends[1]]
        return float(np.degrees(np.abs((between + np.pi / 2) % np.pi - np.pi / 2)).mean())

    seen = apart(azimuth)
    chance = np.array([apart(dealt.permutation(azimuth)) for _ in range(DEALS)])
    if (chance <= seen).mean() > ALIKE:
        return ""
    return (
        f"d varies by {100 * float(np.std(log_g)):.1f} %, more than that of one phase, and neighbours differ"
        f" by {seen:.0f} degrees, compared with {chance.mean():.0f} by chance"
    )


def one_broad_family(shown: Sequence[tuple[int, Spot]], d_error: float = 0.005) -> BentLattice | None:
    """Find a family with more spacings than a crystal has, if it contains nearly all spots of the image.

    Parameters
    ----------
    shown : sequence of (int, Spot)
        The enabled spots, each with the id of its grain.
    d_error : float
        Relative error of a single d in addition to that of its fit.

    Returns
    -------
    BentLattice or None
    """
    if len(shown) < FEWEST_BROAD:
        return None
    log_g = np.log([spot.length for _, spot in shown])
    near = np.abs(log_g[:, None] - log_g) < BROAD
    middle = int(np.argmax(near @ np.log1p([spot.snr for _, spot in shown])))
    family = [one for one, same in zip(shown, near[middle], strict=True) if same]
    orders = sum(any(_is_order_of(spot, one) for _, one in family) for _, spot in shown)
    grains = tuple(dict.fromkeys(grain for grain, _ in family))
    spots = [spot for _, spot in family]
    azimuth = np.radians([spot.azimuth for spot in spots])
    turn = _largest_turn(azimuth)
    if (
        len(spots) < max(FEWEST_BROAD, BROAD_SHARE * (len(shown) - orders))
        or len(grains) < FEWEST_GRAINS
        or turn < LEAST_TURN
    ):
        return None
    log_g = np.log([spot.length for spot in spots])
    error = np.hypot([spot.sigma / spot.length for spot in spots], d_error)
    arcs = sum(one == other and _is_arc(a, b) for (one, a), (other, b) in combinations(family, 2))
    count = CUBIC if arcs >= FEWEST_ARCS else HEXAGONAL
    freedom = len(spots) - 2 * count - 2  # a value and a limit per spacing, and two distortions
    if freedom < 1 or special.chdtrc(freedom, _misfit_of_spacings(log_g, azimuth, error, count)) > UNEVEN:
        return None
    d = [spot.d for spot in spots]
    evidence = (
        f"nearly all that is seen are {len(spots)} spots of one family, whose d varies by"
        f" {100 * float(np.std(log_g)):.1f} %, unlike that of {count} spacings of a crystal"
    )
    return BentLattice(grains, tuple(spot.id for spot in spots), min(d), max(d), turn, evidence)


def _is_arc(a: Spot, b: Spot) -> bool:
    """Whether two spots of a grain have nearly the same direction but significantly different |g|."""
    apart = abs((a.azimuth - b.azimuth + 90) % 180 - 90)
    return apart < ARC and abs(a.length - b.length) > ARC_SIGMAS * float(np.hypot(a.sigma, b.sigma))


def _misfit_of_spacings(
    log_g: NDArray[np.float64], azimuth: NDArray[np.float64], error: NDArray[np.float64], count: int
) -> float:
    """Smallest chi-squared of values of ln |g| about `count` true ones, in an image with any distortion.

    A distortion of the image makes d depend on direction. For a given distortion the best assignment of the
    sorted values to true ones is exact; assignment and fit of the distortion alternate.

    Examples
    --------
    >>> log_g, azimuth = np.log([4.0, 4.004, 5.0, 5.0, 5.0]), np.radians([0, 90, 0, 60, 120])
    >>> round(_misfit_of_spacings(log_g, azimuth, np.full(5, 0.01), 2), 3) < 0.01
    True
    """
    stretch = np.stack([np.cos(2 * azimuth), np.sin(2 * azimuth)], axis=1)
    starts = [np.array(start) for start in product((0.0, -TRIED_STRETCH, TRIED_STRETCH), repeat=2)]
    return min(_misfit_from(start, log_g, stretch, error, count) for start in starts)


def _misfit_from(
    start: NDArray[np.float64],
    log_g: NDArray[np.float64],
    stretch: NDArray[np.float64],
    error: NDArray[np.float64],
    count: int,
) -> float:
    """Smallest chi-squared that is reached from an initial distortion."""
    least = np.inf
    fitted: NDArray[Any] = start
    while True:
        part = _dealt_out(log_g - stretch @ fitted, error, count)
        model = np.concatenate([part[:, None] == np.arange(count), stretch], axis=1) / error[:, None]
        found = np.linalg.lstsq(model, log_g / error, rcond=None)[0]
        misfit = float(np.sum((log_g / error - model @ found) ** 2))
        if misfit >= least - 1e-9:
            return least
        least, fitted = misfit, found[count:]


def _dealt_out(value: NDArray[np.float64], error: NDArray[np.float64], count: int) -> NDArray[np.intp]:
    """Assign each value to one of `count` true values so that chi-squared is minimal."""
    order = np.argsort(value)
    weight, ordered = error[order] ** -2.0, value[order] - value.mean()
    sums = [np.append(0.0, np.cumsum(weight * ordered**power)) for power in range(3)]
    w, x, xx = (total[None, :] - total[:, None] for total in sums)  # of values from row to column
    later = np.arange(len(value) + 1)[:, None] < np.arange(len(value) + 1)
    cost = np.where(later, xx - x * x / np.where(later, w, 1.0), np.inf)
    best: NDArray[Any] = cost[0]
    first = [np.zeros(len(value) + 1, np.intp)]
    for _ in range(count - 1):
        total = best[:, None] + cost
        first.append(np.asarray(total.argmin(axis=0)))
        best = total.min(axis=0)
    part, end = np.empty(len(value), np.intp), len(value)
    for number in range(count - 1, -1, -1):
        begin = int(first[number][end])
        part[order[begin:end]] = number
        end = begin
    return part


def _largest_turn(azimuth: NDArray[np.float64]) -> float:
    """Largest angle, degrees, between two of the directions (radians), where +g and -g are equivalent."""
    between = (azimuth[:, None] - azimuth + np.pi / 2) % np.pi - np.pi / 2
    return float(np.degrees(np.abs(between).max()))


def _spread(places: dict[int, _Place], members: Sequence[int]) -> float:
    """Largest angle between the directions of two places, degrees."""
    return _largest_turn(np.array([places[n].azimuth for n in members]))
