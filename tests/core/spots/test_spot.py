import pytest

from napari_tem_fft.core.spots.spot import Spot, angle_between, friedel_representative, separation


@pytest.mark.parametrize(
    ("a", "b", "angle"),
    [
        ((0, 2), (0, 5), 0),
        ((0, 2), (3, 0), 90),
        ((1, 1), (0, 1), 45),
        ((0, 2), (0, -1), 180),
        ((1, 1), (-1, 0), 135),
    ],
)
def test_the_angle_between_two_frequencies_counts_their_signs(a, b, angle):
    assert angle_between(a, b) == pytest.approx(angle, abs=1e-6)


def test_a_frequency_and_its_mirror_image_are_one():
    assert separation((3.0, 4.0), (-3.0, -4.1)) == pytest.approx(0.1)
    assert [friedel_representative(g) for g in ((1, -2), (-1, 0), (1, 0), (-3, 2))] == [
        (-1, 2),
        (1, 0),
        (1, 0),
        (-3, 2),
    ]


def test_d_and_azimuth_are_those_of_g_with_the_errors_of_the_fit():
    spot = Spot(1, (-3.0, 4.0), 0.05, 40.0, -30.0)
    assert (spot.length, spot.d, spot.azimuth) == pytest.approx((5.0, 0.2, 36.869898))
    assert spot.d_sigma == pytest.approx(0.05 * 0.2**2)
    assert spot.azimuth_sigma == pytest.approx(0.572958)
