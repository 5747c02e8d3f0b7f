"""Session: the state of the images of a viewer, shared by all docks and independent of them."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal
from weakref import WeakKeyDictionary, ref

from napari.components import ViewerModel
from napari.layers import Image, Layer
from napari.utils.notifications import Notification, notification_manager, show_warning
from qtpy.QtCore import QObject, QTimer, Signal
from qtpy.QtWidgets import QWidget

from ...core.image.calibration import Calibration
from ...core.image.micrograph import Micrograph
from ...core.matching import Candidate, PhaseOverride
from ...core.matching.assignment import CandidateSet
from ...core.pipeline import Analysis, AnalysisParams, MaskPainted, SpotsFound
from ...core.progress import Step
from ...core.reanalysis import override_steps, replayed_steps
from ...layers.image import IMAGE, content_id
from ...layers.presenter import Presenter, Shown
from ...layers.results import PASSING
from ..canvas.cursor import Picker, Readout
from ..canvas.ruler import Ruler
from ..canvas.spotlight import Spotlight
from ..canvas.stage import AveragedPixels, Stage
from ..canvas.tools import Tools
from .image_state import REQUEST, ImageState, LayerGroup, Rescaled
from .mask_edits import Edits, MaskWatchers, keep_for_undo, set_editable
from .responsiveness import give_back, give_back_early
from .runner import Runner, close_notifications, tell
from .selection import Selection, grain_chosen
from .settings import Network, SharedSettings
from .source import analysis_of, calibration_from, is_source, micrograph_from, notes_of, set_calibration

Kind = Literal["run", "edit", "again"]
#: What napari warns of for each layer that is added while an image without a scale is open.
OF_UNITS = "Inconsistent units across layers"
#: Delay in milliseconds after the last image was closed, as another may be opened soon.
UNTIL_GIVEN_BACK = 1000
#: Roles of layers that edits do not change.
UNTOUCHED = ("fft", "probability", "mask", "bars", "compare")


class Session(QObject):
    """State of the images of a viewer, the active run, and the selection.

    Signals
    -------
    current_changed()
        Another image was chosen.
    found()
        The results of the current image have changed.
    profile_changed()
        Only the profiles of the current image have changed, as during painting of a mask.
    step_done(Step)
        A stage of a run (not of an edit) is finished and shown.
    state_changed()
        A run has begun, waits for the next click, or has ended for any reason.
    chosen_changed()
        The selection has changed.
    calibrated()
        The scale of the current image was corrected.
    scale_changed()
        The scale was corrected, or a correction was undone.
    """

    current_changed = Signal()
    found = Signal()
    profile_changed = Signal()
    step_done = Signal(object)
    state_changed = Signal()
    chosen_changed = Signal()
    calibrated = Signal()
    scale_changed = Signal()

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
        give_back_early()
        self._viewer = ref(viewer)
        self._image_states: dict[Layer, ImageState] = {}
        self._masks = MaskWatchers()
        self.edits = Edits(lambda: self.current, self.follow)
        self._masks.changed.connect(self.edits.paint)
        self._masks.stroke_began.connect(self._on_stroke_began)
        self._masks.undo_asked.connect(self.edits.undo)
        self._masks.redo_asked.connect(self.edits.redo)
        self._running: ImageState | None = None
        self._roles: set[str] = set()
        self._kind: Kind = "run"
        self._spots_known = False
        self.current: ImageState | None = None
        self._panel: ref[ViewerModel] | None = None
        self.panel_widget: QWidget | None = None
        self.chosen: Selection | None = None
        self.offer = SharedSettings()
        self.spotlight = Spotlight()
        self.stage = Stage(viewer, self._image_states.values)
        self._averaged = AveragedPixels(viewer)
        self.network = Network()
        self._readout = Readout(viewer, lambda: self.current)
        self.tools = Tools(self)
        self.tools.follow(viewer)
        self.tools.follow_session()
        self.ruler = Ruler(self)
        self.ruler.follow(viewer)
        for changed in (self.current_changed, self.calibrated):
            changed.connect(self.ruler.clear)
        self.tools.changed.connect(self.ruler.follow_tools)
        self._picker = Picker(viewer, lambda: self.current if self.tools.tool == "look" else None, self.pick)
        self.spotlight.profile_shown.connect(self.profile_changed)
        self.runner = Runner()
        self.runner.stepped.connect(self._on_stepped)
        self.runner.returned.connect(self._on_returned)
        self.runner.failed.connect(self._on_failed)
        self.runner.started.connect(self._on_started)
        self.runner.stopped.connect(self.state_changed)
        self._taking_up = QTimer(self, singleShot=True, interval=0)
        self._taking_up.timeout.connect(self._take_up)
        self._all_closed = QTimer(self, singleShot=True, interval=UNTIL_GIVEN_BACK)
        self._all_closed.timeout.connect(self._on_all_closed)
        viewer.layers.events.removed.connect(self._on_layer_removed)
        notification_manager.notification_ready.connect(self._on_notification)

    @property
    def viewer(self) -> ViewerModel:
        """The viewer, which exists longer than its session."""
        viewer = self._viewer()
        if viewer is None:
            raise RuntimeError("the viewer was closed")
        return viewer

    @property
    def running(self) -> bool:
        """Whether a worker is running."""
        return self.runner.running

    @property
    def paused(self) -> bool:
        """Whether a run waits for the next click."""
        return self.runner.paused

    def choose(self, layer: Image | None) -> None:
        """Make an image the current one: its layers are shown, those of others are hidden."""
        current = self._image_states.get(layer) if layer is not None else None
        if current is None and layer is not None:
            self._taking_up.start()  # other layers of its file are not added yet
        if current is self.current and layer is self.stage.image:
            return
        self.pick(None)
        self.stage.show(layer)
        self.current = current
        self.current_changed.emit()
        self._show_if_missing()

    def _take_up(self) -> None:
        """Take up analyses that are stored with layers from files, and the layers that show them."""
        viewer = self._viewer()
        if viewer is None:
            return
        for layer in list(viewer.layers):
            analysis = analysis_of(layer)
            if analysis is not None and is_source(layer) and layer not in self._image_states:
                self._adopt(layer, analysis)
        self._take_up_unfinished(viewer)
        image = self.stage.image
        if image is not None and image in self._image_states and self.current is None:
            self.choose(image)

    def _take_up_unfinished(self, viewer: ViewerModel) -> None:
        """Take up images from a file with unfinished analyses, and the layers made from them."""
        for layer in [each for each in viewer.layers if is_source(each) and each not in self._image_states]:
            left = [notes_of(each) for each in viewer.layers if each not in self._owned()]
            made_of = {notes.get(IMAGE) for notes in left if notes.get("role") not in PASSING}
            if made_of == {None}:
                return
            with suppress(ValueError):  # too small: it has no results
                micrograph = micrograph_from(layer, viewer)
                group = self.new_group(layer, micrograph)
                if group.content in made_of:
                    self._know(ImageState(layer, micrograph, group))

    def _adopt(self, layer: Image, analysis: Analysis) -> None:
        """Take up an analysed image from a file; its layers are updated when it is chosen."""
        image_state = ImageState(layer, analysis.micrograph, self.new_group(layer, analysis.micrograph))
        image_state.request = dict(notes_of(layer).get(REQUEST, {}))
        image_state.take(analysis)
        image_state.from_file = True
        self._know(image_state)

    def _know(self, image_state: ImageState) -> None:
        """Register an image from a file, with the layers made from it that belong to no other image."""
        image_state.group.adopt(image_state.micrograph.name, self._owned())
        self._image_states[image_state.layer] = image_state
        image_state.group.set_visible(image_state.layer is self.stage.image)

    def _owned(self) -> list[Layer]:
        """The layers of all registered images."""
        return [each for state in self._image_states.values() for each in state.group.layers]

    def analyse(
        self,
        layer: Image,
        choice: CandidateSet,
        params: AnalysisParams,
        single: bool = False,
        request: Mapping[str, Any] | None = None,
    ) -> None:
        """Run the whole analysis on an image layer, or only its first step.

        The user's overrides and specimen mask of an earlier run still apply.

        Parameters
        ----------
        layer : Image
        choice : CandidateSet
        params : AnalysisParams
        single : bool
        request : mapping, optional
            Request of the candidates, as plain values, to be saved with the analysis.

        Raises
        ------
        ValueError
            If the layer cannot be analysed; the message says what to do.
        """
        micrograph = micrograph_from(layer, self.viewer)
        _ = micrograph.pixel_size  # refuses images without one, before a worker is started
        segment = self.network.segmenter(params)
        self.cancel()
        if layer not in self._image_states:
            self._image_states[layer] = ImageState(layer, micrograph, self.new_group(layer, micrograph))
        image_state = self._image_states[layer]
        image_state.micrograph, image_state.from_file = micrograph, False
        image_state.request = dict(request or {})
        self.choose(layer)
        steps = image_state.analysed_again(choice, params, segment)
        self._start(image_state, Presenter(micrograph, self.fft_in_viewer).present(steps), "run", single)

    def advance(self, single: bool = True) -> None:
        """Continue a paused run, by a step or to its end."""
        self.runner.advance(single)

    def cancel(self) -> None:
        """Cancel running work; an earlier analysis of the image is shown again."""
        image_state, self._running = self._running, None
        self.runner.cancel()
        if image_state is not None and image_state.analysis is not None:
            self._show_again(image_state, image_state.analysis)
        elif image_state is not None:
            self.state_changed.emit()

    def pick(self, chosen: Selection | None) -> None:
        """Select spots, which are emphasised in all layers; None clears the selection."""
        if self.current is None or chosen == self.chosen:
            return
        if self.chosen is not None:
            self.spotlight.put_out(self.current)
        self.chosen = chosen
        if chosen is not None:
            self.spotlight.put_on(self.current, chosen)
        self.chosen_changed.emit()

    def deselect(self) -> None:
        """Clear the selection, remove the measured line, and deactivate the tool."""
        self.pick(None)
        self.ruler.clear()
        if self.tools.tool != "look":
            self.tools.take("look")

    def look_at_grain(self, number: int, candidate: Candidate | None = None) -> None:
        """Select a grain of the current image, optionally as a candidate, and move the camera to it."""
        image_state = self.current
        grain = next((g for g in image_state.grains if g.id == number), None) if image_state else None
        if image_state is not None and grain is not None:
            self.pick(grain_chosen(image_state, number, candidate))
            y, x = (a + b for a, b in zip(grain.centre, image_state.group.offset, strict=True))
            self.stage.fly_to((float(y), float(x)), grain.diameter)

    def decide(self, decisions: Sequence[PhaseOverride]) -> None:
        """Set all overrides of the user, and update phases and maps."""
        image_state = self.current
        if image_state is not None and image_state.analysis is not None:
            self.follow(image_state, override_steps(image_state.analysis, decisions, image_state.edit_cache))

    def follow(
        self, image_state: ImageState, steps: Generator[Step, None, Analysis], keep_mask: bool = False
    ) -> None:
        """Run the steps that follow an edit, and show their results."""
        if image_state.analysis is not None:
            presenter = Presenter.after(image_state.analysis, self.fft_in_viewer, keep_mask)
            self._start(image_state, presenter.present(steps), kind="edit")

    def calibrate(
        self,
        image_state: ImageState,
        calibration: Calibration,
        decisions: Sequence[PhaseOverride] = (),
    ) -> None:
        """Change the scale of an image, and announce it for a new analysis; `undo_calibration` reverts it.

        Parameters
        ----------
        image_state : ImageState
        calibration : Calibration
        decisions : sequence of PhaseOverride
            Overrides that come with it, in addition to earlier ones.
        """
        self.cancel()
        before = calibration_from(image_state.layer)
        image_state.rescaled.append(Rescaled(before, calibration, image_state.analysis))
        image_state.said_since = tuple(decisions)
        set_calibration(image_state.layer, calibration)
        self.scale_changed.emit()
        self.calibrated.emit()

    def undo_calibration(self) -> None:
        """Restore the scale of the current image before the last correction, and its analysis."""
        image_state = self.current
        if image_state is None or not image_state.rescaled:
            return
        self.cancel()
        step = image_state.rescaled.pop()
        image_state.said_since = ()
        set_calibration(image_state.layer, step.before)
        self.ruler.clear()
        if step.analysis is not None:
            image_state.micrograph = step.analysis.micrograph
            image_state.past.clear()
            image_state.future.clear()
            self._show_again(image_state, step.analysis)
        self.scale_changed.emit()

    def _show_again(self, image_state: ImageState, analysis: Analysis) -> None:
        image_state.past = [spots for spots in image_state.past if spots != analysis.spots]
        steps = Presenter(analysis.micrograph, self.fft_in_viewer).present(replayed_steps(analysis))
        self._start(image_state, steps, kind="again")

    def _start(
        self,
        image_state: ImageState,
        steps: Generator[Step, None, Analysis],
        kind: Kind,
        single: bool = False,
    ) -> None:
        self.pick(None)
        self._running, self._kind, self._spots_known = image_state, kind, False
        self._roles = {"run": set(), "again": {"probability"}, "edit": set(UNTOUCHED)}[kind]
        self.runner.start(steps, single)

    def _on_started(self) -> None:
        if self._kind != "edit":  # the profile comes first after a stroke
            self.state_changed.emit()

    def _on_stepped(self, step: Step) -> None:
        image_state, shown = self._running, step.product
        if image_state is None or not isinstance(shown, Shown):
            return
        if isinstance(shown.product, MaskPainted):
            image_state.take(shown.product)
            if image_state is self.current:
                self.profile_changed.emit()
            return
        if self._kind == "edit" and isinstance(shown.product, SpotsFound):
            self.state_changed.emit()
        if self._kind == "edit":
            keep_for_undo(image_state, shown.product)
        first = image_state.group.get("fft") is None
        shown_roles = image_state.group.show(shown.layers, revive=self._kind != "edit")
        if first and "fft" in shown_roles:
            self._arrange()
        self._roles.update(shown_roles)
        image_state.take(shown.product)
        if "mask" in shown_roles or isinstance(shown.product, SpotsFound):
            self._spots_known = True
            self._masks.watch(image_state)
            if self._kind == "run":
                set_editable(image_state, False)
        if not shown.more:
            if self._kind == "run":
                self.step_done.emit(step)
            if image_state is self.current:
                self.found.emit()

    def use_panel(self, panel: ViewerModel | None) -> None:
        """Show reciprocal space in a separate viewer, or next to the micrograph again."""
        self.pick(None)
        self.ruler.clear()
        self._panel = ref(panel) if panel is not None else None
        for image_state in self._image_states.values():
            image_state.group.move(panel)
        if panel is not None:
            self._readout.follow(panel)
            self._picker.follow(panel)
            self.tools.follow(panel)
            self.ruler.follow(panel)
        if self._running is not None:
            self.cancel()
        self._show_if_missing()

    @property
    def fft_in_viewer(self) -> bool:
        """Whether reciprocal space is shown next to the micrograph, not in a panel."""
        return self._panel is None or self._panel() is None

    def new_group(self, layer: Image, micrograph: Micrograph) -> LayerGroup:
        """Return a group of layers, positioned by the image and the arrangement."""
        content = content_id(micrograph.pixels)
        group = LayerGroup(self.viewer, content, self._panel() if self._panel else None, layer)
        group.offset = (float(layer.translate[-2]), float(layer.translate[-1]))
        return group

    def _show_if_missing(self) -> None:
        """Show a finished analysis again if it is from a file, or if its FFT was removed with a panel."""
        image_state = self.current
        if image_state is None or image_state.analysis is None or self.running:
            return
        if image_state.from_file or image_state.group.get("fft") is None:
            image_state.from_file = False
            self._show_again(image_state, image_state.analysis)

    def _arrange(self) -> None:
        """Show both spaces; napari's scale bar is hidden if it would give nm next to the FFT."""
        self.viewer.canvas.overlays.scale_bar.visible = not self.fft_in_viewer
        if self._running is self.current:
            self.stage.refit()

    def _on_returned(self, analysis: Analysis) -> None:
        image_state, self._running = self._running, None
        if image_state is None:
            return
        image_state.group.keep_only(self._roles)
        if self._kind == "run":
            image_state.past.clear()
            image_state.future.clear()
            for text in analysis.warnings:
                if text not in analysis.micrograph.warnings:  # these were shown when the file was opened
                    show_warning(text)
        set_editable(image_state, True)
        if self._kind != "edit" and image_state is self.current:
            self.stage.refit()  # a corrected scale has moved the FFT

    def _on_failed(self, error: Exception) -> None:
        image_state, self._running = self._running, None
        tell(error)
        if image_state is not None and image_state.analysis is not None and self._kind != "again":
            self._show_again(image_state, image_state.analysis)

    def _on_stroke_began(self) -> None:
        """Postpone an edit whose spots are not known yet, because the new stroke belongs to it."""
        if self._kind == "edit" and self._running is not None and not self._spots_known:
            self._running = None
            self.runner.cancel()

    def _on_notification(self, notification: Notification) -> None:
        """Close what napari repeats for every layer: the main dock says which image has no scale."""
        viewer = self._viewer()
        if viewer is None or not notification.message.startswith(OF_UNITS):
            return
        if any(is_source(layer) and str(layer.units[-1]) == "pixel" for layer in viewer.layers):
            close_notifications(OF_UNITS)

    def _on_layer_removed(self, event: Any) -> None:
        if is_source(event.value):
            self.ruler.clear()  # its line can be on an image without results
        image_state = self._image_states.pop(event.value, None)
        if image_state is None:
            return
        if self._running is image_state:
            self._running = None
            self.runner.cancel()
        if self.current is image_state:
            self.pick(None)
        self._masks.release(image_state.layer)
        image_state.group.keep_only(())
        if self.current is image_state:
            self.current = None
            self.current_changed.emit()
        if not self._image_states:
            self._all_closed.start()

    def _on_all_closed(self) -> None:
        if not self._image_states and give_back():
            self._all_closed.start()


def session_of(napari_viewer: ViewerModel) -> Session:
    """Return the session of a viewer, which all docks share; it exists as long as the viewer."""
    viewer = unwrap_viewer(napari_viewer)
    if viewer not in _sessions:
        _sessions[viewer] = Session(viewer)
    return _sessions[viewer]


def unwrap_viewer(napari_viewer: ViewerModel) -> ViewerModel:
    """Return the viewer itself: each plugin gets a separate proxy, which cannot be compared."""
    viewer: ViewerModel = getattr(napari_viewer, "__wrapped__", napari_viewer)
    return viewer


_sessions: WeakKeyDictionary[ViewerModel, Session] = WeakKeyDictionary()
