"""What an earlier run in the folder has left: which results still hold, and what a person made of them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from ..io.exchange.temfft import SUFFIX, load_temfft
from ..io.readers.signature import file_hash
from ..io.results.folder import ANALYSIS, save_results
from ..io.results.kept_colours import given_colours
from .job import Job
from .record import Record, describe_record
from .sources import Source, elsewhere
from .state import Journal
from .thumbnail import THUMBNAIL, place_thumbnail

#: Most bytes of files that are read again at the start of a run, to compare hashes: this takes a few seconds.
READ_AGAIN = 20e9


def already_done(
    sources: Sequence[Source], job: Job, resume: bool, strict: bool | None = None
) -> tuple[list[Record], list[Source]]:
    """Records of files whose results are kept, and the other files.

    Parameters
    ----------
    resume : bool
        Keep all that still hold; else only what a person corrected.
    strict : bool, optional
        Tell by their hash whether files are the same, and not by size and date where these agree; where
        absent, if they are no more than `READ_AGAIN` in all.
    """
    folder = Path(job.output)
    journal = Journal(folder)
    earlier = {record.path: record for record in journal.records() if record.state == "analysed"}
    journal.close()
    known = [earlier.get(source.path) for source in sources]
    if strict is None:
        strict = sum(record.size for record in known if record) <= READ_AGAIN
    done, waiting = [], []
    for source, record in zip(sources, known, strict=True):
        kept = record and _still_there(replace(record, index=source.index), job, strict)
        if kept and (resume or kept.corrected):
            done.append(kept)
        else:
            waiting.append(source)
    return done, elsewhere(waiting, {record.folder.casefold() for record in done})


def _still_there(record: Record, job: Job, strict: bool) -> Record | None:
    """The record, read again if a person changed the results; None if file or results are others now."""
    path, folder = Path(record.path), Path(job.output) / record.folder
    try:
        stat = path.stat()
        same = (stat.st_size, stat.st_mtime_ns) == (record.size, record.modified)
        if (strict or not same) and file_hash(path) != record.sha256:
            return None
        _adopt(folder, record, job)
        if (folder / ANALYSIS).stat().st_mtime_ns == record.written:
            return record
        return describe_record(folder, record)
    except (OSError, ValueError):
        return None


def _adopt(folder: Path, record: Record, job: Job) -> None:
    """Take over the newest analysis of the file that a person saved as ``*.temfft`` in or next to results."""
    neighbours = [folder.with_name(f"{name}{SUFFIX}") for name in (folder.name, folder.stem)]
    saved = [path for path in (*folder.glob(f"*{SUFFIX}"), *neighbours) if path.exists()]
    written = (folder / ANALYSIS).stat().st_mtime_ns
    for path in sorted((path for path in saved if path.stat().st_mtime_ns > written), key=_age):
        with suppress(ValueError, OSError):
            analysis = load_temfft(path).analysis
            if analysis is None or analysis.micrograph.file_hash != record.sha256:
                continue
            known = given_colours(Path(job.output), (part.name for part in analysis.components))
            save_results(analysis, folder, job.keep, unit=job.unit, known=known)
            if (folder / THUMBNAIL).exists():
                place_thumbnail(folder, analysis, known)
            return


def _age(path: Path) -> int:
    """Newest first."""
    return -path.stat().st_mtime_ns
