import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forward_model import frequency, fringes, white_noise
from napari_tem_fft.core.fourier.diffractogram import (
    FrequencyGrid,
    SpectrumParams,
    compute_diffractogram,
    display_grid,
)
from napari_tem_fft.core.fourier.mask import (
    SpectrumRegion,
    edit,
    fringes_of,
    masked_inverse,
    render,
    soften_mask,
)
from napari_tem_fft.core.image.calibration import Calibration
from napari_tem_fft.core.image.micrograph import Micrograph
from napari_tem_fft.core.spots.spot import Spot

GRID = FrequencyGrid((0.1, 0.1), (50, 50))


def spot(number, g, radius=0.3, enabled=True):
    return Spot(number, g, 0.01, 50.0, -40.0, radius=radius, enabled=enabled)


def hand(g, radius, number):
    return Spot(number, g, 0.01, 20.0, -15.0, "hand", radius=radius)


def paint(mask, g, radius, value=1):
    y, x = GRID.axes()
    out = mask.copy()
    out[(y - g[0]) ** 2 + (x - g[1]) ** 2 <= radius**2] = value
    return out


def test_a_spot_is_two_discs_of_its_radius():
    mask = render([spot(1, (1.0, 2.0))], GRID)
    np.testing.assert_array_equal(mask, mask[::-1, ::-1])
    assert mask[60, 70] and mask[40, 30]
    assert mask.sum() / 2 * 0.01 == pytest.approx(np.pi * 0.3**2, rel=0.15)


def test_disabled_spots_are_not_drawn():
    assert not render([spot(1, (1.0, 2.0), enabled=False)], GRID).any()


def test_erasing_one_disc_of_the_pair_disables_the_spot():
    spots = (spot(1, (1.0, 2.0)), spot(2, (-2.0, 1.0)))
    before = render(spots, GRID)
    after = edit(spots, before, paint(before, (-1.0, -2.0), 0.35, 0), GRID, hand)
    assert [s.enabled for s in after] == [False, True]


def test_nibbling_at_a_disc_changes_nothing():
    spots = (spot(1, (1.0, 2.0)),)
    before = render(spots, GRID)
    assert edit(spots, before, paint(before, (1.3, 2.0), 0.1, 0), GRID, hand) == spots


def test_painting_an_erased_disc_again_brings_the_same_spot_back():
    spots = (spot(1, (1.0, 2.0), enabled=False),)
    before = render(spots, GRID)
    after = edit(spots, before, paint(before, (1.0, 2.0), 0.3), GRID, hand)
    assert [s.id for s in after] == [1] and after[0].enabled


@pytest.mark.parametrize("wide", [1.0, 1.2, 1.5, 1.8])
def test_a_brush_wider_than_a_large_disc_brings_it_back_and_adds_none(wide):
    spots = (spot(1, (1.0, 2.0), radius=1.2, enabled=False),)
    before = render(spots, GRID)
    after = edit(spots, before, paint(before, (1.1, 2.0), wide * 1.2), GRID, hand)
    assert [(s.id, s.enabled) for s in after] == [(1, True)]


def test_painting_elsewhere_adds_one_spot_by_hand_in_the_stored_half():
    spots = (spot(7, (1.0, 2.0)),)
    before = render(spots, GRID)
    painted = paint(paint(before, (-3.0, -1.0), 0.4), (3.0, 1.0), 0.4)
    after = edit(spots, before, painted, GRID, hand)
    assert len(after) == 2 and after[1].origin == "hand" and after[1].id == 8
    np.testing.assert_allclose(after[1].g, (3.0, 1.0), atol=0.02)


def test_widening_a_disc_a_little_adds_no_spot():
    spots = (spot(1, (1.0, 2.0)),)
    before = render(spots, GRID)
    assert edit(spots, before, paint(before, (1.15, 2.0), 0.3), GRID, hand) == spots


@pytest.mark.parametrize("side", [-1, 1])
def test_a_rim_on_any_side_adds_no_spot(side):
    spots = (spot(1, (1.0, 2.0), radius=0.5),)
    before = render(spots, GRID)
    for g in ((1.0 + 0.65 * side, 2.0), (1.0, 2.0 + 0.65 * side)):
        assert edit(spots, before, paint(before, g, 0.15), GRID, hand) == spots


def test_a_single_painted_cell_is_a_disc_of_the_smallest_radius():
    before = np.zeros(GRID.shape, np.uint8)
    (new,) = edit((), before, paint(before, (2.0, 3.0), 0.05), GRID, hand)
    assert new.radius == pytest.approx(0.15) and new.g == pytest.approx((2.0, 3.0))


def test_undo_gives_the_spots_back():
    spots = (spot(1, (1.0, 2.0)), spot(2, (-2.0, 1.0)))
    before = render(spots, GRID)
    erased = edit(spots, before, paint(before, (1.0, 2.0), 0.5, 0), GRID, hand)
    assert edit(erased, render(erased, GRID), before, GRID, hand) == spots


@given(
    st.lists(
        st.tuples(st.floats(-4.5, 4.5), st.floats(0.1, 4.5), st.floats(0.05, 0.6)), min_size=1, max_size=6
    )
)
def test_no_change_of_the_mask_is_no_change_of_the_spots(places):
    spots = tuple(spot(i + 1, (y, x), r) for i, (y, x, r) in enumerate(places))
    mask = render(spots, GRID)
    assert edit(spots, mask, mask, GRID, hand) == spots


PIXEL = (0.025, 0.025)


def diffractogram_of(pixels, size=PIXEL):
    return compute_diffractogram(
        pixels.astype(np.float32), Micrograph(pixels, Calibration.real(size)), SpectrumParams()
    )


def test_inverse_of_the_whole_mask_is_the_image_up_to_q_max():
    pixels = fringes((128, 160), (0.02, 0.03), 0.25, 70.0)
    found = diffractogram_of(pixels, (0.02, 0.03))
    grid = display_grid(found)
    image, size = masked_inverse(found, np.ones(grid.shape, np.uint8), grid)
    assert image.std() == pytest.approx(pixels.std(), rel=0.05)
    assert (image.shape[0] * size[0], image.shape[1] * size[1]) == pytest.approx((2.56, 4.8))


def test_inverse_of_an_empty_mask_is_nothing():
    found = diffractogram_of(white_noise((128, 128), 5))
    grid = display_grid(found)
    image, _ = masked_inverse(found, np.zeros(grid.shape, np.uint8), grid)
    assert not image.any()


def spot_at(d, azimuth, radius, enabled=True):
    return Spot(0, frequency(d, azimuth), 0.01, 50.0, -40.0, "image", (), (0.0, 0.0), 5.0, radius, enabled)


@pytest.mark.parametrize("radius", [0.1, 0.2])
def test_fringes_that_end_sharply_are_shown_without_ripples(radius):
    """A disc with sharp edges would make ripples of 9 % of the amplitude on either side."""
    pixels = fringes((640, 640), PIXEL, 0.25, 90.0, amplitude=5.0)  # planes on top of each other
    pixels[:, :320] = 0
    image, size = fringes_of(diffractogram_of(pixels), [spot_at(0.25, 90.0, radius, enabled=False)])
    assert image.dtype == np.float32
    height = np.sqrt(2) * image[image.shape[0] // 4 : -(image.shape[0] // 4)].std(axis=0)  # 32 planes
    x = (np.arange(len(height)) + 0.5) * size[1] - 8.0
    inside, outside = height[(x > 0.3 / radius) & (x < 5)], height[(x < -0.3 / radius) & (x > -5)]
    assert inside.max() < 5 * 1.02 and inside.min() > 5 * 0.9
    assert outside[-1] < 5 * 0.1 and height[(x < -1.0 / radius) & (x > -5)].max(initial=0) < 5 * 0.02


def test_every_region_is_as_soft_as_it_is_wide():
    grid = FrequencyGrid((0.01, 0.01), (60, 60))
    y, x = np.mgrid[-60:61, -60:61]
    wide, narrow = np.hypot(y, x + 30) <= 12, np.hypot(y, x - 30) <= 3
    soft = soften_mask(wide | narrow, grid)
    assert soft[60, 30] == soft[60, 90] == 1.0
    half = [(soft[60] > 0.5)[part].sum() for part in (slice(0, 61), slice(61, 121))]
    assert half == pytest.approx([25, 7], abs=3)
    assert soft[60, 30 + 20] > 0.05 > soft[60, 90 - 7]


REGION_GRID = FrequencyGrid((0.05, 0.04), (100, 125))


def cells(region):
    return region.render(REGION_GRID).sum() * 0.05 * 0.04


def test_areas_are_those_of_geometry():
    assert cells(SpectrumRegion("circle", (3.0, 1.0), (3.0, 1.5))) == pytest.approx(
        2 * np.pi * 0.25, rel=0.05
    )
    assert cells(SpectrumRegion("ring", (0.0, 3.0), (4.0, 0.0))) == pytest.approx(np.pi * 7, rel=0.02)
    quarter = SpectrumRegion("wedge", (0.0, 3.0), (-4.0, 0.0))  # from 0 to 90 degrees
    assert cells(quarter) == pytest.approx(np.pi * 7 / 2, rel=0.03)


def test_a_region_holds_its_mirror_image():
    for kind in ("circle", "ring", "wedge"):
        mask = SpectrumRegion(kind, (2.0, 3.0), (1.0, 4.0)).render(REGION_GRID)
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
