"""Simulation of training images by a physical forward model, with the ground truth of all Bragg spots.

A random specimen (amorphous film, vacuum edges and holes, faceted crystals from 3 nm to more than the field,
bent or not, with random lattices or phases of the table at random zones, particles of curved planes) is
imaged by a random lens and camera or a scanned probe; some images are then filtered, resampled, stored in 8
bits or as JPEG, or labelled. The ground truth of a reflection is its frequency and its **SNR**: its expected
power, from the amplitudes of the model, divided by the mean noise power, in the best of the local windows
(Hann, 11 nm, half overlap) or in the transform of the whole image, whichever is larger. From `VISIBLE` on it
is a spot to be found; below `FAINT` it is none; in between it is ignored. For planes that bend or whose
spacing drifts, every frequency visible in some window is such a reflection.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve

from ...core.crystal.phase import Phase
from ...core.fourier.stft import WindowParams, window_line, window_pixels
from ...core.image.calibration import Calibration
from ...core.image.micrograph import Micrograph
from .conditions import (
    SynthesisParams,
    drawn_bend,
    drawn_camera,
    drawn_lens,
    drawn_scan,
    drawn_support,
    log_uniform,
    processed,
)
from .crystals import (
    FIRST_HALF,
    LARGEST_G,
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
from .curved import ALONG, Stack, arc_power, layer_fringes, random_stacks
from .imaging import (
    FILM_FALL,
    Camera,
    Image,
    Lens,
    Probe,
    Scan,
    expose,
    film_amplitude,
    smooth_field,
    surroundings,
)
from .processing import low_pass

#: SNR above which spots should be found, and below which they are invisible.
VISIBLE, FAINT = 14.0, 7.0
#: Standard deviation of the relative change of g per nanometre of a bent crystal, 1/nm.
MOST_BENT = 4e-5
#: Smallest Nyquist frequency, 1/nm, for which the squared contrast is computed; below it would alias.
SECOND_ORDER_NYQUIST = 14.0
#: Largest amplitude of a fringe relative to the mean intensity, and of the projected potential (radians).
STRONGEST, MOST_PHASE = 0.35, 0.6
#: Frequencies whose power is below this fraction of the strongest part of an arc are at most doubtful: most
#: of their power are lobes of the strong part.
ARC_RANGE = 0.1
#: Approximate pixel size of the maps of the crystals' true extent, nm.
TRUE_PIXEL = 0.2


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """Ground truth of an image's reflections, one row for each pair +g, -g.

    Attributes
    ----------
    g : ndarray, shape (n, 2), (y, x), 1/nm
    snr : ndarray, shape (n,)
        Expected SNR where the reflection is most visible; see the module.
    size : ndarray, shape (n,), nm
        Equivalent diameter of the part of the grain in the field.
    grain : ndarray of int, shape (n,)
    """

    g: NDArray[np.float64]
    snr: NDArray[np.float64]
    size: NDArray[np.float64]
    grain: NDArray[np.intp]

    def below(self, limit: float, pixel_size: tuple[float, float]) -> Truth:
        """The reflections after a low-pass filter: those below `limit`, in cycles per pixel."""
        kept = np.hypot(*(self.g * np.array(pixel_size)).T) < limit
        return Truth(self.g[kept], self.snr[kept], self.size[kept], self.grain[kept])

    def kept(self, share: NDArray[np.float64]) -> Truth:
        """The reflections whose SNR, reduced to the fraction `share`, shape (n,), still exceeds 1."""
        snr = self.snr * share
        left = snr > 1.0
        return Truth(self.g[left], snr[left], self.size[left], self.grain[left])


@dataclass(frozen=True, slots=True, eq=False)
class TrueGrain:
    """Ground truth of a crystal: its plane lattice and its position.

    Attributes
    ----------
    number : int
        Number of the grain, as in `Truth.grain`.
    basis : ndarray, shape (1, 2) or (2, 2), (y, x), 1/nm
        Basis frequencies of the lattice; a single one if only a row of reflections is excited.
    corner, pixel_size : tuple of float, (y, x), nm
        First corner of the box of `inside`, and its pixel size.
    inside : ndarray of bool
        Mask of the crystal, in the field and around it.
    diameter : float, nm
        Equivalent diameter of the crystal's area in the field.
    """

    number: int
    basis: NDArray[np.float64]
    corner: tuple[float, float]
    pixel_size: tuple[float, float]
    inside: NDArray[np.bool_]
    diameter: float

    def points(self, g_max: float) -> NDArray[np.float64]:
        """All points of the lattice up to |g| (1/nm), visible or not, shape (n, 2), both of each pair.

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
        """Whether positions, in nm from the image's first corner, lie in the crystal."""
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
    """A simulated micrograph with its ground truth, window of the local spectra in nm, crystals and lens."""

    micrograph: Micrograph
    truth: Truth
    window: float
    grains: tuple[TrueGrain, ...] = ()
    lens: Lens | None = None


def synthesise(
    seed: int, index: int, phases: Sequence[Phase], params: SynthesisParams | None = None
) -> Synthetic:
    """Simulate image `index` of the series with the given seed.

    Parameters
    ----------
    phases : sequence of Phase
        Half of the lattices are zones of these phases, the others are random; may be empty.
    """
    params = params or SynthesisParams()
    rng, more = np.random.default_rng([seed, index]), np.random.default_rng([seed, index, 1])
    scene = _Scene.draw_conditions(rng, params)
    if more.random() < params.scanned:
        scene.scan_instead(more)
    particles = int(more.integers(1, 5)) if more.random() < params.curved else 0
    alone = bool(particles) and more.random() < 0.5
    placed = [
        _place_grain(scene, number, phases, params, rng, more)
        for number in range(0 if alone else _number(scene, params, rng))
    ]
    curved = [_place_stacks(scene, len(placed) + k, params, more) for k in range(particles)]
    pixels = expose(
        scene.film, scene.potential, scene.pixel_size, scene.lens, scene.camera, scene.second_order, rng,
        scene.scan,
    )  # fmt: skip
    truth = _join_truths([*(reflections for reflections, _ in placed), *curved])
    if scene.scan is not None:
        truth = replace(truth, g=scene.scan.sheared(truth.g)).kept(scene.scan.kept(truth.g))
    if rng.random() < 0.03:
        pixels, limit = low_pass(pixels, rng)
        truth = truth.below(limit, scene.pixel_size)
    pixel_size = scene.pixel_size
    for step in processed(pixels, pixel_size, more, params):
        pixels, pixel_size, truth = step.pixels, step.pixel_size, truth.kept(step.kept_at(truth.g))
    micrograph = Micrograph(pixels, Calibration.real(pixel_size), f"synthetic {seed}-{index}")
    window = 11.0 if rng.random() < 0.75 else rng.uniform(*params.window)
    grains = tuple(grain for _, grain in placed if grain is not None)
    lens = scene.lens if isinstance(scene.lens, Lens) else None
    return Synthetic(micrograph, truth, float(window), grains, lens)


@dataclass(slots=True, eq=False)
class _Scene:
    """A specimen to which crystals are added; its potential extends by `around` pixels beyond the image."""

    pixel_size: tuple[float, float]
    lens: Lens | Probe
    camera: Camera
    second_order: float
    film_strength: float
    support: Image
    film: Image
    potential: Image
    around: tuple[tuple[int, int], ...]
    scan: Scan | None = None

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
        lens = drawn_lens(rng, params)
        around = surroundings(shape, size, lens.guard(min(LARGEST_G, 0.5 / min(size))))
        return cls(
            size,
            lens,
            camera,
            rng.uniform(0.0, 1.0) * (0.5 / max(size) > SECOND_ORDER_NYQUIST),
            strength,
            support,
            film,
            np.pad(support * np.float32(rng.uniform(0.05, 0.5)), around, "symmetric"),
            around,
        )

    def scan_instead(self, rng: np.random.Generator) -> None:
        """Replace the lens by a scanned probe, and the film by a specimen of blurred, uneven thickness."""
        self.lens, self.camera, self.scan = drawn_scan(rng, self.camera)
        self.second_order = 0.0
        uneven = smooth_field(self.potential.shape, rng, int(rng.integers(2, 16)))
        self.potential += np.float32(rng.uniform(0.0, 0.15)) * (1 + uneven)

    def noise(self, g: NDArray[np.float64], support: float) -> NDArray[np.float64]:
        """Noise power per pixel at frequencies, shape (n,), for a film of relative thickness `support`."""
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
    """Draw the number of crystals: none in some images, more in larger fields."""
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
    more: np.random.Generator,
) -> tuple[Truth, TrueGrain | None]:
    """Add a crystal; return the ground truth of its reflections, and of the crystal if it is in the field."""
    extent = np.array(scene.film.shape) * scene.pixel_size
    largest = min(params.diameter[1], 1.5 * float(extent.max()))
    diameter = log_uniform(rng, (min(params.diameter[0], largest), largest))
    centre = rng.uniform(-0.1, 1.1, 2) * extent
    lattice = _lattice(phases, rng)
    if scene.scan is not None:  # atomic columns are bright, whatever phases the lens would give them
        lattice = Lattice(lattice.basis, np.abs(lattice.strength).astype(complex))
    bend = drawn_bend(more, params, diameter) if more.random() < params.bent else None
    field, middle = scene.film.shape, (float(centre[0]), float(centre[1]))
    whole = facet_shape(field, scene.pixel_size, middle, diameter, lattice, rng, scene.around)
    shape = whole.within(field) if whole is not None else None
    if whole is None or shape is None or not (shape.depth > 0).any():
        return _join_truths([]), None
    height = thickness(whole, edge=rng.uniform(0.1, 0.4), slope=rng.uniform(0.5, 6.0))
    reflections = _shine(scene, number, lattice, whole, height, params, rng, bend)
    return reflections, _true_grain(number, lattice, whole, shape, scene.pixel_size)


def _true_grain(
    number: int, lattice: Lattice, whole: Shape, shape: Shape, pixel_size: tuple[float, float]
) -> TrueGrain:
    """Ground truth of a crystal whose part in the field is `shape`."""
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
    strong_bend: NDArray[np.float64] | None,
) -> Truth:
    """Scale a crystal to a random SNR, add its fringes, and return the SNR of each in the image."""
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
    bend = _add(scene, whole, whole_height, lattice, scale, seen, rng, strong_bend)
    image = scene.film.shape[0], scene.film.shape[1]
    size = float(2 * np.sqrt(float((height > 0.5).sum()) * np.prod(scene.pixel_size) / np.pi))
    white = np.abs(both[FIRST_HALF]) ** 2 / noise
    if strong_bend is not None:
        middle = tuple(
            0.5 * (side.start + side.stop) * p
            for side, p in zip((whole.rows, whole.columns), scene.pixel_size, strict=True)
        )
        seen &= white * float(height.sum()) > 1.0
        windows = window_views(image, scene.pixel_size, shape, height)
        return drifting(windows, g[seen], white[seen], bend, (middle[0], middle[1]), size, number)
    areas = np.maximum(
        float(window_views(image, scene.pixel_size, shape, height).area.max()),
        whole_image_area(image, scene.pixel_size, shape, height, g, bend),
    )
    snr = white * areas
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
    strong_bend: NDArray[np.float64] | None,
) -> NDArray[np.float64]:
    """Add a crystal's potential to the scene and return the crystal's bend."""
    g, strength = lattice.frequencies()[FIRST_HALF][seen], scale * lattice.strength[FIRST_HALF][seen]
    strong = np.abs(strength) > 1e-4 * np.abs(strength).max()
    bent = rng.random() < 0.3
    bend = np.diag(rng.normal(0.0, MOST_BENT, 2)) if bent else np.zeros((2, 2))
    bend = bend if strong_bend is None else strong_bend
    potential = np.full(shape.depth.shape, np.float32(rng.uniform(0.0, 0.3)))
    if strong.any():
        potential += fringes(shape, scene.pixel_size, g[strong], strength[strong], bend)
    box = (
        slice(side.start + before, side.stop + before)
        for side, (before, _) in zip((shape.rows, shape.columns), scene.around, strict=True)
    )
    scene.potential[tuple(box)] += height * potential
    return np.asarray(bend)


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


@dataclass(frozen=True, slots=True, eq=False)
class WindowViews:
    """Visibility of a grain in the local windows of an image (of the usual size).

    Attributes
    ----------
    area : ndarray, shape (rows, columns)
        Area of the grain in pixels, weighted by the window and divided by the sum of the window's squares.
    middle : ndarray, shape (rows, columns, 2), (y, x), nm
        Centre of the visible part.
    spread : ndarray, shape (rows, columns, 2), nm
        Standard deviation of the positions in it.
    """

    area: NDArray[np.float64]
    middle: NDArray[np.float64]
    spread: NDArray[np.float64]


def window_views(
    image_shape: tuple[int, int], pixel_size: tuple[float, float], shape: Shape, height: Image
) -> WindowViews:
    """Compute the visibility of a grain in the windows; `shape` is its part in the image."""
    sides = window_pixels(image_shape, pixel_size, WindowParams())
    weights, squares = [], []
    for n, side, pixel, box in zip(image_shape, sides, pixel_size, (shape.rows, shape.columns), strict=True):
        line = window_line(n, side, pixel)
        tapers = np.zeros((len(line.starts), box.stop - box.start), np.float32)
        for row, start, taper in zip(tapers, line.starts, line.tapers, strict=True):
            low, high = max(start, box.start), min(start + side, box.stop)
            if low < high:
                row[low - box.start : high - box.start] = taper[low - start : high - start]
        place = ((np.arange(box.start, box.stop) + 0.5) * pixel).astype(np.float32)
        weights.append([tapers, tapers * place, tapers * place**2])
        squares.append(np.sum(line.tapers.astype(np.float64) ** 2, axis=1))
    (rows, y1, y2), (columns, x1, x2) = weights
    by_row, by_column = rows @ height, height @ columns.T
    seen = (by_row @ columns.T).astype(np.float64)
    moments = [y1 @ by_column, by_row @ x1.T, y2 @ by_column, by_row @ x2.T]
    first_y, first_x, second_y, second_x = (m / np.maximum(seen, 1e-9) for m in moments)
    middle = np.stack([first_y, first_x], axis=-1)
    variance = np.stack([second_y, second_x], axis=-1) - middle**2
    return WindowViews(seen**2 / np.outer(*squares), middle, np.sqrt(np.maximum(variance, 0)))


def drifting(
    windows: WindowViews,
    g: NDArray[np.float64],
    white: NDArray[np.float64],
    bend: NDArray[np.float64],
    origin: tuple[float, float],
    size: float,
    number: int,
) -> Truth:
    """Reflections of a bent crystal in the windows: one per `ALONG` of the range over which a g drifts.

    A window in which g changes by c per nanometre shows a broadened spot: with a Gaussian weight of standard
    deviation s its power falls to 1 / sqrt(1 + (2 pi c s^2)^2).

    Parameters
    ----------
    g : ndarray, shape (n, 2), (y, x), 1/nm
        g at `origin`, (y, x), nm.
    white : ndarray, shape (n,)
        SNR of each in a single pixel.
    bend : ndarray, shape (2, 2)
        Bending as defined by `fringes`.
    size : float, nm
        Size of the crystal.
    """
    looked = windows.area > 1e-3 * windows.area.max(initial=0.0)
    chirp = g @ bend
    local = g[:, None] + chirp[:, None] * (windows.middle[looked] - origin)
    spread = windows.spread[looked]
    power = 1 / np.sqrt(1 + (2 * np.pi * chirp[:, None] * spread**2) ** 2)
    snr = white[:, None] * windows.area[looked] * power.prod(axis=-1)
    blurred = 1 / np.maximum(3 * np.hypot(*np.moveaxis(chirp[:, None] * spread, -1, 0)), 1e-6)
    parts = []
    for places, each, wide in zip(local, snr, blurred, strict=True):
        order = np.argsort(-each)
        _, first = np.unique(np.rint(places[order] / ALONG), axis=0, return_index=True)
        best = order[first[each[order[first]] > 1.0]]
        sizes = np.minimum(size, wide[best])
        parts.append(Truth(places[best], each[best], sizes, np.full(len(best), number, np.intp)))
    return _join_truths(parts)


def _place_stacks(scene: _Scene, number: int, params: SynthesisParams, rng: np.random.Generator) -> Truth:
    """Add a particle of curved planes; return the ground truth of its arcs."""
    shape = scene.film.shape[0], scene.film.shape[1]
    extent = shape[0] * scene.pixel_size[0], shape[1] * scene.pixel_size[1]
    stacks = random_stacks(rng, extent, params.curvature, params.layer)
    second, wanted = rng.uniform(0.0, 0.3), log_uniform(rng, params.best_snr)
    pedestal = np.float32(rng.uniform(0.0, 0.2))
    arcs = [[_arc(scene, stack, order, shape) for order in (1, 2)] for stack in stacks]
    power = max((float((0.25 * t**2 * w).max(initial=0.0)) for (_, t, w), _ in arcs), default=0.0)
    if power == 0:
        return _join_truths([])
    transfer = max(float(np.abs(t).max(initial=0.0)) for (_, t, _), _ in arcs)
    amplitude = min(np.sqrt(wanted / power), MOST_PHASE, STRONGEST / transfer)
    parts = []
    for stack, (first, double) in zip(stacks, arcs, strict=True):
        found = layer_fringes(stack, shape, scene.pixel_size, scene.around, (1.0, second))
        if found is None:
            continue
        box, fringe, cover = found
        scene.potential[box] += np.float32(amplitude) * fringe + pedestal * cover
        linear = 0.5 * amplitude * first[1], 0.5 * amplitude * second * double[1]
        if len(double[0]):  # plus the squared contrast of the first arc
            strongest = float(np.abs(linear[0]).max(initial=0.0))
            linear = linear[0], np.abs(linear[1]) + 0.5 * scene.second_order * strongest**2
        for (g, _, white), contrast in zip((first, double), linear, strict=True):
            snr = contrast**2 * white
            snr = np.where(
                snr < ARC_RANGE * snr.max(initial=0.0), np.minimum(snr, 0.5 * (FAINT + VISIBLE)), snr
            )
            kept = snr > 1.0
            size, label = np.full(kept.sum(), stack.straight), np.full(kept.sum(), number, np.intp)
            parts.append(Truth(g[kept], snr[kept], size, label))
    return _join_truths(parts)


def _arc(
    scene: _Scene, stack: Stack, order: int, shape: tuple[int, int]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Frequencies of an arc, the contrast transfer at them, and the SNR of a contrast of unit amplitude."""
    g, area = arc_power(stack, order, shape, scene.pixel_size)
    inside = np.abs(g).max(axis=1, initial=0.0) < 0.5 / max(scene.pixel_size)
    inside &= np.hypot(*g.T) < LARGEST_G
    g, area = g[inside], area[inside]
    (top, bottom), (left, right) = (
        (int(max(a / p, 0)), int(max(b / p, 1)) + 1)
        for (a, b), p in zip(stack.box(), scene.pixel_size, strict=True)
    )
    under = scene.support[top:bottom, left:right]
    support = float(under.mean()) if under.size else 0.0
    return g, scene.contrast(g), area / scene.noise(g, support)


def whole_image_area(
    image_shape: tuple[int, int],
    pixel_size: tuple[float, float],
    shape: Shape,
    height: Image,
    g: NDArray[np.float64],
    bend: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Area in pixels of a grain weighted by a Hann window over the whole image, for each g, shape (n,).

    The fringes of a bent crystal lose coherence across a wide field.
    """
    tapers = [
        0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(box.start, box.stop) + 0.5) / n)
        for n, box in zip(image_shape, (shape.rows, shape.columns), strict=True)
    ]
    seen = float(tapers[0] @ height @ tapers[1])
    area = seen**2 / (0.375**2 * image_shape[0] * image_shape[1])
    if not bend.any() or seen == 0:
        return np.full(len(g), area)
    marginals = (tapers[0] * (height @ tapers[1]), tapers[1] * (tapers[0] @ height))
    boxes = (shape.rows, shape.columns)
    for axis, (weight, box, size) in enumerate(zip(marginals, boxes, pixel_size, strict=True)):
        place = (np.arange(box.start, box.stop) - 0.5 * (box.start + box.stop)) * size
        # the linear part of the phase only shifts the spot
        centred = place - (weight @ place) / weight.sum()
        phase = np.pi * (g @ bend)[:, axis, None] * centred**2
        kept = np.abs(np.exp(1j * phase) @ weight) / weight.sum()
        area = area * kept**2
    return np.broadcast_to(area, (len(g),)).astype(np.float64)
