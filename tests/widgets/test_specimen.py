"""The specimen painted by hand: grains, maps and shares follow, and it holds in the next run."""

import numpy as np
import pytest

from mouse import stroke
from napari_tem_fft.widgets.docks.results import ComponentsDock


@pytest.fixture
def table(viewer, analysed):
    """The dock of components beside a finished analysis."""
    dock = ComponentsDock(viewer)
    viewer.window.add_dock_widget(dock, name="Components")
    return dock


def test_maps_and_shares_follow_the_brush(viewer, dock, analysed, table, run):
    before, layer = analysed.analysis, analysed.group["specimen"]
    assert before.specimen.all() and not table.as_found.isEnabled()
    table.draw.click()
    assert layer.visible and viewer.layers.selection.active is layer and layer.contour
    height, width = layer.data.shape
    layer.mode, layer.brush_size = "erase", width // 4
    run(dock.session, lambda: stroke(layer, (0, 0.9 * width), (height - 1, 0.9 * width)))
    after = analysed.analysis
    assert after.specimen_by_user and not after.specimen[height // 2, round(0.9 * width)]
    whole, part = before.components[0], after.components[0]
    assert part.fraction / part.area == pytest.approx(
        whole.fraction / whole.area / after.specimen.mean(), rel=0.02
    )
    assert analysed.spots == before.spots and "as you drew it" in dock.result.text()
    assert f"{part.fraction:.1%}" in table.tree.topLevelItem(0).text(4)
    run(dock.session, dock.run.click)  # a new run keeps it
    assert np.array_equal(analysed.analysis.specimen, after.specimen) and analysed.analysis.specimen_by_user
    run(dock.session, table.as_found.click)
    assert analysed.analysis.specimen.all() and not analysed.analysis.specimen_by_user
    assert np.asarray(layer.data).all()


def test_a_stroke_while_spots_are_followed_is_not_lost(dock, analysed, table, run, qtbot):
    layer, spot = analysed.group["specimen"], analysed.spots[0]
    table.draw.click()
    dock.session.edits.enable([spot.id], False)
    assert dock.session.running
    layer.data[:20] = 0
    layer.refresh()
    qtbot.waitUntil(lambda: analysed.analysis.specimen_by_user, timeout=30_000)
    assert not analysed.analysis.specimen[:20].any() and not analysed.analysis.spots[0].enabled


def test_an_empty_specimen_is_refused(dock, analysed, table, run, qtbot):
    layer = analysed.group["specimen"]
    table.draw.click()
    run(dock.session, lambda: (layer.data.fill(0), layer.refresh()))
    qtbot.waitUntil(lambda: not dock.session.running and np.asarray(layer.data).all(), timeout=30_000)
    assert not analysed.analysis.specimen_by_user
