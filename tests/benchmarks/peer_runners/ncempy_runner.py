"""ncempy: its local maxima and its peak finder on the transform of the image."""

from importlib.metadata import version

import numpy as np
from exchange import answer, frequencies, given, inside, timed
from ncempy.algo.local_max import local_max
from ncempy.algo.peak_find import peakFind2D
from scipy.ndimage import gaussian_filter

image, (py, px), limits = given()


def spectrum():
    """Logarithm of the amplitude under a Hann window, cropped; zero frequency's pixel; step."""
    window = np.outer(np.hanning(image.shape[0]), np.hanning(image.shape[1]))
    transform = np.fft.fftshift(np.fft.fft2((image - image.mean()) * window))
    step = (1 / (image.shape[0] * py), 1 / (image.shape[1] * px))
    centre = (image.shape[0] // 2, image.shape[1] // 2)
    part = inside(centre, step, limits)
    log = np.log1p(np.abs(transform[part]))
    return log, (centre[0] - part[0].start, centre[1] - part[1].start), step


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
