"""Twins of gold in an image: found, named, told apart, and known as twins."""

import numpy as np
import pytest

from forward_model import positions, white_noise, zone
from napari_tem_fft.core.crystal.phase_selection import select_phases
from napari_tem_fft.core.image.calibration import Calibration
from napari_tem_fft.core.image.micrograph import Micrograph
from napari_tem_fft.core.maps.orientation import grain_boundaries, orientation_map, orientations
from napari_tem_fft.core.pipeline import Analysis, analysis_steps
from napari_tem_fft.core.progress import exhaust
from napari_tem_fft.io.phases.table import load_table
from napari_tem_fft.layers.grains import grain_layer_steps

SHAPE, PIXEL = (640, 640), (0.025, 0.025)
GOLD = select_phases(load_table(), names=("Au",))
#: cos of the twin angle is -1/3.
TWIN = float(np.degrees(np.arccos(-1 / 3)))


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    """Gold along [011] on either side of a boundary, turned by 109.47 degrees, in noise."""
    pixels, (y, x) = white_noise(SHAPE, 1), positions(SHAPE, PIXEL)
    for turn, columns in ((10.0, slice(60, 320)), (10.0 + TWIN, slice(320, 580))):
        _, g, _ = zone(GOLD[0], (0, 1, 1), turn)
        for gy, gx in g[np.argsort(np.hypot(*g.T))[:4]]:
            fringes = 0.7 * np.cos(2 * np.pi * (gy * y + gx * x))
            pixels[100:540, columns] += fringes[100:540, columns]
    return exhaust(analysis_steps(Micrograph(pixels, Calibration.real(PIXEL)), GOLD))


def test_twins_have_two_orientations(analysis: Analysis) -> None:
    found = orientations(analysis.components, analysis.grains, analysis.matches, analysis.spots)
    assert [one.component for one in found] == ["Au", "Au"] and found[0].hkl == found[1].hkl
    left, right = sorted(found, key=lambda one: analysis.grains[one.grain - 1].centre[1])
    assert (right.azimuth - left.azimuth) % 180 == pytest.approx(TWIN, abs=3 * left.sigma)
    image = orientation_map(found, analysis.grains, analysis.grain_regions, analysis.specimen)
    ny, nx = image.shape
    assert image[ny // 2, nx // 4] == pytest.approx(left.azimuth)
    assert image[ny // 2, 3 * nx // 4] == pytest.approx(right.azimuth)


def test_twins_have_two_colours(analysis: Analysis) -> None:
    (azimuth, kwargs, _), *_ = exhaust(grain_layer_steps(analysis))
    assert len(np.unique(azimuth[np.isfinite(azimuth)].round())) >= 2
    assert kwargs["contrast_limits"] == (0.0, 180.0)


def test_twins_are_known_as_twins(analysis: Analysis) -> None:
    grains = analysis.matches, analysis.grains, analysis.grain_regions, analysis.map_grid
    (boundary,) = grain_boundaries(*grains, 1.0, analysis.phases)
    assert boundary.misorientation.note == "Sigma 3 twin"
    assert boundary.misorientation.angle == pytest.approx(60.0, abs=0.5)
