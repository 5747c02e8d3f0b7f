"""PhaseIndex: every pair of reflections of every pattern, sorted so that a pair of spots is found at once."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from ..phases import Phase
from ..structure import LatticePlanes
from .zones import PATTERN_D, PATTERN_F, STARTERS, ZonePattern, zone_patterns

#: Part of every key: raise it when the meaning of the arrays changes.
VERSION = f"index-1 {PATTERN_D} {PATTERN_F} {STARTERS}"
#: Pairs this close to a right angle are listed with both signs, degrees.
RIGHT_ANGLE_MARGIN = 5.0
_KEPT = 8


@dataclass(frozen=True, slots=True, eq=False)
class PhaseIndex:
    """Patterns and pairs of a set of phases, as arrays.

    Attributes
    ----------
    plane_code, plane_f, plane_family : ndarray, shape (planes,)
        Every allowed (hkl) of every phase: its code with the phase's number (sorted), relative \\|F\\|,
        family.
    zone_phase, zone_multiplicity, zone_orientations : ndarray of int, shape (zones,)
    zone_uvw : ndarray of int, shape (zones, 3)
    zone_basis : ndarray, shape (zones, 2, 2), 1/nm
    zone_hkl : ndarray of int, shape (zones, 2, 3)
    zone_weight : ndarray, shape (zones,)
        Sum of the visibilities of the pattern's reflections.
    pair_ratio, pair_angle, pair_g : ndarray, shape (pairs,)
        ln(g2 / g1) >= 0 (sorted), angle between the two in degrees, ln g1.
    pair_zone : ndarray of int, shape (pairs,)
    pair_positions : ndarray of int, shape (pairs, 2, 2)
        The two reflections on their zone's basis.
    """

    plane_code: NDArray[np.int64]
    plane_f: NDArray[np.float32]
    plane_family: NDArray[np.int32]
    zone_phase: NDArray[np.int32]
    zone_multiplicity: NDArray[np.int32]
    zone_orientations: NDArray[np.int32]
    zone_uvw: NDArray[np.int16]
    zone_basis: NDArray[np.float64]
    zone_hkl: NDArray[np.int16]
    zone_weight: NDArray[np.float64]
    pair_ratio: NDArray[np.float64]
    pair_angle: NDArray[np.float32]
    pair_g: NDArray[np.float32]
    pair_zone: NDArray[np.int32]
    pair_positions: NDArray[np.int16]

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """All arrays by name, for storing."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]]) -> PhaseIndex:
        """The index from `arrays`."""
        return cls(**{field.name: arrays[field.name] for field in fields(cls)})  # type: ignore[arg-type]

    def planes(
        self, phase: NDArray[np.int32], hkl: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Relative \\|F\\| and family of (hkl) of a phase, shapes as `phase`; 0 and -1 where forbidden."""
        code = _plane_code(phase, hkl)
        found = np.minimum(np.searchsorted(self.plane_code, code), len(self.plane_code) - 1)
        hit = self.plane_code[found] == code
        return np.where(hit, self.plane_f[found], 0.0), np.where(hit, self.plane_family[found], -1)


def index_key(phases: Sequence[Phase]) -> str:
    """Hash of everything that the index of these phases depends on, their order included."""
    digest = hashlib.sha256(VERSION.encode())
    for phase in phases:
        digest.update(_lattice(phase).structure.key().encode() if _has_lattice(phase) else b"d only")
    return digest.hexdigest()


def index_of(phases: Sequence[Phase]) -> PhaseIndex:
    """The index of these phases: remembered, or built now."""
    key = index_key(phases)
    if key not in _memory:
        remember(key, build_index(phases))
    _memory.move_to_end(key)
    return _memory[key]


def remember(key: str, index: PhaseIndex) -> None:
    """Keep an index for `index_of` (the few last used ones are kept)."""
    _memory[key] = index
    while len(_memory) > _KEPT:
        _memory.popitem(last=False)


def is_remembered(key: str) -> bool:
    """Whether `index_of` would find an index instead of building it."""
    return key in _memory


_memory: OrderedDict[str, PhaseIndex] = OrderedDict()


def build_index(phases: Sequence[Phase]) -> PhaseIndex:
    """Build the index; phases known by a list of d-spacings only have no pairs."""
    zones = [
        (number, pattern)
        for number, phase in enumerate(phases)
        if _has_lattice(phase)
        for pattern in zone_patterns(_lattice(phase))
    ]
    return PhaseIndex(**_planes(phases), **_zones(zones), **_pairs([pattern for _, pattern in zones]))


def _has_lattice(phase: Phase) -> bool:
    return isinstance(phase.reflections, LatticePlanes)


def _lattice(phase: Phase) -> LatticePlanes:
    if not isinstance(phase.reflections, LatticePlanes):
        raise TypeError(f"{phase.id} is known by a list of d-spacings only")
    return phase.reflections


def _plane_code(phase: NDArray[np.int32] | int, hkl: NDArray[np.int64]) -> NDArray[np.int64]:
    h, k, l = (np.clip(hkl[..., i], -255, 255) + 256 for i in range(3))
    code: NDArray[np.int64] = ((np.asarray(phase, np.int64) * 512 + h) * 512 + k) * 512 + l
    return code


def _planes(phases: Sequence[Phase]) -> dict[str, NDArray[np.generic]]:
    lattices = [(n, _lattice(phase).arrays) for n, phase in enumerate(phases) if _has_lattice(phase)]
    codes = _joined([_plane_code(n, planes.hkl) for n, planes in lattices], np.int64)
    order = np.argsort(codes)
    return {
        "plane_code": codes[order],
        "plane_f": _joined([planes.relative_f for _, planes in lattices], np.float32)[order],
        "plane_family": _joined([planes.family for _, planes in lattices], np.int32)[order],
    }


def _zones(zones: list[tuple[int, ZonePattern]]) -> dict[str, NDArray[np.generic]]:
    patterns = [pattern for _, pattern in zones]
    return {
        "zone_phase": np.array([number for number, _ in zones], np.int32),
        "zone_multiplicity": np.array([p.multiplicity for p in patterns], np.int32),
        "zone_orientations": np.array([p.orientations for p in patterns], np.int32),
        "zone_uvw": np.array([p.uvw for p in patterns], np.int16).reshape(-1, 3),
        "zone_basis": np.array([p.basis for p in patterns], float).reshape(-1, 2, 2),
        "zone_hkl": np.array([p.basis_hkl for p in patterns], np.int16).reshape(-1, 2, 3),
        "zone_weight": np.array([p.visibility.sum() for p in patterns], float),
    }


def _pairs(patterns: list[ZonePattern]) -> dict[str, NDArray[np.generic]]:
    parts = [_pattern_pairs(pattern) for pattern in patterns]
    ratio = _joined([part[0] for part in parts], np.float64)
    order = np.argsort(ratio, kind="stable")
    zone = np.repeat(np.arange(len(parts)), [len(part[0]) for part in parts])
    positions = [part[3] for part in parts] or [np.zeros((0, 2, 2))]
    return {
        "pair_ratio": ratio[order],
        "pair_angle": _joined([part[1] for part in parts], np.float32)[order],
        "pair_g": _joined([part[2] for part in parts], np.float32)[order],
        "pair_zone": zone[order].astype(np.int32),
        "pair_positions": np.concatenate(positions)[order].astype(np.int16),
    }


def _pattern_pairs(
    pattern: ZonePattern,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """ln ratio, angle, ln g1 and positions of the pairs of one pattern, equivalent ones once."""
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
    label = np.stack([family[i], family[j], np.rint(angle * 50).astype(np.int64)], axis=1)
    first = np.unique(label, axis=0, return_index=True)[1]
    pairs = np.stack([position[i], position[j] * sign[:, None]], axis=1)
    return ratio[first], angle[first], np.log(length[i])[first], pairs[first]


def _with_obtuse(
    i: NDArray[np.intp], j: NDArray[np.intp], angle: NDArray[np.float64], sign: NDArray[np.int64]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64], NDArray[np.int64]]:
    """Pairs near a right angle again with the second reflection's sign turned."""
    near = angle > 90.0 - RIGHT_ANGLE_MARGIN
    return (
        np.concatenate([i, i[near]]),
        np.concatenate([j, j[near]]),
        np.concatenate([angle, 180.0 - angle[near]]),
        np.concatenate([sign, -sign[near]]),
    )


def _joined(parts: Sequence[NDArray[np.generic]], dtype: type) -> NDArray[np.generic]:
    return np.concatenate([np.zeros(0, dtype), *parts]).astype(dtype)
