"""A form for a parameter dataclass: one row per parameter, one collapsible section per nested dataclass."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import fields, is_dataclass, replace
from typing import Any, Generic, TypeVar, get_type_hints

from magicgui.widgets import Container, FloatSpinBox, create_widget
from magicgui.widgets.bases import ValueWidget
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from ...core.parameters import Field, Parameter, parameters_of
from .controls import folding

Params = TypeVar("Params")
#: Step of a number that can be None.
AUTOMATIC_STEP = 0.01


class ParamsForm(QWidget, Generic[Params]):
    """Controls for all parameters of a dataclass and of the dataclasses nested in it.

    Parameters
    ----------
    params : dataclass
        Initial values.
    without : collection of str
        Parameters that have controls elsewhere; their values here are those shown first.

    Signals
    -------
    edited()
        A parameter has changed.
    """

    edited = Signal()

    def __init__(self, params: Params, without: Collection[str] = ()) -> None:
        super().__init__()
        self._kind = type(params)
        self._elsewhere = {name: getattr(params, name) for name in without}
        self._rows = make_rows(params, without)
        self._sections = {name: ParamsForm(value) for name, value in _nested(params).items()}
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self._rows.native)
        if not len(self._rows):
            self._rows.native.hide()
        for name, section in self._sections.items():
            layout.addWidget(folding(name.replace("_", " "), section))
            section.edited.connect(self.edited)
        self._rows.changed.connect(self._on_changed)

    def _on_changed(self) -> None:
        self.edited.emit()

    @property
    def value(self) -> Params:
        """The parameters of the form.

        Raises
        ------
        ValueError
            If two of them contradict each other; the message names them.
        """
        values = {row.name: row.value for row in value_rows(self._rows)}
        return self._kind(
            **self._elsewhere, **values, **{name: form.value for name, form in self._sections.items()}
        )

    @value.setter
    def value(self, params: Params) -> None:
        for row in value_rows(self._rows):
            row.value = getattr(params, row.name)
        for name, section in self._sections.items():
            section.value = getattr(params, name)


class AutomaticSpinBox(FloatSpinBox):
    """A number, or None, which is one step below the minimum and shown as "automatic"."""

    def __init__(self, value: float | None, min: float, max: float, **kwargs: Any) -> None:
        super().__init__(min=min - AUTOMATIC_STEP, max=max, step=AUTOMATIC_STEP, **kwargs)
        self._least = min
        self.native.setSpecialValueText("automatic")
        self.set_value(value)

    def get_value(self) -> Any:
        """Return the number or None."""
        number = super().get_value()
        return None if number < self._least - AUTOMATIC_STEP / 2 else number

    def set_value(self, value: Any) -> None:
        """Show a number, or "automatic" for None."""
        super().set_value(self.min if value is None else value)


def make_rows(params: Any, without: Collection[str] = ()) -> Container[Any]:
    """Return a magicgui container with a labelled row per parameter of a dataclass, without nested ones."""
    wanted = [each for each in parameters_of(type(params)) if each.name not in without]
    rows = [make_row(each, getattr(params, each.name)) for each in wanted]
    container: Container[Any] = Container(widgets=rows, labels=True)
    container.margins = (0, 0, 0, 0)
    return container


def make_row(parameter: Parameter, value: Any) -> ValueWidget[Any]:
    """Return the control of one parameter, with its limits, unit and help."""
    field = parameter.field
    options: dict[str, Any] = {"tooltip": tooltip(field)}
    if field.choices:
        options["choices"] = list(field.choices)
    elif parameter.type in (int, float):
        options |= _limits(parameter, value)
    label = f"{field.label} ({field.unit})" if field.unit else field.label
    if field.automatic:
        options.pop("step")
        return AutomaticSpinBox(value, name=parameter.name, label=label, **options)
    row = create_widget(
        value=value, annotation=parameter.type, name=parameter.name, label=label, options=options
    )
    if not isinstance(row, ValueWidget):
        raise TypeError(f"no control for {parameter.name}: {parameter.type}")
    return row


def value_rows(container: Container[Any]) -> list[ValueWidget[Any]]:
    """Return the container's controls."""
    return [row for row in container if isinstance(row, ValueWidget)]


def tooltip(field: Field) -> str:
    """Return the help of a parameter with its limits and unit."""
    if field.automatic:
        return tooltip(replace(field, help=f"{field.help} Automatic: {field.automatic}.", automatic=""))
    limits = [f"{limit:g}" for limit in (field.low, field.high) if limit is not None]
    if not limits:
        return field.help
    return f"{field.help} ({' to '.join(limits)} {field.unit}".rstrip() + ")"


def _limits(parameter: Parameter, value: float) -> dict[str, Any]:
    field = parameter.field
    low = -1e9 if field.low is None else field.low
    high = 1e9 if field.high is None else field.high
    if parameter.type is int:
        return {"min": int(low), "max": int(high), "step": 1}
    return {"min": low, "max": high, "step": _step(value, field.low)}


def _step(value: float, low: float | None) -> float:
    """Return a step fine enough to show the value and the lower limit without rounding."""
    digits = [-math.floor(math.log10(abs(v))) + 1 for v in (value, low) if v]
    decimals = min(max([1, *digits, *(_decimals(v) for v in (value, low) if v)]), 8)
    return float(10.0**-decimals)


def _decimals(value: float) -> int:
    text = f"{value:.8f}".rstrip("0")
    return len(text.partition(".")[2])


def _nested(params: Any) -> dict[str, Any]:
    hints = get_type_hints(type(params))
    return {
        f.name: getattr(params, f.name)
        for f in fields(params)
        if isinstance(hints[f.name], type) and is_dataclass(hints[f.name])
    }
