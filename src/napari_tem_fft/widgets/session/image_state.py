"""State of an image layer: its results so far, its mask while it is painted, and edits with undo.

A brush stroke, a fill and a polygon each emit napari's ``paint`` event once, when they are finished. Undo and
redo only emit ``set_data``, as many other actions do; the mask is then compared with its last known state.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from napari.layers import Image, Labels, Layer
from numpy.typing import NDArray
from qtpy.QtCore import QObject, QTimer, Signal

from ...core.crystal.phase import Phase
from ...core.grains.grain import Grain
from ...core.image.calibration import Calibration
from ...core.image.micrograph import Micrograph
from ...core.maps.component_map import ComponentMap
from ...core.matching import EvidenceCache, GrainMatch, PhaseOverride, merge_overrides
from ...core.matching.assignment import CandidateSet
from ...core.pipeline import (
    Analysis,
    AnalysisParams,
    GrainsFound,
    MapsReady,
    MaskPainted,
    PhasesAssigned,
    ProfilesReady,
    Segment,
    SpotsFound,
    analysis_steps,
)
from ...core.profile.radial_profile import RadialProfile
from ...core.progress import Step
from ...core.reanalysis import EditCache, moved_steps, painted_steps, pointed_steps, recalled_steps
from ...core.spots.spot import Spot
from ...io.phases.index_cache import prepare_index
from ...io.phases.library import unasked_library
from .layer_group import LayerGroup
from .shortcuts import KEYS
from .source import notes_of, write_notes

#: Key in the metadata of an image for the request of its candidates.
REQUEST = "candidates"
#: Number of complete analyses kept for undo.
MOST_KEPT = 6


@dataclass(frozen=True, slots=True, eq=False)
class Rescaled:
    """A change of the scale of an image, and the analysis before it."""

    before: Calibration
    after: Calibration
    analysis: Analysis | None


@dataclass(slots=True, eq=False)
class ImageState:
    """State of an image layer.

    Attributes
    ----------
    layer : Image
    micrograph : Micrograph
    group : LayerGroup
        The layers of its results.
    spots, profiles, grains, matches, components : tuple
        The latest results, which can be ahead of `analysis` during a run or an edit.
    analysis : Analysis, optional
        The last complete analysis.
    past, future : list of tuple of Spot
        Spots for undo and redo of edits.
    kept : list of Analysis
        Recent complete analyses of this run, so that undo needs no computation.
    evidence : EvidenceCache
        Evidence of the grains in recent runs and edits.
    edit_cache : EditCache, optional
        Cache for edits of the diffractogram of this run; a new run creates a new one.
    request : dict
        Request of the candidates of the run, as plain values.
    rescaled : list of Rescaled
        Corrections of the scale, for undo.
    said_since : tuple of PhaseOverride
        The user's overrides since the last run, for the next one.
    asked : tuple of Phase
        Candidates and other phases of a run whose analysis is not complete yet.
    from_file : bool
        Whether the layers are still as saved in a file.
    """

    layer: Image
    micrograph: Micrograph
    group: LayerGroup
    spots: tuple[Spot, ...] = ()
    profiles: tuple[RadialProfile, ...] = ()
    grains: tuple[Grain, ...] = ()
    matches: tuple[GrainMatch, ...] = ()
    components: tuple[ComponentMap, ...] = ()
    analysis: Analysis | None = None
    past: list[tuple[Spot, ...]] = field(default_factory=list)
    future: list[tuple[Spot, ...]] = field(default_factory=list)
    kept: list[Analysis] = field(default_factory=list)
    evidence: EvidenceCache = field(default_factory=EvidenceCache)
    edit_cache: EditCache | None = None
    request: dict[str, Any] = field(default_factory=dict)
    rescaled: list[Rescaled] = field(default_factory=list)
    said_since: tuple[PhaseOverride, ...] = ()
    asked: tuple[Phase, ...] = ()
    from_file: bool = False

    def analysed_again(
        self, choice: CandidateSet, params: AnalysisParams, segment: Segment | None
    ) -> Generator[Step, None, Analysis]:
        """The whole analysis, with the user's overrides and specimen mask of the previous run."""
        before = self.analysis
        said = self._rescaled_decisions(before) if before is not None else ()
        drawn = before.specimen if before is not None and before.specimen_by_user else None
        micrograph, evidence = self.micrograph, self.evidence
        elements = self.request.get("elements")
        self.asked = choice.known_phases

        def steps() -> Generator[Step, None, Analysis]:
            # loaded or built in the worker, once for all images and sessions
            index = choice.index or prepare_index(choice.known_phases)
            held = choice.library or choice.searched
            searched = choice.searched if held else unasked_library(elements)
            whole = replace(choice, decisions=said, index=index, searched=searched)
            return (yield from analysis_steps(micrograph, whole, params, segment, drawn, evidence))

        return steps()

    def _rescaled_decisions(self, before: Analysis) -> tuple[PhaseOverride, ...]:
        """The user's overrides, with positions of grains converted to the present scale."""
        now, then = (image.calibration.scale for image in (self.micrograph, before.micrograph))
        fy, fx = (a / b for a, b in zip(now, then, strict=True))
        return tuple(
            one if one.centre is None else replace(one, centre=(one.centre[0] * fy, one.centre[1] * fx))
            for one in merge_overrides(before.decisions, self.said_since)
        )

    def take(self, product: Any) -> None:
        """Store the product of a stage."""
        match product:
            case SpotsFound(spots):
                self.spots = spots
            case MaskPainted(profiles) | ProfilesReady(profiles):
                self.profiles = profiles
            case GrainsFound(grains):
                self.grains = grains
            case PhasesAssigned(matches, _, spots):
                self.matches, self.spots = matches, spots
            case MapsReady(components):
                self.components = components
            case Analysis():
                self._complete(product)

    @property
    def phases(self) -> dict[str, Phase]:
        """All phases of the analysis or of an active run, candidates and others, by id."""
        known = () if self.analysis is None else self.analysis.phases + self.analysis.non_candidates
        return {phase.id: phase for phase in (*self.asked, *known)}

    def with_spots(self, spots: tuple[Spot, ...]) -> Analysis | None:
        """Return the complete analysis with these spots, if it is still kept."""
        return next((each for each in self.kept if each.spots == spots), None)

    def _complete(self, analysis: Analysis) -> None:
        # where the writer finds them
        request = {REQUEST: self.request} if self.request else {}
        write_notes(self.layer, {**notes_of(self.layer), "analysis": analysis, **request})
        self.said_since, self.asked = (), ()
        self.analysis, self.spots, self.profiles = analysis, analysis.spots, analysis.profiles
        self.grains, self.matches, self.components = analysis.grains, analysis.matches, analysis.components
        if self.edit_cache is None or self.edit_cache.diffractogram is not analysis.diffractogram:
            self.edit_cache = EditCache(analysis.diffractogram, self.evidence)
        same_run = [a for a in self.kept if a.diffractogram is analysis.diffractogram and a is not analysis]
        self.kept = [*(a for a in same_run if _same_choice(a, analysis)), analysis][-MOST_KEPT:]


def _same_choice(one: Analysis, other: Analysis) -> bool:
    """Whether two analyses have the same candidates and overrides."""
    said = [[(d.phase, d.kind) for d in each.decisions] for each in (one, other)]
    return one.phases == other.phases and said[0] == said[1]


Steps = Generator[Step, None, Analysis]
History = list[tuple[Spot, ...]]


class Follow(Protocol):
    """Updates everything that depends on the spots."""

    def __call__(self, image_state: ImageState, steps: Steps, keep_mask: bool = False) -> None:
        """Run the steps and show their results; `keep_mask` leaves the painted mask unchanged."""


class Edits:
    """Edits of the spots of the current image.

    Parameters
    ----------
    current : callable
        Returns the state of the image that is shown.
    follow : Follow

    Attributes
    ----------
    friedel : bool
        Whether painting (or erasing) at +g is repeated at -g. Otherwise a pair of spots is enabled as long as
        one of its discs exists.
    """

    def __init__(self, current: Callable[[], ImageState | None], follow: Follow) -> None:
        self._current = current
        self._follow = follow
        self.friedel = True

    def paint(self, mask: NDArray[np.uint8], before: NDArray[np.uint8]) -> None:
        """Apply a painted mask, given the mask before."""
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
        """Add a refined spot at a frequency (y, x) in 1/nm, or enable the existing one."""
        image_state = self._current()
        if image_state is not None and image_state.analysis is not None:
            known = image_state.analysis, image_state.spots
            self._follow(image_state, pointed_steps(*known, g, image_state.edit_cache))

    def enable(self, spots: Collection[int], enabled: bool) -> None:
        """Enable or disable spots by their ids."""
        self._set(lambda spot: enabled if spot.id in spots else spot.enabled)

    def keep_only(self, spots: Collection[int]) -> None:
        """Enable only these spots."""
        self._set(lambda spot: spot.id in spots)

    def _set(self, enabled: Callable[[Spot], bool]) -> None:
        image_state = self._current()
        if image_state is None or image_state.analysis is None:
            return
        spots = tuple(replace(spot, enabled=enabled(spot)) for spot in image_state.spots)
        if spots != image_state.spots:
            self._follow(image_state, moved_steps(image_state.analysis, spots, image_state.edit_cache))

    def undo(self) -> None:
        """Restore the spots before the last edit."""
        image_state = self._current()
        if image_state is not None:
            self._step_back(image_state, image_state.past, image_state.future)

    def redo(self) -> None:
        """Revert an undo."""
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
    """Store the spots before an edit; an undo stores them itself."""
    if isinstance(product, SpotsFound) and product.spots != image_state.spots:
        image_state.past.append(image_state.spots)
        image_state.future.clear()


def _mirror_stroke(image_state: ImageState, before: NDArray[np.uint8], after: NDArray[np.uint8]) -> None:
    """Repeat a change at the opposite frequencies, in the array and on the shown layer."""
    layer = image_state.group.get("mask")
    if not isinstance(layer, Labels):
        return
    changed = np.flatnonzero(before != after)
    mirrored = np.setdiff1d(after.size - 1 - changed, changed, assume_unique=True)
    after.flat[mirrored] = after.flat[after.size - 1 - mirrored]
    layer.data.flat[mirrored] = after.flat[mirrored]
    layer.refresh(extent=False, thumbnail=False)


class MaskWatcher(QObject):
    """Watches a Labels layer.

    Parameters
    ----------
    layer : Labels
        The mask; its present data are the known state.

    Signals
    -------
    stroke_began()
        The mouse button was pressed on the layer in a drawing mode.
    changed(ndarray, ndarray)
        Data of the layer, and their previous known state; once per stroke.
    """

    stroke_began = Signal()
    changed = Signal(object, object)

    def __init__(self, layer: Labels) -> None:
        super().__init__()
        self.layer = layer
        self.known: NDArray[np.uint8] = np.array(layer.data)
        self._drawing = False
        self._timer = QTimer(self, singleShot=True, interval=0)
        self._timer.timeout.connect(self._compare)
        layer.events.paint.connect(self._on_event)
        layer.events.set_data.connect(self._on_event)
        layer.mouse_drag_callbacks.append(self._on_drag)

    def remember(self) -> None:
        """Take the present data of the layer as the known state."""
        self.known = np.array(self.layer.data)

    def release(self) -> None:
        """Stop watching."""
        self._timer.stop()
        self.layer.events.paint.disconnect(self._on_event)
        self.layer.events.set_data.disconnect(self._on_event)
        self.layer.mouse_drag_callbacks.remove(self._on_drag)

    def _on_event(self, event: Any = None) -> None:
        if not self._drawing:
            self._timer.start()

    def _on_drag(self, layer: Labels, event: Any) -> Generator[None, None, None]:
        if str(layer.mode) in ("pan_zoom", "transform", "pick"):
            return
        self._drawing = True
        self.stroke_began.emit()
        yield
        while event.type == "mouse_move":
            yield
        self._drawing = False
        self._timer.start()

    def _compare(self) -> None:
        if self._drawing or np.array_equal(self.known, self.layer.data):
            return
        self.changed.emit(self.layer.data, self.known)
        self.remember()  # includes what was painted at -g meanwhile, so that a stroke is reported once


class MaskWatchers(QObject):
    """Watches the masks of all images of a viewer, and provides undo and redo for them.

    Signals
    -------
    changed(ndarray, ndarray)
        A mask differs from the previously shown one, which is the second argument.
    stroke_began()
        A stroke has begun on one of the masks.
    undo_asked(), redo_asked()
        Ctrl+Z or Ctrl+Shift+Z was pressed on one of the masks.
    """

    changed = Signal(object, object)
    stroke_began = Signal()
    undo_asked = Signal()
    redo_asked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._watchers: dict[Layer, MaskWatcher] = {}

    def watch(self, image_state: ImageState) -> None:
        """Watch the mask of an image; its present data are the known state."""
        layer, watcher = image_state.group.get("mask"), self._watchers.get(image_state.layer)
        if watcher is not None and watcher.layer is layer:
            watcher.remember()
        elif isinstance(layer, Labels):
            self.release(image_state.layer)
            self._watchers[image_state.layer] = watcher = MaskWatcher(layer)
            watcher.changed.connect(self.changed)
            watcher.stroke_began.connect(self.stroke_began)
            layer.bind_key(KEYS["undo"][0], self._on_undo_key, overwrite=True)
            layer.bind_key(KEYS["redo"][0], self._on_redo_key, overwrite=True)

    def release(self, image: Layer) -> None:
        """Stop watching the mask of an image."""
        watcher = self._watchers.pop(image, None)
        if watcher is not None:
            watcher.release()

    def _on_undo_key(self, layer: Labels) -> None:
        self.undo_asked.emit()

    def _on_redo_key(self, layer: Labels) -> None:
        self.redo_asked.emit()


def set_editable(image_state: ImageState, editable: bool) -> None:
    """Set whether a mask can be painted; it cannot during the search for spots."""
    layer = image_state.group.get("mask")
    if isinstance(layer, Labels):
        layer.editable = editable
