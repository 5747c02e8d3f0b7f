"""Parameters declared once: a frozen dataclass whose fields carry label, limits, unit and help.

The dock's controls, the options of the command line and the JSON next to each result are all made
from the same declaration::

    @dataclass(frozen=True, slots=True)
    class ProfileParams:
        step: Annotated[float, Field("ring width", unit="1/nm", low=0.001, high=1.0,
                                     help="Width of a ring of the profile.")] = 0.02
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields, is_dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

Params = TypeVar("Params")


@dataclass(frozen=True, slots=True)
class Field:
    """What a person needs to know of one parameter.

    Attributes
    ----------
    label : str
        Short name for a form.
    help : str
        One sentence for the tooltip and for ``--help``.
    unit : str
        Unit as shown ("nm", "1/nm", "%"); empty for pure numbers.
    low, high : float, optional
        Inclusive limits.
    choices : tuple of str
        The allowed values of a text parameter.
    option : str
        Name of the command line's option without dashes, where it differs from the field's name.
    automatic : str
        What holds where nothing is given, of a parameter that may be None.
    """

    label: str
    help: str = ""
    unit: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    option: str = ""
    automatic: str = ""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One declared parameter: its place, type, default and `Field`."""

    name: str
    type: type
    default: Any
    field: Field


def parameters_of(cls: type) -> Iterator[Parameter]:
    """All parameters of a dataclass, in order; nested dataclasses are not entered."""
    hints = get_type_hints(cls, include_extras=True)
    for f in fields(cls):
        hint = hints[f.name]
        if get_origin(hint) is not Annotated:
            continue
        kind, *notes = get_args(hint)
        note = next((n for n in notes if isinstance(n, Field)), None)
        if note is not None:
            yield Parameter(f.name, _given_kind(kind), None if f.default is MISSING else f.default, note)


def check_limits(params: object) -> None:
    """Raise if a value lies outside its declared limits; call it from ``__post_init__``.

    Raises
    ------
    ValueError
        Naming the parameter, its value and its limits.
    """
    for parameter in parameters_of(type(params)):
        check_value(parameter, getattr(params, parameter.name))


def check_value(parameter: Parameter, value: Any) -> None:
    """Raise if a value is none that a parameter may have.

    Raises
    ------
    ValueError
        Naming the parameter, the value and the limits.
    """
    field = parameter.field
    if value is None and field.automatic:
        return
    if field.choices and value not in field.choices:
        raise ValueError(f"{field.label}: {value!r} is not one of {', '.join(field.choices)}")
    if field.low is not None and not value >= field.low:
        raise ValueError(f"{field.label}: {value} is below {field.low} {field.unit}".rstrip())
    if field.high is not None and not value <= field.high:
        raise ValueError(f"{field.label}: {value} is above {field.high} {field.unit}".rstrip())


def to_dict(params: object) -> dict[str, Any]:
    """Plain nested dictionary of a parameter dataclass, ready for JSON.

    Raises
    ------
    TypeError
        If it is none.
    """
    if not is_dataclass(params):
        raise TypeError(f"not a dataclass: {params!r}")
    out: dict[str, Any] = {}
    for f in fields(params):
        value = getattr(params, f.name)
        out[f.name] = to_dict(value) if is_dataclass(value) else _plain(value)
    return out


def from_dict(cls: type[Params], values: dict[str, Any]) -> Params:
    """Parameter dataclass from `to_dict`'s dictionary; missing entries take their defaults.

    Raises
    ------
    ValueError
        If a name is unknown, or a value has the wrong kind or exceeds its limits.
    """
    if not isinstance(values, dict):
        raise ValueError(f"{cls.__name__}: expected named values, got {values!r}")
    hints = get_type_hints(cls)
    unknown = sorted(set(values) - {f.name for f in fields(cls)})  # type: ignore[arg-type]
    if unknown:
        raise ValueError(f"{cls.__name__}: unknown parameter {', '.join(unknown)}")
    return cls(**{name: _restore(hints[name], name, value) for name, value in values.items()})


def _given_kind(hint: Any) -> Any:
    """The type of a parameter that is given: float for ``float | None``."""
    return next(kind for kind in get_args(hint) if kind is not NoneType) if _may_be_none(hint) else hint


def _may_be_none(hint: Any) -> bool:
    return get_origin(hint) is UnionType and NoneType in get_args(hint)


def _plain(value: Any) -> Any:
    return [_plain(v) for v in value] if isinstance(value, tuple) else value


def _restore(hint: Any, name: str, value: Any) -> Any:
    if isinstance(hint, type) and is_dataclass(hint):
        return from_dict(hint, value)
    if get_origin(hint) is tuple:
        return tuple(value)
    if _may_be_none(hint):
        return None if value is None else _restore(_given_kind(hint), name, value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint in (int, float, bool, str) and type(value) is not hint:
        raise ValueError(f"{name}: expected {hint.__name__}, got {value!r}")
    return value
