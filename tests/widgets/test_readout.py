from types import SimpleNamespace

import pytest

from napari_tem_fft.core.crystal.phase import format_hkl
from napari_tem_fft.core.spots.spot import Spot
from napari_tem_fft.io.phases.table import load_table
from napari_tem_fft.layers.results import plane_of
from napari_tem_fft.widgets.canvas.cursor import describe, spot_at
from napari_tem_fft.widgets.session.selection import nearest_line

SPOT = Spot(7, (-2.0, 3.4641016), 0.01, 50.0, -40.0, radius=0.2)


def test_words_for_a_frequency():
    assert describe((0.0, 4.0), ()) == "d = 0.2500 nm   g = 4.000 nm⁻¹   0.0°"
    assert describe((-3.0, 0.0), ()).endswith("90.0°")
    assert describe((0.0, 0.0), ()) == "g = 0"


def test_a_spot_is_named_on_both_sides():
    assert spot_at((-2.05, 3.45), [SPOT]) is SPOT
    assert spot_at((2.05, -3.45), [SPOT]) is SPOT
    assert spot_at((2.05, 3.45), [SPOT]) is None
    assert "spot 7: 0.2500 ± 0.0006 nm, SNR 50" in describe((-2.0, 3.46), [SPOT])


def test_status_bar_gives_d_over_the_fft_only(viewer, analysed):
    plane = plane_of(analysed.group["fft"].metadata)
    viewer.mouse_over_canvas = True
    viewer.cursor.position = plane.world((0.0, 4.0))
    viewer.update_status_from_cursor()
    assert viewer.status.startswith("d = 0.2500 nm")
    viewer.cursor.position = (1.0, 1.0)
    viewer.update_status_from_cursor()
    assert "d = " not in str(viewer.status)
    analysed.group["fft"].visible = False
    viewer.cursor.position = plane.world((0.0, 4.0))
    viewer.update_status_from_cursor()
    assert "d = " not in str(viewer.status)


def test_spot_under_the_cursor(viewer, analysed):
    spot = analysed.spots[0]
    viewer.mouse_over_canvas = True
    viewer.cursor.position = plane_of(analysed.group["fft"].metadata).world(spot.g)
    viewer.update_status_from_cursor()
    assert f"{spot.d:.4f} ±" in viewer.status
    assert f"grain {analysed.grains[0].id}, " in viewer.status
    assert spot.d == pytest.approx(0.2, abs=0.05)


def test_the_nearest_line_of_a_named_phase():
    table = load_table()
    lif = next(phase for phase in table if phase.id == "LiF")
    named = SimpleNamespace(phases=("LiF",))
    image_state = SimpleNamespace(components=(named,), phases={phase.id: phase for phase in table})
    line = lif.reflections[0]
    words = nearest_line(image_state, 1.002 / line.d)
    assert words == f"near LiF ({format_hkl(line.hkl)}), -0.2 %"
    assert nearest_line(image_state, 0.5 / line.d) == ""
