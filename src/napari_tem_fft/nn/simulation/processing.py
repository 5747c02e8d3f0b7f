"""Processing of recorded images before analysis: filters, resampling, 8 bits, JPEG, burnt-in labels."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont
from scipy import fft, ndimage

from ...core.text import round_length
from .imaging import Image

#: Side of a JPEG block, pixels.
BLOCK = 8
#: Standard deviation of the Gaussian filter before downsampling, in new pixels; its transfer is 0.17 at the
#: new Nyquist frequency.
BEFORE_SHRINKING = 0.6


@dataclass(frozen=True, slots=True, eq=False)
class Processed:
    """An image after a processing step.

    Attributes
    ----------
    pixels : ndarray of float32
    pixel_size : tuple of float, (y, x), nm
    limit : float
        Largest remaining frequency, 1/nm.
    kept : ndarray, shape (8, 8)
        Remaining fraction of the SNR at multiples of 1/16 cycle per pixel along y and x.
    """

    pixels: Image
    pixel_size: tuple[float, float]
    limit: float = np.inf
    kept: NDArray[np.float64] | None = None

    def kept_at(self, g: NDArray[np.float64]) -> NDArray[np.float64]:
        """Remaining fraction of the SNR at frequencies of shape (n, 2), 1/nm."""
        share = np.asarray(np.hypot(*g.T) < self.limit, np.float64)
        if self.kept is None:
            return share
        cell = np.rint(np.abs(g) * np.array(self.pixel_size) * 2 * BLOCK).astype(np.intp)
        return np.asarray(share * self.kept[tuple(np.minimum(cell, BLOCK - 1).T)])


def low_pass(pixels: Image, rng: np.random.Generator) -> tuple[Image, float]:
    """Apply a low-pass filter, and return its sharp cut-off frequency in cycles per pixel."""
    spectrum = fft.rfft2(pixels)
    gy, gx = fft.fftfreq(pixels.shape[0])[:, None], fft.rfftfreq(pixels.shape[1])[None, :]
    limit = float(rng.uniform(0.2, 0.45))
    spectrum[np.hypot(gy, gx) > limit] = 0
    return fft.irfft2(spectrum, s=pixels.shape), limit


def smoothed(pixels: Image, rng: np.random.Generator) -> Image:
    """Apply a Gaussian filter of 0.5 to 1.3 pixels, which weakens signal and noise alike."""
    return np.asarray(ndimage.gaussian_filter(pixels, rng.uniform(0.5, 1.3), mode="reflect"), np.float32)


def resampled(
    pixels: Image, pixel_size: tuple[float, float], factor: float, order: Literal[1, 3]
) -> Processed:
    """Resample an image to about `factor` times as many pixels along each axis.

    Parameters
    ----------
    order : int
        Order of the splines: 1 for linear interpolation, 3 for cubic.

    Examples
    --------
    >>> import numpy as np
    >>> resampled(np.zeros((64, 96), np.float32), (0.02, 0.02), 0.5, 1).pixel_size
    (0.04, 0.04)
    """
    if factor < 1:
        pixels = ndimage.gaussian_filter(pixels, BEFORE_SHRINKING / factor, mode="reflect")
    after = ndimage.zoom(pixels, factor, order=order, mode="reflect", grid_mode=True)
    sizes = [p * n / m for p, n, m in zip(pixel_size, pixels.shape, after.shape, strict=True)]
    limit = 0.5 / max(*pixel_size, *sizes)
    return Processed(np.asarray(after, np.float32), (float(sizes[0]), float(sizes[1])), limit)


def quantised(pixels: Image, clipped: float) -> Image:
    """Convert an image to 8 bits, with a fraction `clipped` of the pixels black and as many white."""
    low, high = np.quantile(pixels[::4, ::4], [clipped, 1 - clipped])
    levels = (pixels - np.float32(low)) * np.float32(255 / max(high - low, 1e-6))
    return np.asarray(np.clip(np.rint(levels), 0, 255), np.float32)


def jpeg(levels: Image, quality: int) -> Image:
    """Compress levels 0 to 255 by JPEG."""
    buffer = BytesIO()
    Picture.fromarray(levels.astype(np.uint8)).save(buffer, "JPEG", quality=quality)
    with Picture.open(buffer) as picture:
        return np.asarray(picture, np.float32)


def kept_share(before: Image, after: Image) -> NDArray[np.float64]:
    """Remaining fraction of the SNR, shape (8, 8), for each frequency of a block's cosine transform.

    A lossy step treats a weak signal like the noise: both keep the part of the result that is correlated with
    the original, and the rest of the result is new noise. So the SNR falls by the square of the correlation.

    Examples
    --------
    >>> import numpy as np
    >>> noise = np.random.default_rng(0).standard_normal((256, 256))
    >>> bool(np.allclose(kept_share(noise, 3 * noise + 5), 1))
    True
    """
    rows, columns = (n // BLOCK for n in before.shape)
    a, b = (
        fft.dctn(
            one[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK),
            axes=(1, 3),
            norm="ortho",
        )
        for one in (before, after)
    )
    a, b = (one - one.mean(axis=(0, 2), keepdims=True) for one in (a, b))
    common, own, new = (np.einsum("iajb,iajb->ab", one, other) for one, other in ((a, b), (a, a), (b, b)))
    return np.asarray(common**2 / np.maximum(own * new, 1e-30), np.float64)


def labelled(pixels: Image, pixel_size: tuple[float, float], rng: np.random.Generator) -> Image:
    """Burn a scale bar and its text into an image, sometimes with a strip or a box below them."""
    low, high = (float(v) for v in np.quantile(pixels[::8, ::8], [0.002, 0.998]))
    ny, nx = pixels.shape
    height = int(rng.uniform(0.025, 0.06) * ny)
    canvas = Picture.fromarray(pixels.astype(np.float32))
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(size=max(height, 8))
    paper, ink = (low, high) if rng.random() < 0.6 else (high, low)
    bar = round_length(rng.uniform(0.1, 0.3) * nx * pixel_size[1])
    wide = bar / pixel_size[1]
    left = int(rng.uniform(0.03, 0.97 - wide / nx) * nx) if wide < 0.9 * nx else 2
    top = ny - int(2.6 * height)
    kind = rng.random()
    if kind < 0.3:  # a strip over the whole width
        draw.rectangle((0, top - height // 4, nx, ny), fill=paper)
        draw.text((int(0.02 * nx), top), f"{rng.integers(50, 999)} kx  {rng.integers(80, 301)} kV", ink, font)
        left = max(left, int(0.5 * nx))
    elif kind < 0.5:  # a box
        draw.rectangle(
            (left - height // 3, top - height // 4, left + wide + height // 3, ny - height // 4), fill=paper
        )
    thick = max(int(rng.uniform(0.15, 0.5) * height), 2)
    draw.rectangle((left, ny - height, left + wide, ny - height + thick), fill=ink)
    draw.text((left + int(0.1 * wide), top), f"{bar:g} nm", ink, font)
    if rng.random() < 0.3:
        draw.text((int(0.02 * nx), int(0.02 * ny)), "abcdef"[rng.integers(6)], ink, font)
    return np.asarray(canvas, np.float32)
