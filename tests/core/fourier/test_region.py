import numpy as np
import pytest

from napari_tem_fft.core.fourier.diffractogram import FrequencyGrid
from napari_tem_fft.core.fourier.mask import SpectrumRegion
from napari_tem_fft.core.spots.spot import Spot

GRID = FrequencyGrid((0.05, 0.04), (100, 125))


def cells(region):
    return region.render(GRID).sum() * 0.05 * 0.04


def test_areas_are_those_of_geometry():
    assert cells(SpectrumRegion("circle", (3.0, 1.0), (3.0, 1.5))) == pytest.approx(
        2 * np.pi * 0.25, rel=0.05
    )
    assert cells(SpectrumRegion("ring", (0.0, 3.0), (4.0, 0.0))) == pytest.approx(np.pi * 7, rel=0.02)
    quarter = SpectrumRegion("wedge", (0.0, 3.0), (-4.0, 0.0))  # from 0 to 90 degrees
    assert cells(quarter) == pytest.approx(np.pi * 7 / 2, rel=0.03)


def test_a_region_holds_its_mirror_image():
    for kind in ("circle", "ring", "wedge"):
        mask = SpectrumRegion(kind, (2.0, 3.0), (1.0, 4.0)).render(GRID)
        assert mask.any()
        np.testing.assert_array_equal(mask, mask[::-1, ::-1])


def test_a_wedge_goes_the_shorter_way():
    across = SpectrumRegion("wedge", (0.5, -3.0), (-0.5, -3.5))  # through 180 degrees
    assert across.inside(0.0, -3.2) and across.inside(0.0, 3.2)
    assert not across.inside(3.2, 0.0)


def test_spots_inside_and_words():
    spots = [Spot(1, (0.0, 4.0), 0.01, 9.0, -9.0), Spot(2, (5.0, 0.0), 0.01, 9.0, -9.0, enabled=False)]
    ring = SpectrumRegion("ring", (4.5, 0.0), (0.0, 5.5))
    assert ring.spots_inside(spots) == (2,) and ring.spots_inside([]) == ()
    assert ring.words == "annulus of d = 0.1818 to 0.2222 nm"


def test_outlines_lie_on_the_border():
    region = SpectrumRegion("wedge", (0.0, 3.0), (-4.0, 0.0))
    for line in region.outlines():
        np.testing.assert_array_equal(line[0], line[-1])
        assert set(np.hypot(*line.T).round(9)) == {3.0, 4.0}
    azimuth = np.degrees(np.arctan2(-region.outlines()[0][:, 0], region.outlines()[0][:, 1]))
    assert (azimuth.min(), azimuth.max()) == pytest.approx((0, 90))


def test_circles_and_rings_are_closed_lines_all_around():
    circle, mirrored = SpectrumRegion("circle", (3.0, 1.0), (3.0, 1.5)).outlines()
    inner, outer = SpectrumRegion("ring", (0.0, 3.0), (4.0, 0.0)).outlines()
    for line, centre, radius in (
        (circle, (3, 1), 0.5), (mirrored, (-3, -1), 0.5), (inner, (0, 0), 3.0), (outer, (0, 0), 4.0),
    ):  # fmt: skip
        y, x = (line - centre).T
        assert np.hypot(y, x) == pytest.approx(radius) and line[0] == pytest.approx(line[-1])
        turned = np.unwrap(np.arctan2(-y, x))
        assert turned[-1] - turned[0] == pytest.approx(2 * np.pi)
