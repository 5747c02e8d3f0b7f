"""Null models: the spots of a grain are all spurious, or belong to a lattice that is not in the table.

The unlisted lattice is either a common kind (face-centred, body-centred, primitive cubic, diamond, hexagonal
close-packed) of any size, or any other lattice: two spots are its free basis, and the others are integer
combinations of them. An unlisted cubic phase is therefore not mistaken for a listed one only because all
cubic crystals share their angles.
"""

from __future__ import annotations

from functools import cache, lru_cache

import gemmi
import numpy as np
from numpy.typing import NDArray

from ..crystal.phase import Phase
from ..crystal.structure import LatticePlanes, Structure
from .evidence import Expected, expected_patterns, flat_evidence, promising, visible_area, weigh_shape
from .geometry import GeometryPrior, ScalePrior
from .observations import Observed
from .pair_index import PhaseIndex, build_index
from .placement import FAR, GATE, inverse, propose, spot_pairs
from .zone_patterns import damping

#: Share of unlisted phases that have a common kind of lattice.
#: No record says on what it was set. Sweep: halved, belief 0.73 -> 0.74; doubled, fails.
COMMON = 0.6
#: Sizes of the common kinds, and the range of ln(size) around each that an unlisted phase can have.
#: No record says on what SIZES was set. Sweep of SIZES: halved, nothing; doubled, belief 0.73 -> 0.75.
SIZES, SIZE_RANGE = (0.74, 1.35), 0.6
#: Standard deviation of ln(size) that stands for a free size.
ANY_SIZE = 10.0
#: An unlisted lattice can be primitive or centred with respect to its two basis vectors.
_CENTRINGS = (((1, 0), (0, 1)), ((2, 0), (0, 1)), ((1, 0), (0, 2)), ((1, 1), (1, -1)))


def unlisted_evidence(observed: Observed) -> NDArray[np.float64]:
    """ln evidence of an unlisted lattice for each grain, relative to "all spurious"."""
    common = _common_kinds(observed) + np.log(COMMON)
    either: NDArray[np.float64] = np.logaddexp(common, _any_lattice(observed) + np.log(1 - COMMON))
    return either


def _common_kinds(observed: Observed) -> NDArray[np.float64]:
    """ln evidence of a common kind of lattice of unknown size."""
    index = common_kinds()
    hypotheses = propose(observed, index, 0.0, 0.5 * SIZE_RANGE / GATE)
    before = _expected_of_common_kinds(observed.band)
    any_size = GeometryPrior(ScalePrior(0.0, ANY_SIZE), observed.distortion)
    hypotheses = hypotheses.rows(promising(hypotheses, observed, before, any_size.scale))
    log_evidence = weigh_shape(hypotheses, observed, index, before)
    log_evidence = hypotheses.likelihoods(log_evidence).marginal(any_size.mean, any_size.precision)
    log_evidence += np.log(np.sqrt(2 * np.pi) * ANY_SIZE / SIZE_RANGE)
    total = np.full(len(observed.valid), -np.inf)
    np.logaddexp.at(total, hypotheses.grain, log_evidence - np.log(len(common_phases())))
    return total


_THIRD = (1 / 3, 2 / 3, 0.5)
#: Lattice parameter a (nm), axial ratio and atoms of each kind.
_KINDS: dict[str, tuple[float, float, tuple[tuple[float, float, float], ...]]] = {
    "face-centred": (0.42, 1.0, ((0, 0, 0), (0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5))),
    "body-centred": (0.34, 1.0, ((0, 0, 0), (0.5, 0.5, 0.5))),
    "primitive": (0.40, 1.0, ((0, 0, 0),)),
    "diamond": (
        0.55,
        1.0,
        tuple(
            (x + s, y + s, z + s)
            for s in (0, 0.25)
            for x, y, z in ((0, 0, 0), (0.5, 0.5, 0), (0.5, 0, 0.5), (0, 0.5, 0.5))
        ),
    ),
    "close-packed": (0.29, 1.62, ((0, 0, 0), _THIRD)),
}


@cache
def common_kinds() -> PhaseIndex:
    """Build the index of the common kinds of lattices."""
    return build_index(common_phases())


@lru_cache(maxsize=8)
def _expected_of_common_kinds(band: tuple[float, float]) -> Expected:
    return expected_patterns(common_kinds(), band)


@cache
def common_phases() -> tuple[Phase, ...]:
    """Make a phase for each common kind of lattice and each size."""
    return tuple(
        _kind(name, size * a, ratio, sites) for name, (a, ratio, sites) in _KINDS.items() for size in SIZES
    )


def _kind(name: str, a: float, ratio: float, sites: tuple[tuple[float, float, float], ...]) -> Phase:
    hexagonal = name == "close-packed"
    cell = (a, a, a * ratio, 90.0, 90.0, 120.0 if hexagonal else 90.0)
    structure = Structure(
        cell,
        np.array(sites),
        np.ones(len(sites)),
        np.zeros(len(sites), np.intp),
        np.array([[[1.0, 0, 0, 0, 0], [0.5, 1, 1, 1, 1]]]),
        _rotations_of("P 6 2 2" if hexagonal else "P 4 3 2"),
    )
    return Phase(name, name, "", frozenset(), "", cell, LatticePlanes(structure))


def _rotations_of(group: str) -> NDArray[np.int64]:
    """The rotations of a space group, shape (n, 3, 3)."""
    operations = gemmi.SpaceGroup(group).operations().sym_ops
    return np.array([one.rot for one in operations], np.int64) // gemmi.Op.DEN


def _any_lattice(observed: Observed) -> NDArray[np.float64]:
    """ln evidence of the two-dimensional lattices that pairs of spots generate.

    All bases of a lattice contribute, because any two of its points could be the random basis vectors.
    """
    grain, i, j = spot_pairs(observed)
    basis = np.stack([observed.g[grain, i], observed.g[grain, j]], axis=1)
    finer = np.concatenate([np.linalg.inv(np.array(centring, float)) @ basis for centring in _CENTRINGS])
    of_grain = np.tile(grain, len(_CENTRINGS))
    evidence = _lattice_evidence(observed, of_grain, finer)
    total = np.full(len(observed.valid), -np.inf)
    np.logaddexp.at(total, of_grain, evidence - np.log(len(_CENTRINGS)))
    return total


def _lattice_evidence(
    observed: Observed, grain: NDArray[np.intp], basis: NDArray[np.float64]
) -> NDArray[np.float64]:
    """ln evidence of lattices near a given basis, shape (n,).

    Parameters
    ----------
    observed : Observed
    grain : ndarray of int, shape (n,)
    basis : ndarray, shape (n, 2, 2), 1/nm
        Start of the fit to all spots near its lattice; the prior of both vectors is flat.
    """
    basis, log_volume = _fitted_basis(observed, grain, basis)
    chi2, log_density = _around_points(observed, grain, basis)
    like_any = np.ones(chi2.shape, bool)
    return flat_evidence(like_any, log_density, chi2, observed, grain, basis) + log_volume


def _fitted_basis(
    observed: Observed, grain: NDArray[np.intp], basis: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fit the basis to the spots near its lattice by least squares; ln of the share of bases that fit."""
    g, length = observed.g[grain], np.exp(observed.log_length[grain])
    variance = length**2 * observed.length_error[grain] * observed.angle_error[grain]
    for _ in range(2):
        position = np.rint(g @ inverse(basis))
        apart = ((g - position @ basis) ** 2).sum(axis=-1)
        near = observed.valid[grain] & (apart < (2 * FAR) ** 2 * variance) & position.any(axis=-1)
        weighted = position * (near * observed.weight[grain] / variance)[..., None]
        covariance = inverse(np.einsum("nia,nib->nab", weighted, position) + 1e-3 * np.eye(2))
        basis = covariance @ np.einsum("nia,nib->nab", weighted, g)
    area = visible_area(observed.band)
    anywhere = np.log(damping(np.linalg.norm(basis, axis=-1)) / area).sum(axis=1)
    return basis, anywhere + np.log((2 * np.pi) ** 2 * np.linalg.det(covariance))


def _around_points(
    observed: Observed, grain: NDArray[np.intp], basis: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Squared distance of each spot from the nearest point in units of its errors, and ln density, nm^2."""
    g, length = observed.g[grain], np.exp(observed.log_length[grain])
    apart = g - np.rint(g @ inverse(basis)) @ basis
    radial = (apart * g).sum(axis=-1) / length
    across = (apart[..., 0] * g[..., 1] - apart[..., 1] * g[..., 0]) / length
    radial_error = observed.length_error[grain] * length
    across_error = observed.angle_error[grain] * length
    chi2 = (radial / radial_error) ** 2 + (across / across_error) ** 2
    return chi2, -0.5 * chi2 - np.log(2 * np.pi * radial_error * across_error)
