"""Conditions of a simulated image, and the ranges from which they are drawn: film, lens, camera."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import fft

from .imaging import Camera, Image, Lens, smooth_field


def drawn_support(
    shape: tuple[int, int], size: tuple[float, float], rng: np.random.Generator, vacuum: float
) -> Image:
    """Relative thickness of the film: 1 on the whole, 0 in vacuum, with edges 0.3 nm soft."""
    wedge = 1 + np.float32(rng.uniform(0, 0.4)) * smooth_field(shape, rng, 2)
    if rng.random() > vacuum:
        return wedge
    ny, nx = shape
    y, x = np.arange(ny, dtype=np.float32)[:, None] * size[0], np.arange(nx, dtype=np.float32) * size[1]
    kind = rng.random()
    if kind < 0.4:  # a straight edge
        angle = rng.uniform(0, 2 * np.pi)
        across = float(np.sin(angle)) * (y - y.mean()) + float(np.cos(angle)) * (x - x.mean())
        depth = across + np.float32(rng.uniform(-0.35, 0.35) * min(y.max(), x.max()))
    elif kind < 0.75:  # a curved one
        field = smooth_field(shape, rng, int(rng.integers(2, 6)))
        middle = float(np.quantile(field[::8, ::8], rng.uniform(0.1, 0.5)))
        depth = (field - np.float32(middle)) * np.float32(0.2 * x.max())
    else:  # a hole
        centre = rng.uniform(0, 1, 2) * (y.max(), x.max())
        radius = rng.uniform(0.05, 0.35) * x.max()
        depth = np.hypot(y - np.float32(centre[0]), x - np.float32(centre[1])) - np.float32(radius)
    soft: Image = np.clip(depth / np.float32(rng.uniform(0.2, 0.6)) + np.float32(0.5), 0, 1)
    return wedge * soft


def drawn_lens(rng: np.random.Generator, params: SynthesisParams) -> Lens:
    """A lens at any usual setting, one in five overfocused, four in ten corrected for Cs."""
    defocus = log_uniform(rng, params.defocus) * (1 if rng.random() < 0.8 else -1)
    drift = rng.uniform(0, 0.08) * np.array([np.sin(a := rng.uniform(0, 2 * np.pi)), np.cos(a)])
    return Lens(
        voltage_kV=float(rng.choice([80.0, 200.0, 300.0])),
        cs_mm=rng.uniform(*params.cs_mm) if rng.random() < 0.6 else rng.uniform(-0.01, 0.01),
        defocus=defocus,
        astigmatism=rng.uniform(0, 0.15) * abs(defocus) + rng.uniform(0, 3),
        astigmatism_azimuth=rng.uniform(0, np.pi),
        focal_spread=rng.uniform(*params.focal_spread),
        convergence=rng.uniform(0.0, 0.5),
        amplitude_contrast=rng.uniform(0.0, 0.2),
        drift=(float(drift[0]), float(drift[1])),
        vibration=rng.uniform(0.0, 0.02),
    )


def drawn_camera(rng: np.random.Generator, params: SynthesisParams, shape: tuple[int, int]) -> Camera:
    """A counting or an integrating camera, one in five with defects."""
    counting, faulty = rng.random() < 0.5, rng.random() < 0.2
    return Camera(
        dose=100 * log_uniform(rng, params.dose),
        blur=rng.uniform(0.0, 0.08) if counting else rng.uniform(0.05, 0.22),
        counting=bool(counting),
        read_noise=0.0 if counting else rng.uniform(0.0, 1.0),
        gain_stripes=rng.uniform(0, 0.01) * (rng.random() < 0.3),
        hot_pixels=int(rng.integers(0, shape[0] * shape[1] // 50_000 + 2)) if faulty else 0,
        dead_lines=int(rng.integers(0, 3)) if faulty else 0,
        illumination=rng.uniform(0.0, 0.2),
    )


def low_pass(pixels: Image, rng: np.random.Generator) -> tuple[Image, float]:
    """A low-pass filtered image, and its sharp cut-off frequency, cycles per pixel."""
    spectrum = fft.rfft2(pixels)
    gy, gx = fft.fftfreq(pixels.shape[0])[:, None], fft.rfftfreq(pixels.shape[1])[None, :]
    limit = float(rng.uniform(0.2, 0.45))
    spectrum[np.hypot(gy, gx) > limit] = 0
    return fft.irfft2(spectrum, s=pixels.shape), limit


@dataclass(frozen=True, slots=True)
class SynthesisParams:
    """Ranges from which images are drawn; log-uniform where they span decades.

    Attributes
    ----------
    sizes : tuple of int
        Pixels per axis, and `shares`, how often each size is drawn.
    pixel_size : tuple of float, nm
    dose : tuple of float, electrons / angstrom^2
    diameter : tuple of float, nm
        Diameters of the crystals, at most one and a half times the field.
    best_snr : tuple of float
        Local SNR of a crystal's strongest reflection.
    defocus, cs_mm, focal_spread : tuple of float; nm, mm, nm
    empty : float
        Share of the images without a crystal.
    vacuum : float
        Share of the images with vacuum.
    window : tuple of float, nm
        Widths of the local spectra's windows, in addition to the usual 11 nm.
    """

    sizes: tuple[int, ...] = (512, 768, 1024, 1280, 1536, 2048, 4096)
    shares: tuple[float, ...] = (0.2, 0.17, 0.28, 0.14, 0.1, 0.09, 0.02)
    pixel_size: tuple[float, float] = (0.008, 0.06)
    dose: tuple[float, float] = (30.0, 5000.0)
    diameter: tuple[float, float] = (3.0, 120.0)
    best_snr: tuple[float, float] = (9.0, 3e4)
    defocus: tuple[float, float] = (5.0, 160.0)
    cs_mm: tuple[float, float] = (-0.02, 1.2)
    focal_spread: tuple[float, float] = (1.5, 8.0)
    empty: float = 0.08
    vacuum: float = 0.5
    window: tuple[float, float] = (8.0, 15.0)


def without_crystals(params: SynthesisParams) -> SynthesisParams:
    """The same images with no crystal in any."""
    return replace(params, empty=1.0)


def log_uniform(rng: np.random.Generator, limits: tuple[float, float]) -> float:
    """A number whose logarithm is evenly distributed between the logarithms of two limits."""
    return float(np.exp(rng.uniform(*np.log(limits))))
