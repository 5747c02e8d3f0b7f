"""Spectra sampled finely enough for a smooth profile.

A field of 10 nm has a frequency step of 0.1 1/nm, and a Bragg peak three points. Zero-padding the field draws
the same peak through as many points as the rings of the profile are wide; it adds no information, and the
counts behind a ring's error are those of the native steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, interpolate

from ..fourier.diffractogram import Diffractogram, band_image
from ..fourier.frequency_grid import FrequencyGrid
from ..fourier.local_spectra import LocalSpectra
from ..fourier.threads import threads

#: Least width of a ring in native steps. In narrower rings the mean jumps from one to the next with the few
#: bins that fall into each. Steps of a padded field are correlated; one of them is enough.
STEPS_A_RING = 1.5
#: Steps are refined until rings can be this narrow, 1/nm, as long as a plane has at most this many bins per
#: axis.
NARROWEST_RING = 0.01
MOST_BINS = 2300
#: Columns beyond g_x = 0 that a spline uses.
MIRRORED = 3


@dataclass(frozen=True, slots=True, eq=False)
class FineSpectrum:
    """Power over noise on half a plane (g_x >= 0), in steps that an odd number makes finer.

    Attributes
    ----------
    q_min, q_max : float, 1/nm
        Limits of the search.
    step : tuple of float, (y, x), 1/nm
    half : tuple of int, (y, x)
        Bins on either side of the zero frequency; the array has the shape (2 hy + 1, hx + 1).
    snr : ndarray of float32
    finer : tuple of int, (y, x)
        Steps to one of the spectrum that it was made of.
    """

    q_min: float
    q_max: float
    step: tuple[float, float]
    half: tuple[int, int]
    snr: NDArray[np.float32]
    finer: tuple[int, int]

    @property
    def resolution(self) -> float:
        """Width of the rings that the native steps fill, 1/nm."""
        return STEPS_A_RING * max(s * n for s, n in zip(self.step, self.finer, strict=True))

    @property
    def narrowest_ring(self) -> float:
        """Width of the narrowest rings that these steps fill, 1/nm."""
        native = (s for s, n in zip(self.step, self.finer, strict=True) if n == 1)
        return max(STEPS_A_RING * max(native, default=0.0), *self.step)


def fine_spectrum(diffractogram: Diffractogram) -> FineSpectrum:
    """Power over noise of the whole image under its Hann window, zero-padded where the field is small.

    Parameters
    ----------
    diffractogram : Diffractogram

    Returns
    -------
    FineSpectrum
        It has the values of the diffractogram at the frequencies that both share.
    """
    q_min, q_max, half, step = (getattr(diffractogram, name) for name in ("q_min", "q_max", "half", "step"))
    finer = _refinement(step, half)
    if finer == (1, 1):
        return FineSpectrum(q_min, q_max, step, half, diffractogram.snr(), finer)
    power = _padded_power(diffractogram, finer)
    power /= _interpolated(diffractogram.noise, finer)
    return FineSpectrum(q_min, q_max, *_finer_plane(step, half, finer), power, finer)


def fine_local_maximum(spectra: LocalSpectra, diffractogram: Diffractogram) -> FineSpectrum:
    """Largest SNR over the local windows, interpolated between the windows' coarse frequencies."""
    grid: FrequencyGrid = spectra.grid
    finer = _refinement(grid.step, grid.half)
    log_snr = np.log(np.maximum(spectra.snr_max, 1e-6))
    snr = np.exp(_interpolated(log_snr, finer, order=3)).astype(np.float32)
    limits = diffractogram.q_min, diffractogram.q_max
    return FineSpectrum(*limits, *_finer_plane(grid.step, grid.half, finer), snr, finer)


def _refinement(step: tuple[float, float], half: tuple[int, int]) -> tuple[int, int]:
    """Odd numbers by which the steps are divided, (y, x): a painted cell then holds whole bins."""
    finer = []
    for each, bins in zip(step, half, strict=True):
        most = max(MOST_BINS // (2 * bins + 1), 1)
        wanted = int(np.ceil(each / NARROWEST_RING - 1e-9))
        finer.append(max(min(wanted | 1, most if most % 2 else most - 1), 1))
    return finer[0], finer[1]


def _finer_plane(
    step: tuple[float, float], half: tuple[int, int], finer: tuple[int, int]
) -> tuple[tuple[float, float], tuple[int, int]]:
    """Step and half plane after the refinement."""
    return (step[0] / finer[0], step[1] / finer[1]), (half[0] * finer[0], half[1] * finer[1])


def _padded_power(diffractogram: Diffractogram, finer: tuple[int, int]) -> NDArray[np.float32]:
    """Power under the Hann window of the field, padded with zeros to ``finer`` times its width."""
    band = band_image(diffractogram).pixels
    (ny, nx), (hy, hx) = band.shape, (h * n for h, n in zip(diffractogram.half, finer, strict=True))
    for axis, count in enumerate((ny, nx)):
        hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(count) / count)
        band *= np.expand_dims(hann.astype(np.float32), 1 - axis)
    rows = fft.rfft(band, finer[1] * nx, axis=1, workers=threads())[:, : hx + 1]
    whole = fft.fft(rows, finer[0] * ny, axis=0, workers=threads())
    plane = np.concatenate([whole[-hy:], whole[: hy + 1]])
    power: NDArray[np.float32] = plane.real**2 + plane.imag**2
    power *= np.float32((np.prod(diffractogram.image_shape) / band.size) ** 2)
    return power


def _interpolated(values: NDArray[np.float32], finer: tuple[int, int], order: int = 1) -> NDArray[np.float32]:
    """Values of a half plane between its bins, those beyond g_x = 0 mirrored for the spline."""
    both = np.concatenate([values[::-1, MIRRORED:0:-1], values], axis=1)
    rows, columns = (_between(n, f, order) for n, f in zip(both.shape, finer, strict=True))
    fine: NDArray[np.float32] = rows @ both @ columns[MIRRORED * finer[1] :].T
    return fine


def _between(count: int, finer: int, order: int) -> NDArray[np.float32]:
    """Weights of `count` values at the places between them, shape ((count - 1) * finer + 1, count).

    A spline is linear in the values, so its weights follow from interpolating each unit vector.
    """
    places = np.arange((count - 1) * finer + 1) / finer
    spline = interpolate.make_interp_spline(np.arange(count), np.eye(count, dtype=np.float32), k=order)
    return np.asarray(spline(places), np.float32)
