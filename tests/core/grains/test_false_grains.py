"""What the camera repeats is told from a crystal.

Rims of crystals, and small crystals that are none.
"""

import numpy as np
import pytest

from forward_model import Optics, film_image, lattice
from napari_tem_fft.core.grains.false_grains import common_period, find_lobes, find_rims, is_rim
from napari_tem_fft.core.grains.regions import GrainRegion
from napari_tem_fft.core.image.calibration import Calibration
from napari_tem_fft.core.image.micrograph import Micrograph
from napari_tem_fft.core.maps.map_grid import MapGrid
from napari_tem_fft.core.pipeline import analysis_steps
from napari_tem_fft.core.progress import exhaust
from napari_tem_fft.core.spots.spot import Spot, friedel_representative

SIZE, PIXEL = 700, (0.03, 0.03)
CUBIC = ((3, 0), (0, 3), (3, 3), (3, -3), (6, 0), (0, 6))


def analysis_of(change, image=1.0):
    film = film_image((SIZE, SIZE), PIXEL, 3, Optics(defocus=60.0), 0.08)
    counts = np.random.default_rng(3).poisson(np.maximum(film * image, 0.01) * 400).astype(float)
    micrograph = Micrograph(change(counts), Calibration.real(PIXEL))
    return exhaust(analysis_steps(micrograph, ()))


def tiles(period, gain=1.03):
    def change(counts):
        counts = counts.copy()
        counts[::period] *= gain
        counts[:, ::period] *= gain
        return counts

    return change


@pytest.mark.parametrize("period", [8, 32, 50])
def test_tiles_of_the_sensor_are_no_crystal(period):
    analysis = analysis_of(tiles(period))
    assert analysis.grains == ()
    assert {spot.kind for spot in analysis.spots} == {"camera"}
    assert not any(spot.enabled for spot in analysis.spots)
    assert any(f"fractions of {period} pixels" in text for text in analysis.warnings)


def test_gains_of_columns_are_no_crystal():
    gain = 1 + 0.03 * (np.arange(SIZE) % 4 == 0)
    analysis = analysis_of(lambda counts: counts * gain)
    assert analysis.grains == ()
    assert any("fractions of 4 pixels" in text for text in analysis.warnings)


def test_a_crystal_on_a_tiled_sensor_stays():
    crystal = lattice((SIZE, SIZE), PIXEL, [(0.235, 20.0), (0.235, 90.53)])
    analysis = analysis_of(tiles(32), 1 + 0.1 * crystal)
    d = sorted(spot.d for spot in analysis.spots if spot.enabled)
    assert d[-2:] == [pytest.approx(0.235, rel=3e-3)] * 2
    assert all(spot.kind != "camera" for spot in analysis.spots if spot.enabled)


def test_a_crystal_along_the_pixels_stays():
    crystal = lattice((SIZE, SIZE), PIXEL, [(0.2043, 0.0), (0.2043, 90.0)])
    analysis = analysis_of(lambda counts: counts, 1 + 0.1 * crystal)
    assert len(analysis.grains) == 1
    assert not analysis.warnings


def test_a_crystal_whose_planes_repeat_after_whole_pixels_stays():
    """A cubic lattice of 30 pixels along both axes, with the cross terms that no sensor has."""
    a = 30 * PIXEL[0]
    planes = [(a / np.hypot(h, k), np.degrees(np.arctan2(k, h))) for h, k in CUBIC]
    crystal = lattice((SIZE, SIZE), PIXEL, planes)
    analysis = analysis_of(lambda counts: counts, 1 + 0.1 * crystal)
    assert all(spot.kind != "camera" for spot in analysis.spots)
    on_axis = [spot for spot in analysis.spots if min(abs(spot.g[0]), abs(spot.g[1])) < 0.01]
    assert len(on_axis) == 4 and all(spot.enabled for spot in on_axis)
    assert not analysis.warnings


def test_a_period_that_any_frequency_fits_is_none():
    vague = [Spot(1, (0.0, 4.9), 0.05, 20.0, -20.0), Spot(2, (0.0, 6.1), 0.05, 20.0, -20.0)]
    assert common_period(vague, 1, PIXEL, (21.0, 21.0)) is None
    assert common_period([], 1, PIXEL, (21.0, 21.0)) is None


GRID = MapGrid((80, 80), (0.25, 0.25))
CRYSTAL = [(0.0, 4.2), (4.2, 0.0), (4.2, 4.2), (-4.2, 4.2)]


def spots(g, snr: float, sigma: float = 0.01, radius: float = 0.35) -> list[Spot]:
    return [
        Spot(n, friedel_representative(tuple(map(float, one))), sigma, snr, -50.0, radius=radius)
        for n, one in enumerate(g)
    ]


def region(first: int, last: int) -> GrainRegion:
    mask = np.zeros(GRID.shape, bool)
    mask[20:60, first:last] = True
    return GrainRegion.cropped(mask, mask.astype(np.float32))


def misfit(percent: float, turn: float = 0.0) -> np.ndarray:
    c, s = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    return (1 - percent / 100) * np.array(CRYSTAL) @ np.array([[c, -s], [s, c]])


#: Each reflection moved along one direction, up or down, as a facet's rim moves them.
RIM = np.array(CRYSTAL) + np.array([[0.0, 0.2], [0.1, -0.15], [-0.1, 0.2], [0.0, -0.2]])


def test_a_rim_is_its_crystals():
    crystal = spots(CRYSTAL, 9e3, radius=0.1)
    groups, regions = [crystal, spots(RIM, 200.0)], [region(0, 40), region(40, 50)]
    assert find_rims(groups, regions, GRID) == {1: 0}


@pytest.mark.parametrize("percent", [1, 3, 5, 7])
@pytest.mark.parametrize("turn", [0.0, 2.0])
def test_a_crystal_of_like_structure_is_none(percent, turn):
    assert not is_rim(spots(misfit(percent, turn), 200.0), spots(CRYSTAL, 9e3, radius=0.1))
    assert is_rim(spots(RIM, 200.0), spots(CRYSTAL, 9e3, radius=0.1))


def test_neither_is_one_away_from_it_or_hardly_weaker_or_larger():
    crystal, rim = spots(CRYSTAL, 9e3, radius=0.1), spots(RIM, 200.0)
    assert find_rims([crystal, rim], [region(0, 40), region(46, 56)], GRID) == {}
    assert find_rims([crystal, spots(RIM, 2e3)], [region(0, 40), region(40, 50)], GRID) == {}
    assert find_rims([crystal, rim], [region(0, 10), region(10, 50)], GRID) == {}


def test_one_spot_is_no_rim():
    assert not is_rim(spots(RIM[:1], 200.0), spots(CRYSTAL, 9e3, radius=0.1))


def test_the_rim_of_a_rim_is_the_crystals():
    second = RIM + np.array([[0.1, 0.05], [-0.05, 0.1], [0.1, 0.1], [-0.1, 0.1]])
    groups = [spots(CRYSTAL, 9e3, radius=0.1), spots(RIM, 900.0), spots(second, 50.0)]
    assert find_rims(groups, [region(0, 40), region(40, 50), region(50, 55)], GRID) == {1: 0, 2: 0}


def test_a_faint_spot_beside_a_neighbours_strong_one_is_its_lobe():
    crystal, grain = spots(CRYSTAL, 9e3, radius=0.1), spots([(0.1, 4.3), (2.0, 3.0)], 20.0, radius=0.1)
    places = [region(0, 40), region(40, 70)]
    assert find_lobes([crystal, grain], places, GRID) == [{}, {0: 0}]
    apart = [region(0, 40), region(50, 70)]
    assert find_lobes([crystal, grain], apart, GRID) == [{}, {}]
    brighter = spots([(0.1, 4.3), (2.0, 3.0)], 300.0, radius=0.1)  # the weaker of two crystals side by side
    assert find_lobes([crystal, brighter], places, GRID) == [{}, {}]
