"""The tables of components and of phases, and what a click in them does."""

from dataclasses import replace
from itertools import combinations, product
from types import SimpleNamespace

import numpy as np
import pytest
from qtpy.QtCore import QPoint, QRect
from qtpy.QtGui import QColor, QGuiApplication
from qtpy.QtWidgets import QApplication

from napari_tem_fft.core.maps.component_map import PALETTE, SHADES
from napari_tem_fft.core.matching import ImageGeometry, Outcome, PhaseOverride
from napari_tem_fft.io.phases.table import load_table
from napari_tem_fft.widgets.docks.phases import PhasesDock, match_rows
from napari_tem_fft.widgets.docks.profile import peak_names, phase_lines, scale_of_lines
from napari_tem_fft.widgets.docks.results import ComponentsDock, component_rows
from napari_tem_fft.widgets.forms.match_rows import component_words, match_words
from napari_tem_fft.widgets.forms.phase_overrides import OverrideButtons
from napari_tem_fft.widgets.forms.summary import summary
from napari_tem_fft.widgets.forms.tree import ResultTree, Row
from napari_tem_fft.widgets.session.image_state import ImageState
from small_analysis import small_analysis, with_bent_component


@pytest.fixture
def image_state():
    """The small analysis, without a viewer."""
    analysis = small_analysis()
    image_state = ImageState(SimpleNamespace(metadata={}, name="small"), analysis.micrograph, None)
    image_state.take(analysis)
    return image_state


@pytest.fixture
def tree(qtbot):
    tree = ResultTree(("what", "much"), ("a", "b"))
    qtbot.addWidget(tree)
    below = Row("b", ("two", "2"))
    tree.fill([Row("a", ("one", "1"), "#FF0000", "help", (below,)), Row(None, ("three", "3"))])
    return tree


def test_the_colours_of_rows_are_legible_in_dark_and_light_themes(qtbot):
    tree = ResultTree(("name",), ("",))
    qtbot.addWidget(tree)
    tree.fill([Row(n, ("Cu",), colour) for n, colour in enumerate((*PALETTE, *SHADES, "#000000", "#FFFFFF"))])
    for item, background in product(tree.items(), ("#262930", "#efebe9")):
        one, other = relative_luminance(item.foreground(0).color()), relative_luminance(QColor(background))
        assert (max(one, other) + 0.05) / (min(one, other) + 0.05) > 3


def relative_luminance(colour):
    levels = np.array(colour.getRgb()[:3]) / 255
    return ((levels + 0.055) / 1.055) ** 2.4 @ (0.2126, 0.7152, 0.0722)


def test_tree_holds_its_rows(tree):
    assert [item.text(0) for item in tree.items()] == ["one", "two", "three"]
    assert tree.as_text() == "what\tmuch\none\t1\ntwo\t2\nthree\t3"


def test_tree_sends_keys(tree, qtbot):
    _, second, third = tree.items()
    with qtbot.waitSignal(tree.chosen) as chosen:
        tree.itemClicked.emit(second, 0)
    assert chosen.args == ["b"]
    with qtbot.assertNotEmitted(tree.chosen):
        tree.itemClicked.emit(third, 0)


def test_what_is_unfolded_stays_so(tree):
    next(tree.items()).setExpanded(True)
    tree.fill([Row("a", ("one", "5"), children=(Row("b", ("two", "2")),))])
    assert next(tree.items()).isExpanded()


def test_components_and_grains_are_listed(image_state):
    both, unknown = component_rows(image_state)
    assert both.cells == ("LiF / mine", "ambiguous", "0.95", "3.8 ± 0.3", "21.0%", "")
    assert unknown.cells[:3] == ("unknown crystal", "", "")
    (grain,) = both.children
    assert grain.cells == ("grain 1", "ambiguous", "0.95", "3.8 ± 0.3", "", "2.2")
    assert grain.help == "elements would tell"
    assert both.colour != unknown.colour


def test_summary_says_what_is_there_and_why_something_has_no_name(image_state):
    text = summary(image_state)
    assert text.startswith("2 spots in 2 grains<br>")
    assert "<b>LiF / mine</b>: ambiguous, 3.8 ± 0.3 nm², 21.0\xa0%" in text
    assert "<i>phases outside the candidates that fit equally well: Al</i>" in text
    assert text.endswith("<i>one spot only</i>")


def test_a_name_that_rests_on_hydrogen_says_so(image_state):
    hydride = next(phase for phase in load_table() if phase.id == "LiH")
    image_state.analysis = replace(image_state.analysis, phases=(*image_state.analysis.phases, hydride))
    first, *others = image_state.components
    image_state.components = (replace(first, name="LiH", phases=("LiH",)), *others)
    image_state.request = {"elements": "Li, F"}
    assert "hydrogen counts as possible (-H excludes it): LiH" in summary(image_state)
    image_state.request = {"elements": "Li, F, H"}
    assert "hydrogen" not in summary(image_state)


def test_a_copied_table_has_grain_and_candidate_on_every_row(tree, image_state):
    tree.fill(match_rows(image_state))
    names, *rows = [line.split("\t") for line in tree.as_text().splitlines()]
    table = [dict(zip(names, row, strict=True)) for row in rows]
    assert {row["grain"] for row in table} == {"1", "2"} and all(row["outcome"] for row in table)
    (first, *_) = [row for row in table if row["row"] == "reflection"]
    assert (first["candidate"], first["hkl"], first["spot"]) == ("LiF", "1 1 1", "0")
    assert [float(first[name]) for name in ("d_nm", "d_reference_nm")] == pytest.approx([0.25, 0.2325])
    assert sum(float(row["probability"] or 0) for row in table if row["row"] == "candidate") <= 1


def test_a_set_with_a_phase_outside_the_candidates_has_its_lines_and_names(image_state):
    first, *others = image_state.components
    outside = replace(first, name="Al / LiF", phases=("Al", "LiF"))
    image_state.components = (outside, *others)
    assert [line.name for line in phase_lines(image_state)] == ["Al", "LiF"]
    assert len(peak_names(image_state, image_state.profiles[0].peaks)) == 1
    image_state.components = (replace(first, phases=("nowhere", "LiF")), *others)
    assert [line.name for line in phase_lines(image_state)] == ["LiF"]


def test_lines_stand_where_the_image_shows_them(image_state):
    analysis, (component, *_) = image_state.analysis, image_state.components
    name = component.phases[0]
    table = np.array([1 / r.d for r in image_state.phases[name].reflections if r.d > 0.05])

    def lines(geometry):
        image_state.analysis = replace(analysis, geometry=geometry)
        return next(line for line in phase_lines(image_state) if line.name == name)

    covariance = tuple(map(tuple, 1e-6 * np.eye(3)))
    off = lines(ImageGeometry((np.log(1.02), 0.03, 0.04), covariance, 2))
    np.testing.assert_allclose(off.g, 1.02 * table)
    assert off.stretch == pytest.approx(0.05)
    assert scale_of_lines([off]) == "phase lines g +2.0 %, ± 5.0 %"
    alone = lines(None)  # by the grains of the component
    (scale,) = {c.scale for m in image_state.matches if m.grain in component.grains for c in m.candidates[:1]}
    np.testing.assert_allclose(alone.g, scale * table)
    assert scale_of_lines([replace(alone, scale=1.0)]) == ""


def test_candidates_and_residuals_are_listed(image_state):
    first, second, rings = match_rows(image_state)
    assert first.cells[0] == "grain 1: LiF / mine ambiguous"
    lif, mine, alternatives = first.children
    assert alternatives.cells[:2] == ("outside candidates: Al", "")  # no share: those of all others are 1
    assert lif.cells == ("LiF", "0.600", "[0 1 1]", "100", "", "+11.53", "", "")
    assert lif.children[0].cells[0] == "(1 1 1)"
    assert lif.children[0].cells[4].startswith("0.2500 ± ")
    assert lif.children[0].cells[5:] == ("+7.53", "+7.53", "+0.10")
    assert mine.cells[2] == ""
    assert second.cells[0] == "grain 2: unknown"
    assert rings.cells[0] == "1 ring, by d only: Cu ambiguous"
    assert rings.children[0].children[0].cells[0] == "(1 1 1)"
    angstrom = match_rows(image_state, "angstrom")[0].children[0].children[0]
    assert angstrom.cells[4].startswith("2.500 ± ")


def test_a_click_on_a_grain_chooses_it_and_flies_there(viewer, analysed):
    dock = ComponentsDock(viewer)
    viewer.window.add_dock_widget(dock, name="components", area="bottom")
    grain = analysed.grains[0]
    item = next(item for item in dock.tree.items() if item.text(0) == "grain 1")
    dock.session.stage.look("real")
    dock.tree.itemClicked.emit(item, 0)
    assert dock.session.chosen.grains == (1,)
    assert viewer.scene.camera.center[1:] == pytest.approx(grain.centre)
    dock.tree.itemClicked.emit(next(dock.tree.items()), 0)
    assert set(dock.session.chosen.spots) == {spot.id for spot in analysed.spots}
    dock.whole.click()
    assert dock.session.chosen is None


def test_a_single_d_is_said_to_be_one_and_its_candidates_have_no_probability(image_state):
    first, _ = image_state.matches
    names = first.candidates[0], replace(first.candidates[1], phase="Al")
    single = replace(first, outcome=Outcome.SINGLE_D, phases=(), candidates=names, unlisted=0.0)
    component = replace(image_state.components[1], outcome=Outcome.SINGLE_D, grains=(1,))
    image_state.matches, image_state.components = (single,), (component,)
    assert "<b>single d only</b>: fits LiF, Al; " in summary(image_state)
    assert "unknown crystal" not in summary(image_state)
    (row,) = component_rows(image_state)
    assert row.cells[1:3] == ("single d only", "")
    lif = match_rows(image_state)[0].children[0]
    assert lif.cells[:2] == ("LiF", "") and lif.record["probability"] is None
    assert lif.children[0].cells[5:7] == ("+7.53", "")  # any scale fits a single d


def test_the_phase_of_a_decision_has_its_place_beside_the_buttons_before_it_has_an_entry(qtbot):
    words = OverrideButtons()
    qtbot.addWidget(words)
    words.resize(700, 60)
    words.show()
    QApplication.processEvents()
    assert words.phase.count() == 0
    places = [
        QRect(each.mapTo(words, QPoint(0, 0)), each.size()) for each in (words.phase, words.set, words.reject)
    ]
    assert places[0].width() > 60
    assert not any(a.intersects(b) for a, b in combinations(places, 2))


def test_table_goes_to_the_clipboard(viewer, analysed):
    dock = ComponentsDock(viewer)
    viewer.window.add_dock_widget(dock, name="components", area="bottom")
    dock.copy.click()
    names, *rows = [line.split("\t") for line in QGuiApplication.clipboard().text().splitlines()]
    table = [dict(zip(names, row, strict=True)) for row in rows]
    assert [row["row"] for row in table] == ["component", "grain"]
    assert all(row["component"] == analysed.components[0].name for row in table)
    grain = analysed.grains[0]
    assert float(table[1]["area_nm2"]) == pytest.approx(grain.area, rel=1e-6)
    assert float(table[1]["area_sigma_nm2"]) == pytest.approx(grain.area_sigma, rel=1e-6)


def test_a_click_on_a_candidate_draws_its_rings(viewer, analysed):
    dock = PhasesDock(viewer)
    viewer.window.add_dock_widget(dock, name="phases", area="bottom")
    items = list(dock.tree.items())
    candidate = next(i for i in items if i.parent() is items[0] and "unlisted" not in i.text(0))
    dock.tree.itemClicked.emit(candidate, 0)
    rings = analysed.group["phase"]
    assert viewer.layers.units == analysed.layer.units
    phase = next(p for p in analysed.analysis.phases if p.id == candidate.text(0))
    labels = [label for label in rings.features["label"] if label]
    assert set(labels) <= {" ".join(map(str, r.hkl)) for r in phase.reflections}
    assert dock.reason.text() == analysed.matches[0].reason
    dock.clear.click()
    assert analysed.group.get("phase") is None


def test_a_click_on_an_indexed_spot_chooses_it(viewer, analysed):
    dock = PhasesDock(viewer)
    viewer.window.add_dock_widget(dock, name="phases", area="bottom")
    spot = next(i for i in dock.tree.items() if i.text(0).startswith("("))
    dock.tree.itemClicked.emit(spot, 0)
    assert len(dock.session.chosen.spots) == 1


def test_tables_are_empty_without_an_image(viewer, dock):
    for kind in (ComponentsDock, PhasesDock):
        other = kind(viewer)
        viewer.window.add_dock_widget(other, name=kind.__name__, area="bottom")
        assert list(other.tree.items()) == []


def test_a_person_sets_and_withdraws_a_phase(viewer, analysed, run):
    dock = PhasesDock(viewer)
    viewer.window.add_dock_widget(dock, name="phases", area="bottom")
    assert not dock.words.set.isEnabled()
    dock.tree.itemClicked.emit(next(dock.tree.items()), 0)
    grain = analysed.matches[0].grain
    dock.words.phase.setCurrentText("Au")
    before = {role: analysed.group[role] for role in ("mask", "ifft", "fft")}
    run(dock.session, dock.words.set.click)
    assert analysed.matches[0].phases == ("Au",) and analysed.matches[0].decided_by_user
    assert analysed.analysis.decisions[0].kind == "override"
    assert next(dock.tree.items()).text(0) == f"grain {grain}: Au assigned by user"
    assert all(analysed.group[role] is layer for role, layer in before.items())
    assert analysed.past == []
    dock.tree.itemClicked.emit(next(dock.tree.items()), 0)
    run(dock.session, dock.words.withdraw.click)
    assert analysed.analysis.decisions == () and not analysed.matches[0].decided_by_user


def test_decisions_outlive_a_run(viewer, analysed, dock, run):
    grain = analysed.grains[0]
    run(dock.session, lambda: dock.session.decide([PhaseOverride(grain.id, "Cu", "reject")]))
    run(dock.session, dock.run.click)
    assert [(d.phase, d.kind) for d in analysed.analysis.decisions] == [("Cu", "reject")]


def test_lengths_in_angstrom(viewer, analysed):
    dock = PhasesDock(viewer)
    viewer.window.add_dock_widget(dock, name="phases", area="bottom")
    dock.angstrom.setChecked(True)
    assert dock.tree.headerItem().text(4) == "d (Å)"
    dock.angstrom.setChecked(False)
    assert dock.tree.headerItem().text(4) == "d (nm)"


def test_what_happens_within_grains_is_shown_as_layers(viewer, dock, analysed, qtbot):
    table = ComponentsDock(viewer)
    viewer.window.add_dock_widget(table, name="Components")
    with qtbot.waitSignal(table.runner.stopped, timeout=30_000):
        table.maps.trigger()
    azimuth = np.asarray(analysed.group["orientation"].data)
    region, shape = analysed.analysis.grain_regions[0], analysed.analysis.map_grid.shape
    finer = azimuth.shape[0] // shape[0]
    assert finer > 1  # no pixels of the map are seen
    whole = (slice(0, azimuth.shape[0]), slice(0, azimuth.shape[1]))
    grain = region.magnified(finer, shape).mask_on(whole)
    corner = analysed.group["orientation"].extent.world, analysed.group["d_change"].extent.world
    np.testing.assert_allclose(corner[0][1], corner[1][1] + analysed.analysis.map_grid.pixel_size, atol=0.2)
    inside = azimuth[grain & np.isfinite(azimuth)]
    assert np.median(inside) == pytest.approx(min(s.azimuth for s in analysed.spots), abs=2)
    assert np.isnan(azimuth[~grain]).mean() > 0.999 and analysed.group["orientation"].colorbar.visible
    change = np.asarray(analysed.group["d_change"].data)
    grain = region.mask_on(analysed.analysis.map_grid.box)
    assert np.isfinite(change[grain]).mean() < 0.05  # the planes are straight: nothing is significant
    assert "change of d within a grain (%)" in table.legend.text() and table.about_maps.isVisibleTo(table)


def test_a_bent_lattice_says_its_range_of_d_and_its_grains_that_they_are_places(analysed):
    bent = with_bent_component(small_analysis())
    words = component_words(analysed, bent.components[1])
    assert words == "ring-like: d 0.376-0.410 nm over 3 places; graphitic carbon (002)?"
    assert match_words(bent.matches[1]) == "place of a ring-like lattice"
    assert match_words(bent.matches[0]) == "ambiguous"


def test_strain_is_shown_against_the_drawn_region(viewer, dock, analysed, qtbot, monkeypatch):
    told = []
    monkeypatch.setattr("napari_tem_fft.widgets.docks.results.tell", told.append)
    table = ComponentsDock(viewer)
    viewer.window.add_dock_widget(table, name="Components")
    table.against_roi.setChecked(True)
    table.maps.trigger()
    assert "draw a rectangle" in str(told[0]) and not table.runner.running
    y, x = analysed.analysis.grains[0].centre
    corners = np.array([(-1, -1), (-1, 1), (1, 1), (1, -1)])
    drawn = viewer.add_shapes([(y, x) + 1.0 * corners], shape_type="rectangle", units=("nm", "nm"))
    with qtbot.waitSignal(table.runner.stopped, timeout=30_000):
        table.maps.trigger()
    assert "contains less than 12.6 nm^2 (one filter) of every grain" in table.legend.text()
    drawn.data = [(y, x) + 2.2 * corners]
    with qtbot.waitSignal(table.runner.stopped, timeout=30_000):
        table.maps.trigger()
    for what in ("eps_xx", "eps_yy", "eps_xy", "rotation"):
        assert analysed.group[what] is not None
    assert (
        "are relative to the region in grains 1," in table.legend.text()
        and "less than" not in table.legend.text()
    )


def test_sizes_are_drawn_and_saved(viewer, dock, analysed, tmp_path, monkeypatch):
    table = ComponentsDock(viewer)
    viewer.window.add_dock_widget(table, name="Components")
    table.show_sizes.setChecked(True)
    assert sum(bar.get_height() for bar in table.sizes.axes.patches) == len(analysed.grains)
    assert "1 grain, 0 cut" in table.sizes.axes.get_title()
    path = tmp_path / "sizes.csv"
    monkeypatch.setattr("qtpy.QtWidgets.QFileDialog.getSaveFileName", lambda *args: (str(path), ""))
    table.save_sizes.trigger()
    assert path.read_text().startswith("component,from_nm")
