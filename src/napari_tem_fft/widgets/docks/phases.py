"""Half of the results: why: for each grain every candidate, how well it fits, and the verdict's reason."""

from __future__ import annotations

from napari.components import ViewerModel
from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import QCheckBox

from ...core.lengths import LengthUnit
from ...core.matching import RingMatch
from ..forms.controls import button, flowing, wrapped_label
from ..forms.match_rows import Key, columns, match_rows
from ..forms.override_buttons import Words
from ..forms.tree import ResultTree
from ..session.image_state import ImageState
from ..session.preferences import length_unit, remember_length_unit, units
from ..session.selection import spot_chosen
from .dock import Dock

HELP = (
    "Grains; below them the candidates, best first; below these the spots that they explain",
    "Probability among all candidates and other (unlisted) phases",
    "Zone axis: [uvw] along the beam",
    "Share of the grain's spots that the candidate explains",
    "Measured, by the image's calibration",
    "Candidate: by how much the calibration would have to change. Spot: what is left after that",
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
        self.clear = button("Clear rings", "Take away the rings of the phase, and end the choice")
        self.copy = button("Copy table", "Copy the table, with tabs, for a spreadsheet")
        self.angstrom = QCheckBox("Å")
        self.angstrom.setToolTip("Lattice spacings in Angstrom instead of nm; remembered")
        self.angstrom.setChecked(length_unit() == "angstrom")
        self.words = Words()
        self._lay_out()
        self.tree.chosen.connect(self._on_row_chosen)
        self.tree.escaped.connect(self.session.deselect)
        self.clear.clicked.connect(self._on_clear)
        self.copy.clicked.connect(self.tree.copy)
        self.angstrom.toggled.connect(self._on_unit_toggled)
        units.changed.connect(self._on_unit_changed)
        self.words.said.connect(self.session.decide)
        self.session.chosen_changed.connect(self._on_selected)
        self.follow(self._on_found)
        self._on_found()

    def _lay_out(self) -> None:
        layout = self.column()
        layout.addWidget(self.tree)
        layout.addWidget(self.reason)
        layout.addWidget(self.words)
        layout.addWidget(flowing(self.clear, self.copy, self.angstrom))

    def _on_found(self) -> None:
        image_state = self.session.current
        found = (image_state.matches, image_state.analysis) if image_state is not None else None
        if found is None or found != self._listed:
            self._listed = found
            self.reason.clear()
            self.words.offer(None, None)
            self._fill()

    def _fill(self) -> None:
        """List the grains that are selected, or all; what is said of one is of the first that is selected."""
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
        """Follow a selection that was made elsewhere."""
        image_state, chosen = self.session.current, self.session.chosen
        if self._own_click or image_state is None:
            return
        self._fill()
        own = [m for m in image_state.matches if chosen is not None and m.grain in chosen.grains]
        self.reason.setText(own[0].reason if own else "")
        self.words.offer(image_state if own else None, own[0].grain if own else None)

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
        """Take a grain's row (index, "", -1), a candidate's (index, phase, -1) or a spot's."""
        image_state = self.session.current
        if image_state is None or image_state.analysis is None:
            return
        index, phase, spot_id = key
        if index < 0:
            self._choose_rings(image_state, image_state.analysis.rings[-1 - index], phase)
            return
        self._own_click = True
        try:
            self._choose(image_state, index, phase, spot_id)
        finally:
            self._own_click = False

    def _choose(self, image_state: ImageState, index: int, phase: str, spot_id: int) -> None:
        match = image_state.matches[index]
        self.reason.setText(match.reason)
        self.words.offer(image_state, match.grain, phase)
        if spot_id >= 0:
            spot = next(spot for spot in image_state.spots if spot.id == spot_id)
            self.session.pick(spot_chosen(image_state, spot))
            return
        self.session.look_at_grain(match.grain)
        if phase:
            candidate = next(c for c in (*match.candidates, *match.alternatives) if c.phase == phase)
            self.session.spotlight.show_phase(image_state, phase, candidate.scale)

    def _choose_rings(self, image_state: ImageState, match: RingMatch, phase: str) -> None:
        """Tell of rings, and draw those of a candidate."""
        self.reason.setText(match.reason)
        self.words.offer(None, None)
        if phase:
            candidate = next(c for c in match.candidates if c.phase == phase)
            self.session.spotlight.show_phase(image_state, phase, candidate.scale)

    def _on_clear(self) -> None:
        self.session.pick(None)


def _grain_of(key: Key, image_state: ImageState) -> int | None:
    """Return the grain of a row; None for rings, which belong to none."""
    return image_state.matches[key[0]].grain if key[0] >= 0 else None
