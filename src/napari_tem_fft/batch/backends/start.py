"""Hiring: how many workers of which kind a run gets."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ...core.fourier.threads import processors
from ..job import Job
from ..sources import Source
from .cluster import Cluster
from .local import LocalWorkers, Workers
from .memory import largest_pixels, parse_memory, share_searched, workers_within


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
