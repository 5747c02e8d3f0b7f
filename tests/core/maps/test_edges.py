"""Grains at the image's border and at vacuum, near focus: mapped to within a nanometre."""

import numpy as np
import pytest
from scipy import ndimage
from skimage.draw import polygon2mask

from forward_model import Crystal, Optics, amorphous, camera, crystal_potential, frequency, image_of
from napari_tem_fft.core.image.calibration import Calibration
from napari_tem_fft.core.image.micrograph import Micrograph
from napari_tem_fft.core.maps.map_grid import resample
from napari_tem_fft.core.pipeline import analysis_steps
from napari_tem_fft.core.progress import exhaust

PIXEL, SIZE, MARGIN = (0.025, 0.025), 560, 120  # the field of the transform repeats itself: cut off a margin
G = np.array([frequency(0.235, 20.0), frequency(0.235, 90.5), frequency(0.2035, -35.0)])


def octagon(centre, radius):
    angle = np.arange(8) * np.pi / 4 + 0.2
    return np.stack([centre[0] + radius * np.sin(angle), centre[1] + radius * np.cos(angle)], axis=1)


def analysed(polygon, film_from=-10.0, seed=1):
    wide = (SIZE + 2 * MARGIN,) * 2
    x = (np.arange(wide[1]) - MARGIN) * PIXEL[1]
    film = ndimage.gaussian_filter1d((x > film_from).astype(float), 8) * np.ones((wide[0], 1))
    potential = film * (0.25 + 0.06 * amorphous(wide, PIXEL, seed))
    potential += crystal_potential(wide, PIXEL, Crystal(polygon + MARGIN * PIXEL[0], G, np.full(3, 0.1)))
    image = image_of(potential, PIXEL, Optics(defocus=30.0))[MARGIN:-MARGIN, MARGIN:-MARGIN]
    counts = camera(image, PIXEL, 4e4, seed)
    return exhaust(analysis_steps(Micrograph(counts, Calibration.real(PIXEL)), ()))


def furthest_off(mapped, truth, pixel):
    """How far the map reaches beyond the grain, and how deep it stays behind, nm."""
    beyond = (ndimage.distance_transform_edt(~truth) * pixel)[mapped & ~truth].max(initial=0.0)
    behind = (ndimage.distance_transform_edt(~mapped) * pixel)[truth & ~mapped].max(initial=0.0)
    return beyond, behind


@pytest.mark.parametrize("centre", [(7.0, 1.5), (7.0, 12.5), (1.5, 7.0), (12.5, 7.0), (1.0, 1.0)], ids=str)
def test_a_grain_at_the_images_border_is_mapped_to_a_nanometre(centre):
    polygon = octagon(centre, 4.2)
    analysis = analysed(polygon)
    (region,) = analysis.grain_regions
    mapped = region.mask_on(analysis.map_grid.box)
    truth = resample(polygon2mask((SIZE, SIZE), polygon / PIXEL[0]), mapped.shape)
    assert max(furthest_off(mapped, truth, analysis.map_grid.pixel_size[0])) < 1.0
    assert analysis.specimen.all()


@pytest.mark.parametrize("x", [8.5, 6.0], ids=["touching", "sticking out"])
def test_a_grain_at_vacuum_is_mapped_to_a_nanometre(x):
    polygon = octagon((7.0, x), 3.5)
    analysis = analysed(polygon, film_from=5.0)
    (component,) = analysis.components
    truth = resample(polygon2mask((SIZE, SIZE), polygon / PIXEL[0]), component.mask.shape)
    assert max(furthest_off(component.mask, truth, analysis.map_grid.pixel_size[0])) < 1.0
    vacuum = ~analysis.specimen
    assert 0.2 < vacuum.mean() < 0.45 and not (component.heat[vacuum] > 0).any()
