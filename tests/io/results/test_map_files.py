from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile

from forward_model import frequency
from napari_tem_fft.core.grains.grain import Grain
from napari_tem_fft.core.grains.regions import GrainRegion
from napari_tem_fft.core.maps.map_grid import MapGrid
from napari_tem_fft.core.pipeline import Analysis
from napari_tem_fft.io.results.folder import save_results
from napari_tem_fft.io.results.map_files import label_planes, read_map, read_regions, write_heats, write_map
from small_analysis import assert_same, small_analysis

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
    with pytest.raises(ValueError, match="exceeds the map"):
        read_regions(tmp_path / "heats.npz", GRAINS[:1], np.zeros((1, 8, 10), np.uint16))


def test_a_file_that_is_no_map_or_claims_too_much_is_refused(tmp_path: Path) -> None:
    (tmp_path / "map.tif").write_bytes(b"no TIFF at all")
    with pytest.raises(ValueError, match=r"map\.tif: not a map"):
        read_map(tmp_path / "map.tif")
    labels = np.zeros((1, 8, 10), np.uint16)
    (tmp_path / "heats.npz").write_bytes(b"no archive")
    with pytest.raises(ValueError, match=r"heats\.npz: not a list of arrays"):
        read_regions(tmp_path / "heats.npz", GRAINS[:1], labels)
    np.savez_compressed(tmp_path / "heats.npz", shape=np.array((1, 8, 10)), more=np.zeros(10**6))
    with pytest.raises(ValueError, match="bytes claim to contain"):
        read_regions(tmp_path / "heats.npz", GRAINS[:1], labels)
    write_heats(tmp_path / "heats.npz", REGIONS[:2], GRID)
    with pytest.raises(ValueError, match="not heat maps of the shape"):
        read_regions(tmp_path / "heats.npz", GRAINS[:3], labels)


def test_heat_survives_the_file(tmp_path: Path) -> None:
    heat = np.random.default_rng(0).random(GRID.shape, np.float32)
    write_map(tmp_path / "heat.tif", heat, GRID)
    np.testing.assert_array_equal(read_map(tmp_path / "heat.tif"), heat)


def test_boolean_maps_are_written_as_0_and_255(tmp_path: Path) -> None:
    write_map(tmp_path / "mask.tif", MASKS[0], GRID)
    assert set(np.unique(read_map(tmp_path / "mask.tif"))) == {0, 255}


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    """Of fringes at 30 degrees with an amplitude of 3; the first spot lies on them."""
    small = small_analysis()
    first = replace(small.spots[0], g=frequency(0.25, 30.0), radius=0.4)
    return replace(small, spots=(first, *small.spots[1:]))


def test_each_inverse_is_in_grey_levels_over_the_whole_field(analysis, tmp_path):
    folder = save_results(analysis, tmp_path / "out", "tables", ("mask", "components", "spots"))
    written = {path.name for path in folder.glob("ifft*")}
    assert written == {
        "ifft.tif", "ifft_LiF+mine.tif", "ifft_unknown_crystal.tif", "ifft_spot_0.tif", "ifft_spot_1.tif",
    }  # fmt: skip
    with tifffile.TiffFile(folder / "ifft_spot_0.tif") as file:
        image, pixels = file.asarray(), file.pages[0].tags["XResolution"].value
        assert file.imagej_metadata["unit"] == "nm"
    assert image.shape[1] * pixels[1] / pixels[0] == pytest.approx(256 * 0.03, rel=1e-3)
    middle = image[image.shape[0] // 4 : -image.shape[0] // 4, image.shape[1] // 4 : -image.shape[1] // 4]
    assert np.sqrt(2) * middle.std() == pytest.approx(3.0, rel=0.1) and image.mean() == pytest.approx(
        0, abs=0.01
    )
    both = sum(tifffile.imread(folder / f"ifft_spot_{n}.tif") for n in (0, 1))
    np.testing.assert_allclose(tifffile.imread(folder / "ifft.tif"), both, atol=0.02)
    assert not tifffile.imread(folder / "ifft_unknown_crystal.tif").any()  # its only spot is disabled


def test_without_a_wish_none_is_written(analysis, tmp_path):
    assert not list(save_results(analysis, tmp_path / "out", "tables").glob("ifft*"))
