"""Part of the results dock: the candidates of each grain, how well they fit, and why one was named."""

from __future__ import annotations

from collections.abc import Generator

from napari.components import ViewerModel
from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import QCheckBox

from ...core.crystal.phase import Phase
from ...core.matching import Candidate, EvidenceCache, GrainMatch, Outcome, PhaseOverride, RingMatch
from ...core.matching.geometry import stretch_direction
from ...core.matching.verdict import USUAL_STRETCH, correction_of_hint
from ...core.pipeline import Analysis
from ...core.progress import Step
from ...core.text import LengthUnit, signed
from ...core.why_not import WhyNot, why_not
from ..forms.controls import bring_into_sight, button, flowing, unbroken_percent, wrapped_label
from ..forms.match_rows import AFTER_FIT_HELP, HINT, Key, columns, match_rows
from ..forms.phase_overrides import OverrideButtons, PhaseQuestion, phase_called
from ..forms.tree import ResultTree
from ..session.image_state import ImageState
from ..session.runner import Runner, tell
from ..session.selection import spot_chosen
from ..session.settings import length_unit, remember_length_unit, units
from .calibration import rescaled_words
from .dock import Dock

HELP = (
    "Grains; below them the candidates, best first; below these the spots that they explain",
    "Probability among all candidates and other (unlisted) phases",
    "Zone axis: [uvw] along the beam",
    "Share of the grain's spots that the candidate explains",
    "Measured d, by the calibration of the image",
    "Deviation of the measured d from the reference, by the calibration of the image; mean for a candidate",
    AFTER_FIT_HELP,
    "Measured minus fitted direction",
)


class PhasesDock(Dock):
    """Tree of grains, candidates and indexed spots; a click on a candidate draws its rings.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__(napari_viewer)
        self._listed: object = None
        self._own_click = False
        self.tree = ResultTree(columns(length_unit()), HELP)
        self.reason = wrapped_label()
        self.clear = button("Clear rings", "Remove the rings of the phase, and clear the selection")
        self.copy = button("Copy table", "Copy the table, with tabs, for a spreadsheet")
        self.angstrom = QCheckBox("Å")
        self.angstrom.setToolTip("Lattice spacings in Angstrom instead of nm; remembered")
        self.angstrom.setChecked(length_unit() == "angstrom")
        self.words = OverrideButtons()
        self.question = PhaseQuestion()
        self.apply = button("Apply to calibration", "")
        self.undo = button("Undo calibration", "Restore the previous scale and its analysis")
        self._scaling = flowing(self.apply, self.undo)
        self._hint: tuple[GrainMatch, Candidate] | None = None
        self._asker = Runner()
        self._lay_out()
        self.tree.chosen.connect(self._on_row_chosen)
        self.tree.escaped.connect(self.session.deselect)
        self.clear.clicked.connect(self._on_clear)
        self.copy.clicked.connect(self.tree.copy)
        self.angstrom.toggled.connect(self._on_unit_toggled)
        units.changed.connect(self._on_unit_changed)
        self.words.said.connect(self.session.decide)
        self.session.chosen_changed.connect(self._on_selected)
        self.question.rings_wanted.connect(self._on_rings_wanted)
        self.question.why_wanted.connect(self._on_why_wanted)
        self.apply.clicked.connect(self._on_apply)
        self.undo.clicked.connect(self.session.undo_calibration)
        self.session.scale_changed.connect(self._on_scale_changed)
        self._asker.returned.connect(self._on_answered)
        self._asker.failed.connect(tell)
        self.follow(self._on_found)
        self._on_found()

    def _lay_out(self) -> None:
        layout = self.column()
        layout.addWidget(self.tree, stretch=1)
        layout.addWidget(self.question)
        layout.addWidget(self.reason)
        layout.addWidget(self._scaling)
        layout.addWidget(self.words)
        layout.addWidget(flowing(self.clear, self.copy, self.angstrom))

    def _say(self, reason: str) -> None:
        """Show a text below the table, which has the room where there is none."""
        self.reason.setText(unbroken_percent(reason))
        self.reason.setVisible(bool(reason))

    def _show_buttons(self) -> None:
        """Leave the room of the buttons to the table where neither can be pressed."""
        self._scaling.setVisible(not (self.apply.isHidden() and self.undo.isHidden()))

    def _on_found(self) -> None:
        image_state = self.session.current
        found = (image_state.matches, image_state.analysis) if image_state is not None else None
        if found is None or found != self._listed:
            self._listed = found
            self._say("")
            self.words.offer(None, None)
            self._offer_hint(None, None)
            self._asker.cancel()
            self._fill()
            if image_state is not None:
                self.question.offer(tuple(image_state.phases.values()))
            self._say_scale()

    def _fill(self) -> None:
        """List the selected grains, or all; the text below describes the first selected one."""
        image_state, chosen = self.session.current, self.session.chosen
        rows = match_rows(image_state, length_unit()) if image_state is not None else []
        grains = set(chosen.grains) if chosen is not None else set()
        if image_state is not None and grains:
            rows = [row for row in rows if _grain_of(row.key, image_state) in grains]
        self.tree.fill(rows)
        if len(grains) == 1:
            for item in self.tree.items():
                if item.parent() is None:
                    item.setExpanded(True)
            self.tree.fit_columns()

    def _on_selected(self) -> None:
        """Update after a selection elsewhere."""
        image_state, chosen = self.session.current, self.session.chosen
        if self._own_click or image_state is None:
            return
        self._fill()
        own = [m for m in image_state.matches if chosen is not None and m.grain in chosen.grains]
        self._say(own[0].reason if own else "")
        self.words.offer(image_state if own else None, own[0].grain if own else None)
        one = own[0] if own and len({match.grain for match in own}) == 1 else None
        self._offer_hint(one, nearest_hint(one) if one is not None else None)

    def _on_unit_toggled(self, angstrom: bool) -> None:
        unit: LengthUnit = "angstrom" if angstrom else "nm"
        remember_length_unit(unit)
        self._on_unit_changed()

    def _on_unit_changed(self) -> None:
        unit = length_unit()
        with QSignalBlocker(self.angstrom):
            self.angstrom.setChecked(unit == "angstrom")
        self.tree.setHeaderLabels(list(columns(unit)))
        self._fill()

    def _on_row_chosen(self, key: Key) -> None:
        """Select the grain (index, "", -1), candidate (index, phase, -1) or spot of a row."""
        image_state = self.session.current
        if image_state is None or image_state.analysis is None:
            return
        index, phase, spot_id = key
        self._own_click = True
        try:
            if index < 0:
                self._choose_rings(image_state, image_state.analysis.rings[-1 - index], phase)
            else:
                self._choose(image_state, index, phase, spot_id)
        finally:
            self._own_click = False

    def _choose(self, image_state: ImageState, index: int, phase: str, spot_id: int) -> None:
        match = image_state.matches[index]
        self._say(match.reason)
        self.words.offer(image_state, match.grain, phase)
        listed = (*match.candidates, *match.alternatives, *match.hints)
        known = match.hints if spot_id == HINT else listed
        candidate = next((c for c in known if c.phase == phase), None)
        self._offer_hint(match, candidate or nearest_hint(match))
        if spot_id >= 0:
            spot = next(spot for spot in image_state.spots if spot.id == spot_id)
            self.session.pick(spot_chosen(image_state, spot, candidate))
            return
        self.session.look_at_grain(match.grain, candidate)
        if candidate is not None:
            self.session.spotlight.show_phase(image_state, phase, candidate.scale)

    def _offer_hint(self, match: GrainMatch | None, candidate: Candidate | None) -> None:
        """Let the button apply the scale that a candidate needs, if any."""
        self._hint = (match, candidate) if match is not None and candidate is not None else None
        self.apply.setVisible(self._hint is not None and candidate is not None and bool(candidate.indexed))
        self._show_buttons()
        needed = needs_words(candidate).replace(", ", ",\n") if candidate else "to calibration"
        self.apply.setText(f"Apply {needed}")  # in two lines, or it would widen a narrow dock
        self.apply.setToolTip(
            "Correct the scale of the image so that the grain fits this phase, and analyse it again. The"
            " grain is then an internal standard that you have assigned; its phase is no longer a result"
        )

    def _on_apply(self) -> None:
        """Correct the scale by the hint, and make the grain an internal standard."""
        image_state = self.session.current
        if image_state is None or self._hint is None:
            return
        match, candidate = self._hint
        try:
            correction = correction_of_hint(candidate, match.grain)
            corrected = image_state.micrograph.calibration.corrected(correction)
        except ValueError as error:
            tell(error)
            return
        centre = next(grain.centre for grain in image_state.grains if grain.id == match.grain)
        said = PhaseOverride(match.grain, candidate.phase, "lock", centre)
        self.session.calibrate(image_state, corrected, (said,))

    def _on_scale_changed(self) -> None:
        self._say_scale()

    def _say_scale(self) -> None:
        """Describe the last correction, until there is another message."""
        image_state = self.session.current
        last = image_state.rescaled[-1:] if image_state is not None else []
        self.undo.setVisible(bool(last))
        self._show_buttons()
        if last:
            self._say(f"{rescaled_words(last[0])}; Undo calibration reverts it")

    def _on_rings_wanted(self, name: str) -> None:
        image_state = self.session.current
        if image_state is None or image_state.analysis is None:
            return
        try:
            phase = phase_called(name, tuple(image_state.phases.values()))
        except ValueError as error:
            tell(error)
            return
        self.session.spotlight.compare(image_state, phase)

    def _on_why_wanted(self, name: str) -> None:
        image_state, chosen = self.session.current, self.session.chosen
        if image_state is None or image_state.analysis is None:
            self._say("analyse the image first")
            return
        self._asker.cancel()
        try:
            phase = phase_called(name, tuple(image_state.phases.values()))
        except ValueError as error:
            self._say(str(error))  # in place of the text about another phase
            tell(error)
            return
        grain = chosen.grains[0] if chosen is not None and len(chosen.grains) == 1 else None
        self._say("...")
        self._asker.start(_why_steps(image_state.analysis, phase, grain, image_state.evidence))

    def _on_answered(self, answer: WhyNot) -> None:
        self._say(answer.words)
        bring_into_sight(self.reason)

    def _choose_rings(self, image_state: ImageState, match: RingMatch, phase: str) -> None:
        """Describe rings, and draw those of a candidate; the pattern of a grain is removed."""
        self.session.pick(None)
        self._say(match.reason)
        self.words.offer(None, None)
        if phase:
            candidate = next(c for c in match.candidates if c.phase == phase)
            self.session.spotlight.show_phase(image_state, phase, candidate.scale)

    def _on_clear(self) -> None:
        self.session.pick(None)
        if self.session.current is not None:
            self.session.spotlight.compare(self.session.current, None)


def nearest_hint(match: GrainMatch) -> Candidate | None:
    """Return the nearest hint of an unknown crystal, or the most probable member of an ambiguous set."""
    if match.hints:
        return match.hints[0]
    members = [c for c in match.candidates if c.phase in match.phases]
    return members[0] if match.outcome is Outcome.AMBIGUOUS and members else None


def needs_words(candidate: Candidate) -> str:
    """Describe the scale that a candidate needs: "Au: scale +4.2 %, stretch 3.1 % along 37°"."""
    words = f"{candidate.phase}: scale {signed(100 * (candidate.scale - 1), 1)} %"
    if candidate.stretch <= USUAL_STRETCH:
        return words
    along = stretch_direction(*candidate.distortion)
    return f"{words}, stretch {100 * candidate.stretch:.1f} % along {along:.0f}°"


def _why_steps(
    analysis: Analysis, phase: Phase, grain: int | None, cache: EvidenceCache
) -> Generator[Step, None, WhyNot]:
    """Answer the question as a job of one step."""
    answer = why_not(analysis, phase, grain, cache)
    yield Step("why not", 1, 1)
    return answer


def _grain_of(key: Key, image_state: ImageState) -> int | None:
    """Return the grain of a row; None for rings."""
    return image_state.matches[key[0]].grain if key[0] >= 0 else None
