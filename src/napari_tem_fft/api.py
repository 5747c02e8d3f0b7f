"""What the dock does, in a few lines of Python.

>>> from napari_tem_fft import analyse, read
>>> result = analyse(read("micrograph.dm4"))
>>> [(part.name, part.outcome, part.area) for part in result.components]
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path

from .core.calibration import Calibration
from .core.micrograph import Micrograph
from .core.phases import Phase
from .core.pipeline import Analysis, AnalysisParams, Segment, analysis_steps
from .core.progress import Step, exhaust
from .io.dm import read_micrograph
from .io.phases import load_cif_folder, load_table, select_phases, with_own_phases

__all__ = ["analyse", "read", "reference_table", "select"]


def read(
    path: str | PathLike[str],
    pixel_size: float | tuple[float, float] | None = None,
    image: int | None = None,
    frame: int | None = None,
) -> Micrograph:
    """Read a .dm3 or .dm4 file.

    Parameters
    ----------
    path : path
    pixel_size : float or tuple of float, (y, x), nm, optional
        Takes the place of the file's.
    image, frame : int, optional
        Which image of the file, which frame of a stack, both counted from 0.

    Returns
    -------
    Micrograph

    Raises
    ------
    ReadError
        If the file cannot be read, or holds no image.
    """
    micrograph = read_micrograph(path, image, frame)
    if pixel_size is None:
        return micrograph
    return replace(micrograph, calibration=Calibration.real(pixel_size, "given by the user"))


def reference_table(cif: str | PathLike[str] | None = None) -> tuple[tuple[Phase, ...], tuple[str, ...]]:
    """The phases that can be named, before any choice.

    Parameters
    ----------
    cif : path, optional
        Folder of CIF files and CSV lists of d-spacings, which join the bundled table; one of the same
        id, name or alias takes the bundled one's place.

    Returns
    -------
    phases : tuple of Phase
    notes : tuple of str
        What the user should know: files that were refused or read with a doubt, phases replaced.

    Raises
    ------
    ValueError
        If there is no such folder.
    """
    if cif is None:
        return load_table(), ()
    own, states = load_cif_folder(Path(cif))
    phases, replaced = with_own_phases(load_table(), own)
    doubts = (f"{one.file}: {one.state}: {one.reason}" for one in states if one.state != "ok")
    return phases, (*doubts, *replaced)


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
        From `reference_table`; the bundled one where absent.

    Returns
    -------
    tuple of Phase

    Raises
    ------
    ValueError
        For a name, set or element that is unknown or ambiguous, or if nothing is left.
    """
    phases = select_phases(load_table() if table is None else table, names, sets, elements)
    if not phases:
        raise ValueError("no phase of the table fits this choice of names, sets and elements")
    return phases


def analyse(
    source: Micrograph | str | PathLike[str],
    phases: Sequence[Phase] | None = None,
    params: AnalysisParams | None = None,
    segment: Segment | None = None,
    on_step: Callable[[Step], None] | None = None,
) -> Analysis:
    """Run the whole chain on a micrograph.

    Parameters
    ----------
    source : Micrograph or path
    phases : sequence of Phase, optional
        Candidates from `select`; the default sets where absent.
    params : AnalysisParams, optional
    segment : callable, optional
        A network that proposes spots beside the classical detector.
    on_step : callable, optional
        Called with each finished `Step`.

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
        If the image cannot be transformed.
    """
    micrograph = source if isinstance(source, Micrograph) else read(source)
    candidates = select() if phases is None else phases
    return exhaust(analysis_steps(micrograph, candidates, params, segment), on_step)
