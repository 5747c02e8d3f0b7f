"""Spots of the camera: tiles and columns of a sensor repeat after whole numbers of pixels, crystals do not.

The pattern of a sensor lies on the pixel axes, at whole fractions of a period of few pixels, all over the
field. So are those of a crystal that fills the field and is aligned with the pixels, where its period happens
to be such a number; it is known by its other reflections, whose sums and differences those on the axes are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..spots.plane_lattice import positions
from ..spots.spot import Spot
from .grain import GrainSet

#: A spot lies on an axis, and at a multiple of the period's frequency, to this many sigmas; a sigma is at
#: least this share of a frequency step.
SIGMAS, LEAST_SIGMA = 3.0, 0.02
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
    return abs(spot.g[other]) < SIGMAS * sigma


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
                if (off < SIGMAS * np.sqrt(sigma**2 + first.sigma**2 + second.sigma**2)).any():
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
        tolerance = SIGMAS * sigma * period
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
