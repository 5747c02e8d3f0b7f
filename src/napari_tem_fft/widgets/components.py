"""The components dock: what the sample is made of, with areas, grain by grain."""

from __future__ import annotations

import numpy as np
from napari.components import ViewerModel
from qtpy.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from ..core.colours import colours_of
from ..core.grains import Grain
from ..core.maps import ComponentMap, named_phases
from ..core.matching import GrainMatch
from ._chosen import component_chosen, grain_chosen
from ._controls import button, fill_row
from ._findings import Findings
from ._session import session_of
from ._specimen import specimen_edits
from ._tree import ResultTree, Row
from ._views import fly_to, look_at

COLUMNS = ("component", "state", "probability", "area (nm²)", "of specimen", "diameter (nm)")
HELP = (
    "Phase or ambiguous set; below it its grains",
    "identified, likely, ambiguous, single d only or unknown",
    "Of the named phase, or of the whole set, among all candidates",
    "Area, and how far its edge is blurred",
    "Share of the specimen's area; vacuum and holes are not counted",
    "Of the circle of the same area",
)


class ComponentsDock(QWidget):
    """Table of components and grains; a click chooses one and flies to it.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__()
        self.session = session_of(napari_viewer)
        self._listed: object = None
        self.tree = ResultTree(COLUMNS, HELP)
        self.whole = button("Show all", "End the choice and look at the whole image again")
        self.copy = button("Copy table", "Copy the table, with tabs, for a spreadsheet")
        self.specimen = specimen_edits(self.session)
        self.draw = button("Draw specimen", "Paint or erase where there is matter; maps and shares follow")
        self.as_found = button("As found", "Go back to the specimen that the image shows")
        self._lay_out()
        self.tree.chosen.connect(self._on_row_chosen)
        self.whole.clicked.connect(self._on_whole)
        self.copy.clicked.connect(self.tree.copy)
        self.draw.clicked.connect(self.specimen.draw)
        self.as_found.clicked.connect(self.specimen.as_found)
        self.specimen.changed.connect(self._on_specimen_changed)
        for signal in (self.session.found, self.session.current_changed):
            signal.connect(self._on_found)
        self._on_found()
        self._on_specimen_changed()

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 2, 4, 2)
        layout.addWidget(self.tree)
        buttons = (self.whole, self.draw, self.as_found, self.copy)
        layout.addLayout(fill_row(QHBoxLayout(), *buttons))

    def _on_found(self) -> None:
        findings = self.session.current
        found = (findings.matches, findings.components) if findings is not None else None
        if found is None or found != self._listed:
            self._listed = found
            self.tree.fill(component_rows(findings) if findings is not None else [])

    def _on_specimen_changed(self) -> None:
        self.draw.setEnabled(self.specimen.layer is not None)
        self.as_found.setEnabled(self.specimen.by_user)

    def _on_row_chosen(self, key: tuple[str, str | int]) -> None:
        findings = self.session.current
        if findings is None or findings.analysis is None:
            return
        kind, what = key
        if kind == "grain":
            grain = next(grain for grain in findings.grains if grain.id == what)
            self.session.pick(grain_chosen(findings, grain.id))
            y, x = np.add(grain.centre, findings.group.offset)
            fly_to(self.session.viewer, (float(y), float(x)), grain.diameter)
        else:
            self.session.pick(component_chosen(findings, str(what)))

    def _on_whole(self) -> None:
        self.session.pick(None)
        look_at(self.session.viewer, self.session.current, "both")


def component_rows(findings: Findings) -> list[Row]:
    """Return one row a component, largest first, with its grains below."""
    colours = colours_of(component.name for component in findings.components)
    return [_component_row(findings, component, colours[component.name]) for component in findings.components]


def _component_row(findings: Findings, component: ComponentMap, colour: str) -> Row:
    cells = (
        component.name,
        str(component.outcome) if component.phases else "",
        f"{component.score:.2f}" if component.phases else "",
        f"{component.area:.1f} ± {component.area_sigma:.1f}",
        f"{component.fraction:.1%}",
        "",
    )
    grains = [grain for grain in findings.grains if grain.id in component.grains]
    children = tuple(_grain_row(grain, _match(findings, grain, component), colour) for grain in grains)
    return Row(("component", component.name), cells, colour, children=children)


def _match(findings: Findings, grain: Grain, component: ComponentMap) -> GrainMatch:
    own = [match for match in findings.matches if match.grain == grain.id]
    return next((match for match in own if named_phases(match) == component.phases), own[0])


def _grain_row(grain: Grain, match: GrainMatch, colour: str) -> Row:
    probability = sum(c.posterior for c in match.candidates if c.phase in match.phases)
    cells = (
        f"grain {grain.id}",
        str(match.outcome),
        f"{min(probability, 1.0):.2f}" if match.phases else "",
        f"{grain.area:.1f} ± {grain.area_sigma:.1f}",
        "",
        f"{grain.diameter:.1f}",
    )
    return Row(("grain", grain.id), cells, colour, match.reason)
