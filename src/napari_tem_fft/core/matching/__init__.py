"""Which phase a grain is: spots against reference lattices, ranked, with an honest "unknown"."""

from .geometry import ImageGeometry, ScalePrior
from .match import ImageMatch, match_image
from .params import MatchParams
from .result import (
    Candidate,
    GrainMatch,
    IndexedSpot,
    Outcome,
    OverrideKind,
    PhaseOverride,
    follow_grains,
    merge_overrides,
)
from .rings import IndexedRing, RingCandidate, RingMatch, match_rings
from .verdict import LookAlike, look_alikes
from .weighing import EvidenceCache

__all__ = [
    "Candidate",
    "EvidenceCache",
    "GrainMatch",
    "ImageGeometry",
    "ImageMatch",
    "IndexedRing",
    "IndexedSpot",
    "LookAlike",
    "MatchParams",
    "Outcome",
    "OverrideKind",
    "PhaseOverride",
    "RingCandidate",
    "RingMatch",
    "ScalePrior",
    "follow_grains",
    "look_alikes",
    "match_image",
    "match_rings",
    "merge_overrides",
]
