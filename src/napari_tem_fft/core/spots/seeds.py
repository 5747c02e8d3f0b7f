"""Seeds: detections of one frequency in neighbouring windows, significant enough to start a grain from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import overload

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from ..fourier.diffractogram import Diffractogram, FrequencyGrid
from ..fourier.local_spectra import LocalSpectra
from .false_alarms import log_tail, threshold
from .spot import Origin, separations

#: Detections in neighbouring windows within this many frequency steps belong to the same fringes.
SAME_STEPS = 1.2


#: The probability at a frequency is the largest value within this many cells of it.
PICTURE_REACH = 2


@dataclass(frozen=True, slots=True)
class Seed:
    """Fringes of one frequency that noise does not explain.

    Attributes
    ----------
    g : tuple of float, (y, x), 1/nm
        From the strongest detection; not yet refined.
    snr, log_p : float
        SNR, and ln of the false-alarm probability, of the strongest detection.
    windows : tuple of int
        Windows in which it was detected; empty if only in the whole-image transform.
    origin : {"window", "image", "network"}
    """

    g: tuple[float, float]
    snr: float
    log_p: float
    windows: tuple[int, ...]
    origin: Origin


#: Peaks with a network probability below this are marked as doubtful.
DOUBT = 0.2


@dataclass(frozen=True, slots=True)
class NetworkUsed:
    """The network that was used in an analysis.

    Attributes
    ----------
    name : str
        Name of the model.
    weights_sha256 : str
        SHA-256 of the file of its weights.
    doubted : tuple of int
        Ids of spots that were found statistically and whose probability is below `DOUBT`; they are kept.
    """

    name: str
    weights_sha256: str
    doubted: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class NetworkPicture:
    """Probability of a spot at every frequency, as given by a network.

    Attributes
    ----------
    probability : ndarray of float32, shape ``grid.shape``, 0..1
    grid : FrequencyGrid
    """

    probability: NDArray[np.float32]
    grid: FrequencyGrid

    def near(self, g: tuple[float, float]) -> float:
        """Largest probability within `PICTURE_REACH` cells of a frequency; 1 outside the grid."""
        row, column = self.grid.cell(g)
        height, width = self.grid.shape
        if not (0 <= row < height and 0 <= column < width):
            return 1.0
        rows, columns = (slice(max(i - PICTURE_REACH, 0), i + PICTURE_REACH + 1) for i in (row, column))
        return float(self.probability[rows, columns].max())


@dataclass(frozen=True, slots=True, eq=False)
class Proposal(Sequence[Seed]):
    """Seeds proposed by a network and confirmed statistically, most significant first, with its output.

    Attributes
    ----------
    seeds : tuple of Seed
    network : NetworkUsed
    picture : NetworkPicture
    on_arcs : frozenset of int
        Numbers of the seeds on an arc of the network's output, as bent planes produce it: the side lobes of
        neighbouring directions overlap there, and the output does not distinguish a spot from a side lobe.
    """

    seeds: tuple[Seed, ...]
    network: NetworkUsed
    picture: NetworkPicture
    on_arcs: frozenset[int] = frozenset()

    def spots(self) -> tuple[Seed, ...]:
        """Seeds that are spots in the network's output: those that lie on no arc."""
        return tuple(seed for number, seed in enumerate(self.seeds) if number not in self.on_arcs)

    @overload
    def __getitem__(self, index: int) -> Seed: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Seed, ...]: ...
    def __getitem__(self, index: int | slice) -> Seed | tuple[Seed, ...]:
        return self.seeds[index]

    def __len__(self) -> int:
        return len(self.seeds)


def find_seeds(diffractogram: Diffractogram, spectra: LocalSpectra, false_alarms: float) -> tuple[Seed, ...]:
    """All seeds of an image, strongest first.

    Parameters
    ----------
    false_alarms : float
        Expected number of seeds in an image that has no crystal: one rate for all windows, all
        frequencies and the whole-image transform together.
    """
    whole = diffractogram
    searched = _searched_bins(whole.half, whole.step, (whole.q_min, whole.q_max))
    limit = np.log(false_alarms / (spectra.tests + searched))
    seeds = list(_window_seeds(spectra, limit))
    known = np.array([seed.g for seed in seeds]).reshape(-1, 2)
    reach = 2 * max(spectra.grid.step)
    for seed in _image_seeds(diffractogram, limit, known, reach):
        if not (separations(seed.g, known) < reach).any():
            seeds.append(seed)
            known = np.append(known, [seed.g], axis=0)
    return tuple(sorted(seeds, key=lambda s: s.log_p))


def _window_seeds(spectra: LocalSpectra, limit: float) -> Iterator[Seed]:
    found = spectra.detections
    for members in _clusters(spectra):
        best = members[np.argmin(found.log_p[members])]
        if found.log_p[best] < limit:
            gy, gx = found.g[best]
            windows = tuple(int(w) for w in np.unique(found.window[members]))
            yield Seed(
                (float(gy), float(gx)), float(found.snr[best]), float(found.log_p[best]), windows, "window"
            )


def _clusters(spectra: LocalSpectra) -> list[NDArray[np.intp]]:
    """Detections linked over neighbouring windows: one array of indices for each group."""
    found, columns = spectra.detections, spectra.window_grid[1]
    if not len(found.window):
        return []
    place = np.stack([found.window // columns, found.window % columns], axis=1) / 1.5
    points = np.concatenate([place, found.g / np.array(spectra.grid.step) / SAME_STEPS], axis=1)
    pairs = cKDTree(points).query_pairs(1.0, p=np.inf, output_type="ndarray")
    # near g_x = 0 the stored member of a pair can change from one window to the next
    flipped = points * np.array([1, 1, -1, -1])
    edge = np.flatnonzero(np.abs(points[:, 3]) < 1)
    near = cKDTree(points).query_ball_point(flipped[edge], 1.0, p=np.inf)
    across = [(a, b) for a, others in zip(edge, near, strict=True) for b in others]
    links = np.concatenate([pairs, np.array(across, np.intp).reshape(-1, 2)])
    n = len(points)
    graph = coo_array((np.ones(len(links)), (links[:, 0], links[:, 1])), shape=(n, n))
    count, label = connected_components(graph, directed=False)
    order = np.argsort(label, kind="stable")
    return np.split(order, np.cumsum(np.bincount(label, minlength=count))[:-1])


@lru_cache(maxsize=8)
def _searched_bins(half: tuple[int, int], step: tuple[float, float], limits: tuple[float, float]) -> int:
    """Number of bins between two |g| in the half plane, so that each pair is counted once."""
    gy = np.arange(-half[0], half[0] + 1)[:, None] * step[0]
    gx = np.arange(half[1] + 1)[None, :] * step[1]
    squared = gy**2 + gx**2
    searched = (squared >= limits[0] ** 2) & (squared <= limits[1] ** 2)
    searched[: half[0] + 1, 0] = False
    return int(np.count_nonzero(searched))


def _image_seeds(
    diffractogram: Diffractogram, limit: float, known: NDArray[np.float64], reach: float
) -> Iterator[Seed]:
    """Significant bins of the whole image's spectrum, strongest first, none within reach of known seeds."""
    whole, half = diffractogram, diffractogram.half
    snr = whole.snr()
    high = np.flatnonzero(snr > threshold(1.0, float(np.exp(limit)), whole.counts))
    rows, columns = np.unravel_index(high, snr.shape)
    g = np.stack([(rows - half[0]) * whole.step[0], columns * whole.step[1]], axis=1)
    radius = np.hypot(*g.T)
    inside = (radius >= whole.q_min) & (radius <= whole.q_max) & ((columns > 0) | (rows > half[0]))
    g, high = g[inside], high[inside]
    fresh = ~(separations(g[:, None], known) < reach).any(axis=1)
    g, heights = g[fresh], snr.ravel()[high[fresh]]
    log_p = log_tail(heights, whole.counts)
    for i in np.argsort(log_p, kind="stable"):
        gy, gx = g[i]
        yield Seed((float(gy), float(gx)), float(heights[i]), float(log_p[i]), (), "image")
