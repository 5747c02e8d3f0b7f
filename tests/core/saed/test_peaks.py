"""Uncertainties of single spots and of pairs, by hand; the centre that pairs tell."""

import numpy as np
import pytest

from napari_tem_fft.core.saed.centre import PatternCentre
from napari_tem_fft.core.saed.peaks import Peak, centre_of_pairs, scatter_of_pairs, spots_of

CENTRE, SCALE = PatternCentre((100.0, 90.0), 0.3, "symmetry", 0.9), (0.05, 0.04)


def peak(y, x, sigma=0.1):
    return Peak((y, x), sigma, 1.5, 50.0, 20.0, -30.0)


def pair(y, x, off=(0.0, 0.0), sigma=0.1):
    """Two peaks at (y, x) from the centre, and their middle `off` from it."""
    return peak(100 + y + off[0], 90 + x + off[1], sigma), peak(100 - y + off[0], 90 - x + off[1], sigma)


def test_a_pair_needs_no_centre_and_is_as_good_as_the_mean_of_two():
    two, one = spots_of([pair(0.0, 80.0), (peak(140.0, 90.0),)], CENTRE, SCALE, False)[::-1]
    assert two.g == pytest.approx((0.0, 3.2)) and two.paired and two.id == 2
    assert two.sigma == pytest.approx(0.1 / np.sqrt(2) * 0.05)
    assert one.g == pytest.approx((2.0, 0.0)) and not one.paired
    assert one.sigma == pytest.approx(np.hypot(0.1, 0.3) * 0.05)
    (copied,) = spots_of([pair(0.0, 80.0)], CENTRE, SCALE, True)
    assert copied.sigma == pytest.approx(0.1 * 0.05)  # -g is the same datum again


def test_pairs_whose_middles_scatter_more_than_their_fits_say_are_less_sure():
    offs = [(0.4, -0.4), (-0.4, 0.4), (0.4, 0.4)]
    groups = [pair(10.0 * n, 80.0, off) for n, off in enumerate(offs)]
    misfit = 0.4 / (0.1 / np.sqrt(2)) / 0.6745
    assert scatter_of_pairs(groups, CENTRE) == pytest.approx(misfit)
    assert scatter_of_pairs(groups[:2], CENTRE) == 1
    spots = spots_of(groups, CENTRE, SCALE, False)
    assert [spot.sigma for spot in spots] == pytest.approx(3 * [misfit * 0.1 / np.sqrt(2) * 0.05])


def test_the_middles_of_pairs_are_the_centre_weighed_by_their_fits():
    groups = [pair(0.0, 80.0, (0.02, 0.0), 0.05), pair(30.0, 50.0, (-0.02, 0.0), 0.1), (peak(1.0, 1.0),)]
    found = centre_of_pairs(groups, CENTRE)
    assert found.source == "pairs of spots"
    assert found.position == pytest.approx((100 + 0.02 * (4 - 1) / 5, 90.0))
    assert found.sigma == pytest.approx(1 / np.sqrt(2 / 0.05**2 + 2 / 0.1**2))
    assert centre_of_pairs(groups[2:], CENTRE) is CENTRE
    assert centre_of_pairs([pair(0.0, 80.0, sigma=0.5)], CENTRE) is CENTRE
