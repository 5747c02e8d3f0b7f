"""ncempy: its local maxima and its peak finder on the transform of the image."""

from importlib.metadata import version

import numpy as np
from exchange import amplitude, answer, frequencies, given, timed
from ncempy.algo.local_max import local_max
from ncempy.algo.peak_find import peakFind2D
from scipy.ndimage import gaussian_filter

image, size, limits = given()


def spectrum():
    """Logarithm of the amplitude under a Hann window, cropped; zero frequency's pixel; step."""
    modulus, origin, step = amplitude(image, size, limits)
    return np.log1p(modulus), origin, step


def rolled(threshold, smooth):
    def find():
        log, origin, step = spectrum()
        found = peakFind2D(gaussian_filter(log, smooth) if smooth else log, threshold)
        return frequencies(found, origin, step, limits)

    return find


def dilated(radius, threshold):
    def find():
        log, origin, step = spectrum()
        found = local_max(100 * log, radius, threshold)  # it takes whole numbers
        return frequencies([] if found is None else found, origin, step, limits)

    return find


runs = [timed("peakFind2D, threshold 0.5", rolled(0.5, 0.0))]
for threshold in (0.7, 0.75, 0.8, 0.85, 0.9):
    runs.append(timed(f"peakFind2D, smoothed by 1.5 pixels, threshold {threshold}", rolled(threshold, 1.5)))
for threshold in (400, 500, 600, 700):
    runs.append(timed(f"local_max, radius 5, {threshold / 100:g} in ln amplitude", dilated(5, threshold)))
answer(f"ncempy {version('ncempy')}", runs)
