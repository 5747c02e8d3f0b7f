"""Find the beam stop that shades the direct beam of a diffraction pattern, and exclude it.

Its edge is the sharpest feature of a pattern and would cause false spots, rings and a false centre. A stop is
dark relative to the diffuse intensity of its own rings, or, if it covers whole rings about the beam, relative
to the rings outside. It lies over the beam or next to it, and its edge is sharper than any minimum of the
diffuse intensity.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .centre import Point, bin_pattern, unbin_centre

Mask = NDArray[np.bool_]
Image = NDArray[np.float32]

#: Largest number of pixels along an axis of the image in which the stop is searched.
COARSE = 512
#: A pixel is shaded if it has less than this fraction of its ring's intensity. Stops transmit up to a fifth;
#: 0.4 to 0.6 give the same for `tests/core/saed/test_beam_stop.py`. Sweep on patterns: halved, nothing;
#: doubled, the centre is found less well (0.98 -> 0.93).
SHADED = 0.5
#: Smoothing before the search, pixels of the coarse image, and the number of pixels by which the region that
#: was found is widened.
SMOOTHING, MARGIN = 1.5, 3
#: The diffuse intensity of a ring is this percentile over this many neighbouring rings; powder rings do not
#: raise it.
LOW, WINDOW = 30, 25
#: Smallest area of a stop as a fraction of the image, and how near it comes to the beam, as a fraction of the
#: shorter side.
LEAST_AREA, NEAREST = 5e-4, 0.12
#: Largest fraction of an image that a stop can cover.
MOST_AREA = 0.4
#: Distance from the edge, coarse pixels, at which the intensities outside and inside are compared, and the
#: smallest median ratio of outside to inside: an intensity that decays without a stop has 1.0 to 1.3 there.
ACROSS, LEAST_RATIO = 4.0, 1.7
#: A shaded pixel is darker than its ring by at least this many standard deviations of the ring.
LEAST_DEPTH = 2.5
#: Rotations about the centre, degrees, tried in turn to fill shaded pixels from the open part of their ring.
TURNS = (180, 120, 240, 90, 270, 60, 300, 150, 210, 30, 330)


@dataclass(frozen=True, slots=True, eq=False)
class BeamStop:
    """The pixels that a beam stop shades, its edge included.

    Attributes
    ----------
    mask : ndarray of bool, shape (ny, nx)
    """

    mask: Mask

    @property
    def share(self) -> float:
        """Fraction of the image that it covers."""
        return float(self.mask.mean())

    def moved(self, centre: Point, scale: Point, stretch: NDArray[np.float64]) -> BeamStop:
        """The stop after a distortion (a matrix in g) about a centre was removed from the pattern."""
        size = np.asarray(scale)
        matrix = stretch * size[None, :] / size[:, None]
        offset = np.asarray(centre) - matrix @ np.asarray(centre)
        there = ndimage.affine_transform(
            self.mask.astype(np.float32), matrix, offset, order=1, mode="nearest"
        )
        return BeamStop(there > 0)

    def covers(self, place: Point, margin: float = 0.0) -> bool:
        """Whether a position (y, x), pixels, lies under the stop, or nearer to it than a margin."""
        ny, nx = self.mask.shape
        reach = int(np.ceil(margin)) + 1
        y, x = round(place[0]), round(place[1])
        rows = slice(max(y - reach, 0), min(y + reach + 1, ny))
        columns = slice(max(x - reach, 0), min(x + reach + 1, nx))
        dy, dx = np.nonzero(self.mask[rows, columns])
        apart = np.hypot(dy + rows.start - place[0], dx + columns.start - place[1])
        return bool(np.any(apart <= max(margin, 0.71)))


def find_beam_stop(image: Image, centre: Point) -> BeamStop | None:
    """The beam stop of a pattern; None if there is none.

    Parameters
    ----------
    image : ndarray, shape (ny, nx)
        Grey levels, linear in the number of electrons.
    centre : tuple of float, (y, x), pixels
        Centre of the pattern, to within a few pixels.
    """
    factor = max(1, -(-max(image.shape) // COARSE))
    small = ndimage.gaussian_filter(bin_pattern(image, factor), SMOOTHING)
    middle = unbin_centre(centre, 1 / factor)
    rows, columns = np.indices(small.shape)
    radius = np.hypot(rows - middle[0], columns - middle[1])
    ring = radius.astype(np.intp)
    level, scatter = _rings(small, ring)
    dark = float(np.quantile(small, 0.001))
    diffuse = ndimage.percentile_filter(level, LOW, size=WINDOW, mode="nearest")
    envelope = np.maximum.accumulate(diffuse[::-1])[
        ::-1
    ]  # lower limit of rings that are completely under a stop
    light = envelope[ring] - dark
    shaded = (small - dark < SHADED * light) & (light > LEAST_DEPTH * scatter[ring])
    shaded = ndimage.binary_opening(shaded, iterations=2)
    found = _over_the_beam(shaded, radius)
    if found is None or not _has_sharp_edge(small - dark, found):
        return None
    found = ndimage.binary_dilation(ndimage.binary_fill_holes(found), iterations=MARGIN)
    whole = np.kron(found, np.ones((factor, factor), bool))
    pad = [(0, max(n - m, 0)) for n, m in zip(image.shape, whole.shape, strict=True)]
    return BeamStop(np.pad(whole, pad, mode="edge"))


def _rings(image: Image, ring: NDArray[np.intp]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Median and robust standard deviation of each ring; small rings take those of their neighbours."""
    order = np.argsort(ring, axis=None, kind="stable")
    values, counts = image.ravel()[order].astype(np.float64), np.bincount(ring.ravel())
    level, scatter = np.zeros(len(counts)), np.zeros(len(counts))
    for number, part in enumerate(np.split(values, np.cumsum(counts)[:-1])):
        if len(part):
            low, level[number], high = np.quantile(part, (0.16, 0.5, 0.84))
            scatter[number] = (high - low) / 2 if len(part) > 12 else 0.0
    # a ring that is half shaded scatters because of the stop itself: rings further out are more reliable
    return level, np.minimum(scatter, ndimage.minimum_filter1d(np.maximum(scatter, 1e-12), 31))


def _over_the_beam(shaded: Mask, radius: NDArray[np.float64]) -> Mask | None:
    """The shaded regions that lie over the beam or near it, as one mask."""
    regions, count = ndimage.label(shaded)
    if not count:
        return None
    numbers = np.arange(1, count + 1)
    areas = ndimage.sum_labels(shaded, regions, numbers)
    nearest = ndimage.minimum(radius, regions, numbers)
    good = (areas > LEAST_AREA * shaded.size) & (nearest < NEAREST * min(shaded.shape))
    if not good.any():
        return None
    found: Mask = np.isin(regions, numbers[good])
    return found if found.mean() < MOST_AREA else None


def _has_sharp_edge(light: Image, found: Mask) -> bool:
    """Whether the intensity rises steeply all around a region, unlike the change between rings."""
    outside = ndimage.distance_transform_edt(~found)
    inside = ndimage.distance_transform_edt(found)
    near = (np.abs(outside - ACROSS) < 0.75) & ~found
    under = (np.abs(inside - ACROSS) < 0.75) & found
    if not near.any() or not under.any():
        return False
    # compare each position outside with the nearest one inside
    _, at = ndimage.distance_transform_edt(~under, return_indices=True)
    rows, columns = at[0][near], at[1][near]
    ratio = light[near] / np.maximum(light[rows, columns], 1e-6 * float(np.ptp(light)))
    return bool(np.median(ratio) >= LEAST_RATIO)


def fill_stop(image: Image, stop: BeamStop, centre: Point) -> Image:
    """The pattern with the pixels under its stop replaced by pixels from elsewhere on their rings.

    No peak is found there then, and the background and scatter of a ring are those of its open part.
    """
    filled = image.copy()
    rows, columns = np.nonzero(stop.mask)
    missing = np.ones(len(rows), bool)
    dy, dx = rows - centre[0], columns - centre[1]
    for turn in np.radians(TURNS):
        y = np.rint(centre[0] + dy * np.cos(turn) - dx * np.sin(turn)).astype(np.intp)
        x = np.rint(centre[1] + dy * np.sin(turn) + dx * np.cos(turn)).astype(np.intp)
        there = missing & (y >= 0) & (y < image.shape[0]) & (x >= 0) & (x < image.shape[1])
        there[there] = ~stop.mask[y[there], x[there]]
        filled[rows[there], columns[there]] = image[y[there], x[there]]
        missing &= ~there
    if missing.any():
        edge = ndimage.binary_dilation(stop.mask, iterations=3) & ~stop.mask
        filled[rows[missing], columns[missing]] = np.median(image[edge]) if edge.any() else np.median(image)
    return filled
