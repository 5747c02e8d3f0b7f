"""A grain as a box with its mask and heat, and that nothing keeps more of it."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass

import numpy as np
import pytest

from forward_model import fringes, white_noise
from napari_tem_fft.core.grains.regions import (
    GrainRegion,
    _quantile,
    _widen,
    box_of,
    cut_level,
    half_amplitude,
    union,
)
from napari_tem_fft.core.image.calibration import Calibration
from napari_tem_fft.core.image.micrograph import Micrograph
from napari_tem_fft.core.pipeline import analysis_steps
from napari_tem_fft.core.progress import exhaust


@pytest.mark.parametrize("count", [1, 2, 7, 100])
def test_quantiles_lie_between_values(count):
    values = np.random.default_rng(count).normal(size=count).astype(np.float32)
    assert _quantile(values, 0.75) == pytest.approx(np.quantile(values, 0.75), rel=1e-6)


@pytest.mark.parametrize("spots", [1, 4])
def test_a_region_is_above_the_noise_and_above_half_of_the_grains_amplitude(spots):
    strong = spots + 400.0
    total = np.float32([[strong, strong, strong, spots + 101, spots + 99, 0]])
    assert half_amplitude(total, spots, 0.001)[0].tolist() == [True] * 4 + [False] * 2
    level = cut_level(spots, 0.001)
    faint = np.float32([[level + 0.1, level - 0.1, spots]])
    assert half_amplitude(faint, spots, 0.001)[0].tolist() == [True, False, False]


def test_a_part_grows_by_half_of_itself_where_its_region_comes_to_its_border():
    region = np.zeros((20, 20), bool)
    part, shape = (slice(30, 50), slice(40, 60)), (100, 64)
    assert _widen(part, region, shape) == part
    region[9:11, 9:11] = True
    assert _widen(part, region, shape) == part
    region[9:20, 9:20] = True
    assert _widen(part, region, shape) == (slice(30, 60), slice(40, 64))
    region[0] = True
    assert _widen(part, region, shape)[0] == slice(20, 60)


SHAPE = (6, 8)
WHOLE = (slice(0, 6), slice(0, 8))


def region_at(rows: slice, columns: slice, rim: int = 0) -> GrainRegion:
    """A grain on some pixels, with a rim of fainter heat above and below."""
    heat = np.zeros(SHAPE, np.float32)
    heat[max(rows.start - rim, 0) : rows.stop + rim, columns] = 0.3
    heat[rows, columns] = 0.9
    return GrainRegion.cropped(heat >= 0.5, heat)


def test_the_box_of_a_mask_holds_it_and_of_an_empty_one_all():
    mask = np.zeros((6, 9), bool)
    assert box_of(mask) == (slice(0, 6), slice(0, 9))
    mask[2, 3] = mask[4, 7] = True
    assert box_of(mask) == (slice(2, 5), slice(3, 8))


def test_a_region_keeps_what_has_heat_and_nothing_else():
    region = region_at(slice(2, 4), slice(3, 6), rim=1)
    assert region.box == (slice(1, 5), slice(3, 6)) and region.area == 6
    assert region.heat[:, 0].tolist() == pytest.approx([0.3, 0.9, 0.9, 0.3])
    assert region.mask[:, 0].tolist() == [False, True, True, False]
    assert region.mask.base is None and region.heat.base is None  # a view would keep the whole plane
    box, mask = region.tight()
    assert box == (slice(2, 4), slice(3, 6)) and mask.all()


def test_a_part_of_the_grid_has_its_place_on_the_whole():
    heat = np.float32([[0, 0.7], [0, 0.7]])
    region = GrainRegion.cropped(heat > 0, heat, first=(3, 4))
    assert region.box == (slice(3, 5), slice(5, 6)) and region.mask_on(WHOLE).nonzero()[1].tolist() == [5, 5]


def test_a_region_of_nothing_has_no_area():
    nothing = GrainRegion.cropped(np.zeros(SHAPE, bool), np.zeros(SHAPE, np.float32))
    some = region_at(slice(0, 2), slice(0, 2))
    assert nothing.area == nothing.overlap(some) == some.overlap(nothing) == 0
    assert not nothing.mask_on(WHOLE).any() and not nothing.touches(WHOLE)


def test_a_region_paints_itself_into_a_plane():
    labels = np.zeros(SHAPE, np.uint16)
    region_at(slice(0, 2), slice(6, 8), rim=1).paint(labels, 7)
    assert labels.sum() == 4 * 7 and (labels[:2, 6:] == 7).all()
    both = union([region_at(slice(0, 2), slice(0, 2)), region_at(slice(1, 3), slice(1, 3))], SHAPE)
    assert both.sum() == 4 + 4 - 1


@pytest.mark.parametrize(
    ("rows", "columns", "shared"),
    [
        (slice(3, 6), slice(4, 8), 1 * 2),
        (slice(0, 6), slice(0, 8), 2 * 3),
        (slice(0, 2), slice(3, 6), 0),
        (slice(2, 4), slice(0, 3), 0),
        (slice(5, 6), slice(7, 8), 0),
    ],
    ids=["a corner", "all", "above", "beside", "far away"],
)
def test_the_pixels_that_two_regions_share(rows, columns, shared):
    one, other = region_at(slice(2, 4), slice(3, 6), rim=1), region_at(rows, columns, rim=1)
    assert one.overlap(other) == other.overlap(one) == shared
    assert one.touches((rows, columns)) == (shared > 0)
    np.testing.assert_array_equal(one.mask_on((rows, columns)), one.mask_on(WHOLE)[rows, columns])


def test_a_piece_takes_its_heat_with_it_and_leaves_that_of_the_rest():
    region = region_at(slice(2, 4), slice(2, 6), rim=1)
    left = region.piece((slice(2, 4), slice(2, 6)), np.arange(4) < np.full((2, 1), 1))
    assert left.area == 2 and left.mask_on(WHOLE).nonzero()[1].tolist() == [2, 2]
    # the rim around the whole is nobody's, and stays
    assert left.box == region.box and left.heat[1].tolist() == pytest.approx([0.9, 0, 0, 0])


def test_a_region_ends_where_the_specimen_does_and_keeps_its_heat():
    region = region_at(slice(2, 4), slice(2, 6))
    right = np.arange(8) >= np.full((6, 1), 5)
    cut = region.within(right)
    assert cut.area == 2 and cut.heat is region.heat
    assert cut.within(np.ones(SHAPE, bool)).area == region.area == 8


def arrays(what: object) -> Iterator[np.ndarray]:
    """All arrays in dataclasses and tuples."""
    if isinstance(what, np.ndarray):
        yield what
    elif is_dataclass(what):
        for field in fields(what):
            yield from arrays(getattr(what, field.name))
    elif isinstance(what, tuple):
        for one in what:
            yield from arrays(one)


def test_an_analysis_of_many_grains_holds_no_plane_for_each():
    size, pixel = 640, 0.05
    pixels = white_noise((size, size), 1)
    for number in range(9):
        row, column = (30 + 205 * n for n in divmod(number, 3))
        place = slice(row, row + 130), slice(column, column + 130)
        pixels[place] += fringes((size, size), (pixel, pixel), 0.21 + 0.005 * number, 20.0 * number, 1.5)[
            place
        ]
    analysis = exhaust(analysis_steps(Micrograph(pixels, Calibration.real(pixel)), ()))
    assert len(analysis.grains) == len(analysis.grain_regions) == 9
    plane = analysis.map_grid.shape
    assert not [a.shape for a in arrays(analysis) if a.ndim > 2 and a.shape[-2:] == plane]
    assert not [a.shape for a in arrays(analysis.grain_regions) if a.size > 0.1 * plane[0] * plane[1]]
