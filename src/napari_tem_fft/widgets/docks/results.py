"""The results dock: components, grains and reflections, with the candidates of each grain."""

from __future__ import annotations

from matplotlib.ticker import MaxNLocator
from napari.components import ViewerModel
from qtpy.QtGui import QAction

from ...core.crystal.phase import format_hkl
from ...core.grains.grain import Grain, bin_edges, summary
from ...core.maps.component_map import ComponentMap, colours_of, component_name
from ...core.maps.strain import reference_text
from ...core.matching import GrainMatch, IndexedSpot
from ...core.pipeline import Analysis
from ...core.text import count_text, signed, spacing, with_sigma
from ...io.figures.grains import draw_size_bars
from ...io.results.grain_tables import sizes_of, write_sizes
from ...layers.grains import grain_layer_steps, legend
from ...layers.image import LayerData
from ..forms.controls import Columns, Scrolled, button, flowing, folding, menu_button, wrapped_label
from ..forms.match_rows import component_words, match_words, single_d_fits
from ..forms.tree import ResultTree, Row
from ..plots.canvas import ThemedCanvas
from ..session.image_state import ImageState
from ..session.mask_edits import specimen_edits
from ..session.runner import Runner, tell
from ..session.selection import component_chosen, spot_chosen
from ..session.session import unwrap_viewer
from ..session.settings import length_unit, units
from ..session.source import drawn_corners
from .dock import Dock
from .phases import PhasesDock


class SizesPlot(ThemedCanvas):
    """Histogram of diameters; grains cut by the border of the image are hatched."""

    def __init__(self, theme: str) -> None:
        super().__init__(theme)
        self.figure.set_layout_engine("constrained")
        self.axes = self.figure.add_subplot()
        self._analysis: Analysis | None = None
        self.redraw()

    def show_sizes(self, analysis: Analysis | None) -> None:
        """Draw the sizes of the grains of an analysis."""
        self._analysis = analysis
        self.redraw()

    def redraw(self) -> None:
        """Redraw everything."""
        self.axes.clear()
        sizes = sizes_of(self._analysis) if self._analysis is not None else {}
        total = sizes.pop("all", ([], []))
        edges, border = bin_edges(total[0]), self.colours.background
        draw_size_bars(self.axes, sizes, edges, colours_of(sizes), border)
        numbers = summary(*total)
        words = f"{count_text(numbers.grains, 'grain')}, {numbers.cut} cut by the border"
        mean = f"\nmean {numbers.mean:.1f} nm, median {numbers.median:.1f} nm" if numbers.grains else ""
        self.axes.set_title(words + mean, fontsize=8, color=self.colours.text)
        self.axes.set_xlabel("diameter (nm)")
        self.axes.set_ylabel("grains")
        self.axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        self.style(self.axes)
        super().redraw()


COLUMNS = ("component", "outcome", "probability", "area (nm²)", "share", "⌀ (nm)")
HELP = (
    "Phase or ambiguous set; below it its grains",
    "identified, likely, ambiguous, single d only or unknown",
    "Probability of the named phase, or of the whole set, among all candidates",
    "Area, and its uncertainty from the blurred edge",
    "Share of the specimen's area, without vacuum and holes",
    "Diameter of the circle of the same area",
)


class ComponentsDock(Dock):
    """Table of components and grains; a click selects one and moves the camera to it.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__(napari_viewer)
        self._listed: object = None
        self.tree = ResultTree(COLUMNS, HELP)
        self.whole = button("Show all", "Clear the selection and show the whole image again")
        self.copy = button("Copy table", "Copy the table, with tabs, for a spreadsheet")
        self.specimen = specimen_edits(self.session)
        self.draw = button("Edit specimen mask", "Paint or erase the specimen; maps and shares are updated")
        self.as_found = button("Reset to automatic", "Restore the automatic specimen mask")
        self.sizes = SizesPlot(unwrap_viewer(napari_viewer).theme)
        self.sizes.setVisible(False)
        self.legend = wrapped_label()
        self.about_maps = folding("What the maps show", self.legend)
        self.about_maps.setVisible(False)
        self.maps = QAction("Orientation, strain and rotation as layers")
        self.against_roi = QAction("Strain against the drawn ROI, not each grain's mean", checkable=True)
        self.show_sizes = QAction("Histogram of sizes", checkable=True)
        self.save_sizes = QAction("Save the table of sizes (CSV)...")
        self.runner = Runner()
        self._mapped: tuple[ImageState, Analysis] | None = None
        self._lay_out()
        self._connect()
        self._on_found()
        self._on_specimen_changed()

    def _connect(self) -> None:
        self.maps.triggered.connect(self._on_maps)
        self.show_sizes.toggled.connect(self._on_show_sizes)
        self.save_sizes.triggered.connect(self._on_save_sizes)
        self.runner.returned.connect(self._on_mapped)
        self.runner.failed.connect(tell)
        self.session.viewer.events.theme.connect(self._on_theme_changed)
        self.tree.chosen.connect(self._on_row_chosen)
        self.tree.escaped.connect(self.session.deselect)
        self.whole.clicked.connect(self._on_whole)
        self.copy.clicked.connect(self.tree.copy)
        self.draw.clicked.connect(self.specimen.draw)
        self.as_found.clicked.connect(self.specimen.as_found)
        self.specimen.changed.connect(self._on_specimen_changed)
        units.changed.connect(self._on_unit_changed)
        self.follow(self._on_found)

    def _lay_out(self) -> None:
        layout = self.column()
        layout.addWidget(Columns(self.tree, self.sizes, (3, 2)), stretch=1)
        layout.addWidget(self.about_maps)
        actions = [self.maps, self.against_roi, self.show_sizes, self.save_sizes]
        grains = menu_button("Grains", "Maps of orientation and strain, and sizes of grains", actions)
        layout.addWidget(flowing(self.whole, self.draw, self.as_found, grains, self.copy))

    def _on_found(self) -> None:
        image_state = self.session.current
        found = (
            (image_state.matches, image_state.components, set(image_state.phases)) if image_state else None
        )
        if found is None or found != self._listed:
            self._listed = found
            self.tree.fill(component_rows(image_state) if image_state is not None else [])
        self._on_sizes_changed()
        shown = image_state is not None and image_state.group.get("orientation") is not None
        self.about_maps.setVisible(shown)

    def _on_unit_changed(self) -> None:
        image_state = self.session.current
        self.tree.fill(component_rows(image_state) if image_state is not None else [])

    def _on_sizes_changed(self) -> None:
        if self.show_sizes.isChecked():
            image_state = self.session.current
            self.sizes.show_sizes(image_state.analysis if image_state is not None else None)

    def _on_show_sizes(self, wanted: bool) -> None:
        self.sizes.setVisible(wanted)
        self._on_sizes_changed()

    def _on_save_sizes(self) -> None:
        image_state = self.session.current
        analysis = image_state.analysis if image_state is not None else None
        if analysis is not None:
            what = "Save the table of sizes", "sizes.csv", "Tables (*.csv)"
            self.save_as(*what, lambda path: write_sizes(path.with_suffix(".csv"), analysis))

    def _on_maps(self) -> None:
        image_state = self.session.current
        if image_state is not None and image_state.analysis is not None:
            try:
                reference = self._reference(image_state)
            except ValueError as error:
                tell(error)
                return
            self._mapped = image_state, image_state.analysis
            self.runner.start(grain_layer_steps(image_state.analysis, reference))

    def _reference(self, image_state: ImageState) -> str | None:
        """Return the drawn shape as the reference of the strain; None for that of the run."""
        if not self.against_roi.isChecked():
            return None
        return reference_text(drawn_corners(image_state.layer, self.session.viewer))

    def _on_mapped(self, layers: tuple[LayerData, ...]) -> None:
        """Show the maps, unless the analysis has changed since."""
        image_state, analysis = self._mapped or (None, None)
        self._mapped = None
        if (
            image_state is not None
            and image_state.analysis is analysis
            and image_state is self.session.current
        ):
            image_state.group.show(layers)
            self.legend.setText(legend(layers))
            self.about_maps.setVisible(True)
            self.session.stage.refit()  # the colour bar needs room

    def _on_theme_changed(self) -> None:
        self.sizes.set_theme(self.session.viewer.theme)

    def _on_specimen_changed(self) -> None:
        self.draw.setEnabled(self.specimen.layer is not None)
        self.as_found.setEnabled(self.specimen.by_user)

    def _on_row_chosen(self, key: tuple[str, str | int]) -> None:
        image_state = self.session.current
        if image_state is None or image_state.analysis is None:
            return
        kind, what = key
        if kind == "grain":
            self.session.look_at_grain(int(what))
        elif kind == "spot":
            spot = next((each for each in image_state.spots if each.id == what), None)
            if spot is not None:
                self.session.pick(spot_chosen(image_state, spot))
        else:
            self.session.pick(component_chosen(image_state, str(what)))

    def _on_whole(self) -> None:
        self.session.pick(None)
        self.session.stage.look("both")


def component_rows(image_state: ImageState) -> list[Row]:
    """Return one row per component, largest first, with its grains below."""
    colours = colours_of(component.name for component in image_state.components)
    return [
        _component_row(image_state, component, colours[component.name])
        for component in image_state.components
    ]


def _reflection_row(indexed: IndexedSpot, image_state: ImageState, match: GrainMatch) -> Row | None:
    """Return the row of a spot of a grain with (hkl) and d; its record has the columns of the candidates."""
    spot = next((each for each in image_state.spots if each.id == indexed.spot), None)
    if spot is None:
        return None
    phase = image_state.phases.get(match.candidates[0].phase)
    d = spacing(spot.d, spot.d_sigma, length_unit())
    cells = (
        f"({format_hkl(indexed.hkl, phase)})  {d}",
        f"Δd {signed(100 * indexed.deviation(spot.d))} %",
        "",
        "",
        "",
        "",
    )
    return Row(("spot", spot.id), cells)


def _component_row(image_state: ImageState, component: ComponentMap, colour: str) -> Row:
    said = component.phases or component.bent or single_d_fits(image_state, component) is not None
    cells = (
        component.name,
        component_words(image_state, component) if said else "",
        f"{component.score:.2f}" if component.phases else "",
        with_sigma(component.area, component.area_sigma),
        f"{component.fraction:.1%}",
        "",
    )
    record = {
        "row": "component",
        "component": component.name,
        "grain": None,
        "outcome": component_words(image_state, component),
        "probability": float(component.score) if component.phases else None,
        "area_nm2": float(component.area),
        "area_sigma_nm2": float(component.area_sigma),
        "share": float(component.fraction),
    }
    grains = [grain for grain in image_state.grains if grain.id in component.grains]
    children = tuple(
        _grain_row(image_state, grain, _match(image_state, grain, component), component, colour)
        for grain in grains
    )
    return Row(("component", component.name), cells, colour, children=children, record=record)


def _match(image_state: ImageState, grain: Grain, component: ComponentMap) -> GrainMatch:
    own = [match for match in image_state.matches if match.grain == grain.id]
    return next((match for match in own if component_name(match) == component.name), own[0])


def _grain_row(
    image_state: ImageState, grain: Grain, match: GrainMatch, component: ComponentMap, colour: str
) -> Row:
    probability = min(sum(c.posterior for c in match.candidates if c.phase in match.phases), 1.0)
    cells = (
        f"grain {grain.id}",
        match_words(match),
        f"{probability:.2f}" if match.phases else "",
        with_sigma(grain.area, grain.area_sigma),
        "",
        f"{grain.diameter:.1f}",
    )
    record = {
        "row": "grain",
        "component": component.name,
        "grain": grain.id,
        "outcome": match_words(match),
        "probability": float(probability) if match.phases else None,
        "area_nm2": float(grain.area),
        "area_sigma_nm2": float(grain.area_sigma),
        "diameter_nm": float(grain.diameter),
        "centre_x_nm": float(grain.centre[1]),
        "centre_y_nm": float(grain.centre[0]),
        "reason": match.reason,
    }
    shown = match.candidates[0].indexed if match.phases and match.candidates else ()
    rows = (_reflection_row(indexed, image_state, match) for indexed in shown)
    children = tuple(row for row in rows if row is not None)
    return Row(("grain", grain.id), cells, colour, match.reason, children, record)


class ResultsDock(Dock):
    """The table of components next to the candidates of the selected grain, or of all grains.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__(napari_viewer)
        self.components = ComponentsDock(napari_viewer)
        self.candidates = PhasesDock(napari_viewer)
        halves = Scrolled(self.components), Scrolled(self.candidates)
        self.column().addWidget(Columns(*halves, (1, 1)), stretch=1)
