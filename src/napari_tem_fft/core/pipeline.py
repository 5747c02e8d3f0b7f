"""The complete analysis as one generator, and the dataclasses of its parameters and its result.

An image without spots has the same events as any other, with empty tuples in them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from importlib import import_module
from typing import Any, get_type_hints

import numpy as np
from numpy.typing import NDArray

from .crystal.phase import Phase
from .fourier.diffractogram import (
    BandImage,
    Diffractogram,
    SpectrumParams,
    band_image,
    compute_diffractogram,
    display_grid,
)
from .fourier.local_spectra import LocalSpectra, local_spectra_of
from .fourier.mask import render
from .fourier.stft import WindowParams
from .fourier.threads import in_one_blas_thread
from .grains.bent_lattices import BentLattice, find_bent_lattices
from .grains.candidate import SearchContext
from .grains.false_grains import set_camera_spots_aside
from .grains.grain import Grain, GrainParams, GrainSet
from .grains.regions import GrainRegion, union
from .grains.search import build_grain_set, search_grains
from .image.annotations import find_annotations
from .image.micrograph import Micrograph, check_field, prepared_pixels, warnings_of
from .image.roi import inside_part, only_inside
from .maps.component_map import ComponentMap, component_maps
from .maps.map_grid import MapGrid, resample
from .maps.specimen import cut_grains, specimen_mask, specimen_on_grid
from .maps.strain import Deformation, DeformationParams, wanted_deformations
from .matching import EvidenceCache, GrainMatch, MatchParams, PhaseOverride, RingMatch, follow_grains
from .matching.assignment import (
    CandidateSet,
    PhaseAssignments,
    assign_phases,
    label_kinds,
    label_ring_like,
    name_bent_lattices,
)
from .matching.geometry import ImageGeometry, expected_distortions
from .matching.library_candidates import LibrarySearch
from .parameters import Parameter, WithinLimits, param, parameters_of
from .profile.radial_profile import ProfileParams, RadialProfile, local_profile, masked_profile, whole_profile
from .profile.ring_sums import fine_local_maximum, fine_spectrum
from .progress import Step, renumber_steps
from .spots.false_alarms import SpotParams
from .spots.seeds import DOUBT, NetworkPicture, NetworkUsed, Proposal, Seed, find_seeds
from .spots.spot import Spot
from .text import count_text


@dataclass(frozen=True, slots=True, eq=False)
class DiffractogramReady:
    """The transform of the whole image."""

    diffractogram: Diffractogram


@dataclass(frozen=True, slots=True, eq=False)
class LocalSpectraReady:
    """The transforms of the local windows."""

    spectra: LocalSpectra


@dataclass(frozen=True, slots=True, eq=False)
class SpotsFound:
    """All spots, from the search or after an edit by the user."""

    spots: tuple[Spot, ...]


@dataclass(frozen=True, slots=True, eq=False)
class MaskPainted:
    """The profiles of a mask painted by the user, before its spots are known."""

    profiles: tuple[RadialProfile, ...]


@dataclass(frozen=True, slots=True, eq=False)
class ProfilesReady:
    """The profiles of the spots."""

    profiles: tuple[RadialProfile, ...]


@dataclass(frozen=True, slots=True, eq=False)
class GrainsFound:
    """The grains formed by the spots."""

    grains: tuple[Grain, ...]


@dataclass(frozen=True, slots=True, eq=False)
class PhasesAssigned:
    """The phases of grains, and of rings that no grain explains, with the resulting kinds of spots."""

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


#: A network that proposes seeds, as a `Proposal` or a sequence. It is passed in, so that core never imports
#: Keras.
Segment = Callable[[Diffractogram, LocalSpectra], Sequence[Seed]]
#: The default network of an analysis: the default model, if it can run.
NETWORK = "auto"
#: Number of stages of an analysis and of the reanalysis after an edit.
STAGES = 7
EDIT_STAGES = 4
#: Pixels of the maps per width of their filter, and largest number of pixels per axis.
#: MAP_PIXELS_A_WIDTH set by hand. Sweep of MAP_PIXELS_A_WIDTH: halved, F1 0.82 -> 0.83,
#: area 0.89 -> 0.90; doubled, F1 0.82 -> 0.83, error of d 0.107 -> 0.110 %.
MAP_PIXELS_A_WIDTH = 3
MOST_MAP_PIXELS = 768


@dataclass(frozen=True, slots=True)
class AnalysisParams(WithinLimits):
    """All parameters of an analysis, one group per stage. The uncertainty of the scale belongs to the image.

    Examples
    --------
    >>> params = AnalysisParams(network="none", spots=SpotParams(false_alarms=0.001))
    >>> params.spots.false_alarms, params.grains.resolution
    (0.001, 1.0)
    """

    network: str = param(
        NETWORK,
        "network",
        help="Network that proposes additional spots, which statistical tests confirm: name of a model or"
        " path of its folder; auto for the default one, none for statistical detection alone.",
    )
    spectrum: SpectrumParams = field(default_factory=SpectrumParams)
    windows: WindowParams = field(default_factory=WindowParams)
    spots: SpotParams = field(default_factory=SpotParams)
    profile: ProfileParams = field(default_factory=ProfileParams)
    grains: GrainParams = field(default_factory=GrainParams)
    matching: MatchParams = field(default_factory=MatchParams)
    deformation: DeformationParams = field(default_factory=DeformationParams)


@dataclass(frozen=True, slots=True, eq=False)
class EditStart:
    """Results of the run, from which all edits start.

    Therefore the result of edits depends only on the current spots, not on their history: a spot that was
    erased and painted again has no effect.

    Attributes
    ----------
    found : GrainSet
        The grains before a user's specimen mask cut them.
    specimen : ndarray of bool, shape (y, x), optional
        None if the run was given a mask by the user, so that none was detected.
    """

    found: GrainSet
    specimen: NDArray[np.bool_] | None


@dataclass(frozen=True, slots=True, eq=False)
class Analysis:
    """All results for one micrograph, with the parameters used.

    Attributes
    ----------
    micrograph : Micrograph
    params : AnalysisParams
    phases : tuple of Phase
        The candidates.
    diffractogram : Diffractogram
    local_spectra : LocalSpectra
    spots : tuple of Spot
    profiles : tuple of RadialProfile
        "whole image", "masked" and "local maximum", in this order.
    grains : tuple of Grain
    matches : tuple of GrainMatch
        One per grain, in the same order; a further one if a second lattice overlaps the first.
    map_grid : MapGrid
        Grid of `specimen`, of `grain_regions` and of all components' heat maps.
    specimen : ndarray of bool, shape (y, x)
        False in vacuum and holes.
    specimen_by_user : bool
        Whether the user has drawn it; grains are then limited to it.
    grain_regions : tuple of GrainRegion
        Region of each grain, in the order of `grains`.
    components : tuple of ComponentMap
        Largest first; "unknown crystal" last.
    warnings : tuple of str
    network : NetworkUsed, optional
        The network that proposed spots; None if they were found by statistical detection alone.
    picture : NetworkPicture, optional
        Output of the network for every frequency; not stored with results.
    rings : tuple of RingMatch
        Phases of the rings that no grain explains.
    non_candidates : tuple of Phase
        Phases outside the candidates; reported where they would match.
    decisions : tuple of PhaseOverride
        The user's overrides of grains' phases.
    deformations : tuple of Deformation
        Deformations of the grains that are larger than the maps' filter, if the parameters request them.
    candidates_stated : bool
        Whether the user has restricted the sample by phases or elements.
    edit_start : EditStart, optional
        Results from which edits start, after the first edit; before it they start from the analysis itself.
    searched : LibrarySearch, optional
        Search of the user's phase library, or its contents; its entries that were evaluated are among the
        phases. Edits evaluate these again without a new search.
    geometry : ImageGeometry, optional
        The scale and the distortion that all grains have in common; None in results of version 0.1.

    Examples
    --------
    >>> from napari_tem_fft import analyse, read_sample, select
    >>> result = analyse(read_sample("edge"), select(["LiF", "Cu"]))
    >>> result.matches[0].phases, [round(spot.d, 3) for spot in result.spots]
    (('LiF',), [0.142, 0.202, 0.122, 0.117])
    >>> result.specimen.shape == result.map_grid.shape, result.vacuum_found
    (True, True)
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
    grain_regions: tuple[GrainRegion, ...]
    components: tuple[ComponentMap, ...]
    warnings: tuple[str, ...] = ()
    network: NetworkUsed | None = None
    picture: NetworkPicture | None = None
    rings: tuple[RingMatch, ...] = ()
    non_candidates: tuple[Phase, ...] = ()
    decisions: tuple[PhaseOverride, ...] = ()
    deformations: tuple[Deformation, ...] = ()
    specimen_by_user: bool = False
    candidates_stated: bool = False
    edit_start: EditStart | None = None
    searched: LibrarySearch | None = None
    geometry: ImageGeometry | None = None

    @property
    def vacuum_found(self) -> bool:
        """Whether a part of the image, or of its region of interest, is outside the specimen."""
        inside = inside_part(self.micrograph, self.map_grid)
        return not bool(self.specimen.all() if inside is None else self.specimen[inside].all())

    @property
    def known_phases(self) -> tuple[Phase, ...]:
        """The candidates, and the phases outside of them."""
        return self.phases + self.non_candidates

    @property
    def choice(self) -> CandidateSet:
        """The candidate phases."""
        return CandidateSet(
            self.phases, self.non_candidates, self.decisions, self.candidates_stated, searched=self.searched
        )

    def __repr__(self) -> str:
        names = ", ".join(part.name for part in self.components) or "no crystal"
        counts = f"{count_text(len(self.spots), 'spot')}, {count_text(len(self.grains), 'grain')}"
        return f"<Analysis of {self.micrograph.name}: {counts}; {names}>"

    def _repr_html_(self) -> str:
        """Overview and tables, for notebooks."""
        # imported by name when a notebook asks for it: core itself does not depend on figures
        shown: str = import_module("napari_tem_fft.io.figures.notebook").analysis_html(self)
        return shown


@in_one_blas_thread
def analysis_steps(
    micrograph: Micrograph,
    candidates: CandidateSet | Sequence[Phase] = (),
    params: AnalysisParams | None = None,
    segment: Segment | None = None,
    specimen: NDArray[Any] | None = None,
    cache: EvidenceCache | None = None,
) -> Generator[Step, None, Analysis]:
    """Analyse a micrograph: yields a `Step` after each stage, returns the `Analysis`.

    Parameters
    ----------
    micrograph : Micrograph
    candidates : CandidateSet or sequence of Phase
        The candidates, with the overrides of an earlier run, which follow their grains by position.
    params : AnalysisParams, optional
    segment : callable, optional
        A network that proposes additional spots.
    specimen : ndarray, shape (y, x), optional
        A user's specimen mask, on any grid over the whole image.
    cache : EvidenceCache, optional
        Stores the evidence of the grains for the caller's edits.

    Yields
    ------
    Step
        Its products, in this order: DiffractogramReady, LocalSpectraReady,
        SpotsFound, ProfilesReady, GrainsFound, PhasesAssigned, MapsReady.

    Raises
    ------
    CalibrationError
        If the image has no pixel size in nm.
    ValueError
        If the image cannot be transformed (constant, too small, too many bad pixels), or if the given
        specimen mask does not match it.
    """
    params = params or AnalysisParams()
    bars = annotations_of(micrograph, params)
    image, repaired = prepared_pixels(micrograph, bars)
    check_field(micrograph)
    diffractogram = compute_diffractogram(image, micrograph, params.spectrum, bars)
    yield Step("diffractogram", 1, STAGES, DiffractogramReady(diffractogram))
    del image
    band = band_image(diffractogram)
    spectra = local_spectra_of(diffractogram, band, params.windows)
    yield Step("local spectra", 2, STAGES, LocalSpectraReady(spectra))
    context = search_context(band, micrograph, diffractogram, spectra, params)
    seeds = find_seeds(diffractogram, spectra, params.spots.false_alarms)
    proposed: Sequence[Seed] = segment(diffractogram, spectra) if segment is not None else ()
    seeds = (*seeds, *proposed)
    proposal = proposed if isinstance(proposed, Proposal) else None
    found = build_grain_set(search_grains(context, seeds, proposal), seeds, context)
    found, camera = set_camera_spots_aside(found, micrograph.pixel_size, micrograph.extent)
    found = only_inside(found, inside_part(micrograph, context.grid))
    yield Step("spots", 3, STAGES, SpotsFound(found.spots))
    choice = candidates if isinstance(candidates, CandidateSet) else CandidateSet(tuple(candidates))
    given = None if specimen is None else specimen_on_grid(specimen, micrograph, context.grid)
    warnings = (*warnings_of(micrograph, repaired, bars), *camera)
    rest = follow_spots(
        micrograph, choice, params, context, found, warnings, (), given, given is not None, cache
    )
    analysis = yield from renumber_steps(rest, 3, STAGES)
    if proposal is None:
        return analysis
    picture = proposal.picture
    doubted = tuple(spot.id for spot in found.spots if spot.enabled and picture.near(spot.g) < DOUBT)
    return replace(analysis, network=replace(proposal.network, doubted=doubted), picture=picture)


def profiles_of(
    diffractogram: Diffractogram, spectra: LocalSpectra, mask: NDArray[np.uint8], params: AnalysisParams
) -> tuple[RadialProfile, ...]:
    """The three profiles: "whole image", "masked" and "local maximum"."""
    spectrum, rings = fine_spectrum(diffractogram), params.profile
    return (
        whole_profile(spectrum, rings),
        masked_profile(spectrum, mask, display_grid(diffractogram), rings),
        local_profile(fine_local_maximum(spectra, diffractogram), rings),
    )


def search_context(
    band: BandImage,
    micrograph: Micrograph,
    diffractogram: Diffractogram,
    spectra: LocalSpectra,
    params: AnalysisParams,
) -> SearchContext:
    """The context for the search for grains."""
    pixel = params.grains.resolution / MAP_PIXELS_A_WIDTH
    grid = MapGrid.covering(micrograph.extent, pixel, MOST_MAP_PIXELS)
    return SearchContext(band, diffractogram, spectra, grid, params.grains, params.spots.false_alarms)


def grain_set_of(analysis: Analysis) -> GrainSet:
    """The grains of an analysis with their regions and spots."""
    return GrainSet(analysis.spots, analysis.grains, analysis.grain_regions)


def follow_spots(
    micrograph: Micrograph,
    choice: CandidateSet,
    params: AnalysisParams,
    context: SearchContext,
    found: GrainSet,
    warnings: tuple[str, ...],
    profiles: tuple[RadialProfile, ...] = (),
    specimen: NDArray[np.bool_] | None = None,
    specimen_by_user: bool = False,
    cache: EvidenceCache | None = None,
    start: GrainSet | None = None,
) -> Generator[Step, None, Analysis]:
    """Compute profiles, grains, matches and maps for known spots; `start` holds the results of the run."""
    start = start or found
    diffractogram, spectra = context.diffractogram, context.spectra
    if specimen_by_user and specimen is not None:
        found = cut_grains(found, specimen, context.grid)
    if not profiles:
        mask = render(found.spots, display_grid(diffractogram))
        profiles = profiles_of(diffractogram, spectra, mask, params)
    yield Step("profile", 1, EDIT_STAGES, ProfilesReady(profiles))
    yield Step("grains", 2, EDIT_STAGES, GrainsFound(found.grains))
    choice = replace(choice, decisions=follow_grains(choice.decisions, found.grains))
    known = micrograph.calibration
    distortions = expected_distortions(params.matching.stretch, micrograph.metadata, known.shear is not None)
    how = known.uncertainty, params.matching, cache, distortions, known.shear or 0.0
    names = assign_phases(found, profiles, choice, *how)
    matches, bent = with_bent_lattices(
        names, found, diffractogram, spectra, context.grid, known.uncertainty, params
    )
    found = replace(found, spots=label_kinds(found.spots, start, found.grains, matches))
    yield Step("phases", 3, EDIT_STAGES, PhasesAssigned(matches, names.rings, found.spots))
    if specimen is None:
        specimen = specimen_of(micrograph, diffractogram, spectra, found, context.grid)
    components = component_maps(found.grains, matches, found.regions, specimen, context.grid, bent)
    yield Step("maps", 4, EDIT_STAGES, MapsReady(components))
    return Analysis(
        micrograph=micrograph,
        params=params,
        phases=names.choice.phases,
        diffractogram=diffractogram,
        local_spectra=spectra,
        spots=found.spots,
        profiles=profiles,
        grains=found.grains,
        matches=matches,
        map_grid=context.grid,
        specimen=specimen,
        grain_regions=found.regions,
        components=components,
        warnings=warnings,
        rings=names.rings,
        non_candidates=choice.non_candidates,
        decisions=choice.decisions,
        deformations=wanted_deformations(params.deformation, diffractogram, spectra, found, context.grid),
        specimen_by_user=specimen_by_user,
        candidates_stated=choice.stated,
        searched=names.choice.searched,
        geometry=names.geometry,
    )


def with_bent_lattices(
    names: PhaseAssignments,
    found: GrainSet,
    diffractogram: Diffractogram,
    spectra: LocalSpectra,
    grid: MapGrid,
    calibration_uncertainty: float,
    params: AnalysisParams,
) -> tuple[tuple[GrainMatch, ...], tuple[BentLattice, ...]]:
    """The matches, in which grains that belong to a bent lattice are marked, and these lattices."""
    unnamed = {match.grain for match in names.matches}
    unnamed -= {match.grain for match in names.matches if match.outcome.names_phases}
    d_error = params.matching.d_error / 100
    lattices = find_bent_lattices(diffractogram, spectra, found, unnamed, grid, d_error)
    bent = name_bent_lattices(lattices, names.choice.phases, calibration_uncertainty)
    return label_ring_like(names.matches, bent), bent


def annotations_of(micrograph: Micrograph, params: AnalysisParams) -> NDArray[np.bool_] | None:
    """Pixels of bars and labels that the analysis ignores; None if there are none."""
    return find_annotations(micrograph.pixels) if params.spectrum.annotations == "mask" else None


def specimen_of(
    micrograph: Micrograph,
    diffractogram: Diffractogram,
    spectra: LocalSpectra,
    found: GrainSet,
    grid: MapGrid,
) -> NDArray[np.bool_]:
    """The specimen mask of the image, on `grid`."""
    discs = [(spot.g, spot.radius) for spot in found.spots if spot.enabled]
    crystals = union(found.regions, grid.shape)
    specimen = specimen_mask(diffractogram, spectra, grid, discs, crystals)
    if diffractogram.annotations is not None:
        specimen = specimen & ~resample(diffractogram.annotations, grid.shape)
    inside = inside_part(micrograph, grid)
    return specimen if inside is None else specimen & inside


@dataclass(frozen=True, slots=True)
class Option:
    """One generated option: where its value belongs, and its name without dashes."""

    group: str
    parameter: Parameter
    name: str

    @property
    def key(self) -> str:
        """Name in argparse's namespace."""
        return f"parameter:{self.group}:{self.parameter.name}"


def options() -> tuple[Option, ...]:
    """One option per declared parameter; names that occur twice are preceded by their group."""
    found = [
        (group, one, one.field.option or one.name.replace("_", "-")) for group, one in _declared_options()
    ]
    count = Counter(name for _, _, name in found)
    return tuple(
        Option(group, one, f"{group.replace('_', '-')}-{name}" if count[name] > 1 else name)
        for group, one, name in found
    )


def _declared_options() -> Iterator[tuple[str, Parameter]]:
    """All parameters with the names of their groups; empty for those without a group."""
    yield from (("", one) for one in parameters_of(AnalysisParams))
    for group, kind in parameter_groups():
        yield from ((group, one) for one in parameters_of(kind))


def parameter_groups() -> Iterator[tuple[str, type]]:
    """Name and dataclass of each group of the parameters."""
    hints = get_type_hints(AnalysisParams)
    for f in fields(AnalysisParams):
        if is_dataclass(hints[f.name]):
            yield f.name, hints[f.name]
