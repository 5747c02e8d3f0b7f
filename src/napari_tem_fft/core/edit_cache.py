"""EditCache: what edits of one analysis need again and again, and are only faster with."""

from __future__ import annotations

from threading import Lock

from .fourier.diffractogram import BandImage, Diffractogram, band_image
from .grains.edit import OutlineCache
from .matching import EvidenceCache
from .profile.ring_sums import RingSums


class EditCache:
    """What a row of edits of one diffractogram's spots works out once; results are the same without it.

    Whoever lets a person edit (the session of a viewer, a loop) makes one, hands it to each edit, and lets go
    of it with the analysis. Edits on several threads may share it.

    Parameters
    ----------
    diffractogram : Diffractogram
        Diffractogram of the analysis and of all its edits.
    evidence : EvidenceCache, optional
        The one that the analysis was made with, so that grains which no edit changes are not weighed again.

    Attributes
    ----------
    outlines : OutlineCache
    ring_sums : RingSums
    evidence : EvidenceCache
    """

    def __init__(self, diffractogram: Diffractogram, evidence: EvidenceCache | None = None) -> None:
        self.diffractogram = diffractogram
        self.outlines = OutlineCache()
        self.ring_sums = RingSums(diffractogram)
        self.evidence = evidence or EvidenceCache()
        self._band: BandImage | None = None
        self._lock = Lock()

    def of(self, diffractogram: Diffractogram) -> EditCache:
        """The cache itself, if it belongs to this diffractogram.

        Raises
        ------
        ValueError
            If it belongs to another analysis.
        """
        if diffractogram is not self.diffractogram:
            raise ValueError("this EditCache belongs to another diffractogram: make one for each analysis")
        return self

    def band(self) -> BandImage:
        """The image of the band that spots are looked for in; made at the first call."""
        with self._lock:
            if self._band is None:
                self._band = band_image(self.diffractogram)
            return self._band
