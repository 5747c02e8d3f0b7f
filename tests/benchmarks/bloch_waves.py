"""Diffractograms of perfect crystals by Bloch waves: thickness, small tilts and the transfer of the lens.

Zone-axis patterns of up to `BEAMS` beams with the scattering factors of the phase table. The image is formed
by interference of all pairs of beams (transmission cross-coefficients: focal spread and convergence), so that
non-linear contrast and double diffraction are in it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_tem_fft.core.crystal.phase import Phase, reciprocal_basis
from napari_tem_fft.core.crystal.structure import Structure

#: Beams of a pattern, those of smallest |g|, and the largest |g| of a reflection of the image, 1/nm.
BEAMS, REACH = 101, 1 / 0.115
#: Mean temperature factor B, nm^2, and absorption as a share of the potential.
DEBYE_WALLER, ABSORPTION = 0.006, 0.07


@dataclass(frozen=True)
class Lens:
    """Voltage (kV), Cs, defocus and focal spread (nm; positive defocus is underfocus), convergence (rad)."""

    voltage: float
    cs: float
    defocus: float
    spread: float
    convergence: float

    @property
    def wavelength(self) -> float:
        energy = self.voltage * 1e3
        return 1.22643 / float(np.sqrt(energy * (1 + 0.978476e-6 * energy)))

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Lens:
        """A microscope with or without a corrector, near Scherzer's focus or up to three times as far."""
        voltage = float(rng.choice([200.0, 300.0]))
        wavelength = cls(voltage, 0, 0, 0, 0).wavelength
        corrected = rng.random() < 0.5
        cs = float(rng.uniform(0.002, 0.02) if corrected else rng.uniform(0.5, 1.2)) * 1e6
        focus = float(rng.uniform(-1, 3) if corrected else rng.uniform(0.5, 3)) * np.sqrt(cs * wavelength)
        spread = float(rng.uniform(2, 4) if corrected else rng.uniform(3, 6))
        return cls(voltage, cs, float(focus), spread, float(rng.uniform(1e-4, 4e-4)))


@dataclass(frozen=True)
class Pattern:
    """A zone-axis pattern.

    Attributes
    ----------
    position : ndarray of int, shape (beams, 2)
        On the basis; the beam of the middle first.
    g : ndarray, shape (beams, 2), 1/nm
    potential : ndarray of complex, shape (beams, beams), 1/nm^2
        U of the difference of two beams, not relativistic.
    points : ndarray of int, shape (points, 2)
        Reflections of the image, one of each pair.
    pairs : tuple of ndarray
        First and second beam, and the point that each pair makes, sorted by point.
    """

    position: np.ndarray
    g: np.ndarray
    potential: np.ndarray
    points: np.ndarray
    pairs: tuple[np.ndarray, np.ndarray, np.ndarray]


def structure_of(phase: Phase) -> Structure:
    return phase.reflections.structure


def potentials(structure: Structure, hkl: np.ndarray) -> np.ndarray:
    """U of reflections, 1/nm^2, without the relativistic factor."""
    s2 = (np.linalg.norm(hkl @ reciprocal_basis(structure.cell), axis=1) / 20.0) ** 2
    a, b = structure.factors[:, 0, :, None], structure.factors[:, 1, :, None]
    factor = (a * np.exp(-b * s2)).sum(axis=1)[structure.element] * structure.occupancy[:, None]
    total = (factor * np.exp(2j * np.pi * (structure.sites @ hkl.T))).sum(axis=0)
    volume = 1e3 / abs(np.linalg.det(reciprocal_basis(structure.cell)))  # Angstrom^3
    return 100 * total * np.exp(-100 * DEBYE_WALLER * s2) / (np.pi * volume)


def pattern_of(phase: Phase, basis_hkl: np.ndarray, basis: np.ndarray) -> Pattern:
    """The pattern whose reflections are whole-number sums of two.

    Parameters
    ----------
    phase : Phase
    basis_hkl : ndarray of int, shape (2, 3)
    basis : ndarray, shape (2, 2), 1/nm
    """
    reach = int(np.ceil(3 * REACH / np.sqrt(np.linalg.eigvalsh(basis @ basis.T)[0])))
    grid = np.stack(np.meshgrid(*2 * [np.arange(-reach, reach + 1)], indexing="ij"), -1).reshape(-1, 2)
    length = np.linalg.norm(grid @ basis, axis=1)
    position = grid[np.argsort(length, kind="stable")[:BEAMS]]
    apart = (position[:, None] - position[None]).reshape(-1, 2)
    distinct, inverse = np.unique(apart, axis=0, return_inverse=True)
    u = potentials(structure_of(phase), distinct @ basis_hkl)[inverse.ravel()].reshape(2 * [len(position)])
    upper = (grid[:, 0] > 0) | ((grid[:, 0] == 0) & (grid[:, 1] > 0))
    points = grid[upper & (length < REACH)]
    code = {tuple(point): number for number, point in enumerate(points.tolist())}
    made = np.array([code.get(tuple(row), -1) for row in apart.tolist()])
    order = np.argsort(made, kind="stable")[(made < 0).sum() :]
    first, second = np.divmod(order, len(position))
    return Pattern(position, position @ basis, u, points, (first, second, made[order]))


def exit_waves(
    pattern: Pattern, voltage: float, tilt: tuple[float, float], thickness: np.ndarray
) -> np.ndarray:
    """Amplitudes of the beams below crystals, shape (thicknesses, beams); tilt in rad, thickness in nm."""
    relativistic = 1 + voltage / 511.0
    u = relativistic * pattern.potential
    k = 1 / Lens(voltage, 0, 0, 0, 0).wavelength
    matrix = u.copy()
    g2 = (pattern.g**2).sum(axis=1)
    np.fill_diagonal(matrix, -2 * k * (pattern.g @ np.array(tilt)) - g2)
    value, vector = np.linalg.eigh(matrix)
    absorbed = ABSORPTION * np.einsum("ij,ik,kj->j", vector.conj(), u, vector, optimize=True).real
    gamma = (value + 1j * absorbed) / (2 * k)
    moved = np.exp(2j * np.pi * gamma * thickness[:, None]) * vector[0].conj()
    return moved @ vector.T


def contrast(pattern: Pattern, waves: np.ndarray, lens: Lens) -> np.ndarray:
    """Amplitudes of the image's reflections relative to its mean, shape (..., points)."""
    first, second, point = pattern.pairs
    wavelength, g2 = lens.wavelength, (pattern.g**2).sum(axis=1)
    chi = np.pi * wavelength * (0.5 * lens.cs * wavelength**2 * g2**2 - lens.defocus * g2)
    slope = (lens.cs * wavelength**2 * g2 - lens.defocus)[:, None] * pattern.g
    temporal = 0.5 * (np.pi * wavelength * lens.spread * (g2[first] - g2[second])) ** 2
    spatial = (np.pi * lens.convergence) ** 2 * ((slope[first] - slope[second]) ** 2).sum(axis=1)
    through = waves * np.exp(-1j * chi)
    pairs = through[..., first] * through[..., second].conj() * np.exp(-temporal - spatial)
    starts = np.searchsorted(point, np.arange(len(pattern.points)))
    sums = np.add.reduceat(np.concatenate([pairs, np.zeros((*pairs.shape[:-1], 1))], -1), starts, axis=-1)
    sums = np.where(np.diff(np.append(starts, len(point))) > 0, sums, 0)
    return sums / (np.abs(waves) ** 2).sum(axis=-1, keepdims=True)


def drawn_tilt(rng: np.random.Generator) -> tuple[float, float]:
    """A tilt off the zone axis: 5 mrad (0.3 degrees) in each direction, one standard deviation."""
    x, y = rng.normal(0, 0.005, 2)
    return float(x), float(y)


def drawn_thickness(rng: np.random.Generator, number: int) -> np.ndarray:
    """Thicknesses of grains as one images them, 2 to 30 nm."""
    return np.exp(rng.uniform(np.log(2), np.log(30), number))


def ensemble(
    pattern: Pattern, lenses: list[Lens], rng: np.random.Generator, tilts: int, thicknesses: int
) -> np.ndarray:
    """ln of the power of each reflection, shape (lenses, tilts * thicknesses, points)."""
    rows = np.empty((len(lenses), tilts * thicknesses, len(pattern.points)))
    for voltage in sorted({lens.voltage for lens in lenses}):
        below = [
            exit_waves(pattern, voltage, drawn_tilt(rng), drawn_thickness(rng, thicknesses))
            for _ in range(tilts)
        ]
        for number, lens in enumerate(lenses):
            if lens.voltage == voltage:
                rows[number] = np.abs(contrast(pattern, np.concatenate(below), lens)) ** 2
    return np.log(np.maximum(rows, 1e-12))
