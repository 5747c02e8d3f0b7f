"""Image formation of a thin specimen: lens or scanned probe, amorphous film, camera.

Linear imaging of a phase object with partial coherence (Kirkland, Advanced Computing in Electron Microscopy,
chapter 3) and its second-order term; everything is a function of the frequency g, so that the noise at any g
is known exactly. Lengths are in nm, frequencies in 1/nm, positions (y, x).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, sin, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft, special

Image = NDArray[np.float32]
#: Expected counts above which Poisson noise is approximated by Gaussian noise.
MANY = 15.0
#: Frequency at which the film's scattering amplitude falls to a half, 1/nm.
FILM_FALL = 4.0
#: A discrete Fourier transform is periodic: fringes that the lens displaces across a border would reappear at
#: the opposite one, where there is no crystal. Therefore the specimen extends beyond the image by `GUARD` nm
#: on all sides, or by half the displacement of those fringes of which the lens passes more than `PASSED`. Its
#: crystals fade out there between the distances `FADE`, nm, from the image: a crystal that ended at the
#: border would send the lobes of a facet into the image, and a mirrored one the fringes of another crystal.
GUARD, PASSED, FADE = 3.0, 0.02, (0.5, 2.0)


@dataclass(frozen=True, slots=True)
class Lens:
    """Objective lens, its coherence, and motion during the exposure; positive defocus is underfocus.

    Attributes
    ----------
    voltage_kV, cs_mm : float
    defocus, astigmatism, focal_spread : float, nm
    astigmatism_azimuth : float, radians
    convergence : float, mrad
    amplitude_contrast : float
        Fraction of the contrast that is independent of defocus.
    drift : tuple of float, (y, x), nm
        Displacement of the image during the exposure.
    vibration : float, nm
        Standard deviation of the image's position.
    """

    voltage_kV: float = 300.0
    cs_mm: float = 0.5
    defocus: float = 40.0
    astigmatism: float = 0.0
    astigmatism_azimuth: float = 0.0
    focal_spread: float = 4.0
    convergence: float = 0.2
    amplitude_contrast: float = 0.1
    drift: tuple[float, float] = (0.0, 0.0)
    vibration: float = 0.0

    @property
    def wavelength(self) -> float:
        """Relativistic electron wavelength, nm."""
        energy = self.voltage_kV * 1e3
        return float(1.22643 / np.sqrt(energy * (1 + 0.978476e-6 * energy)))

    def transfer(self, gy: NDArray[Any], gx: NDArray[Any]) -> NDArray[Any]:
        """Contrast of a cosine of the projected potential (radians), at broadcastable frequencies."""
        g2 = gy**2 + gx**2
        wave, cs = self.wavelength, self.cs_mm * 1e6
        c, s = cos(2 * self.astigmatism_azimuth), sin(2 * self.astigmatism_azimuth)
        stretched = self.defocus * g2 + self.astigmatism * (c * (gx**2 - gy**2) + 2 * s * gx * gy)
        chi = np.pi * wave * stretched - 0.5 * np.pi * cs * wave**3 * g2**2
        share = self.amplitude_contrast
        contrast = 2 * sqrt(1 - share**2) * np.sin(chi) + 2 * share * np.cos(chi)
        drifted = np.sinc(gy * self.drift[0] + gx * self.drift[1])
        return np.asarray(contrast * self.envelope(g2) * drifted)

    def envelope(self, g2: NDArray[Any]) -> NDArray[Any]:
        """Damping of the contrast by partial coherence and vibration, at squared frequencies, 1/nm^2."""
        wave = self.wavelength
        temporal = 0.5 * (np.pi * wave * self.focal_spread) ** 2 * g2**2
        slope = self.defocus - self.cs_mm * 1e6 * wave**2 * g2
        spatial = (np.pi * self.convergence * 1e-3 * slope) ** 2 * g2
        moved = 2 * (np.pi * self.vibration) ** 2 * g2
        return np.asarray(np.exp(-temporal - spatial - moved))

    def displacement(self, g: NDArray[np.float64]) -> NDArray[np.float64]:
        """Displacement of the fringes of each g = (y, x), (y, x) in nm; those of -g are displaced oppositely.

        Examples
        --------
        >>> import numpy as np
        >>> Lens(cs_mm=0.0, defocus=100.0).displacement(np.array([[0.0, 4.0]])).round(2).tolist()
        [[0.0, 0.79]]
        """
        gy, gx = g[..., 0], g[..., 1]
        c, s = cos(2 * self.astigmatism_azimuth), sin(2 * self.astigmatism_azimuth)
        spherical = self.cs_mm * 1e6 * self.wavelength**3 * (gy**2 + gx**2)
        focus = self.wavelength * self.defocus - spherical
        turned = self.wavelength * self.astigmatism
        y = focus * gy + turned * (s * gx - c * gy)
        x = focus * gx + turned * (s * gy + c * gx)
        return np.asarray(np.stack([y, x], axis=-1), np.float64)

    def guard(self, g_max: float) -> float:
        """Distance, nm, by which the specimen extends beyond its image, for frequencies up to `g_max` (1/nm).

        Examples
        --------
        >>> Lens(cs_mm=0.0, convergence=0.0).guard(8.0), round(Lens(80.0, 1.0, convergence=0.0).guard(6.0), 1)
        (3.0, 7.4)
        """
        g = np.linspace(0, g_max, 200)
        passed = g[self.envelope(g**2) > PASSED]
        way = np.abs(self.defocus - self.cs_mm * 1e6 * self.wavelength**2 * passed**2) + abs(self.astigmatism)
        return max(GUARD, 0.5 * float((self.wavelength * way * passed).max()))


@dataclass(frozen=True, slots=True)
class Probe:
    """A focused scanned probe (STEM): it images the blurred thickness, without contrast reversal.

    Attributes
    ----------
    width : float, nm
        Standard deviation of the probe's intensity.
    strength : float
        Contrast per radian of projected potential.
    """

    width: float
    strength: float = 2.0

    def transfer(self, gy: NDArray[Any], gx: NDArray[Any]) -> NDArray[Any]:
        """Contrast of a cosine of the projected potential (radians), at broadcastable frequencies."""
        return np.asarray(self.strength * np.exp(-2 * (np.pi * self.width) ** 2 * (gy**2 + gx**2)))


@dataclass(frozen=True, slots=True)
class Scan:
    """Errors in position and brightness of the lines of a scanned image.

    Attributes
    ----------
    jitter : float, nm
        Standard deviation of a line's position along x, independent for each line.
    mains : float, nm
        Amplitude of a vibration along x, with a period of `period` lines.
    period : float
    slope : float
        Displacement along x per distance along y: drift of the specimen, which shears the image.
    flicker : float
        Relative standard deviation of the lines' brightness.
    """

    jitter: float = 0.0
    mains: float = 0.0
    period: float = 20.0
    slope: float = 0.0
    flicker: float = 0.0

    def places(self, lines: int, pixel_size: float, rng: np.random.Generator) -> NDArray[np.float64]:
        """Displacement of each line along x, nm."""
        number = np.arange(lines) - 0.5 * (lines - 1)
        wave = self.mains * np.sin(2 * np.pi * number / self.period + rng.uniform(0, 2 * np.pi))
        jitter = self.jitter * rng.standard_normal(lines)
        return np.asarray(jitter + wave + self.slope * pixel_size * number, np.float64)

    def kept(self, g: NDArray[np.float64]) -> NDArray[np.float64]:
        """Fraction of power that stays in each spot, for g = (y, x) before the shear, shape (n,).

        Examples
        --------
        >>> import numpy as np
        >>> Scan(jitter=0.02).kept(np.array([[5.0, 0.0], [0.0, 5.0]])).round(3).tolist()
        [1.0, 0.674]
        """
        turn = 2 * np.pi * g[:, 1]
        return np.asarray(np.exp(-((turn * self.jitter) ** 2)) * special.j0(turn * self.mains) ** 2)

    def sheared(self, g: NDArray[np.float64]) -> NDArray[np.float64]:
        """Frequencies (y, x) in the sheared image, shape (..., 2).

        Examples
        --------
        >>> import numpy as np
        >>> Scan(slope=0.01).sheared(np.array([1.0, 4.0])).round(3).tolist()
        [0.96, 4.0]
        """
        return np.asarray(np.stack([g[..., 0] - self.slope * g[..., 1], g[..., 1]], axis=-1))

    def scanned(self, field: Image, pixel_size: tuple[float, float], rng: np.random.Generator) -> Image:
        """Displace the lines of a field; periodic along x."""
        places = self.places(field.shape[0], pixel_size[0], rng)
        gx = fft.rfftfreq(field.shape[1], pixel_size[1])
        turned = np.exp(-2j * np.pi * places[:, None] * gx).astype(np.complex64)
        return np.asarray(fft.irfft(fft.rfft(field, axis=1) * turned, n=field.shape[1], axis=1), np.float32)


@dataclass(frozen=True, slots=True)
class Camera:
    """Detector: dose, blur and defects.

    Attributes
    ----------
    dose : float, electrons / nm^2
    blur : float
        Fraction of a pixel's signal that goes to each neighbour along each axis (0 for counting cameras).
    counting : bool
        A counting camera's noise is white; an integrating one blurs its noise like the signal.
    read_noise : float, electrons
    gain_stripes : float
        Relative standard deviation of the columns' gains.
    hot_pixels, dead_lines : int
    illumination : float
        Relative variation of the illumination over the field.
    """

    dose: float
    blur: float = 0.0
    counting: bool = True
    read_noise: float = 0.0
    gain_stripes: float = 0.0
    hot_pixels: int = 0
    dead_lines: int = 0
    illumination: float = 0.0

    def mtf(self, gy: NDArray[Any], gx: NDArray[Any], pixel_size: tuple[float, float]) -> NDArray[Any]:
        """Modulation transfer function at broadcastable frequencies."""
        rest = 1 - 2 * self.blur
        y, x = (
            rest + 2 * self.blur * np.cos(2 * np.pi * g * p)
            for g, p in zip((gy, gx), pixel_size, strict=True)
        )
        return np.asarray(y * x)

    def electrons(self, pixel_size: tuple[float, float]) -> float:
        """Mean number of electrons per pixel."""
        return self.dose * pixel_size[0] * pixel_size[1]


def film_amplitude(g2: NDArray[Any]) -> NDArray[Any]:
    """Amplitude spectrum of the film's projected potential for white noise of unit variance, 1 at g = 0."""
    return 1 / (1 + g2 / FILM_FALL**2)


def axes_of(shape: tuple[int, int], pixel_size: tuple[float, float]) -> tuple[Image, Image]:
    """Frequencies of `scipy.fft.rfft2`: g_y as a column and g_x as a row, 1/nm."""
    gy = fft.fftfreq(shape[0], pixel_size[0]).astype(np.float32)[:, None]
    gx = fft.rfftfreq(shape[1], pixel_size[1]).astype(np.float32)[None, :]
    return gy, gx


def expose(
    film: Image,
    crystals: Image,
    pixel_size: tuple[float, float],
    lens: Lens | Probe,
    camera: Camera,
    second_order: float,
    rng: np.random.Generator,
    scan: Scan | None = None,
) -> Image:
    """Counts of the camera for a specimen imaged by a lens or probe.

    Parameters
    ----------
    film : ndarray of float32, shape (y, x)
        White noise times the film's scattering strength (radians), 0 in vacuum.
    crystals : ndarray of float32, shape (y, x) of the image with its `surroundings`
        Projected potential of everything else, radians.
    second_order : float
        Weight of the squared contrast, which creates double reflections.
    scan : Scan, optional
        Scan errors of an image that is recorded line by line.
    """
    around = [((c - n) // 2, (c - n + 1) // 2) for c, n in zip(crystals.shape, film.shape, strict=True)]
    fade = [_fade(n, wide, p) for n, wide, p in zip(film.shape, around, pixel_size, strict=True)]
    shown = tuple(slice(before, before + n) for n, (before, _) in zip(film.shape, around, strict=True))
    mean = np.float32(crystals[shown].mean())
    crystals = (crystals - mean) * fade[0][:, None] * fade[1] + mean
    film = np.pad(film, around, "symmetric")
    gy, gx = axes_of(film.shape, pixel_size)
    spectrum = fft.rfft2(film) * film_amplitude(gy**2 + gx**2)
    spectrum += fft.rfft2(crystals)
    spectrum *= lens.transfer(gy, gx).astype(np.float32)
    if camera.counting and camera.blur:
        spectrum *= camera.mtf(gy, gx, pixel_size).astype(np.float32)
    contrast: Image = fft.irfft2(spectrum, s=film.shape)
    if scan is not None:
        contrast = scan.scanned(contrast, pixel_size, rng)
    contrast = contrast[shown]
    expected = 1 + contrast + (0.5 * second_order) * contrast**2
    if scan is not None:
        expected *= 1 + np.float32(scan.flicker) * rng.standard_normal((len(expected), 1), np.float32)
    return record_image(np.maximum(expected, 0.0), pixel_size, camera, rng)


def surroundings(
    shape: tuple[int, ...], pixel_size: tuple[float, float], guard: float = GUARD
) -> tuple[tuple[int, int], ...]:
    """Pixels added to both ends of each axis (y, x) for a specimen that extends `guard` nm beyond them."""
    return tuple(_beyond(n, p, guard) for n, p in zip(shape, pixel_size, strict=True))


def _beyond(n: int, pixel_size: float, guard: float) -> tuple[int, int]:
    """Pixels added before and after an axis of n pixels, with a total that can be transformed fast."""
    least = min(int(np.ceil(guard / pixel_size)), n // 2)
    more = fft.next_fast_len(n + 2 * least, real=True) - n
    return more // 2, more - more // 2


def _fade(n: int, around: tuple[int, int], pixel_size: float) -> Image:
    """1 in the image and near it, with a cosine decay to 0 farther away."""
    away = np.concatenate([np.arange(around[0], 0, -1), np.zeros(n), np.arange(1, around[1] + 1)])
    fallen = np.clip((away * pixel_size - FADE[0]) / (FADE[1] - FADE[0]), 0, 1)
    return np.asarray(0.5 + 0.5 * np.cos(np.pi * fallen), np.float32)


def record_image(
    expected: Image, pixel_size: tuple[float, float], camera: Camera, rng: np.random.Generator
) -> Image:
    """Record an expected intensity (mean 1) with a camera, with noise and defects, in grey levels."""
    shape = expected.shape
    light = smooth_field(shape, rng, 2)
    light *= np.float32(camera.illumination)
    light += 1
    light *= np.float32(camera.electrons(pixel_size))
    light *= expected
    counts = _noisy(light, rng)
    if not camera.counting and camera.blur:
        counts = _blur(counts, camera.blur)
    if camera.read_noise:
        counts += np.float32(camera.read_noise) * rng.standard_normal(shape, np.float32)
    if camera.gain_stripes:
        counts *= 1 + np.float32(camera.gain_stripes) * rng.standard_normal((1, shape[1]), np.float32)
    if camera.hot_pixels:
        places = rng.integers(0, shape[0], camera.hot_pixels), rng.integers(0, shape[1], camera.hot_pixels)
        counts[places] += rng.uniform(20, 500, camera.hot_pixels).astype(np.float32) * counts.std()
    for row in rng.integers(0, shape[0], camera.dead_lines):
        counts[row] = 0.0
    return np.rint(100 + 10 * counts)


def smooth_field(shape: tuple[int, int], rng: np.random.Generator, waves: int) -> Image:
    """Random smooth field with at most `waves` half waves per axis, roughly between -1 and 1."""
    rows, columns = (
        np.cos(np.pi * np.arange(waves + 1) * (np.arange(n)[:, None] + 0.5) / n).astype(np.float32)
        for n in shape
    )
    weights = rng.standard_normal((waves + 1, waves + 1)).astype(np.float32)
    weights[0, 0] = 0.0
    largest = float(np.abs(rows[::16] @ weights @ columns[::16].T).max())
    field: Image = (rows @ (weights / np.float32(max(largest, 1e-6)))) @ columns.T
    return field


def _noisy(expected: Image, rng: np.random.Generator) -> Image:
    if float(expected.mean()) > MANY:
        noise = rng.standard_normal(expected.shape, np.float32)
        noise *= np.sqrt(expected)
        noise += expected
        return noise
    return rng.poisson(expected).astype(np.float32)


def _blur(counts: Image, blur: float) -> Image:
    for axis in (0, 1):
        wide = np.concatenate([counts.take([0], axis), counts, counts.take([-1], axis)], axis)
        n = counts.shape[axis]
        sides = wide.take(range(n), axis) + wide.take(range(2, n + 2), axis)
        counts = np.float32(1 - 2 * blur) * counts + np.float32(blur) * sides
    return counts
