from types import SimpleNamespace

import numpy as np

from napari_tem_fft.core.grains.candidate import SearchContext, reached_windows
from napari_tem_fft.core.grains.peaks import Peak
from napari_tem_fft.core.grains.regions import GrainRegion
from napari_tem_fft.core.maps.map_grid import MapGrid


def test_a_peak_is_sure_where_a_network_proposed_it():
    sure = np.array([(3.0, 4.0)])
    context = lambda sure: SearchContext(None, None, None, None, None, 0.01, sure)  # noqa: E731
    near, mirrored, far = (Peak(g, 0.01, 50.0, -40.0, 1.0) for g in ((3.02, 4.0), (-3.02, -4.0), (3.1, 4.0)))
    assert context(sure).is_sure(near) and context(sure).is_sure(mirrored)
    assert not context(sure).is_sure(far) and not context(None).is_sure(near)


def test_a_region_reaches_into_the_windows_that_hold_a_pixel_of_it():
    """Windows of 4 nm at every 2 nm along x, on pixels of 1 nm."""
    lines = (2.0,), (2.0, 4.0, 6.0, 8.0)
    spectra, grid = SimpleNamespace(lines=lines, size=(4.0, 4.0)), MapGrid((4, 10), (1.0, 1.0))
    mask = np.zeros(grid.shape, bool)
    mask[1, 4] = True  # windows over the pixels 0-3, 2-5, 4-7 and 6-9
    region = GrainRegion.cropped(mask, mask.astype(np.float32))
    assert reached_windows(region, spectra, grid).tolist() == [False, True, True, False]
