"""Which phase a grain is: spots against reference lattices, ranked, with an honest "unknown"."""

from .result import Candidate, GrainMatch, IndexedSpot, Outcome

__all__ = ["Candidate", "GrainMatch", "IndexedSpot", "Outcome"]
