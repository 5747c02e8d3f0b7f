"""The spots dock: a sortable table of all spots, with a selection shared with the canvas."""

from __future__ import annotations

from napari.components import ViewerModel
from qtpy.QtGui import QShowEvent

from ...core.crystal.phase import format_hkl
from ...core.maps.component_map import colours_of, component_name
from ...core.matching import GrainMatch
from ...core.matching.result import indexed_as, matches_of_spots
from ...core.spots.spot import Spot
from ...core.text import LengthUnit, length, signed, symbol, uncertainty
from ..forms.controls import button, flowing
from ..forms.match_rows import AFTER_FIT, AFTER_FIT_HELP
from ..forms.tree import ResultTree, Row
from ..session.image_state import ImageState
from ..session.selection import spot_chosen, spots_chosen
from ..session.settings import length_unit, units
from .dock import Dock

COLUMNS = (
    *("spot", "d ({0})", "± ({0})", "d reference ({0})", "Δd (%)", AFTER_FIT, "(hkl)"),
    *("azimuth (°)", "g ({0}⁻¹)", "SNR", "grain", "phase", "kind"),
)
HELP = (
    "Number of the spot, which edits do not change",
    "d by the calibration of the image",
    "Uncertainty of the fit, without that of the calibration",
    "Reference d of the indexed reflection",
    "Deviation of d from the reference, by the calibration of the image",
    AFTER_FIT_HELP,
    "Reflection of the most probable phase of the grain",
    "Direction of g, counter-clockwise from +x",
    "1/d",
    "Power over the mean noise power",
    "Grain of the spot",
    "Named phase of the grain, or of an ambiguous set",
    "Kind of spot by the lattice of its grain; off: disabled",
)
#: Colour of disabled spots, readable in dark and light themes.
OFF = "#8A8F98"


class SpotsDock(Dock):
    """Table of all spots, with the same selection as the canvas.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__(napari_viewer)
        self._listed: object = None
        self._picking = False
        self.tree = ResultTree(COLUMNS, HELP, sorted_by=1)
        self.remove = button("Delete", "Disable the selected spots (Del)")
        self.restore = button("Restore", "Enable the selected spots again")
        self.copy = button("Copy table", "Copy the table, with tabs, for a spreadsheet")
        layout = self.column()
        layout.addWidget(self.tree, stretch=1)
        layout.addWidget(flowing(self.remove, self.restore, self.copy))
        self.tree.itemSelectionChanged.connect(self._on_rows_chosen)
        self.tree.escaped.connect(self.session.deselect)
        self.remove.clicked.connect(self._on_remove)
        self.tree.deleted.connect(self._on_remove)
        self.restore.clicked.connect(self._on_restore)
        self.copy.clicked.connect(self.tree.copy)
        units.changed.connect(self._on_unit_changed)
        self.session.chosen_changed.connect(self._on_chosen_elsewhere)
        self.follow(self._on_found)
        self._on_unit_changed()

    def showEvent(self, event: QShowEvent | None) -> None:
        """Update the table after changes while it was hidden."""
        super().showEvent(event)
        self._on_found()

    def _on_found(self) -> None:
        image_state = self.session.current
        found = (image_state.spots, image_state.matches, set(image_state.phases)) if image_state else ()
        if found != self._listed and self.isVisible():
            self._listed = found
            self.tree.fill(spot_rows(image_state, length_unit()) if image_state is not None else [])
            self._on_chosen_elsewhere()

    def _on_unit_changed(self) -> None:
        self.tree.setHeaderLabels([column.format(symbol(length_unit())) for column in COLUMNS])
        self._listed = None
        self._on_found()

    def _on_rows_chosen(self) -> None:
        """Apply the selection to the canvas."""
        image_state, ids = self.session.current, set(self.tree.marked())
        if image_state is None:
            return
        spots = [spot for spot in image_state.spots if spot.id in ids]
        self._picking = True
        try:
            if len(spots) == 1:
                self.session.pick(spot_chosen(image_state, spots[0]))
            else:
                self.session.pick(spots_chosen(image_state, spots, "table") if spots else None)
        finally:
            self._picking = False
        self._on_rows_marked()

    def _on_chosen_elsewhere(self) -> None:
        if not self._picking:
            chosen = self.session.chosen
            self.tree.mark_all(set(chosen.spots) if chosen is not None else set())
            self._on_rows_marked()

    def _on_rows_marked(self) -> None:
        image_state, ids = self.session.current, set(self.tree.marked())
        enabled = {spot.enabled for spot in image_state.spots if spot.id in ids} if image_state else set()
        self.remove.setEnabled(True in enabled)
        self.restore.setEnabled(False in enabled)

    def _on_remove(self) -> None:
        self.session.edits.enable(self.tree.marked(), False)

    def _on_restore(self) -> None:
        self.session.edits.enable(self.tree.marked(), True)


def spot_rows(image_state: ImageState, unit: LengthUnit = "nm") -> list[Row]:
    """Return a row per spot, including disabled ones, by rising number."""
    colours = colours_of(component_name(match) for match in image_state.matches)
    match_of = matches_of_spots(image_state.grains, image_state.matches)
    return [_row(spot, match_of.get(spot.id), image_state, colours, unit) for spot in image_state.spots]


def _row(
    spot: Spot, match: GrainMatch | None, image_state: ImageState, colours: dict[str, str], unit: LengthUnit
) -> Row:
    indexed = indexed_as(spot.id, match) if match is not None else None
    phase = image_state.phases.get(match.candidates[0].phase) if match is not None and indexed else None
    name = component_name(match) if match is not None and (indexed or not match.phases) else ""
    kind = spot.kind if spot.enabled else f"{spot.kind}, off"
    cells = (
        str(spot.id),
        length(spot.d, unit),
        uncertainty(spot.d_sigma, unit),
        length(indexed.d_reference, unit) if indexed is not None else "",
        signed(100 * indexed.deviation(spot.d)) if indexed is not None else "",
        signed(100 * indexed.d_residual) if indexed is not None else "",
        f"({format_hkl(indexed.hkl, phase)})" if indexed is not None else "",
        f"{spot.azimuth:.2f}",
        f"{spot.length / (10 if unit == 'angstrom' else 1):.3f}",
        f"{spot.snr:.1f}",
        str(match.grain) if match is not None else "",
        name,
        kind,
    )
    record = {
        "spot": spot.id,
        "d_nm": float(spot.d),
        "d_sigma_nm": float(spot.d_sigma),
        "d_reference_nm": float(indexed.d_reference) if indexed is not None else None,
        "d_deviation_percent": float(100 * indexed.deviation(spot.d)) if indexed is not None else None,
        "d_change_percent": float(100 * indexed.d_residual) if indexed is not None else None,
        "hkl": " ".join(map(str, indexed.hkl)) if indexed is not None else "",
        "azimuth_deg": float(spot.azimuth),
        "azimuth_sigma_deg": float(spot.azimuth_sigma),
        "g_1_nm": float(spot.length),
        "snr": float(spot.snr),
        "grain": match.grain if match is not None else None,
        "phase": name,
        "kind": spot.kind,
        "counts": int(spot.enabled),
    }
    colour = (colours.get(name, "") if name else "") if spot.enabled else OFF
    return Row(spot.id, cells, colour, match.reason if match is not None else "", record=record)
