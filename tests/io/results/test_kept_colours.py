import json
import subprocess
import sys

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


_ASK = """
import sys
from pathlib import Path
from napari_tem_fft.io.results.kept_colours import given_colours
for number in range(24):
    name = f"P{number % 6}"
    print(name, given_colours(Path(sys.argv[1]), [name])[name])
"""


def test_processes_that_ask_at_once_agree(tmp_path):
    asking = [
        subprocess.Popen([sys.executable, "-c", _ASK, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    told = [process.communicate(timeout=120)[0].splitlines() for process in asking]
    kept = kept_colours(tmp_path)
    assert told[0] == told[1] == [f"P{number % 6} {kept[f'P{number % 6}']}" for number in range(24)]
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
