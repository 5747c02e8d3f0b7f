"""Training images by a physical forward model, with the truth of every Bragg spot.

A random specimen (amorphous film, vacuum edges and holes, faceted crystals of 3 nm up to more than the
field, lattices at random or of the phase table at random zones) under a random lens and camera. What is
true of a reflection is its frequency and its **local SNR**: its power in the spectrum of a window that
fits the grain, over the mean noise power there, from the model's own amplitudes. From `VISIBLE` on it is a
spot to be found; below `FAINT` it is none; between the two it counts neither way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve

from ..core.calibration import Calibration
from ..core.micrograph import Micrograph
from ..core.phases import Phase
from .crystals import (
    FIRST_HALF,
    ORDER,
    Lattice,
    Shape,
    faceted,
    fringes,
    one_row,
    random_lattice,
    thickness,
    tilted,
    turned,
    zone_lattice,
)
from .imaging import FILM_FALL, Camera, Image, Lens, exposed, film_amplitude, smooth_field

#: Local SNR of spots that are to be found, and below which there is none to be seen.
VISIBLE, FAINT = 14.0, 7.0
#: Largest amplitude of a fringe relative to the mean intensity, and in the projected potential (radians).
STRONGEST, MOST_PHASE = 0.35, 0.6


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


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """The reflections of an image, one row each, one of each pair +g, -g.

    Attributes
    ----------
    g : ndarray, shape (n, 2), (y, x), 1/nm
    snr : ndarray, shape (n,)
        Local SNR as expected; see the module.
    size : ndarray, shape (n,), nm
        Equivalent diameter of the grain inside the field.
    grain : ndarray of int, shape (n,)
    """

    g: NDArray[np.float64]
    snr: NDArray[np.float64]
    size: NDArray[np.float64]
    grain: NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Synthetic:
    """A simulated micrograph with its truth and the window of its local spectra in nm."""

    micrograph: Micrograph
    truth: Truth
    window: float


def synthesise(
    seed: int, index: int, phases: Sequence[Phase], params: SynthesisParams | None = None
) -> Synthetic:
    """Image number `index` of the endless series that a seed begins.

    Parameters
    ----------
    phases : sequence of Phase
        Lattices are taken from their zones and from random ones by halves; may be empty.
    """
    params = params or SynthesisParams()
    rng = np.random.default_rng([seed, index])
    scene = _Scene.drawn(rng, params)
    reflections = [
        _place_grain(scene, number, phases, params, rng) for number in range(_number(scene, params, rng))
    ]
    pixels = exposed(
        scene.film, scene.potential, scene.pixel_size, scene.lens, scene.camera, scene.second_order, rng
    )
    if rng.random() < 0.03:
        pixels = _low_passed(pixels, rng)
    micrograph = Micrograph(pixels, Calibration.real(scene.pixel_size), f"synthetic {seed}-{index}")
    window = 11.0 if rng.random() < 0.75 else rng.uniform(*params.window)
    return Synthetic(micrograph, _joined(reflections), float(window))


@dataclass(slots=True, eq=False)
class _Scene:
    """A specimen while crystals are put on it."""

    pixel_size: tuple[float, float]
    lens: Lens
    camera: Camera
    second_order: float
    film_strength: float
    support: Image
    film: Image
    potential: Image

    @classmethod
    def drawn(cls, rng: np.random.Generator, params: SynthesisParams) -> _Scene:
        side = int(rng.choice(params.sizes, p=np.array(params.shares) / sum(params.shares)))
        shape = (side, side) if rng.random() < 0.7 else (side, int(rng.choice([0.75, 0.875]) * side))
        pixel = _log_uniform(rng, params.pixel_size)
        unequal = 1 + (rng.random() < 0.1) * rng.uniform(-0.05, 0.05)
        size = (pixel, float(pixel * unequal))
        support = _support(shape, size, rng, params.vacuum)
        # white noise of this strength a pixel gives a film of 0.01 to 0.12 radians after its own spectrum
        strength = _log_uniform(rng, (0.01, 0.12)) / (np.sqrt(np.pi) * FILM_FALL * pixel)
        film = np.sqrt(support) * np.float32(strength) * rng.standard_normal(shape, np.float32)
        camera = _camera(rng, params, shape)
        return cls(
            size,
            _lens(rng, params),
            camera,
            rng.uniform(0.0, 1.0),
            strength,
            support,
            film,
            support * np.float32(rng.uniform(0.05, 0.5)),
        )

    def noise(self, g: NDArray[np.float64], support: float) -> NDArray[np.float64]:
        """Noise power of a pixel at frequencies, shape (n,), where the film is `support` thick."""
        gy, gx = g[:, 0], g[:, 1]
        film = support * self.film_strength**2 * film_amplitude(gy**2 + gx**2) ** 2 * self.contrast(g) ** 2
        camera = self.camera
        shot = (1 + camera.read_noise**2 / camera.electrons(self.pixel_size)) / camera.electrons(
            self.pixel_size
        )
        return np.asarray(
            film + (shot if camera.counting else shot * camera.mtf(gy, gx, self.pixel_size) ** 2)
        )

    def contrast(self, g: NDArray[np.float64]) -> NDArray[np.float64]:
        """Transfer of lens and camera at frequencies, shape (n,)."""
        mtf = self.camera.mtf(g[:, 0], g[:, 1], self.pixel_size)
        return np.asarray(self.lens.transfer(g[:, 0], g[:, 1]) * mtf)


def _number(scene: _Scene, params: SynthesisParams, rng: np.random.Generator) -> int:
    """Of crystals: none in some images, more in larger fields."""
    if rng.random() < params.empty:
        return 0
    field = float(np.sqrt(np.prod(np.array(scene.film.shape) * scene.pixel_size)))
    return int(rng.integers(1, 3 + int(np.clip(field / 5, 1, 20))))


def _place_grain(
    scene: _Scene,
    number: int,
    phases: Sequence[Phase],
    params: SynthesisParams,
    rng: np.random.Generator,
) -> Truth:
    """Add a crystal to the scene; what is true of its reflections."""
    extent = np.array(scene.film.shape) * scene.pixel_size
    largest = min(params.diameter[1], 1.5 * float(extent.max()))
    diameter = _log_uniform(rng, (min(params.diameter[0], largest), largest))
    centre = rng.uniform(-0.1, 1.1, 2) * extent
    lattice = _lattice(phases, rng)
    shape = faceted(
        scene.film.shape, scene.pixel_size, (float(centre[0]), float(centre[1])), diameter, lattice, rng
    )
    if shape is None or not (shape.depth > 0).any():
        return _joined([])
    height = thickness(shape, edge=rng.uniform(0.1, 0.4), slope=rng.uniform(0.5, 6.0))
    return _shine(scene, number, lattice, shape, height, params, rng)


def _shine(
    scene: _Scene,
    number: int,
    lattice: Lattice,
    shape: Shape,
    height: Image,
    params: SynthesisParams,
    rng: np.random.Generator,
) -> Truth:
    """Scale a crystal to a drawn SNR, add its fringes, and tell the SNR of each."""
    g = lattice.frequencies()[FIRST_HALF]
    transfer = np.zeros(lattice.strength.shape)
    transfer[FIRST_HALF] = scene.contrast(g)
    transfer = transfer + transfer[::-1, ::-1]
    linear = lattice.strength * transfer
    window = _inner_window(shape, height)
    area = float((window * height).sum() ** 2 / max(float((window**2).sum()), 1e-9))
    support = float(scene.support[shape.rows, shape.columns].mean())
    noise = scene.noise(g, support)
    power = np.abs(linear[FIRST_HALF]) ** 2 * area / noise
    nyquist = 0.5 / max(scene.pixel_size)
    seen = np.abs(g).max(axis=1) < nyquist
    if not (power[seen] > 0).any():
        return _joined([])
    wanted = _log_uniform(rng, params.best_snr) / float(power[seen].max())
    most = STRONGEST / (2 * max(float(np.abs(linear).max()), 1e-12))
    most = min(most, MOST_PHASE / (2 * float(np.abs(lattice.strength).max())))
    scale = min(np.sqrt(wanted), most)
    both = scale * linear + 0.5 * scene.second_order * scale**2 * fftconvolve(linear, linear, mode="same")
    _add(scene, shape, height, lattice, scale, seen, rng)
    snr = np.abs(both[FIRST_HALF]) ** 2 * area / noise
    size = 2 * np.sqrt(float((height > 0.5).sum()) * np.prod(scene.pixel_size) / np.pi)
    kept = seen & (snr > 1.0)
    return Truth(g[kept], snr[kept], np.full(kept.sum(), size), np.full(kept.sum(), number, np.intp))


def _add(
    scene: _Scene,
    shape: Shape,
    height: Image,
    lattice: Lattice,
    scale: float,
    seen: NDArray[np.bool_],
    rng: np.random.Generator,
) -> None:
    g, strength = lattice.frequencies()[FIRST_HALF][seen], scale * lattice.strength[FIRST_HALF][seen]
    strong = np.abs(strength) > 1e-4 * np.abs(strength).max()
    bent = rng.random() < 0.3
    bend = tuple(bent * rng.normal(0.0, 3e-4, 2)) if bent else (0.0, 0.0)
    potential = np.full(shape.depth.shape, np.float32(rng.uniform(0.0, 0.3)))
    if strong.any():
        potential += fringes(shape, scene.pixel_size, g[strong], strength[strong], (bend[0], bend[1]))
    scene.potential[shape.rows, shape.columns] += height * potential


def _inner_window(shape: Shape, height: Image) -> Image:
    """A smooth window that fits inside the grain, as one would look at it."""
    reach = 0.6 * float(shape.depth.max())
    rise: Image = np.sin(0.5 * np.pi * np.clip(shape.depth / np.float32(max(reach, 1e-6)), 0, 1)) ** 2
    return rise * height


def _lattice(phases: Sequence[Phase], rng: np.random.Generator) -> Lattice:
    lattice = None
    if phases and rng.random() < 0.5:
        lattice = zone_lattice(phases[int(rng.integers(len(phases)))], rng)
    lattice = turned(lattice or random_lattice(rng), rng.uniform(0, 2 * np.pi))
    kind = rng.random()
    return one_row(lattice) if kind < 0.2 else tilted(lattice, rng) if kind < 0.6 else lattice


def _support(
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


def _lens(rng: np.random.Generator, params: SynthesisParams) -> Lens:
    defocus = _log_uniform(rng, params.defocus) * (1 if rng.random() < 0.8 else -1)
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


def _camera(rng: np.random.Generator, params: SynthesisParams, shape: tuple[int, int]) -> Camera:
    counting, faulty = rng.random() < 0.5, rng.random() < 0.2
    return Camera(
        dose=100 * _log_uniform(rng, params.dose),
        blur=rng.uniform(0.0, 0.08) if counting else rng.uniform(0.05, 0.22),
        counting=bool(counting),
        read_noise=0.0 if counting else rng.uniform(0.0, 1.0),
        gain_stripes=rng.uniform(0, 0.01) * (rng.random() < 0.3),
        hot_pixels=int(rng.integers(0, shape[0] * shape[1] // 50_000 + 2)) if faulty else 0,
        dead_lines=int(rng.integers(0, 3)) if faulty else 0,
        illumination=rng.uniform(0.0, 0.2),
    )


def _low_passed(pixels: Image, rng: np.random.Generator) -> Image:
    """An image that somebody filtered: nothing beyond a sharp limit."""
    from scipy import fft

    spectrum = fft.rfft2(pixels)
    gy, gx = fft.fftfreq(pixels.shape[0])[:, None], fft.rfftfreq(pixels.shape[1])[None, :]
    spectrum[np.hypot(gy, gx) > rng.uniform(0.2, 0.45)] = 0
    filtered: Image = fft.irfft2(spectrum, s=pixels.shape)
    return filtered


def _joined(parts: Sequence[Truth]) -> Truth:
    if not parts:
        return Truth(np.zeros((0, 2)), np.zeros(0), np.zeros(0), np.zeros(0, np.intp))
    columns: list[Any] = [[getattr(p, name) for p in parts] for name in ("g", "snr", "size", "grain")]
    return Truth(*(np.concatenate(column) for column in columns))


def _log_uniform(rng: np.random.Generator, limits: tuple[float, float]) -> float:
    return float(np.exp(rng.uniform(*np.log(limits))))


def without_crystals(params: SynthesisParams) -> SynthesisParams:
    """The same images with no crystal in any."""
    return replace(params, empty=1.0)


__all__ = ["FAINT", "ORDER", "VISIBLE", "SynthesisParams", "Synthetic", "Truth", "synthesise"]
