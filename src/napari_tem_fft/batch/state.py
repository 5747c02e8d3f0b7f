"""The records of a run on disk, one line per file, and which of them a resumed run keeps.

Only the positions of the records are kept in memory, so that its use does not grow with the run.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..io.exchange.temfft import SUFFIX, load_temfft
from ..io.plain import read_json, whole_file
from ..io.readers.formats import file_hash
from ..io.results.folder import ANALYSIS, given_colours, save_results
from .job import Job
from .record import THUMBNAIL, Record, describe_record, from_json, place_thumbnail
from .sources import Source, elsewhere

JOURNAL, RUN = "records.jsonl", "run.json"


class Journal:
    """Records of a run, appended as they arrive and read back in the order of the files.

    Parameters
    ----------
    folder : Path
        Folder of the run.
    begin : iterable of Record, optional
        Start with these records; by default, continue the existing file. An incomplete last line is dropped.
    """

    def __init__(self, folder: Path, begin: Iterable[Record] | None = None) -> None:
        self._path = folder / JOURNAL
        self._places: dict[int, int] = {}
        if begin is not None:
            write_whole(self._path, "".join(f"{record.to_json()}\n" for record in begin))
        elif not self._path.exists():
            self._path.write_bytes(b"")
        self._file = self._path.open("r+b")
        self._load()

    def __len__(self) -> int:
        return len(self._places)

    def add(self, record: Record) -> None:
        """Append a record and flush it to the operating system."""
        line = record.to_json().encode() + b"\n"
        self._file.seek(0, os.SEEK_END)
        self._places[record.index] = self._file.tell()
        self._file.write(line)
        self._file.flush()

    def records(self) -> Iterator[Record]:
        """Yield the last record of each file, in the order of the files."""
        for index in sorted(self._places):
            self._file.seek(self._places[index])
            yield from_json(self._file.readline().decode())

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _load(self) -> None:
        while True:
            place = self._file.tell()
            line = self._file.readline()
            try:
                if not line.endswith(b"\n"):
                    raise ValueError("cut off")
                self._places[from_json(line.decode()).index] = place
            except ValueError:
                self._file.seek(place)
                self._file.truncate()
                return


def read_records(folder: Path) -> list[Record]:
    """The records of the run in a folder, in the order of the files; the run may be active."""
    found: dict[int, Record] = {}
    try:
        text = (folder / JOURNAL).read_text(encoding="utf-8")
    except OSError:
        return []
    for line in text.splitlines():
        with suppress(ValueError):  # an incomplete line that is still being written
            record = from_json(line)
            found[record.index] = record
    return [found[index] for index in sorted(found)]


def write_whole(path: Path, text: str) -> None:
    """Write a text file, or leave the one that is there."""
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_run(folder: Path) -> dict[str, Any] | None:
    """Read the description of the run in a folder; None if there is none.

    Raises
    ------
    ValueError
        If it cannot be read.
    """
    path = folder / RUN
    if not path.exists():
        return None
    try:
        stored = read_json(path)
        if not isinstance(stored.get("settings"), dict):
            raise ValueError("it contains no settings")
    except (OSError, ValueError, AttributeError) as error:
        raise ValueError(f"{path}: not the description of a run ({error}); choose another folder") from error
    return stored  # type: ignore[no-any-return]


#: Up to this many bytes of files are read again at the start of a run to compare hashes, which takes seconds.
READ_AGAIN = 20e9


def carry_over(
    sources: Sequence[Source], job: Job, resume: bool, strict: bool | None = None
) -> tuple[list[Record], list[Source]]:
    """Reuse valid results of an earlier run in the folder, and corrections saved next to them.

    Results of files that the user corrected in napari and saved as ``*.temfft`` are written again from that
    file.

    Parameters
    ----------
    sources : sequence of Source
    job : Job
    resume : bool
        Keep all results that are still valid; otherwise only those that the user has edited.
    strict : bool, optional
        Compare files by their hashes even if size and date agree; by default, if the files are no larger than
        `READ_AGAIN` in total.

    Returns
    -------
    list of Record, list of Source
        Records of the files whose results are kept, and the remaining files.
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
        kept = record and _valid_record(replace(record, index=source.index), job, strict)
        if kept and (resume or kept.corrected):
            done.append(kept)
        else:
            waiting.append(source)
    return done, elsewhere(waiting, {record.folder.casefold() for record in done})


def _valid_record(record: Record, job: Job, strict: bool) -> Record | None:
    """The record, read again if the user edited the results; None if the file or its results changed."""
    path, folder = Path(record.path), Path(job.output) / record.folder
    try:
        stat = path.stat()
        same = (stat.st_size, stat.st_mtime_ns) == (record.size, record.modified)
        if (strict or not same) and file_hash(path) != record.sha256:
            return None
        _adopt_saved_analysis(folder, record, job)
        if (folder / ANALYSIS).stat().st_mtime_ns == record.written:
            return record
        return describe_record(folder, record)
    except (OSError, ValueError):
        return None


def _adopt_saved_analysis(folder: Path, record: Record, job: Job) -> None:
    """Adopt the newest analysis of the file that the user saved as ``*.temfft`` in or next to the results."""
    neighbours = [folder.with_name(f"{name}{SUFFIX}") for name in (folder.name, folder.stem)]
    saved = [path for path in (*folder.glob(f"*{SUFFIX}"), *neighbours) if path.exists()]
    written = (folder / ANALYSIS).stat().st_mtime_ns
    age = {path: written - path.stat().st_mtime_ns for path in saved}
    for path in sorted((path for path in saved if age[path] < 0), key=age.__getitem__):  # the newest first
        with suppress(ValueError, OSError):
            analysis = load_temfft(path).analysis
            if analysis is None or analysis.micrograph.file_hash != record.sha256:
                continue
            known = given_colours(Path(job.output), (part.name for part in analysis.components))
            save_results(analysis, folder, job.keep, unit=job.unit, known=known)
            if (folder / THUMBNAIL).exists():
                place_thumbnail(folder, analysis, known)
            return
