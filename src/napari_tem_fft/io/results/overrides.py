"""The user's overrides: phases of grains and the specimen mask, from earlier results, text or files."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.crystal.phase import Phase
from ...core.crystal.phase_selection import find_phase
from ...core.matching import OverrideKind, PhaseOverride
from ..plain import from_plain, read_array, read_json
from .folder import ANALYSIS, SPECIMEN
from .map_files import read_map

#: Prefix of a mask written as text, and largest number of pixels of a mask.
PREFIX, MOST_CELLS = "mask:", 4096 * 4096


def stored_decisions(folder: str | Path, file_hash: str) -> tuple[PhaseOverride, ...]:
    """Read the phase overrides in the results of an earlier analysis of the same file; empty if none."""
    stored = _earlier_description(Path(folder), file_hash)
    try:
        return from_plain(tuple[PhaseOverride, ...], stored.get("decisions", []))
    except (ValueError, KeyError, TypeError, AttributeError):
        return ()


def stored_specimen(folder: str | Path, file_hash: str) -> NDArray[Any] | None:
    """Read the specimen mask drawn by the user in the results of an earlier analysis of the same file."""
    if not _earlier_description(Path(folder), file_hash).get("specimen_by_user", False):
        return None
    try:
        return read_map(Path(folder) / SPECIMEN)
    except (OSError, ValueError):
        return None


def _earlier_description(folder: Path, file_hash: str) -> dict[str, Any]:
    """The description of an earlier analysis of the same file; empty if there is none."""
    try:
        stored = read_json(folder / ANALYSIS)
        same = bool(file_hash) and stored["micrograph"]["sha256"] == file_hash
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return stored if same and isinstance(stored, dict) else {}


def specimen_text(mask: NDArray[Any]) -> str:
    """Encode a specimen mask as text without spaces, for use in commands; `read_specimen` decodes it.

    Examples
    --------
    >>> text = specimen_text(np.eye(3))
    >>> read_specimen(text).astype(int).tolist()
    [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    """
    packed = zlib.compress(np.packbits(np.asarray(mask) != 0).tobytes(), 9)
    rows, columns = mask.shape
    return f"{PREFIX}{rows}x{columns}:{base64.urlsafe_b64encode(packed).decode()}"


def _decode_specimen(text: str) -> NDArray[np.bool_]:
    try:
        size, _, content = text.removeprefix(PREFIX).partition(":")
        rows, columns = (int(number) for number in size.split("x"))
        if not (rows > 0 and columns > 0 and rows * columns <= MOST_CELLS):
            raise ValueError(size)
        needed = -(-rows * columns // 8)
        packed = zlib.decompressobj().decompress(base64.urlsafe_b64decode(content), needed)
        if len(packed) != needed:
            raise ValueError("too short")
    except (ValueError, zlib.error) as error:
        raise ValueError(f"{text[:40]!r} is not a specimen mask: copy the whole command") from error
    bits = np.unpackbits(np.frombuffer(packed, np.uint8), count=rows * columns)
    return bits.reshape(rows, columns).astype(bool)


def read_specimen(path: str | Path) -> NDArray[Any]:
    """Read a specimen mask from a .tif or .npy file, or from `specimen_text`; nonzero inside the specimen.

    Raises
    ------
    ValueError
        If the file is not such an image.
    OSError
        If the file cannot be read.
    """
    if str(path).startswith(PREFIX):
        return _decode_specimen(str(path))
    path = Path(path)
    mask = read_array(path) if path.suffix.lower() == ".npy" else read_map(path)
    if mask.ndim != 2:
        raise ValueError(f"{path}: not a single mask, but an array of shape {mask.shape}")
    return mask


def read_decisions(
    kind: OverrideKind, texts: Iterable[str], table: Sequence[Phase]
) -> tuple[PhaseOverride, ...]:
    """Parse phase overrides such as "3=Cu" (GRAIN=PHASE).

    Raises
    ------
    ValueError
        If a text has another form, or the phase is unknown.
    """
    found = []
    for text in texts:
        grain, _, name = text.partition("=")
        if not grain.strip().isdecimal() or not name.strip():
            raise ValueError(f"{text!r} is not a grain's number and a phase, such as 3=Cu")
        found.append(PhaseOverride(int(grain), find_phase(table, name.strip()).id, kind))
    return tuple(found)
