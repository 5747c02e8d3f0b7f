"""Bloch waves against what is known by hand of thin crystals and of single pairs of beams."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_tem_fft.core.crystal.bloch_waves import (
    DEBYE_WALLER,
    REACH,
    Lens,
    beam_pattern,
    exit_waves,
    log_powers,
    potentials,
)
from napari_tem_fft.core.crystal.phase_selection import find_phase
from napari_tem_fft.io.phases.table import load_table


@pytest.fixture(scope="module")
def gold():
    """Structure of gold, hkl of the basis of its [001] zone, and that basis."""
    phase = find_phase(load_table(), "Au")
    hkl = np.array([[2, 0, 0], [0, 2, 0]])
    return phase.reflections.structure, hkl, hkl @ phase.reciprocal_basis()[:, :2]


def test_the_potential_is_that_of_the_kinematic_structure_factor(gold):
    structure, hkl, basis = gold
    volume = structure.cell[0] ** 3 * 1e3
    damping = np.exp(-DEBYE_WALLER * (basis[0] ** 2).sum() / 4)
    expected = 100 * structure.amplitude(hkl[:1])[0] * damping / (np.pi * volume)
    assert abs(potentials(structure, hkl)[0]) == pytest.approx(expected, rel=1e-6)
    assert abs(potentials(structure, np.array([[1, 0, 0]]))[0]) < 1e-9  # forbidden


def test_every_pair_of_beams_makes_the_point_of_its_difference(gold):
    pattern = beam_pattern(*gold, 21)
    first, second, point = pattern.pairs
    made = pattern.points[point] @ gold[2]
    assert np.allclose(pattern.g[first] - pattern.g[second], made)
    assert (np.linalg.norm(pattern.points @ gold[2], axis=1) < REACH).all()


def test_a_very_thin_crystal_scatters_once_by_a_quarter_turn(gold):
    pattern = beam_pattern(*gold, 21)
    voltage, thickness = 200.0, 0.02
    (wave,) = exit_waves(pattern, voltage, (0.0, 0.0), np.array([thickness]))
    wavelength = Lens(voltage, 0, 0, 0, 0).wavelength
    once = 1j * np.pi * wavelength * thickness * (1 + voltage / 511) * pattern.potential[1, 0]
    assert wave[0] == pytest.approx(1, abs=0.02)
    assert wave[1] == pytest.approx(once, rel=0.1)


@given(st.floats(1, 40), st.floats(-0.01, 0.01), st.floats(-0.01, 0.01))
def test_no_crystal_scatters_more_than_comes_in(gold, thickness, x, y):
    waves = exit_waves(beam_pattern(*gold, 13), 300.0, (x, y), np.array([thickness]))
    assert 0.05 < (np.abs(waves) ** 2).sum() <= 1 + 1e-9


def test_a_lens_in_focus_shows_no_phase_contrast_and_one_at_a_quarter_wave_shows_twice_the_amplitude(gold):
    pattern = beam_pattern(*gold, 5)
    waves = np.zeros((1, 5), complex)
    waves[0, 0], waves[0, 1:] = 1, 0.01j  # a weak phase object: (200) and its equivalents alone
    wavelength = Lens(300.0, 0, 0, 0, 0).wavelength
    g2 = (gold[2][0] ** 2).sum()
    at = (pattern.points == (1, 0)).all(axis=1)
    in_focus = log_powers(pattern, waves, [Lens(300.0, 0, 0, 0, 0)])[0, 0, at]
    quarter = log_powers(pattern, waves, [Lens(300.0, 0, 0.5 / (wavelength * g2), 0, 0)])[0, 0, at]
    assert in_focus < np.log(1e-8)
    assert np.exp(quarter) == pytest.approx(0.02**2, rel=0.01)
    blurred = log_powers(pattern, waves, [Lens(300.0, 0, 0.5 / (wavelength * g2), 5.0, 0)])[0, 0, at]
    assert quarter - blurred == pytest.approx((np.pi * wavelength * 5.0 * g2) ** 2, rel=0.01)
