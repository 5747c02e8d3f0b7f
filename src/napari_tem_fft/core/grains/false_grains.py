"""False grains: spots of the camera's columns and tiles, and ghosts at the rims of crystals.

The pattern of a sensor lies on the pixel axes, at whole fractions of a period of few pixels, all over the
field. So are those of a crystal that fills the field and is aligned with the pixels, where its period happens
to be such a number; it is known by its other reflections, whose sums and differences those on the axes are.

Where a thick crystal falls off towards its facets its fringes bend, fade, and come back with the other sign.
The spectrum of the rim alone shows each strong reflection moved or split by some per cent, each in its own
way; another crystal of like structure would show them all turned and stretched alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..maps.map_grid import MapGrid
from ..spots.kinds import positions
from ..spots.spot import Spot, separations
from .grain import GrainSet
from .regions import GrainRegion

#: A spot lies on an axis, and at a multiple of the period's frequency, to this many sigmas; a sigma is at
#: least this share of a frequency step.
AXIS_SIGMAS, LEAST_SIGMA = 3.0, 0.02
#: Longest period, in pixels, of a pattern of several spots and of a single one: more periods than that hold
#: any frequency.
LONGEST_PERIOD, LONGEST_OF_ONE = 64, 16
#: A period counts where the tolerance makes a match by chance less likely than this.
CHANCE = 0.1
#: The pattern is seen in this share of the field at least.
WHOLE_FIELD = 0.5


def set_camera_spots_aside(
    found: GrainSet, pixel_size: tuple[float, float], extent: tuple[float, float]
) -> tuple[GrainSet, tuple[str, ...]]:
    """Take the camera's spots out of the grains, and say so.

    Parameters
    ----------
    found : GrainSet
    pixel_size, extent : tuple of float, (y, x), nm
        Of the image.

    Returns
    -------
    GrainSet
        The spots stay, off and of kind "camera"; a grain that is left without a spot is gone.
    tuple of str
        Warnings for the user.
    """
    by_id = {spot.id: spot for spot in found.spots}
    period: dict[int, int] = {}
    for grain in found.grains:
        if grain.area < WHOLE_FIELD * extent[0] * extent[1]:
            continue
        spots = [by_id[i] for i in grain.spots]
        for axis in (0, 1):
            members = [spot for spot in spots if _on_axis(spot, axis, extent)]
            pixels = common_period(members, axis, pixel_size, extent)
            others = [s for s in spots if not (_on_axis(s, 0, extent) or _on_axis(s, 1, extent))]
            if not pixels or (len(members) == 1 and others):
                continue
            if not _of_a_lattice(members, [spot for spot in spots if spot not in members], others, extent):
                period.update({spot.id: pixels for spot in members})
    if not period:
        return found, ()
    marked = tuple(
        replace(spot, enabled=False, kind="camera") if spot.id in period else spot for spot in found.spots
    )
    kept = [
        (replace(grain, spots=tuple(i for i in grain.spots if i not in period)), region)
        for grain, region in zip(found.grains, found.regions, strict=True)
    ]
    kept = [(grain, region) for grain, region in kept if grain.spots]
    grains = tuple(replace(grain, id=number) for number, (grain, _) in enumerate(kept, 1))
    return GrainSet(marked, grains, tuple(region for _, region in kept)), (_warning(period),)


def _on_axis(spot: Spot, axis: int, extent: tuple[float, float]) -> bool:
    """Whether g lies along a pixel axis: 0 for y, 1 for x."""
    other = 1 - axis
    sigma = max(spot.sigma, LEAST_SIGMA / extent[other])
    return abs(spot.g[other]) < AXIS_SIGMAS * sigma


def _of_a_lattice(
    members: Sequence[Spot], further: Sequence[Spot], others: Sequence[Spot], extent: tuple[float, float]
) -> bool:
    """Whether a spot on an axis is the sum or the difference of one off both axes and a further one.

    A sensor's rows and columns do not know of each other; the reflections of a crystal whose planes lie
    along the scan, which an operator likes to turn it to, do.
    """
    if not others:
        return False
    on_axis = positions(members)
    sigma = np.array([max(spot.sigma, LEAST_SIGMA / min(extent)) for spot in members])
    for first in others:
        for second in further:
            if second is first:
                continue
            for sign in (1, -1):
                g = np.add(first.g, np.multiply(sign, second.g))
                off = np.minimum(np.hypot(*(on_axis - g).T), np.hypot(*(on_axis + g).T))
                if (off < AXIS_SIGMAS * np.sqrt(sigma**2 + first.sigma**2 + second.sigma**2)).any():
                    return True
    return False


def common_period(
    spots: Sequence[Spot], axis: int, pixel_size: tuple[float, float], extent: tuple[float, float]
) -> int | None:
    """Shortest whole number of pixels of which all spots on an axis are harmonics, None where there is none.

    Examples
    --------
    >>> spots = [Spot(n, (0.0, n / (8 * 0.03)), 0.001, 50.0, -40.0) for n in (1, 2, 3)]
    >>> common_period(spots, 1, (0.03, 0.03), (30.0, 30.0))
    8
    """
    if not spots:
        return None
    cycles: NDArray[np.float64] = np.abs(positions(spots)[:, axis]) * pixel_size[axis]
    sigma = np.array([max(spot.sigma, LEAST_SIGMA / extent[axis]) for spot in spots]) * pixel_size[axis]
    longest = LONGEST_PERIOD if len(spots) > 1 else LONGEST_OF_ONE
    for period in range(2, longest + 1):
        tolerance = AXIS_SIGMAS * sigma * period
        chance = float(np.prod(np.minimum(2 * tolerance, 1.0))) * period
        off = np.abs(cycles * period - np.rint(cycles * period))
        if chance < CHANCE and (off < tolerance).all():
            return period
    return None


def _warning(period: dict[int, int]) -> str:
    """The warning about the spots that were set aside."""
    pixels = " and ".join(str(n) for n in sorted(set(period.values())))
    count = f"{len(period)} pairs of spots lie" if len(period) > 1 else "one pair of spots lies"
    return (
        f"{count} on the pixel axes at whole fractions of {pixels} pixels, all over the field: they are the"
        " camera's tiles or columns, not a crystal's, and are switched off"
    )


#: A rim is smaller than its crystal, at most this many nm away from it, and its strongest spot has at most
#: this share of the SNR of the crystal's strongest.
NEAR, WEAKER = 1.0, 1 / 8
#: Each of its spots lies within this many radii of its disc, and within this share of \|g\|, of a spot of
#: the crystal that is this many times stronger: more than this share of them does, and two at least. On
#: multislice images rims have their spots up to 1.9 radii away.
RADII, SHARE_OF_G, STRONGER = 2.0, 0.125, 1.5
MATCHED, LEAST = 0.5, 2
#: Spots that one turn and stretch explains to this many sigmas, or to this share of \|g\|, are another
#: crystal's.
RIM_SIGMAS, ALIKE = 4.0, 0.006
#: A spot is the lobe of another grain's, at most `NEAR` away, that is this many times as strong and lies
#: within this many radii of the larger of their discs. Of crystals side by side the weaker one has a
#: thirtieth in `tests/benchmarks/weak_crystals.py`, and stays.
LOBE_STRONGER, LOBE_RADII = 100.0, 1.5


def find_rims(
    groups: Sequence[Sequence[Spot]], regions: Sequence[GrainRegion], grid: MapGrid
) -> dict[int, int]:
    """Which grains are rims of which others.

    Parameters
    ----------
    groups : sequence of sequence of Spot
        The spots of each grain.
    regions : sequence of GrainRegion
        Where the grains are.

    Returns
    -------
    dict of int to int
        Index of the crystal, by the index of its rim; a crystal is no rim itself.
    """
    strongest = [max(spot.snr for spot in spots) for spots in groups]
    rims: dict[int, int] = {}
    for i in sorted(range(len(groups)), key=lambda n: strongest[n]):
        hosts = [
            k
            for k in range(len(groups))
            if regions[k].area > regions[i].area
            and strongest[i] < WEAKER * strongest[k]
            and is_rim(groups[i], groups[k])
            and _near(regions[i], regions[k], grid)
        ]
        if hosts:
            rims[i] = max(hosts, key=lambda k: strongest[k])
    return {i: last_host(k, rims) for i, k in rims.items()}


def last_host(host: int, rims: dict[int, int]) -> int:
    """The crystal itself where the rim of a rim was found."""
    while host in rims:
        host = rims[host]
    return host


def find_lobes(
    groups: Sequence[Sequence[Spot]], regions: Sequence[GrainRegion], grid: MapGrid
) -> list[dict[int, int]]:
    """Which spots of each grain are lobes of a far stronger one of a grain beside it.

    Returns
    -------
    list of dict of int to int
        For each grain the index of the other one, by the place of the spot among its own.
    """
    g, radius, snr = (
        [np.array([getattr(spot, name) for spot in spots]) for spots in groups]
        for name in ("g", "radius", "snr")
    )
    lobes: list[dict[int, int]] = [{} for _ in groups]
    for i in range(len(groups)):
        for k in range(len(groups)):
            if i == k or not (snr[k].max() > LOBE_STRONGER * snr[i].min()):
                continue
            reach = LOBE_RADII * np.maximum.outer(radius[i], radius[k])
            near = separations(g[i][:, None], g[k]) < reach
            near &= snr[k] > LOBE_STRONGER * snr[i][:, None]
            if near.any() and _near(regions[i], regions[k], grid):
                lobes[i].update(dict.fromkeys(np.flatnonzero(near.any(axis=1)).tolist(), k))
    return lobes


def is_rim(spots: Sequence[Spot], crystal: Sequence[Spot]) -> bool:
    """Whether the spots of a grain are a crystal's, each moved in its own way.

    Examples
    --------
    >>> def spot(gy, gx, snr, radius):
    ...     return Spot(0, (gy, gx), 0.01, snr, -50.0, radius=radius)
    >>> crystal = [spot(0.0, 4.0, 9e3, 0.1), spot(4.0, 0.0, 9e3, 0.1)]
    >>> is_rim([spot(0.0, 4.2, 90.0, 0.3), spot(3.8, 0.0, 90.0, 0.3)], crystal)
    True
    >>> is_rim([spot(0.0, 4.2, 90.0, 0.3), spot(4.2, 0.0, 90.0, 0.3)], crystal)
    False
    """
    ours, theirs = positions(spots), positions(crystal)
    signed = np.concatenate([theirs, -theirs])
    apart = np.hypot(*(ours[:, None] - signed).transpose(2, 0, 1))
    snr = np.array([spot.snr for spot in spots])
    enough = np.tile([spot.snr for spot in crystal], 2) > STRONGER * snr[:, None]
    reach = np.minimum(RADII * np.array([spot.radius for spot in spots]), SHARE_OF_G * np.hypot(*ours.T))
    apart = np.where(enough, apart, np.inf)
    near = apart.min(axis=1) < reach
    if near.sum() < max(LEAST, MATCHED * len(spots)):
        return False
    partner = signed[apart.argmin(axis=1)]
    sigma = np.array([spot.sigma for spot in spots])
    return not _turned_and_stretched(ours[near], partner[near], sigma[near])


def _turned_and_stretched(
    ours: NDArray[np.float64], theirs: NDArray[np.float64], sigma: NDArray[np.float64]
) -> bool:
    """Whether one rotation and one scale take one set of frequencies to the other."""
    ratio = (ours @ [1j, 1.0]) / (theirs @ [1j, 1.0])
    error = np.maximum(ALIKE, RIM_SIGMAS * sigma / np.hypot(*ours.T))
    weight = error**-2
    common = (weight @ ratio) / weight.sum()
    return bool((np.abs(ratio - common) <= error).all())


def _near(region: GrainRegion, other: GrainRegion, grid: MapGrid) -> bool:
    """Whether two regions are at most `NEAR` apart."""
    steps = [int(np.ceil(NEAR / p)) for p in grid.pixel_size]
    box = tuple(
        slice(max(side.start - n, 0), min(side.stop + n, size))
        for side, n, size in zip(region.box, steps, grid.shape, strict=True)
    )
    there = other.mask_on((box[0], box[1]))
    if not there.any():
        return False
    away = ndimage.distance_transform_edt(~there, sampling=grid.pixel_size)
    return bool((away[region.mask_on((box[0], box[1]))] <= NEAR).any())
