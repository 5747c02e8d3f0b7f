"""Analysis of many micrographs from Python, like the command ``batch``."""

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

    In a script, call it under ``if __name__ == "__main__":``, because the workers import the script.

    Parameters
    ----------
    inputs : path, or sequence of paths
    output : path
        Folder of the run: ``report.html``, ``summary.csv``, and a results folder per image.
    names, sets, elements : optional
        The candidates, as for `napari_tem_fft.api.select`.
    params : AnalysisParams, optional
    calibration_profile : path, optional
        Profile that corrects the scale of all images.
    uncertainty : float, optional
        Relative standard uncertainty of all scales; by default that of each file, or of the profile.
    keep : {"tables", "maps", "pictures"}
        Which results are kept for each image.
    unit : {"nm", "angstrom"}
        Unit of d-spacings in tables, figures and the report.
    workers : int, optional
        Number of processes; by default one for each processor available to this process.
    memory_limit, scheduler : str
        As in `napari_tem_fft.batch.backends.start_workers`: "8G"; the address of a dask.distributed
        scheduler.
    resume : bool
        Continue the run in the folder.
    on_step : callable, optional
        Called with a `Step` per file, whose product is its `Record`.
    library : path, optional
        A phase library that is searched as well, such as
        `napari_tem_fft.io.phases.library.library_path()`; the entries that may be named are copied to the
        run's folder.

    Returns
    -------
    Outcome
        Numbers of files that were analysed, failed or kept, and the folder.

    Raises
    ------
    ValueError
        If there is no micrograph in the inputs, a candidate is unknown, or the folder contains another run.
    OSError
        If the folder cannot be written.

    Examples
    --------
    Analyse a folder of micrographs in two processes; in a script, under ``if __name__ == "__main__":``.

    >>> from napari_tem_fft import analyse_many
    >>> outcome = analyse_many("session", "results", elements="Li, F", workers=2)  # doctest: +SKIP
    >>> outcome.report  # doctest: +SKIP
    """
    given = [inputs] if isinstance(inputs, str | PathLike) else list(inputs)
    select(names, sets, elements, reference_table()[0])  # raises for unknown names before workers start
    target = Path(os.path.abspath(output))
    found = find_sources([str(one) for one in given], target)
    if not found.sources:
        raise ValueError(f"there is no micrograph in {', '.join(map(str, given))}")
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
