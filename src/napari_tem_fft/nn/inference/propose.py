"""Seeds from the network's output: the network proposes frequencies, statistical tests confirm them.

A proposed frequency is tested only near its position, so that it need not pass the threshold of a search over
all frequencies: for n proposals with k trials each (windows times bins within reach), ln P must be below
ln(false alarms / (n k)).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from ...core.fourier.diffractogram import Diffractogram
from ...core.fourier.local_spectra import LocalSpectra
from ...core.spots.false_alarms import log_tail
from ...core.spots.seeds import NetworkPicture, NetworkUsed, Proposal, Seed
from .prepare import InputParams, network_input, probable_spots, whole_plane

#: Maps a network's input, shape (rows, columns, channels), to its output, shape (rows, columns), 0..1.
Predict = Callable[[NDArray[np.float32]], NDArray[np.float32]]
#: Evidence is searched within this distance of a proposal, in cells or window bins, whichever are larger.
REACH = 1.5
#: Length from which a connected region of the network's output is an arc, 1/nm. The discs of its training are
#: 0.16 wide (0.27 along the diagonal of their box), so that two reflections that touch are not an arc.
ARC = 0.5
#: Largest number of proposals tested per image.
MOST_PROPOSALS = 500


@dataclass(frozen=True, slots=True)
class Segmenter:
    """Network with statistical confirmation, which turns a diffractogram and its local spectra into seeds.

    Attributes
    ----------
    predict : callable
        Runs the network, in this process or another.
    inputs : InputParams
    least : float
        Lowest output of a proposal.
    false_alarms : float
        Expected number of proposals per image that are confirmed although they are noise.
    name : str
        Name of the model.
    weights_sha256 : str
        Hash of the file with the weights.
    """

    predict: Predict
    inputs: InputParams
    least: float = 0.5
    false_alarms: float = 0.01
    name: str = ""
    weights_sha256: str = ""

    def __call__(self, diffractogram: Diffractogram, spectra: LocalSpectra) -> Proposal:
        """Seeds that the network proposes and the statistics confirm, most significant first."""
        output = self.predict(network_input(diffractogram, spectra, self.inputs))
        grid = self.inputs.grid
        g, _ = probable_spots(output, self.least, self.inputs)
        seeds = confirm(g, diffractogram, spectra, grid.step[0], self.false_alarms)
        picture = NetworkPicture(whole_plane(output, self.inputs), grid)
        on_arcs = arc_members(seeds, picture, self.least)
        return Proposal(seeds, NetworkUsed(self.name, self.weights_sha256), picture, on_arcs)


def arc_members(seeds: Sequence[Seed], picture: NetworkPicture, least: float) -> frozenset[int]:
    """Indices of the seeds that lie on an arc of the network's output rather than on a spot.

    An arc is a connected region of the output that is longer than `ARC`.
    """
    label, _ = ndimage.label(picture.probability >= least, np.ones((3, 3)))
    step = max(picture.grid.step)
    lengths = [0.0]
    for rows, columns in ndimage.find_objects(label):
        lengths.append(step * float(np.hypot(rows.stop - rows.start, columns.stop - columns.start)))
    found = set()
    for number, seed in enumerate(seeds):
        row, column = (max(i, 0) for i in picture.grid.cell(seed.g))
        near = label[max(row - 2, 0) : row + 3, max(column - 2, 0) : column + 3]
        if near.size and max(lengths[piece] for piece in np.unique(near)) > ARC:
            found.add(number)
    return frozenset(found)


def confirm(
    g: NDArray[np.float64],
    diffractogram: Diffractogram,
    spectra: LocalSpectra,
    cell: float,
    false_alarms: float,
) -> tuple[Seed, ...]:
    """Seeds at proposed frequencies that cannot be explained by noise, most significant first.

    Parameters
    ----------
    g : ndarray, shape (n, 2), (y, x), 1/nm
        Proposals, most probable first.
    cell : float, 1/nm
        Precision of the proposals.
    false_alarms : float
    """
    length = np.hypot(*g.T) if len(g) else np.zeros(0)
    g = g[(length >= diffractogram.q_min) & (length <= diffractogram.q_max)][:MOST_PROPOSALS]
    if not len(g):
        return ()
    limit = np.log(false_alarms / len(g))
    local = _local_evidence(g, spectra, REACH * max(cell, *spectra.grid.step), limit)
    image = _image_evidence(g, diffractogram, REACH * cell, limit)
    best = [_surer(*both) for both in zip(local, image, strict=True)]
    return tuple(sorted((seed for seed in best if seed), key=lambda s: s.log_p))


def _surer(a: Seed | None, b: Seed | None) -> Seed | None:
    return a if b is None or (a is not None and a.log_p <= b.log_p) else b


def _local_evidence(
    g: NDArray[np.float64], spectra: LocalSpectra, reach: float, limit: float
) -> list[Seed | None]:
    """The best detection in the local windows near each proposal, if it is significant."""
    found = spectra.detections
    if not len(found.window):
        return [None] * len(g)
    sy, sx = spectra.grid.step
    bins = max(np.pi * reach**2 / (sy * sx), 1.0)
    needed = limit - np.log(len(spectra.centres) * bins)
    both = cKDTree(np.concatenate([found.g, -found.g]))
    seeds: list[Seed | None] = []
    for members in both.query_ball_point(g, reach):
        near = np.array(members, np.intp) % len(found.g)
        best = near[np.argmin(found.log_p[near])] if len(near) else -1
        if best < 0 or found.log_p[best] > needed:
            seeds.append(None)
            continue
        windows = _around(int(found.window[best]), found.window[near], spectra.window_grid[1])
        place, snr, log_p = found.g[best], float(found.snr[best]), float(found.log_p[best])
        seeds.append(Seed((float(place[0]), float(place[1])), snr, log_p, windows, "network"))
    return seeds


def _around(window: int, others: NDArray[np.intp], columns: int) -> tuple[int, ...]:
    """The windows connected with `window` by a chain of neighbours."""
    place = {int(w): divmod(int(w), columns) for w in others}
    reached, edge = {window}, [window]
    while edge:
        row, column = divmod(edge.pop(), columns)
        for w, (r, c) in place.items():
            if w not in reached and max(abs(r - row), abs(c - column)) <= 1:
                reached.add(w)
                edge.append(w)
    return tuple(sorted(reached))


def _image_evidence(
    g: NDArray[np.float64], diffractogram: Diffractogram, reach: float, limit: float
) -> list[Seed | None]:
    """The strongest bin of the whole image's transform near each proposal, if it is significant."""
    hy, hx = diffractogram.half
    (sy, sx) = diffractogram.step
    needed = limit - np.log(max(np.pi * reach**2 / (sy * sx), 1.0))
    seeds: list[Seed | None] = []
    for gy, gx in g:
        rows = slice(max(round((gy - reach) / sy) + hy, 0), round((gy + reach) / sy) + hy + 1)
        columns = slice(max(round((gx - reach) / sx), 0), min(round((gx + reach) / sx), hx) + 1)
        part = diffractogram.power[rows, columns] / diffractogram.noise[rows, columns]
        if not part.size:
            seeds.append(None)
            continue
        row, column = np.unravel_index(int(part.argmax()), part.shape)
        log_p = float(log_tail(float(part[row, column]), diffractogram.counts))
        place = (rows.start + int(row) - hy) * sy, (columns.start + int(column)) * sx
        good = log_p < needed
        seeds.append(Seed(place, float(part[row, column]), log_p, (), "network") if good else None)
    return seeds
