"""Which phase a grain is: spots against reference lattices, ranked, with an honest "unknown"."""

from .match import match_grains
from .params import MatchParams
from .result import Candidate, GrainMatch, IndexedSpot, Outcome

__all__ = ["Candidate", "GrainMatch", "IndexedSpot", "MatchParams", "Outcome", "match_grains"]
