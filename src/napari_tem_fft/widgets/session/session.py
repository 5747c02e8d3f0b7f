"""Session: what is known of the images of one viewer, shared by all docks and outliving each of them."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, Literal
from weakref import WeakKeyDictionary, ref

from napari.components import ViewerModel
from napari.layers import Image, Layer
from napari.utils.notifications import show_warning
from qtpy.QtCore import QObject, QTimer, Signal
from qtpy.QtWidgets import QWidget

from ...core.events import MaskPainted, SpotsFound
from ...core.matching import PhaseOverride
from ...core.matching.assignment import CandidateSet
from ...core.pipeline import Analysis, AnalysisParams
from ...core.progress import Step
from ...core.reanalysis import replayed_steps
from ...layers.presenter import Presenter, Shown
from ..canvas.mask_watcher import MaskWatchers, set_editable
from ..canvas.picking import Picker
from ..canvas.readout import Readout
from ..canvas.spotlight import Spotlight
from ..canvas.tools import Tools
from ..canvas.views import look_at
from ..forms.override_buttons import word_steps
from .edits import Edits, remember
from .image_state import ImageState
from .layer_group import LayerGroup
from .messages import tell
from .network import Network
from .runner import Runner
from .selection import Selection
from .settings import SharedSettings
from .source import analysis_of, micrograph_from

Kind = Literal["run", "edit", "again"]
#: Layers that an edit does not touch.
UNTOUCHED = ("fft", "probability", "mask", "bars")


class Session(QObject):
    """The findings of a viewer's images, the run under way, and what was chosen.

    Signals
    -------
    current_changed()
        Another image was chosen.
    found()
        The current findings have grown or changed.
    profile_changed()
        Of the current findings only the profiles have changed, as while a mask is painted.
    step_done(Step)
        A stage of a run (not of an edit) is finished and shown.
    state_changed()
        A run has begun, waits for the next click, or has ended in one way or another.
    chosen_changed()
        Other spots were picked, or none any longer.
    calibrated()
        The scale of the current image was corrected.
    """

    current_changed = Signal()
    found = Signal()
    profile_changed = Signal()
    step_done = Signal(object)
    state_changed = Signal()
    chosen_changed = Signal()
    calibrated = Signal()

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
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
        self.network = Network()
        self._readout = Readout(viewer, lambda: self.current)
        self.tools = Tools(self)
        self.tools.follow(viewer)
        self._picker = Picker(viewer, lambda: self.current if self.tools.tool == "look" else None, self.pick)
        self.spotlight.profile_shown.connect(self.profile_changed)
        self.runner = Runner()
        self.runner.stepped.connect(self._on_stepped)
        self.runner.returned.connect(self._on_returned)
        self.runner.failed.connect(self._on_failed)
        self.runner.started.connect(self._on_started)
        self.runner.stopped.connect(self.state_changed)
        viewer.layers.events.removed.connect(self._on_layer_removed)

    @property
    def viewer(self) -> ViewerModel:
        """The viewer, which outlives its session."""
        viewer = self._viewer()
        if viewer is None:
            raise RuntimeError("the viewer was closed")
        return viewer

    @property
    def running(self) -> bool:
        """Whether a worker is at work."""
        return self.runner.running

    @property
    def paused(self) -> bool:
        """Whether a run waits for the next click."""
        return self.runner.paused

    def choose(self, layer: Image | None) -> None:
        """Make an image the current one: its own layers are shown, those of others hidden."""
        current = self._image_states.get(layer) if layer is not None else None
        if current is None and layer is not None and analysis_of(layer) is not None:
            # other layers of its file have still to be added
            QTimer.singleShot(0, lambda: self._take_up(layer))
        if current is self.current:
            return
        self.pick(None)
        for image_state in self._image_states.values():
            image_state.group.set_visible(image_state is current)
        self.current = current
        self.current_changed.emit()
        self._show_if_missing()

    def _take_up(self, layer: Image) -> None:
        """Go on with the analysis that a layer from a file carries, and with the layers that show it."""
        viewer, analysis = self._viewer(), analysis_of(layer)
        if viewer is None or layer not in viewer.layers or layer in self._image_states or analysis is None:
            return
        image_state = ImageState(layer, analysis.micrograph, self.new_group(layer))
        image_state.group.adopt(analysis.micrograph.name)
        image_state.take(analysis)
        self._image_states[layer] = image_state
        self.choose(layer)
        if not self.running:
            self._show_again(image_state, analysis)

    def analyse(
        self, layer: Image, choice: CandidateSet, params: AnalysisParams, single: bool = False
    ) -> None:
        """Run the whole chain on an image layer, or only its first step.

        What a person has decided of an earlier run's grains, or drawn as its specimen, still holds.

        Raises
        ------
        ValueError
            If the layer cannot be analysed; the message says what to do.
        """
        micrograph = micrograph_from(layer, self.viewer)
        _ = micrograph.pixel_size  # refuses images without one, before a worker is sent off
        segment = self.network.segmenter(params)
        self.cancel()
        image_state = self._image_states.setdefault(
            layer, ImageState(layer, micrograph, self.new_group(layer))
        )
        image_state.micrograph = micrograph
        self.choose(layer)
        image_state.group.set_visible(True)
        steps = image_state.analysed_again(choice, params, segment)
        self._start(image_state, Presenter(micrograph, self.beside).present(steps), "run", single)

    def advance(self, single: bool = True) -> None:
        """Go on with a paused run, by a step or to its end."""
        self.runner.advance(single)

    def cancel(self) -> None:
        """Give up what is under way; an earlier analysis of the image is shown again."""
        image_state, self._running = self._running, None
        self.runner.cancel()
        if image_state is not None and image_state.analysis is not None:
            self._show_again(image_state, image_state.analysis)
        elif image_state is not None:
            self.state_changed.emit()

    def pick(self, chosen: Selection | None) -> None:
        """Let spots stand out in every picture; None shows everything alike again."""
        if self.current is None or chosen == self.chosen:
            return
        if self.chosen is not None:
            self.spotlight.put_out(self.current)
        self.chosen = chosen
        if chosen is not None:
            self.spotlight.put_on(self.current, chosen)
        self.chosen_changed.emit()

    def decide(self, decisions: Sequence[PhaseOverride]) -> None:
        """Take what a person says of grains, all that holds from now on, and let names and maps follow."""
        image_state = self.current
        if image_state is not None and image_state.analysis is not None:
            self.follow(image_state, word_steps(image_state.analysis, decisions, image_state.edit_cache))

    def follow(
        self, image_state: ImageState, steps: Generator[Step, None, Analysis], keep_mask: bool = False
    ) -> None:
        """Show what follows from a person's edit of an analysis."""
        if image_state.analysis is not None:
            presenter = Presenter.after(image_state.analysis, self.beside, keep_mask)
            self._start(image_state, presenter.present(steps), kind="edit")

    def _show_again(self, image_state: ImageState, analysis: Analysis) -> None:
        image_state.past = [spots for spots in image_state.past if spots != analysis.spots]
        steps = Presenter(analysis.micrograph, self.beside).present(replayed_steps(analysis))
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
        if self._kind != "edit":  # the first thing after a stroke is its profile
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
            remember(image_state, shown.product)
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
        """Show reciprocal space in a viewer of its own from now on, or beside the micrograph again."""
        self.pick(None)
        self._panel = ref(panel) if panel is not None else None
        for image_state in self._image_states.values():
            image_state.group.move(panel)
        if panel is not None:
            self._readout.follow(panel)
            self._picker.follow(panel)
            self.tools.follow(panel)
        if self._running is not None:
            self.cancel()
        self._show_if_missing()

    @property
    def beside(self) -> bool:
        """Whether reciprocal space lies beside the micrograph, and not in a panel."""
        return self._panel is None or self._panel() is None

    def new_group(self, layer: Image) -> LayerGroup:
        """Return a group of layers that lie where the image and the arrangement want them."""
        group = LayerGroup(self.viewer, self._panel() if self._panel else None)
        group.offset = (float(layer.translate[-2]), float(layer.translate[-1]))
        return group

    def _show_if_missing(self) -> None:
        """Show a finished analysis again whose diffractogram was taken away with another arrangement."""
        image_state = self.current
        if image_state is None or image_state.analysis is None or self.running:
            return
        if image_state.group.get("fft") is None:
            self._show_again(image_state, image_state.analysis)

    def _arrange(self) -> None:
        """Show both spaces; napari's own scale bar goes where it would give nm beside the FFT."""
        self.viewer.canvas.overlays.scale_bar.visible = not self.beside
        if self.current is not None:
            look_at(self.viewer, self.current, "both")

    def _on_returned(self, analysis: Analysis) -> None:
        image_state, self._running = self._running, None
        if image_state is None:
            return
        image_state.group.keep_only(self._roles)
        if self._kind == "run":
            image_state.past.clear()
            image_state.future.clear()
            for text in analysis.warnings:
                show_warning(text)
        set_editable(image_state, True)

    def _on_failed(self, error: Exception) -> None:
        image_state, self._running = self._running, None
        tell(error)
        if image_state is not None and image_state.analysis is not None and self._kind != "again":
            self._show_again(image_state, image_state.analysis)

    def _on_stroke_began(self) -> None:
        """Let an edit wait whose spots are not known yet: the stroke that begins belongs to it."""
        if self._kind == "edit" and self._running is not None and not self._spots_known:
            self._running = None
            self.runner.cancel()

    def _on_layer_removed(self, event: Any) -> None:
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


def session_of(napari_viewer: ViewerModel) -> Session:
    """Return the session of a viewer, the same for every dock; it lives as long as the viewer."""
    viewer = unwrap_viewer(napari_viewer)
    if viewer not in _sessions:
        _sessions[viewer] = Session(viewer)
    return _sessions[viewer]


def unwrap_viewer(napari_viewer: ViewerModel) -> ViewerModel:
    """Return the viewer itself: each plugin is given a proxy of its own, which cannot be compared."""
    viewer: ViewerModel = getattr(napari_viewer, "__wrapped__", napari_viewer)
    return viewer


_sessions: WeakKeyDictionary[ViewerModel, Session] = WeakKeyDictionary()
