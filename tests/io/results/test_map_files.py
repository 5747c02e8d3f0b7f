from pathlib import Path

import numpy as np
import pytest

from napari_tem_fft.core.grains.grain import Grain
from napari_tem_fft.core.grains.region import GrainRegion
from napari_tem_fft.core.maps.map_grid import MapGrid
from napari_tem_fft.io.results.map_files import label_planes, read_map, read_regions, write_heats, write_map
from small_analysis import assert_same

GRID = MapGrid((8, 10), (0.5, 0.25))
GRAINS = tuple(Grain(i, (), (0.0, 0.0), 1.0, 1.0) for i in (1, 2, 7, 8))
#: One with a rim of heat, one that overlaps it, one in a corner, one outside of a specimen that was drawn.
MASKS = np.zeros((4, *GRID.shape), bool)
MASKS[0, 1:4, :4] = MASKS[1, 2:6, 2:6] = MASKS[2, 6:, 6:] = True
HEATS = MASKS * np.random.default_rng(0).uniform(0.5, 1, GRID.shape).astype(np.float32)
HEATS[0, 4, :4], HEATS[3, 0, 6:9] = 0.25, 0.75
REGIONS = tuple(GrainRegion.cropped(mask, heat) for mask, heat in zip(MASKS, HEATS, strict=True))


def test_overlapping_grains_take_a_second_plane() -> None:
    labels = label_planes(GRAINS, REGIONS, GRID)
    assert labels.shape == (2, 8, 10) and labels.dtype == np.uint16
    assert labels[0, 1, 0] == 1 and labels[1, 5, 5] == 2 and labels[0, 7, 7] == 7


@pytest.mark.parametrize("number", [4, 1, 0])
def test_regions_survive_the_files(tmp_path: Path, number: int) -> None:
    grains, regions = GRAINS[:number], REGIONS[:number]
    write_map(tmp_path / "labels.tif", label_planes(grains, regions, GRID), GRID)
    write_heats(tmp_path / "heats.npz", regions, GRID)
    assert_same(read_regions(tmp_path / "heats.npz", grains, read_map(tmp_path / "labels.tif")), regions)


def test_a_file_of_0_1_is_read(tmp_path: Path) -> None:
    """It held the same arrays, cut out of planes of the whole grid."""
    np.savez_compressed(
        tmp_path / "heats.npz",
        shape=np.array((1, 8, 10)),
        corner_0=np.array((1, 0)),
        heat_0=HEATS[0, 1:5, :4],
    )
    labels = label_planes(GRAINS[:1], REGIONS[:1], GRID)
    assert_same(read_regions(tmp_path / "heats.npz", GRAINS[:1], labels), REGIONS[:1])


@pytest.mark.parametrize("corner", [(6, 0), (0, 8), (-1, 0)])
def test_a_heat_beyond_the_map_is_refused(tmp_path: Path, corner: tuple[int, int]) -> None:
    heat = {"corner_0": np.array(corner), "heat_0": np.ones((4, 4), np.float32)}
    np.savez_compressed(tmp_path / "heats.npz", shape=np.array((1, 8, 10)), **heat)
    with pytest.raises(ValueError, match="beyond the map"):
        read_regions(tmp_path / "heats.npz", GRAINS[:1], np.zeros((1, 8, 10), np.uint16))


def test_heat_survives_the_file(tmp_path: Path) -> None:
    heat = np.random.default_rng(0).random(GRID.shape, np.float32)
    write_map(tmp_path / "heat.tif", heat, GRID)
    np.testing.assert_array_equal(read_map(tmp_path / "heat.tif"), heat)


def test_boolean_maps_are_written_as_0_and_255(tmp_path: Path) -> None:
    write_map(tmp_path / "mask.tif", MASKS[0], GRID)
    assert set(np.unique(read_map(tmp_path / "mask.tif"))) == {0, 255}
