"""Many micrographs from Python: what the command ``batch`` does, in one call."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path

from ..batch.backends import start_workers
from ..batch.job import Job
from ..batch.run import Outcome, batch_steps
from ..batch.sources import find_sources
from ..core.pipeline import AnalysisParams
from ..core.progress import Step, exhaust
from ..core.text import LengthUnit
from ..io.results.folder import Keep
from . import reference_table, select

Input = str | PathLike[str]


def analyse_many(
    inputs: Input | Sequence[Input],
    output: Input,
    names: Sequence[str] | None = None,
    sets: Sequence[str] | None = None,
    elements: str | None = None,
    params: AnalysisParams | None = None,
    *,
    calibration_profile: Input | None = None,
    uncertainty: float | None = None,
    keep: Keep = "maps",
    unit: LengthUnit = "nm",
    workers: int | None = None,
    memory_limit: str = "",
    scheduler: str = "",
    resume: bool = False,
    on_step: Callable[[Step], None] | None = None,
    library: Input | None = None,
) -> Outcome:
    """Analyse files, folders and patterns in worker processes, with tables and a report of the run.

    In a script, call it under ``if __name__ == "__main__":``, for workers import the script.

    Parameters
    ----------
    inputs : path, or sequence of paths
    output : path
        Folder of the run: ``report.html``, ``summary.csv``, and a folder of results an image.
    names, sets, elements : optional
        The candidates, as in `napari_tem_fft.api.select`.
    params : AnalysisParams, optional
    calibration_profile : path, optional
        Corrects the scale of every image.
    uncertainty : float, optional
        Relative standard uncertainty of every scale; by default each file's own, or the profile's.
    keep : {"tables", "maps", "pictures"}
        What is kept of each image.
    unit : {"nm", "angstrom"}
        Unit of lattice spacings in tables, pictures and the report.
    workers : int, optional
        Processes; one a processor that this job may use where absent.
    memory_limit, scheduler : str
        As in `napari_tem_fft.batch.backends.start_workers`: "8G"; the address of a dask.distributed
        scheduler.
    resume : bool
        Go on with the run in the folder.
    on_step : callable, optional
        Called with a `Step` a file, whose product is its `Record`.
    library : path, optional
        A library of phases that is searched as well, such as
        `napari_tem_fft.io.phases.library.library_path()`; the run's folder gets a copy of the entries that
        may be named.

    Returns
    -------
    Outcome
        How many were analysed, failed or kept, and where.

    Raises
    ------
    ValueError
        If there is no micrograph in the inputs, a candidate is unknown, or the folder holds another run.
    OSError
        If the folder cannot be written.

    Examples
    --------
    Of a folder of micrographs, in two processes; a script says this under ``if __name__ == "__main__":``.

    >>> from napari_tem_fft import analyse_many
    >>> outcome = analyse_many("session", "results", elements="Li, F", workers=2)  # doctest: +SKIP
    >>> outcome.report  # doctest: +SKIP
    """
    given = [inputs] if isinstance(inputs, str | PathLike) else list(inputs)
    select(names, sets, elements, reference_table()[0])  # raises for a wrong name before workers start
    target = Path(os.path.abspath(output))
    found = find_sources([str(one) for one in given], target)
    if not found.sources:
        raise ValueError(f"no micrograph in {', '.join(map(str, given))}")
    job = Job(
        output=str(target),
        params=params or AnalysisParams(),
        keep=keep,
        unit=unit,
        names=None if names is None else tuple(names),
        sets=None if sets is None else tuple(sets),
        elements=elements,
        calibration_profile=None if calibration_profile is None else os.path.abspath(calibration_profile),
        calibration_uncertainty=None if uncertainty is None else round(100 * uncertainty, 10),
        library=None if library is None else os.path.abspath(library),
    )
    steps = batch_steps(
        found.sources,
        job,
        start_workers(found.sources, workers, memory_limit, scheduler),
        inputs=[str(one) for one in given],
        resume=resume,
    )
    return exhaust(steps, on_step)
