"""pyTEMlib: power_spectrum and diffractogram_spots, as its notebooks use them."""

import warnings
from importlib.metadata import version

import numpy as np
import pyTEMlib.image_tools as tools
import sidpy
from exchange import answer, frequencies, given, timed

warnings.simplefilter("ignore")
image, (py, px), limits = given()


def power(smoothing):
    """pyTEMlib's power spectrum within the highest |g| that counts."""
    data = sidpy.Dataset.from_array(image.astype(np.float32), title="image")
    data.data_type, data.units, data.quantity = "image", "counts", "intensity"
    for axis, (name, size) in enumerate((("x", py), ("y", px))):
        values = np.arange(image.shape[axis]) * size
        data.set_dimension(
            axis, sidpy.Dimension(values, name=name, units="nm", quantity="Length", dimension_type="spatial")
        )
    spectrum = tools.power_spectrum(data, smoothing=smoothing)
    rows, columns = (np.flatnonzero(np.abs(d.values) <= limits[1] + 0.1) for d in (spectrum.u, spectrum.v))
    part = spectrum.like_data(np.asarray(spectrum)[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    for axis, (name, line) in enumerate((("u", spectrum.u.values[rows]), ("v", spectrum.v.values[columns]))):
        part.set_dimension(
            axis,
            sidpy.Dimension(
                line, name=name, units="1/nm", quantity="reciprocal_length", dimension_type="RECIPROCAL"
            ),
        )
    return part


def spots(threshold, smoothing):
    def find():
        found, _ = tools.diffractogram_spots(power(smoothing), threshold, return_center=False)
        return frequencies(np.asarray(found)[:, :2], (0.0, 0.0), (1.0, 1.0), limits)

    return find


runs = [timed("smoothing 3, threshold 0.1", spots(0.1, 3))]
for smoothing in (1, 3):
    for threshold in (0.02, 0.03, 0.05, 0.08, 0.12, 0.2):
        runs.append(timed(f"smoothing {smoothing}, threshold {threshold}", spots(threshold, smoothing)))
answer(f"pyTEMlib {version('pyTEMlib')}", runs)
