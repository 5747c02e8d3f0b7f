"""Update grains after the user has edited spots: measure added spots and outline changed grains again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from ..spots.false_alarms import log_tail
from ..spots.spot import Spot, separation
from .candidate import SearchContext, measure_spectrum, outline_grain, refine_spots
from .grain import GrainSet, grain_set
from .regions import GrainRegion, Outline, window_area
from .search import MOST_MAPPED, spots_of

#: An added spot joins a grain if their regions overlap by this fraction of the smaller one.
COMMON = 0.5
#: Number of outlines in the cache; an edit changes only a few of the previous ones.
MOST_OUTLINES = 16


class OutlineCache:
    """Cache of the latest outlines of one diffractogram, for repeated edits."""

    def __init__(self) -> None:
        self._known: OrderedDict[object, Outline] = OrderedDict()
        self._lock = Lock()  # an abandoned edit can still be running when the next one begins

    def outline(
        self, context: SearchContext, spots: Sequence[tuple[float, float]], near: NDArray[np.bool_]
    ) -> Outline:
        """Return the result of `outline_grain`, from the cache if possible."""
        key = (tuple(spots), context.params, context.grid, np.packbits(near).tobytes())
        with self._lock:
            found = self._known.get(key)
        outline = outline_grain(context, spots, near) if found is None else found
        with self._lock:
            self._known[key] = outline
            self._known.move_to_end(key)
            while len(self._known) > MOST_OUTLINES:
                self._known.popitem(last=False)
        return outline


def measure_by_hand(context: SearchContext, g: tuple[float, float], radius: float, number: int) -> Spot:
    """Measure a spot that the user painted; it is refined if fringes are found, otherwise kept as painted.

    Parameters
    ----------
    g : tuple of float, (y, x), 1/nm
        Centre of the painted region.
    radius : float, 1/nm
        Radius of the painted region.
    number : int
        Id for the spot.
    """
    start, window = _strongest(context, g, radius)
    outline = outline_grain(context, [start], window_area([window], context.spectra, context.grid))
    if outline.region.area:
        candidate = refine_spots(context, measure_spectrum(context, outline))
        near = [p for p in candidate.peaks if separation(p.g, g) <= radius + candidate.resolution]
        if near:
            best = max(near, key=lambda p: p.snr)
            (spot,) = spots_of(candidate, context, [(number, best, None)], "hand")
            return replace(spot, radius=radius)
    return _unrefined_spot(context, start, radius, number, window)


def regroup(
    context: SearchContext, spots: Sequence[Spot], before: GrainSet, cache: OutlineCache | None = None
) -> GrainSet:
    """Assign edited spots to grains.

    A grain with unchanged enabled spots is kept, one that lost or gained spots is outlined again, and one
    without enabled spots is removed. An added spot joins the grain in its region, or forms a new grain.
    """
    cache = cache or OutlineCache()
    by_id = {spot.id: spot for spot in spots}
    enabled_before = {spot.id for spot in before.spots if spot.enabled}
    members = [[n for n in grain.spots if n in by_id and by_id[n].enabled] for grain in before.grains]
    outlines = [Outline(region, context.params.resolution) for region in before.regions]
    changed = [
        set(grain.spots) & enabled_before != set(m) for grain, m in zip(before.grains, members, strict=True)
    ]
    known = {n for grain in before.grains for n in grain.spots}
    for spot in spots:
        if spot.enabled and spot.id not in known:
            _place(context, spot, members, outlines, changed, cache)
    kept_members, kept_outlines = [], []
    for ids, outline, dirty in zip(members, outlines, changed, strict=True):
        new = (
            cache.outline(
                context, [by_id[n].g for n in ids[:MOST_MAPPED]], outline.region.mask_on(context.grid.box)
            )
            if dirty and ids
            else outline
        )
        if ids and new.region.area:
            kept_members.append(tuple(ids))
            kept_outlines.append(new)
    return grain_set(tuple(spots), kept_members, kept_outlines, context.grid)


def _place(
    context: SearchContext,
    spot: Spot,
    members: list[list[int]],
    outlines: list[Outline],
    changed: list[bool],
    cache: OutlineCache,
) -> None:
    """Assign a spot without a grain to the region of its fringes."""
    window = _window_at(context, spot.centre)
    outline = cache.outline(context, [spot.g], window_area([window], context.spectra, context.grid))
    if not outline.region.area:
        return
    for i, other in enumerate(outlines):
        if members[i] and _common(outline.region, other.region) > COMMON:
            members[i].append(spot.id)
            changed[i] = True
            return
    members.append([spot.id])
    outlines.append(outline)
    changed.append(False)


def _common(a: GrainRegion, b: GrainRegion) -> float:
    return a.overlap(b) / max(1, min(a.area, b.area))


def _window_at(context: SearchContext, place: tuple[float, float]) -> int:
    return int(np.argmin(np.hypot(*(context.spectra.centres - np.array(place)).T)))


def _strongest(
    context: SearchContext, g: tuple[float, float], radius: float
) -> tuple[tuple[float, float], int]:
    """Frequency and local window of the largest SNR within the painted disc."""
    spectra = context.spectra
    gy, gx = spectra.grid.axes()
    gx = gx[:, spectra.grid.half[1] :]
    reach = max(radius, max(spectra.grid.step))
    inside = (gy - g[0]) ** 2 + (gx - g[1]) ** 2 <= reach**2
    if not inside.any():
        return g, _window_at(context, (0.0, 0.0))
    row, column = np.unravel_index(int(np.argmax(np.where(inside, spectra.snr_max, -1))), inside.shape)
    return (float(gy[row, 0]), float(gx[0, column])), int(spectra.argmax_window[row, column])


def _unrefined_spot(
    context: SearchContext, g: tuple[float, float], radius: float, number: int, window: int
) -> Spot:
    """A spot without fringes: at the painted position, with the SNR at that position."""
    spectra, diffractogram = context.spectra, context.diffractogram
    row, column = spectra.grid.cell(g)
    column = min(max(column - spectra.grid.half[1], 0), spectra.snr_max.shape[1] - 1)
    row = min(max(row, 0), spectra.snr_max.shape[0] - 1)
    snr = float(spectra.snr_max[row, column])
    centre = (float(spectra.centres[window][0]), float(spectra.centres[window][1]))
    return Spot(
        id=number,
        g=g,
        sigma=float(max(spectra.grid.step) / np.sqrt(12)),
        snr=snr,
        log_false_alarm=float(log_tail(snr, diffractogram.counts)),
        origin="hand",
        windows=(window,),
        centre=centre,
        size=float(max(spectra.size)),
        radius=radius,
    )
