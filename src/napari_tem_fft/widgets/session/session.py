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

from ...core.matching import Decision
from ...core.matching.assignment import Choice
from ...core.pipeline import Analysis, AnalysisParams
from ...core.progress import Step
from ...layers.presenter import Edited, Presenter, Shown
from ...layers.reanalysis import replayed_steps
from ..canvas.mask_watcher import MaskWatchers, set_editable
from ..canvas.picking import Picker
from ..canvas.readout import Readout
from ..canvas.spotlight import Spotlight
from ..canvas.tools import Tools
from ..canvas.views import look_at
from ..forms.override_buttons import word_steps
from .edits import Edits, remember
from .findings import Findings
from .layer_group import LayerGroup
from .messages import tell
from .network import Network
from .runner import Runner
from .selection import Chosen
from .settings import Offer
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
    step_done(Step)
        A stage of a run (not of an edit) is finished and shown.
    state_changed()
        A run has begun, waits for the next click, or has ended in one way or another.
    chosen_changed()
        Other spots were picked, or none any longer.
    calibrated(float)
        The scale was corrected; its standard uncertainty in %.
    """

    current_changed = Signal()
    found = Signal()
    step_done = Signal(object)
    state_changed = Signal()
    chosen_changed = Signal()
    calibrated = Signal(float)

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
        self._viewer = ref(viewer)
        self._findings: dict[Layer, Findings] = {}
        self._masks = MaskWatchers()
        self.edits = Edits(lambda: self.current, self.follow)
        self._masks.changed.connect(self.edits.paint)
        self._masks.stroke_began.connect(self._on_stroke_began)
        self._masks.undo_asked.connect(self.edits.undo)
        self._masks.redo_asked.connect(self.edits.redo)
        self._running: Findings | None = None
        self._roles: set[str] = set()
        self._kind: Kind = "run"
        self._spots_known = False
        self.current: Findings | None = None
        self._panel: ref[ViewerModel] | None = None
        self.panel_widget: QWidget | None = None
        self.chosen: Chosen | None = None
        self.offer = Offer()
        self.spotlight = Spotlight()
        self.network = Network()
        self._readout = Readout(viewer, lambda: self.current)
        self.tools = Tools(self)
        self.tools.follow(viewer)
        self._picker = Picker(viewer, lambda: self.current if self.tools.tool == "look" else None, self.pick)
        self.spotlight.profile_shown.connect(self.found)
        self.runner = Runner()
        self.runner.stepped.connect(self._on_stepped)
        self.runner.returned.connect(self._on_returned)
        self.runner.failed.connect(self._on_failed)
        self.runner.started.connect(self.state_changed)
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
        current = self._findings.get(layer) if layer is not None else None
        if current is None and layer is not None and analysis_of(layer) is not None:
            # other layers of its file have still to be added
            QTimer.singleShot(0, lambda: self._take_up(layer))
        if current is self.current:
            return
        self.pick(None)
        for findings in self._findings.values():
            findings.group.set_visible(findings is current)
        self.current = current
        self.current_changed.emit()
        self._show_if_missing()

    def _take_up(self, layer: Image) -> None:
        """Go on with the analysis that a layer from a file carries, and with the layers that show it."""
        viewer, analysis = self._viewer(), analysis_of(layer)
        if viewer is None or layer not in viewer.layers or layer in self._findings or analysis is None:
            return
        findings = Findings(layer, analysis.micrograph, self.new_group(layer))
        findings.group.adopt(analysis.micrograph.name)
        findings.take(analysis)
        self._findings[layer] = findings
        self.choose(layer)
        if not self.running:
            self._show_again(findings, analysis)

    def analyse(self, layer: Image, choice: Choice, params: AnalysisParams, single: bool = False) -> None:
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
        findings = self._findings.setdefault(layer, Findings(layer, micrograph, self.new_group(layer)))
        findings.micrograph = micrograph
        self.choose(layer)
        findings.group.set_visible(True)
        steps = findings.analysed_again(choice, params, segment)
        self._start(findings, Presenter(micrograph, self.beside).present(steps), "run", single)

    def advance(self, single: bool = True) -> None:
        """Go on with a paused run, by a step or to its end."""
        self.runner.advance(single)

    def cancel(self) -> None:
        """Give up what is under way; an earlier analysis of the image is shown again."""
        findings, self._running = self._running, None
        self.runner.cancel()
        if findings is not None and findings.analysis is not None:
            self._show_again(findings, findings.analysis)
        elif findings is not None:
            self.state_changed.emit()

    def pick(self, chosen: Chosen | None) -> None:
        """Let spots stand out in every picture; None shows everything alike again."""
        if self.current is None or chosen == self.chosen:
            return
        if self.chosen is not None:
            self.spotlight.put_out(self.current)
        self.chosen = chosen
        if chosen is not None:
            self.spotlight.put_on(self.current, chosen)
        self.chosen_changed.emit()

    def decide(self, decisions: Sequence[Decision]) -> None:
        """Take what a person says of grains, all that holds from now on, and let names and maps follow."""
        findings = self.current
        if findings is not None and findings.analysis is not None:
            self.follow(findings, word_steps(findings.analysis, decisions))

    def follow(
        self, findings: Findings, steps: Generator[Step, None, Analysis], keep_mask: bool = False
    ) -> None:
        """Show what follows from a person's edit of an analysis."""
        if findings.analysis is not None:
            presenter = Presenter.after(findings.analysis, self.beside, keep_mask)
            self._start(findings, presenter.present(steps), kind="edit")

    def _show_again(self, findings: Findings, analysis: Analysis) -> None:
        findings.past = [spots for spots in findings.past if spots != analysis.spots]
        steps = Presenter(analysis.micrograph, self.beside).present(replayed_steps(analysis))
        self._start(findings, steps, kind="again")

    def _start(
        self, findings: Findings, steps: Generator[Step, None, Analysis], kind: Kind, single: bool = False
    ) -> None:
        self.pick(None)
        self._running, self._kind, self._spots_known = findings, kind, False
        self._roles = {"run": set(), "again": {"probability"}, "edit": set(UNTOUCHED)}[kind]
        self.runner.start(steps, single)

    def _on_stepped(self, step: Step) -> None:
        findings, shown = self._running, step.product
        if findings is None or not isinstance(shown, Shown):
            return
        if self._kind == "edit":
            remember(findings, shown.product)
        first = findings.group.get("fft") is None
        shown_roles = findings.group.show(shown.layers, revive=self._kind != "edit")
        if first and "fft" in shown_roles:
            self._arrange()
        self._roles.update(shown_roles)
        findings.take(shown.product)
        if "mask" in shown_roles or isinstance(shown.product, Edited):
            self._spots_known = True
            self._masks.watch(findings)
            if self._kind == "run":
                set_editable(findings, False)
        if not shown.more:
            if self._kind == "run":
                self.step_done.emit(step)
            if findings is self.current:
                self.found.emit()

    def use_panel(self, panel: ViewerModel | None) -> None:
        """Show reciprocal space in a viewer of its own from now on, or beside the micrograph again."""
        self.pick(None)
        self._panel = ref(panel) if panel is not None else None
        for findings in self._findings.values():
            findings.group.move(panel)
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
        findings = self.current
        if findings is None or findings.analysis is None or self.running:
            return
        if findings.group.get("fft") is None:
            self._show_again(findings, findings.analysis)

    def _arrange(self) -> None:
        """Show both spaces; napari's own scale bar goes where it would give nm beside the FFT."""
        self.viewer.canvas.overlays.scale_bar.visible = not self.beside
        if self.current is not None:
            look_at(self.viewer, self.current, "both")

    def _on_returned(self, analysis: Analysis) -> None:
        findings, self._running = self._running, None
        if findings is None:
            return
        findings.group.keep_only(self._roles)
        if self._kind == "run":
            findings.past.clear()
            findings.future.clear()
            for text in analysis.warnings:
                show_warning(text)
        set_editable(findings, True)

    def _on_failed(self, error: Exception) -> None:
        findings, self._running = self._running, None
        tell(error)
        if findings is not None and findings.analysis is not None and self._kind != "again":
            self._show_again(findings, findings.analysis)

    def _on_stroke_began(self) -> None:
        """Let an edit wait whose spots are not known yet: the stroke that begins belongs to it."""
        if self._kind == "edit" and self._running is not None and not self._spots_known:
            self._running = None
            self.runner.cancel()

    def _on_layer_removed(self, event: Any) -> None:
        findings = self._findings.pop(event.value, None)
        if findings is None:
            return
        if self._running is findings:
            self._running = None
            self.runner.cancel()
        if self.current is findings:
            self.pick(None)
        self._masks.release(findings.layer)
        findings.group.keep_only(())
        if self.current is findings:
            self.current = None
            self.current_changed.emit()


def session_of(napari_viewer: ViewerModel) -> Session:
    """Return the session of a viewer, the same for every dock; it lives as long as the viewer."""
    viewer = unwrapped(napari_viewer)
    if viewer not in _sessions:
        _sessions[viewer] = Session(viewer)
    return _sessions[viewer]


def unwrapped(napari_viewer: ViewerModel) -> ViewerModel:
    """Return the viewer itself: each plugin is given a proxy of its own, which cannot be compared."""
    viewer: ViewerModel = getattr(napari_viewer, "__wrapped__", napari_viewer)
    return viewer


_sessions: WeakKeyDictionary[ViewerModel, Session] = WeakKeyDictionary()
