from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from napari_tem_fft.core.grains.tracks import SeriesGrain, follow_grains_over


def grain(y, x, azimuth_spot=(4.8, 0.0), diameter=3.0):
    return SeriesGrain(1, "Cu", (y, x), 7.0, 1.0, diameter, (azimuth_spot,))


def test_a_grain_keeps_its_number_while_it_moves_and_misses_two_frames():
    here = grain(5.0, 5.0)
    moved = replace(here, centre=(5.5, 5.4))
    assert follow_grains_over([[here], [moved], [], [], [here]]) == ((1,), (1,), (), (), (1,))
    assert follow_grains_over([[here], [], [], [], [here]])[-1] == (2,)  # missed in three


def test_a_crystal_of_other_planes_in_the_same_place_is_another_one():
    here, turned = grain(5.0, 5.0), grain(5.0, 5.0, (0.0, 4.8))
    assert follow_grains_over([[here], [turned]]) == ((1,), (2,))
    opposite = grain(5.0, 5.0, (-4.8, 0.1))  # the same planes: -g, half a degree on
    assert follow_grains_over([[here], [opposite]]) == ((1,), (1,))


def test_of_two_overlapping_grains_each_is_followed_by_its_planes():
    one, other = grain(5.0, 5.0), grain(5.2, 5.0, (0.0, 4.8))
    assert follow_grains_over([[one, other], [other, one]]) == ((1, 2), (2, 1))


@given(st.lists(st.lists(st.tuples(st.floats(0, 20), st.floats(0, 20)), max_size=4), max_size=5))
def test_no_number_is_there_twice_in_a_frame_and_all_are_used(places):
    tracks = follow_grains_over([[grain(*place) for place in frame] for frame in places])
    assert [len(numbers) for numbers in tracks] == [len(frame) for frame in places]
    assert all(len(set(numbers)) == len(numbers) for numbers in tracks)
    used = {number for numbers in tracks for number in numbers}
    assert used == set(range(1, len(used) + 1))
