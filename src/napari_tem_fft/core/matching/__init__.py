"""Which phase a grain is: spots against reference lattices, ranked, with an honest "unknown"."""

from .decisions import Decision, follow
from .lookalikes import LookAlike, look_alikes
from .match import match_grains
from .params import MatchParams
from .result import Candidate, GrainMatch, IndexedSpot, Outcome

__all__ = [
    "Candidate",
    "Decision",
    "GrainMatch",
    "IndexedSpot",
    "LookAlike",
    "MatchParams",
    "Outcome",
    "follow",
    "look_alikes",
    "match_grains",
]
