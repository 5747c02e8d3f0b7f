"""Makes the two small sample micrographs that the package ships beside `make_sample`'s.

    python tests/make_small_samples.py

writes ``film.dm4`` (an amorphous film without a crystal, with Thon rings) and ``edge.dm4`` (one LiF crystal
along [0 1 1] that reaches over the film's edge into the vacuum) into ``src/napari_tem_fft/data``.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from dm_writer import write_dm
from forward_model import Crystal, Optics, amorphous, camera, crystal_potential, film_image, image_of, zone
from make_sample import FILM, FILM_MEAN, facets
from napari_tem_fft.io.phases.table import load_table

FOLDER = Path(__file__).parents[1] / "src" / "napari_tem_fft" / "data"
SHAPE, PIXEL_SIZE, MARGIN = (512, 512), (0.03, 0.03), 64
WIDE = (SHAPE[0] + 2 * MARGIN, SHAPE[1] + 2 * MARGIN)
DOSE = 80_000.0
OPTICS = Optics(defocus=45.0)
#: The crystal's centre (y, x) and radius in nm, its turn in degrees, and where the film ends (x, nm).
CENTRE, RADIUS, TURN, EDGE = (7.6, 8.6), 3.6, 25.0, 9.5


def film() -> NDArray[np.int16]:
    """A film alone."""
    return camera(film_image(SHAPE, PIXEL_SIZE, 31, OPTICS, FILM), PIXEL_SIZE, DOSE, 32)


def edge() -> NDArray[np.int16]:
    """A crystal over the edge of a film."""
    lif = next(phase for phase in load_table() if phase.id == "LiF")
    _, g, relative = zone(lif, (0, 1, 1), TURN)
    shift = np.random.default_rng(7).uniform(0, 2 * np.pi, len(g))
    crystal = Crystal(facets(g, CENTRE, RADIUS, 8), g, 0.05 * relative, shift)
    crystal = replace(crystal, polygon=crystal.polygon + MARGIN * np.asarray(PIXEL_SIZE))
    x = (np.arange(WIDE[1]) - MARGIN) * PIXEL_SIZE[1]
    there = ndimage.gaussian_filter(np.broadcast_to(x < EDGE, WIDE).astype(float), 0.2 / PIXEL_SIZE[0])
    total = there * (FILM_MEAN + FILM * amorphous(WIDE, PIXEL_SIZE, 33))
    total += crystal_potential(WIDE, PIXEL_SIZE, crystal)
    ideal = image_of(total, PIXEL_SIZE, OPTICS) * (1 - 0.07 * there)
    return camera(ideal[MARGIN:-MARGIN, MARGIN:-MARGIN], PIXEL_SIZE, DOSE, 34)


def main() -> None:
    for name, pixels in (("film", film()), ("edge", edge())):
        write_dm(FOLDER / f"{name}.dm4", pixels, PIXEL_SIZE, "nm", name=f"simulated {name}")


if __name__ == "__main__":
    main()
