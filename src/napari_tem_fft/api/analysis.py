"""Analyse a micrograph or a series, select candidate phases, save and load analyses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ..core.crystal.phase import Phase
from ..core.crystal.phase_library import PhaseLibrary
from ..core.crystal.phase_selection import select_phases
from ..core.image.micrograph import ImageStack, Micrograph
from ..core.matching import PhaseOverride
from ..core.pipeline import Analysis, AnalysisParams, Segment, analysis_steps
from ..core.progress import Step, exhaust
from ..core.series import Series, series_steps
from ..io.exchange.temfft import load_stored, save_temfft
from ..io.phases.index_cache import prepared_choice
from ..io.phases.library import open_library as open_library
from ..io.phases.table import load_cif_folder, load_table, user_folder, with_own_phases
from ..io.results.folder import save_results as save_results
from ..nn.inference.model import load_segmenter, names_model
from .images import read, read_stack


def reference_table(
    cif: str | PathLike[str] | Sequence[str | PathLike[str]] | None = None,
) -> tuple[tuple[Phase, ...], tuple[str, ...]]:
    """Load the phases that can be named, before any selection.

    Parameters
    ----------
    cif : path or sequence of path, optional
        Folders of CIF files and CSV lists of d-spacings, or single files, that are added to the bundled table
        after those of the user's own folder (`user_folder`). A phase replaces earlier ones with the same id,
        name or alias.

    Returns
    -------
    phases : tuple of Phase
    notes : tuple of str
        Remarks for the user: files that were refused or read with doubts, and phases that were replaced.

    Raises
    ------
    ValueError
        If a folder or file does not exist.

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
    """Select the phases that may be named.

    Parameters
    ----------
    names : sequence of str, optional
        Ids, names, aliases or formulas; by default the sets are used.
    sets : sequence of str, optional
        "battery", "sei", "metal", ... or "all".
    elements : str, optional
        Elements that the sample can contain: "Li, F, O, +C, -Na".
    table : sequence of Phase, optional
        From `reference_table`; by default the bundled table with the user's own phases.

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
        raise ValueError("no phase of the table matches this selection of names, sets and elements")
    return phases


def segment_of(params: AnalysisParams) -> Segment | None:
    """Load the network selected by the parameters; None if they select none.

    Raises
    ------
    ModelError
        If the model does not exist or is damaged.

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
    """Analyse a micrograph: find spots and grains, name the phases, and map the components.

    Parameters
    ----------
    source : Micrograph or path
        Its calibration includes the uncertainty of the scale, which `read` takes as an option.
    phases : sequence of Phase, optional
        Candidates from `select`; by default the whole table.
    params : AnalysisParams, optional
    segment : callable, optional
        A network that proposes additional spots, from `segment_of`; load it once to analyse many images.
        By default the one selected by the parameters is loaded.
    on_step : callable, optional
        Called with each finished `Step`.
    others : sequence of Phase, optional
        Phases outside the candidates, which are reported where they would match; by default the rest of
        the table.
    decisions : sequence of PhaseOverride, optional
        The user's overrides of grains' phases, for example those of an earlier `Analysis`.
    specimen : ndarray, shape (y, x), optional
        Specimen mask, nonzero inside the specimen, of any resolution over the whole image; by default it is
        determined from the image.
    library : PhaseLibrary, optional
        Entries of the user's library, from `open_library`; those that fit a grain's lattice are added to the
        candidates, which are the whole table by default.
    stated : bool, optional
        Whether the user has restricted the sample to these phases, so that no other phase is considered; by
        default, whether `phases` are given. Use False if they are only a set of the table.

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
        If the image cannot be transformed, the specimen mask does not match it, or there is no such network.

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
    """Save an analysis with its micrograph to a ``*.temfft`` file.

    Parameters
    ----------
    analysis : Analysis
    path : path
        The suffix is added if it is missing; if a folder of that name exists, it is used instead of a file.
    pixels : bool
        Store the micrograph's pixels; otherwise only the name and hash of its file.

    Returns
    -------
    Path
        The file or folder written.

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
    """Load an analysis from a ``*.temfft`` file or folder, or from a results folder.

    Parameters
    ----------
    path : path
    micrograph : Micrograph, optional
        For a results folder; by default it is read from its original path, or from the folder.

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
    """Analyse frames one after the other, and track grains from frame to frame.

    Parameters
    ----------
    source : ImageStack, path of one, or sequence of Micrograph or path
        From `read_stack`; or images of the same size, in the order of the frames.
    phases, params, segment, others : optional
        As for `analyse`.
    on_step : callable, optional
        Called with each `Step`; the last one of a frame has its `SeriesFrame` as product.
    drift : bool
        Measure the drift first, and analyse only the region common to all frames.
    lock : int, optional
        Restrict the names to the phases found in this frame.

    Returns
    -------
    Series
        Its `frames` have areas and shares with uncertainties, its `tracks` the track numbers of their grains.

    Raises
    ------
    ReadError
        If a file cannot be read, or contains no stack.
    ValueError
        If the frame `lock` does not exist or names no phase, or the frames differ in size.

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
