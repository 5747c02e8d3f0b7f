"""What an edit makes of the specimen."""

import numpy as np

from napari_tem_fft.core.edited import _specimen_after, _Start
from napari_tem_fft.core.grains.grain import GrainSet
from small_analysis import regions_of


def grains(*rows):
    """Grains of some rows of a map of 10 x 4 pixels."""
    masks = np.zeros((len(rows), 10, 4), bool)
    for mask, place in zip(masks, rows, strict=True):
        mask[place] = True
    return GrainSet((), (), regions_of(masks))


def test_a_crystal_that_shrank_takes_no_matter_away_and_one_that_vanished_asks_anew():
    film = np.zeros((10, 4), bool)
    film[:5] = True
    start = _Start(grains(slice(4, 8)), film)
    shrunk = _specimen_after(start, grains(slice(4, 6), slice(8, 9)))  # half is left, and there is another
    assert shrunk.any(axis=1).tolist() == [True] * 6 + [False, False, True, False]
    assert _specimen_after(start, grains(slice(4, 5))) is None
    assert _specimen_after(start, grains()) is None
    assert _specimen_after(_Start(start.found, None), grains(slice(4, 8))) is None
