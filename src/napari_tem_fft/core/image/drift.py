"""Drift: the displacement of each frame of a series from the first, and the field that all have in common.

The shift is the position of the maximum of the mutual correlation, which divides the product of the spectra
by the root of its modulus, so that neither the strongest structures nor noise dominate (van Heel et al.,
1992). Only structure coarser than lattice fringes counts, because a lattice is periodic and the noise of
each frame is different. If nothing stands out, no shift is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from ..progress import Step
from .micrograph import Micrograph

Shift = tuple[float, float]
#: Pixels per axis of the averaged frames that are compared.
COMPARED = 512
#: Finest structure that counts, nm (lattice planes lie below 0.5), and the coarsest, as a share of the field.
FINEST, COARSEST = 1.0, 0.25
#: A shift counts if the correlation exceeds its values elsewhere by this many robust standard deviations.
#: Of 240 pairs of independent noise (256 to 1024 pixels) the highest reached 10.4, their median 7.5; film
#: with structures of 1.2 nm, a quarter as strong as the noise, reaches 10 to 31, and the shift is right to
#: about 0.1 nm, at worst to 0.3 nm.
SIGNIFICANT = 12.0
#: Frames are cut to their common field if it has at least this share of each axis.
LEAST_COMMON = 0.5


@dataclass(frozen=True, slots=True)
class Drift:
    """Where the frames of a series lie.

    Attributes
    ----------
    shifts : tuple of (y, x), pixels
        What lies at p in the first frame lies at p + shift in this one.
    known : tuple of bool
        Whether the shift of a frame was measured; otherwise it repeats the shift of the frame before.
    common : tuple of slice, (rows, columns), optional
        The part of the first frame that all frames contain; None if it is too small to be analysed.
    """

    shifts: tuple[Shift, ...]
    known: tuple[bool, ...]
    common: tuple[slice, slice] | None

    def cut(self, micrograph: Micrograph, number: int) -> Micrograph:
        """The common field of a frame, cut at whole pixels so that its noise is unchanged."""
        if self.common is None:
            return micrograph
        rows, columns = (
            slice(part.start + round(step), part.stop + round(step))
            for part, step in zip(self.common, self.shifts[number], strict=True)
        )
        return micrograph.crop(rows, columns)

    def origin(self, number: int) -> Shift:
        """Where the first pixel of what is analysed of a frame lies, in pixels of the first frame."""
        if self.common is None:
            y, x = self.shifts[number]
            return -y, -x
        y, x = (
            part.start + round(step) - step
            for part, step in zip(self.common, self.shifts[number], strict=True)
        )
        return y, x


def drift_steps(frames: int, frame: Callable[[int], Micrograph]) -> Generator[Step, None, Drift]:
    """Measure the shift of each frame from the first, directly or through the last frame with a known shift.

    Parameters
    ----------
    frames : int
    frame : callable
        Returns the frame of a given number.

    Raises
    ------
    ValueError
        If the frames differ in size.
    """
    there = 0.0, 0.0
    shifts: list[Shift] = [there]
    known, shape = [True], frame(0).shape
    first = before = _spectrum(frame(0))
    for number in range(1, frames):
        image = frame(number)
        if image.shape != shape:
            raise ValueError(
                f"{image.name}: {image.shape[1]} x {image.shape[0]} pixels, but the first frame has"
                f" {shape[1]} x {shape[0]}: frames of a series have one size"
            )
        spectrum = _spectrum(image)
        shift = _shift(first, spectrum, image)
        if shift is None and (step := _shift(before, spectrum, image)) is not None:
            shift = there[0] + step[0], there[1] + step[1]
        known.append(shift is not None)
        if shift is not None:
            before, there = spectrum, shift
        shifts.append(there)
        yield Step(f"drift of frame {number + 1} of {frames}", number, frames)
    return Drift(tuple(shifts), tuple(known), _common(shifts, shape))


def measure_shift(reference: Micrograph, moved: Micrograph) -> Shift | None:
    """By how much an image is shifted against another one of the same field.

    Returns
    -------
    tuple of float, (y, x), pixels, optional
        What lies at p in the reference lies at p + shift in the other; None where the two have nothing
        in common that stands out of the noise.

    Examples
    --------
    >>> from scipy.ndimage import gaussian_filter
    >>> from napari_tem_fft.core.image.calibration import Calibration
    >>> film = gaussian_filter(np.random.default_rng(0).normal(size=(300, 300)), 4)
    >>> one, other = (Micrograph(film[a:a + 256, :256], Calibration.real(0.1)) for a in (10, 3))
    >>> [round(step) for step in measure_shift(one, other)]
    [7, 0]
    """
    return _shift(_spectrum(reference), _spectrum(moved), moved)


def _spectrum(micrograph: Micrograph) -> NDArray[np.complex64]:
    """Transform of the averaged frame, its edges faded out."""
    factors = _factors(micrograph)
    ny, nx = (n // f * f for n, f in zip(micrograph.shape, factors, strict=True))
    blocks = micrograph.pixels[:ny, :nx].reshape(ny // factors[0], factors[0], nx // factors[1], factors[1])
    image = np.nan_to_num(blocks.mean(axis=(1, 3), dtype=np.float32), posinf=0.0, neginf=0.0)
    image -= image.mean()
    fade = [np.hanning(n).astype(np.float32) for n in image.shape]
    return np.asarray(fft.rfft2(image * fade[0][:, None] * fade[1]))


def _factors(micrograph: Micrograph) -> list[int]:
    return [max(1, -(-n // COMPARED)) for n in micrograph.shape]


def _shift(one: NDArray[np.complex64], other: NDArray[np.complex64], micrograph: Micrograph) -> Shift | None:
    factors = _factors(micrograph)
    ny, nx = (n // f for n, f in zip(micrograph.shape, factors, strict=True))
    cross = other * np.conj(one)
    size = np.sqrt(np.abs(cross))
    if not size.any():
        return None
    cross /= np.maximum(size, 1e-9 * size.max())
    cross *= _band((ny, nx), micrograph, factors)
    correlation = fft.irfft2(cross, (ny, nx))
    spread = 1.4826 * float(np.median(np.abs(correlation - np.median(correlation))))
    y, x = (int(i) for i in np.unravel_index(int(np.argmax(correlation)), correlation.shape))
    if not correlation[y, x] > SIGNIFICANT * spread > 0:
        return None
    place = y + _top(correlation[:, x], y), x + _top(correlation[y], x)
    wrapped = ((p + n / 2) % n - n / 2 for p, n in zip(place, (ny, nx), strict=True))
    step_y, step_x = (step * factor for step, factor in zip(wrapped, factors, strict=True))
    return step_y, step_x


def _band(shape: tuple[int, int], micrograph: Micrograph, factors: list[int]) -> NDArray[np.float32]:
    """Weight of each frequency: between the coarsest structure and the finest."""
    sizes = [p * f for p, f in zip(micrograph.calibration.scale, factors, strict=True)]
    if micrograph.calibration.space != "real":
        sizes = [FINEST / 4] * 2  # of an image without a scale structures of four pixels count
    g = np.hypot(fft.fftfreq(shape[0], sizes[0])[:, None], fft.rfftfreq(shape[1], sizes[1]))
    field = min(n * size for n, size in zip(shape, sizes, strict=True))
    band = np.exp(-0.5 * (g * FINEST) ** 2) * (1 - np.exp(-0.5 * (g * field * COARSEST) ** 2))
    return np.asarray(band, np.float32)


def _top(line: NDArray[np.float32], place: int) -> float:
    """Where between its neighbours a maximum lies: the top of the parabola through the three."""
    below, here, above = (float(line[(place + step) % len(line)]) for step in (-1, 0, 1))
    bend = below - 2 * here + above
    return 0.5 * (below - above) / bend if bend < 0 else 0.0


def _common(shifts: list[Shift], shape: tuple[int, int]) -> tuple[slice, slice] | None:
    """Rows and columns of the first frame that all frames show."""
    parts = []
    for axis, length in enumerate(shape):
        steps = [round(shift[axis]) for shift in shifts]
        start, stop = max(0, -min(steps)), length - max(0, *steps)
        if stop - start < LEAST_COMMON * length:
            return None
        parts.append(slice(start, stop))
    return parts[0], parts[1]
