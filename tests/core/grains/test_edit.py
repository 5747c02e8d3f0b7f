"""Spots by hand: which grain they join, and what they are where there are no fringes."""

from dataclasses import replace

import numpy as np
import pytest

from forward_model import frequency, fringes, white_noise
from napari_tem_fft.core.fourier.diffractogram import display_grid
from napari_tem_fft.core.image.calibration import Calibration
from napari_tem_fft.core.image.micrograph import Micrograph
from napari_tem_fft.core.pipeline import analysis_steps
from napari_tem_fft.core.progress import exhaust
from napari_tem_fft.core.reanalysis import add_spot_at, reanalyse_after_spot_edit

PIXEL = (0.025, 0.03)


@pytest.mark.parametrize(("corner", "grains"), [((60, 50), 1), ((290, 250), 2)], ids=["there", "elsewhere"])
def test_a_spot_joins_the_grain_in_whose_place_its_fringes_are(corner, grains):
    pixels = white_noise((480, 420), 3)
    for (y, x), wave in (((60, 50), (0.2, 30.0, 0.8)), (corner, (0.26, 110.0, 0.3))):
        place = slice(y, y + 160), slice(x, x + 140)
        pixels[place] += fringes(pixels.shape, PIXEL, *wave)[place]
    found = exhaust(analysis_steps(Micrograph(pixels, Calibration.real(PIXEL)), ()))
    (known,) = (spot for spot in found.spots if abs(spot.d - 0.2) < 0.01)
    *_, mine = add_spot_at(found, [replace(known, id=98)], frequency(0.26, 110.0))
    assert (mine.id, mine.origin, mine.d) == (99, "hand", pytest.approx(0.26, rel=0.01))
    after = exhaust(reanalyse_after_spot_edit(found, (known, mine)))
    assert [grain.spots for grain in after.grains] == ([(1, 99)] if grains == 1 else [(1,), (99,)])


def test_a_spot_without_fringes_is_what_its_cell_holds():
    micrograph = Micrograph(white_noise((480, 420), 4), Calibration.real(PIXEL))
    found = exhaust(analysis_steps(micrograph, ()))
    (spot,) = add_spot_at(found, (), (-1.0, 4.0))
    spectra = found.local_spectra
    row, column = spectra.grid.cell(spot.g)
    assert spot.snr == spectra.snr_max[row, column - spectra.grid.half[1]]
    assert spot.sigma == pytest.approx(max(spectra.grid.step) / np.sqrt(12))
    assert spot.radius == pytest.approx(3 * max(display_grid(found.diffractogram).step))
