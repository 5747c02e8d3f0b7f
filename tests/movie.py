"""A short movie with known truth: a film that drifts, a copper grain that grows, and one that stays."""

import numpy as np
from scipy.ndimage import gaussian_filter

from forward_model import fringes

PIXEL, SIZE, ROOM = 0.03, 460, 40
#: Where the sample lies in each frame, (y, x) pixels, and the radius of the copper grain, nm.
PATH = ((0, 0), (6, -9), (17, -24))
RADII = (1.9, 2.4, 3.0)
#: Middles (y, x) of both grains in the first frame, nm; radius of the one that stays.
COPPER, OTHER, STAYS = (5.2, 5.2), (10.2, 9.4), 1.8
#: Planes of copper along [011]: d (nm), azimuth (degrees).
PLANES = ((0.2087, 20.0), (0.1808, 74.74), (0.2087, 129.47), (0.1278, 164.74))


def movie(seed: int = 3) -> np.ndarray:
    """Frames of 460 x 460 pixels, shape (3, y, x), float32."""
    rng = np.random.default_rng(seed)
    whole = SIZE + 2 * ROOM
    film = gaussian_filter(rng.normal(size=(whole, whole)), 12)
    film *= 0.7 / film.std()
    y, x = (np.mgrid[:whole, :whole] - ROOM) * PIXEL
    pixels = (PIXEL, PIXEL)
    copper = sum(fringes((whole, whole), pixels, d, azimuth) for d, azimuth in PLANES)
    stays = (np.hypot(y - OTHER[0], x - OTHER[1]) < STAYS) * fringes((whole, whole), pixels, 0.2415, 110.0)
    frames = []
    for (dy, dx), radius in zip(PATH, RADII, strict=True):
        sample = film + stays + (np.hypot(y - COPPER[0], x - COPPER[1]) < radius) * copper
        seen = sample[ROOM - dy : ROOM - dy + SIZE, ROOM - dx : ROOM - dx + SIZE]
        frames.append(seen + rng.normal(size=(SIZE, SIZE)))
    return np.array(frames, np.float32)
