"""The search for grains: from seeds to outlined regions with the spots that live there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..spots.seeds import Proposal, Seed
from ..spots.spot import Origin, Spot, separation, separations
from .candidate import Draft, Scene, examined, outlined, reached_windows, refined
from .grain import GrainSet, centroid, equivalent_diameter, grain_set
from .peaks import Peak
from .region import GrainRegion
from .regions import Outline, window_area
from .separation import separated

#: Two frequencies closer than this many resolutions of a grain are one reflection.
SAME = 0.75
#: A spot whose amplitude is below this share of a neighbour's at the same frequency is the neighbour's.
OWN_SHARE = 0.4
#: A seed nearer than 1 / (largest d) to a grain's reflection is its satellite below this share of its SNR.
SATELLITE = 0.1
#: An outline that changes no more than this (common over joint area) is not drawn again, and has the same
#: spectrum where it changes still less.
SETTLED, UNCHANGED = 0.85, 0.95
#: A draft smaller than this share of a grain that it overlaps can be another grain.
LAID_OVER = 0.5
#: An outline in which a seed has less than this share of the SNR that it had before is of another grain.
FADED = 0.5
#: Detections of so many grains of like g that lie near each other can be one seed.
GRAINS_A_SEED = 4
#: Most spots whose maps are added for a grain's region.
MOST_MAPPED = 8


@dataclass(frozen=True, slots=True, eq=False)
class _Known:
    """The peaks of all drafts, one row each.

    Attributes
    ----------
    owner : ndarray of int
        Index of the draft.
    g : ndarray, shape (n, 2), 1/nm
    resolution, snr, amplitude : ndarray
    """

    owner: NDArray[np.intp]
    g: NDArray[np.float64]
    resolution: NDArray[np.float64]
    snr: NDArray[np.float64]
    amplitude: NDArray[np.float64]

    @classmethod
    def of(cls, drafts: Sequence[Draft]) -> _Known:
        """The peaks of these drafts."""
        rows = [
            (i, *peak.g, draft.resolution, peak.snr, peak.amplitude)
            for i, draft in enumerate(drafts)
            for peak in draft.peaks
        ]
        table = np.array(rows, np.float64).reshape(-1, 6)
        return cls(table[:, 0].astype(np.intp), table[:, 1:3], *table[:, 3:].T)


def search_grains(scene: Scene, seeds: Sequence[Seed], proposal: Proposal | None = None) -> tuple[Draft, ...]:
    """Grains behind the seeds, strongest first; side lobes and neighbours' spots belong to none.

    A seed is explained where a grain that was found earlier has its frequency in its windows.
    Otherwise its region is mapped, the spectrum of that region must confirm it, and all the spots of
    that spectrum outline the grain better. What a network has proposed is no satellite or side lobe; what it
    finds improbable stays, for the statistics have confirmed it.
    """
    if proposal is not None:
        scene = replace(scene, sure=np.array([seed.g for seed in proposal]).reshape(-1, 2))
    drafts: list[Draft] = []
    known = _Known.of(drafts)
    for seed in seeds:
        tried: tuple[int, ...] = ()
        for _ in range(GRAINS_A_SEED):
            windows = _unexplained(seed, drafts, known, scene)
            # where a draft has explained nothing of its seed, the next one would be the same
            draft = _draft(scene, seed, windows, drafts) if windows and windows != tried else None
            tried = windows
            if draft is None:
                break
            _admit(drafts, draft, scene)
            known = _Known.of(drafts)
    parts = (part for draft in _own_peaks(drafts) for part in _parts(scene, draft))
    measured = (refined(scene, part) for part in parts)
    return tuple(draft for draft in measured if draft.peaks)


def _parts(scene: Scene, draft: Draft) -> tuple[Draft, ...]:
    """The grains of which a draft consists, each with its own peaks; the draft itself where it is one."""
    outline, spots = draft.outline, [p.g for p in sorted(draft.peaks, key=lambda p: -p.snr)]
    regions = separated(scene.diffractogram, scene.spectra, spots, outline.region, outline.width, scene.grid)
    if len(regions) == 1:
        return (draft,)
    parts = []
    for region in regions:
        part = examined(scene, Outline(region, outline.width))
        near = _nearest(part.peaks, draft.peaks) < part.resolution
        own = tuple(peak for peak, kept in zip(part.peaks, near, strict=True) if kept)
        parts.append(replace(part, peaks=own))
    return tuple(parts) if all(part.peaks for part in parts) else (draft,)


def _unexplained(seed: Seed, drafts: Sequence[Draft], known: _Known, scene: Scene) -> tuple[int, ...]:
    """The seed's windows that no grain with this frequency reaches into."""
    windows = list(seed.windows or range(len(scene.spectra.centres)))
    for owner in np.unique(known.owner[_explains(known, seed, scene)]):
        if not seed.windows:
            return ()
        windows = [w for w in windows if not drafts[owner].reached[w]]
    return tuple(windows)


def _explains(known: _Known, seed: Seed, scene: Scene) -> NDArray[np.bool_]:
    """Peaks of which a seed in their grain's place is the same reflection, or a faint satellite."""
    apart = separations(seed.g, known.g)
    same = apart < np.maximum(known.resolution, _window_resolution(scene))
    satellite = (apart < scene.diffractogram.q_min) & (seed.snr < SATELLITE * known.snr)
    satellite &= seed.origin != "network"
    return np.asarray(same | satellite, bool)


def _draft(scene: Scene, seed: Seed, windows: tuple[int, ...], known: Sequence[Draft]) -> Draft | None:
    """Map a seed, confirm it in the spectrum of its region, outline the grain by all its own spots."""
    near = window_area(windows, scene.spectra, scene.grid)
    outline = outlined(scene, [seed.g], near)
    if not outline.region.area:
        return None
    draft = examined(scene, outline)
    if not _shown(draft, seed, scene):
        return None
    for _ in range(2):
        own = _own_spots(draft, known)[:MOST_MAPPED] or [seed.g]
        outline = outlined(scene, own, draft.region.mask_on(scene.grid.box))
        if not outline.region.area:
            return draft
        overlap = _overlap(outline.region, draft.region)
        if overlap > UNCHANGED:
            return replace(
                draft, outline=outline, reached=reached_windows(outline.region, scene.spectra, scene.grid)
            )
        better = examined(scene, outline)
        if not better.peaks:
            return None
        if seed.origin == "network" and _shown(better, seed, scene) < FADED * _shown(draft, seed, scene):
            return draft
        draft = better
        if overlap > SETTLED:
            break
    return draft


def _shown(draft: Draft, seed: Seed, scene: Scene) -> float:
    """SNR of a seed in a draft's spectrum; 0 where it is not confirmed."""
    reach = _same(draft, scene)
    return max((p.snr for p in draft.peaks if separation(p.g, seed.g) < reach), default=0.0)


def _own_spots(draft: Draft, known: Sequence[Draft]) -> list[tuple[float, float]]:
    """The spots of a draft, strongest first, without those of known grains that it lies over."""
    under = [k for k in known if draft.region.overlap(k.region) > 0.5 * draft.region.area]
    theirs = [peak for other in under for peak in other.peaks]
    reach = draft.resolution
    return [p.g for p, d in zip(draft.peaks, _nearest(draft.peaks, theirs), strict=True) if d > reach]


def _overlap(a: GrainRegion, b: GrainRegion) -> float:
    """Common area over joint area."""
    common = a.overlap(b)
    return common / max(1, a.area + b.area - common)


def _same(draft: Draft, scene: Scene) -> float:
    return max(draft.resolution, _window_resolution(scene))


def _window_resolution(scene: Scene) -> float:
    return 1.2 * max(scene.spectra.grid.step)


def _admit(drafts: list[Draft], draft: Draft, scene: Scene) -> None:
    """Add a draft, or its new peaks (no satellites) to the grain that it turns out to be a part of.

    Of two that lie over each other and share frequencies the larger one is another grain where it shows these
    far fainter than the smaller one. So is a small draft whose new peaks a network has proposed.
    """
    area = draft.region.area
    for i, other in enumerate(drafts):
        theirs = other.region.area
        if draft.region.overlap(other.region) <= 0.5 * min(area, theirs):
            continue
        reach = max(draft.resolution, other.resolution)
        nearest = _nearest(draft.peaks, other.peaks)
        if not (nearest <= reach).any():
            continue
        new = [p for p, apart in zip(draft.peaks, nearest, strict=True) if apart > reach]
        if theirs < LAID_OVER * area and new and not _same_grain(draft, other, reach):
            draft = replace(draft, peaks=tuple(new))
            continue
        if area < LAID_OVER * theirs and (own := [p for p in new if scene.is_sure(p)]):
            drafts.append(replace(draft, peaks=tuple(own)))
            return
        least = max(reach, scene.diffractogram.q_min)
        fresh = (p for p, apart in zip(draft.peaks, nearest, strict=True) if apart > least)
        drafts[i] = replace(other, peaks=(*other.peaks, *fresh))
        return
    drafts.append(draft)


def _same_grain(large: Draft, small: Draft, reach: float) -> bool:
    """Whether a draft shows the strongest frequency that it shares with a smaller one about as bright."""
    ours, theirs = (np.array([p.g for p in d.peaks]).reshape(-1, 2) for d in (large, small))
    same = separations(ours[:, None], theirs) <= reach
    bright, brighter = (np.array([p.amplitude for p in d.peaks]) for d in (large, small))
    strongest = int(np.argmax(np.where(same.any(axis=0), brighter, 0)))
    return bool((bright[same[:, strongest]] >= OWN_SHARE * brighter[strongest]).any())


def _nearest(peaks: Sequence[Peak], others: Sequence[Peak]) -> NDArray[np.float64]:
    """Distance of each peak from the nearest of the others, 1/nm."""
    ours, theirs = (np.array([p.g for p in some]).reshape(-1, 2) for some in (peaks, others))
    return np.asarray(separations(ours[:, None], theirs).min(axis=1, initial=np.inf), np.float64)


def _own_peaks(drafts: Sequence[Draft]) -> tuple[Draft, ...]:
    """Take from each grain the spots that shine in from a neighbour with a stronger amplitude."""
    known = _Known.of(drafts)
    reach = SAME * np.maximum.outer(known.resolution, known.resolution)
    same = (separations(known.g[:, None], known.g) < reach) & (known.owner[:, None] != known.owner)
    strongest = np.where(same, known.amplitude, 0.0).max(axis=1, initial=0.0)
    own = iter((known.amplitude >= OWN_SHARE * strongest).tolist())
    kept = [replace(draft, peaks=tuple(p for p in draft.peaks if next(own))) for draft in drafts]
    return tuple(draft for draft in kept if draft.peaks)


def numbered(drafts: Sequence[Draft], seeds: Sequence[Seed], scene: Scene) -> GrainSet:
    """Spots and grains from drafts, with ids, the largest grain first."""
    spots: list[Spot] = []
    members: list[tuple[int, ...]] = []
    ordered = sorted(drafts, key=lambda d: -d.region.area)
    for draft in ordered:
        peaks = sorted(draft.peaks, key=lambda p: -p.snr)
        first = len(spots) + 1
        found = zip(peaks, _seeds_of(peaks, seeds, scene), strict=True)
        spots += spots_of(draft, scene, [(n, p, seed) for n, (p, seed) in enumerate(found, first)])
        members.append(tuple(range(first, len(spots) + 1)))
    return grain_set(tuple(spots), members, [draft.outline for draft in ordered], scene.grid)


def _seeds_of(peaks: Sequence[Peak], seeds: Sequence[Seed], scene: Scene) -> list[Seed | None]:
    """The first seed of each peak's frequency, where there is one."""
    ours, theirs = (np.array([p.g for p in some]).reshape(-1, 2) for some in (peaks, seeds))
    same = separations(ours[:, None], theirs) < _window_resolution(scene)
    return [seeds[int(np.argmax(row))] if row.any() else None for row in same]


def spots_of(
    draft: Draft,
    scene: Scene,
    peaks: Sequence[tuple[int, Peak, Seed | None]],
    origin: Origin = "grain",
) -> list[Spot]:
    """Spots from peaks of a grain, each with its number and the seed that tells its origin, if any."""
    centre = centroid(draft.region, scene.grid)
    size = equivalent_diameter(draft.region, scene.grid)
    return [
        Spot(
            id=number,
            g=peak.g,
            sigma=peak.sigma,
            snr=peak.snr,
            log_false_alarm=peak.log_p,
            origin=seed.origin if seed else origin,
            windows=tuple(w for w in seed.windows if draft.reached[w]) if seed else (),
            centre=centre,
            size=size,
            radius=float(max(draft.resolution, 2 * max(scene.diffractogram.step))),
        )
        for number, peak, seed in peaks
    ]
