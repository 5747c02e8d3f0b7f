"""Ghosts: what looks like a small grain at the rim of a crystal, and is the crystal's own rim.

Where a thick crystal falls off towards its facets its fringes bend, fade, and come back with the other sign.
The spectrum of the rim alone shows each strong reflection moved or split by some per cent, each in its own
way; another crystal of like structure would show them all turned and stretched alike.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..maps.map_grid import MapGrid
from ..spots.plane_lattice import positions
from ..spots.spot import Spot, separations
from .region import GrainRegion

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
SIGMAS, ALIKE = 4.0, 0.006
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
    error = np.maximum(ALIKE, SIGMAS * sigma / np.hypot(*ours.T))
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
