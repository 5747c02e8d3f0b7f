"""Progress as a generator: long work yields a `Step` after each stage and returns its result."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One finished stage of a longer work.

    Attributes
    ----------
    name : str
        Name of the finished stage for the user ("local spectra").
    done, total : int
        Number of finished stages and of all stages.
    product : object, optional
        Result of the stage (a dataclass of `core`), so that it can be shown before the rest is finished.
    """

    name: str
    done: int
    total: int
    product: Any = None


def exhaust(steps: Generator[Step, None, Result], on_step: Callable[[Step], None] | None = None) -> Result:
    """Run a generator of steps to its end and return its result.

    Parameters
    ----------
    steps : generator of Step
    on_step : callable, optional
        Called with each step, for example to update a progress bar.
    """
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        if on_step is not None:
            on_step(step)


def change_steps(
    steps: Generator[Step, None, Result], change: Callable[[Step], Iterable[Step]]
) -> Generator[Step, None, Result]:
    """Replace each step by other steps; the result is passed on."""
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            return cast(Result, end.value)
        yield from change(step)


def renumber_steps(
    steps: Generator[Step, None, Result], before: int, total: int
) -> Generator[Step, None, Result]:
    """The steps, counted within a longer work; their result is passed on."""
    return change_steps(steps, lambda one: [Step(one.name, before + one.done, total, one.product)])
