"""Series: a stack analysed frame by frame with drift correction, and each component and grain against time.

The drift of a frame is the position of the maximum of the mutual correlation function, for which the product
of the spectra is divided by the square root of its modulus, so that neither the strongest structures nor
noise dominate (van Heel et al., 1992). Only structure coarser than lattice fringes is used, because a lattice
is periodic and the noise of each frame is different. Without a significant maximum no drift is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from .crystal.phase_selection import non_candidates
from .fourier.noise import robust_sigma
from .image.micrograph import Micrograph
from .maps.component_map import component_name
from .matching import EvidenceCache
from .matching.assignment import CandidateSet
from .pipeline import Analysis, AnalysisParams, Segment, analysis_steps
from .progress import Step, change_steps

Shift = tuple[float, float]
#: Pixels per axis of the averaged frames that are compared.
COMPARED = 512
#: Finest structure used, nm (d-spacings are below 0.5), and the coarsest, as a fraction of the field of view.
FINEST, COARSEST = 1.0, 0.25
#: A shift is significant if the correlation exceeds its values elsewhere by this many robust standard
#: deviations. Of 240 pairs of independent noise (256 to 1024 pixels) the highest reached 10.4, their median
#: 7.5; film with structures of 1.2 nm, a quarter as strong as the noise, reaches 10 to 31, and the shift is
#: correct within about 0.1 nm, at worst 0.3 nm.
SIGNIFICANT = 12.0
#: Frames are cropped to their common field if it has at least this fraction of each axis.
LEAST_COMMON = 0.5


@dataclass(frozen=True, slots=True)
class Drift:
    """Positions of the frames of a series.

    Attributes
    ----------
    shifts : tuple of (y, x), pixels
        A feature at p in the first frame is at p + shift in this one.
    known : tuple of bool
        Whether the shift of a frame was measured; otherwise it repeats the shift of the frame before.
    common : tuple of slice, (rows, columns), optional
        The part of the first frame that all frames contain; None if it is too small to be analysed.
    """

    shifts: tuple[Shift, ...]
    known: tuple[bool, ...]
    common: tuple[slice, slice] | None

    def cut(self, micrograph: Micrograph, number: int) -> Micrograph:
        """The common field of a frame, cropped at whole pixels so that its noise is unchanged."""
        if self.common is None:
            return micrograph
        rows, columns = (
            slice(part.start + round(step), part.stop + round(step))
            for part, step in zip(self.common, self.shifts[number], strict=True)
        )
        return micrograph.crop(rows, columns)

    def origin(self, number: int) -> Shift:
        """Position of the first analysed pixel of a frame, in pixels of the first frame."""
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

    Examples
    --------
    >>> from scipy.ndimage import gaussian_filter
    >>> from napari_tem_fft.core.image.calibration import Calibration
    >>> from napari_tem_fft.core.progress import exhaust
    >>> film = gaussian_filter(np.random.default_rng(0).normal(size=(300, 300)), 4)
    >>> frames = [Micrograph(film[a:a + 256, :256], Calibration.real(0.1)) for a in (10, 3)]
    >>> [round(step) for step in exhaust(drift_steps(2, frames.__getitem__)).shifts[1]]
    [7, 0]
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


def _spectrum(micrograph: Micrograph) -> NDArray[np.complex64]:
    """Transform of the averaged frame with tapered edges."""
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
    spread = robust_sigma(correlation)
    y, x = (int(i) for i in np.unravel_index(int(np.argmax(correlation)), correlation.shape))
    if not correlation[y, x] > SIGNIFICANT * spread > 0:
        return None
    place = y + _top(correlation[:, x], y), x + _top(correlation[y], x)
    wrapped = ((p + n / 2) % n - n / 2 for p, n in zip(place, (ny, nx), strict=True))
    step_y, step_x = (step * factor for step, factor in zip(wrapped, factors, strict=True))
    return step_y, step_x


def _band(shape: tuple[int, int], micrograph: Micrograph, factors: list[int]) -> NDArray[np.float32]:
    """Weight of each frequency: those between the coarsest and the finest structure are used."""
    sizes = [p * f for p, f in zip(micrograph.calibration.scale, factors, strict=True)]
    if micrograph.calibration.space != "real":
        sizes = [FINEST / 4] * 2  # without a scale the finest structures have four pixels
    g = np.hypot(fft.fftfreq(shape[0], sizes[0])[:, None], fft.rfftfreq(shape[1], sizes[1]))
    field = min(n * size for n, size in zip(shape, sizes, strict=True))
    band = np.exp(-0.5 * (g * FINEST) ** 2) * (1 - np.exp(-0.5 * (g * field * COARSEST) ** 2))
    return np.asarray(band, np.float32)


def _top(line: NDArray[np.float32], place: int) -> float:
    """Sub-pixel position of a maximum: the vertex of the parabola through it and its neighbours."""
    below, here, above = (float(line[(place + step) % len(line)]) for step in (-1, 0, 1))
    bend = below - 2 * here + above
    return 0.5 * (below - above) / bend if bend < 0 else 0.0


def _common(shifts: list[Shift], shape: tuple[int, int]) -> tuple[slice, slice] | None:
    """Rows and columns of the first frame that are in all frames."""
    parts = []
    for axis, length in enumerate(shape):
        steps = [round(shift[axis]) for shift in shifts]
        start, stop = max(0, -min(steps)), length - max(0, *steps)
        if stop - start < LEAST_COMMON * length:
            return None
        parts.append(slice(start, stop))
    return parts[0], parts[1]


#: A grain is recognised within this fraction of its diameter, which counts as at least 1 nm.
NEAR, LEAST_DIAMETER = 0.5, 1.0
#: Spots belong to the same planes if |g| differs by less than this fraction, and the azimuth by less,
#: degrees.
SAME_G, SAME_AZIMUTH = 0.03, 6.0
#: A grain may be missing in this many frames, because weak grains are not found in all frames.
MISSED = 2
#: Cost of a pair that cannot be the same grain.
_NEVER = 1e6


@dataclass(frozen=True, slots=True)
class SeriesGrain:
    """A grain of one frame of a series.

    Attributes
    ----------
    id : int
        Id in the frame.
    component : str
        Name of its component.
    centre : tuple of float, (y, x), nm
        Relative to the first pixel of the first frame, i.e. corrected for drift.
    area, area_sigma : float, nm^2
    diameter : float, nm
    g : tuple of (y, x), 1/nm
        Frequencies of its enabled spots.

    Examples
    --------
    >>> first = SeriesGrain(1, "Cu", (5.0, 5.0), 20.0, 2.0, 5.0, ((0.0, 4.8),))
    >>> second = SeriesGrain(3, "Cu", (5.2, 5.1), 21.0, 2.0, 5.2, ((0.1, 4.8),))
    >>> follow_grains_over([[first], [second]])  # one grain, number 1 in both
    ((1,), (1,))
    """

    id: int
    component: str
    centre: tuple[float, float]
    area: float
    area_sigma: float
    diameter: float
    g: tuple[tuple[float, float], ...] = ()


def follow_grains_over(frames: Sequence[Sequence[SeriesGrain]]) -> tuple[tuple[int, ...], ...]:
    """Number the grains of a series so that a crystal has the same number in all frames.

    Two grains of successive frames are the same if the centre has moved by less than half of the larger
    diameter and at least one pair of spots belongs to the same planes; of several candidates those are chosen
    that are closest and share most planes. A grain may be missing in two frames.

    Parameters
    ----------
    frames : sequence of sequence of SeriesGrain

    Returns
    -------
    tuple of tuple of int
        For each frame the numbers of its grains, in their order, starting from 1.

    Examples
    --------
    >>> here = SeriesGrain(1, "Cu", (5.0, 5.0), 9.0, 1.0, 3.4, ((4.8, 0.0),))
    >>> there = SeriesGrain(2, "Cu", (15.0, 5.0), 9.0, 1.0, 3.4, ((4.8, 0.0),))
    >>> turned = SeriesGrain(1, "Cu", (5.2, 5.0), 9.0, 1.0, 3.4, ((0.0, 4.8),))
    >>> follow_grains_over([[here, there], [there], [turned, here]])
    ((1, 2), (2,), (3, 1))
    """
    from scipy.optimize import linear_sum_assignment  # slow to import, and only needed for series

    last: dict[int, tuple[int, SeriesGrain]] = {}  # number -> last frame with the grain, and the grain
    tracks: list[tuple[int, ...]] = []
    free = 1
    for number, grains in enumerate(frames):
        open_tracks = [track for track, (seen, _) in last.items() if number - seen <= MISSED + 1]
        cost = np.array(
            [[_cost(last[track][1], grain) for grain in grains] for track in open_tracks], float
        ).reshape(len(open_tracks), len(grains))
        found = {
            grain: open_tracks[row]
            for row, grain in zip(*map(np.ndarray.tolist, linear_sum_assignment(cost)), strict=True)
            if cost[row, grain] < _NEVER
        }
        numbers = []
        for place, grain in enumerate(grains):
            track = found.get(place, free)
            free += track == free
            last[track] = number, grain
            numbers.append(track)
        tracks.append(tuple(numbers))
    return tuple(tracks)


def _cost(one: SeriesGrain, other: SeriesGrain) -> float:
    """Distance relative to the largest allowed one, plus the fraction of planes that are not shared."""
    reach = NEAR * max(one.diameter, other.diameter, LEAST_DIAMETER)
    distance = float(np.hypot(*np.subtract(one.centre, other.centre))) / reach
    common = _planes_in_common(one, other)
    return distance + 1 - common if distance < 1 and common > 0 else _NEVER


def _planes_in_common(one: SeriesGrain, other: SeriesGrain) -> float:
    """Fraction of the spots of the grain with fewer spots that the other also has; 1 without any spots."""
    if not one.g or not other.g:
        return 1.0 if one.g == other.g else 0.0
    a, b = (np.array(grain.g, float) for grain in (one, other))
    size_a, size_b = np.hypot(*a.T)[:, None], np.hypot(*b.T)[None]
    turn = (_azimuth(a)[:, None] - _azimuth(b)[None] + 90) % 180 - 90
    same = (np.abs(size_a / size_b - 1) < SAME_G) & (np.abs(turn) < SAME_AZIMUTH)
    return float(min(same.any(axis=1).sum(), same.any(axis=0).sum()) / min(len(a), len(b)))


def _azimuth(g: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.degrees(np.arctan2(-g[:, 0], g[:, 1]))


#: Number of consecutive frames from which the specimen is determined.
STEADY = 5
#: Warning if the drift leaves too small a common field.
LITTLE_IN_COMMON = (
    "the frames share less than half of the field of view: each was analysed whole, so fractions refer to"
    " different parts of the sample from frame to frame"
)
UNKNOWN_DRIFT = (
    "the drift of {} of {} frames could not be measured: no shift from the previous frame is assumed"
)


@dataclass(frozen=True, slots=True)
class SeriesFrame:
    """Results of one frame.

    Attributes
    ----------
    frame : int
        Counted from 0.
    areas : mapping of str to (area, sigma), nm^2
        Area of each component by its name, and its uncertainty from the component's border.
    spots, grains : int
    specimen : float, nm^2
        Area of the specimen; with drift correction, the area that is specimen in most of five frames.
    problem : str
        Why the frame could not be analysed; empty if it could.
    crystals : tuple of SeriesGrain
        Its grains.
    drift : tuple of float, (y, x), nm, optional
        Shift of the sample from the first frame; None if it was not measured.

    Examples
    --------
    >>> frame = SeriesFrame(0, {"Cu": (20.0, 2.0)}, specimen=100.0)
    >>> frame.fraction("Cu")
    (0.2, 0.02)
    """

    frame: int
    areas: Mapping[str, tuple[float, float]]
    spots: int = 0
    grains: int = 0
    specimen: float = 0.0
    problem: str = ""
    crystals: tuple[SeriesGrain, ...] = ()
    drift: tuple[float, float] | None = None

    def fraction(self, component: str) -> tuple[float, float]:
        """Fraction of the specimen's area that a component covers, and its standard uncertainty.

        Examples
        --------
        >>> frame = SeriesFrame(0, {"Cu": (20.0, 2.0)}, specimen=80.0)
        >>> frame.fraction("Cu"), frame.fraction("LiF")
        ((0.25, 0.025), (0.0, 0.0))
        """
        area, sigma = self.areas.get(component, (0.0, 0.0))
        return (area / self.specimen, sigma / self.specimen) if self.specimen > 0 else (0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Series:
    """A whole series.

    Attributes
    ----------
    frames : tuple of SeriesFrame
    tracks : tuple of tuple of int
        For each frame the track numbers of its `crystals`.
    phases : tuple of str
        Ids of the phases to which names were restricted (`lock`); empty without a restriction.
    notes : tuple of str
        Remarks for the user.

    Examples
    --------
    >>> from napari_tem_fft import analyse_series, read_sample, select
    >>> series = analyse_series([read_sample("edge"), read_sample("edge")], select(["LiF", "Cu"]))
    >>> [frame.grains for frame in series.frames], series.frames[1].crystals[0].component
    ([1, 1], 'LiF')
    """

    frames: tuple[SeriesFrame, ...]
    tracks: tuple[tuple[int, ...], ...] = ()
    phases: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def series_steps(
    frames: int,
    frame: Callable[[int], Micrograph],
    choice: CandidateSet,
    params: AnalysisParams | None = None,
    segment: Segment | None = None,
    drift: bool = False,
    lock: int | None = None,
) -> Generator[Step, None, Series]:
    """Analyse frame by frame; yields a `Step` after each stage, with a `SeriesFrame` after each frame.

    A frame that cannot be analysed is reported and does not stop the others.

    Parameters
    ----------
    frames : int
        Number of frames.
    frame : callable
        Returns the frame of a given number; only one is in memory at a time.
    choice : CandidateSet
        The candidates.
    params : AnalysisParams, optional
    segment : callable, optional
        The network that proposes spots, as for `analysis_steps`.
    drift : bool
        Measure the drift first, and analyse only the field common to all frames.
    lock : int, optional
        Restrict names to the phases found in this frame; others are reported where they would fit.

    Raises
    ------
    ValueError
        If the frame `lock` does not exist, cannot be analysed or names no phase, or sizes differ.
    """
    if lock is not None and not 0 <= lock < frames:
        raise ValueError(f"there is no frame {lock} to take the phases from; choose one of 0 to {frames - 1}")
    measured, notes = None, list[str]()
    if drift:
        measuring = drift_steps(frames, frame)
        measured = yield from change_steps(measuring, lambda step: [Step(step.name, 0, frames)])
        notes += _notes_of(measured)
    cache = EvidenceCache()

    def analysed(number: int, choice: CandidateSet) -> Generator[Step, None, Analysis]:
        image = frame(number)
        image = image if measured is None else measured.cut(image, number)
        steps = analysis_steps(image, choice, params, segment, cache=cache.for_another_image())
        place = Step(f"frame {number + 1} of {frames}", found[-1].frame + 1 if found else 0, frames)
        return (yield from change_steps(steps, lambda _: [place]))  # without products

    found: list[SeriesFrame] = []
    specimens: list[NDArray[np.uint8]] = []
    pixel, kept = 0.0, None
    if lock is not None:
        kept = yield from analysed(lock, choice)
        choice = locked_choice(kept, choice, lock)
    for number in range(frames):
        try:
            seen = kept if number == lock and kept is not None else (yield from analysed(number, choice))
            result = _of_analysis(number, seen, measured)
            specimens.append(np.packbits(seen.specimen))
            pixel = seen.map_grid.pixel_area
        except ValueError as error:
            result = SeriesFrame(number, {}, problem=str(error))
        found.append(result)
        yield Step(f"frame {number + 1} of {frames}", number + 1, frames, result)
    if measured is not None and measured.common is not None and specimens:
        found = _with_specimens(found, [area * pixel for area in _steady_areas(specimens)])
    tracks = follow_grains_over([one.crystals for one in found])
    names = tuple(phase.id for phase in choice.phases) if lock is not None else ()
    return Series(tuple(found), tracks, names, tuple(notes))


def locked_choice(analysis: Analysis, choice: CandidateSet, frame: int) -> CandidateSet:
    """Restrict the candidates to the phases that an analysis has named; the others become non-candidates.

    Grains of a phase that appears later are not named as one of these; they are unknown, with the phases that
    fit.

    Raises
    ------
    ValueError
        If it names no phase.
    """
    named = {name for component in analysis.components for name in component.phases}
    phases = tuple(phase for phase in analysis.phases if phase.id in named)
    if not phases:
        raise ValueError(
            f"no phase is named in frame {frame}, so none can be taken from it: choose another frame, or none"
        )
    return CandidateSet(
        phases, non_candidates(phases, analysis.known_phases), choice.decisions, choice.stated
    )


def _steady_areas(specimens: Sequence[NDArray[np.uint8]]) -> list[int]:
    """Number of specimen pixels in each frame: those inside it in most of the five frames around it.

    In a single frame the border, and so all fractions, depend on noise. The masks are packed, because a
    series can have thousands of frames.
    """
    areas = []
    for number in range(len(specimens)):
        first = max(min(number - STEADY // 2, len(specimens) - STEADY), 0)
        around = np.unpackbits(np.array(specimens[first : first + STEADY]), axis=1)
        areas.append(int(np.count_nonzero(2 * around.sum(axis=0, dtype=int) >= len(around))))
    return areas


def _with_specimens(frames: Sequence[SeriesFrame], areas: Sequence[float]) -> list[SeriesFrame]:
    """The frames with the areas of their specimens; frames with a problem have none."""
    left = iter(areas)
    return [frame if frame.problem else replace(frame, specimen=next(left)) for frame in frames]


def _notes_of(drift: Drift) -> list[str]:
    unknown = len(drift.known) - sum(drift.known)
    notes = [UNKNOWN_DRIFT.format(unknown, len(drift.known))] if unknown else []
    return [*notes, *([LITTLE_IN_COMMON] if drift.common is None else [])]


def _of_analysis(number: int, analysis: Analysis, drift: Drift | None) -> SeriesFrame:
    size = analysis.micrograph.pixel_size
    origin = (0.0, 0.0) if drift is None else _in_nm(drift.origin(number), size)
    moved = _in_nm(drift.shifts[number], size) if drift is not None and drift.known[number] else None
    return SeriesFrame(
        number,
        {part.name: (part.area, part.area_sigma) for part in analysis.components},
        len(analysis.spots),
        len(analysis.grains),
        float(analysis.specimen.sum()) * analysis.map_grid.pixel_area,
        crystals=_crystals(analysis, origin),
        drift=moved,
    )


def _in_nm(pixels: tuple[float, float], size: tuple[float, float]) -> tuple[float, float]:
    return pixels[0] * size[0], pixels[1] * size[1]


def _crystals(analysis: Analysis, origin: tuple[float, float]) -> tuple[SeriesGrain, ...]:
    names = {match.grain: component_name(match) for match in reversed(analysis.matches)}
    enabled = {spot.id: spot.g for spot in analysis.spots if spot.enabled}
    return tuple(
        SeriesGrain(
            grain.id,
            names[grain.id],
            (grain.centre[0] + origin[0], grain.centre[1] + origin[1]),
            grain.area,
            grain.area_sigma,
            grain.diameter,
            tuple(enabled[spot] for spot in grain.spots if spot in enabled),
        )
        for grain in analysis.grains
        if grain.id in names
    )


def component_names(frames: Sequence[SeriesFrame]) -> tuple[str, ...]:
    """Names of all components of a series, in order of decreasing total area."""
    total: dict[str, float] = {}
    for frame in frames:
        for name, (area, _) in frame.areas.items():
            total[name] = total.get(name, 0.0) + area
    return tuple(sorted(total, key=lambda name: -total[name]))
