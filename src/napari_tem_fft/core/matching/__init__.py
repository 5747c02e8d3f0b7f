"""Which phase a grain is: spots against reference lattices, ranked, with an honest "unknown"."""

from .alternatives import with_excluded
from .joint_posterior import ScalePrior
from .lookalikes import LookAlike, look_alikes
from .match import match_grains
from .overrides import Decision, DecisionKind, follow, merged
from .params import MatchParams
from .result import Candidate, GrainMatch, IndexedSpot, Outcome
from .rings import IndexedRing, RingCandidate, RingMatch, match_rings

__all__ = [
    "Candidate",
    "Decision",
    "DecisionKind",
    "GrainMatch",
    "IndexedRing",
    "IndexedSpot",
    "LookAlike",
    "MatchParams",
    "Outcome",
    "RingCandidate",
    "RingMatch",
    "ScalePrior",
    "follow",
    "look_alikes",
    "match_grains",
    "match_rings",
    "merged",
    "with_excluded",
]
