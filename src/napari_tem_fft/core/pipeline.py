"""The whole chain as one generator, and the dataclasses that hold its parameters and its result."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from .calibration import DELIVERED_UNCERTAINTY
from .diffractogram import Diffractogram, SpectrumParams
from .grains import Grain, GrainParams
from .local_spectra import LocalSpectra, WindowParams
from .maps import ComponentMap, MapGrid, MapParams
from .matching import GrainMatch, MatchParams
from .micrograph import Micrograph
from .parameters import Field, check_limits
from .phases import Phase
from .profile import ProfileParams, RadialProfile
from .progress import Step
from .spots import Spot, SpotParams

#: A network that proposes frequencies (y, x) in 1/nm; handed in, so that core never imports Keras.
Segment = Callable[[Diffractogram, LocalSpectra], NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class AnalysisParams:
    """All parameters of an analysis, a group a stage."""

    calibration_uncertainty: Annotated[
        float,
        Field(
            "calibration uncertainty",
            unit="%",
            low=0.01,
            high=20,
            help="Standard uncertainty of the image's pixel size; matching gets more cautious with it.",
        ),
    ] = 100 * DELIVERED_UNCERTAINTY
    spectrum: SpectrumParams = field(default_factory=SpectrumParams)
    windows: WindowParams = field(default_factory=WindowParams)
    spots: SpotParams = field(default_factory=SpotParams)
    profile: ProfileParams = field(default_factory=ProfileParams)
    grains: GrainParams = field(default_factory=GrainParams)
    matching: MatchParams = field(default_factory=MatchParams)
    maps: MapParams = field(default_factory=MapParams)

    def __post_init__(self) -> None:
        check_limits(self)


@dataclass(frozen=True, slots=True, eq=False)
class Analysis:
    """Everything that is known of one micrograph, with the parameters that led to it.

    Attributes
    ----------
    micrograph : Micrograph
    params : AnalysisParams
    phases : tuple of Phase
        The candidates that were allowed.
    diffractogram : Diffractogram
    local_spectra : LocalSpectra
    spots : tuple of Spot
    profiles : tuple of RadialProfile
        "whole image", "masked" and "local maximum", in this order.
    grains : tuple of Grain
    matches : tuple of GrainMatch
        One a grain, in the same order.
    map_grid : MapGrid
        Of `specimen`, `grain_masks` and of every component's heat.
    specimen : ndarray of bool, shape (y, x)
        False in vacuum and holes.
    grain_masks : ndarray of bool, shape (number of grains, y, x)
    components : tuple of ComponentMap
        Largest first; "unknown crystal" last.
    warnings : tuple of str
    """

    micrograph: Micrograph
    params: AnalysisParams
    phases: tuple[Phase, ...]
    diffractogram: Diffractogram
    local_spectra: LocalSpectra
    spots: tuple[Spot, ...]
    profiles: tuple[RadialProfile, ...]
    grains: tuple[Grain, ...]
    matches: tuple[GrainMatch, ...]
    map_grid: MapGrid
    specimen: NDArray[np.bool_]
    grain_masks: NDArray[np.bool_]
    components: tuple[ComponentMap, ...]
    warnings: tuple[str, ...] = ()


def analysis_steps(
    micrograph: Micrograph,
    phases: Sequence[Phase],
    params: AnalysisParams | None = None,
    segment: Segment | None = None,
) -> Generator[Step, None, Analysis]:
    """Analyse a micrograph: yields a `Step` after each stage, returns the `Analysis`.

    The products of the steps are, in this order: Diffractogram, LocalSpectra, tuple of Spot, tuple of
    RadialProfile, tuple of Grain, tuple of GrainMatch, tuple of ComponentMap.

    Raises
    ------
    CalibrationError
        If the image has no pixel size in nm.
    ValueError
        If the image cannot be transformed (constant, too small, too many bad pixels).
    """
    raise NotImplementedError


def edited_steps(analysis: Analysis, spots: Sequence[Spot]) -> Generator[Step, None, Analysis]:
    """Everything downstream of the spots again (profile, grains, matches, maps) after a person's edit."""
    raise NotImplementedError
