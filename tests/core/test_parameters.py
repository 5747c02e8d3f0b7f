from dataclasses import dataclass

import pytest

from napari_tem_fft.core.parameters import WithinLimits, from_dict, param, parameters_of, to_dict


@dataclass(frozen=True)
class Inner:
    pair: tuple[float, ...] = (1.0, 2.0)


@dataclass(frozen=True)
class Params(WithinLimits):
    needed: float = param(1.0, "needed", low=0.5, high=2.0, unit="nm")
    kind: str = param("a", "kind", choices=("a", "b"))
    hidden: int = 3
    inner: Inner = Inner()


def test_what_is_declared_comes_in_order_with_its_default():
    assert [(p.name, p.type, p.default) for p in parameters_of(Params)] == [
        ("needed", float, 1.0),
        ("kind", str, "a"),
    ]


def test_the_limits_themselves_are_allowed_and_named_where_they_are_passed():
    assert (Params(0.5).needed, Params(2.0).needed) == (0.5, 2.0)
    with pytest.raises(ValueError, match=r"needed: 0\.4 is below 0\.5 nm"):
        Params(0.4)
    with pytest.raises(ValueError, match=r"needed: 2\.1 is above 2\.0 nm"):
        Params(2.1)
    with pytest.raises(ValueError, match="needed: nan"):
        Params(float("nan"))
    with pytest.raises(ValueError, match="kind: 'c' is not one of a, b"):
        Params(1.0, "c")


def test_plain_values_come_back_as_they_were():
    plain = to_dict(Params(1.0, "b"))
    assert plain == {"needed": 1.0, "kind": "b", "hidden": 3, "inner": {"pair": [1.0, 2.0]}}
    assert from_dict(Params, {**plain, "needed": 1}) == Params(1.0, "b")
    with pytest.raises(ValueError, match="hidden: expected int, got True"):
        from_dict(Params, {"needed": 1.0, "hidden": True})
    with pytest.raises(ValueError, match="needed: expected float, got True"):
        from_dict(Params, {"needed": True})


@dataclass(frozen=True)
class Optional(WithinLimits):
    weight: float | None = param(None, "weight", low=0.0, high=1.0, automatic="by the image")


def test_a_parameter_that_is_not_given_stays_so():
    assert [(p.type, p.default) for p in parameters_of(Optional)] == [(float, None)]
    for weight in (None, 0.0, 0.5):
        assert from_dict(Optional, to_dict(Optional(weight))) == Optional(weight)
    assert from_dict(Optional, {"weight": 1}) == Optional(1.0)
    with pytest.raises(ValueError, match="above"):
        Optional(2.0)
    with pytest.raises(ValueError, match="expected float"):
        from_dict(Optional, {"weight": "much"})
