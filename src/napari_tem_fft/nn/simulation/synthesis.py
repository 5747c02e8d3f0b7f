"""Training images by a physical forward model, with the truth of every Bragg spot.

A random specimen (amorphous film, vacuum edges and holes, faceted crystals of 3 nm up to more than the
field, lattices at random or of the phase table at random zones) under a random lens and camera. What is
true of a reflection is its frequency and its **SNR**: the power that it is expected to have, from the
model's own amplitudes, in the best of the local windows (Hann, 11 nm, half overlap) or in the transform of
the whole image, whichever shows it better, over the mean noise power there. From `VISIBLE` on it is a spot
to be found; below `FAINT` it is none; between the two it counts neither way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve

from ...core.crystal.phase import Phase
from ...core.fourier.stft import WindowParams, window_line, window_pixels
from ...core.image.calibration import Calibration
from ...core.image.micrograph import Micrograph
from .crystals import (
    FIRST_HALF,
    ORDER,
    Lattice,
    Shape,
    facet_shape,
    fringes,
    one_row,
    random_lattice,
    rotate_in_plane,
    thickness,
    tilt,
    zone_lattice,
)
from .imaging import (
    FILM_FALL,
    Camera,
    Image,
    Lens,
    SynthesisParams,
    drawn_camera,
    drawn_lens,
    drawn_support,
    expose,
    film_amplitude,
    log_uniform,
    low_pass,
    surroundings,
)

#: SNR above which spots should be found, and below which they are invisible.
VISIBLE, FAINT = 14.0, 7.0
#: Standard deviation of the relative change of g across a nanometre of a bent crystal, 1/nm.
MOST_BENT = 4e-5
#: Least Nyquist frequency, 1/nm, for the squared contrast: below it, its frequencies would alias.
SECOND_ORDER_NYQUIST = 14.0
#: Largest amplitude of a fringe relative to the mean intensity, and in the projected potential (radians).
STRONGEST, MOST_PHASE = 0.35, 0.6
#: Approximate pixel size of the maps of the crystals' true extent, nm.
TRUE_PIXEL = 0.2


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """The reflections of an image, one row for each pair +g, -g.

    Attributes
    ----------
    g : ndarray, shape (n, 2), (y, x), 1/nm
    snr : ndarray, shape (n,)
        As expected where it is seen best; see the module.
    size : ndarray, shape (n,), nm
        Equivalent diameter of the grain inside the field.
    grain : ndarray of int, shape (n,)
    """

    g: NDArray[np.float64]
    snr: NDArray[np.float64]
    size: NDArray[np.float64]
    grain: NDArray[np.intp]

    def below(self, limit: float, pixel_size: tuple[float, float]) -> Truth:
        """The result of a low-pass filter: frequencies below `limit` in cycles per pixel."""
        kept = np.hypot(*(self.g * np.array(pixel_size)).T) < limit
        return Truth(self.g[kept], self.snr[kept], self.size[kept], self.grain[kept])


@dataclass(frozen=True, slots=True, eq=False)
class TrueGrain:
    """A crystal of a simulated image: its plane lattice, and where it is.

    Attributes
    ----------
    number : int
        Number of the grain, which its reflections have in `Truth.grain`.
    basis : ndarray, shape (1, 2) or (2, 2), (y, x), 1/nm
        Frequencies that span the lattice; one where a tilt leaves a single row of reflections.
    corner, pixel_size : tuple of float, (y, x), nm
        First corner of the box of `inside`, and its pixel size.
    inside : ndarray of bool
        Where the crystal is, in the field and around it.
    diameter : float, nm
        Diameter of the circle with the crystal's area in the field.
    """

    number: int
    basis: NDArray[np.float64]
    corner: tuple[float, float]
    pixel_size: tuple[float, float]
    inside: NDArray[np.bool_]
    diameter: float

    def points(self, g_max: float) -> NDArray[np.float64]:
        """All points of the lattice up to |g| (1/nm), visible or not, shape (n, 2), both of a pair.

        Examples
        --------
        >>> import numpy as np
        >>> grain = TrueGrain(0, np.array([[0.0, 3.0]]), (0.0, 0.0), (1.0, 1.0), np.ones((1, 1), bool), 1.1)
        >>> grain.points(7.0)[:, 1].tolist()
        [-6.0, -3.0, 3.0, 6.0]
        """
        order = np.arange(-2 * ORDER, 2 * ORDER + 1)
        index = np.stack(np.meshgrid(*[order] * len(self.basis), indexing="ij"), axis=-1)
        g = index.reshape(-1, len(self.basis)) @ self.basis
        length = np.hypot(*g.T)
        return np.asarray(g[(length > 0) & (length <= g_max)])

    def covers(self, y: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether places, in nm from the image's first corner, lie in the crystal."""
        at = [
            np.floor((v - c) / p).astype(np.intp)
            for v, c, p in zip((y, x), self.corner, self.pixel_size, strict=True)
        ]
        known = np.logical_and.reduce(
            [(i >= 0) & (i < n) for i, n in zip(at, self.inside.shape, strict=True)]
        )
        rows, columns = (np.where(known, i, 0) for i in at)
        return np.asarray(known & self.inside[rows, columns])


@dataclass(frozen=True, slots=True, eq=False)
class Synthetic:
    """A simulated micrograph: its truth, the window of its local spectra in nm, its crystals and its lens."""

    micrograph: Micrograph
    truth: Truth
    window: float
    grains: tuple[TrueGrain, ...] = ()
    lens: Lens | None = None


def synthesise(
    seed: int, index: int, phases: Sequence[Phase], params: SynthesisParams | None = None
) -> Synthetic:
    """Simulate image number `index` of the infinite series that belongs to a seed.

    Parameters
    ----------
    phases : sequence of Phase
        Lattices are taken from their zones and from random ones by halves; may be empty.
    """
    params = params or SynthesisParams()
    rng = np.random.default_rng([seed, index])
    scene = _Scene.draw_conditions(rng, params)
    placed = [
        _place_grain(scene, number, phases, params, rng) for number in range(_number(scene, params, rng))
    ]
    pixels = expose(
        scene.film, scene.potential, scene.pixel_size, scene.lens, scene.camera, scene.second_order, rng
    )
    truth = _join_truths([reflections for reflections, _ in placed])
    if rng.random() < 0.03:
        pixels, limit = low_pass(pixels, rng)
        truth = truth.below(limit, scene.pixel_size)
    micrograph = Micrograph(pixels, Calibration.real(scene.pixel_size), f"synthetic {seed}-{index}")
    window = 11.0 if rng.random() < 0.75 else rng.uniform(*params.window)
    grains = tuple(grain for _, grain in placed if grain is not None)
    return Synthetic(micrograph, truth, float(window), grains, scene.lens)


@dataclass(slots=True, eq=False)
class _Scene:
    """A specimen to which crystals are added; its potential extends `around` it by these pixels."""

    pixel_size: tuple[float, float]
    lens: Lens
    camera: Camera
    second_order: float
    film_strength: float
    support: Image
    film: Image
    potential: Image
    around: tuple[tuple[int, int], ...]

    @classmethod
    def draw_conditions(cls, rng: np.random.Generator, params: SynthesisParams) -> _Scene:
        side = int(rng.choice(params.sizes, p=np.array(params.shares) / sum(params.shares)))
        shape = (side, side) if rng.random() < 0.7 else (side, int(rng.choice([0.75, 0.875]) * side))
        pixel = log_uniform(rng, params.pixel_size)
        unequal = 1 + (rng.random() < 0.1) * rng.uniform(-0.05, 0.05)
        size = (pixel, float(pixel * unequal))
        support = drawn_support(shape, size, rng, params.vacuum)
        # white noise of this strength per pixel gives a film of 0.01 to 0.12 radians after its own spectrum
        strength = log_uniform(rng, (0.01, 0.12)) / (np.sqrt(np.pi) * FILM_FALL * pixel)
        film = np.sqrt(support) * np.float32(strength) * rng.standard_normal(shape, np.float32)
        camera = drawn_camera(rng, params, shape)
        around = surroundings(shape, size)
        return cls(
            size,
            drawn_lens(rng, params),
            camera,
            rng.uniform(0.0, 1.0) * (0.5 / max(size) > SECOND_ORDER_NYQUIST),
            strength,
            support,
            film,
            np.pad(support * np.float32(rng.uniform(0.05, 0.5)), around, "symmetric"),
            around,
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
    """Number of crystals: none in some images, more in larger fields."""
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
) -> tuple[Truth, TrueGrain | None]:
    """Add a crystal; return the truth of its reflections, and of the crystal if it is in the field."""
    extent = np.array(scene.film.shape) * scene.pixel_size
    largest = min(params.diameter[1], 1.5 * float(extent.max()))
    diameter = log_uniform(rng, (min(params.diameter[0], largest), largest))
    centre = rng.uniform(-0.1, 1.1, 2) * extent
    lattice = _lattice(phases, rng)
    field, middle = scene.film.shape, (float(centre[0]), float(centre[1]))
    whole = facet_shape(field, scene.pixel_size, middle, diameter, lattice, rng, scene.around)
    shape = whole.within(field) if whole is not None else None
    if whole is None or shape is None or not (shape.depth > 0).any():
        return _join_truths([]), None
    height = thickness(whole, edge=rng.uniform(0.1, 0.4), slope=rng.uniform(0.5, 6.0))
    reflections = _shine(scene, number, lattice, whole, height, params, rng)
    return reflections, _true_grain(number, lattice, whole, shape, scene.pixel_size)


def _true_grain(
    number: int, lattice: Lattice, whole: Shape, shape: Shape, pixel_size: tuple[float, float]
) -> TrueGrain:
    """The truth of a crystal whose part in the field is `shape`."""
    single = not np.delete(lattice.strength, ORDER, axis=1).any()
    every = max(1, int(TRUE_PIXEL / max(pixel_size)))
    corner = whole.rows.start * pixel_size[0], whole.columns.start * pixel_size[1]
    pixel = every * pixel_size[0], every * pixel_size[1]
    inside = whole.depth[every // 2 :: every, every // 2 :: every] > 0
    area = np.count_nonzero(shape.depth > 0) * pixel_size[0] * pixel_size[1]
    diameter = float(np.sqrt(4 / np.pi * area))
    return TrueGrain(number, lattice.basis[:1] if single else lattice.basis, corner, pixel, inside, diameter)


def _shine(
    scene: _Scene,
    number: int,
    lattice: Lattice,
    whole: Shape,
    whole_height: Image,
    params: SynthesisParams,
    rng: np.random.Generator,
) -> Truth:
    """Scale a crystal to a drawn SNR, add its fringes, and return the SNR of each in the image."""
    shape = whole.within(scene.film.shape)
    height = whole_height[whole.inside(shape.rows, shape.columns)]
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
        return _join_truths([])
    wanted = log_uniform(rng, params.best_snr) / float(power[seen].max())
    most = STRONGEST / (2 * max(float(np.abs(linear).max()), 1e-12))
    most = min(most, MOST_PHASE / (2 * float(np.abs(lattice.strength).max())))
    scale = min(np.sqrt(wanted), most)
    both = scale * linear + 0.5 * scene.second_order * scale**2 * fftconvolve(linear, linear, mode="same")
    bend = _add(scene, whole, whole_height, lattice, scale, seen, rng)
    image = scene.film.shape[0], scene.film.shape[1]
    areas = np.maximum(
        best_window_area(image, scene.pixel_size, shape, height),
        whole_image_area(image, scene.pixel_size, shape, height, g, bend),
    )
    snr = np.abs(both[FIRST_HALF]) ** 2 * areas / noise
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
) -> tuple[float, float]:
    """Add a crystal's potential to the scene and return the crystal's bend."""
    g, strength = lattice.frequencies()[FIRST_HALF][seen], scale * lattice.strength[FIRST_HALF][seen]
    strong = np.abs(strength) > 1e-4 * np.abs(strength).max()
    bent = rng.random() < 0.3
    bend = rng.normal(0.0, MOST_BENT, 2) if bent else np.zeros(2)
    potential = np.full(shape.depth.shape, np.float32(rng.uniform(0.0, 0.3)))
    if strong.any():
        potential += fringes(shape, scene.pixel_size, g[strong], strength[strong], (bend[0], bend[1]))
    box = (
        slice(side.start + before, side.stop + before)
        for side, (before, _) in zip((shape.rows, shape.columns), scene.around, strict=True)
    )
    scene.potential[tuple(box)] += height * potential
    return float(bend[0]), float(bend[1])


def _inner_window(shape: Shape, height: Image) -> Image:
    """A smooth window that fits inside the grain."""
    reach = 0.6 * float(shape.depth.max())
    rise: Image = np.sin(0.5 * np.pi * np.clip(shape.depth / np.float32(max(reach, 1e-6)), 0, 1)) ** 2
    return rise * height


def _lattice(phases: Sequence[Phase], rng: np.random.Generator) -> Lattice:
    lattice = None
    if phases and rng.random() < 0.5:
        lattice = zone_lattice(phases[int(rng.integers(len(phases)))], rng)
    lattice = rotate_in_plane(lattice or random_lattice(rng), rng.uniform(0, 2 * np.pi))
    kind = rng.random()
    return one_row(lattice) if kind < 0.2 else tilt(lattice, rng) if kind < 0.6 else lattice


def _join_truths(parts: Sequence[Truth]) -> Truth:
    if not parts:
        return Truth(np.zeros((0, 2)), np.zeros(0), np.zeros(0), np.zeros(0, np.intp))
    columns: list[Any] = [[getattr(p, name) for p in parts] for name in ("g", "snr", "size", "grain")]
    return Truth(*(np.concatenate(column) for column in columns))


def best_window_area(
    image_shape: tuple[int, int], pixel_size: tuple[float, float], shape: Shape, height: Image
) -> float:
    """Area in pixels that the best of an image's local windows (of the usual size) sees of a grain."""
    sides = window_pixels(image_shape, pixel_size, WindowParams())
    sums, squares = [], []
    for n, side, pixel, box in zip(image_shape, sides, pixel_size, (shape.rows, shape.columns), strict=True):
        line = window_line(n, side, pixel)
        weights = np.zeros((len(line.starts), box.stop - box.start), np.float32)
        for row, start, taper in zip(weights, line.starts, line.tapers, strict=True):
            low, high = max(start, box.start), min(start + side, box.stop)
            if low < high:
                row[low - box.start : high - box.start] = taper[low - start : high - start]
        sums.append(weights)
        squares.append(np.sum(line.tapers.astype(np.float64) ** 2, axis=1))
    seen = (sums[0] @ height @ sums[1].T).astype(np.float64)
    return float((seen**2 / np.outer(*squares)).max())


def whole_image_area(
    image_shape: tuple[int, int],
    pixel_size: tuple[float, float],
    shape: Shape,
    height: Image,
    g: NDArray[np.float64],
    bend: tuple[float, float],
) -> NDArray[np.float64]:
    """Area in pixels that a Hann window over the whole image sees of a grain, for each g, shape (n,).

    A bent crystal's fringes go out of step across a wide field.
    """
    tapers = [
        0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(box.start, box.stop) + 0.5) / n)
        for n, box in zip(image_shape, (shape.rows, shape.columns), strict=True)
    ]
    seen = float(tapers[0] @ height @ tapers[1])
    area = seen**2 / (0.375**2 * image_shape[0] * image_shape[1])
    if not any(bend) or seen == 0:
        return np.full(len(g), area)
    marginals = (tapers[0] * (height @ tapers[1]), tapers[1] * (tapers[0] @ height))
    boxes = (shape.rows, shape.columns)
    for axis, (weight, box, size) in enumerate(zip(marginals, boxes, pixel_size, strict=True)):
        place = (np.arange(box.start, box.stop) - 0.5 * (box.start + box.stop)) * size
        # the linear part of the phase only moves the spot
        centred = place - (weight @ place) / weight.sum()
        phase = np.pi * bend[axis] * g[:, axis, None] * centred**2
        kept = np.abs(np.exp(1j * phase) @ weight) / weight.sum()
        area = area * kept**2
    return np.broadcast_to(area, (len(g),)).astype(np.float64)
