"""What follows when a person decides on the phases of grains: names and maps again, nothing else."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace

from .maps.component_map import component_maps
from .matching import PhaseOverride, follow_grains
from .matching.assignment import assign_phases
from .pipeline import Analysis, grain_set_of
from .progress import Step

#: Stages of what follows a decision.
STAGES = 2


def reanalyse_after_override(
    analysis: Analysis, decisions: Sequence[PhaseOverride]
) -> Generator[Step, None, Analysis]:
    """Name everything again with other decisions.

    The products of the steps are: tuple of GrainMatch, tuple of ComponentMap; the result is the new
    `Analysis`.

    Parameters
    ----------
    analysis : Analysis
    decisions : sequence of Decision
        All that hold, the earlier ones included.
    """
    choice = replace(analysis.choice, decisions=follow_grains(decisions, analysis.grains))
    uncertainty = analysis.micrograph.calibration.uncertainty
    found = grain_set_of(analysis)
    names = assign_phases(found, analysis.profiles, choice, uncertainty, analysis.params.matching)
    yield Step("phases", 1, STAGES, names.matches)
    components = component_maps(
        analysis.grains, names.matches, analysis.grain_regions, analysis.specimen, analysis.map_grid
    )
    yield Step("maps", 2, STAGES, components)
    return replace(
        analysis,
        matches=names.matches,
        rings=names.rings,
        decisions=choice.decisions,
        components=components,
    )
