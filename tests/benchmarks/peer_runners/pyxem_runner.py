"""pyxem: the power spectrum as a diffraction pattern; its templates, backgrounds and peak finder."""

import warnings

import numpy as np
import pyxem
from exchange import amplitude, answer, frequencies, given, timed
from pyxem.signals import Diffraction2D
from scipy.ndimage import gaussian_filter

warnings.simplefilter("ignore")
image, size, limits = given()


def pattern():
    """Logarithm of the power under a Hann window, cropped, with the zero frequency's pixel and the step."""
    modulus, origin, step = amplitude(image, size, limits)
    return np.log1p(modulus**2).astype(np.float32), origin, step


def vectors(radius=0, smooth=0.0, background=False, **options):
    def find():
        power, origin, step = pattern()
        signal = Diffraction2D(gaussian_filter(power, smooth) if smooth else power)
        if background:
            signal = signal.subtract_diffraction_background(
                "radial median", center_x=origin[1], center_y=origin[0], show_progressbar=False
            )
        if radius:
            signal = signal.template_match_disk(disk_r=radius, show_progressbar=False)
        found = signal.find_peaks(interactive=False, show_progressbar=False, **options)
        return frequencies(np.asarray(found.data[0])[:, :2], origin, step, limits)

    return find


runs = [timed("disk of 4 pixels, local maxima, default", vectors(4))]
for threshold in (0.5, 0.6, 0.7, 0.8, 0.9):
    name = f"disk of 3 pixels, correlation above {threshold}"
    runs.append(timed(name, vectors(3, threshold_abs=threshold, min_distance=4)))
for threshold in (1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0):
    name = f"smoothed by 1.5 pixels, radial median taken off, above {threshold} in ln power"
    runs.append(timed(name, vectors(0, 1.5, True, threshold_abs=threshold, min_distance=4)))
answer(f"pyxem {pyxem.__version__}", runs)
