from dataclasses import dataclass, field

import pytest

from napari_tem_fft.core.matching import MatchParams
from napari_tem_fft.core.parameters import WithinLimits, param
from napari_tem_fft.core.pipeline import AnalysisParams
from napari_tem_fft.widgets.forms.params import ParamsForm, value_rows


@dataclass(frozen=True, slots=True)
class Inner(WithinLimits):
    rate: float = param(0.0025, "rate", unit="1/nm", low=0.0001, high=1.0, help="How fast.")
    count: int = param(3, "count", low=1, high=9)

    def __post_init__(self):
        WithinLimits.__post_init__(self)
        if self.rate > self.count:
            raise ValueError("rate above count")


@dataclass(frozen=True, slots=True)
class Outer:
    kind: str = param("b", "kind", choices=("a", "b"))
    on: bool = param(True, "on")
    inner: Inner = field(default_factory=Inner)


@pytest.fixture
def form(qtbot):
    form = ParamsForm(Outer())
    qtbot.addWidget(form)
    return form


def test_round_trip(form):
    assert form.value == Outer()
    form.value = Outer("a", False, Inner(0.0003, 5))
    assert form.value == Outer("a", False, Inner(0.0003, 5))


def test_row_tells_limits_and_unit(form):
    rate, count = value_rows(form._sections["inner"]._rows)
    assert rate.label == "rate (1/nm)"
    assert rate.tooltip == "How fast. (0.0001 to 1 1/nm)"
    assert (count.min, count.max) == (1, 9)


def test_limits_hold(form):
    row = value_rows(form._sections["inner"]._rows)[1]
    with pytest.raises(ValueError, match="9"):
        row.value = 10


def test_every_parameter_of_an_analysis_has_a_faithful_row(qtbot):
    form = ParamsForm(AnalysisParams())
    qtbot.addWidget(form)
    assert form.value == AnalysisParams()
    for weight in (0.0, 0.25, None):
        params = AnalysisParams(matching=MatchParams(outside=weight))
        form.value = params
        assert form.value == params
    row = next(row for row in value_rows(form._sections["matching"]._rows) if row.name == "outside")
    assert row.native.text() == "automatic" and "Automatic: 0.5, or 0 if elements" in row.tooltip
