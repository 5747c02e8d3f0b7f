"""Units as files and people spell them."""

import subprocess
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from napari_tem_fft.core.image.units import LENGTHS_NM, quantity

LENGTHS = {
    **dict.fromkeys(("nm", "NM", "n_m", "[n_m]", "(nm)", " nm ", "nm/pixel", "nm per px", "Nanometers"), 1),
    **dict.fromkeys(("nanometre", "nanometres", "nano meter"), 1),
    **dict.fromkeys(("\u00b5m", "\u03bcm", "um", "u_m", "\\u00B5m", "\\\\u00B5m"), 1e3),
    **dict.fromkeys(("micron", "MICRONS", "\u00b5"), 1e3),
    **dict.fromkeys(("A", "\u00c5", "\u212b", "\\u00C5", "Ang", "ANGSTROMS", "Angstroms", "A\u030a"), 0.1),
    **dict.fromkeys(("\u00c5ngstr\u00f6m", "Angstr\u00f6m", "\u00e5ngstrom"), 0.1),
    **dict.fromkeys(("pm", "p_m", "picometres"), 1e-3),
    **dict.fromkeys(("cm", "CM", "centimetre"), 1e7),
    "mm": 1e6, "m": 1e9, "Metres": 1e9, "inch": 25.4e6, "femtometer": 1e-6, "decimeters": 1e8,
}  # fmt: skip


@pytest.mark.parametrize("unit", LENGTHS)
def test_a_length_in_every_spelling(unit):
    assert quantity(unit) == ("length", pytest.approx(LENGTHS[unit], rel=1e-12))


@pytest.mark.parametrize(
    ("unit", "factor"),
    [
        *((unit, 1) for unit in ("1/nm", "1 / nm", "nm^-1", "nm\u207b\u00b9", "nm**-1", "nm-1", "nm^{-1}")),
        *(
            (unit, 1)
            for unit in ("n_m^-1", "1/n_m", "[1/n_m]", "1/(nm)", "1/nanometer", "per nm", "inverse nm")
        ),
        *(
            (unit, 10)
            for unit in ("1/A", "A^-1", "1/\u00c5", "\u00c5\u207b\u00b9", "1/Angstroms", "1/\\u00C5")
        ),
        ("1/\u00b5m", 1e-3),
        ("1/m", 1e-9),
    ],
)
def test_an_inverse_length_in_every_spelling(unit, factor):
    assert quantity(unit) == ("inverse length", pytest.approx(factor, rel=1e-12))


@pytest.mark.parametrize(
    "unit",
    [
        "",
        "px",
        "pixels",
        "pixel",
        "s",
        "counts",
        "furlong",
        "light year",
        "nm^2",
        "1/nm^2",
        "9**9**9",
        "kg",
        "\0",
    ],
)
def test_what_is_no_length_is_none(unit):
    assert quantity(unit) == ("none", 1.0)


@pytest.mark.parametrize(("unit", "kind"), [("mrad", "angle"), ("degrees", "angle"), ("keV", "energy")])
def test_angles_and_energies(unit, kind):
    assert quantity(unit)[0] == kind


@given(
    unit=st.sampled_from(sorted(LENGTHS_NM)),
    form=st.sampled_from(["1/{}", "1 / {}", "{}^-1", "{}-1", "{}\u207b\u00b9"]),
)
def test_an_inverse_unit_is_the_inverse_of_its_length(unit, form):
    kind, factor = quantity(form.format(unit))
    assert kind == "inverse length"
    assert factor * LENGTHS_NM[unit] == pytest.approx(1.0)


@given(unit=st.text(max_size=6))
@example(unit="1/")
@example(unit="-1")
@example(unit="__import__('os')")
def test_any_text_gets_an_answer(unit):
    kind, factor = quantity(unit)
    assert 0 < factor < float("inf")
    assert "length" in kind or factor == 1.0


def test_the_usual_spellings_load_no_library_of_units():
    check = (
        "import sys; from napari_tem_fft.core.image.units import quantity;"
        "[quantity(u) for u in ('nm', 'n_m', '1/nm', 'Angstroms', 'eV', 's', '', 'pixel', 'counts', 'mrad')];"
        "sys.exit('pint' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
