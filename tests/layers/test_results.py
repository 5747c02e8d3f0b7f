import itertools
from dataclasses import replace

import numpy as np
import pytest

from napari_tem_fft.core.fourier.diffractogram import FrequencyGrid
from napari_tem_fft.core.image.calibration import Calibration, CalibrationError
from napari_tem_fft.core.image.micrograph import Micrograph, RegionOfInterest
from napari_tem_fft.layers.image import KEY, micrograph_layer, micrograph_of
from napari_tem_fft.layers.reciprocal_plane import (
    LABEL_OFFSET,
    LABEL_SIZE,
    Plane,
    Ring,
    label_azimuths,
    scale_bars,
    spot_features,
)
from napari_tem_fft.layers.results import (
    GREYED,
    bars_layer,
    fft_layer,
    grains_layer,
    heat_layer,
    ifft_layer,
    mask_layer,
    numbers_layer,
    rings_layer,
    specimen_layer,
    spots_layer,
)
from small_analysis import regions_of, small_analysis, small_micrograph

GRID = FrequencyGrid((0.25, 0.125), (20, 40))
PLANE = Plane((2.0, 10.0), 0.5, "nm")


def back(data, kwargs, kind):
    return micrograph_of(data, {"scale": (1, 1), "units": ("pixel", "pixel"), **kwargs})


def test_micrograph_there_and_back():
    micrograph = small_micrograph()
    data, kwargs, kind = micrograph_layer(micrograph)
    assert kind == "image"
    assert kwargs["scale"] == (0.02, 0.03)
    assert kwargs["units"] == ("nm", "nm")
    assert kwargs["axis_labels"] == ("y", "x")
    again = back(data, kwargs, kind)
    assert again.calibration == micrograph.calibration
    assert (again.name, again.source, again.file_hash) == ("small", "small.dm4", "ab12")
    assert again.metadata == micrograph.metadata


def test_contrast_is_by_percentile():
    pixels = np.zeros((100, 100))
    pixels[50:] = 1.0
    pixels[0, 0] = 1e6
    _, kwargs, _ = micrograph_layer(Micrograph(pixels, Calibration.real(0.02)))
    assert kwargs["contrast_limits"] == (0.0, 1.0)
    assert kwargs["metadata"][KEY]["grey_range"] == (0.0, 1e6)


def test_constant_and_broken_images_open():
    for pixels in (np.ones((20, 20)), np.full((20, 20), np.nan)):
        assert "contrast_limits" not in micrograph_layer(Micrograph(pixels))[1]


@pytest.mark.parametrize(
    ("unit", "scale", "expected"),
    [("nanometer", 0.02, 0.02), ("angstrom", 0.2, 0.02), ("micrometer", 2e-5, 0.02), ("picometer", 20, 0.02)],
)
def test_lengths_become_nm(unit, scale, expected):
    kwargs = {"name": "x", "scale": (scale, scale), "units": (unit, unit)}
    micrograph = micrograph_of(np.ones((20, 20)), kwargs)
    assert micrograph.pixel_size == pytest.approx((expected, expected))


def test_a_region_of_interest_travels_with_its_layer():
    roi = RegionOfInterest((3, 4), ((0.0, 0.0), (0.0, 1.5), (2.5, 0.0)))
    micrograph = Micrograph(
        np.ones((20, 20)), Calibration.real(0.02), metadata={"voltage_kV": 300.0}, roi=roi
    )
    assert (found := back(*micrograph_layer(micrograph))).roi == roi
    assert found.metadata == {"voltage_kV": 300.0}


def test_pixels_are_no_scale():
    with pytest.raises(CalibrationError, match="give its pixel size in nm"):
        _ = back(*micrograph_layer(Micrograph(np.ones((20, 20))))).pixel_size


def test_inverse_lengths_are_refused():
    calibration = Calibration((0.1, 0.1), "reciprocal")
    with pytest.raises(CalibrationError, match="1/nm"):
        _ = back(*micrograph_layer(Micrograph(np.ones((20, 20)), calibration))).pixel_size


def test_a_changed_scale_is_the_users():
    data, kwargs, _ = micrograph_layer(small_micrograph())
    changed = micrograph_of(data, {**kwargs, "scale": (0.021, 0.021)})
    assert changed.calibration.source == "given by the user"


def test_diffractogram_lies_beside_the_micrograph_as_wide():
    micrograph = small_micrograph()
    grid = FrequencyGrid((0.25, 0.125), (20, 40))
    plane = Plane.next_to(micrograph, grid)
    _, kwargs, _ = fft_layer(np.zeros(grid.shape, np.float32), grid, plane, "small")
    width = 256 * 0.03
    assert kwargs["units"] == ("nm", "nm")
    assert grid.shape[1] * kwargs["scale"][1] == pytest.approx(width)
    assert kwargs["scale"][0] / kwargs["scale"][1] == pytest.approx(2.0)
    left = kwargs["translate"][1] - kwargs["scale"][1] / 2
    assert left == pytest.approx(width - 0.015 + 0.04 * width)
    assert kwargs["metadata"][KEY]["step_1_nm"] == (0.25, 0.125)


def test_world_and_frequency():
    assert PLANE.world((1.0, -2.0)) == (2.5, 9.0)
    assert PLANE.frequency((7.0, 2.5, 9.0)) == (1.0, -2.0)


def test_mask_and_fft_share_their_place():
    fft = fft_layer(np.zeros(GRID.shape, np.float32), GRID, PLANE, "a")[1]
    mask = mask_layer(np.zeros(GRID.shape, np.uint8), GRID, PLANE, "a")[1]
    assert fft["scale"] == mask["scale"]
    assert fft["translate"] == mask["translate"] == (2.0 - 2.5, 10.0 - 2.5)


def test_spots_are_points_in_inverse_nm():
    analysis = small_analysis()
    points, kwargs, kind = spots_layer(analysis.spots, PLANE, "small", analysis.grains, analysis.matches)
    assert kind == "points"
    first = np.array([(-2.0, 3.4641016), (4.3, 0.0)])
    assert points == pytest.approx(np.concatenate([first, -first]))  # both discs of each pair
    assert kwargs["features"]["spot"] == [0, 1, 0, 1] and kwargs["features"]["half"][1:3] == ["+g", "-g"]
    assert (kwargs["scale"], kwargs["translate"]) == ((0.5, 0.5), (2.0, 10.0))


def test_satellites_that_are_off_are_shown_greyed():
    analysis = small_analysis()
    spots = [replace(spot, kind="reflection" if spot.enabled else "satellite") for spot in analysis.spots]
    points, kwargs, _ = spots_layer(spots, PLANE, "small", analysis.grains, analysis.matches)
    assert len(points) == 6 and kwargs["features"]["kind"][:3] == ["reflection", "reflection", "satellite"]
    assert [colour == GREYED for colour in kwargs["border_color"]] == 2 * [False, False, True]


def test_features_tell_what_is_known():
    analysis = small_analysis()
    table = spot_features(analysis.spots, analysis.grains, analysis.matches)
    assert table["d (nm)"][0] == 0.25
    assert table["angle (deg)"][0] == 30.0
    assert table["grain"] == [1, 1, 2]
    assert table["phase"] == ["LiF / mine", "LiF / mine", "unknown crystal"]
    assert table["hkl"] == ["1 1 1", "2 0 0", ""]


def test_no_spots_make_an_empty_layer():
    points, kwargs, _ = spots_layer((), PLANE, "small")
    assert points.shape == (0, 2)
    assert kwargs["features"]["spot"] == []


def test_maps_cover_the_field():
    analysis = small_analysis()
    of, grid = analysis.micrograph, analysis.map_grid
    heat = heat_layer(analysis.components[0], grid, of, "#E69F00")
    assert heat[1]["colormap"]["colors"] == ["#E69F0000", "#E69F00FF"]
    assert heat[1]["metadata"][KEY]["role"] == "heat LiF / mine"
    for layer in (heat, specimen_layer(analysis.specimen, grid, of)):
        left, step = layer[1]["translate"], layer[1]["scale"]
        edges = [corner - size / 2 for corner, size in zip(left, step, strict=True)]
        assert edges == pytest.approx([-0.01, -0.015])
        assert np.multiply(layer[0].shape, step) == pytest.approx(of.extent)


def test_ifft_lies_over_the_micrograph():
    image = np.random.default_rng(0).normal(size=(96, 64)).astype(np.float32)
    kwargs = ifft_layer(image, (0.04, 0.12), small_micrograph())[1]
    assert kwargs["scale"] == (0.04, 0.12)
    assert kwargs["translate"] == pytest.approx((0.01, 0.045))


def test_smaller_grain_is_on_top():
    analysis = small_analysis()
    masks = np.ones((2, *analysis.map_grid.shape), bool)
    masks[1, 5:] = False
    labels, _, _ = grains_layer(regions_of(masks), (1, 2), analysis.map_grid, analysis.micrograph)
    assert labels[0, 0] == 2
    assert labels[10, 0] == 1


def test_rings_carry_their_labels():
    rings = [Ring(4.0, "0.2500 nm", "#E69F00"), Ring(5.0, "0.2000 nm", "#56B4E9")]
    shapes, kwargs, _ = rings_layer(rings, PLANE, "a", 10.0)
    assert kwargs["shape_type"] == ["ellipse", "ellipse", "line", "line"]
    assert kwargs["features"]["label"] == ["", "", "0.2500 nm", "0.2000 nm"]
    assert np.ptp(shapes[0], axis=0) == pytest.approx((8.0, 8.0))
    assert np.hypot(*shapes[2].mean(axis=0)) == pytest.approx(4.35)


def test_labels_of_rings_lie_on_no_spot_where_there_is_room_and_on_no_other_label():
    rings = [Ring(g, f"{1 / g:.4f} nm", "#E69F00") for g in (4.0, 5.0, 6.0)]
    azimuths = np.radians(np.arange(10.0, 180.0, 40.0))
    spots = [
        replace(small_analysis().spots[0], id=number, g=(ring.g * np.sin(a), ring.g * np.cos(a)))
        for number, (ring, a) in enumerate(itertools.product(rings, azimuths))
    ]
    shapes, _, _ = rings_layer(rings, PLANE, "a", 10.0, spots=spots)
    labels = np.array([line.mean(axis=0) for line in shapes[3:]])
    half = 0.5 * 10.0 * np.array(LABEL_SIZE)
    g = np.array([spot.g for spot in spots])
    for label in labels:
        assert not (np.abs(np.concatenate([g, -g]) - label) < half).all(axis=1).any()
    for one, other in itertools.combinations(labels, 2):
        assert (np.abs(one - other) > 2 * half).any()
    off = [replace(spot, enabled=False) for spot in spots]
    unmoved, _, _ = rings_layer(rings, PLANE, "a", 10.0, spots=off)
    assert np.array_equal(unmoved[3:], shapes[3:])  # deleting spots moves no label


def test_the_label_of_a_ring_is_rather_on_spots_than_outside_the_picture():
    ring = Ring(8.67, "0.1153 nm", "#E69F00")
    everywhere_else = np.radians([angle for angle in range(0, 360, 5) if abs(angle - 200) > 15])
    spots = [(-9.0 * np.sin(a), 9.0 * np.cos(a)) for a in everywhere_else]
    (azimuth,) = label_azimuths([ring], 10.2, spots=spots)
    middle = np.abs(ring.label_place(azimuth, LABEL_OFFSET * 10.2).mean(axis=0))
    assert (middle + np.array([0.4, 1.87]) < 10.2).all()  # as large as napari draws the label


def test_numbers_of_grains_at_one_place_stand_beside_each_other():
    analysis = small_analysis()
    first, second = analysis.grains
    grains = (first, replace(second, centre=first.centre))
    points, _, _ = numbers_layer(grains, analysis.micrograph)
    assert points - first.centre == pytest.approx(
        np.array([(0, 0), (0, 0.05 * analysis.micrograph.extent[1])])
    )


def test_bars_are_true():
    micrograph = small_micrograph()
    plane = Plane.next_to(micrograph, GRID)
    real, inverse = scale_bars(micrograph, GRID, plane)
    assert (real.label, real.length) == ("1 nm", 1.0)
    assert (inverse.label, inverse.length) == ("2 nm⁻¹", pytest.approx(2 * plane.factor))
    shapes, kwargs, _ = bars_layer((real, inverse), "small")
    assert np.ptp(shapes[2][:, 1]) == pytest.approx(1.0)
    assert kwargs["features"]["label"] == ["1 nm", "2 nm⁻¹", "", ""]
    assert inverse.corner[1] == pytest.approx(plane.world((0, 40.5 * 0.125))[1])
