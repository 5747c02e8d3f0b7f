"""Grains that touch, with nearly the same g: two; one bent, long or faint crystal: one."""

import numpy as np
import pytest

from forward_model import (
    Crystal,
    Optics,
    amorphous,
    camera,
    crystal_potential,
    frequency,
    image_of,
    positions,
)
from forward_model import thickness as thickness_of
from napari_tem_fft.core.image.calibration import Calibration
from napari_tem_fft.core.image.micrograph import Micrograph
from napari_tem_fft.core.pipeline import analysis_steps
from napari_tem_fft.core.progress import exhaust

PIXEL, SIZE, MARGIN = (0.025, 0.025), 640, 80
WIDE = (SIZE + 2 * MARGIN,) * 2
LEFT, RIGHT = (0.3, 1.1, 2.0), (2.3, 4.1, 0.2)


def planes(turn=0.0, scale=1.0):
    wanted = ((0.235, 20.0), (0.235, 90.5), (0.2035, -35.0))
    return np.array([frequency(d * scale, azimuth + turn) for d, azimuth in wanted])


def octagon(centre, radius):
    angle = np.arange(8) * np.pi / 4 + 0.2
    return np.stack([centre[0] + radius * np.sin(angle), centre[1] + radius * np.cos(angle)], axis=1)


def box(y0, y1, x0, x1):
    return np.array([(y0, x0), (y0, x1), (y1, x1), (y1, x0)], float)


def crystal(polygon, g, shift=LEFT):
    return crystal_potential(
        WIDE, PIXEL, Crystal(polygon + MARGIN * PIXEL[0], g, np.full(3, 0.1), np.array(shift))
    )


def bent(polygon, degrees, length):
    """A beam bent by so many degrees over its length."""
    y, x = (axis - WIDE[0] * PIXEL[0] / 2 for axis in positions(WIDE, PIXEL))
    k = np.radians(degrees) / length
    waves = [np.cos(2 * np.pi * (g[0] * (y + k * x**2 / 2) + g[1] * (x - k * x * y))) for g in planes()]
    return 0.1 * np.sum(waves, axis=0) * thickness_of(WIDE, PIXEL, polygon + MARGIN * PIXEL[0])


def grains_of(*crystals, dose=4e4):
    potential = 0.25 + 0.06 * amorphous(WIDE, PIXEL, 0) + sum(crystals)
    image = image_of(potential, PIXEL, Optics(defocus=30.0))[MARGIN:-MARGIN, MARGIN:-MARGIN]
    counts = camera(image, PIXEL, dose, 0)
    return exhaust(analysis_steps(Micrograph(counts, Calibration.real(PIXEL)), ()))


A, B = octagon((8, 4.4), 3.6), octagon((8, 11.5), 3.6)
L, R = box(4, 12, 1.5, 8), box(4, 12, 8, 14.5)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (crystal(A, planes()), crystal(B, planes(), LEFT)),  # one orientation, in phase: only a waist
        (crystal(A, planes()), crystal(B, planes(1.5), RIGHT)),
        (crystal(L, planes()), crystal(R, planes(1.5), RIGHT)),  # no waist: only the lattices differ
        (crystal(L, planes()), crystal(R, planes(0.0, 1.015), RIGHT)),
    ],
    ids=["waist", "waist and turn", "turn", "d"],
)
def test_two_touching_grains_are_two(first, second):
    analysis = grains_of(first, second)
    (one, other) = sorted(analysis.grains, key=lambda grain: grain.centre[1])
    assert one.centre[1] < 6.5 < 9.0 < other.centre[1]
    assert one.area == pytest.approx(other.area, rel=0.3)
    assert min(len(one.spots), len(other.spots)) >= 3
    assert analysis.grain_regions[0].overlap(analysis.grain_regions[1]) == 0


def test_their_orientations_are_measured_apart():
    analysis = grains_of(crystal(L, planes()), crystal(R, planes(1.5), RIGHT))
    centre = {grain.id: grain.centre[1] for grain in analysis.grains}
    by_id = {spot.id: spot for spot in analysis.spots}
    azimuths = {
        centre[grain.id] > 8: sorted(by_id[n].azimuth for n in grain.spots) for grain in analysis.grains
    }
    assert azimuths[False] == pytest.approx([20.0, 90.5, 145.0], abs=0.3)
    assert azimuths[True] == pytest.approx([21.5, 92.0, 146.5], abs=0.3)


@pytest.mark.parametrize(
    ("only", "dose"),
    [
        (crystal(box(5, 11, 1, 15), planes()), 4e4),
        (crystal(octagon((8, 8), 5.5), planes()), 3e3),
        (bent(box(5, 11, 1, 15), 1.8, 14.0), 4e4),
    ],
    ids=["long", "faint", "bent"],
)
def test_one_crystal_is_one(only, dose):
    assert len(grains_of(only, dose=dose).grains) == 1
