"""Stripes: what all rows, or all columns, of an image have in common along their whole length.

Amplifiers of a sensor, scan lines and gain references that are not quite right leave a random signal that is
the same in every pixel of a column (or of a row). In a transform it is noise that lies on a pixel axis and
nowhere else, where the rings of the noise estimate do not see it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from .diffractogram import BandImage

#: Stripes are reported where the axis has more than this many times the noise of its rings: white noise of
#: 256 to 2048 pixels reaches it in fewer than one image of a hundred.
LEAST_EXCESS = 2.5
#: Width (1/nm) and fewest bins of the stretch of the axis over which the median is taken: crystals whose
#: reflections lie on the axis fill a small part of it.
STRETCH, FEWEST_BINS = 4.0, 81


@dataclass(frozen=True, slots=True, eq=False)
class Stripes:
    """Power density of the stripes along either axis.

    Attributes
    ----------
    g : tuple of ndarray, 1/nm
        Frequencies along y, for stripes along rows, and along x, for stripes along columns.
    density : tuple of ndarray, of the same lengths
        Mean power of a bin over the sum of the squared taper, of one line; 0 where there is no stripe.
    """

    g: tuple[NDArray[np.float64], NDArray[np.float64]]
    density: tuple[NDArray[np.float64], NDArray[np.float64]]

    def density_at(self, axis: int, g: NDArray[np.float64]) -> NDArray[np.float64]:
        """The density at frequencies along an axis, either sign, 1/nm."""
        return np.asarray(np.interp(np.abs(g), self.g[axis], self.density[axis]), np.float64)

    @property
    def none(self) -> bool:
        """Whether there are no stripes at all."""
        return not any(density.any() for density in self.density)


def measure_stripes(
    band: BandImage, ring_g: NDArray[np.float64], ring_density: NDArray[np.float64], q_min: float
) -> Stripes:
    """Stripes of an image, from the sums of its columns and of its rows.

    Parameters
    ----------
    band : BandImage
    ring_g : ndarray, shape (n,), 1/nm
    ring_density : ndarray, shape (n,)
        Noise power density of the image's own pixels in rings, off the axes.
    q_min : float, 1/nm
        Below it the axes are not looked at.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> image = rng.standard_normal((256, 256)).astype(np.float32)
    >>> image += rng.standard_normal(256)  # each column has its own offset
    >>> found = measure_stripes(BandImage(image, (0.05, 0.05), 1.0), np.arange(1.0, 10), np.ones(9), 1.0)
    >>> found.density_at(0, np.array([5.0])).round(1), found.density_at(1, np.array([5.0])).round(1)
    (array([0.]), array([1.]))
    """
    found = []
    for axis, (n, pixel) in enumerate(zip(band.pixels.shape, band.pixel_size, strict=True)):
        along, across = (np.hanning(m + 2)[1:-1] for m in (n, band.pixels.shape[1 - axis]))
        line = across @ band.pixels if axis else band.pixels @ across
        power = np.abs(fft.rfft(along * line)) ** 2
        g = fft.rfftfreq(n, pixel)
        noise = np.interp(g, ring_g, ring_density) / band.pixels_each
        of_noise = noise * np.sum(across**2)
        inside = np.flatnonzero(g >= q_min)
        if not len(inside):
            found.append((g, np.zeros(len(g))))
            continue
        ratio = power[inside] / (of_noise[inside] * np.sum(along**2))
        width = max(round(STRETCH / g[1]), FEWEST_BINS)
        usual = ndimage.median_filter(ratio, width, mode="reflect") / np.log(2)
        excess = np.zeros(len(g))
        excess[inside] = np.where(usual > LEAST_EXCESS, usual - 1, 0)
        found.append((g, excess * of_noise / across.sum() ** 2))
    (gy, rows), (gx, columns) = found
    return Stripes((gy, gx), (rows, columns))
