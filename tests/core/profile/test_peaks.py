import numpy as np
import pytest
from scipy import signal

from napari_tem_fft.core.profile.peaks import find_peaks


def test_peaks_of_a_small_curve_by_hand():
    """Heights 4, 1 and 3; they stand 4, 0.5 and 3 above the higher of their saddles."""
    curve = np.array([0.0, 2, 4, 2, 0, 1, 1, 0.5, 3, 0])
    peaks, widths = find_peaks(curve, 1.0, 0.5)
    assert peaks.tolist() == [2, 5, 8]
    assert widths == pytest.approx([1 + 1, 0.25 + 1.5, 0.6 + 0.5])
    assert find_peaks(curve, 2.0, 0.5)[0].tolist() == [2, 8]
    assert find_peaks(curve, 1.0, 3.5)[0].tolist() == [2]


@pytest.mark.parametrize("seed", range(20))
def test_peaks_are_those_of_scipy(seed):
    curve = np.random.default_rng(seed).integers(0, 9, 60).astype(float)
    peaks, widths = find_peaks(curve, 3.0, 2.0)
    wanted, _ = signal.find_peaks(curve, height=3.0, prominence=2.0)
    assert peaks.tolist() == wanted.tolist()
    assert widths == pytest.approx(signal.peak_widths(curve, wanted, 0.5)[0])


def test_a_flat_curve_has_no_peak():
    assert len(find_peaks(np.zeros(5), 0.0, 0.0)[0]) == 0
