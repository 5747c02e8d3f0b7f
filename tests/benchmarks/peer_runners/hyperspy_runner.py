"""hyperspy: a Signal2D's own transform with its own apodization, and its own peak finders."""

import hyperspy
import hyperspy.api as hs
import numpy as np
from exchange import answer, frequencies, given, inside, timed
from scipy.ndimage import gaussian_filter

image, (py, px), limits = given()


def spectrum():
    """Logarithm of the amplitude, cropped, from 0 to 1; with the zero frequency's pixel and the step."""
    signal = hs.signals.Signal2D(image.astype(np.float32))
    signal.axes_manager[0].scale, signal.axes_manager[1].scale = px, py
    transform = signal.fft(shift=True, apodization=True)
    step = tuple(axis.scale for axis in transform.axes_manager.signal_axes)[::-1]
    centre = tuple(round(-axis.offset / axis.scale) for axis in transform.axes_manager.signal_axes)[::-1]
    part = inside(centre, step, limits)
    log = np.log1p(np.abs(transform.data[part]))
    log = (log - log.min()) / (log.max() - log.min())
    return log, (centre[0] - part[0].start, centre[1] - part[1].start), step


def peaks(method, smooth=0.0, **options):
    def find():
        log, origin, step = spectrum()
        signal = hs.signals.Signal2D(log)
        if smooth:
            signal = signal.map(gaussian_filter, sigma=smooth, inplace=False, show_progressbar=False)
        found = signal.find_peaks(method, interactive=False, show_progressbar=False, **options)
        return frequencies(np.asarray(found.data[0])[:, :2], origin, step, limits)

    return find


SETTINGS = {
    "local_max, default": peaks("local_max"),
    "minmax, default": peaks("minmax"),
    "difference_of_gaussian, default": peaks("difference_of_gaussian"),
}
for t in (0.35, 0.4, 0.45, 0.5, 0.55, 0.6):
    name = f"local_max, smoothed by 1.5 pixels, distance 4, threshold {t}"
    SETTINGS[name] = peaks("local_max", 1.5, min_distance=4, threshold_abs=t)
for t in (0.03, 0.05, 0.08, 0.12):
    name = f"difference_of_gaussian, smoothed, sigma 1-5, threshold {t}"
    SETTINGS[name] = peaks("difference_of_gaussian", 1.0, min_sigma=1.0, max_sigma=5.0, threshold=t)
runs = [timed(name, find) for name, find in SETTINGS.items()]
answer(f"hyperspy {hyperspy.__version__}", runs)
