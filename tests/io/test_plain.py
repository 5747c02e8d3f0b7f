import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import numpy as np
import pytest

from napari_tem_fft.io.plain import from_plain, json_text, to_plain


class Kind(StrEnum):
    A = "a b"


@dataclass(frozen=True)
class Inner:
    pair: tuple[float, float]
    many: tuple[int, ...] = ()


@dataclass(frozen=True)
class Outer:
    inner: Inner
    inners: tuple[Inner, ...]
    kind: Kind
    elements: frozenset[str]
    maybe: tuple[int, int, int] | None
    value: float
    listed: Sequence[Inner] = ()


def test_round_trip_through_json() -> None:
    inner = Inner((1.0, 2.5), (3, 4))
    outer = Outer(inner, (inner, Inner((0.0, 0.0))), Kind.A, frozenset("ab"), (1, 2, 3), 0.1, (inner,))
    assert from_plain(Outer, json.loads(json.dumps(to_plain(outer)))) == outer


def test_text_has_a_line_an_entry_and_one_an_item_of_a_list_of_objects():
    values = {"a": 1.5, "b": [{"c": [1, 2]}, {"c": []}], "d": {"e": "ü"}, "f": []}
    text = json_text(values)
    assert json.loads(text) == values
    assert text.splitlines()[1:6] == [' "a": 1.5,', ' "b": [', '  {"c": [1, 2]},', '  {"c": []}', " ],"]
    with pytest.raises(ValueError, match="JSON"):
        json_text({"a": math.nan})


def test_nan_becomes_none_and_comes_back() -> None:
    plain = to_plain(Outer(Inner((1.0, math.inf)), (), Kind.A, frozenset(), None, math.nan))
    assert plain["value"] is None and plain["inner"]["pair"] == [1.0, None]
    back = from_plain(Outer, plain)
    assert math.isnan(back.value) and back.maybe is None


def test_numpy_scalars_become_numbers_and_whole_floats_stay_floats() -> None:
    assert to_plain({"a": np.float32(0.5), "b": np.int64(3)}) == {"a": 0.5, "b": 3}
    assert isinstance(from_plain(Inner, {"pair": [1, 2], "extra": 0}).pair[0], float)


@pytest.mark.parametrize("value", [np.zeros(3), Path("a"), b"bytes"])
def test_what_json_cannot_hold_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match="cannot be represented in JSON"):
        to_plain(value)


@dataclass(frozen=True)
class Renamed:
    now: int = field(default=0, metadata={"key": "before"})


def test_a_field_that_was_renamed_keeps_its_key_in_files():
    assert to_plain(Renamed(3)) == {"before": 3} and from_plain(Renamed, {"before": 3}) == Renamed(3)
