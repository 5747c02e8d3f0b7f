import numpy as np
import pytest

from napari_tem_fft.core.grains.regions import _quantile, _widen, cut_level, half_amplitude


@pytest.mark.parametrize("count", [1, 2, 7, 100])
def test_quantiles_lie_between_values(count):
    values = np.random.default_rng(count).normal(size=count).astype(np.float32)
    assert _quantile(values, 0.75) == pytest.approx(np.quantile(values, 0.75), rel=1e-6)


@pytest.mark.parametrize("spots", [1, 4])
def test_a_region_is_above_the_noise_and_above_half_of_the_grains_amplitude(spots):
    strong = spots + 400.0
    total = np.float32([[strong, strong, strong, spots + 101, spots + 99, 0]])
    assert half_amplitude(total, spots, 0.001)[0].tolist() == [True] * 4 + [False] * 2
    level = cut_level(spots, 0.001)
    faint = np.float32([[level + 0.1, level - 0.1, spots]])
    assert half_amplitude(faint, spots, 0.001)[0].tolist() == [True, False, False]


def test_a_part_grows_by_half_of_itself_where_its_region_comes_to_its_border():
    region = np.zeros((20, 20), bool)
    part, shape = (slice(30, 50), slice(40, 60)), (100, 64)
    assert _widen(part, region, shape) == part
    region[9:11, 9:11] = True
    assert _widen(part, region, shape) == part
    region[9:20, 9:20] = True
    assert _widen(part, region, shape) == (slice(30, 60), slice(40, 64))
    region[0] = True
    assert _widen(part, region, shape)[0] == slice(20, 60)
