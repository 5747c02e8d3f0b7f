"""Engine: analyse one file of a run and write its results, in a worker process or on a cluster."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from threading import Lock

from .. import api
from ..core.matching import EvidenceCache
from ..core.matching.assignment import CandidateSet
from ..core.pipeline import Analysis, Segment, analysis_steps
from ..core.progress import exhaust
from ..io.exchange.calibration_profile import CalibrationProfile, load_profile
from ..io.phases.index_cache import prepared_choice
from ..io.phases.library import open_library, unasked_library
from ..io.results.folder import given_colours, load_results, save_results
from ..io.results.overrides import stored_decisions, stored_specimen
from .job import Job
from .record import Record, describe_record, place_thumbnail
from .sources import Source

#: Prefix of a reason that reports a crash of this program itself.
UNEXPECTED = "unexpected"


@dataclass(frozen=True, slots=True, eq=False)
class Engine:
    """What a worker process loads once: candidates, evidence cache, calibration profile and network."""

    job: Job
    choice: CandidateSet
    evidence: EvidenceCache
    profile: CalibrationProfile | None
    segment: Segment | None


#: Threads of one process, such as a dask worker's, wait until the first one has loaded the engine.
_loading = Lock()


def engine_of(job: Job) -> Engine:
    """The engine of a job, loaded on its first use in this process.

    Raises
    ------
    ValueError, OSError
        If the candidates, the profile or the network do not exist.
    """
    with _loading:
        return _load_engine(job)


@lru_cache(maxsize=1)
def _load_engine(job: Job) -> Engine:
    table, _ = api.reference_table(job.cif)
    whole_table = job.library is not None and job.elements is None and job.sets is None
    phases = api.select(job.names, ("all",) if whole_table else job.sets, job.elements, table)
    profile = None if job.calibration_profile is None else load_profile(job.calibration_profile)
    stated = job.names is not None or job.elements is not None
    choice, segment = prepared_choice(phases, table, stated), api.segment_of(job.params)
    if job.library is not None:
        choice = replace(choice, library=open_library(None, job.library_copy, table))
    else:
        choice = replace(choice, searched=unasked_library(job.elements))
    return Engine(job, choice, EvidenceCache(), profile, segment)


def analyse_source(job: Job, source: Source, attempt: int = 1) -> Record:
    """Analyse a file and keep the results that the job requests; errors are reported in the record.

    Parameters
    ----------
    attempt : int
        2 if a worker has already died while analysing this file.
    """
    start = time.perf_counter()
    record = Record(source.index, source.path, source.folder, attempts=attempt)
    try:
        engine = engine_of(job)
        analysis = _analyse(engine, source)
    except (ValueError, OSError, MemoryError) as error:
        return _with_time(_failed_record(record, str(error) or type(error).__name__), start)
    except Exception as error:  # an error of this program must not stop the analysis of the other files
        return _with_time(_failed_record(record, f"{UNEXPECTED} {type(error).__name__}: {error}"), start)
    try:
        folder = _keep_results(job, source, analysis)
        return _with_time(describe_record(folder, record), start)
    except OSError as error:
        reason = f"the results cannot be written: {error.strerror or error} ({error.filename or job.output})"
        return _with_time(replace(record, state="stopped", reason=reason), start)
    except Exception as error:  # results that cannot be read back, and any other unforeseen error
        return _with_time(_failed_record(record, f"{UNEXPECTED} {type(error).__name__}: {error}"), start)


def open_analysis(job: Job, record: Record) -> Analysis:
    """Load the analysis of a finished file from its results; the run may still be active.

    Raises
    ------
    ValueError, OSError
        If the file or its results no longer exist, or only tables were kept.
    """
    micrograph = api.read(record.path, image=job.image, frame=job.frame)
    return load_results(Path(job.output) / record.folder, micrograph)


def _analyse(engine: Engine, source: Source) -> Analysis:
    job = engine.job
    path = Path(source.path)
    if not path.exists():
        raise FileNotFoundError(f"{path.name}: the file no longer exists")
    micrograph = api.read(path, job.pixel_size, job.image, job.frame, engine.profile, job.uncertainty)
    folder = Path(job.output) / source.folder
    decided = stored_decisions(folder, micrograph.file_hash)
    drawn = stored_specimen(folder, micrograph.file_hash)
    choice, evidence = replace(engine.choice, decisions=decided), engine.evidence.for_another_image()
    return exhaust(analysis_steps(micrograph, choice, job.params, engine.segment, drawn, evidence))


def _keep_results(job: Job, source: Source, analysis: Analysis) -> Path:
    known = given_colours(Path(job.output), (part.name for part in analysis.components))
    folder = save_results(analysis, Path(job.output) / source.folder, job.keep, unit=job.unit, known=known)
    if job.thumbnails:
        place_thumbnail(folder, analysis, known)
    return folder


def _failed_record(record: Record, reason: str) -> Record:
    path = Path(record.path)
    for name in (path.name, path.stem):
        reason = reason.removeprefix(f"{name}: ")
    return replace(record, state="failed", reason=reason)


def _with_time(record: Record, start: float) -> Record:
    return replace(record, seconds=round(time.perf_counter() - start, 3))
