import numpy as np
import pytest

from forward_model import white_noise
from napari_tem_fft.core.fourier.stft import WindowParams, rows_of_power, window_grid_of

PIXEL = (0.025, 0.025)


@pytest.mark.parametrize("shape", [(260, 243), (300, 300), (90, 400)])
def test_rows_that_windows_share_give_what_each_window_gives_by_itself(shape):
    image = white_noise(shape, 5).astype(np.float32)
    frame = window_grid_of(shape, PIXEL, 1.5, 10.0, WindowParams(2.5))
    (sy, sx), (hy, hx) = frame.side, frame.grid.half
    padded = np.pad(image, ((sy, sy), (sx, sx)))
    rows = zip(frame.rows.starts, frame.rows.tapers, rows_of_power(image, frame), strict=True)
    for start, taper, power in rows:
        for n, (left, across) in enumerate(zip(frame.columns.starts, frame.columns.tapers, strict=True)):
            part = padded[start + sy : start + 2 * sy, left + sx : left + 2 * sx] * np.outer(taper, across)
            alone = np.abs(np.fft.rfft2(part)[np.r_[-hy : hy + 1], : hx + 1]) ** 2
            np.testing.assert_allclose(power[n], alone, rtol=1e-3, atol=1e-5 * alone.max())
