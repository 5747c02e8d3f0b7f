"""Edits: a person's changes of the spots, by brush, click or choice, with undo."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from napari.layers import Labels
from numpy.typing import NDArray

from ...core.events import SpotsFound
from ...core.pipeline import Analysis
from ...core.progress import Step
from ...core.reanalysis import moved_steps, painted_steps, pointed_steps, recalled_steps
from ...core.spots.spot import Spot
from .image_state import ImageState

Steps = Generator[Step, None, Analysis]
History = list[tuple[Spot, ...]]


class Follow(Protocol):
    """Lets all that depends on the spots follow their change."""

    def __call__(self, image_state: ImageState, steps: Steps, keep_mask: bool = False) -> None:
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

    def __init__(self, current: Callable[[], ImageState | None], follow: Follow) -> None:
        self._current = current
        self._follow = follow
        self.friedel = True

    def paint(self, mask: NDArray[np.uint8], before: NDArray[np.uint8]) -> None:
        """Take over a mask that a person has painted, where it was another one before."""
        image_state, after = self._current(), np.array(mask)
        if image_state is None or image_state.analysis is None:
            return
        if self.friedel:
            _mirror_stroke(image_state, before, after)
        else:
            after |= after[::-1, ::-1]
        steps = painted_steps(image_state.analysis, image_state.spots, after, image_state.edit_cache)
        self._follow(image_state, steps, keep_mask=not self.friedel)

    def point(self, g: tuple[float, float]) -> None:
        """Add the spot at a frequency (y, x) in 1/nm, refined; or enable the one that is there."""
        image_state = self._current()
        if image_state is not None and image_state.analysis is not None:
            known = image_state.analysis, image_state.spots
            self._follow(image_state, pointed_steps(*known, g, image_state.edit_cache))

    def enable(self, spots: Collection[int], enabled: bool) -> None:
        """Let spots count or not, by their ids."""
        self._set(lambda spot: enabled if spot.id in spots else spot.enabled)

    def keep_only(self, spots: Collection[int]) -> None:
        """Let these spots count and no others."""
        self._set(lambda spot: spot.id in spots)

    def _set(self, enabled: Callable[[Spot], bool]) -> None:
        image_state = self._current()
        if image_state is None or image_state.analysis is None:
            return
        spots = tuple(replace(spot, enabled=enabled(spot)) for spot in image_state.spots)
        if spots != image_state.spots:
            self._follow(image_state, moved_steps(image_state.analysis, spots, image_state.edit_cache))

    def undo(self) -> None:
        """Go back to the spots before the last edit."""
        image_state = self._current()
        if image_state is not None:
            self._step_back(image_state, image_state.past, image_state.future)

    def redo(self) -> None:
        """Take back an undo."""
        image_state = self._current()
        if image_state is not None:
            self._step_back(image_state, image_state.future, image_state.past)

    def _step_back(self, image_state: ImageState, source: History, target: History) -> None:
        if image_state.analysis is None or not source:
            return
        spots = source.pop()
        target.append(image_state.spots)
        image_state.spots = spots
        known = image_state.with_spots(spots)
        cache = image_state.edit_cache
        steps = moved_steps(image_state.analysis, spots, cache) if known is None else recalled_steps(known)
        self._follow(image_state, steps)


def keep_for_undo(image_state: ImageState, product: Any) -> None:
    """Keep the spots before an edit; an undo has done so itself."""
    if isinstance(product, SpotsFound) and product.spots != image_state.spots:
        image_state.past.append(image_state.spots)
        image_state.future.clear()


def _mirror_stroke(image_state: ImageState, before: NDArray[np.uint8], after: NDArray[np.uint8]) -> None:
    """Paint the mirror image of what has changed, in the array and on the layer that is shown."""
    layer = image_state.group.get("mask")
    if not isinstance(layer, Labels):
        return
    changed = np.flatnonzero(before != after)
    mirrored = np.setdiff1d(after.size - 1 - changed, changed, assume_unique=True)
    after.flat[mirrored] = after.flat[after.size - 1 - mirrored]
    layer.data.flat[mirrored] = after.flat[mirrored]
    layer.refresh(extent=False, thumbnail=False)
