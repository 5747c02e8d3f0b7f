"""What a stage of an analysis has made: the products of its steps, a class for each stage.

An image without any spot gives the same events as any other, with empty tuples in them.
"""

from __future__ import annotations

from dataclasses import dataclass

from .fourier.diffractogram import Diffractogram
from .fourier.local_spectra import LocalSpectra
from .grains.grain import Grain
from .maps.component_map import ComponentMap
from .matching import GrainMatch, RingMatch
from .profile.radial_profile import RadialProfile
from .spots.spot import Spot


@dataclass(frozen=True, slots=True, eq=False)
class DiffractogramReady:
    """The transform of the whole image."""

    diffractogram: Diffractogram


@dataclass(frozen=True, slots=True, eq=False)
class LocalSpectraReady:
    """The transforms of the windows."""

    spectra: LocalSpectra


@dataclass(frozen=True, slots=True, eq=False)
class SpotsFound:
    """All spots, found by the search or changed by a person."""

    spots: tuple[Spot, ...]


@dataclass(frozen=True, slots=True, eq=False)
class MaskPainted:
    """The profiles of a mask as a person has painted it, before its spots are known."""

    profiles: tuple[RadialProfile, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ProfilesReady:
    """The profiles of the spots."""

    profiles: tuple[RadialProfile, ...]


@dataclass(frozen=True, slots=True, eq=False)
class GrainsFound:
    """The grains that the spots make."""

    grains: tuple[Grain, ...]


@dataclass(frozen=True, slots=True, eq=False)
class PhasesAssigned:
    """The phases of grains, and of the rings that no grain explains; the kinds of spots that follow."""

    matches: tuple[GrainMatch, ...]
    rings: tuple[RingMatch, ...]
    spots: tuple[Spot, ...]


@dataclass(frozen=True, slots=True, eq=False)
class MapsReady:
    """The maps of the components."""

    components: tuple[ComponentMap, ...]


#: Possible products of the steps of an analysis or of a reanalysis after an edit.
Event = (
    DiffractogramReady
    | LocalSpectraReady
    | SpotsFound
    | MaskPainted
    | ProfilesReady
    | GrainsFound
    | PhasesAssigned
    | MapsReady
)
