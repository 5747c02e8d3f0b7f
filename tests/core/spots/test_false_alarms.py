import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_tem_fft.core.spots.false_alarms import log_tail, threshold


@given(st.floats(1, 1e9), st.floats(1e-3, 1), st.floats(5, 1e6))
def test_threshold_is_the_inverse_of_the_tail(tests, alarms, counts):
    assert log_tail(float(threshold(tests, alarms, counts)), counts) == pytest.approx(
        np.log(alarms / tests), abs=1e-6, rel=1e-6
    )


def test_a_mean_known_from_many_values_gives_the_exponential_tail():
    assert float(log_tail(20.0, 1e9)) == pytest.approx(-20.0)
    assert float(log_tail(20.0, 50)) > -20.0
