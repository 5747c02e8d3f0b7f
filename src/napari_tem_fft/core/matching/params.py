"""Parameters of matching that the user can set."""

from __future__ import annotations

from dataclasses import dataclass

from ..parameters import WithinLimits, param

#: Default weight of phases outside the candidates, if the user states neither elements nor phases.
OUTSIDE = 0.5


@dataclass(frozen=True, slots=True)
class MatchParams(WithinLimits):
    """Parameters of matching; the calibration's uncertainty is given separately."""

    d_error: float = param(
        0.35,
        "error of d",
        unit="%",
        low=0.02,
        high=5.0,
        help="Standard uncertainty of a single d in addition to that of its fit: strain, lens distortion,"
        " small size of the grain.",
    )
    angle_error: float = param(
        0.5,
        "error of angles",
        unit="deg",
        low=0.02,
        high=5.0,
        help="Standard uncertainty of a single azimuth in addition to that of its fit: distortion, tilt"
        " away from the zone axis.",
    )
    stretch: float | None = param(
        None,
        "stretch of the image",
        unit="%",
        low=0.01,
        high=5.0,
        help="Standard deviation of the elongation of the image along one direction (and contraction"
        " across it) by the lens, or by scan and drift in STEM.",
        automatic="0.5 % for TEM, 3 % for STEM, a mixture of both if the file does not say",
    )
    spurious: float = param(
        0.1,
        "spurious spots",
        low=0.001,
        high=0.9,
        help="Expected share of spots that do not belong to the grain's lattice.",
    )
    not_listed: float = param(
        0.5,
        "phase not listed",
        low=0.001,
        high=0.9,
        help="Prior probability that the phase of a grain is none of the candidates.",
    )
    outside: float | None = param(
        None,
        "phases outside",
        low=0.0,
        high=1.0,
        help="Prior probability of a phase outside the candidates relative to a candidate. If such phases"
        " fit better than the named one, the outcome is an ambiguous set of all of them.",
        automatic=f"{OUTSIDE}, or 0 if elements or phases are stated",
    )
    identify_at: float = param(
        0.98,
        "identified from",
        low=0.5,
        high=0.9999,
        help="Smallest probability at which a phase is called identified.",
    )
    likely_at: float = param(
        0.95,
        "likely from",
        low=0.5,
        high=0.9999,
        help="Smallest probability at which a phase is called likely.",
    )
