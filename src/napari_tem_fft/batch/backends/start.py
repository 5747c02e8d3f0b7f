"""How many workers of which kind a run gets, and how many its memory allows."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable

from ...core.fourier.diffractogram import SpectrumParams, searched_share
from ...core.fourier.threads import processors
from ...io.readers.micrographs import read_images
from ..job import Job
from ..sources import Source
from .cluster import Cluster
from .local import LocalWorkers, Workers

#: Memory of the coordinating process, and of a worker without an image, bytes.
COORDINATOR = 170e6
WORKER = 270e6
#: Memory of a worker per pixel of its image, and per bin in the searched share of its spectrum, bytes.
#: Set, with `WORKER`, on the process of `analyse` in `tests/benchmarks/grain_memory.py`: 10, 200 and 300
#: grains in 2048 and 4096 pixels of 0.05 nm (the whole spectrum is searched) and of 0.025 nm (29 %) take 0.98
#: to 1.09 of the estimate. A batch worker, which draws no pictures but keeps freed memory, takes 0.77 to 1.16
#: of it.
BYTES_A_PIXEL, BYTES_A_BIN = 2.0, 29.0
#: Bytes of the smallest pixel that files usually hold: int16.
PIXEL_BYTES = 2
_UNITS = {"": 1.0, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}


def memory_of(workers: int, pixels: float, share: float = 1.0) -> float:
    """Bytes that a run needs: coordinator + workers x (a worker + bytes per pixel x pixels of an image).

    Parameters
    ----------
    pixels : float
        Number of pixels of the largest image.
    share : float
        Searched share of the image's spectrum; if it is unknown, 1, which needs most memory.
    """
    return COORDINATOR + workers * worker_memory(pixels, share)


def worker_memory(pixels: float, share: float = 1.0) -> float:
    """Bytes that one worker needs, such as one of a cluster: a process with one thread, and one image.

    Parameters
    ----------
    pixels, share : float
        As in `memory_of`.

    Examples
    --------
    >>> round(worker_memory(4096 * 4096) / 1e9, 2)
    0.79
    """
    return WORKER + (BYTES_A_PIXEL + BYTES_A_BIN * share) * pixels


def workers_within(limit: float, pixels: float, share: float = 1.0) -> int:
    """Most workers whose memory fits into `limit` bytes, at least one.

    Parameters
    ----------
    pixels, share : float
        As in `memory_of`.

    Raises
    ------
    ValueError
        If not even one fits.
    """
    count = int((limit - COORDINATOR) // worker_memory(pixels, share))
    if count < 1:
        raise ValueError(
            f"a memory limit of {limit / 1e9:.2g} GB is too small: one worker needs"
            f" {memory_of(1, pixels, share) / 1e9:.2g} GB for images of this size"
        )
    return count


def largest_pixels(sources: Iterable[Source]) -> float:
    """Pixels of the largest image, estimated from the sizes of the files."""
    sizes = [os.path.getsize(source.path) for source in sources if os.path.isfile(source.path)]
    return max(sizes, default=0) / PIXEL_BYTES


def share_searched(sources: Iterable[Source]) -> float:
    """Share of the spectrum that is searched in the largest image, by its pixel size; 1 if it says none."""
    paths = [source.path for source in sources if os.path.isfile(source.path)]
    try:
        image = read_images(max(paths, key=os.path.getsize))[0]
        return searched_share(image.calibration.pixel_size, SpectrumParams())
    except (ValueError, OSError, MemoryError):  # the run itself says what is wrong with a file
        return 1.0


def parse_memory(text: str) -> float:
    """Bytes of "3G", "800M" or a number.

    Raises
    ------
    ValueError
        If the text is anything else.
    """
    found = re.fullmatch(r"\s*([0-9.]+)\s*([KMGT]?)(?:i?B)?\s*", text, re.IGNORECASE)
    if not found or found[1].count(".") > 1 or found[1] == ".":
        raise ValueError(f"{text!r} is not a size of memory, such as 3G")
    return float(found[1]) * _UNITS[found[2].upper()]


def start_workers(
    sources: Iterable[Source],
    count: int | None = None,
    memory_limit: str = "",
    scheduler: str = "",
) -> Callable[[Job], Workers]:
    """What `batch_steps` hires its workers with.

    Parameters
    ----------
    sources : iterable of Source
        The largest of them says how many workers fit into the memory.
    count : int, optional
        Processes; one a processor that this job may use where absent.
    memory_limit : str
        Such as "8G": as many workers as fit, `count` at most.
    scheduler : str
        Address of a dask.distributed scheduler, or "local".

    Raises
    ------
    ValueError
        If not even one worker fits, or the limit is no size of memory.
    """
    wanted = processors() if count is None else count
    if wanted < 1:
        raise ValueError("at least one worker is needed")
    if memory_limit:
        known = tuple(sources)
        limit, pixels, share = parse_memory(memory_limit), largest_pixels(known), share_searched(known)
        fit = workers_within(limit, pixels, share)
        wanted = min(wanted, fit)
    if scheduler:
        return lambda job: Cluster(job, scheduler, wanted)
    return lambda job: LocalWorkers(job, wanted)
