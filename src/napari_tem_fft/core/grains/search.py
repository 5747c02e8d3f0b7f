"""The search for grains: from seeds to outlined regions with their spots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..spots.bragg_filter import is_small
from ..spots.kinds import classify_spots, plane_lattice, switch_off
from ..spots.seeds import Proposal, Seed
from ..spots.spot import Origin, Spot, separation, separations
from .candidate import (
    GrainCandidate,
    SearchContext,
    measure_spectrum,
    outline_grain,
    reached_windows,
    refine_spots,
)
from .false_grains import find_lobes, find_rims, last_host
from .grain import GrainSet, centroid, equivalent_diameter, grain_set
from .peaks import Peak
from .regions import GrainRegion, Outline, union, window_area
from .separation import crystals_by_spots, largest_piece, places_without_a_spot, separate

#: Two frequencies closer than this many resolutions of a grain are the same reflection.
SAME = 0.75
#: A spot with less than this fraction of a neighbour's amplitude at the same frequency belongs to it.
OWN_SHARE = 0.4
#: A seed closer than 1 / (largest d) to a reflection of a grain is its satellite below this fraction of its
#: SNR.
SATELLITE = 0.1
#: If the overlap (intersection over union) of a new and an old outline is above the first value, the outline
#: is not repeated; above the second, the spectrum is not measured again.
#: UNCHANGED set by hand. Sweep of UNCHANGED: halved, F1 0.82 -> 0.81, area 0.89 -> 0.83,
#: belief 0.73 -> 0.72, grains 12 -> 11, right names 4 -> 5; doubled, error of d 0.107 -> 0.105 %.
SETTLED, UNCHANGED = 0.85, 0.95
#: A candidate smaller than this fraction of a grain that it overlaps can be another grain.
LAID_OVER = 0.5
#: An outline in which a seed has less than this fraction of its previous SNR belongs to another grain.
FADED = 0.5
#: One seed can contain the detections of this many adjacent grains with similar g.
GRAINS_A_SEED = 4
#: The uncovered part of a small field is searched if it is larger than this many squares of the filter width,
#: at most this many times.
LEAST_REST, MOST_RESTS = 2 * np.pi, 3
#: Largest number of spots whose maps are summed for the region of a grain.
MOST_MAPPED = 8
#: Seeds belong to a second crystal next to one of nearly the same lattice if the ratios of their frequencies
#: to the reflections of that crystal agree within this fraction of a bin of the local windows. A filter wider
#: than usual by this factor distinguishes the positions of the two crystals, which overlap by at most this
#: fraction of the smaller one. Chosen, not tuned; checked on `tests/benchmarks/weak_crystals.py`.
LIKE_BINS, LIKE_WIDER, LIKE_OVER = 0.4, 2.0, 0.5


@dataclass(frozen=True, slots=True, eq=False)
class _Known:
    """The peaks of all candidates, one row per peak.

    Attributes
    ----------
    owner : ndarray of int
        Index of the candidate.
    g : ndarray, shape (n, 2), 1/nm
    resolution, snr, amplitude : ndarray
        The SNR refers to the noise of the rings alone, like that of the seeds.
    """

    owner: NDArray[np.intp]
    g: NDArray[np.float64]
    resolution: NDArray[np.float64]
    snr: NDArray[np.float64]
    amplitude: NDArray[np.float64]

    @classmethod
    def of(cls, candidates: Sequence[GrainCandidate]) -> _Known:
        """Collect the peaks of candidates."""
        rows = [
            (i, *peak.g, candidate.resolution, peak.snr * stripes, peak.amplitude)
            for i, candidate in enumerate(candidates)
            for peak, stripes in zip(
                candidate.peaks,
                candidate.noise.over_rings([peak.g for peak in candidate.peaks]),
                strict=True,
            )
        ]
        table = np.array(rows, np.float64).reshape(-1, 6)
        return cls(table[:, 0].astype(np.intp), table[:, 1:3], *table[:, 3:].T)


def search_grains(
    context: SearchContext, seeds: Sequence[Seed], proposal: Proposal | None = None
) -> tuple[GrainCandidate, ...]:
    """Find the grains of the seeds, strongest first, without side lobes and the spots of neighbours.

    A seed is explained if an earlier grain has its frequency in its windows. Otherwise its region is mapped
    and must be confirmed by the spectrum of that region, whose spots together give a better outline. Spots
    proposed by a network that lie on no arc are never satellites or side lobes. Spots that the network finds
    improbable are kept, because they are statistically significant.
    """
    if proposal is not None:
        context = replace(context, sure=np.array([seed.g for seed in proposal.spots()]).reshape(-1, 2))
    candidates: list[GrainCandidate] = []
    known = _Known.of(candidates)
    for seed in seeds:
        tried: tuple[int, ...] = ()
        for _ in range(GRAINS_A_SEED):
            windows = _unexplained_windows(seed, candidates, known, context)
            # if a candidate has not explained its seed, the next one would be the same
            candidate = (
                _find_candidate(context, seed, windows, candidates) if windows and windows != tried else None
            )
            tried = windows
            if candidate is None:
                break
            for crystal in _crystals(context, candidate):
                _add(context, candidates, crystal)
            known = _Known.of(candidates)
    _search_like_crystals(context, seeds, candidates)
    if is_small(context.grid.extent):
        _search_rest(context, candidates)
        _search_twins(context, candidates)
    parts = (part for candidate in _own_peaks(candidates) for part in _parts(context, candidate))
    measured = [refine_spots(context, part) for part in parts]
    return confirm_together([candidate for candidate in measured if candidate.peaks], context)


def confirm_together(
    candidates: Sequence[GrainCandidate], context: SearchContext
) -> tuple[GrainCandidate, ...]:
    """Keep the peaks that are significant given the number of spectra of the whole image.

    A peak is first confirmed at the false-alarm rate of its own spectrum, so that with many grains some peaks
    would be due to chance. Peaks on the lattice of a candidate's more significant ones need no correction.
    The outline of a candidate with a single peak was selected by it among all windows and frequencies.
    """
    all_spectra = np.log(context.false_alarms / max(sum(c.independent for c in candidates), 1.0))
    all_windows = np.log(context.false_alarms / max(context.spectra.tests, 1.0))
    kept = []
    for candidate in candidates:
        spots = spots_of(candidate, context, [(n, peak, None) for n, peak in enumerate(candidate.peaks)])
        sure = np.array([spot.log_false_alarm < all_spectra for spot in spots])
        lattice = plane_lattice([spot for spot, is_sure in zip(spots, sure, strict=True) if is_sure])
        if lattice is not None:
            sure |= lattice.holds(spots)
        peaks = tuple(peak for peak, is_sure in zip(candidate.peaks, sure, strict=True) if is_sure)
        if len(peaks) > 1 or any(peak.log_p < all_windows for peak in peaks):
            kept.append(replace(candidate, peaks=peaks))
    return tuple(kept)


def _search_like_crystals(
    context: SearchContext, seeds: Sequence[Seed], candidates: list[GrainCandidate]
) -> None:
    """Add crystals that lie next to stronger ones of nearly the same lattice.

    Their seeds look like satellites of the stronger crystal's reflections, but a single rotation and scaling
    maps all of these onto them, in two directions at least; facets and the lens shift each reflection
    differently.
    """
    known, bin_width = _Known.of(candidates), _window_resolution(context)
    near = [(seed, separations(seed.g, known.g)) for seed in seeds if len(known.g)]
    near = [(seed, apart) for seed, apart in near if (apart > np.maximum(known.resolution, bin_width)).all()]
    partner = np.array([int(apart.argmin()) for _, apart in near], np.intp)
    theirs = known.g[partner] @ [1j, 1.0]
    ours = np.array([seed.g for seed, _ in near]).reshape(-1, 2) @ [1j, 1.0]
    ratio = ours * np.where((ours * theirs.conj()).real < 0, -1, 1) / theirs
    close = np.array([apart.min() for _, apart in near]) < context.diffractogram.q_min
    for owner in np.unique(known.owner[partner[close]]):
        mine = np.flatnonzero(close & (known.owner[partner] == owner))
        alike = np.abs(ratio[mine] - ratio[mine, None]) < LIKE_BINS * bin_width / np.abs(theirs[mine])
        group = mine[alike[np.argmax(alike.sum(axis=1))]]
        if _directions(known.g[partner[group]]) > 1:
            of_owner = known.g[known.owner == owner]
            factor = ratio[group].mean() * (of_owner @ [1j, 1.0])
            expected = np.stack([factor.imag, factor.real], axis=1)
            _add_like_crystal(context, candidates, int(owner), [near[i][0] for i in group], expected)


def _add_like_crystal(
    context: SearchContext,
    candidates: list[GrainCandidate],
    owner: int,
    seeds: Sequence[Seed],
    expected: NDArray[np.float64],
) -> None:
    """Add the crystal of some seeds next to a candidate, given its expected reflections, shape (n, 2).

    Seeds that overlap the candidate are side lobes of its own facets, which agree with each other where the
    facets are parallel to lattice planes.
    """
    windows = tuple(sorted({w for seed in seeds for w in seed.windows})) or tuple(
        range(len(context.spectra.centres))
    )
    place = window_area(windows, context.spectra, context.grid)
    wide = replace(context.params, resolution=LIKE_WIDER * context.params.resolution)
    outline = outline_grain(replace(context, params=wide), [seed.g for seed in seeds], place)
    if not outline.region.area:
        return
    other = candidates[owner].region
    if other.overlap(outline.region) > LIKE_OVER * min(other.area, outline.region.area):
        return
    found = measure_spectrum(replace(context, sure=expected), outline)
    kept = tuple(p for p in found.peaks if separations(p.g, expected).min() < 0.5 * found.resolution)
    if _directions(np.array([peak.g for peak in kept]).reshape(-1, 2)) > 1:
        candidates.append(replace(found, peaks=kept))


def _directions(g: NDArray[np.float64]) -> int:
    """Number of directions in which frequencies lie, at most two."""
    return int(np.linalg.matrix_rank(g, tol=0.1 * np.abs(g).max())) if len(g) else 0


def _search_rest(context: SearchContext, candidates: list[GrainCandidate]) -> None:
    """Search the part of a small field that no candidate covers, and add the crystals found there.

    The spectrum of that part alone is more sensitive than a window of the whole field.
    """
    grid, width = context.grid, context.params.resolution
    for _ in range(MOST_RESTS if candidates else 0):
        rest = largest_piece(~union((candidate.region for candidate in candidates), grid.shape))
        if rest.sum() * grid.pixel_area < LEAST_REST * width**2:
            return
        before = len(candidates)
        _search_place(context, candidates, rest)
        if len(candidates) == before:
            return


def _search_twins(context: SearchContext, candidates: list[GrainCandidate]) -> None:
    """Add crystals that share a reflection with a candidate of a small field, and so are parts of it."""
    for candidate in tuple(candidates):
        peaks = sorted(candidate.peaks, key=lambda p: -p.snr)
        spots, width = [peak.g for peak in peaks], candidate.outline.width
        for place in places_without_a_spot(context, spots, candidate.region, width):
            _search_place(context, candidates, place)


def _search_place(context: SearchContext, candidates: list[GrainCandidate], place: NDArray[np.bool_]) -> None:
    """Admit the crystal of an area if the spectrum of the area shows spots that no candidate has."""
    heat = place.astype(np.float32)
    found = measure_spectrum(context, Outline(GrainRegion.cropped(place, heat), context.params.resolution))
    own = _own_spots_of_rest(found, candidates)
    outline = outline_grain(context, own[:MOST_MAPPED], place) if own else None
    if outline is None or not outline.region.area:
        return
    candidate = measure_spectrum(context, outline)
    if candidate.peaks:
        _add(context, candidates, candidate)


def _own_spots_of_rest(found: GrainCandidate, known: Sequence[GrainCandidate]) -> list[tuple[float, float]]:
    """The spots of the remaining area that no candidate has, strongest first."""
    theirs = [peak for candidate in known for peak in candidate.peaks]
    apart = _nearest(found.peaks, theirs)
    own = [peak for peak, d in zip(found.peaks, apart, strict=True) if d > found.resolution]
    return [peak.g for peak in sorted(own, key=lambda p: -p.snr)]


def _crystals(context: SearchContext, candidate: GrainCandidate) -> tuple[GrainCandidate, ...]:
    """Split a candidate into crystals by the positions of its spots; shared spots belong to each."""
    peaks = sorted(candidate.peaks, key=lambda p: -p.snr)
    spots, width = [p.g for p in peaks], candidate.outline.width
    crystals = []
    for place, own, shared in crystals_by_spots(context, spots, candidate.region, width):
        outline = outline_grain(context, [spots[i] for i in own], place)
        if not outline.region.area:
            return (candidate,)
        crystal = measure_spectrum(context, outline)
        of_it = _nearest(crystal.peaks, [peaks[i] for i in (*own, *shared)]) < crystal.resolution
        kept = tuple(peak for peak, here in zip(crystal.peaks, of_it, strict=True) if here)
        if not kept:
            return (candidate,)
        crystals.append(replace(crystal, peaks=kept))
    return tuple(crystals) or (candidate,)


def _parts(context: SearchContext, candidate: GrainCandidate) -> tuple[GrainCandidate, ...]:
    """Split a candidate into its grains, each with its own peaks; a single grain is returned as it is."""
    outline, spots = candidate.outline, [p.g for p in sorted(candidate.peaks, key=lambda p: -p.snr)]
    regions = separate(context, spots, outline.region, outline.width)
    if len(regions) == 1:
        return (candidate,)
    parts = []
    for region in regions:
        part = measure_spectrum(context, Outline(region, outline.width))
        near = _nearest(part.peaks, candidate.peaks) < part.resolution
        own = tuple(peak for peak, kept in zip(part.peaks, near, strict=True) if kept)
        parts.append(replace(part, peaks=own))
    return tuple(parts) if all(part.peaks for part in parts) else (candidate,)


def _unexplained_windows(
    seed: Seed, candidates: Sequence[GrainCandidate], known: _Known, context: SearchContext
) -> tuple[int, ...]:
    """The windows of a seed that no grain with this frequency overlaps."""
    windows = list(seed.windows or range(len(context.spectra.centres)))
    for owner in np.unique(known.owner[_explains(known, seed, context)]):
        if not seed.windows:
            return ()
        windows = [w for w in windows if not candidates[owner].reached[w]]
    return tuple(windows)


def _explains(known: _Known, seed: Seed, context: SearchContext) -> NDArray[np.bool_]:
    """Peaks for which a seed within their grain is the same reflection, or a faint satellite."""
    apart = separations(seed.g, known.g)
    same = apart < np.maximum(known.resolution, _window_resolution(context))
    satellite = (apart < context.diffractogram.q_min) & (seed.snr < SATELLITE * known.snr)
    satellite &= seed.origin != "network"
    return np.asarray(same | satellite, bool)


def _find_candidate(
    context: SearchContext, seed: Seed, windows: tuple[int, ...], known: Sequence[GrainCandidate]
) -> GrainCandidate | None:
    """Map a seed, confirm it in the spectrum of its region, and outline the grain by all its spots."""
    near = window_area(windows, context.spectra, context.grid)
    outline = outline_grain(context, [seed.g], near)
    if not outline.region.area:
        return None
    candidate = measure_spectrum(context, outline)
    if not _confirmed_snr(candidate, seed, context):
        return None
    for _ in range(2):
        own = _own_spots(candidate, known)[:MOST_MAPPED] or [seed.g]
        outline = outline_grain(context, own, candidate.region.mask_on(context.grid.box))
        if not outline.region.area:
            return candidate
        common = candidate.region.overlap(outline.region)
        overlap = common / max(1, outline.region.area + candidate.region.area - common)
        if overlap > UNCHANGED:
            return replace(
                candidate,
                outline=outline,
                reached=reached_windows(outline.region, context.spectra, context.grid),
            )
        better = measure_spectrum(context, outline)
        if not better.peaks:
            return None
        if seed.origin == "network" and _confirmed_snr(better, seed, context) < FADED * _confirmed_snr(
            candidate, seed, context
        ):
            return candidate
        if is_small(context.grid.extent) and not _confirmed_snr(better, seed, context):
            return candidate  # the remaining area is too small to show the seed, or anything else
        candidate = better
        if overlap > SETTLED:
            break
    return candidate


def _confirmed_snr(candidate: GrainCandidate, seed: Seed, context: SearchContext) -> float:
    """SNR of a seed in the spectrum of a candidate; 0 if it is not confirmed."""
    reach = _same(candidate, context)
    return max((p.snr for p in candidate.peaks if separation(p.g, seed.g) < reach), default=0.0)


def _own_spots(candidate: GrainCandidate, known: Sequence[GrainCandidate]) -> list[tuple[float, float]]:
    """The spots of a candidate, strongest first, without those of known grains that it overlaps."""
    under = [k for k in known if candidate.region.overlap(k.region) > 0.5 * candidate.region.area]
    theirs = [peak for other in under for peak in other.peaks]
    reach = candidate.resolution
    return [p.g for p, d in zip(candidate.peaks, _nearest(candidate.peaks, theirs), strict=True) if d > reach]


def _same(candidate: GrainCandidate, context: SearchContext) -> float:
    return max(candidate.resolution, _window_resolution(context))


def _window_resolution(context: SearchContext) -> float:
    return 1.2 * max(context.spectra.grid.step)


def _add(context: SearchContext, candidates: list[GrainCandidate], candidate: GrainCandidate) -> None:
    """Admit a candidate; in a small field a grain with new peaks from it may turn out to be two crystals."""
    before = tuple(candidates)
    _admit(candidates, candidate, context)
    if not is_small(context.grid.extent):
        return
    for i, (old, new) in enumerate(zip(before, candidates, strict=False)):
        if new is not old:
            candidates[i : i + 1] = _crystals(context, new)
            return


def _admit(candidates: list[GrainCandidate], candidate: GrainCandidate, context: SearchContext) -> None:
    """Add a candidate, or add its new peaks (without satellites) to the grain that it is part of.

    If two candidates overlap and share frequencies, the larger one is a different grain if the shared
    frequencies are much fainter in it. A small candidate whose new peaks were proposed by a network is a
    different grain as well.
    """
    area = candidate.region.area
    for i, other in enumerate(candidates):
        theirs = other.region.area
        if candidate.region.overlap(other.region) <= 0.5 * min(area, theirs):
            continue
        reach = max(candidate.resolution, other.resolution)
        nearest = _nearest(candidate.peaks, other.peaks)
        if not _shares_a_reflection(candidate, other, reach, context):
            continue
        new = [p for p, apart in zip(candidate.peaks, nearest, strict=True) if apart > reach]
        if theirs < LAID_OVER * area and new and not _same_grain(candidate, other, reach):
            candidate = replace(candidate, peaks=tuple(new))
            continue
        if area < LAID_OVER * theirs and (own := [p for p in new if context.is_sure(p)]):
            candidates.append(replace(candidate, peaks=tuple(own)))
            return
        least = max(reach, context.diffractogram.q_min)
        fresh = tuple(p for p, apart in zip(candidate.peaks, nearest, strict=True) if apart > least)
        if fresh:
            candidates[i] = replace(other, peaks=(*other.peaks, *fresh))
        return
    candidates.append(candidate)


def _shares_a_reflection(
    candidate: GrainCandidate, other: GrainCandidate, reach: float, context: SearchContext
) -> bool:
    """Whether a spot of a candidate can belong to another one, given the resolution of its region.

    A narrow region, such as a strip at the border of the image, broadens reflections across it.
    """
    region, size = candidate.region, np.array(context.grid.pixel_size)
    at = np.argwhere(region.mask) * size
    spread = np.cov(at.T, bias=True) + np.diag(size**2) / 12 if len(at) > 1 else np.diag(size**2) / 12
    ours = np.array([peak.g for peak in candidate.peaks]).reshape(-1, 1, 2)
    theirs = np.array([peak.g for peak in other.peaks]).reshape(1, -1, 2)
    for apart in (ours - theirs, ours + theirs):
        far = np.linalg.norm(apart, axis=2)
        # the standard deviation of a rectangle along a side is the side / sqrt(12)
        extent = np.sqrt(12 * np.einsum("ijk,kl,ijl->ij", apart, spread, apart))  # multiplied by the distance
        if (far <= np.maximum(reach, far / np.maximum(extent, 1e-12))).any():
            return True
    return False


def _same_grain(large: GrainCandidate, small: GrainCandidate, reach: float) -> bool:
    """Whether the strongest shared frequency is about as strong in the larger candidate."""
    ours, theirs = (np.array([p.g for p in d.peaks]).reshape(-1, 2) for d in (large, small))
    same = separations(ours[:, None], theirs) <= reach
    bright, brighter = (np.array([p.amplitude for p in d.peaks]) for d in (large, small))
    strongest = int(np.argmax(np.where(same.any(axis=0), brighter, 0)))
    return bool((bright[same[:, strongest]] >= OWN_SHARE * brighter[strongest]).any())


def _nearest(peaks: Sequence[Peak], others: Sequence[Peak]) -> NDArray[np.float64]:
    """Distance of each peak from the nearest other one, 1/nm."""
    ours, theirs = (np.array([p.g for p in some]).reshape(-1, 2) for some in (peaks, others))
    return np.asarray(separations(ours[:, None], theirs).min(axis=1, initial=np.inf), np.float64)


def _own_peaks(candidates: Sequence[GrainCandidate]) -> tuple[GrainCandidate, ...]:
    """Remove spots that leak into a grain from a neighbour with a larger amplitude."""
    known = _Known.of(candidates)
    reach = SAME * np.maximum.outer(known.resolution, known.resolution)
    same = (separations(known.g[:, None], known.g) < reach) & (known.owner[:, None] != known.owner)
    strongest = np.where(same, known.amplitude, 0.0).max(axis=1, initial=0.0)
    own = iter((known.amplitude >= OWN_SHARE * strongest).tolist())
    kept = [
        replace(candidate, peaks=tuple(p for p in candidate.peaks if next(own))) for candidate in candidates
    ]
    return tuple(candidate for candidate in kept if candidate.peaks)


def build_grain_set(
    candidates: Sequence[GrainCandidate], seeds: Sequence[Seed], context: SearchContext
) -> GrainSet:
    """Turn candidates into grains and spots with ids and kinds, largest grain first.

    A candidate that is the rim of another is not a grain; its spots become satellites of the other.
    """
    ordered = sorted(candidates, key=lambda d: -d.region.area)
    groups: list[tuple[Spot, ...]] = []
    for candidate in ordered:
        peaks = sorted(candidate.peaks, key=lambda p: -p.snr)
        found = zip(peaks, _seeds_of(peaks, seeds, context), strict=True)
        first = 1 + sum(map(len, groups))
        numbered = [(n, p, seed) for n, (p, seed) in enumerate(found, first)]
        groups.append(tuple(spots_of(candidate, context, numbered)))
    regions = [candidate.region for candidate in ordered]
    lobes = find_lobes(groups, regions, context.grid)
    of_lobes = {i: found[0] for i, found in enumerate(lobes) if len(found) == len(groups[i])}
    rims = of_lobes | find_rims(groups, regions, context.grid)
    rims = {i: last_host(k, rims) for i, k in rims.items()}
    groups = [
        tuple(switch_off([spot])[0] if n in found else spot for n, spot in enumerate(spots))
        for spots, found in zip(groups, lobes, strict=True)
    ]
    kinds = [switch_off(spots) if i in rims else classify_spots(spots) for i, spots in enumerate(groups)]
    whole = [i for i in range(len(groups)) if i not in rims]
    members = [
        tuple(spot.id for group in (i, *(rim for rim in rims if rims[rim] == i)) for spot in groups[group])
        for i in whole
    ]
    spots = tuple(spot for group in kinds for spot in group)
    return grain_set(spots, members, [ordered[i].outline for i in whole], context.grid)


def _seeds_of(peaks: Sequence[Peak], seeds: Sequence[Seed], context: SearchContext) -> list[Seed | None]:
    """The first seed at the frequency of each peak, if any."""
    ours, theirs = (np.array([p.g for p in some]).reshape(-1, 2) for some in (peaks, seeds))
    same = separations(ours[:, None], theirs) < _window_resolution(context)
    return [seeds[int(np.argmax(row))] if row.any() else None for row in same]


def spots_of(
    candidate: GrainCandidate,
    context: SearchContext,
    peaks: Sequence[tuple[int, Peak, Seed | None]],
    origin: Origin = "grain",
) -> list[Spot]:
    """Turn the peaks of a grain into spots, with numbers and the seeds that determine their origin."""
    centre = centroid(candidate.region, context.grid)
    size = equivalent_diameter(candidate.region, context.grid)
    return [
        Spot(
            id=number,
            g=peak.g,
            sigma=peak.sigma,
            snr=peak.snr,
            log_false_alarm=peak.log_p,
            origin=seed.origin if seed else origin,
            windows=tuple(w for w in seed.windows if candidate.reached[w]) if seed else (),
            centre=centre,
            size=size,
            radius=float(max(candidate.resolution, 2 * max(context.diffractogram.step))),
        )
        for number, peak, seed in peaks
    ]
