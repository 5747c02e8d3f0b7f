"""Entries of the library as CIF files, in a folder or a zip archive."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Sequence
from pathlib import Path

from .entry import PhaseEntry, cif_of_entry


def export_entries(entries: Sequence[PhaseEntry], target: str | Path) -> None:
    """Write a CIF file an entry, which gives the same phase when it is read.

    Parameters
    ----------
    entries : sequence of PhaseEntry
    target : path
        A folder, which is made; or a file whose name ends in ".zip", which is written whole.

    Raises
    ------
    ValueError
        If there is nothing to write.
    OSError
        If it cannot be written.
    """
    if not entries:
        raise ValueError("no entry of the library fits: nothing to export")
    target = Path(target)
    files = {f"{file_name(entry.id)}.cif": cif_of_entry(entry) for entry in entries}
    if target.suffix.lower() != ".zip":
        target.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (target / name).write_text(text, encoding="utf-8")
        return
    beside = target.with_name(f".{target.name}.part")
    with zipfile.ZipFile(beside, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    os.replace(beside, target)


def file_name(text: str) -> str:
    """An id as the name of a file, on any system."""
    plain = "".join(letter if letter.isalnum() or letter in "-+._" else "_" for letter in text)
    return plain.strip(".")[:120] or "entry"
