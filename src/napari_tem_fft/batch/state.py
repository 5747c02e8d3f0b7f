"""Journal: the records of a run on disk, one line a file, in the order in which they were done.

Memory holds only where each record lies, so a run of any length is as small as a short one.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..io.plain import read_json
from .record import Record, from_json

JOURNAL, RUN = "records.jsonl", "run.json"


class Journal:
    """Records of a run, appended as they come and read back in the order of the files.

    Parameters
    ----------
    folder : Path
        The run's.
    begin : iterable of Record, optional
        Start with these; else continue what is there. A last line that was cut off is dropped.
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
        """Append a record; it is on its way to the disk when this returns."""
        line = record.to_json().encode() + b"\n"
        self._file.seek(0, os.SEEK_END)
        self._places[record.index] = self._file.tell()
        self._file.write(line)
        self._file.flush()

    def records(self) -> Iterator[Record]:
        """The last record of each file, in the order of the files."""
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
    """The records of the run in a folder, in the order of the files; also of one that is under way."""
    found: dict[int, Record] = {}
    try:
        text = (folder / JOURNAL).read_text(encoding="utf-8")
    except OSError:
        return []
    for line in text.splitlines():
        with suppress(ValueError):  # a line that is being written
            record = from_json(line)
            found[record.index] = record
    return [found[index] for index in sorted(found)]


def write_whole(path: Path, text: str) -> None:
    """Write a text file under a temporary name, then rename it."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def read_run(folder: Path) -> dict[str, Any] | None:
    """The description of the run in a folder; None if there is none.

    Raises
    ------
    ValueError
        If there is one that cannot be read.
    """
    path = folder / RUN
    if not path.exists():
        return None
    try:
        stored = read_json(path)
        if not isinstance(stored.get("settings"), dict):
            raise ValueError("no settings in it")
    except (OSError, ValueError, AttributeError) as error:
        raise ValueError(f"{path}: not the description of a run ({error}); choose another folder") from error
    return stored  # type: ignore[no-any-return]
