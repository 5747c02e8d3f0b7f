"""Simulation of curved planes: onions, curled layers and turbostratic stacks, with their fringes and arcs.

A stack is a set of layers around a centre of curvature. Its fringes have a frequency that rotates with the
azimuth, so that a local window shows an arc instead of a spot. The ground truth of such an arc is a row of
frequencies along it, each with its expected SNR in the best of the image's windows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...core.fourier.stft import WindowParams, window_line, window_pixels
from .imaging import Image

#: Spacing of the frequencies along an arc, and of those that are compared across it, 1/nm.
ALONG, ACROSS = 0.06, 0.04
#: Width of a stack's borders, nm.
BORDER = 0.3
#: Number of positions per spacing at which the expected power of an arc is summed; at least two are needed.
PLACES = 2.5
#: Largest extent of a stack for which the power is summed, nm.
WIDEST = 60.0


@dataclass(frozen=True, slots=True, eq=False)
class Stack:
    """Layers around a centre of curvature.

    Attributes
    ----------
    centre : tuple of float, (y, x), nm
        Centre of curvature, from the image's first corner; may be far outside the image.
    layers : ndarray, shape (n,), nm
        Radii of the layers, increasing.
    azimuth, span : float, radians
        Centre of the stack as seen from the centre of curvature (from +x towards +y), and the angle that it
        covers; 2 pi for closed layers.
    oval : float
        Ratio of the layers' axis along `azimuth` to the other axis.
    waves : tuple of float, (nm, 1, radians)
        Amplitude, number of waves on a full circle and phase of the layers' waviness.
    """

    centre: tuple[float, float]
    layers: NDArray[np.float64]
    azimuth: float
    span: float
    oval: float = 1.0
    waves: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @property
    def radius(self) -> float:
        """Radius of the middle layer, nm."""
        return float(self.layers[len(self.layers) // 2])

    @property
    def spacings(self) -> NDArray[np.float64]:
        """Distances between neighbouring layers, nm."""
        return np.diff(self.layers)

    @property
    def straight(self) -> float:
        """Diameter, nm, over which planes bend by less than half a spacing; at most the stack's thickness.

        Examples
        --------
        >>> import numpy as np
        >>> round(Stack((0, 0), 10 + 0.34 * np.arange(-10, 11), 0.0, 1.0).straight, 2)
        3.69
        """
        thick = float(self.layers[-1] - self.layers[0])
        return min(thick, 2 * float(np.sqrt(self.radius * np.median(self.spacings))))

    def box(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Smallest and largest y and x, nm."""
        turn = self.azimuth + np.linspace(-0.5, 0.5, 65) * self.span
        reach = np.array([self.layers[0], self.layers[-1]])[:, None] * max(self.oval, 1.0)
        y, x = self.centre[0] + reach * np.sin(turn), self.centre[1] + reach * np.cos(turn)
        return (y.min() - BORDER, y.max() + BORDER), (x.min() - BORDER, x.max() + BORDER)

    def phase_and_cover(
        self, y: NDArray[np.float64], x: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Number of the layer, and 1 inside the stack to 0 outside, at broadcastable positions, nm."""
        c, s = np.cos(self.azimuth), np.sin(self.azimuth)
        y, x = y - self.centre[0], x - self.centre[1]
        along, across = (c * x + s * y) / self.oval, c * y - s * x
        away, turn = np.hypot(along, across), np.arctan2(across, along)
        amplitude, waves, start = self.waves
        if amplitude:
            away = away + amplitude * np.sin(waves * turn + start)
        number = np.interp(away, self.layers, np.arange(len(self.layers), dtype=float))
        middle, half = 0.5 * (self.layers[0] + self.layers[-1]), 0.5 * (self.layers[-1] - self.layers[0])
        inside = half - np.abs(away - middle)
        if self.span < 2 * np.pi - 0.1:
            inside = np.minimum(inside, (0.5 * self.span - np.abs(turn)) * away)
        return number, np.clip(inside / BORDER + 0.5, 0, 1)


def random_stacks(
    rng: np.random.Generator,
    extent: tuple[float, float],
    curvature: tuple[float, float],
    spacing: tuple[float, float],
) -> list[Stack]:
    """Generate the stacks of a particle: an onion, curled layers, or the many short stacks of soot.

    Parameters
    ----------
    extent : tuple of float, (y, x), nm
        Extent of the image.
    curvature, spacing : tuple of float, nm
        Limits of the radius of the middle layer, and of the distance between layers.
    """
    place = rng.uniform(0.0, 1.0, 2) * extent
    radius = float(np.exp(rng.uniform(*np.log(curvature))))
    d = rng.uniform(0.335, 0.40) if rng.random() < 0.6 else rng.uniform(*spacing)
    kind = rng.random()
    if kind < 0.3 and radius < 12:  # an onion
        inner = rng.uniform(0.3, 0.7) * radius
        layers = random_layers(rng, inner, 2 * radius - inner, d)
        return [_stack(rng, (place[0], place[1]), layers, rng.uniform(0, 2 * np.pi), 2 * np.pi)]
    if kind < 0.7:  # curled layers
        return [_curled(rng, place, radius, d, rng.uniform(4, 25)) for _ in range(rng.integers(1, 4))]
    stacks = []
    for _ in range(rng.integers(4, 16)):  # soot: stacks with random directions close to a common centre
        at = place + rng.normal(0, 0.4 * min(radius, 15.0), 2)
        stacks.append(_curled(rng, at, radius * rng.uniform(0.7, 1.4), d, rng.uniform(2, 6), (1.2, 3.0)))
    return stacks


def random_layers(rng: np.random.Generator, first: float, last: float, d: float) -> NDArray[np.float64]:
    """Radii from `first` to `last`, nm: a mean spacing with up to 6 % drift and up to 3 % disorder."""
    count = max(int((last - first) / d), 4)
    drift = rng.uniform(0, 0.06) * np.linspace(0.5, -0.5, count - 1)
    disorder = rng.uniform(0, 0.03) * np.clip(rng.standard_normal(count - 1), -2.5, 2.5)
    return np.asarray(first + np.concatenate([[0.0], np.cumsum(d * (1 + drift + disorder))]))


def _curled(
    rng: np.random.Generator,
    at: NDArray[np.float64],
    radius: float,
    d: float,
    length: float,
    thick: tuple[float, float] = (1.5, 6.0),
) -> Stack:
    """Layers whose centre is at a given position."""
    azimuth, half = rng.uniform(0, 2 * np.pi), 0.5 * min(rng.uniform(*thick), 1.4 * radius)
    layers = random_layers(rng, radius - half, radius + half, d)
    centre = at - radius * np.array([np.sin(azimuth), np.cos(azimuth)])
    return _stack(rng, (centre[0], centre[1]), layers, azimuth, min(length / radius, 2 * np.pi))


def _stack(
    rng: np.random.Generator,
    centre: tuple[float, float],
    layers: NDArray[np.float64],
    azimuth: float,
    span: float,
) -> Stack:
    wavy = rng.uniform(0, 0.06) if rng.random() < 0.5 else 0.0
    turns = np.pi * (layers[0] + layers[-1]) / rng.uniform(2, 8)
    waves = (wavy, float(np.ceil(turns)), rng.uniform(0, 2 * np.pi))
    oval = rng.uniform(1.0, 1.1) if span > 6 else 1.0
    return Stack((float(centre[0]), float(centre[1])), layers, azimuth, span, oval, waves)


def layer_fringes(
    stack: Stack,
    shape: tuple[int, ...],
    pixel_size: tuple[float, float],
    around: tuple[tuple[int, int], ...],
    harmonics: tuple[float, ...],
) -> tuple[tuple[slice, slice], Image, Image] | None:
    """Sum of harmonics of the layers' phase in a box of the image and its surroundings.

    Returns
    -------
    box : tuple of slice
        Rows and columns in an array that starts `around` pixels before the image.
    fringes, cover : ndarray of float32
        None for all three if the stack is outside.
    """
    box = []
    for (first, last), n, p, (before, after) in zip(stack.box(), shape, pixel_size, around, strict=True):
        box.append(
            slice(max(int(first / p) + before, 0), min(int(last / p) + before + 1, before + n + after))
        )
    if any(side.stop - side.start < 2 for side in box):
        return None
    y, x = (
        np.asarray((np.arange(side.start, side.stop) - before + 0.5) * p, np.float64)
        for side, (before, _), p in zip(box, around, pixel_size, strict=True)
    )
    number, cover = stack.phase_and_cover(y[:, None], x)
    turned = (2 * np.pi * number).astype(np.float32)
    total = sum(np.float32(h) * np.cos(np.float32(m) * turned) for m, h in enumerate(harmonics, 1))
    soft: Image = cover.astype(np.float32)
    return (box[0], box[1]), np.asarray(soft * total, np.float32), soft


def arc_power(
    stack: Stack, order: int, shape: tuple[int, int], pixel_size: tuple[float, float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Expected power of a stack's fringes exp(2 pi i order phase) in the local windows of an image.

    Returns
    -------
    g : ndarray, shape (n, 2), (y, x), 1/nm
        Frequencies along the arc; at each azimuth the |g| with the largest power.
    area : ndarray, shape (n,)
        Power in the best window, relative to white noise of unit variance per pixel.
    """
    middle, (low, high) = order / float(np.median(stack.spacings)), _range_of(order / stack.spacings)
    step = 1 / (PLACES * high)
    (top, bottom), (left, right) = (
        (max(a, 0.0), min(b, n * p)) for (a, b), n, p in zip(stack.box(), shape, pixel_size, strict=True)
    )
    if bottom - top < 2 * step or right - left < 2 * step or max(bottom - top, right - left) > WIDEST:
        return np.zeros((0, 2)), np.zeros(0)
    y, x = np.arange(top, bottom, step), np.arange(left, right, step)
    number, cover = stack.phase_and_cover(y[:, None], x)
    wave = (cover * np.exp(2j * np.pi * order * number)).astype(np.complex64)
    rows, row_squares = _tapers(
        shape[0], pixel_size[0], y, window_pixels(shape, pixel_size, WindowParams())[0]
    )
    columns, column_squares = _tapers(
        shape[1], pixel_size[1], x, window_pixels(shape, pixel_size, WindowParams())[1]
    )
    per_place = (step / pixel_size[0]) ** 2 * (step / pixel_size[1]) ** 2
    weight = np.sqrt(per_place / np.outer(row_squares, column_squares))
    extra = 0.5 * ALONG / middle + (
        0.0 if stack.span > 6 else 0.25 / max(stack.span * stack.radius, 1.0) / middle
    )
    half = min(0.5 * stack.span + extra, 0.5 * np.pi)  # one of each pair +g, -g
    turns = np.arange(stack.azimuth - half, stack.azimuth + half, ALONG / middle)
    lengths = np.arange(low / stack.oval, high + ACROSS, ACROSS)
    direction = np.stack([np.sin(turns), np.cos(turns)], axis=1)
    best, area = np.zeros((len(turns), 2)), np.full(len(turns), -1.0)
    for length in lengths:
        g = length * direction
        by_row = rows[None] * np.exp(-2j * np.pi * g[:, :1] * y).astype(np.complex64)[:, None]
        by_column = columns[None] * np.exp(-2j * np.pi * g[:, 1:] * x).astype(np.complex64)[:, None]
        seen = (by_row.reshape(-1, len(y)) @ wave).reshape(len(g), -1, len(x)) @ by_column.transpose(0, 2, 1)
        power = (np.abs(seen * weight) ** 2).max(axis=(1, 2))
        better = power > area
        best[better], area[better] = g[better], power[better]
    return best, area


def _range_of(values: NDArray[np.float64]) -> tuple[float, float]:
    """Range that contains the means of neighbouring values."""
    few = np.convolve(values, np.ones(3) / 3, "valid") if len(values) > 3 else values
    return float(few.min()), float(few.max())


def _tapers(
    n: int, pixel: float, places: NDArray[np.float64], side: int
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Tapers of the windows along an axis at positions (nm), and the sums of their squares over pixels."""
    line = window_line(n, side, pixel)
    pixels = np.arange(side) + 0.5
    tapers = [
        np.interp(places / pixel - start, pixels, taper, left=0.0, right=0.0)
        for start, taper in zip(line.starts, line.tapers, strict=True)
    ]
    return np.asarray(tapers, np.float32), np.sum(line.tapers.astype(np.float64) ** 2, axis=1)
