from pathlib import Path

import numpy as np

from napari_tem_fft.core.grains import Grain
from napari_tem_fft.core.map_grid import MapGrid
from napari_tem_fft.io.map_files import label_planes, masks_of, read_heats, read_map, write_heats, write_map

GRID = MapGrid((8, 10), (0.5, 0.25))
GRAINS = tuple(Grain(i, (), (0.0, 0.0), 1.0, 1.0) for i in (1, 2, 7))


def masks() -> np.ndarray:
    three = np.zeros((3, *GRID.shape), bool)
    three[0, :4, :4] = True
    three[1, 2:6, 2:6] = True  # overlaps the first
    three[2, 6:, 6:] = True
    return three


def test_overlapping_grains_take_a_second_plane() -> None:
    labels = label_planes(GRAINS, masks())
    assert labels.shape == (2, 8, 10) and labels.dtype == np.uint16
    assert labels[0, 0, 0] == 1 and labels[1, 5, 5] == 2 and labels[0, 7, 7] == 7
    np.testing.assert_array_equal(masks_of(GRAINS, labels), masks())


def test_labels_survive_the_file(tmp_path: Path) -> None:
    for number, chosen in enumerate((slice(0, 3), slice(0, 1), slice(0, 0))):
        path = tmp_path / f"{number}.tif"
        write_map(path, label_planes(GRAINS[chosen], masks()[chosen]), GRID)
        np.testing.assert_array_equal(masks_of(GRAINS[chosen], read_map(path)), masks()[chosen])


def test_heat_survives_the_file(tmp_path: Path) -> None:
    heat = np.random.default_rng(0).random(GRID.shape, np.float32)
    write_map(tmp_path / "heat.tif", heat, GRID)
    np.testing.assert_array_equal(read_map(tmp_path / "heat.tif"), heat)


def test_boolean_maps_are_written_as_0_and_255(tmp_path: Path) -> None:
    write_map(tmp_path / "mask.tif", masks()[0], GRID)
    assert set(np.unique(read_map(tmp_path / "mask.tif"))) == {0, 255}


def test_heats_of_grains_survive_the_file(tmp_path: Path) -> None:
    heats = masks() * np.random.default_rng(0).random(GRID.shape, np.float32)
    heats[1] = 0
    for number in (3, 0):
        write_heats(tmp_path / "heats.npz", heats[:number])
        back = read_heats(tmp_path / "heats.npz", (number, *heats.shape[1:]))
        np.testing.assert_array_equal(back, heats[:number])
