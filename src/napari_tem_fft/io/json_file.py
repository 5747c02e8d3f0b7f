"""JSON files that somebody else may have written: read whole or refused, whatever is in them."""

from __future__ import annotations

import json
from os import PathLike
from pathlib import Path
from typing import Any, NoReturn

#: A longer file (bytes) is none of ours; the largest are those of runs of 100 000 images.
LONGEST = 2**28


def read_json(path: str | PathLike[str], longest: int = LONGEST) -> Any:
    """The content of a JSON file in UTF-8.

    Parameters
    ----------
    path : path
    longest : int, bytes

    Raises
    ------
    OSError
        If it cannot be read.
    ValueError
        If it is no ordinary file, is too long or too deep, is no JSON, or holds NaN or infinity.
    """
    path = Path(path)
    size = path.stat().st_size
    if not path.is_file():
        raise ValueError("no ordinary file")
    if size > longest:
        raise ValueError(f"{size} bytes, and at most {longest} are read")
    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_number)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")
