"""Synthetic micrographs with known truth: from one cosine to a whole field by linear imaging.

The imaging is that of a weak phase object: every spatial frequency of the projected potential is
multiplied by 2 sin(chi) and the envelope of partial temporal coherence (Kirkland, Advanced Computing in
Electron Microscopy, chapter 3). Thon rings, Fresnel fringes at edges and delocalised lattice
fringes follow from it. Lengths are nm, positions (y, x), frequencies 1/nm, azimuths degrees
counter-clockwise from +x as displayed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage
from skimage.draw import polygon2mask

from napari_tem_fft.core.crystal.phase import Miller, Phase

Image = NDArray[np.float64]


@dataclass(frozen=True)
class Optics:
    """Objective lens; a positive defocus is underfocus."""

    voltage_kV: float = 300.0
    cs_mm: float = 0.5
    defocus: float = 40.0
    focal_spread: float = 4.0
    astigmatism: float = 0.0
    astigmatism_deg: float = 0.0

    @property
    def wavelength(self) -> float:
        """Relativistic electron wavelength, nm."""
        energy = self.voltage_kV * 1e3
        return 1.22643 / np.sqrt(energy * (1 + 0.978476e-6 * energy))


@dataclass(frozen=True)
class Crystal:
    """A grain: lattice fringes inside a convex polygon.

    `g` has the shape (n, 2), one member of each pair; `amplitude` and `shift` (radians) the shape (n,).
    """

    polygon: NDArray[np.float64]
    g: NDArray[np.float64]
    amplitude: NDArray[np.float64]
    shift: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    inner_potential: float = 0.15


def frequency(d: float, azimuth: float) -> tuple[float, float]:
    """g (y, x) of lattice planes of spacing d whose normal lies at an azimuth as displayed."""
    angle = np.radians(azimuth)
    return -np.sin(angle) / d, np.cos(angle) / d


def positions(shape: tuple[int, int], pixel_size: tuple[float, float]) -> tuple[Image, Image]:
    """y as a column and x as a row, nm."""
    y, x = (np.arange(n) * p for n, p in zip(shape, pixel_size, strict=True))
    return y[:, None], x[None, :]


def fringes(
    shape: tuple[int, int],
    pixel_size: tuple[float, float],
    d: float,
    azimuth: float,
    amplitude: float = 1.0,
    shift: float = 0.3,
) -> Image:
    """One set of lattice fringes over the whole field, mean zero."""
    (gy, gx), (y, x) = frequency(d, azimuth), positions(shape, pixel_size)
    return amplitude * np.cos(2 * np.pi * (gy * y + gx * x) + shift)


def lattice(
    shape: tuple[int, int], pixel_size: tuple[float, float], planes: list[tuple[float, float]]
) -> Image:
    """Several sets of fringes, given as (d, azimuth), over the whole field."""
    return np.sum([fringes(shape, pixel_size, d, azimuth) for d, azimuth in planes], axis=0)


def white_noise(shape: tuple[int, int], seed: int, sigma: float = 1.0) -> Image:
    """Independent normal values."""
    return np.random.default_rng(seed).normal(0.0, sigma, shape)


def transfer(shape: tuple[int, int], pixel_size: tuple[float, float], optics: Optics) -> Image:
    """Contrast transfer on the half plane of `scipy.fft.rfft2`, with its envelope."""
    gy = fft.fftfreq(shape[0], pixel_size[0])[:, None]
    gx = fft.rfftfreq(shape[1], pixel_size[1])[None, :]
    g2, azimuth = gy**2 + gx**2, np.arctan2(-gy, gx)
    wave, cs = optics.wavelength, optics.cs_mm * 1e6
    turn = np.cos(2 * (azimuth - np.radians(optics.astigmatism_deg)))
    defocus = optics.defocus + optics.astigmatism * turn
    chi = np.pi * wave * defocus * g2 - 0.5 * np.pi * cs * wave**3 * g2**2
    envelope = np.exp(-0.5 * (np.pi * wave * optics.focal_spread * g2) ** 2)
    return 2 * (0.995 * np.sin(chi) + 0.1 * np.cos(chi)) * envelope


def amorphous(shape: tuple[int, int], pixel_size: tuple[float, float], seed: int) -> Image:
    """Projected potential of an amorphous film, unit variance: white below g of about 4 1/nm."""
    gy = fft.fftfreq(shape[0], pixel_size[0])[:, None]
    gx = fft.rfftfreq(shape[1], pixel_size[1])[None, :]
    spectrum = fft.rfft2(white_noise(shape, seed)) / (1 + (gy**2 + gx**2) / 4.0**2)
    film = fft.irfft2(spectrum, s=shape)
    return film / film.std()


def thickness(
    shape: tuple[int, int], pixel_size: tuple[float, float], polygon: NDArray[np.float64], slope: float = 1.5
) -> Image:
    """Of a faceted particle, 0..1: rises from its rim within `slope` nm, with an edge 0.15 nm soft."""
    inside = polygon2mask(shape, polygon / np.asarray(pixel_size))
    depth = ndimage.distance_transform_edt(inside, sampling=pixel_size)
    height = np.where(inside, 0.7 + 0.3 * np.minimum(depth / slope, 1.0), 0.0)
    return ndimage.gaussian_filter(height, [0.15 / p for p in pixel_size])


def crystal_potential(shape: tuple[int, int], pixel_size: tuple[float, float], crystal: Crystal) -> Image:
    """Projected potential of a grain: its lattice and its mean, times its thickness."""
    y, x = positions(shape, pixel_size)
    shift = crystal.shift if len(crystal.shift) else np.zeros(len(crystal.g))
    total = np.full(shape, crystal.inner_potential)
    for (gy, gx), amplitude, offset in zip(crystal.g, crystal.amplitude, shift, strict=True):
        total += amplitude * np.cos(2 * np.pi * (gy * y + gx * x) + offset)
    return total * thickness(shape, pixel_size, crystal.polygon)


def image_of(potential: Image, pixel_size: tuple[float, float], optics: Optics) -> Image:
    """Intensity of a weak phase object, 1 where there is nothing."""
    contrast = fft.irfft2(
        fft.rfft2(potential) * transfer(potential.shape, pixel_size, optics), s=potential.shape
    )
    return 1.0 - contrast


def film_image(
    shape: tuple[int, int], pixel_size: tuple[float, float], seed: int, optics: Optics, strength: float = 0.03
) -> Image:
    """Amorphous film alone, with Thon rings: no lattice anywhere."""
    return image_of(strength * amorphous(shape, pixel_size, seed), pixel_size, optics)


def zone(
    phase: Phase, axis: tuple[int, int, int], rotation: float, d_min: float = 0.11
) -> tuple[list[Miller], NDArray[np.float64], NDArray[np.float64]]:
    """Reflections of a phase with the beam along [uvw] = axis, turned in the plane by degrees.

    Returns
    -------
    hkl : list of n
        One of each pair.
    g : ndarray, shape (n, 2), (y, x), 1/nm
    strength : ndarray, shape (n,)
        |F| over the phase's largest.
    """
    basis = phase.reciprocal_basis()
    beam = np.asarray(axis) @ np.linalg.inv(basis).T
    beam /= np.linalg.norm(beam)
    first = np.cross(beam, (0.3, -0.2, 1.0))
    first /= np.linalg.norm(first)
    plane = np.stack([first, np.cross(beam, first)])
    turn = np.radians(rotation)
    frame = np.array([(-np.sin(turn), -np.cos(turn)), (np.cos(turn), -np.sin(turn))]) @ plane
    hkl, strength = [], []
    for reflection in phase.reflections:
        for index in reflection.members if reflection.d >= d_min else ():
            if np.dot(index, axis) == 0 and index > (0, 0, 0):
                hkl.append(index)
                strength.append(reflection.relative_f)
    return hkl, np.array(hkl) @ basis @ frame.T, np.array(strength)


def camera(
    intensity: Image, pixel_size: tuple[float, float], dose: float, seed: int, gain: float = 10.0
) -> NDArray[np.int16]:
    """Counts of a camera: Poisson noise for a dose in electrons a nm^2, MTF, read-out noise, pedestal."""
    rng = np.random.default_rng(seed)
    expected = np.maximum(intensity, 0.0) * dose * pixel_size[0] * pixel_size[1]
    electrons = rng.poisson(expected).astype(np.float64)
    gy = fft.fftfreq(intensity.shape[0])[:, None]
    gx = fft.rfftfreq(intensity.shape[1])[None, :]
    mtf = 0.25 + 0.75 / (1 + (gy**2 + gx**2) / 0.25**2)
    blurred = fft.irfft2(fft.rfft2(electrons) * mtf, s=intensity.shape)
    counts = 100.0 + gain * blurred + rng.normal(0.0, gain, intensity.shape)
    return np.clip(np.rint(counts), -32768, 32767).astype(np.int16)
