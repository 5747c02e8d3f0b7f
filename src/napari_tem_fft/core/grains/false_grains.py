"""Remove false grains: spots of the camera's columns and tiles, and ghosts at the rims of crystals.

The spots of a sensor lie on the pixel axes, at harmonics of a period of a few pixels, all over the field of
view. A crystal that fills the field and is aligned with the pixels can have such spots as well. It is
recognised by its other reflections: the spots on the axes are their sums and differences.

Where the thickness of a crystal decreases towards its facets, its fringes bend, fade, and reappear with the
opposite sign. In the spectrum of the rim, each strong reflection is shifted or split by several per cent,
each differently. In another crystal of similar structure they would all be rotated and scaled alike.
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

#: Tolerance, in sigmas, of the distance of a spot from an axis and from a multiple of the period's frequency;
#: a sigma is at least this fraction of a frequency step.
AXIS_SIGMAS, LEAST_SIGMA = 3.0, 0.02
#: Longest period, in pixels, of a pattern of several spots and of a single one. Longer periods would have a
#: harmonic near any frequency.
LONGEST_PERIOD, LONGEST_OF_ONE = 64, 16
#: Largest probability of a chance match with a period.
CHANCE = 0.1
#: The pattern covers at least this fraction of the field of view.
WHOLE_FIELD = 0.5


def set_camera_spots_aside(
    found: GrainSet, pixel_size: tuple[float, float], extent: tuple[float, float]
) -> tuple[GrainSet, tuple[str, ...]]:
    """Disable the spots of the camera, remove them from the grains, and warn about them.

    Parameters
    ----------
    found : GrainSet
    pixel_size, extent : tuple of float, (y, x), nm
        Pixel size and size of the image.

    Returns
    -------
    GrainSet
        The spots are kept, disabled and of kind "camera"; grains without other spots are removed.
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
    """Whether g lies on a pixel axis (0 is y, 1 is x)."""
    other = 1 - axis
    sigma = max(spot.sigma, LEAST_SIGMA / extent[other])
    return abs(spot.g[other]) < AXIS_SIGMAS * sigma


def _of_a_lattice(
    members: Sequence[Spot], further: Sequence[Spot], others: Sequence[Spot], extent: tuple[float, float]
) -> bool:
    """Whether a spot on an axis is the sum or difference of a spot off both axes and another spot.

    The rows and columns of a sensor are independent. The reflections of a crystal whose planes are parallel
    to the scan, as operators often align it, are not.
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
    """Shortest period in whole pixels of which all spots on an axis are harmonics; None if there is none.

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
    """The warning about the disabled spots."""
    pixels = " and ".join(str(n) for n in sorted(set(period.values())))
    count = f"{len(period)} pairs of spots lie" if len(period) > 1 else "one pair of spots lies"
    return (
        f"{count} on the pixel axes at whole fractions of {pixels} pixels, all over the field of view: they"
        " come from the camera's tiles or columns, not from a crystal, and are switched off"
    )


#: A rim is smaller than its crystal and at most this far from it, nm. Its strongest spot has at most this
#: fraction of the SNR of the crystal's strongest.
NEAR, WEAKER = 1.0, 1 / 8
#: More than the last fraction of a rim's spots, and at least two, lie near a spot of the crystal that is this
#: many times stronger: within this many radii of the disc, and within this fraction of \|g\|. In multislice
#: images, spots of rims are up to 1.9 radii away.
RADII, SHARE_OF_G, STRONGER = 2.0, 0.125, 1.5
MATCHED, LEAST = 0.5, 2
#: Spots that one rotation and scaling explains to this many sigmas, or to this fraction of \|g\|, belong to a
#: different crystal.
RIM_SIGMAS, ALIKE = 4.0, 0.006
#: A spot is a lobe if a grain at most `NEAR` away has a spot that is this many times stronger, within this
#: many radii of the larger disc. The weaker of two adjacent crystals in `tests/benchmarks/weak_crystals.py`
#: has a thirtieth, and is kept.
LOBE_STRONGER, LOBE_RADII = 100.0, 1.5


def find_rims(
    groups: Sequence[Sequence[Spot]], regions: Sequence[GrainRegion], grid: MapGrid
) -> dict[int, int]:
    """Find grains that are rims of other grains.

    Parameters
    ----------
    groups : sequence of sequence of Spot
        The spots of each grain.
    regions : sequence of GrainRegion
        Regions of the grains.

    Returns
    -------
    dict of int to int
        For the index of each rim, the index of its crystal; a crystal is never a rim itself.
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
    """Follow rims of rims to the crystal."""
    while host in rims:
        host = rims[host]
    return host


def find_lobes(
    groups: Sequence[Sequence[Spot]], regions: Sequence[GrainRegion], grid: MapGrid
) -> list[dict[int, int]]:
    """Find spots that are lobes of a much stronger spot of a neighbouring grain.

    Returns
    -------
    list of dict of int to int
        For each grain, the index of the other grain, by the position of each lobe among its spots.
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
    """Whether the spots of a grain are those of a crystal, with each one shifted differently.

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
    """Whether a common rotation and scaling map one set of frequencies onto the other."""
    ratio = (ours @ [1j, 1.0]) / (theirs @ [1j, 1.0])
    error = np.maximum(ALIKE, RIM_SIGMAS * sigma / np.hypot(*ours.T))
    weight = error**-2
    common = (weight @ ratio) / weight.sum()
    return bool((np.abs(ratio - common) <= error).all())


def _near(region: GrainRegion, other: GrainRegion, grid: MapGrid) -> bool:
    """Whether the distance of two regions is at most `NEAR`."""
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
