"""The Python interface: what the docks do, on a small micrograph."""

from pathlib import Path

import numpy as np
import pytest

import napari_tem_fft as tem
from forward_model import fringes, white_noise
from napari_tem_fft.core.image.calibration import Calibration
from napari_tem_fft.core.image.micrograph import Micrograph
from napari_tem_fft.core.pipeline import Analysis
from small_run import SameProcess, write_micrograph

PIXEL = (0.03, 0.03)


@pytest.fixture(scope="module")
def result() -> Analysis:
    """Fringes of gold: 0.2355 nm at 20 degrees and 0.2039 nm at 74.7 degrees."""
    shape = (300, 280)
    pixels = 1000 + white_noise(shape, 1, 60.0)
    for d, azimuth in ((0.2355, 20.0), (0.2039, 74.74)):
        pixels = pixels + 40 * fringes(shape, PIXEL, d, azimuth)
    micrograph = Micrograph(pixels.astype(np.float32), Calibration(PIXEL, "real", 0.005, "file"), "gold")
    return tem.analyse(micrograph, tem.select(["Au", "Cu"]))


def d_of(analysis: Analysis) -> list[float]:
    return sorted(round(spot.d, 2) for spot in analysis.spots if spot.enabled)


def test_every_public_name_is_there() -> None:
    assert all(getattr(tem, name) is not None for name in tem.__all__)
    assert set(tem.__all__) == set(dir(tem))


def test_an_erased_disc_disables_its_spot_and_the_profile_follows(result: Analysis) -> None:
    mask = tem.mask_of(result)
    grid, image = tem.fft_of(result)
    assert mask.shape == image.shape == grid.shape
    y, x = grid.axes()
    mask[np.abs(np.hypot(y, x) - 1 / 0.2039) < 0.3] = 0
    edited = tem.with_mask(result, mask)
    assert d_of(result) == [0.2, 0.24] and d_of(edited) == [0.24]
    assert [len(one.profiles[1].peaks) for one in (result, edited)] == [2, 1]


def test_strain_is_measured_against_a_region_and_saved(result: Analysis, tmp_path: Path) -> None:
    own = tem.with_deformation(result, resolution=1.0)
    (part,) = own.deformations
    assert part.strain is not None and not part.of_region and part.significant("eps_xx", 1e-3).mean() < 0.02
    (against,) = tem.with_deformation(own, [(2.0, 2.0), (6.0, 5.0)]).deformations
    assert against.of_region
    folder = tem.save_results(own, tmp_path / "strained", keep="tables")
    assert (folder / "deformation.csv").read_text().count("\n") == 2
    with pytest.raises(ValueError, match="deformation reference"):
        tem.with_deformation(result, [(2.0, 2.0)])


def test_a_mask_of_another_shape_is_refused(result: Analysis) -> None:
    with pytest.raises(ValueError, match="see mask_of"):
        tem.with_mask(result, np.ones((3, 3)))


def test_fringes_inside_the_mask_are_the_crystals(result: Analysis) -> None:
    image, (py, px) = tem.fringes_of(result)
    # two waves of amplitude 40 have 40^2 together; the discs cut off what leaks around the spots
    assert 34 < image.std() < 40
    assert (image.shape[0] * py, image.shape[1] * px) == pytest.approx((9.0, 8.4))
    nothing, _ = tem.fringes_of(result, np.zeros_like(tem.mask_of(result)))
    assert np.abs(nothing).max() == 0


def test_spots_come_and_go(result: Analysis) -> None:
    first = min(result.spots, key=lambda spot: spot.d)
    without = tem.without_spots(result, [first.id])
    assert d_of(without) == [0.24]
    assert d_of(tem.with_spot(without, first.g)) == [0.2, 0.24]
    with pytest.raises(ValueError, match="no spot 99"):
        tem.without_spots(result, [99])
    with pytest.raises(ValueError, match="outside"):
        tem.with_spot(result, (100.0, 0.0))


def test_a_word_on_a_grain_names_it(result: Analysis) -> None:
    decided = tem.decide(result, result.grains[0].id, "Cu")
    assert [part.name for part in decided.components] == ["Cu"]
    assert decided.components[0].by_user
    with pytest.raises(ValueError, match="no grain 7"):
        tem.decide(result, 7, "Cu")
    with pytest.raises(ValueError, match="not one of override"):
        tem.decide(result, 1, "Cu", "perhaps")


def test_saved_and_loaded_it_is_the_same(result: Analysis, tmp_path) -> None:
    again = tem.load(tem.save(result, tmp_path / "gold"))
    assert again.spots == result.spots and again.matches == result.matches
    np.testing.assert_array_equal(tem.mask_of(again), tem.mask_of(result))


def test_many_in_one_call(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("napari_tem_fft.batch.backends.LocalWorkers", lambda job, _: SameProcess(job))
    (tmp_path / "in").mkdir()
    for name in ("a", "b"):
        write_micrograph(tmp_path / "in" / f"{name}.dm4", 0)
    seen = []
    outcome = tem.analyse_many(
        tmp_path / "in", tmp_path / "out", ["Au", "Cu"], keep="tables", workers=1, on_step=seen.append
    )
    assert (outcome.total, outcome.analysed, outcome.state, len(seen)) == (2, 2, "done", 2)
    assert (tmp_path / "out" / "report.html").is_file()
    with pytest.raises(ValueError, match="no micrograph"):
        tem.analyse_many(tmp_path / "out", tmp_path / "new")
