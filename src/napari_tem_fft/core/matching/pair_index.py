"""Index of all pairs of reflections of all zone patterns, sorted for fast lookup of pairs of spots."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..crystal.phase import Phase
from ..crystal.structure import LatticePlanes, ListedPlanes, planes_of
from .zone_patterns import (
    FLOORS,
    NODES,
    PATTERN_D,
    STARTERS,
    THRESHOLDS,
    ZonePattern,
    up_to_nodes,
    zone_patterns,
)

#: Part of every key; to be increased when the meaning of the arrays changes.
VERSION = f"index-7 {PATTERN_D} {STARTERS} {THRESHOLDS.tolist()} {FLOORS}"
#: A direction counts as the stacking direction of layers if the cosine between the two is above this.
FLAT = 0.9986
#: Pairs this close to a right angle, degrees, are listed with both signs.
RIGHT_ANGLE_MARGIN = 5.0
_PHASE_SHIFT = 27
_CODE = np.array([1 << 18, 1 << 9, 1], np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class PhaseIndex:
    """Patterns and pairs of a set of phases, as arrays.

    Attributes
    ----------
    plane_code, plane_f : ndarray, shape (planes,)
        Code of each allowed (hkl), which includes the number of the lattice (sorted), and relative |F|.
    zone_phase, zone_multiplicity, zone_orientations : ndarray of int, shape (zones,)
    zone_uvw : ndarray of int, shape (zones, 3)
    zone_basis : ndarray, shape (zones, 2, 2), 1/nm
    zone_hkl : ndarray of int, shape (zones, 2, 3)
    zone_flat : ndarray of bool, shape (zones,)
        Whether the phase is layered and seen along its stacking direction.
    zone_lattice, zone_variant : ndarray of int, shape (zones,)
        The lattice of the zone, and the reference of the phase it belongs to (see `Phase.variants`).
    zone_share : ndarray, shape (zones,)
        Prior probability that one of the phase's zones in the index is seen.
    zone_weight : ndarray, shape (zones, nodes)
        Sum of the visibilities of the pattern's reflections up to each node.
    zone_non_detection : ndarray, shape (zones, nodes, floors, thresholds)
        -ln of the probability that no point of the pattern up to each node is seen.
    pair_ratio, pair_angle, pair_g : ndarray, shape (pairs,)
        ln(g2 / g1) >= 0 (sorted), angle between the two in degrees, ln g1.
    pair_zone : ndarray of int, shape (pairs,)
    pair_positions : ndarray of int, shape (pairs, 2, 2)
        Coordinates of the two reflections in the basis of the zone.
    key : str
        `index_key` of the phases.
    phases : tuple of Phase
        Those to which `zone_phase` refers.
    """

    plane_code: NDArray[np.int64]
    plane_f: NDArray[np.float32]
    zone_phase: NDArray[np.int32]
    zone_multiplicity: NDArray[np.int32]
    zone_orientations: NDArray[np.int32]
    zone_uvw: NDArray[np.int16]
    zone_basis: NDArray[np.float64]
    zone_hkl: NDArray[np.int16]
    zone_lattice: NDArray[np.int32]
    zone_variant: NDArray[np.int16]
    zone_flat: NDArray[np.bool_]
    zone_share: NDArray[np.float32]
    zone_weight: NDArray[np.float32]
    zone_non_detection: NDArray[np.float32]
    pair_ratio: NDArray[np.float64]
    pair_angle: NDArray[np.float32]
    pair_g: NDArray[np.float32]
    pair_zone: NDArray[np.int32]
    pair_positions: NDArray[np.int16]
    key: str
    phases: tuple[Phase, ...]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All arrays by name, for storing."""
        return {name: getattr(self, name) for name in _EMPTY}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], key: str, phases: Sequence[Phase]) -> PhaseIndex:
        """Build the index of phases from `arrays`."""
        return cls(**{name: arrays[name] for name in _EMPTY}, key=key, phases=tuple(phases))

    def planes(self, zone: int) -> LatticePlanes | ListedPlanes | None:
        """Return the lattice planes of the phase, or of its reference, to which a zone belongs."""
        return planes_of(self.phases[self.zone_phase[zone]].variants[self.zone_variant[zone]])

    def relative_f(self, zone: NDArray[np.int32], position: NDArray[np.int64]) -> NDArray[np.float32]:
        """Relative |F| of points of the zones' lattices; 0 where forbidden.

        Parameters
        ----------
        zone : ndarray of int, shape (n,)
        position : ndarray of int, shape (n, points, 2)
            The result is valid only for points whose (hkl) are all below 256.
        """
        # a code is linear in (hkl)
        origin = _plane_code(self.zone_lattice[zone], np.zeros(3, np.int64))
        first, second = (self.zone_hkl[zone].astype(np.int64) @ _CODE).T[..., None]
        code = origin[:, None] + first * position[..., 0] + second * position[..., 1]
        found = np.minimum(np.searchsorted(self.plane_code, code), len(self.plane_code) - 1)
        return np.where(self.plane_code[found] == code, self.plane_f[found], np.float32(0))


def index_key(phases: Sequence[Phase]) -> str:
    """Hash of everything that the index of these phases depends on, including their order."""
    digest = hashlib.sha256(VERSION.encode())
    for phase in phases:
        for variant in phase.variants:
            planes = planes_of(variant)
            digest.update(b"d only" if planes is None else planes.key.encode())
        digest.update(b"references %d" % len(phase.references) if phase.references else b"")
        digest.update(b"layered" if phase.is_layered else b"")
    return digest.hexdigest()


def build_index(phases: Sequence[Phase]) -> PhaseIndex:
    """Build the index; phases that are only a list of d-spacings have no pairs."""
    lattices = [
        (n, variant, planes_of(one))
        for n, phase in enumerate(phases)
        for variant, one in enumerate(phase.variants)
    ]
    blocks = []
    for number, variant, planes in lattices:
        if planes is not None:
            block = dict(_block(_Lattice(planes.key, planes)))
            zones = len(block["zone_uvw"])
            block["zone_phase"] = np.full(zones, number, np.int32)
            block["zone_lattice"] = np.zeros(zones, np.int32)
            block["zone_variant"] = np.full(zones, variant, np.int16)
            block["zone_flat"] = block["zone_flat"] & phases[number].is_layered
            blocks.append(block)
    return _joined(blocks, [1] * len(blocks), phases)


def join_indices(parts: Sequence[PhaseIndex], phases: Sequence[Phase]) -> PhaseIndex:
    """Join several indices; the numbers of their phases and variants are kept.

    Parameters
    ----------
    parts : sequence of PhaseIndex
    phases : sequence of Phase
        Those to which the numbers refer.
    """
    lattices = [int(part.zone_lattice.max(initial=-1)) + 1 for part in parts]
    return _joined([part.arrays() for part in parts], lattices, phases)


def _joined(
    blocks: Sequence[Mapping[str, NDArray[Any]]], lattices: Sequence[int], phases: Sequence[Phase]
) -> PhaseIndex:
    """Join the sorted blocks of lattices."""
    zones = np.cumsum([0, *(len(block["zone_uvw"]) for block in blocks)])
    first_lattice = np.cumsum([0, *lattices])
    moved = []
    for block, zone, lattice in zip(blocks, zones, first_lattice, strict=False):
        own = {
            "plane_code": block["plane_code"] + (int(lattice) << _PHASE_SHIFT),
            "zone_lattice": block["zone_lattice"] + lattice,
            "pair_zone": block["pair_zone"] + zone,
        }
        moved.append({**block, **own})
    joined = {
        name: np.concatenate([empty, *(block[name] for block in moved)]).astype(empty.dtype)
        for name, empty in _EMPTY.items()
    }
    for part, by in (("plane_", "plane_code"), ("pair_", "pair_ratio")):
        order = np.argsort(joined[by], kind="stable")
        joined |= {name: array[order] for name, array in joined.items() if name.startswith(part)}
    return PhaseIndex.from_arrays(joined, index_key(phases), phases)


_EMPTY: dict[str, NDArray[Any]] = {
    "plane_code": np.zeros(0, np.int64),
    "plane_f": np.zeros(0, np.float32),
    "zone_phase": np.zeros(0, np.int32),
    "zone_multiplicity": np.zeros(0, np.int32),
    "zone_orientations": np.zeros(0, np.int32),
    "zone_uvw": np.zeros((0, 3), np.int16),
    "zone_basis": np.zeros((0, 2, 2)),
    "zone_hkl": np.zeros((0, 2, 3), np.int16),
    "zone_lattice": np.zeros(0, np.int32),
    "zone_variant": np.zeros(0, np.int16),
    "zone_flat": np.zeros(0, bool),
    "zone_share": np.zeros(0, np.float32),
    "zone_weight": np.zeros((0, len(NODES)), np.float32),
    "zone_non_detection": np.zeros((0, len(NODES), len(FLOORS), len(THRESHOLDS)), np.float32),
    "pair_ratio": np.zeros(0),
    "pair_angle": np.zeros(0, np.float32),
    "pair_g": np.zeros(0, np.float32),
    "pair_zone": np.zeros(0, np.int32),
    "pair_positions": np.zeros((0, 2, 2), np.int16),
}


@dataclass(frozen=True, slots=True)
class _Lattice:
    """Lattice planes that compare by their key."""

    key: str
    planes: LatticePlanes | ListedPlanes = field(compare=False)


@lru_cache(maxsize=400)
def _block(lattice: _Lattice) -> Mapping[str, NDArray[Any]]:
    """The arrays of a single phase."""
    patterns = zone_patterns(lattice.planes)
    share = {"zone_share": np.full(len(patterns), lattice.planes.zone_share, np.float32)}
    return _planes(lattice.planes) | _zones(patterns, lattice.planes.direct) | share | _pairs(patterns)


def _plane_code(phase: NDArray[np.int32] | int, hkl: NDArray[np.int64]) -> NDArray[np.int64]:
    """A unique integer for each (hkl) of each phase."""
    bounded = np.clip(hkl, -255, 255) + 256
    code: NDArray[np.int64] = bounded @ _CODE
    return code + (np.asarray(phase, np.int64) << _PHASE_SHIFT)


def _planes(lattice: LatticePlanes | ListedPlanes) -> dict[str, NDArray[Any]]:
    planes = lattice.arrays
    return {
        "plane_code": _plane_code(0, planes.hkl),
        "plane_f": planes.relative_f,
    }


def _zones(patterns: list[ZonePattern], direct: NDArray[np.float64]) -> dict[str, NDArray[Any]]:
    along = np.array([p.uvw for p in patterns], float).reshape(-1, 3) @ direct
    stacking = np.cross(direct[0], direct[1])
    cosine = np.abs(along @ stacking) / (np.linalg.norm(along, axis=1) * np.linalg.norm(stacking))
    sums = [up_to_nodes(p.visibility, np.linalg.norm(p.position @ p.basis, axis=1)) for p in patterns]
    return {
        "zone_multiplicity": np.array([p.multiplicity for p in patterns], np.int32),
        "zone_orientations": np.array([p.orientations for p in patterns], np.int32),
        "zone_uvw": np.array([p.uvw for p in patterns], np.int16).reshape(-1, 3),
        "zone_basis": np.array([p.basis for p in patterns], float).reshape(-1, 2, 2),
        "zone_hkl": np.array([p.basis_hkl for p in patterns], np.int16).reshape(-1, 2, 3),
        "zone_flat": cosine > FLAT,
        "zone_weight": np.array(sums, np.float32).reshape(-1, len(NODES)),
        "zone_non_detection": np.array([p.non_detection_log_prob for p in patterns], np.float32).reshape(
            -1, len(NODES), len(FLOORS), len(THRESHOLDS)
        ),
    }


def _pairs(patterns: list[ZonePattern]) -> dict[str, NDArray[Any]]:
    parts = [_pattern_pairs(pattern) for pattern in patterns]
    if not parts:
        return {name: empty for name, empty in _EMPTY.items() if name.startswith("pair_")}
    return {
        "pair_ratio": np.concatenate([part[0] for part in parts]),
        "pair_angle": np.concatenate([part[1] for part in parts]),
        "pair_g": np.concatenate([part[2] for part in parts]),
        "pair_zone": np.repeat(np.arange(len(parts)), [len(part[0]) for part in parts]),
        "pair_positions": np.concatenate([part[3] for part in parts]),
    }


def _pattern_pairs(
    pattern: ZonePattern,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """ln ratio, angle, ln g1 and positions of the pairs of one pattern, without equivalent pairs."""
    starters = np.argsort(-pattern.visibility, kind="stable")[:STARTERS]
    position, family = pattern.position[starters], pattern.family[starters]
    g = position @ pattern.basis
    length = np.linalg.norm(g, axis=1)
    i, j = (index.ravel() for index in np.indices((len(g), len(g))))
    cosine = (g[i] * g[j]).sum(axis=1) / (length[i] * length[j])
    keep = (length[j] >= length[i] * (1 - 1e-6)) & (np.abs(cosine) < 0.9995) & (i != j)
    i, j, cosine = i[keep], j[keep], cosine[keep]
    angle = np.degrees(np.arccos(np.abs(cosine)))
    sign = np.where(cosine < 0, -1, 1)
    i, j, angle, sign = _with_obtuse(i, j, angle, sign)
    ratio = np.maximum(np.log(length[j] / length[i]), 0.0)
    # one number that encodes both families and the angle to 0.02 degrees
    label = (
        (family[i].astype(np.int64) << 40)
        + (family[j].astype(np.int64) << 20)
        + np.rint(angle * 50).astype(np.int64)
    )
    first = np.unique(label, return_index=True)[1]
    pairs = np.stack([position[i], position[j] * sign[:, None]], axis=1)
    return ratio[first], angle[first], np.log(length[i])[first], pairs[first]


def _with_obtuse(
    i: NDArray[np.intp], j: NDArray[np.intp], angle: NDArray[np.float64], sign: NDArray[np.int64]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64], NDArray[np.int64]]:
    """Repeat pairs near a right angle with the sign of the second reflection reversed."""
    near = angle > 90.0 - RIGHT_ANGLE_MARGIN
    return (
        np.concatenate([i, i[near]]),
        np.concatenate([j, j[near]]),
        np.concatenate([angle, 180.0 - angle[near]]),
        np.concatenate([sign, -sign[near]]),
    )
