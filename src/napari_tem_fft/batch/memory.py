"""How much memory a run needs, and how many workers a limit allows."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from .sources import Source

#: Memory of the process that keeps the books, and of a worker without an image, bytes.
BOOKS = 170e6
WORKER = 180e6
#: Memory of a worker for each pixel of its image (float32 image, its transform and the cropped copies).
BYTES_A_PIXEL = 16.0
#: Smallest pixel that files hold as a rule, bytes: int16.
PIXEL_BYTES = 2
_UNITS = {"": 1.0, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}


def memory_of(workers: int, pixels: float) -> float:
    """Bytes that a run needs: books + workers x (a worker + bytes a pixel x pixels of an image).

    Parameters
    ----------
    pixels : float
        Of the largest image.
    """
    return BOOKS + workers * (WORKER + BYTES_A_PIXEL * pixels)


def workers_within(limit: float, pixels: float) -> int:
    """Most workers that fit into so many bytes, at least one.

    Parameters
    ----------
    pixels : float
        As in `memory_of`.

    Raises
    ------
    ValueError
        If not even one fits.
    """
    rest = limit - memory_of(0, pixels)
    count = int(rest // (WORKER + BYTES_A_PIXEL * pixels))
    if count < 1:
        raise ValueError(
            f"a memory limit of {limit / 1e9:.2g} GB is too small: one worker needs"
            f" {memory_of(1, pixels) / 1e9:.2g} GB for images of this size"
        )
    return count


def largest_pixels(sources: Iterable[Source]) -> float:
    """Pixels of the largest image, as far as the files' sizes tell."""
    sizes = [os.path.getsize(source.path) for source in sources if os.path.isfile(source.path)]
    return max(sizes, default=0) / PIXEL_BYTES


def parse_memory(text: str) -> float:
    """Bytes of "3G", "800M" or a number.

    Raises
    ------
    ValueError
        For anything else.
    """
    found = re.fullmatch(r"\s*([0-9.]+)\s*([KMGT]?)(?:i?B)?\s*", text, re.IGNORECASE)
    if not found or found[1].count(".") > 1 or found[1] == ".":
        raise ValueError(f"{text!r} is not a size of memory, such as 3G")
    return float(found[1]) * _UNITS[found[2].upper()]
