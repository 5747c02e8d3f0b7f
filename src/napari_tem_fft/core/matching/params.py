"""Parameters of matching that the user can set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from ..parameters import Field, check_limits

#: Default weight of phases outside the candidates, if the user states neither elements nor phases.
OUTSIDE = 0.5


@dataclass(frozen=True, slots=True)
class MatchParams:
    """Parameters of matching; the calibration's uncertainty is given separately."""

    d_error: Annotated[
        float,
        Field(
            "error of d",
            unit="%",
            low=0.02,
            high=5.0,
            help="Standard uncertainty of a single d in addition to that of its fit: strain, lens distortion,"
            " small size of the grain.",
        ),
    ] = 0.35
    angle_error: Annotated[
        float,
        Field(
            "error of angles",
            unit="deg",
            low=0.02,
            high=5.0,
            help="Standard uncertainty of a single azimuth in addition to that of its fit: distortion, tilt"
            " away from the zone axis.",
        ),
    ] = 0.5
    stretch: Annotated[
        float | None,
        Field(
            "stretch of the image",
            unit="%",
            low=0.01,
            high=5.0,
            help="Standard deviation of the elongation of the image along one direction (and contraction"
            " across it) by the lens, or by scan and drift in STEM.",
            automatic="0.5 % for TEM, 3 % for STEM, a mixture of both if the file does not say",
        ),
    ] = None
    spurious: Annotated[
        float,
        Field(
            "spurious spots",
            low=0.001,
            high=0.9,
            help="Expected share of spots that do not belong to the grain's lattice.",
        ),
    ] = 0.1
    not_listed: Annotated[
        float,
        Field(
            "phase not listed",
            low=0.001,
            high=0.9,
            help="Prior probability that the phase of a grain is none of the candidates.",
        ),
    ] = 0.5
    outside: Annotated[
        float | None,
        Field(
            "phases outside",
            low=0.0,
            high=1.0,
            help="Prior probability of a phase outside the candidates relative to a candidate. If such phases"
            " fit better than the named one, the outcome is an ambiguous set of all of them.",
            automatic=f"{OUTSIDE}, or 0 if elements or phases are stated",
        ),
    ] = None
    identify_at: Annotated[
        float,
        Field(
            "identified from",
            low=0.5,
            high=0.9999,
            help="Smallest probability at which a phase is called identified.",
        ),
    ] = 0.98
    likely_at: Annotated[
        float,
        Field(
            "likely from",
            low=0.5,
            high=0.9999,
            help="Smallest probability at which a phase is called likely.",
        ),
    ] = 0.95

    def __post_init__(self) -> None:
        check_limits(self)
