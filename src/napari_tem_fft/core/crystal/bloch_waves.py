"""Diffractograms of perfect crystals by Bloch waves: thickness, small tilts and the transfer of the lens.

The image is formed by interference of all pairs of beams (transmission cross-coefficients: focal spread and
convergence), so non-linear contrast and double diffraction are included. See Kirkland, Advanced Computing in
Electron Microscopy (2020), chapters 3 and 6.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .phase import reciprocal_basis
from .structure import Structure

#: Largest |g| of the image's reflections, 1/nm.
REACH = 1 / 0.115
#: Mean temperature factor B, nm^2, and absorption as a fraction of the potential.
DEBYE_WALLER, ABSORPTION = 0.006, 0.07
#: Potentials of crystals with a centre of inversion at the origin are real, except for rounding of this size.
REAL = 1e-9
#: Powers below this count as zero.
LEAST_POWER = 1e-12


@dataclass(frozen=True, slots=True)
class Lens:
    """Voltage (kV), Cs, defocus and focal spread (nm; positive defocus is underfocus), convergence (rad)."""

    voltage: float
    cs: float
    defocus: float
    spread: float
    convergence: float

    @property
    def wavelength(self) -> float:
        """Wavelength of the electrons, nm.

        >>> round(Lens(200.0, 0.0, 0.0, 0.0, 0.0).wavelength, 5)
        0.00251
        """
        energy = self.voltage * 1e3
        return 1.22643 / float(np.sqrt(energy * (1 + 0.978476e-6 * energy)))

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Lens:
        """Draw a microscope with or without a corrector, near Scherzer focus or up to three times as far."""
        voltage = float(rng.choice([200.0, 300.0]))
        wavelength = cls(voltage, 0, 0, 0, 0).wavelength
        corrected = rng.random() < 0.5
        cs = float(rng.uniform(0.002, 0.02) if corrected else rng.uniform(0.5, 1.2)) * 1e6
        focus = float(rng.uniform(-1, 3) if corrected else rng.uniform(0.5, 3)) * np.sqrt(cs * wavelength)
        spread = float(rng.uniform(2, 4) if corrected else rng.uniform(3, 6))
        return cls(voltage, cs, float(focus), spread, float(rng.uniform(1e-4, 4e-4)))


@dataclass(frozen=True, slots=True, eq=False)
class BeamPattern:
    """The beams of a zone axis, and the reflections of the image that result from pairs of them.

    Attributes
    ----------
    g : ndarray, shape (beams, 2), 1/nm
        The direct beam comes first.
    potential : ndarray, shape (beams, beams), 1/nm^2
        U of the difference of two beams, without the relativistic factor; real if the crystal's U is.
    points : ndarray of int, shape (points, 2)
        Indices of the image's reflections in the pattern's basis, one of each Friedel pair.
    pairs : tuple of ndarray
        First and second beam of each pair, and the reflection that it contributes to, sorted by reflection.
    """

    g: NDArray[np.float64]
    potential: NDArray[Any]
    points: NDArray[np.int64]
    pairs: tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]


def beam_pattern(
    structure: Structure, basis_hkl: NDArray[np.int64], basis: NDArray[np.float64], beams: int
) -> BeamPattern:
    """Beams of a zone: integer combinations of two basis reflections.

    Parameters
    ----------
    structure : Structure
    basis_hkl : ndarray of int, shape (2, 3)
        Indices of the two basis reflections.
    basis : ndarray, shape (2, 2), 1/nm
        Their positions.
    beams : int
        Number of beams: those of smallest |g|.
    """
    reach = int(np.ceil(3 * REACH / np.sqrt(np.linalg.eigvalsh(basis @ basis.T)[0])))
    grid = np.stack(np.meshgrid(*2 * [np.arange(-reach, reach + 1)], indexing="ij"), -1).reshape(-1, 2)
    length = np.linalg.norm(grid @ basis, axis=1)
    position = grid[np.argsort(length, kind="stable")[:beams]]
    apart = (position[:, None] - position[None]).reshape(-1, 2)
    one_number = np.array([4 * reach + 3, 1])  # of the two of a difference, which are below half of the first
    code, inverse = np.unique(apart @ one_number, return_inverse=True)
    row = np.rint(code / one_number[0]).astype(np.int64)
    distinct = np.stack([row, code - row * one_number[0]], axis=1)
    u: NDArray[Any] = potentials(structure, distinct @ basis_hkl)
    if np.abs(u.imag).max() < REAL * np.abs(u).max():
        u = u.real  # at least halves the time for the eigenvalues
    u = u[inverse].reshape(2 * [len(position)])
    upper = (grid[:, 0] > 0) | ((grid[:, 0] == 0) & (grid[:, 1] > 0))
    points = grid[upper & (length < REACH)]
    place = np.searchsorted(code, points @ one_number)
    is_made = code[np.minimum(place, len(code) - 1)] == points @ one_number
    number = np.full(len(code), -1)
    number[place[is_made]] = np.flatnonzero(is_made)
    made = number[inverse]
    order = np.argsort(made, kind="stable")[(made < 0).sum() :]
    first, second = np.divmod(order, len(position))
    return BeamPattern(position @ basis, u, points, (first, second, made[order]))


def potentials(structure: Structure, hkl: NDArray[np.int64]) -> NDArray[np.complex128]:
    """U of reflections, 1/nm^2, without the relativistic factor."""
    s2 = (np.linalg.norm(hkl @ reciprocal_basis(structure.cell), axis=1) / 20.0) ** 2
    a, b = structure.factors[:, 0, :, None], structure.factors[:, 1, :, None]
    factor = (a * np.exp(-b * s2)).sum(axis=1)[structure.element] * structure.occupancy[:, None]
    total = (factor * np.exp(2j * np.pi * (structure.sites @ hkl.T))).sum(axis=0)
    volume = 1e3 / abs(np.linalg.det(reciprocal_basis(structure.cell)))  # Angstrom^3
    u: NDArray[np.complex128] = 100 * total * np.exp(-100 * DEBYE_WALLER * s2) / (np.pi * volume)
    return u


def exit_waves(
    pattern: BeamPattern, voltage: float, tilt: Sequence[float], thickness: NDArray[np.float64]
) -> NDArray[np.complex128]:
    """Amplitudes of the beams at exit faces, shape (thicknesses, beams); tilt in rad, thickness in nm.

    The eigenvalues are computed in the precision of the pattern's potential.
    """
    matrix: NDArray[Any] = (1 + voltage / 511.0) * pattern.potential
    mean = float(matrix[0, 0].real)
    k = 1 / Lens(voltage, 0, 0, 0, 0).wavelength
    excitation = -2 * k * (pattern.g @ np.array(tilt)) - (pattern.g**2).sum(axis=1)
    np.fill_diagonal(matrix, excitation)
    value, vector = np.linalg.eigh(matrix)
    absorbed = ABSORPTION * (value - excitation @ np.abs(vector) ** 2 + mean)
    gamma = (value + 1j * absorbed) / (2 * k)
    moved = np.exp(2j * np.pi * gamma * thickness[:, None]) * vector[0].conj()
    waves: NDArray[np.complex128] = moved @ vector.T
    return waves


def log_powers(
    pattern: BeamPattern, waves: NDArray[np.complexfloating[Any]], lenses: Sequence[Lens]
) -> NDArray[Any]:
    """ln of the power of the image's reflections relative to its mean, shape (lenses, waves, points).

    Parameters
    ----------
    pattern : BeamPattern
    waves : ndarray of complex, shape (waves, beams)
    lenses : sequence of Lens
        All with the voltage for which the waves were computed.
    """
    first, second, point = pattern.pairs
    pairs = np.bincount(point, minlength=len(pattern.points))
    place = point, np.arange(len(point)) - np.repeat(np.cumsum(pairs) - pairs, pairs)
    most = int(pairs.max(initial=0))
    products = np.zeros((len(pattern.points), most, len(waves)), waves.dtype)
    products[place] = (waves[:, first] * waves[:, second].conj()).T
    transfer = np.zeros((len(pattern.points), most, len(lenses)), waves.dtype)
    transfer[place] = _transfer(pattern, lenses).T
    sums = transfer.transpose(0, 2, 1) @ products  # over the pairs that contribute to the same reflection
    power = np.abs(sums / (np.abs(waves) ** 2).sum(axis=-1)) ** 2
    result: NDArray[Any] = np.log(np.maximum(power, LEAST_POWER)).transpose(1, 2, 0)
    return result


def _transfer(pattern: BeamPattern, lenses: Sequence[Lens]) -> NDArray[np.complex128]:
    """Transmission cross-coefficients of the lenses for all pairs of beams, shape (lenses, pairs)."""
    first, second, _ = pattern.pairs
    wavelength, g2 = lenses[0].wavelength, (pattern.g**2).sum(axis=1)
    cs, defocus, spread, convergence = np.array(
        [(lens.cs, lens.defocus, lens.spread, lens.convergence) for lens in lenses]
    ).T[..., None]
    wave = np.exp(1j * np.pi * wavelength * (0.5 * cs * wavelength**2 * g2**2 - defocus * g2))
    slope = cs * wavelength**2 * g2 - defocus
    y, x = (slope[:, first] * along[first] - slope[:, second] * along[second] for along in pattern.g.T)
    temporal = 0.5 * (np.pi * wavelength * spread * (g2[first] - g2[second])) ** 2
    spatial = (np.pi * convergence) ** 2 * (y**2 + x**2)
    result: NDArray[np.complex128] = wave[:, second] * wave[:, first].conj() * np.exp(-temporal - spatial)
    return result
