"""Grain candidates during the search: outline, spectrum of the region, and the spots that it confirms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..fourier.diffractogram import BandImage, Diffractogram
from ..fourier.local_spectra import LocalSpectra
from ..maps.map_grid import MapGrid
from ..spots.refinement import PHASE_WANDER, refine, weights_of
from ..spots.spot import friedel_representative, separations
from .grain import GrainParams, equivalent_diameter
from .peaks import SURE_REACH, Peak, find_peaks, merge_split_peaks
from .regions import GrainRegion, Outline, grow_region
from .spectrum import GrainNoise, grain_spectrum

#: A peak whose g has a larger uncertainty than this fraction of the resolution is a chance maximum.
UNCONFIRMED = 0.4


@dataclass(frozen=True, slots=True, eq=False)
class SearchContext:
    """Data for the search for grains: the image, its spectra and the grid of the maps.

    `sure` are frequencies that a network proposed and that were confirmed statistically, shape (n, 2), (y,
    x), in 1/nm.
    """

    band: BandImage
    diffractogram: Diffractogram
    spectra: LocalSpectra
    grid: MapGrid
    params: GrainParams
    false_alarms: float
    sure: NDArray[np.float64] | None = None

    def is_sure(self, peak: Peak) -> bool:
        """Whether a network proposed a peak's frequency."""
        return self.sure is not None and bool((separations(peak.g, self.sure) < SURE_REACH).any())


@dataclass(frozen=True, slots=True, eq=False)
class GrainCandidate:
    """A candidate for a grain: its outline and the results of its spectrum.

    `resolution` (1/nm), `noise` and the number of `independent` frequencies are those of the spectrum of its
    region, which confirms the `peaks`; `reached` states for each local window whether it overlaps the region.
    """

    outline: Outline
    resolution: float
    noise: GrainNoise
    peaks: tuple[Peak, ...]
    reached: NDArray[np.bool_]
    independent: float = 1.0

    @property
    def region(self) -> GrainRegion:
        """Region of the candidate."""
        return self.outline.region


def outline_grain(
    context: SearchContext, spots: Sequence[tuple[float, float]], near: NDArray[np.bool_]
) -> Outline:
    """Outline the region of spots (g_y, g_x) that occur together, starting from the area `near`."""
    params = context.params
    return grow_region(
        context.diffractogram,
        context.spectra,
        spots,
        near,
        params.resolution,
        params.false_share,
        context.grid,
    )


def measure_spectrum(context: SearchContext, outline: Outline) -> GrainCandidate:
    """Measure the spectrum of an outlined region and find its significant peaks."""
    diffractogram = context.diffractogram
    spectrum = grain_spectrum(
        context.band, outline.region, context.grid, context.spectra, diffractogram.q_max
    )
    peaks = find_peaks(
        spectrum,
        (diffractogram.q_min, diffractogram.q_max),
        context.false_alarms,
        diffractogram.counts,
        context.sure,
    )
    reached = reached_windows(outline.region, context.spectra, context.grid)
    return GrainCandidate(outline, spectrum.resolution, spectrum.noise, peaks, reached, spectrum.independent)


def reached_windows(region: GrainRegion, spectra: LocalSpectra, grid: MapGrid) -> NDArray[np.bool_]:
    """Which local windows overlap a region, shape (windows,)."""
    rows, columns = (
        _inside(line, size, p, n)[:, side]
        for line, size, p, n, side in zip(
            spectra.lines, spectra.size, grid.pixel_size, grid.shape, region.box, strict=True
        )
    )
    counts = rows @ region.mask.astype(np.float32) @ columns.T
    return np.asarray(counts.ravel() > 0, bool)


@lru_cache(maxsize=8)
def _inside(middles: tuple[float, ...], size: float, pixel: float, pixels: int) -> NDArray[np.float32]:
    """Which rows (or columns) of the maps lie in each row of windows: 1 inside, 0 outside."""
    first, last = (
        np.maximum((np.array(middles) + side * size / 2) / pixel, 0).astype(int) for side in (-1, 1)
    )
    at = np.arange(pixels)
    return np.asarray((at >= first[:, None]) & (at < last[:, None]), np.float32)


def refine_spots(context: SearchContext, candidate: GrainCandidate) -> GrainCandidate:
    """Refine the peaks of a candidate by the phase of their fringes over its region.

    Peaks whose fringes do not add up coherently over the region are removed.
    """
    weights = weights_of(candidate.region, context.grid, context.params.resolution, context.band)
    wander = PHASE_WANDER / equivalent_diameter(candidate.region, context.grid)
    spots = [peak.g for peak in candidate.peaks]
    densities = candidate.noise.densities_at(spots)
    furthest = 0.5 * candidate.resolution
    measured = refine(context.diffractogram, weights, spots, densities, furthest, context.band)
    peaks = []
    for peak, (g, sigma) in zip(candidate.peaks, measured, strict=True):
        if sigma < UNCONFIRMED * candidate.resolution:
            peaks.append(replace(peak, g=friedel_representative(g), sigma=float(np.hypot(sigma, wander))))
    return replace(candidate, peaks=merge_split_peaks(peaks, candidate.resolution))
