"""Input and output of the network, with the same normalisation for training and inference.

All inputs are on the same physical grid, whatever the image's size and pixel size: cells of about 0.04 1/nm
on the half plane g_x >= 0, with a margin mirrored from the other half, so that spots near g_x = 0 are
complete. The values are excess SNRs: what exceeds the largest SNR expected of noise among as many bins,
compressed by asinh so that values of 3 and of 30 000 both remain visible.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...core.fourier.diffractogram import Diffractogram, FrequencyGrid
from ...core.fourier.local_spectra import LocalSpectra

#: Input channels: largest and mean SNR of the whole image's bins in a cell, largest and mean SNR over the
#: local windows, and |g|.
CHANNELS = ("image", "image_mean", "local", "local_mean", "radius")
#: Compression of the excess SNR, asinh(excess / KNEE): linear below KNEE, logarithmic above.
KNEE = 3.0
#: Gaussian smoothing of an output before its maxima are searched, cells.
SMOOTHING = 1.0
#: Number of half-overlapping windows per effectively independent window.
OVERLAP_LOSS = 1.1
#: Up to this many bins per cell are pooled by looping over the bins.
LONGEST_RUN = 16


@dataclass(frozen=True, slots=True)
class InputParams:
    """Grid and channels of a network's input.

    Attributes
    ----------
    q_max : float, 1/nm
        Largest |g_x| and |g_y| of the grid.
    half : int
        Number of cells from zero frequency to q_max.
    margin : int
        Number of additional columns of the other half plane (g_x < 0).
    channels : tuple of str
        A selection of `CHANNELS`.
    """

    q_max: float = 10.0
    half: int = 255
    margin: int = 32
    channels: tuple[str, ...] = CHANNELS

    def __post_init__(self) -> None:
        unknown = sorted(set(self.channels) - set(CHANNELS))
        if unknown or not self.channels:
            raise ValueError(f"channels: {', '.join(unknown) or 'none'} (known: {', '.join(CHANNELS)})")
        if not (0 < self.q_max <= 50 and 15 <= self.half <= 2047 and 0 <= self.margin <= self.half):
            raise ValueError(f"impossible grid: q_max {self.q_max}, half {self.half}, margin {self.margin}")

    @property
    def grid(self) -> FrequencyGrid:
        """Cells of the whole plane."""
        return FrequencyGrid((self.q_max / self.half,) * 2, (self.half, self.half))

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows (one more than the grid's, unused) and columns of an input."""
        return 2 * self.half + 2, self.half + 1 + self.margin


def network_input(
    diffractogram: Diffractogram, spectra: LocalSpectra, params: InputParams
) -> NDArray[np.float32]:
    """Compute the network's input for an image.

    Returns
    -------
    ndarray of float32, shape (*params.shape, number of channels)
        0 where there are no data or nothing is searched (outside q_min <= |g| <= q_max).
    """
    step = params.grid.step[0]
    rows, columns = np.arange(-params.half, params.half + 1), np.arange(params.half + 1)
    radius = np.hypot(rows[:, None], columns) * step
    seen = (radius >= 0.5 * diffractogram.q_min) & (radius <= diffractogram.q_max)
    planes = {**_image_planes(diffractogram, params), **_local_planes(spectra, params)}
    whole = {
        name: _with_margin(np.where(seen, plane, np.float32(0)), params.margin)
        for name, plane in planes.items()
    }
    whole["radius"] = radius_plane(params)
    return np.stack([whole[name] for name in params.channels], axis=-1)


def radius_plane(params: InputParams) -> NDArray[np.float32]:
    """|g| / q_max for the cells of an input, shape ``params.shape``."""
    rows = np.arange(-params.half, params.half + 2)[:, None]
    columns = np.arange(-params.margin, params.half + 1)
    radius = np.hypot(rows, columns) / params.half
    radius[-1] = 0
    return radius.astype(np.float32)


def _image_planes(diffractogram: Diffractogram, params: InputParams) -> dict[str, NDArray[np.float32]]:
    half, step, snr = diffractogram.half, diffractogram.step, diffractogram.snr()
    largest, counts = _on_cells(snr, half, step, params, np.maximum)
    total, _ = _on_cells(snr, half, step, params, np.add)
    return {
        "image": _compress(largest - np.log(counts)),
        "image_mean": _compress((total / counts - 1) * np.sqrt(counts)),
    }


def _local_planes(spectra: LocalSpectra, params: InputParams) -> dict[str, NDArray[np.float32]]:
    n, (half, step) = len(spectra.centres), (spectra.grid.half, spectra.grid.step)
    largest, _ = _on_cells(spectra.snr_max, half, step, params, np.maximum)
    total, counts = _on_cells(spectra.snr_mean, half, step, params, np.add)
    return {
        "local": _compress(largest - np.float32(np.log(n))),
        "local_mean": _compress((total / counts - 1) * np.float32(np.sqrt(n / OVERLAP_LOSS))),
    }


def _on_cells(
    values: NDArray[np.float32],
    half: tuple[int, int],
    step: tuple[float, float],
    params: InputParams,
    how: np.ufunc,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Resample a half plane's bins to cells (pooled by `how`), with the number of bins in each."""
    counts = []
    for axis, lowest in ((0, -params.half), (1, 0)):
        places = np.arange(-half[axis] if lowest else 0, half[axis] + 1) * (
            step[axis] / params.grid.step[axis]
        )
        wanted = np.arange(lowest, params.half + 1)
        if step[axis] <= params.grid.step[axis]:
            values, number = _pool(values, axis, np.rint(places).astype(np.intp), wanted, how)
        else:
            values, number = _interpolate(values, axis, places, wanted)
        counts.append(number)
    return values, np.outer(*counts).astype(np.float32)


def _pool(
    values: NDArray[np.float32],
    axis: int,
    cells: NDArray[np.intp],
    wanted: NDArray[np.intp],
    how: np.ufunc,
) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Pool bins that are finer than cells; 0 in cells beyond the last bin."""
    inside = (wanted >= cells[0]) & (wanted <= cells[-1])
    starts = np.searchsorted(cells, wanted[inside])
    stop = int(np.searchsorted(cells, wanted[-1], side="right"))
    shape = list(values.shape)
    shape[axis] = len(wanted)
    out = np.zeros(shape, np.float32)
    kept = values[:, starts[0] : stop] if axis else values[starts[0] : stop]
    counts = np.ones(len(wanted), np.intp)
    counts[inside] = np.diff(np.append(starts, stop))
    runs = starts - starts[0], counts[inside]
    pooled = _runs(kept.T, *runs, how).T if axis else _runs(kept, *runs, how)
    out[(slice(None), inside) if axis else inside] = pooled
    return out, counts


def _runs(
    rows: NDArray[np.float32], starts: NDArray[np.intp], counts: NDArray[np.intp], how: np.ufunc
) -> NDArray[np.float32]:
    """Pool runs of rows in a few passes over all; faster than `ufunc.reduceat` for short runs."""
    if counts.max() > LONGEST_RUN:
        return np.asarray(how.reduceat(rows, starts, axis=0))
    pooled = rows[starts]
    for further in range(1, int(counts.max())):
        longer = np.flatnonzero(counts > further)
        pooled[longer] = how(pooled[longer], rows[starts[longer] + further])
    return pooled


def _interpolate(
    values: NDArray[np.float32], axis: int, places: NDArray[np.floating[Any]], wanted: NDArray[np.intp]
) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Interpolate bins that are coarser than cells linearly; 0 in cells beyond the last bin."""
    position = np.interp(wanted, places, np.arange(len(places)))
    low = np.minimum(position.astype(np.intp), len(places) - 2)
    share = np.expand_dims((position - low).astype(np.float32), 1 - axis)
    mixed = values.take(low, axis=axis) * (1 - share) + values.take(low + 1, axis=axis) * share
    reached = np.expand_dims(np.abs(wanted) <= places[-1] + 0.5, 1 - axis)
    return np.where(reached, mixed, 0).astype(np.float32), np.ones(len(wanted), np.intp)


def _compress(surprise: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(np.arcsinh(surprise / np.float32(KNEE)), np.float32)


def _with_margin(plane: NDArray[np.float32], margin: int) -> NDArray[np.float32]:
    """Half plane with the mirrored margin on its left and an empty row at its end."""
    left = plane[::-1, margin:0:-1]
    column = np.maximum(plane[:, :1], plane[::-1, :1])  # cells on g_x = 0 contain half of their bins
    whole = np.concatenate([left, column, plane[:, 1:]], axis=1)
    return np.concatenate([whole, np.zeros((1, whole.shape[1]), np.float32)])


def target(g: NDArray[np.float64], radius: float, params: InputParams) -> NDArray[np.uint8]:
    """Draw discs of one radius at +g and -g on the network's grid.

    Parameters
    ----------
    g : ndarray, shape (n, 2), (y, x), 1/nm
    radius : float, 1/nm

    Returns
    -------
    ndarray of uint8, shape ``params.shape``
    """
    mask = np.zeros(params.shape, np.uint8)
    step, reach = params.grid.step[0], int(np.ceil(radius / params.grid.step[0]))
    offsets = np.arange(-reach, reach + 1)
    for sign in (1, -1):
        for gy, gx in sign * np.asarray(g, np.float64).reshape(-1, 2):
            rows, columns = round(gy / step) + offsets, round(gx / step) + offsets
            dy, dx = rows[:, None] * step - gy, columns[None, :] * step - gx
            inside = dy**2 + dx**2 <= radius**2
            y, x = np.nonzero(inside)
            y, x = rows[y] + params.half, columns[x] + params.margin
            kept = (y >= 0) & (y < params.shape[0] - 1) & (x >= 0) & (x < params.shape[1])
            mask[y[kept], x[kept]] = 1
    return mask


def whole_plane(values: NDArray[np.float32], params: InputParams) -> NDArray[np.float32]:
    """A network's output on the whole plane, for display; shape ``params.grid.shape``."""
    right = values[:-1, params.margin :]
    return np.concatenate([right[::-1, :0:-1], right], axis=1)


def probable_spots(
    probability: NDArray[np.float32], least: float, params: InputParams
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Find the maxima of a network's output, most probable first; each pair +g, -g once.

    Parameters
    ----------
    probability : ndarray, shape ``params.shape``
    least : float
        Lower maxima are ignored.

    Returns
    -------
    g : ndarray, shape (n, 2), (y, x), 1/nm
        Centre of mass of the maximum's 3 x 3 cells, in the stored half plane.
    probability : ndarray, shape (n,)
    """
    smooth = ndimage.gaussian_filter(probability[:-1], SMOOTHING, mode="nearest")
    # few cells are probable, so maxima are searched only near them
    near = ndimage.binary_dilation(probability[:-1] >= least, np.ones((3, 3), bool))
    row, column = np.nonzero(near)
    around = np.stack(np.meshgrid(*[np.arange(-2, 3)] * 2, indexing="ij")).reshape(2, -1, 1)
    rows, columns = (
        np.clip(at + offset, 0, n - 1)
        for at, offset, n in zip((row, column), around, smooth.shape, strict=True)
    )
    near[row, column] = smooth[rows, columns].max(axis=0, initial=0) == smooth[row, column]
    label, count = ndimage.label(near, structure=np.ones((3, 3)))  # saturated outputs have flat maxima
    row, column = np.nonzero(label)
    members = label[row, column]
    sums = [np.bincount(members, at, count + 1)[1:] for at in (row, column)]
    middles = np.stack(sums, axis=1) / np.bincount(members, minlength=count + 1)[1:, None]
    cells = np.rint(middles).astype(np.intp)
    cells = cells[np.all((cells > 0) & (cells < np.array(params.shape) - (2, 1)), axis=1)]
    found = [_centre(smooth, cell) for cell in cells]
    heights = np.array([probability[r - 1 : r + 2, c - 1 : c + 2].max() for r, c in cells])
    g = (np.array(found).reshape(-1, 2) - (params.half, params.margin)) * params.grid.step[0]
    kept = (g[:, 1] > 0) | ((g[:, 1] == 0) & (g[:, 0] > 0))
    order = np.argsort(-heights[kept], kind="stable")
    return g[kept][order], heights[kept][order]


def _centre(smooth: NDArray[np.float32], cell: NDArray[np.intp]) -> tuple[float, float]:
    row, column = int(cell[0]), int(cell[1])
    weight = smooth[row - 1 : row + 2, column - 1 : column + 2].astype(np.float64)
    weight /= max(weight.sum(), 1e-12)
    offset = np.arange(-1, 2)
    return row + float(weight.sum(axis=1) @ offset), column + float(weight.sum(axis=0) @ offset)


def mirror(
    inputs: NDArray[np.float32], params: InputParams, transpose: bool, flip: bool
) -> NDArray[np.float32]:
    """The input (or target) of an image rotated by 90 degrees (`transpose`) or mirrored (`flip`)."""
    right = inputs[:-1, params.margin :]
    if transpose:
        whole = np.concatenate([right[::-1, :0:-1], right], axis=1)
        right = np.swapaxes(whole, 0, 1)[:, params.half :]
    if flip:
        right = right[::-1]
    margin = params.margin
    out = np.zeros_like(inputs)
    out[:-1, margin:] = right
    out[:-1, :margin] = right[::-1, margin:0:-1]
    return out
