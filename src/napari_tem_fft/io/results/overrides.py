"""What a person has said of grains' phases and of the specimen: kept in results, given as text or file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ...core.crystal.phase import Phase
from ...core.crystal.phase_selection import find_phase
from ...core.matching import OverrideKind, PhaseOverride
from ..json_file import read_json
from ..plain import from_plain
from ..readers.arrays import read_array
from .folder import ANALYSIS, SPECIMEN
from .map_files import read_map


def stored_decisions(folder: str | Path, file_hash: str) -> tuple[PhaseOverride, ...]:
    """The decisions in the results of an earlier analysis of the same file; none where there are none."""
    stored = _earlier(Path(folder), file_hash)
    try:
        return from_plain(tuple[PhaseOverride, ...], stored.get("decisions", []))
    except (ValueError, KeyError, TypeError, AttributeError):
        return ()


def stored_specimen(folder: str | Path, file_hash: str) -> NDArray[Any] | None:
    """The specimen mask that a person drew, in the results of an earlier analysis of the same file."""
    if not _earlier(Path(folder), file_hash).get("specimen_by_user", False):
        return None
    try:
        return read_map(Path(folder) / SPECIMEN)
    except (OSError, ValueError):
        return None


def _earlier(folder: Path, file_hash: str) -> dict[str, Any]:
    """The description of an earlier analysis of the same file; empty where there is none."""
    try:
        stored = read_json(folder / ANALYSIS)
        same = bool(file_hash) and stored["micrograph"]["sha256"] == file_hash
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return stored if same and isinstance(stored, dict) else {}


def read_specimen(path: str | Path) -> NDArray[Any]:
    """A specimen mask from a .tif or .npy file: not zero where there is matter.

    Raises
    ------
    ValueError
        If the file is no such image.
    OSError
        If it cannot be read.
    """
    path = Path(path)
    mask = read_array(path) if path.suffix.lower() == ".npy" else read_map(path)
    if mask.ndim != 2:
        raise ValueError(f"{path}: not one mask, but an array of shape {mask.shape}")
    return mask


def read_decisions(
    kind: OverrideKind, texts: Iterable[str], table: Sequence[Phase]
) -> tuple[PhaseOverride, ...]:
    """Decisions from "GRAIN=PHASE", such as "3=Cu".

    Raises
    ------
    ValueError
        If a text is something else, or there is no such phase.
    """
    return tuple(_decision(kind, text, table) for text in texts)


def _decision(kind: OverrideKind, text: str, table: Sequence[Phase]) -> PhaseOverride:
    grain, _, name = text.partition("=")
    if not grain.strip().isdecimal() or not name.strip():
        raise ValueError(f"{text!r} is not a grain's number and a phase, such as 3=Cu")
    return PhaseOverride(int(grain), find_phase(table, name.strip()).id, kind)
