"""How much of a grain the detectors see: in the best of the local windows, and in the whole image.

A fringe of amplitude c inside a window w shows the power |c sum(w h)|^2, where h is the grain's thickness,
over the noise N sum(w^2): its SNR is |c|^2 / N times an area, the one computed here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...core.fourier.windows import WindowParams, window_line, window_pixels
from .crystals import Image, Shape


def best_window_area(
    image_shape: tuple[int, int], pixel_size: tuple[float, float], shape: Shape, height: Image
) -> float:
    """Area in pixels that the best of an image's local windows (of the usual size) sees of a grain."""
    sides = window_pixels(image_shape, pixel_size, WindowParams())
    sums, squares = [], []
    for n, side, pixel, box in zip(image_shape, sides, pixel_size, (shape.rows, shape.columns), strict=True):
        line = window_line(n, side, pixel)
        weights = np.zeros((len(line.starts), box.stop - box.start), np.float32)
        for row, start, taper in zip(weights, line.starts, line.tapers, strict=True):
            low, high = max(start, box.start), min(start + side, box.stop)
            if low < high:
                row[low - box.start : high - box.start] = taper[low - start : high - start]
        sums.append(weights)
        squares.append(np.sum(line.tapers.astype(np.float64) ** 2, axis=1))
    seen = (sums[0] @ height @ sums[1].T).astype(np.float64)
    return float((seen**2 / np.outer(*squares)).max())


def whole_image_area(
    image_shape: tuple[int, int],
    pixel_size: tuple[float, float],
    shape: Shape,
    height: Image,
    g: NDArray[np.float64],
    bend: tuple[float, float],
) -> NDArray[np.float64]:
    """Area in pixels that a Hann window over the whole image sees of a grain, for each g, shape (n,).

    A bent crystal's fringes go out of step across a wide field.
    """
    tapers = [
        0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(box.start, box.stop) + 0.5) / n)
        for n, box in zip(image_shape, (shape.rows, shape.columns), strict=True)
    ]
    seen = float(tapers[0] @ height @ tapers[1])
    area = seen**2 / (0.375**2 * image_shape[0] * image_shape[1])
    if not any(bend) or seen == 0:
        return np.full(len(g), area)
    marginals = (tapers[0] * (height @ tapers[1]), tapers[1] * (tapers[0] @ height))
    boxes = (shape.rows, shape.columns)
    for axis, (weight, box, size) in enumerate(zip(marginals, boxes, pixel_size, strict=True)):
        place = (np.arange(box.start, box.stop) - 0.5 * (box.start + box.stop)) * size
        # the linear part of the phase only moves the spot
        centred = place - (weight @ place) / weight.sum()
        phase = np.pi * bend[axis] * g[:, axis, None] * centred**2
        kept = np.abs(np.exp(1j * phase) @ weight) / weight.sum()
        area = area * kept**2
    return np.broadcast_to(area, (len(g),)).astype(np.float64)
