"""Crystals of the benchmarks as they are usually imaged: thicknesses, tilts, and patterns through lenses.

The physics is that of `napari_tem_fft.core.crystal.bloch_waves`, with more beams than the matcher uses.
"""

from __future__ import annotations

import numpy as np

from napari_tem_fft.core.crystal.bloch_waves import BeamPattern, Lens, beam_pattern, exit_waves, log_powers
from napari_tem_fft.core.crystal.phase import Phase

#: Beams of a pattern, those of smallest |g|.
BEAMS = 101


def pattern_of(phase: Phase, basis_hkl: np.ndarray, basis: np.ndarray) -> BeamPattern:
    """The pattern of a phase whose reflections are integer combinations of two."""
    return beam_pattern(phase.reflections.structure, basis_hkl, basis, BEAMS)


def drawn_tilt(rng: np.random.Generator) -> tuple[float, float]:
    """Random tilt off the zone axis with a standard deviation of 5 mrad (0.3 degrees) in each direction."""
    x, y = rng.normal(0, 0.005, 2)
    return float(x), float(y)


def drawn_thickness(rng: np.random.Generator, number: int) -> np.ndarray:
    """Random thicknesses of grains, 2 to 30 nm."""
    return np.exp(rng.uniform(np.log(2), np.log(30), number))


def ensemble(
    pattern: BeamPattern, lenses: list[Lens], rng: np.random.Generator, tilts: int, thicknesses: int
) -> np.ndarray:
    """ln of the power of each reflection, shape (lenses, tilts * thicknesses, points)."""
    rows = np.empty((len(lenses), tilts * thicknesses, len(pattern.points)))
    for voltage in sorted({lens.voltage for lens in lenses}):
        below = [
            exit_waves(pattern, voltage, drawn_tilt(rng), drawn_thickness(rng, thicknesses))
            for _ in range(tilts)
        ]
        chosen = [number for number, lens in enumerate(lenses) if lens.voltage == voltage]
        waves = np.concatenate(below)
        rows[chosen] = log_powers(pattern, waves, [lenses[number] for number in chosen])
    return rows
