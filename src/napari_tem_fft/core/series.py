"""Series: a stack analysed frame by frame, and the area of each component against time."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass

from .crystal.phase import Phase
from .image.micrograph import Micrograph
from .matching import EvidenceCache
from .pipeline import Analysis, AnalysisParams, Segment, analysis_steps
from .progress import Step


@dataclass(frozen=True, slots=True)
class SeriesFrame:
    """What was found in one frame.

    Attributes
    ----------
    frame : int
        Counted from 0.
    areas : mapping of str to (area, sigma), nm^2
        Of each component by its name.
    spots, grains : int
    specimen : float, nm^2
    problem : str
        Why the frame could not be analysed; empty if it could.
    """

    frame: int
    areas: Mapping[str, tuple[float, float]]
    spots: int = 0
    grains: int = 0
    specimen: float = 0.0
    problem: str = ""


def series_steps(
    frames: int,
    frame: Callable[[int], Micrograph],
    phases: Sequence[Phase],
    params: AnalysisParams | None = None,
    segment: Segment | None = None,
) -> Generator[Step, None, tuple[SeriesFrame, ...]]:
    """Analyse frame after frame; a `Step` after each stage, its product a `SeriesFrame` at a frame's end.

    A frame that cannot be analysed is reported and does not stop the others.

    Parameters
    ----------
    frames : int
        How many there are.
    frame : callable
        Gives one of them; only one is in memory at a time.
    segment : callable, optional
        The network that proposes spots, as `analysis_steps` takes it.
    """
    found = []
    cache = EvidenceCache()
    for number in range(frames):
        name = f"frame {number + 1} of {frames}"
        try:
            steps = analysis_steps(frame(number), phases, params, segment, cache=cache.for_another_image())
            seen = yield from _within(steps, Step(name, number, frames))
            result = _of_analysis(number, seen)
        except ValueError as error:
            result = SeriesFrame(number, {}, problem=str(error))
        found.append(result)
        yield Step(name, number + 1, frames, result)
    return tuple(found)


def _within(steps: Generator[Step, None, Analysis], place: Step) -> Generator[Step, None, Analysis]:
    """Steps of one frame: each a point at which the work can be given up."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        yield place


def _of_analysis(number: int, analysis: Analysis) -> SeriesFrame:
    return SeriesFrame(
        number,
        {part.name: (part.area, part.area_sigma) for part in analysis.components},
        len(analysis.spots),
        len(analysis.grains),
        float(analysis.specimen.sum()) * analysis.map_grid.pixel_area,
    )


def component_names(frames: Sequence[SeriesFrame]) -> tuple[str, ...]:
    """Names of all components of a series, the largest in sum first."""
    total: dict[str, float] = {}
    for frame in frames:
        for name, (area, _) in frame.areas.items():
            total[name] = total.get(name, 0.0) + area
    return tuple(sorted(total, key=lambda name: -total[name]))
