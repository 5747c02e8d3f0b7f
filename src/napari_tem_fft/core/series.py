"""Series: a stack analysed frame by frame, each component and each grain against time."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from .crystal.phase_selection import non_candidates
from .grains.tracks import SeriesGrain, follow_grains_over
from .image.drift import Drift, drift_steps
from .image.micrograph import Micrograph
from .maps.component_map import component_name
from .matching import EvidenceCache
from .matching.assignment import CandidateSet
from .pipeline import Analysis, AnalysisParams, Segment, analysis_steps
from .progress import Result, Step

#: Consecutive frames that together determine where the specimen is.
STEADY = 5
#: Warning if the drift leaves too little in common.
LITTLE_IN_COMMON = (
    "the frames have less than half of the field in common: each was analysed whole, so that shares are of"
    " other parts of the sample from frame to frame"
)
UNKNOWN_DRIFT = (
    "the drift of {} of {} frames could not be measured: each counts as unmoved since the one before"
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
        Area of the specimen; in a series with drift correction, where most of five frames show matter.
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
        """Share of the specimen's area that a component has, and its standard uncertainty.

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
        For each frame the numbers that its `crystals` have in all frames.
    phases : tuple of str
        The ids to which names were restricted, those of the frame that was chosen for it; empty for none.
    notes : tuple of str
        What the user should know.

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
    """Analyse frame by frame; yields a `Step` after each stage, with a `SeriesFrame` at the end of a frame.

    A frame that cannot be analysed is reported and does not stop the others.

    Parameters
    ----------
    frames : int
        How many there are.
    frame : callable
        Gives one of them; only one is in memory at a time.
    choice : CandidateSet
        What may be named.
    params : AnalysisParams, optional
    segment : callable, optional
        The network that proposes spots, as `analysis_steps` takes it.
    drift : bool
        Measure the drift first, and analyse of each frame what all have in common.
    lock : int, optional
        Names are restricted to the phases that this frame has; all others are reported where they would fit.

    Raises
    ------
    ValueError
        If there is no such frame to lock on, it cannot be analysed or names no phase, or sizes differ.
    """
    if lock is not None and not 0 <= lock < frames:
        raise ValueError(f"there is no frame {lock} to take the phases from; choose one of 0 to {frames - 1}")
    measured, notes = None, list[str]()
    if drift:
        measured = yield from _within(drift_steps(frames, frame), lambda step: Step(step.name, 0, frames))
        notes += _notes_of(measured)
    cache = EvidenceCache()

    def analysed(number: int, choice: CandidateSet) -> Generator[Step, None, Analysis]:
        image = frame(number)
        image = image if measured is None else measured.cut(image, number)
        steps = analysis_steps(image, choice, params, segment, cache=cache.for_another_image())
        place = Step(f"frame {number + 1} of {frames}", found[-1].frame + 1 if found else 0, frames)
        return (yield from _within(steps, lambda _: place))

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

    A phase that appears later is not taken for one of them: its grains are unknown, with what would fit.

    Raises
    ------
    ValueError
        If it names none.
    """
    named = {name for component in analysis.components for name in component.phases}
    phases = tuple(phase for phase in analysis.phases if phase.id in named)
    if not phases:
        raise ValueError(
            f"no phase is named in frame {frame}, so none can be taken from it: choose another frame, or none"
        )
    others = non_candidates(phases, (*analysis.phases, *analysis.others))
    return CandidateSet(phases, others, choice.decisions, choice.stated)


def _steady_areas(specimens: Sequence[NDArray[np.uint8]]) -> list[int]:
    """Specimen pixels in each frame: pixels that are matter in most of the five frames around it.

    Of one frame alone the border is a matter of its noise, and with it every share. The masks are packed, for
    a series can have thousands.
    """
    areas = []
    for number in range(len(specimens)):
        first = max(min(number - STEADY // 2, len(specimens) - STEADY), 0)
        around = np.unpackbits(np.array(specimens[first : first + STEADY]), axis=1)
        areas.append(int(np.count_nonzero(2 * around.sum(axis=0, dtype=int) >= len(around))))
    return areas


def _with_specimens(frames: Sequence[SeriesFrame], areas: Sequence[float]) -> list[SeriesFrame]:
    """The frames with the area of their specimen; those with a problem have none."""
    left = iter(areas)
    return [frame if frame.problem else replace(frame, specimen=next(left)) for frame in frames]


def _within(
    steps: Generator[Step, None, Result], as_step: Callable[[Step], Step]
) -> Generator[Step, None, Result]:
    """Steps of one part of the work, without products: the work can be cancelled at each of them."""
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            return cast(Result, end.value)
        yield as_step(step)


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
