"""Two lattices in one place: what the best lattice leaves unexplained is matched as a further one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .observations import COLLINEAR, Observed
from .search import Found

#: A further lattice needs this many spots that the first one does not explain, in two directions.
FURTHER_SPOTS = 3
#: ... which are not all faint: the SNR of the third strongest is at least this.
FURTHER_SNR = 18.0
#: The first lattice needs this many spots, and must not be out of the question.
FIRST_SPOTS = 3
MOST_UNLISTED = 0.9


def split_rows(found: Found, phases: int) -> list[tuple[int, NDArray[np.bool_]]]:
    """Rows that hold a further lattice, with the spots that the best lattice leaves unexplained.

    Parameters
    ----------
    found : Found
    phases : int
        Number of candidates.
    """
    split = []
    for row in range(len(found.observed.valid)):
        best = found.best(row)
        if best is None or found.phase[row, phases:].sum() > MOST_UNLISTED:
            continue
        explained = found.evidence.explained[best] | found.evidence.double_diffraction[best]
        rest = found.observed.valid[row] & ~explained
        if explained.sum() >= FIRST_SPOTS and _is_lattice(found.observed, row, rest):
            split.append((row, rest))
    return split


def _is_lattice(observed: Observed, row: int, rest: NDArray[np.bool_]) -> bool:
    if rest.sum() < FURTHER_SPOTS:
        return False
    strong = np.sort(observed.snr[row, rest])[::-1]
    azimuth = observed.azimuth[row, rest]
    turned = np.abs(np.sin(azimuth[:, None] - azimuth[None]))
    return bool(strong[FURTHER_SPOTS - 1] >= FURTHER_SNR and (turned > np.sin(COLLINEAR)).any())
