"""Imaging conditions of simulated images, and the ranges from which they are drawn."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .imaging import Camera, Image, Lens, Probe, Scan, smooth_field
from .processing import Processed, jpeg, kept_share, labelled, low_pass, quantised, resampled, smoothed

#: Largest and smallest side of resampled images, pixels.
LARGEST_SIDE, SMALLEST_SIDE = 2048, 384


def drawn_support(
    shape: tuple[int, int], size: tuple[float, float], rng: np.random.Generator, vacuum: float
) -> Image:
    """Draw the film's relative thickness: 1 in most of the image, 0 in vacuum, with edges of 0.3 nm."""
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
    elif kind < 0.75:  # a curved edge
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
    """Draw a lens with common settings: one in five overfocused, four in ten with Cs correction."""
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
    """Draw a counting or an integrating camera, one in five with defects."""
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


def drawn_scan(rng: np.random.Generator, camera: Camera) -> tuple[Probe, Camera, Scan]:
    """Draw a scanned probe, its detector, and scan errors; a third of the scans is nearly perfect."""
    probe = Probe(rng.uniform(0.025, 0.07), rng.uniform(1.0, 3.0))
    detector = replace(camera, blur=0.0, counting=True, gain_stripes=0.0, hot_pixels=0, dead_lines=0)
    if rng.random() < 1 / 3:
        return probe, detector, Scan(jitter=rng.uniform(0, 0.004))
    return (
        probe,
        replace(detector, read_noise=rng.uniform(0.0, 2.0)),
        Scan(
            jitter=log_uniform(rng, (0.003, 0.04)),
            mains=rng.uniform(0, 0.03) * (rng.random() < 0.5),
            period=rng.uniform(5, 60),
            slope=rng.uniform(-0.02, 0.02) * (rng.random() < 0.5),
            flicker=rng.uniform(0, 0.02),
        ),
    )


def drawn_bend(rng: np.random.Generator, params: SynthesisParams, extent: float) -> NDArray[np.float64]:
    """Draw the bending or strain gradient of a crystal of `extent` nm for `fringes`, shape (2, 2), 1/nm.

    Planes rotate by at most 0.35 rad over the crystal, and the strain changes by at most 0.06.
    """
    turn = np.minimum(1 / np.array([log_uniform(rng, params.bend_radius) for _ in range(2)]), 0.35 / extent)
    strain = np.minimum(np.exp(rng.uniform(np.log(1e-5), np.log(3e-3), 2)), 0.06 / extent)
    both = np.diag(strain * (rng.random(2) < 0.5)) + np.fliplr(np.diag(turn * (rng.random(2) < 0.7)))
    return np.asarray(both * rng.choice([-1.0, 1.0], (2, 2)))


def processed(
    pixels: Image, pixel_size: tuple[float, float], rng: np.random.Generator, params: SynthesisParams
) -> list[Processed]:
    """Process a recorded image at random; returns the result of each step, none if it stays unprocessed."""
    steps = [Processed(pixels, pixel_size)]
    if rng.random() < params.filtered:
        if rng.random() < 0.5:
            filtered, limit = low_pass(pixels, rng)
            steps.append(Processed(filtered, pixel_size, limit / max(pixel_size)))
        else:
            steps.append(Processed(smoothed(pixels, rng), pixel_size))
    if rng.random() < params.resampled:
        most, least = LARGEST_SIDE / max(pixels.shape), SMALLEST_SIDE / min(pixels.shape)
        factor = log_uniform(rng, (min(max(0.5, least), 1.0), max(min(2.0, most), 1.0)))
        steps.append(resampled(steps[-1].pixels, pixel_size, factor, 1 if rng.random() < 0.5 else 3))
    last = steps[-1]
    if rng.random() < params.eight_bit:
        levels = quantised(last.pixels, 10 ** rng.uniform(-4, -2))
        if rng.random() < params.jpeg:
            levels = jpeg(levels, int(rng.integers(60, 97)))
        steps.append(Processed(levels, last.pixel_size, kept=kept_share(last.pixels, levels)))
    if rng.random() < params.labelled:
        steps.append(Processed(labelled(steps[-1].pixels, last.pixel_size, rng), last.pixel_size))
    return steps[1:]


@dataclass(frozen=True, slots=True)
class SynthesisParams:
    """Ranges from which images are drawn; log-uniform for ranges over several decades.

    Attributes
    ----------
    sizes : tuple of int
        Pixels per axis; `shares` gives how often each size is drawn.
    pixel_size : tuple of float, nm
    dose : tuple of float, electrons / angstrom^2
    diameter : tuple of float, nm
        Diameters of the crystals, limited to one and a half times the field.
    best_snr : tuple of float
        Local SNR of the strongest reflection of a crystal.
    defocus, cs_mm, focal_spread : tuple of float; nm, mm, nm
    empty : float
        Fraction of images without crystals.
    vacuum : float
        Fraction of images with vacuum.
    window : tuple of float, nm
        Widths of the windows of the local spectra, in addition to the usual 11 nm.
    scanned : float
        Fraction of images from a scanned probe (STEM), with line jitter.
    curved : float
        Fraction of images with particles of curved planes; half of these contain no other crystals.
    curvature, layer : tuple of float, nm
        Radii of the curved planes (log-uniform), and their spacings; six particles in ten are graphitic, with
        spacings of 0.335 to 0.40 nm.
    bent : float
        Fraction of crystals that are bent or have a strain gradient.
    bend_radius : tuple of float, nm
        Radii of curvature of bent crystals.
    filtered, resampled, eight_bit, labelled : float
        Fractions of images that are low-pass filtered, resampled to another pixel size, stored in 8 bits, or
        have a burnt-in scale bar.
    jpeg : float
        Fraction of the 8 bit images that were stored as JPEG.
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
    scanned: float = 0.15
    curved: float = 0.2
    curvature: tuple[float, float] = (3.0, 50.0)
    layer: tuple[float, float] = (0.22, 0.8)
    bent: float = 0.15
    bend_radius: tuple[float, float] = (60.0, 3000.0)
    filtered: float = 0.06
    resampled: float = 0.08
    eight_bit: float = 0.2
    jpeg: float = 0.4
    labelled: float = 0.1


def without_crystals(params: SynthesisParams) -> SynthesisParams:
    """The same parameters without crystals and curved planes."""
    return replace(params, empty=1.0, curved=0.0)


def no_larger_than(params: SynthesisParams, side: int) -> SynthesisParams:
    """The same parameters without sizes above `side` pixels.

    Examples
    --------
    >>> no_larger_than(SynthesisParams(), 1000).sizes
    (512, 768)

    Raises
    ------
    ValueError
        If no size is left.
    """
    left = [pair for pair in zip(params.sizes, params.shares, strict=True) if pair[0] <= side]
    if not left:
        raise ValueError(f"no image is smaller than {min(params.sizes)} pixels")
    sizes, shares = zip(*left, strict=True)
    return replace(params, sizes=sizes, shares=shares)


def plain(params: SynthesisParams) -> SynthesisParams:
    """The same parameters for straight lattices recorded by a camera: not scanned, bent or processed."""
    return replace(
        params, scanned=0.0, curved=0.0, bent=0.0, filtered=0.0, resampled=0.0, eight_bit=0.0, labelled=0.0
    )


def log_uniform(rng: np.random.Generator, limits: tuple[float, float]) -> float:
    """Draw a number log-uniformly between two limits."""
    return float(np.exp(rng.uniform(*np.log(limits))))
