"""Presenter: creates the layers that change after each stage of an analysis, outside the GUI thread."""

from __future__ import annotations

from collections.abc import Collection, Generator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.crystal.orientation import simulated_pattern
from ..core.crystal.phase import Phase, format_hkl, format_zone
from ..core.fourier.diffractogram import Diffractogram, display, display_grid
from ..core.fourier.mask import SpectrumRegion, fringes_of, masked_inverse, render
from ..core.grains.grain import Grain
from ..core.image.micrograph import Micrograph
from ..core.maps.component_map import UNKNOWN, ComponentMap, colours_of, component_name
from ..core.maps.map_grid import MapGrid
from ..core.matching import Candidate, GrainMatch
from ..core.pipeline import (
    Analysis,
    DiffractogramReady,
    GrainsFound,
    MapsReady,
    MaskPainted,
    PhasesAssigned,
    ProfilesReady,
    SpotsFound,
)
from ..core.profile.radial_profile import ProfilePeak, RadialProfile, listed_peaks, masked_profile
from ..core.profile.ring_sums import fine_spectrum
from ..core.progress import Step
from ..core.spots.spot import Spot
from .image import LayerData
from .reciprocal_plane import Plane, Ring, scale_bars
from .results import (
    bars_layer,
    fft_layer,
    grains_layer,
    heat_layer,
    heat_role,
    ifft_layer,
    legend_layer,
    mask_layer,
    numbers_layer,
    pattern_layer,
    probability_layer,
    rings_layer,
    role_of,
    selected_grains_layer,
    specimen_layer,
    spots_layer,
)

#: Colours of the selection, and of a phase that is compared with the image.
CHOSEN, COMPARED = "#FFFFFF", "#FF8AF0"
#: Largest number of rings shown, because more would hide the spots; others appear when their peak is
#: selected.
MOST_RINGS = 10
#: Largest number of labelled spots of a pattern: observed ones first, then the strongest.
MOST_NAMED = 28
#: Number of layers that are updated together before the window is redrawn.
AT_ONCE = 3
#: Layers that an edit updates, together with the components' layers.
EDITED = ("mask", "spots", "rings", "ifft", "specimen", "grains", "numbers", "legend")
#: Layers with short lists as contents.
LISTS = ("spots", "rings", "numbers", "legend")


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """A stage's product together with a layer that it changes.

    Attributes
    ----------
    product : object
        None from the stage's second layer on.
    layers : tuple of LayerData
        New layers come alone, because napari takes long to add one and the user may click in between.
    more : bool
        Whether more layers of the same stage follow.
    """

    product: Any
    layers: tuple[LayerData, ...]
    more: bool = False


def shown_in_turn(
    step: Step, product: Any, layers: Sequence[LayerData], known: Collection[str] = ()
) -> Generator[Step, None, None]:
    """Split a step into one for every few layers, and a last one without layers before plots and tables.

    The first one has the product.

    Parameters
    ----------
    known : collection of str
        Roles of layers that exist and only get new contents; any other layer has its own step.
    """
    parts: list[list[LayerData]] = []
    for layer in layers:
        if parts and len(parts[-1]) < AT_ONCE and {role_of(layer), role_of(parts[-1][0])} <= set(known):
            parts[-1].append(layer)
        else:
            parts.append([layer])
    for index, part in enumerate((*parts, ())):
        shown = Shown(product if index == 0 else None, tuple(part), bool(part))
        yield Step(step.name, step.done, step.total, shown)


class Presenter:
    """Converts the products of one run to layers; keeps the earlier products of the run.

    Parameters
    ----------
    micrograph : Micrograph
    fft_in_viewer : bool
        Whether reciprocal space is shown next to the micrograph; otherwise it has its own viewer, in 1/nm.
    """

    def __init__(self, micrograph: Micrograph, fft_in_viewer: bool = True) -> None:
        self.micrograph = micrograph
        self.fft_in_viewer = fft_in_viewer
        self._spots: Sequence[Spot] = ()
        self._profiles: Sequence[RadialProfile] = ()
        self._grains: Sequence[Grain] = ()
        self._matches: Sequence[GrainMatch] = ()
        self._contents: dict[str, str | None] = {}
        self._known: set[str] = set()
        self._start: Analysis | None = None
        self._follows_edit = self._keep_mask = False

    @classmethod
    def after(cls, analysis: Analysis, fft_in_viewer: bool = True, keep_mask: bool = False) -> Presenter:
        """Create a presenter for edits of an analysis; with `keep_mask` the mask is not updated."""
        presenter = cls(analysis.micrograph, fft_in_viewer)
        presenter._start = analysis
        presenter._follows_edit, presenter._keep_mask = True, keep_mask
        presenter._spots, presenter._profiles = analysis.spots, analysis.profiles
        presenter._grains, presenter._matches = analysis.grains, analysis.matches
        return presenter

    def present(self, steps: Generator[Step, None, Analysis]) -> Generator[Step, None, Analysis]:
        """Pass steps on with a `Shown` for each product; the last ones need the whole analysis."""
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                analysis: Analysis = end.value
                break
            yield from shown_in_turn(
                step, step.product, self._changed_layers(self.layers(step.product)), self._known
            )
        end_step = Step("finished", step.total, step.total)
        yield from shown_in_turn(
            end_step, analysis, self._changed_layers(self.last_layers(analysis)), self._known
        )
        return analysis

    def layers(self, product: Any) -> tuple[LayerData, ...]:
        """Layers that a stage's product adds or changes."""
        if isinstance(product, MaskPainted):
            return ()
        self._begin()
        match product:
            case DiffractogramReady(diffractogram):
                return self._spectrum_layers(diffractogram)
            case SpotsFound(spots):
                self._spots = spots
                return self._mask_layers()
            case ProfilesReady(profiles):
                self._profiles = profiles
                return self._ring_layers()
            case GrainsFound(grains):
                self._grains = grains
                return () if self._follows_edit else (self._spots_layer(),)  # the phases follow immediately
            case PhasesAssigned(matches, _, spots):
                self._matches, self._spots = matches, spots
                return (self._spots_layer(), *self._ring_layers())
            case MapsReady(components):
                return self._heat_layers(components)
        return ()

    def last_layers(self, analysis: Analysis) -> tuple[LayerData, ...]:
        """Layers that need the whole analysis."""
        self._begin()
        grid, of = analysis.map_grid, self.micrograph
        layers: tuple[LayerData, ...] = (specimen_layer(analysis.specimen, grid, of),)
        if ids := [grain.id for grain in analysis.grains]:
            names = self._colours()
            colours = {match.grain: names[component_name(match)] for match in reversed(analysis.matches)}
            layers += (grains_layer(analysis.grain_regions, ids, grid, of, colours),)
            layers += (numbers_layer(analysis.grains, of),)
        if analysis.components:
            layers += (
                legend_layer(analysis.components, of, colours_of(c.name for c in analysis.components)),
            )
        if self._follows_edit:
            layers += (self._ifft_layer(),)
        elif analysis.picture is not None:
            layers += (probability_layer(analysis.picture, self._plane, of.name),)
        return layers

    def _changed_layers(self, layers: tuple[LayerData, ...]) -> tuple[LayerData, ...]:
        """Omit tables and rings that are already shown, because napari is slow to update them."""
        changed = []
        for layer in layers:
            role = role_of(layer)
            content = repr((layer[1].get("features"), layer[1].get("edge_color"))) if role in LISTS else None
            if content is None or self._contents.get(role) != content:
                changed.append(layer)
            self._contents[role] = content
        return tuple(changed)

    def _begin(self) -> None:
        """Read the edited analysis once, but not before the profile after a stroke has been passed on."""
        start, self._start = self._start, None
        if start is not None:
            self._set_diffractogram(start.diffractogram)
            self._known = {*EDITED, *map(heat_role, start.components)}

    def _set_diffractogram(self, diffractogram: Diffractogram) -> None:
        self._diffractogram = diffractogram
        self._grid = display_grid(diffractogram)
        self._plane = Plane.next_to(self.micrograph, self._grid) if self.fft_in_viewer else Plane()

    def _spectrum_layers(self, diffractogram: Diffractogram) -> tuple[LayerData, ...]:
        self._set_diffractogram(diffractogram)
        grid, snr = display(diffractogram)
        name = self.micrograph.name
        fft = fft_layer(snr, grid, self._plane, name)
        if not self.fft_in_viewer:
            return (fft,)
        return fft, bars_layer(scale_bars(self.micrograph, grid, self._plane), name)

    def _mask_layers(self) -> tuple[LayerData, ...]:
        if self._keep_mask:
            return (self._spots_layer(),)
        mask: NDArray[np.uint8] = render(self._spots, self._grid)
        layers = mask_layer(mask, self._grid, self._plane, self.micrograph.name), self._spots_layer()
        # the transform takes long, and after an edit the user waits for the other layers
        return layers if self._follows_edit else (*layers, self._ifft_layer())

    def _ifft_layer(self) -> LayerData:
        shown = [spot for spot in self._spots if spot.enabled]
        return ifft_layer(*fringes_of(self._diffractogram, shown), self.micrograph)

    def _spots_layer(self) -> LayerData:
        name = self.micrograph.name
        return spots_layer(self._spots, self._plane, name, self._grains, self._matches, self._colours())

    def _ring_layers(self) -> tuple[LayerData, ...]:
        reach = self._grid.half[1] * self._grid.step[1]
        peaks = sorted(listed_peaks(self._profiles), key=lambda peak: -peak.significance)[:MOST_RINGS]
        rings = [Ring(peak.g, f"{peak.d:.4f} nm", self._ring_colour(peak)) for peak in peaks]
        name = self.micrograph.name
        return (rings_layer(rings, self._plane, name, reach, spots=self._spots),) if rings else ()

    def _ring_colour(self, peak: ProfilePeak) -> str:
        """Colour of the component whose spots lie on the ring, if it is only one."""
        near = {spot.id for spot in self._spots if abs(spot.length - peak.g) < 2 * peak.width}
        grains = [grain.id for grain in self._grains if near & set(grain.spots)]
        names = {component_name(match) for match in self._matches if match.grain in grains}
        return self._colours()[names.pop()] if len(names) == 1 else UNKNOWN

    def _colours(self) -> dict[str, str]:
        return colours_of(component_name(match) for match in self._matches)

    def _heat_layers(self, components: Sequence[ComponentMap]) -> tuple[LayerData, ...]:
        if not components:
            return ()
        shape = components[0].heat.shape
        extent = self.micrograph.extent
        grid = MapGrid(shape, (extent[0] / shape[0], extent[1] / shape[1]))
        colours = colours_of(component.name for component in components)
        return tuple(
            heat_layer(component, grid, self.micrograph, colours[component.name])
            for component in reversed(components)
        )


def chosen_layers(
    analysis: Analysis, plane: Plane, spots: Sequence[Spot], grains: Collection[int] = ()
) -> tuple[LayerData, ...]:
    """Layers of a selection of spots: their Bragg-filtered image, their rings, and the selected grains.

    Parameters
    ----------
    analysis : Analysis
    plane : Plane
        Where the diffractogram is shown.
    spots : sequence of Spot
    grains : collection of int
        Ids of grains that are shown alone, while the maps of whole components are dimmed.
    """
    of, grid = analysis.micrograph, display_grid(analysis.diffractogram)
    alone = _grains_alone(analysis, grains)
    if not spots:
        return alone
    image, pixel_size = fringes_of(analysis.diffractogram, spots)
    different = [spot for i, spot in enumerate(spots) if all(_rings_differ(spot, s) for s in spots[:i])]
    rings = [Ring(spot.length, f"{spot.d:.4f} nm", CHOSEN) for spot in different[:MOST_RINGS]]
    reach = grid.half[1] * grid.step[1]
    fringes = ifft_layer(image, pixel_size, of, chosen=True)
    return fringes, rings_layer(rings, plane, of.name, reach, role="choice", spots=analysis.spots), *alone


def indexed_layers(
    analysis: Analysis, plane: Plane, grain: int, candidate: Candidate | None = None
) -> tuple[LayerData, ...]:
    """Layer of the simulated pattern of a grain's named phase, fitted to the grain's spots, with (hkl).

    Empty for a grain without a name, or with fewer than two observed directions. For an ambiguous set, the
    pattern belongs to the most probable member.

    Parameters
    ----------
    analysis : Analysis
    plane : Plane
        Where the diffractogram is shown.
    grain : int
        Id of the grain.
    candidate : Candidate, optional
        Phase whose pattern is shown instead of the grain's named phase.
    """
    known = {phase.id: phase for phase in analysis.known_phases}
    own = [match for match in analysis.matches if match.grain == grain and match.phases and match.candidates]
    first = candidate or next((m.candidates[0] for m in own if m.candidates[0].phase in known), None)
    if first is None or first.orientation is None or first.phase not in known:
        return ()
    phase, spectrum = known[first.phase], display_grid(analysis.diffractogram)
    reach = spectrum.half[1] * spectrum.step[1]
    edges = [half * step for half, step in zip(spectrum.half, spectrum.step, strict=True)]
    pattern = [
        spot
        for spot in simulated_pattern(phase, first.orientation, first.scale, float(np.linalg.norm(edges)))
        if abs(spot.g[0]) < edges[0] and abs(spot.g[1]) < edges[1]
    ]
    seen = {indexed.hkl for indexed in first.indexed}
    seen |= {(-h, -k, -m) for h, k, m in seen}
    strong = sorted(
        pattern, key=lambda spot: (spot.hkl not in seen, -np.nan_to_num(spot.relative_f, nan=1.0))
    )
    named = {spot.hkl for spot in strong[:MOST_NAMED]}
    labels = [format_hkl(spot.hkl, phase) if spot.hkl in named else "" for spot in pattern]
    title = f"{phase.id} {format_zone(first.orientation.zone_axis, phase)}"
    name, colour = analysis.micrograph.name, _phase_colour(analysis, phase)
    return (pattern_layer(pattern, title, labels, plane, name, colour, reach, edges[0]),)


def _grains_alone(analysis: Analysis, grains: Collection[int]) -> tuple[LayerData, ...]:
    """Layer of some grains in the colour of their component; none if there are no grains."""
    pairs = zip(analysis.grains, analysis.grain_regions, strict=True)
    regions = [region for grain, region in pairs if grain.id in grains]
    if not regions:
        return ()
    names = [component_name(match) for match in analysis.matches if match.grain in grains]
    colours = colours_of(component_name(match) for match in analysis.matches)
    colour = colours[names[0]] if names else UNKNOWN
    return (selected_grains_layer(regions, analysis.map_grid, analysis.micrograph, colour),)


def region_layers(analysis: Analysis, region: SpectrumRegion) -> tuple[tuple[RadialProfile, ...], LayerData]:
    """The profiles including that of a region, and the layer of the Bragg-filtered image of the region."""
    grid = display_grid(analysis.diffractogram)
    mask = region.render(grid)
    image, pixel_size = masked_inverse(analysis.diffractogram, mask, grid)
    inside = masked_profile(fine_spectrum(analysis.diffractogram), mask, grid, analysis.params.profile)
    profiles = tuple(inside if each.curve == "masked" else each for each in analysis.profiles)
    return profiles, ifft_layer(image, pixel_size, analysis.micrograph, chosen=True)


def _phase_colour(analysis: Analysis, phase: Phase) -> str:
    """Colour of the component that has a phase, alone or in an ambiguous set; white for any other."""
    names = colours_of(component_name(match) for match in analysis.matches)
    return next((names[name] for name in names if phase.id in name.split(" / ")), CHOSEN)


def _rings_differ(a: Spot, b: Spot) -> bool:
    """Whether the rings of two spots can be distinguished by eye."""
    return abs(a.length / b.length - 1) > 0.01


def phase_layer(
    analysis: Analysis, plane: Plane, phase: Phase, scale: float, compared: bool = False
) -> LayerData:
    """Rings of a phase's strongest reflections, labelled by (hkl), at the image's calibration.

    Parameters
    ----------
    analysis : Analysis
    plane : Plane
        Where the diffractogram is shown.
    phase : Phase
    scale : float
        Factor on the measured d with which the phase fits best.
    compared : bool
        Whether the user compares this phase with the image, so that it stays until it is removed.
    """
    grid = display_grid(analysis.diffractogram)
    reach = grid.half[1] * grid.step[1]
    inside = [r for r in phase.reflections if scale / r.d < reach]
    strongest = sorted(inside, key=lambda r: -np.nan_to_num(r.relative_f, nan=1.0))[:MOST_RINGS]
    role, colour = ("compare", COMPARED) if compared else ("phase", _phase_colour(analysis, phase))
    rings = [Ring(scale / r.d, format_hkl(r.hkl, phase), colour) for r in strongest]
    of = analysis.micrograph.name
    data, kwargs, kind = rings_layer(rings, plane, of, reach, role=role, spots=analysis.spots)
    return data, {**kwargs, "name": f"rings of {phase.id} · {of}"}, kind
