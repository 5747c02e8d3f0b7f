"""Cache of the matcher's index on disk: built once for a set of phases, read in milliseconds afterwards.

Files are named by a hash of everything that the index depends on, contain plain arrays (no pickle), and may
be deleted at any time.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import platformdirs

from ...core.crystal.phase import Phase
from ...core.crystal.phase_selection import non_candidates
from ...core.matching.assignment import CandidateSet
from ...core.matching.pair_index import PhaseIndex, build_index, index_key

#: Number of most recently used indices that are kept on disk.
KEPT = 16


def cache_folder() -> Path:
    """The folder of cached indices in the platform's cache directory."""
    return Path(platformdirs.user_cache_dir("napari-tem-fft", appauthor=False)) / "index"


def prepared_choice(phases: Sequence[Phase], table: Sequence[Phase], stated: bool = False) -> CandidateSet:
    """Prepare the candidates and all other phases of a table for the images of a run.

    `stated` is whether the user restricted the candidates by phases or elements (`CandidateSet.stated`).
    """
    candidates, others = tuple(phases), non_candidates(phases, table)
    return CandidateSet(candidates, others, (), stated, prepare_index((*candidates, *others)))


def prepare_index(phases: Sequence[Phase], folder: Path | None = None) -> PhaseIndex:
    """The index of these phases, read from disk or built.

    Parameters
    ----------
    phases : sequence of Phase
    folder : Path, optional
        Folder of cached indices; by default `cache_folder`. A folder that cannot be written is ignored.
    """
    key = index_key(phases)
    path = (folder or cache_folder()) / f"{key[:40]}.npz"
    index = _read(path, key, phases)
    if index is None:
        index = build_index(phases)
        _write(path, index)
    return index


def _read(path: Path, key: str, phases: Sequence[Phase]) -> PhaseIndex | None:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            index = PhaseIndex.from_arrays(stored, key, phases)
        os.utime(path)
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None
    return index


def _write(path: Path, index: PhaseIndex) -> None:
    """Write to a temporary file and rename it, so that no other process reads an incomplete file."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(suffix=".tmp", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            np.savez(file, allow_pickle=False, **index.arrays())
        os.replace(temporary, path)
        for old in sorted(path.parent.glob("*.npz"), key=lambda p: p.stat().st_mtime)[:-KEPT]:
            old.unlink(missing_ok=True)
    except OSError:
        return
