"""Transforms of overlapping windows, one row of them after the other, so that memory is that of one row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from .frequency import FrequencyGrid
from .noise import Between, Rings, between_rings, guarded, pool_rings, ring_means, spread
from .threads import threads
from .windows import WindowLine, WindowParams, window_line, window_pixels

#: Fewest bins in the rings of a window, from which its noise is estimated.
RING_BINS = 240


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """Geometry shared by all windows of an image."""

    side: tuple[int, int]
    grid: FrequencyGrid
    radius: NDArray[np.float64]
    tested: NDArray[np.bool_]
    rings: Rings
    between: Between
    rows: WindowLine
    columns: WindowLine


@lru_cache(maxsize=2)
def frame_of(
    shape: tuple[int, int],
    pixel_size: tuple[float, float],
    q_min: float,
    q_max: float,
    params: WindowParams,
) -> Frame:
    """The geometry; images of one shape share it."""
    side = window_pixels(shape, pixel_size, params)
    step = (1.0 / (side[0] * pixel_size[0]), 1.0 / (side[1] * pixel_size[1]))
    half = tuple(min(int(q_max / s) + 2, n // 2 - 1) for s, n in zip(step, side, strict=True))
    grid = FrequencyGrid(step, (half[0], half[1]))
    gy, gx = grid.axes()
    radius = np.hypot(gy, gx[:, half[1] :])
    tested = (radius >= q_min) & (radius <= q_max)
    tested[: half[0] + 1, 0] = False  # of the column g_x = 0 only g_y > 0: each pair counts once
    rings = pool_rings(radius, 0.5 * q_min, float(radius.max()), RING_BINS)
    lines = (window_line(n, width) for n, width in zip(shape, side, strict=True))
    return Frame(side, grid, radius, tested, rings, between_rings(rings, radius), *lines)


def rows_of_snr(
    image: NDArray[np.float32], frame: Frame
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """SNR, shape (n columns, 2 hy + 1, hx + 1), and ring means of one row of windows after the other."""
    for spectra in rows_of_spectra(image, frame):
        power = _power(spectra).reshape(spectra.shape[1], -1)
        means = ring_means(power, frame.rings)
        power /= spread(guarded(means), frame.between)
        yield power.reshape(spectra.shape[1], spectra.shape[0], -1), means


def rows_of_spectra(image: NDArray[np.float32], frame: Frame) -> Iterator[NDArray[np.complex64]]:
    """Transforms of one row of windows after the other, shape (2 hy + 1, n columns, hx + 1), centred rows.

    A row of the image is transformed once, though two rows of windows hold it.
    """
    (sy, _), (hy, hx) = frame.side, frame.grid.half
    lines = np.zeros((0, len(frame.columns.starts), hx + 1), np.complex64)
    first = known = 0
    for start, taper in zip(frame.rows.starts.tolist(), frame.rows.tapers, strict=True):
        top, bottom = max(start, 0), min(start + sy, len(image))
        lines = np.concatenate([lines[top - first :], _transformed_lines(image[known:bottom], frame)])
        first, known = top, bottom
        windows = np.zeros((sy, *lines.shape[1:]), np.complex64)
        inside = slice(top - start, bottom - start)
        np.multiply(lines, taper[inside, None, None], out=windows[inside])
        whole = fft.fft(windows, axis=0, overwrite_x=True, workers=threads())
        yield np.concatenate([whole[-hy:], whole[: hy + 1]])


def _transformed_lines(lines: NDArray[np.float32], frame: Frame) -> NDArray[np.complex64]:
    """Rows of the image in all columns of windows, transformed along x, shape (rows, n columns, hx + 1)."""
    side, starts = frame.side[1], frame.columns.starts.tolist()
    tapered = np.zeros((len(lines), len(starts), side), np.float32)
    for number, (start, taper) in enumerate(zip(starts, frame.columns.tapers, strict=True)):
        left, right = max(start, 0), min(start + side, lines.shape[1])
        inside = slice(left - start, right - start)
        np.multiply(lines[:, left:right], taper[inside], out=tapered[:, number, inside])
    spectra: NDArray[np.complex64] = fft.rfft(tapered, axis=2, workers=threads())
    return spectra[:, :, : frame.grid.half[1] + 1]


def _power(spectra: NDArray[np.complex64]) -> NDArray[np.float32]:
    """Power of transforms (overwritten), shape (rows, n, columns), put in the shape (n, rows, columns)."""
    rows, n, columns = spectra.shape
    parts = spectra.view(np.float32)
    np.square(parts, out=parts)
    power = np.empty((n, rows, columns), np.float32)
    np.add(parts[..., ::2], parts[..., 1::2], out=power.swapaxes(0, 1))
    return power
