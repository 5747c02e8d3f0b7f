import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_tem_fft.core.fourier.frequency_grid import FrequencyGrid
from napari_tem_fft.core.fourier.mask import edit, render
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
