"""The ranges from which training images are drawn."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True, slots=True)
class SynthesisParams:
    """Ranges from which images are drawn; log-uniform where they span decades.

    Attributes
    ----------
    sizes : tuple of int
        Pixels an axis, and `shares`, how often each is drawn.
    pixel_size : tuple of float, nm
    dose : tuple of float, electrons / angstrom^2
    diameter : tuple of float, nm
        Of the crystals; capped at one and a half times the field.
    best_snr : tuple of float
        Local SNR of a crystal's strongest reflection.
    defocus, cs_mm, focal_spread : tuple of float; nm, mm, nm
    empty : float
        Share of the images without a crystal.
    vacuum : float
        Share of the images with vacuum.
    window : tuple of float, nm
        Of the local spectra's windows, besides the usual 11 nm.
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
