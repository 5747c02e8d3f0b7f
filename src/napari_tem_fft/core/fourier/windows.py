"""Windows of the local spectra: size, places and tapers. The whole image is tapered in `diffractogram`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from ..parameters import Field, check_limits

#: If one window covers a whole small field, windows of half its width are added at the borders, so that two
#: crystals side by side get windows of their own. They are not added if they would be narrower than this, nm.
NARROWEST_HALF = 2.5
#: A field that exceeds a window by less than this share of it has one window.
ONE_WINDOW = 0.125


@dataclass(frozen=True, slots=True)
class WindowParams:
    """Size of the local windows."""

    window: Annotated[
        float,
        Field(
            "window",
            unit="nm",
            low=1.0,
            high=200.0,
            help="Side of the local windows; about twice the grains' size finds them best.",
        ),
    ] = 11.0

    def __post_init__(self) -> None:
        check_limits(self)


@dataclass(frozen=True, slots=True, eq=False)
class WindowLine:
    """Windows along one axis.

    Attributes
    ----------
    starts : ndarray of int
        First pixel of each; may lie before the image's.
    tapers : ndarray of float32, shape (n, side)
    middles : ndarray
        Middles of the tapers, in pixels.
    shares : ndarray
        Width of each taper as a share of the width of a whole one.
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
    """Windows with half overlap along n pixels of `pixel` nm, and one of half the width at either border.

    A whole window that reached beyond the border would cut a crystal there, and draw streaks. Of a field
    that one window holds there is that one alone where half of it is less than `NARROWEST_HALF`.

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
