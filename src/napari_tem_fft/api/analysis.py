"""Analyse a micrograph or a series, choose the phases that may be named, save and load."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ..core.crystal.phase import Phase
from ..core.crystal.phase_library import PhaseLibrary
from ..core.image.micrograph import ImageStack, Micrograph
from ..core.matching import PhaseOverride
from ..core.pipeline import Analysis, AnalysisParams, Segment, analysis_steps
from ..core.progress import Step, exhaust
from ..core.series import Series, series_steps
from ..io.exchange.temfft import load_stored, save_temfft
from ..io.phases.index_cache import prepared_choice
from ..io.phases.library import open_library as open_library
from ..io.phases.table import (
    load_cif_folder,
    load_table,
    select_phases,
    user_folder,
    with_own_phases,
)
from ..io.results.folder import save_results as save_results
from ..nn.inference.model import load_segmenter, names_model
from .images import read, read_stack


def reference_table(
    cif: str | PathLike[str] | Sequence[str | PathLike[str]] | None = None,
) -> tuple[tuple[Phase, ...], tuple[str, ...]]:
    """The phases that can be named, before any choice.

    Parameters
    ----------
    cif : path or sequence of path, optional
        Folders of CIF files and CSV lists of d-spacings, or such files, which join the bundled table after
        those of the user's own folder (`user_folder`); one of the same id, name or alias takes the other's
        place.

    Returns
    -------
    phases : tuple of Phase
    notes : tuple of str
        What the user should know: files that were refused or read with a doubt, phases replaced.

    Raises
    ------
    ValueError
        If there is no such folder or file.

    Examples
    --------
    >>> phases, notes = reference_table()
    >>> next(phase.formula for phase in phases if phase.id == "LiF")
    'LiF'
    """
    phases, notes = load_table(), []
    folders = [user_folder()] if user_folder().is_dir() else []
    given = [] if cif is None else [cif] if isinstance(cif, str | PathLike) else list(cif)
    for folder in (*folders, *map(Path, given)):
        own, states = load_cif_folder(folder)
        phases, replaced = with_own_phases(phases, own)
        notes += [f"{one.file}: {one.state}: {one.reason}" for one in states if one.state != "ok"]
        notes += replaced
    return phases, tuple(notes)


def select(
    names: Sequence[str] | None = None,
    sets: Sequence[str] | None = None,
    elements: str | None = None,
    table: Sequence[Phase] | None = None,
) -> tuple[Phase, ...]:
    """Choose the phases that may be named.

    Parameters
    ----------
    names : sequence of str, optional
        Ids, names, aliases or formulas; without them the sets decide.
    sets : sequence of str, optional
        "battery", "sei", "metal", ... or "all".
    elements : str, optional
        What the sample can hold: "Li, F, O, +C, -Na".
    table : sequence of Phase, optional
        From `reference_table`; the bundled one with the user's own phases where absent.

    Returns
    -------
    tuple of Phase

    Raises
    ------
    ValueError
        If a name, set or element is unknown or ambiguous, or if no candidate is left.

    Examples
    --------
    >>> [phase.id for phase in select(names=["copper", "LiF"])]
    ['Cu', 'LiF']
    >>> "Al2O3_alpha" in [phase.id for phase in select(elements="Li, F")]
    False
    """
    phases = select_phases(reference_table()[0] if table is None else table, names, sets, elements)
    if not phases:
        raise ValueError("no phase of the table fits this choice of names, sets and elements")
    return phases


def segment_of(params: AnalysisParams) -> Segment | None:
    """Load the network that the parameters name; None if they name none.

    Raises
    ------
    ModelError
        If there is no such model, or it is damaged.

    Examples
    --------
    >>> segment_of(AnalysisParams(network="none")) is None
    True
    """
    if not names_model(params.network):
        return None
    return load_segmenter(params.network, params.spots.false_alarms)


def analyse(
    source: Micrograph | str | PathLike[str],
    phases: Sequence[Phase] | None = None,
    params: AnalysisParams | None = None,
    segment: Segment | None = None,
    on_step: Callable[[Step], None] | None = None,
    others: Sequence[Phase] | None = None,
    decisions: Sequence[PhaseOverride] = (),
    specimen: NDArray[Any] | None = None,
    library: PhaseLibrary | None = None,
    stated: bool | None = None,
) -> Analysis:
    """Run the whole chain on a micrograph.

    Parameters
    ----------
    source : Micrograph or path
        Its calibration says how well the scale is known; `read` takes that as an option.
    phases : sequence of Phase, optional
        Candidates from `select`; the whole table where absent.
    params : AnalysisParams, optional
    segment : callable, optional
        A network that proposes additional spots, from `segment_of`: for many images, load it
        once. Without it the one that the parameters name is loaded.
    on_step : callable, optional
        Called with each finished `Step`.
    others : sequence of Phase, optional
        Phases outside the candidates, reported where they would match; the rest of the
        table where absent.
    decisions : sequence of Decision, optional
        A person's overrides of grains' phases, such as those of an earlier `Analysis`.
    specimen : ndarray, shape (y, x), optional
        Not zero where there is matter, of any resolution over the whole image; found where absent.
    library : PhaseLibrary, optional
        Entries of the user's library, from `open_library`; those that fit a grain's lattice join the
        candidates, which are the whole table where `phases` is absent.
    stated : bool, optional
        Whether somebody has said what the sample holds, so that no other phase is a rival: where absent, if
        `phases` are given. Say False where they are but a set of the table.

    Returns
    -------
    Analysis

    Raises
    ------
    ReadError
        If the file cannot be read.
    CalibrationError
        If the image has no pixel size in nm.
    ValueError
        If the image cannot be transformed, the specimen is none of it, or there is no such network.

    Examples
    --------
    >>> from napari_tem_fft import analyse, read_sample, select
    >>> result = analyse(read_sample("edge"), select(["LiF", "Cu"]))
    >>> result
    <Analysis of edge: 4 spots, 1 grain; LiF>
    >>> [(part.name, str(part.outcome), f"{part.area:.0f} nm2") for part in result.components]
    [('LiF', 'identified', '42 nm2')]
    """
    micrograph = source if isinstance(source, Micrograph) else read(source)
    candidates = (select() if library is None else select(sets=("all",))) if phases is None else phases
    stated = phases is not None if stated is None else stated
    choice = prepared_choice(candidates, reference_table()[0] if others is None else others, stated)
    choice = replace(choice, decisions=tuple(decisions), library=library)
    params = params or AnalysisParams()
    segment = segment or segment_of(params)
    return exhaust(analysis_steps(micrograph, choice, params, segment, specimen), on_step)


def save(analysis: Analysis, path: str | PathLike[str], pixels: bool = True) -> Path:
    """Write a whole analysis, with the micrograph, into one ``*.temfft`` file.

    Parameters
    ----------
    analysis : Analysis
    path : path
        The suffix is added where it is missing; a folder of that name is filled.
    pixels : bool
        Keep the micrograph's pixels; else only its file and hash.

    Returns
    -------
    Path
        What was written.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from napari_tem_fft import analyse, load, read_sample, save, select
    >>> result = analyse(read_sample("film"), select(["LiF"]))
    >>> with TemporaryDirectory() as folder:
    ...     load(save(result, f"{folder}/film"))
    <Analysis of film: 0 spots, 0 grains; no crystal>
    """
    return save_temfft(Path(path), analysis, pixels)


def load(path: str | PathLike[str], micrograph: Micrograph | None = None) -> Analysis:
    """Read the analysis of a ``*.temfft`` file or folder, or of a folder of results.

    Parameters
    ----------
    path : path
    micrograph : Micrograph, optional
        For a folder of results; looked for where its file was, and in the folder, where absent.

    Raises
    ------
    ReadError
        If there is no analysis in it, it is damaged, or its micrograph is not found.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from napari_tem_fft import analyse, load, read_sample, save_results, select
    >>> result = analyse(read_sample("film"), select(["LiF"]))
    >>> with TemporaryDirectory() as folder:
    ...     load(save_results(result, folder, keep="maps"), read_sample("film"))
    <Analysis of film: 0 spots, 0 grains; no crystal>
    """
    return load_stored(Path(path), micrograph)


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
