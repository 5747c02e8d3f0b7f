"""The part of `api` about series: a stack, or several images as frames, against time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from os import PathLike

from ..core.crystal.phase import Phase
from ..core.image.micrograph import Micrograph
from ..core.image.stack import ImageStack
from ..core.pipeline import AnalysisParams, Segment
from ..core.progress import Step, exhaust
from ..core.series import Series, series_steps
from ..io.phases.index_cache import prepared_choice
from .analysis import reference_table, segment_of, select
from .images import read, read_stack

Frame = Micrograph | str | PathLike[str]


def analyse_series(
    source: ImageStack | str | PathLike[str] | Sequence[Frame],
    phases: Sequence[Phase] | None = None,
    params: AnalysisParams | None = None,
    segment: Segment | None = None,
    on_step: Callable[[Step], None] | None = None,
    others: Sequence[Phase] | None = None,
    drift: bool = True,
    lock: int | None = None,
) -> Series:
    """Analyse frame after frame, and follow grains from one to the next.

    Parameters
    ----------
    source : ImageStack, path of one, or sequence of Micrograph or path
        From `read_stack`; or images of one size, the frames in their order.
    phases, params, segment, others : optional
        As `analyse` takes them.
    on_step : callable, optional
        Called with each `Step`; that at a frame's end has its `SeriesFrame` as product.
    drift : bool
        Measure the drift first, and analyse of each frame what all have in common.
    lock : int, optional
        Names are restricted to the phases that this frame has.

    Returns
    -------
    Series
        Its `frames` have areas and shares with uncertainties, its `tracks` the numbers of their grains.

    Raises
    ------
    ReadError
        If a file cannot be read, or holds no stack.
    ValueError
        If there is no such frame to lock on or it names no phase, or frames differ in size.

    Examples
    --------
    >>> from napari_tem_fft import analyse_series, read_sample, select
    >>> series = analyse_series([read_sample("edge"), read_sample("edge")], select(["LiF", "Cu"]))
    >>> [sorted(frame.areas) for frame in series.frames], series.tracks  # one grain, number 1 in both
    ([['LiF'], ['LiF']], ((1,), (1,)))
    """
    images = read_stack(source) if isinstance(source, str | PathLike) else source
    candidates = select() if phases is None else phases
    table = reference_table()[0] if others is None else others
    choice = prepared_choice(candidates, table, phases is not None)
    params = params or AnalysisParams()
    network = segment or segment_of(params)
    steps = series_steps(len(images), lambda n: _frame(images, n), choice, params, network, drift, lock)
    return exhaust(steps, on_step)


def _frame(images: ImageStack | Sequence[Frame], number: int) -> Micrograph:
    if isinstance(images, ImageStack):
        return images.frame(number)
    frame = images[number]
    return frame if isinstance(frame, Micrograph) else read(frame)
