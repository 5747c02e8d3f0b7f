"""Parameters declared once: a frozen dataclass whose fields carry label, limits, unit and help.

The dock's controls, the options of the command line and the JSON next to each result are all made
from the same declaration::

    @dataclass(frozen=True, slots=True)
    class ProfileParams:
        step: float = param(0.02, "ring width", unit="1/nm", low=0.001, high=1.0,
                            help="Width of a ring of the profile.")
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

Params = TypeVar("Params")


@dataclass(frozen=True, slots=True)
class Field:
    """Description of a parameter for users.

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
        Behaviour of a parameter that may be None if it is not given.
    """

    label: str
    help: str = ""
    unit: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    option: str = ""
    automatic: str = ""


def param(default: Any, label: str, **known: Any) -> Any:
    """A field of a dataclass that is a parameter, with its default; `known` are attributes of its `Field`."""
    return field(default=default, metadata={"parameter": Field(label, **known)})


@dataclass(frozen=True, slots=True)
class Parameter:
    """One declared parameter: its name, type, default and `Field`."""

    name: str
    type: type
    default: Any
    field: Field


def parameters_of(cls: type) -> Iterator[Parameter]:
    """All parameters of a dataclass, in order; nested dataclasses are not entered."""
    hints = get_type_hints(cls)
    for f in fields(cls):
        if "parameter" in f.metadata:
            yield Parameter(f.name, _given_kind(hints[f.name]), f.default, f.metadata["parameter"])


class WithinLimits:
    """Base of the dataclasses of parameters.

    Raises
    ------
    ValueError
        If a value lies outside its declared limits, naming the parameter, its value and its limits.
    """

    __slots__ = ()

    def __post_init__(self) -> None:
        for parameter in parameters_of(type(self)):
            check_value(parameter, getattr(self, parameter.name))


def check_value(parameter: Parameter, value: Any) -> None:
    """Raise an error if a value is not valid for a parameter.

    Raises
    ------
    ValueError
        Naming the parameter, the value and the limits.
    """
    declared = parameter.field
    if value is None and declared.automatic:
        return
    if declared.choices and value not in declared.choices:
        raise ValueError(f"{declared.label}: {value!r} is not one of {', '.join(declared.choices)}")
    if declared.low is not None and not value >= declared.low:
        raise ValueError(f"{declared.label}: {value} is below {declared.low} {declared.unit}".rstrip())
    if declared.high is not None and not value <= declared.high:
        raise ValueError(f"{declared.label}: {value} is above {declared.high} {declared.unit}".rstrip())


def to_dict(params: object) -> dict[str, Any]:
    """Convert a parameter dataclass to a nested dictionary of JSON values.

    Raises
    ------
    TypeError
        If it is not a dataclass.
    """
    if not is_dataclass(params):
        raise TypeError(f"not a dataclass: {params!r}")
    out: dict[str, Any] = {}
    for f in fields(params):
        value = getattr(params, f.name)
        out[f.name] = to_dict(value) if is_dataclass(value) else _plain(value)
    return out


def from_dict(cls: type[Params], values: dict[str, Any]) -> Params:
    """Create a parameter dataclass from the result of `to_dict`; missing entries get their defaults.

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
    """The type of a parameter without None: float for ``float | None``."""
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
