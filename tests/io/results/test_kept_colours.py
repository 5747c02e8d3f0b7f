import json
import multiprocessing

import pytest

from napari_tem_fft.core.maps.colours import UNKNOWN, colours_of
from napari_tem_fft.io.results import kept_colours as module
from napari_tem_fft.io.results.kept_colours import COLOURS, given_colours, kept_colours


def rivals() -> tuple[str, str]:
    """Two names that would have the same colour, each by itself; the first comes first in the alphabet."""
    own = {}
    for letter in "ABCDEFGHIJ":
        colour = colours_of([letter])[letter]
        if colour in own:
            return own[colour], letter
        own[colour] = letter
    raise AssertionError


def test_a_phase_keeps_its_colour_whoever_comes_later(tmp_path):
    first, second = rivals()
    alone = given_colours(tmp_path, [second])
    both = given_colours(tmp_path, [first, second, "unknown crystal"])
    assert both[second] == alone[second] != both[first]
    assert both["unknown crystal"] == UNKNOWN
    assert kept_colours(tmp_path) == both
    assert [path.name for path in tmp_path.iterdir()] == [COLOURS]


def _ask(output, number):
    return given_colours(output, [f"P{number % 6}"])[f"P{number % 6}"]


def test_processes_that_ask_at_once_agree(tmp_path):
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        told = pool.starmap(_ask, [(tmp_path, number) for number in range(24)])
    kept = kept_colours(tmp_path)
    assert told == [kept[f"P{number % 6}"] for number in range(24)]
    assert len(set(kept.values())) == 6


@pytest.mark.parametrize("text", ["", "[]", '{"a": "url(x)", "b": 3}', "{"])
def test_what_is_no_colour_is_not_taken(tmp_path, text):
    (tmp_path / COLOURS).write_text(text)
    assert kept_colours(tmp_path) == {}


def test_a_lock_that_somebody_left_is_broken(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    (tmp_path / f".{COLOURS}.lock").touch()
    assert set(given_colours(tmp_path, ["Cu"])) == {"Cu"}
    assert set(json.loads((tmp_path / COLOURS).read_text())) == {"Cu"}
