import numpy as np
import pytest

from napari_tem_fft.core.profile.radial_profile import ProfilePeak
from napari_tem_fft.core.spots.spot import Spot
from napari_tem_fft.io.figures.labels import distinct_peaks, ring_groups, spread_labels


def test_labels_are_moved_just_as_far_as_needed() -> None:
    np.testing.assert_allclose(spread_labels([1.0, 5.0, 9.0], 1.0), [1.0, 5.0, 9.0])
    np.testing.assert_allclose(spread_labels([4.0, 4.0, 9.0], 1.0), [3.5, 4.5, 9.0])
    np.testing.assert_allclose(spread_labels([4.0, 4.1, 4.9], 1.0), [13 / 3 - 1, 13 / 3, 13 / 3 + 1])
    assert len(spread_labels([], 1.0)) == 0


def test_spots_of_like_d_share_a_ring() -> None:
    spots = [
        Spot(i, (0.0, g), 0.01, snr, -20.0) for i, (g, snr) in enumerate([(4.0, 30), (4.01, 50), (5.0, 20)])
    ]
    rings = ring_groups(spots)
    assert [g for g, _ in rings] == pytest.approx([4.005, 5.0])
    assert [len(members) for _, members in rings] == [2, 1]


def test_of_peaks_at_one_place_the_strongest_is_labelled() -> None:
    peaks = [
        ProfilePeak(g, 0.01, 0.1, 1.0, height, "masked") for g, height in [(5.0, 9), (4.0, 30), (4.01, 50)]
    ]
    assert [peak.g for peak in distinct_peaks(peaks)] == [4.01, 5.0]
