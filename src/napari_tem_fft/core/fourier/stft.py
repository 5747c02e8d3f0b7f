"""Short-time Fourier transform: size, positions and tapers of overlapping windows, and their spectra."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from ..parameters import WithinLimits, param
from .diffractogram import FrequencyGrid
from .noise import Between, Rings, between_rings, guard_from_zero, pool_rings, ring_means, spread_over_rings
from .threads import threads

#: If a single window covers a whole small field, windows of half its width are added at the borders, so that
#: two adjacent crystals get separate windows. They are omitted if they would be narrower than this, nm.
NARROWEST_HALF = 2.5
#: A field that exceeds a window by less than this fraction of its width has only one window.
ONE_WINDOW = 0.125


@dataclass(frozen=True, slots=True)
class WindowParams(WithinLimits):
    """Parameters of the local windows."""

    window: float = param(
        11.0,
        "window",
        unit="nm",
        low=1.0,
        high=200.0,
        help="Side of the local windows; about twice the size of the grains detects them best.",
    )


@dataclass(frozen=True, slots=True, eq=False)
class WindowLine:
    """Windows along one axis.

    Attributes
    ----------
    starts : ndarray of int
        First pixel of each window; may be negative.
    tapers : ndarray of float32, shape (n, side)
    middles : ndarray
        Centres of the tapers, in pixels.
    shares : ndarray
        Width of each taper relative to a full one.
    """

    starts: NDArray[np.intp]
    tapers: NDArray[np.float32]
    middles: NDArray[np.float64]
    shares: NDArray[np.float64]


def window_pixels(
    shape: tuple[int, int], pixel_size: tuple[float, float], params: WindowParams
) -> tuple[int, int]:
    """Side (y, x) of a window in pixels: even, fast to transform, not larger than the image."""
    sides = []
    for n, p in zip(shape, pixel_size, strict=True):
        most = max(2, n - n % 2)
        wanted = min(max(int(params.window / p), 64), most)
        fast = (k for k in range(wanted, most + 1, 1) if k % 2 == 0 and fft.next_fast_len(k, real=True) == k)
        sides.append(next(fast, most))
    return sides[0], sides[1]


def window_line(n: int, side: int, pixel: float) -> WindowLine:
    """Windows with half overlap along n pixels of `pixel` nm, with one of half width at each border.

    A full window that extended beyond the border would cut off crystals there and create streaks. A field
    covered by a single window has only this window if half of it is narrower than `NARROWEST_HALF`.

    Examples
    --------
    >>> window_line(400, 400, 0.02).starts
    array([-200,    0,  200])
    >>> window_line(150, 150, 0.02).starts
    array([0])
    """
    half = side // 2
    one = n - side < ONE_WINDOW * side
    if one and half * pixel < NARROWEST_HALF:
        start = (n - side) // 2
        return WindowLine(np.full(1, start), _hann(side)[None], np.array([start + side / 2]), np.ones(1))
    count = 1 if one else int(np.ceil((n - side) / (side / 2))) + 1
    first = (n - side) // 2 if one else 0
    inner = np.rint(np.linspace(first, n - side, count)).astype(np.intp)
    narrow = np.zeros((2, side), np.float32)
    narrow[0, side - half :] = narrow[1, :half] = _hann(half)
    return WindowLine(
        np.concatenate([[half - side], inner, [n - half]]).astype(np.intp),
        np.concatenate([narrow[:1], np.tile(_hann(side), (count, 1)), narrow[1:]]),
        np.concatenate([[half / 2], inner + side / 2, [n - half / 2]]),
        np.concatenate([[0.5], np.ones(count), [0.5]]),
    )


def _hann(n: int) -> NDArray[np.float32]:
    return np.asarray(0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(n) + 0.5) / n), np.float32)


#: Smallest number of bins in the rings of a window from which its noise is estimated.
#: No record says on what it was set. Sweep: halved, F1 0.82 -> 0.80, area 0.89 -> 0.84, belief 0.73 ->
#: 0.65, error of d 0.107 -> 0.089 %, grains 12 -> 11; doubled, area 0.89 -> 0.91.
RING_BINS = 240


@dataclass(frozen=True, slots=True, eq=False)
class WindowGrid:
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
def window_grid_of(
    shape: tuple[int, int],
    pixel_size: tuple[float, float],
    q_min: float,
    q_max: float,
    params: WindowParams,
) -> WindowGrid:
    """The window geometry; shared by images of the same shape."""
    side = window_pixels(shape, pixel_size, params)
    step = (1.0 / (side[0] * pixel_size[0]), 1.0 / (side[1] * pixel_size[1]))
    half = tuple(min(int(q_max / s) + 2, n // 2 - 1) for s, n in zip(step, side, strict=True))
    grid = FrequencyGrid(step, (half[0], half[1]))
    gy, gx = grid.axes()
    radius = np.hypot(gy, gx[:, half[1] :])
    tested = (radius >= q_min) & (radius <= q_max)
    tested[: half[0] + 1, 0] = False  # of the column g_x = 0 only g_y > 0, so that each pair counts once
    rings = pool_rings(radius, 0.5 * q_min, float(radius.max()), RING_BINS)
    lines = (window_line(n, width, p) for n, width, p in zip(shape, side, pixel_size, strict=True))
    return WindowGrid(side, grid, radius, tested, rings, between_rings(rings, radius), *lines)


def rows_of_snr(
    image: NDArray[np.float32], frame: WindowGrid
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Yield SNR, shape (n columns, 2 hy + 1, hx + 1), and ring means, for one row of windows at a time."""
    hy, columns = frame.grid.half[0], frame.radius.shape[1]
    upper = frame.between.beyond(hy * columns)
    for power in rows_of_power(image, frame):
        means = ring_means(power.reshape(len(power), -1), frame.rings)
        # rows of +g_y and -g_y have the same |g|
        noise = spread_over_rings(guard_from_zero(means), upper).reshape(len(power), hy + 1, columns)
        power[:, hy:] /= noise
        power[:, :hy] /= noise[:, :0:-1]
        yield power, means


def rows_of_power(image: NDArray[np.float32], frame: WindowGrid) -> Iterator[NDArray[np.float32]]:
    """Yield the power of one row of windows at a time, shape (n columns, 2 hy + 1, hx + 1), in centred rows.

    Each row of the image is transformed once, although two rows of windows contain it.
    """
    (sy, _), (hy, hx) = frame.side, frame.grid.half
    known = 0
    pieces: list[tuple[int, NDArray[np.complex64]]] = []
    windows = np.empty((sy, len(frame.columns.starts), hx + 1), np.complex64)
    for start, taper in zip(frame.rows.starts.tolist(), frame.rows.tapers, strict=True):
        top, bottom = max(start, 0), min(start + sy, len(image))
        pieces = [(first, lines) for first, lines in pieces if first + len(lines) > top]
        pieces.append((known, _transformed_lines(image[known:bottom], frame)))
        known = bottom
        windows[: top - start] = windows[bottom - start :] = 0
        for first, lines in pieces:
            begin = max(top, first)
            rows = slice(begin - start, first + len(lines) - start)
            # real and imaginary parts separately: numpy would convert the taper to complex
            both, into = lines[begin - first :].view(np.float32), windows[rows].view(np.float32)
            np.multiply(both, taper[rows, None, None], out=into)
        yield _power(fft.fft(windows, axis=0, overwrite_x=True, workers=threads()), hy)


def _transformed_lines(lines: NDArray[np.float32], frame: WindowGrid) -> NDArray[np.complex64]:
    """Transform image rows along x in all columns of windows, shape (rows, n columns, hx + 1)."""
    side, starts = frame.side[1], frame.columns.starts.tolist()
    tapered = np.zeros((len(lines), len(starts), side), np.float32)
    for number, (start, taper) in enumerate(zip(starts, frame.columns.tapers, strict=True)):
        left, right = max(start, 0), min(start + side, lines.shape[1])
        inside = slice(left - start, right - start)
        np.multiply(lines[:, left:right], taper[inside], out=tapered[:, number, inside])
    spectra: NDArray[np.complex64] = fft.rfft(tapered, axis=2, workers=threads())
    return spectra[:, :, : frame.grid.half[1] + 1]


def _power(spectra: NDArray[np.complex64], half: int) -> NDArray[np.float32]:
    """Power of transforms (overwritten) of shape (rows, n, columns), as (n, 2 half + 1, columns), centred."""
    _, n, columns = spectra.shape
    power = np.empty((n, 2 * half + 1, columns), np.float32)
    for part, rows in (
        (spectra[-half:], slice(0, half)),
        (spectra[: half + 1], slice(half, 2 * half + 1)),
    ):
        values = part.view(np.float32)
        np.square(values, out=values)
        np.add(values[..., ::2], values[..., 1::2], out=power[:, rows].swapaxes(0, 1))
    return power
