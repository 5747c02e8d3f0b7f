import numpy as np

from napari_tem_fft.core.drafts import Scene
from napari_tem_fft.core.grain_peaks import Peak


def test_a_peak_is_sure_where_a_network_proposed_it():
    sure = np.array([(3.0, 4.0)])
    scene = lambda sure: Scene(None, None, None, None, None, 0.01, sure)  # noqa: E731
    near, mirrored, far = (Peak(g, 0.01, 50.0, -40.0, 1.0) for g in ((3.02, 4.0), (-3.02, -4.0), (3.1, 4.0)))
    assert scene(sure).is_sure(near) and scene(sure).is_sure(mirrored)
    assert not scene(sure).is_sure(far) and not scene(None).is_sure(near)
