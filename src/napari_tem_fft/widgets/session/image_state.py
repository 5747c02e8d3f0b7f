"""Findings: what is known of one image layer so far."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field, replace
from typing import Any

from napari.layers import Image

from ...core.crystal.phase import Phase
from ...core.edit_cache import EditCache
from ...core.events import GrainsFound, MapsReady, MaskPainted, PhasesAssigned, ProfilesReady, SpotsFound
from ...core.grains.grain import Grain
from ...core.image.calibration import Calibration
from ...core.image.micrograph import Micrograph
from ...core.maps.component_map import ComponentMap
from ...core.matching import EvidenceCache, GrainMatch, PhaseOverride, merge_overrides
from ...core.matching.assignment import CandidateSet
from ...core.pipeline import Analysis, AnalysisParams, Segment, analysis_steps
from ...core.profile.radial_profile import RadialProfile
from ...core.progress import Step
from ...core.spots.spot import Spot
from ...io.phases.index_cache import prepare_index
from ...io.phases.library import unasked_library
from ..canvas.visibility import notes_of, write_notes
from .layer_group import LayerGroup

#: Name of the note in an image's metadata of how its candidates were asked for.
REQUEST = "candidates"
#: Complete analyses kept for undo.
MOST_KEPT = 6


@dataclass(frozen=True, slots=True, eq=False)
class Rescaled:
    """A change of an image's scale, and the analysis before it."""

    before: Calibration
    after: Calibration
    analysis: Analysis | None


@dataclass(slots=True, eq=False)
class ImageState:
    """What is known of one image layer so far.

    Attributes
    ----------
    layer : Image
    micrograph : Micrograph
    group : LayerGroup
        The layers made from it.
    spots, profiles, grains, matches, components : tuple
        The newest ones; they may be ahead of `analysis` while a run or an edit is under way.
    analysis : Analysis, optional
        The last complete one.
    past, future : list of tuple of Spot
        For undo and redo of edits.
    kept : list of Analysis
        The last complete ones of this run, so that undo has nothing to work out.
    evidence : EvidenceCache
        Of the grains of its last runs and edits.
    edit_cache : EditCache, optional
        What makes edits of this run's diffractogram faster; a new run begins a new one.
    request : dict
        How the candidates of the run were asked for, in plain values.
    rescaled : list of Rescaled
        Corrections of the scale, for undo.
    said_since : tuple of PhaseOverride
        What a person has said of grains since the last run, for the next one.
    asked : tuple of Phase
        What the run under way may name, or report, before its analysis is complete.
    from_file : bool
        Whether the layers are as they were saved, and the analysis was not shown again since.
    """

    layer: Image
    micrograph: Micrograph
    group: LayerGroup
    spots: tuple[Spot, ...] = ()
    profiles: tuple[RadialProfile, ...] = ()
    grains: tuple[Grain, ...] = ()
    matches: tuple[GrainMatch, ...] = ()
    components: tuple[ComponentMap, ...] = ()
    analysis: Analysis | None = None
    past: list[tuple[Spot, ...]] = field(default_factory=list)
    future: list[tuple[Spot, ...]] = field(default_factory=list)
    kept: list[Analysis] = field(default_factory=list)
    evidence: EvidenceCache = field(default_factory=EvidenceCache)
    edit_cache: EditCache | None = None
    request: dict[str, Any] = field(default_factory=dict)
    rescaled: list[Rescaled] = field(default_factory=list)
    said_since: tuple[PhaseOverride, ...] = ()
    asked: tuple[Phase, ...] = ()
    from_file: bool = False

    def analysed_again(
        self, choice: CandidateSet, params: AnalysisParams, segment: Segment | None
    ) -> Generator[Step, None, Analysis]:
        """The whole chain, with the overrides and the specimen that a person gave in the run before."""
        before = self.analysis
        said = self._rescaled_decisions(before) if before is not None else ()
        drawn = before.specimen if before is not None and before.specimen_by_user else None
        micrograph, evidence = self.micrograph, self.evidence
        elements = self.request.get("elements")
        self.asked = (*choice.phases, *choice.others)

        def steps() -> Generator[Step, None, Analysis]:
            # read or built by the worker, once for all images and sessions
            index = choice.index or prepare_index((*choice.phases, *choice.others))
            held = choice.library or choice.searched
            searched = choice.searched if held else unasked_library(elements)
            whole = replace(choice, decisions=said, index=index, searched=searched)
            return (yield from analysis_steps(micrograph, whole, params, segment, drawn, evidence))

        return steps()

    def _rescaled_decisions(self, before: Analysis) -> tuple[PhaseOverride, ...]:
        """What a person has said of grains; their places by the scale as it is now."""
        now, then = (image.calibration.scale for image in (self.micrograph, before.micrograph))
        fy, fx = (a / b for a, b in zip(now, then, strict=True))
        return tuple(
            one if one.centre is None else replace(one, centre=(one.centre[0] * fy, one.centre[1] * fx))
            for one in merge_overrides(before.decisions, self.said_since)
        )

    def take(self, product: Any) -> None:
        """Keep a stage's product in its place."""
        match product:
            case SpotsFound(spots):
                self.spots = spots
            case MaskPainted(profiles) | ProfilesReady(profiles):
                self.profiles = profiles
            case GrainsFound(grains):
                self.grains = grains
            case PhasesAssigned(matches, _, spots):
                self.matches, self.spots = matches, spots
            case MapsReady(components):
                self.components = components
            case Analysis():
                self._complete(product)

    @property
    def phases(self) -> dict[str, Phase]:
        """The phases that the analysis, or a run under way, knows by id: candidates and all others."""
        known = (*self.analysis.phases, *self.analysis.others) if self.analysis is not None else ()
        return {phase.id: phase for phase in (*self.asked, *known)}

    def with_spots(self, spots: tuple[Spot, ...]) -> Analysis | None:
        """Return the complete analysis that had these spots, if it is still kept."""
        return next((each for each in self.kept if each.spots == spots), None)

    def _complete(self, analysis: Analysis) -> None:
        # where the writer finds them
        request = {REQUEST: self.request} if self.request else {}
        write_notes(self.layer, {**notes_of(self.layer), "analysis": analysis, **request})
        self.said_since, self.asked = (), ()
        self.analysis, self.spots, self.profiles = analysis, analysis.spots, analysis.profiles
        self.grains, self.matches, self.components = analysis.grains, analysis.matches, analysis.components
        if self.edit_cache is None or self.edit_cache.diffractogram is not analysis.diffractogram:
            self.edit_cache = EditCache(analysis.diffractogram, self.evidence)
        same_run = [a for a in self.kept if a.diffractogram is analysis.diffractogram and a is not analysis]
        self.kept = [*(a for a in same_run if _same_choice(a, analysis)), analysis][-MOST_KEPT:]


def _same_choice(one: Analysis, other: Analysis) -> bool:
    """Whether the same may be named in both, and a person has decided the same."""
    said = [[(d.phase, d.kind) for d in each.decisions] for each in (one, other)]
    return one.phases == other.phases and said[0] == said[1]
