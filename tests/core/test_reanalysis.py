"""What follows an edit depends on the spots as they are now, not on the way there nor on a file between."""

from dataclasses import replace

import numpy as np
import pytest

from forward_model import fringes, white_noise
from napari_tem_fft.core.grains.grain import GrainSet
from napari_tem_fft.core.image.calibration import Calibration
from napari_tem_fft.core.image.micrograph import Micrograph
from napari_tem_fft.core.matching import PhaseOverride
from napari_tem_fft.core.pipeline import Analysis, EditStart, analysis_steps
from napari_tem_fft.core.progress import exhaust
from napari_tem_fft.core.reanalysis import (
    EditCache,
    _specimen_after,
    add_spot_at,
    is_edited,
    reanalyse_after_override,
    reanalyse_after_specimen_edit,
    reanalyse_after_spot_edit,
)
from napari_tem_fft.io.exchange.temfft import load_temfft, save_temfft
from small_analysis import assert_same, regions_of, small_analysis

PIXEL = (0.025, 0.03)


def two_grains() -> Analysis:
    """A film over half of the field, and on it two crystals that overlap, of two and one sets of fringes."""
    shape = (480, 420)
    pixels = white_noise(shape, 3)
    for (y, x), *waves in (((60, 50), (0.2, 30.0, 0.8), (0.17, 95.0, 0.6)), ((150, 120), (0.26, 110.0, 0.5))):
        place = slice(y, y + 160), slice(x, x + 140)
        pixels[place] += sum(fringes(shape, PIXEL, *wave) for wave in waves)[place]
    return exhaust(analysis_steps(Micrograph(pixels, Calibration.real(PIXEL), "two grains"), ()))


@pytest.fixture(scope="module")
def found() -> Analysis:
    return two_grains()


def switched(analysis, *numbers):
    """The analysis after some spots were switched, one edit after the other."""
    for number in numbers:
        spots = tuple(
            replace(spot, enabled=not spot.enabled) if spot.id == number else spot for spot in analysis.spots
        )
        analysis = exhaust(reanalyse_after_spot_edit(analysis, spots))
    return analysis


def reloaded(analysis, tmp_path):
    saved = load_temfft(save_temfft(tmp_path / "saved.temfft", analysis)).analysis
    assert saved is not None
    return saved


def assert_same_result(one, other):
    for name in ("spots", "grains", "grain_regions", "specimen", "matches", "components"):
        assert_same(getattr(one, name), getattr(other, name), name)


def test_a_saved_and_reloaded_analysis_edits_to_the_same_last_bit(found, tmp_path):
    numbers = [spot.id for spot in found.spots]
    hand = add_spot_at(found, found.spots, (2.1, 5.3))
    edited = switched(exhaust(reanalyse_after_spot_edit(found, hand)), *numbers[:2])
    assert len(edited.grains) != len(found.grains) or edited.grains != found.grains
    again = reloaded(edited, tmp_path)
    assert_same_result(edited, again)
    for back in (numbers[:1], numbers[1:2], numbers[2:]):
        edited, again = switched(edited, *back), switched(again, *back)
        assert_same_result(edited, again)
        again = reloaded(again, tmp_path)
    assert_same(edited.edit_start, again.edit_start)


def test_two_ways_to_the_same_spots_give_the_same(found):
    first, second, third = [spot.id for spot in found.spots][:3]
    one, other = switched(found, first, second, third, first), switched(found, third, second)
    assert one.spots == other.spots
    assert_same_result(one, other)
    assert_same_result(switched(one, second, third), found)


def test_a_specimen_drawn_and_taken_back_leaves_nothing_behind(found, tmp_path):
    first = found.spots[0].id
    drawn = np.zeros(found.map_grid.shape, np.uint8)
    drawn[: drawn.shape[0] // 3] = 1
    cut = reloaded(exhaust(reanalyse_after_specimen_edit(switched(found, first), drawn)), tmp_path)
    assert cut.specimen_by_user
    assert_same_result(exhaust(reanalyse_after_specimen_edit(switched(cut, first), None)), found)
    assert_same_result(switched(exhaust(reanalyse_after_specimen_edit(cut, None)), first), found)


def test_an_edit_with_a_cache_gives_what_it_gives_without(found):
    cache = EditCache(found.diffractogram)
    hand = add_spot_at(found, found.spots, (2.1, 5.3), cache)
    assert hand == add_spot_at(found, found.spots, (2.1, 5.3))
    for spots in (hand, hand[1:], hand):
        quick = exhaust(reanalyse_after_spot_edit(found, spots, cache))
        slow = exhaust(reanalyse_after_spot_edit(found, spots))
        assert_same_result(quick, slow)
        assert_same(quick.profiles, slow.profiles)


def test_the_cache_of_another_image_is_refused(found):
    cache = EditCache(small_analysis().diffractogram)
    with pytest.raises(ValueError, match="another diffractogram"):
        exhaust(reanalyse_after_spot_edit(found, found.spots, cache))


def grains(*rows):
    """Grains of some rows of a map of 10 x 4 pixels."""
    masks = np.zeros((len(rows), 10, 4), bool)
    for mask, place in zip(masks, rows, strict=True):
        mask[place] = True
    return GrainSet((), (), regions_of(masks))


def test_a_crystal_that_shrank_takes_no_matter_away_and_one_that_vanished_asks_anew():
    film, whole = np.zeros((10, 4), bool), small_analysis()
    film[:5] = True
    start = EditStart(grains(slice(4, 8)), film)
    shrunk = _specimen_after(start, grains(slice(4, 6), slice(8, 9)), whole)  # half is left, another is there
    assert shrunk.any(axis=1).tolist() == [True] * 6 + [False, False, True, False]
    assert _specimen_after(start, grains(slice(4, 5)), whole) is None
    assert _specimen_after(start, grains(), whole) is None
    assert _specimen_after(EditStart(start.found, None), grains(slice(4, 8)), whole) is None


def test_an_override_names_all_again_in_two_steps_and_changes_nothing_else():
    before, steps = small_analysis(), []
    after = exhaust(reanalyse_after_override(before, [PhaseOverride(1, "LiF", "override")]), steps.append)
    assert [(step.name, step.done, step.total) for step in steps] == [("phases", 1, 2), ("maps", 2, 2)]
    assert steps[0].product.matches is after.matches and steps[1].product.components is after.components
    assert after.matches[0].phases == ("LiF",) and after.matches[0].decided_by_user
    assert after.decisions[0].centre == pytest.approx(before.grains[0].centre)
    assert (after.components[0].name, after.components[0].by_user) == ("LiF", True)
    assert [spot.kind for spot in after.spots] == ["reflection"] * 3  # LiF explains the second one
    assert [replace(a, kind=b.kind) for a, b in zip(after.spots, before.spots, strict=True)] == [
        *before.spots
    ]
    assert after.grain_regions is before.grain_regions


def test_what_the_run_switched_off_is_no_edit_whatever_it_is_called_now():
    found = small_analysis()
    assert not is_edited(found)  # one of its spots is off, and called a reflection
    off = tuple(replace(spot, enabled=False) for spot in found.spots)
    start = EditStart(GrainSet(found.spots, found.grains, found.grain_regions), None)
    assert is_edited(replace(found, spots=off, edit_start=start))
    renamed = tuple(replace(spot, kind="forbidden") for spot in found.spots)
    assert not is_edited(replace(found, spots=renamed, edit_start=start))
    by_hand = replace(found.spots[0], id=9, origin="hand")
    assert is_edited(replace(found, spots=(*found.spots, by_hand), edit_start=start))
    gone = (*found.spots, replace(by_hand, enabled=False))
    assert not is_edited(replace(found, spots=gone, edit_start=start))
