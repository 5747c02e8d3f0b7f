"""Edits: a person's changes of the spots, by brush, click or choice, with undo."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from napari.layers import Labels
from numpy.typing import NDArray

from ...core.pipeline import Analysis
from ...core.progress import Step
from ...core.spots.spot import Spot
from ...layers.presenter import Edited
from ...layers.reanalysis import moved_steps, painted_steps, pointed_steps, recalled_steps
from .findings import Findings

Steps = Generator[Step, None, Analysis]
History = list[tuple[Spot, ...]]


class Follow(Protocol):
    """Lets all that depends on the spots follow their change."""

    def __call__(self, findings: Findings, steps: Steps, keep_mask: bool = False) -> None:
        """Show what the steps give; `keep_mask` leaves the mask as it was painted."""


class Edits:
    """Changes of the current image's spots.

    Parameters
    ----------
    current : callable
        Gives the findings that are shown.
    follow : Follow

    Attributes
    ----------
    friedel : bool
        Whether what is painted at +g is painted (or erased) at -g at once. Otherwise a pair of spots counts
        as long as either of its discs is there.
    """

    def __init__(self, current: Callable[[], Findings | None], follow: Follow) -> None:
        self._current = current
        self._follow = follow
        self.friedel = True

    def paint(self, mask: NDArray[np.uint8], before: NDArray[np.uint8]) -> None:
        """Take over a mask that a person has painted, where it was another one before."""
        findings, after = self._current(), np.array(mask)
        if findings is None or findings.analysis is None:
            return
        if self.friedel:
            _mirror_stroke(findings, before, after)
        else:
            after |= after[::-1, ::-1]
        steps = painted_steps(findings.analysis, findings.spots, after)
        self._follow(findings, steps, keep_mask=not self.friedel)

    def point(self, g: tuple[float, float]) -> None:
        """Add the spot at a frequency (y, x) in 1/nm, refined; or enable the one that is there."""
        findings = self._current()
        if findings is not None and findings.analysis is not None:
            self._follow(findings, pointed_steps(findings.analysis, findings.spots, g))

    def enable(self, spots: Collection[int], enabled: bool) -> None:
        """Let spots count or not, by their ids."""
        self._set(lambda spot: enabled if spot.id in spots else spot.enabled)

    def keep_only(self, spots: Collection[int]) -> None:
        """Let these spots count and no others."""
        self._set(lambda spot: spot.id in spots)

    def _set(self, enabled: Callable[[Spot], bool]) -> None:
        findings = self._current()
        if findings is None or findings.analysis is None:
            return
        spots = tuple(replace(spot, enabled=enabled(spot)) for spot in findings.spots)
        if spots != findings.spots:
            self._follow(findings, moved_steps(findings.analysis, spots))

    def undo(self) -> None:
        """Go back to the spots before the last edit."""
        findings = self._current()
        if findings is not None:
            self._step_back(findings, findings.past, findings.future)

    def redo(self) -> None:
        """Take back an undo."""
        findings = self._current()
        if findings is not None:
            self._step_back(findings, findings.future, findings.past)

    def _step_back(self, findings: Findings, source: History, target: History) -> None:
        if findings.analysis is None or not source:
            return
        spots = source.pop()
        target.append(findings.spots)
        findings.spots = spots
        known = findings.with_spots(spots)
        steps = moved_steps(findings.analysis, spots) if known is None else recalled_steps(known)
        self._follow(findings, steps)


def remember(findings: Findings, product: Any) -> None:
    """Keep the spots before an edit; an undo has done so itself."""
    if isinstance(product, Edited) and product.spots != findings.spots:
        findings.past.append(findings.spots)
        findings.future.clear()


def _mirror_stroke(findings: Findings, before: NDArray[np.uint8], after: NDArray[np.uint8]) -> None:
    """Paint the mirror image of what has changed, in the array and on the layer that is shown."""
    layer = findings.group.get("mask")
    if not isinstance(layer, Labels):
        return
    changed = np.flatnonzero(before != after)
    mirrored = np.setdiff1d(after.size - 1 - changed, changed, assume_unique=True)
    after.flat[mirrored] = after.flat[after.size - 1 - mirrored]
    layer.data.flat[mirrored] = after.flat[mirrored]
    layer.refresh(extent=False, thumbnail=False)
