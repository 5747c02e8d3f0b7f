"""The pattern of spots that a crystal of a known orientation gives in the diffractogram."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .orientation import CrystalOrientation
from .phase import Miller, Phase


@dataclass(frozen=True, slots=True)
class PatternSpot:
    """A reflection of a crystal that is seen along a zone axis.

    Attributes
    ----------
    hkl : tuple of int
    g : tuple of float, (y, x), 1/nm
        Where it lies in the diffractogram of the image, by the image's own calibration.
    relative_f : float
        \\|F\\| over the phase's largest; NaN where the atoms are unknown.
    """

    hkl: Miller
    g: tuple[float, float]
    relative_f: float


def simulated_pattern(
    phase: Phase, orientation: CrystalOrientation, scale: float, reach: float
) -> tuple[PatternSpot, ...]:
    """Reflections of the zone (Laue zone 0, kinematic) out to some |g|, both of each pair, by rising |g|.

    Parameters
    ----------
    phase : Phase
    orientation : CrystalOrientation
    scale : float
        Factor on the measured d that fits the phase.
    reach : float, 1/nm
        Largest |g| by the image's calibration.

    Examples
    --------
    >>> from napari_tem_fft.io.phases.table import load_table
    >>> copper = next(phase for phase in load_table() if phase.id == "Cu")
    >>> lies = CrystalOrientation((0, 0, 1), (2, 0, 0), 90.0, 0.1, 90.0, 0.18075)
    >>> spots = simulated_pattern(copper, lies, 1.0, 6.0)
    >>> [(spot.hkl, tuple(round(g, 2) + 0.0 for g in spot.g)) for spot in spots if spot.hkl[0] > 0]
    [((2, 0, 0), (-5.53, 0.0))]
    """
    if phase.d_only:
        return ()
    basis, turn = phase.reciprocal_basis(), orientation.matrix(phase)
    found = []
    for reflection in phase.reflections:
        if scale / reflection.d > reach:
            break
        for hkl in reflection.members or (reflection.hkl,):
            if np.dot(hkl, orientation.zone_axis):
                continue
            x, y, _ = scale * (turn @ (np.asarray(hkl, float) @ basis))
            found.append(PatternSpot(hkl, (float(y), float(x)), reflection.relative_f))
    return tuple(found)
