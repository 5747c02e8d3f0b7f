"""Names of the parameters of an analysis as options, on the command line and in copied commands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import get_type_hints

from .parameters import Parameter, parameters_of
from .pipeline import AnalysisParams


@dataclass(frozen=True, slots=True)
class Option:
    """One generated option: where its value belongs, and its name without dashes."""

    group: str
    parameter: Parameter
    name: str

    @property
    def key(self) -> str:
        """Name in argparse's namespace."""
        return f"parameter:{self.group}:{self.parameter.name}"


def options() -> tuple[Option, ...]:
    """One option for every declared parameter; the group stands before names that occur twice."""
    found = [
        (group, one, one.field.option or one.name.replace("_", "-")) for group, one in _declared_options()
    ]
    count = Counter(name for _, _, name in found)
    return tuple(
        Option(group, one, f"{group.replace('_', '-')}-{name}" if count[name] > 1 else name)
        for group, one, name in found
    )


def _declared_options() -> Iterator[tuple[str, Parameter]]:
    """Every parameter with the name of its group; those of no group have an empty one."""
    yield from (("", one) for one in parameters_of(AnalysisParams))
    for group, kind in parameter_groups():
        yield from ((group, one) for one in parameters_of(kind))


def parameter_groups() -> Iterator[tuple[str, type]]:
    """Name and dataclass of each group of the parameters."""
    hints = get_type_hints(AnalysisParams)
    for f in fields(AnalysisParams):
        if is_dataclass(hints[f.name]):
            yield f.name, hints[f.name]
