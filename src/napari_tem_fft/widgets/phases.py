"""The phases dock: for each grain every candidate, how well it fits, and why the verdict is what it is."""

from __future__ import annotations

from napari.components import ViewerModel
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from ..core.colours import UNKNOWN, colours_of
from ..core.maps import component_name
from ..core.matching import Candidate, GrainMatch, IndexedSpot
from ..core.spots import Spot
from ._chosen import grain_chosen, spot_chosen
from ._findings import Findings
from ._session import session_of
from ._tree import ResultTree, Row

COLUMNS = ("grain, phase, (hkl)", "probability", "zone axis", "fits", "d (nm)", "d off", "angle off")
HELP = (
    "Grains; below them the candidates, best first; below these the spots that they explain",
    "Among all candidates and a lattice that is not listed",
    "[uvw] along the beam",
    "Share of the grain's spots that the candidate explains",
    "Measured, by the image's calibration",
    "Candidate: by how much the calibration would have to change. Spot: what is left after that",
    "Measured minus fitted direction",
)
#: Candidates listed a grain.
MOST_CANDIDATES = 12


class PhasesDock(QWidget):
    """Tree of grains, candidates and indexed spots; a click on a candidate draws its rings.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__()
        self.session = session_of(napari_viewer)
        self._listed: object = None
        self.tree = ResultTree(COLUMNS, HELP)
        self.reason = QLabel()
        self.reason.setWordWrap(True)
        self.clear = QPushButton("Clear rings")
        self.clear.setToolTip("Take away the rings of the phase, and end the choice")
        self.copy = QPushButton("Copy table")
        self.copy.setToolTip("Copy the table, with tabs, for a spreadsheet")
        self._lay_out()
        self.tree.chosen.connect(self._on_row_chosen)
        self.clear.clicked.connect(self._on_clear)
        self.copy.clicked.connect(self.tree.copy)
        for signal in (self.session.found, self.session.current_changed):
            signal.connect(self._on_found)
        self._on_found()

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 2, 4, 2)
        layout.addWidget(self.tree)
        layout.addWidget(self.reason)
        row = QHBoxLayout()
        row.addWidget(self.clear)
        row.addWidget(self.copy)
        layout.addLayout(row)

    def _on_found(self) -> None:
        findings = self.session.current
        found = findings.matches if findings is not None else None
        if found is None or found is not self._listed:
            self._listed = found
            self.reason.clear()
            self.tree.fill(match_rows(findings) if findings is not None else [])

    def _on_row_chosen(self, key: tuple[int, str, int]) -> None:
        """Take a grain's row (index, "", -1), a candidate's (index, phase, -1) or a spot's."""
        findings = self.session.current
        if findings is None or findings.analysis is None:
            return
        index, phase, spot_id = key
        match = findings.matches[index]
        self.reason.setText(match.reason)
        if spot_id >= 0:
            spot = next(spot for spot in findings.spots if spot.id == spot_id)
            self.session.pick(spot_chosen(findings, spot))
            return
        self.session.pick(grain_chosen(findings, match.grain))
        if phase:
            candidate = next(c for c in match.candidates if c.phase == phase)
            self.session.spotlight.show_phase(findings, phase, candidate.scale)

    def _on_clear(self) -> None:
        self.session.pick(None)


def match_rows(findings: Findings) -> list[Row]:
    """Return one row a match, its candidates below, and below each the spots that it explains."""
    colours = colours_of(component.name for component in findings.components)
    spots = {spot.id: spot for spot in findings.spots}
    return [_match_row(index, match, colours, spots) for index, match in enumerate(findings.matches)]


def _match_row(index: int, match: GrainMatch, colours: dict[str, str], spots: dict[int, Spot]) -> Row:
    name = " / ".join(match.phases)
    children = [_candidate_row(index, c, spots) for c in match.candidates[:MOST_CANDIDATES]]
    if match.unlisted:
        cells = ("a lattice that is not listed", f"{match.unlisted:.3f}", "", "", "", "", "")
        children.append(Row(None, cells, help="Or spots that belong to no lattice at all"))
    words = f"grain {match.grain}: {name} {match.outcome}".replace("  ", " ")
    return Row(
        (index, "", -1),
        (words, "", "", "", "", "", ""),
        colours.get(component_name(match), UNKNOWN),
        match.reason,
        tuple(children),
    )


def _candidate_row(index: int, candidate: Candidate, spots: dict[int, Spot]) -> Row:
    zone = f"[{' '.join(map(str, candidate.zone_axis))}]" if candidate.zone_axis else ""
    cells = (
        candidate.phase,
        f"{candidate.posterior:.3f}",
        zone,
        f"{candidate.explained:.0%}",
        "",
        f"{100 * (candidate.scale - 1):+.2f} %",
        "",
    )
    help = f"needs the pixel size changed by {100 * (candidate.scale - 1):+.2f} %; click for its rings"
    known = [indexed for indexed in candidate.indexed if indexed.spot in spots]
    children = tuple(_spot_row(index, candidate.phase, i, spots[i.spot]) for i in known)
    return Row((index, candidate.phase, -1), cells, help=help, children=children)


def _spot_row(index: int, phase: str, indexed: IndexedSpot, spot: Spot) -> Row:
    cells = (
        f"({' '.join(map(str, indexed.hkl))})",
        "",
        "",
        "",
        f"{spot.d:.4f} ± {spot.d_sigma:.4f}",
        f"{100 * indexed.d_residual:+.2f} %",
        f"{indexed.angle_residual:+.2f}°",
    )
    help = f"spot {spot.id}; reference d {indexed.d_reference:.4f} nm; {indexed.kind}"
    return Row((index, phase, spot.id), cells, help=help)
