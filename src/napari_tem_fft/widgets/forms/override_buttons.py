"""Words: what a person says of a grain's phase, as buttons below the table of candidates."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QPushButton, QVBoxLayout, QWidget

from ...core.edit_cache import EditCache
from ...core.events import GrainsFound, ProfilesReady, SpotsFound
from ...core.matching import OverrideKind, PhaseOverride, merge_overrides
from ...core.pipeline import Analysis
from ...core.progress import Step
from ...core.reanalysis import reanalyse_after_override
from ..session.image_state import ImageState
from .controls import flowing, short


class Words(QWidget):
    """Buttons that set, lock, reject or withdraw the phase of the grain that was chosen.

    Signals
    -------
    said(object)
        All decisions that hold from now on, a tuple of `Decision`.
    """

    said = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._image_states: ImageState | None = None
        self._grain: int | None = None
        self.phase = short(QComboBox(), 9)
        self.phase.setToolTip("The grain's phase; its candidates first, best first, then all by name")
        self.phase.setMaxVisibleItems(20)
        self.phase.setStyleSheet("QComboBox { combobox-popup: 0; }")  # else some styles show all at once
        self.set = _button("Assign phase", "The grain is of this phase, whatever the measurement says")
        self.lock = _button(
            "Use as internal standard",
            "The grain is of this phase, and the image's scale follows from it (internal standard)",
        )
        self.reject = _button("Exclude phase", "The grain is not of this phase")
        self.withdraw = _button("Reset", "Take back all that you have said of this grain")
        self._lay_out()
        self.set.clicked.connect(self._on_set)
        self.lock.clicked.connect(self._on_lock)
        self.reject.clicked.connect(self._on_reject)
        self.withdraw.clicked.connect(self._on_withdraw)
        self.offer(None, None)

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(flowing(self.phase, self.set, self.reject, self.lock, self.withdraw))

    def offer(self, image_state: ImageState | None, grain: int | None, phase: str = "") -> None:
        """Speak of a grain from now on, and of a phase; of none where there is no grain."""
        self._image_states, self._grain = image_state, grain
        analysis = image_state.analysis if image_state is not None else None
        known = analysis is not None and grain is not None
        self.phase.clear()
        if analysis is not None and known:
            first = [c.phase for m in analysis.matches if m.grain == grain for c in m.candidates]
            names = sorted({each.id for each in (*analysis.phases, *analysis.others)}, key=str.lower)
            self.phase.addItems(list(dict.fromkeys((*first, *names))))
            self.phase.setCurrentText(phase or _best(analysis, grain))
        for control in (self.phase, self.set, self.lock, self.reject):
            control.setEnabled(known)
        self.withdraw.setEnabled(any(one.grain == grain for one in self._earlier()))

    def _earlier(self) -> tuple[PhaseOverride, ...]:
        analysis = self._image_states.analysis if self._image_states is not None else None
        return analysis.decisions if analysis is not None else ()

    def _on_set(self) -> None:
        self._say("override")

    def _on_lock(self) -> None:
        self._say("lock")

    def _on_reject(self) -> None:
        self._say("reject")

    def _say(self, kind: OverrideKind) -> None:
        if self._grain is not None and self.phase.currentText():
            self.said.emit(
                merge_overrides(
                    self._earlier(), (PhaseOverride(self._grain, self.phase.currentText(), kind),)
                )
            )

    def _on_withdraw(self) -> None:
        self.said.emit(tuple(one for one in self._earlier() if one.grain != self._grain))


def word_steps(
    analysis: Analysis, decisions: Sequence[PhaseOverride], cache: EditCache | None = None
) -> Generator[Step, None, Analysis]:
    """Show again what decisions do not change, then the names and maps that follow from them."""
    steps = reanalyse_after_override(analysis, decisions, cache)
    yield Step("decision", 0, 1, SpotsFound(analysis.spots))
    yield Step("decision", 0, 1, ProfilesReady(analysis.profiles))
    yield Step("decision", 0, 1, GrainsFound(analysis.grains))
    return (yield from steps)


def _best(analysis: Analysis, grain: int | None) -> str:
    """The first candidate of a grain."""
    first = (m.candidates[0].phase for m in analysis.matches if m.grain == grain and m.candidates)
    return next(first, "")


def _button(text: str, help: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(help)
    return button
