"""What is known of an image in the viewer: its results so far, and the layers that show them."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from itertools import islice, takewhile
from typing import Any
from weakref import ref

import numpy as np
from napari.components import LayerList, ViewerModel
from napari.layers import Image, Labels, Layer, Points, Shapes

from ...core.crystal.phase import Phase
from ...core.grains.grain import Grain
from ...core.image.calibration import Calibration
from ...core.image.micrograph import Micrograph
from ...core.maps.component_map import ComponentMap
from ...core.matching import EvidenceCache, GrainMatch, PhaseOverride, merge_overrides
from ...core.matching.assignment import CandidateSet
from ...core.pipeline import (
    Analysis,
    AnalysisParams,
    GrainsFound,
    MapsReady,
    MaskPainted,
    PhasesAssigned,
    ProfilesReady,
    Segment,
    SpotsFound,
    analysis_steps,
)
from ...core.profile.radial_profile import RadialProfile
from ...core.progress import Step
from ...core.reanalysis import EditCache
from ...core.spots.spot import Spot
from ...core.text import LengthUnit
from ...io.phases.index_cache import prepare_index
from ...io.phases.library import unasked_library
from ...layers.image import KEY, LayerData, belongs_to, stamped
from ...layers.reciprocal_plane import NAMED_BY_D, Plane, d_labels, in_unit
from ...layers.results import ORDER, plane_of, role_of
from .responsiveness import removals_of
from .settings import length_unit
from .source import BEFORE, bring_back, hide, is_source, notes_of, write_notes

#: Key in the metadata of an image for the request of its candidates.
REQUEST = "candidates"

#: Number of complete analyses kept for undo.
MOST_KEPT = 6


@dataclass(frozen=True, slots=True, eq=False)
class Rescaled:
    """A change of the scale of an image, and the analysis before it."""

    before: Calibration
    after: Calibration
    analysis: Analysis | None


@dataclass(slots=True, eq=False)
class ImageState:
    """State of an image layer.

    Attributes
    ----------
    layer : Image
    micrograph : Micrograph
    group : LayerGroup
        The layers of its results.
    spots, profiles, grains, matches, components : tuple
        The latest results, which can be ahead of `analysis` during a run or an edit.
    analysis : Analysis, optional
        The last complete analysis.
    past, future : list of tuple of Spot
        Spots for undo and redo of edits.
    kept : list of Analysis
        Recent complete analyses of this run, so that undo needs no computation.
    evidence : EvidenceCache
        Evidence of the grains in recent runs and edits.
    edit_cache : EditCache, optional
        Cache for edits of the diffractogram of this run; a new run creates a new one.
    request : dict
        Request of the candidates of the run, as plain values.
    rescaled : list of Rescaled
        Corrections of the scale, for undo.
    said_since : tuple of PhaseOverride
        The user's overrides since the last run, for the next one.
    asked : tuple of Phase
        Candidates and other phases of a run whose analysis is not complete yet.
    from_file : bool
        Whether the layers are still as saved in a file.
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
        """The whole analysis, with the user's overrides and specimen mask of the previous run."""
        before = self.analysis
        said = self._rescaled_decisions(before) if before is not None else ()
        drawn = before.specimen if before is not None and before.specimen_by_user else None
        micrograph, evidence = self.micrograph, self.evidence
        elements = self.request.get("elements")
        self.asked = choice.known_phases

        def steps() -> Generator[Step, None, Analysis]:
            # loaded or built in the worker, once for all images and sessions
            index = choice.index or prepare_index(choice.known_phases)
            held = choice.library or choice.searched
            searched = choice.searched if held else unasked_library(elements)
            whole = replace(choice, decisions=said, index=index, searched=searched)
            return (yield from analysis_steps(micrograph, whole, params, segment, drawn, evidence))

        return steps()

    def _rescaled_decisions(self, before: Analysis) -> tuple[PhaseOverride, ...]:
        """The user's overrides, with positions of grains converted to the present scale."""
        now, then = (image.calibration.scale for image in (self.micrograph, before.micrograph))
        fy, fx = (a / b for a, b in zip(now, then, strict=True))
        return tuple(
            one if one.centre is None else replace(one, centre=(one.centre[0] * fy, one.centre[1] * fx))
            for one in merge_overrides(before.decisions, self.said_since)
        )

    def take(self, product: Any) -> None:
        """Store the product of a stage."""
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
        """All phases of the analysis or of an active run, candidates and others, by id."""
        known = () if self.analysis is None else self.analysis.phases + self.analysis.non_candidates
        return {phase.id: phase for phase in (*self.asked, *known)}

    def with_spots(self, spots: tuple[Spot, ...]) -> Analysis | None:
        """Return the complete analysis with these spots, if it is still kept."""
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
    """Whether two analyses have the same candidates and overrides."""
    said = [[(d.phase, d.kind) for d in each.decisions] for each in (one, other)]
    return one.phases == other.phases and said[0] == said[1]


#: Roles of layers in reciprocal space.
RECIPROCAL = (
    *("fft", "live", "grain_fft", "probability", "rings", "mask", "spots"),
    *("phase", "compare", "choice", "pattern", "region", "line_fft", "angle", "bars"),
)

#: Width and height of a colour bar, pixels, and size of its numbers: there is little room beside the images.
COLOUR_BAR = (14, 90), 8


class LayerGroup:
    """The layers of one micrograph, each with a role ("fft", "mask", "heat LiF").

    Parameters
    ----------
    viewer : ViewerModel
        The viewer of the layers.
    content : str
        Hash of the pixels of the micrograph, from `content_id`.
    panel : ViewerModel, optional
        A separate viewer for the layers of reciprocal space.
    image : Layer, optional
        Layer of the micrograph, above which the group is placed; napari has no groups of layers.

    Attributes
    ----------
    offset : tuple of float, (y, x), nm
        Position of the micrograph in the viewer, if it is a part of a larger one.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        content: str,
        panel: ViewerModel | None = None,
        image: Layer | None = None,
    ) -> None:
        self._image = ref(image) if image is not None else None
        self.offset = (0.0, 0.0)
        self.content = content
        self._viewer = ref(viewer)
        self._panel = ref(panel) if panel is not None else None
        self._layers: dict[str, Layer] = {}
        self._hidden = False
        for each in filter(None, (viewer, panel)):
            removals_of(each)  # listens to removals from now on

    def move(self, panel: ViewerModel | None) -> None:
        """Show reciprocal space in another viewer; its layers are removed from the old one."""
        for role in [role for role in self._layers if role in RECIPROCAL]:
            self.remove(role)
        self._panel = ref(panel) if panel is not None else None
        if panel is not None:
            removals_of(panel)

    def home(self, role: str) -> ViewerModel:
        """Return the viewer in which layers of a role are shown."""
        panel = self._panel() if self._panel is not None and role in RECIPROCAL else None
        viewer = self._viewer()
        if viewer is None:
            raise RuntimeError("the viewer was closed")
        return panel if panel is not None else viewer

    def __getitem__(self, role: str) -> Layer:
        return self._layers[role]

    def get(self, role: str) -> Layer | None:
        """Return the layer of a role, if it exists and the user has not removed it."""
        layer = self._layers.get(role)
        return layer if layer is not None and layer in self.home(role).layers else None

    def plane(self, role: str = "fft") -> Plane | None:
        """Return the plane of a diffractogram, without the offset of the group; None if there is none."""
        layer = self.get(role)
        if layer is None:
            return None
        plane = plane_of(layer.metadata)
        if plane.unit == "1/nm":
            return plane
        return replace(plane, centre=_moved(plane.centre, (-self.offset[0], -self.offset[1])))

    @property
    def roles(self) -> list[str]:
        """Roles of the existing layers."""
        return [role for role in self._layers if self.get(role) is not None]

    def adopt(self, of: str, owned: Collection[Layer] = ()) -> None:
        """Take over layers of the micrograph that exist in the viewer, as from a file.

        Layers of reciprocal space are removed if it is shown in a panel.

        Parameters
        ----------
        of : str
            Name of the micrograph, by which documents of version 0.1 identify it.
        owned : collection of Layer
            Layers of other groups, which can belong to an image with the same pixels.
        """
        for layer in list(self.home("").layers):
            if layer in owned or not belongs_to(layer.metadata, self.content, of):
                continue
            role = layer.metadata[KEY]["role"]
            if self.get(role) is not None:
                continue
            if self.home(role) is self.home(""):
                self._layers[role] = layer
                finish(layer)
            else:
                removals_of(self.home("")).remove(layer)

    @property
    def layers(self) -> list[Layer]:
        """The existing layers."""
        return [self._layers[role] for role in self.roles]

    def show(self, layers: Iterable[LayerData], revive: bool = True) -> list[str]:
        """Add layers, or update those of the same role; returns the roles shown.

        Changes by the user (visibility, opacity, colours, order) are kept.

        Parameters
        ----------
        layers : iterable of LayerData
        revive : bool
            Whether layers that the user has removed are added again.
        """
        unit = length_unit()
        placed = [stamped(in_unit(shifted(each, self.offset), unit), self.content) for each in layers]
        return [self._show(layer) for layer in placed if revive or not self._was_removed(layer)]

    def relabel(self, unit: LengthUnit) -> None:
        """Label the rings by their d in another unit."""
        for role in NAMED_BY_D:
            layer = self.get(role)
            if isinstance(layer, Shapes):
                features = layer.features.to_dict("list")
                layer.features = {**features, "label": d_labels(features, unit)}

    def keep_only(self, roles: Iterable[str]) -> None:
        """Remove the layers of all other roles."""
        for role in set(self._layers) - set(roles):
            self.remove(role)

    def remove(self, role: str) -> None:
        """Remove the layer of a role, if it exists."""
        layer = self.get(role)
        self._layers.pop(role, None)
        if layer is not None:
            removals_of(self.home(role)).remove(layer)

    def set_visible(self, visible: bool) -> None:
        """Hide the whole group, including future layers, or show it again as it was."""
        self._hidden = not visible
        for role in self.roles:
            (bring_back if visible else hide)(self._layers[role])

    def _show(self, layer_data: LayerData) -> str:
        role = role_of(layer_data)
        layer = self.get(role)
        if layer is None:
            layer, home = create(layer_data), self.home(role)
            if self._hidden:
                hide(layer)
            with _selection_kept(home):
                home.layers.insert(self._index(role), layer)
            self._layers[role] = layer
        else:
            update(layer, layer_data)
        return role

    def _was_removed(self, layer_data: LayerData) -> bool:
        role = role_of(layer_data)
        return role in self._layers and self.get(role) is None

    def _index(self, role: str) -> int:
        """Index in the layer list, above all layers of the image that belong below the role."""
        layers = self.home(role).layers
        image = self._image() if self._image is not None else None
        start = layers.index(image) + 1 if image is not None and image in layers else 0
        here = self._of_image(layers, start)
        places: dict[int, str] = {layers.index(layer): layer.metadata[KEY]["role"] for layer in here}
        below = [place for place, other in places.items() if _rank(other) <= _rank(role)]
        return max(below) + 1 if below else min(places, default=start or len(layers))

    def _of_image(self, layers: LayerList, start: int) -> list[Layer]:
        """The layers of the group in a list, and those of other groups of its image, such as the ruler's.

        The latter are searched up to the next image, which can have the same pixels.
        """
        others = [
            layer
            # not a slice, which would be a LayerList: napari keeps the context of each as long as it runs
            for layer in takewhile(lambda each: not is_source(each), islice(layers, start, None))
            if belongs_to(layer.metadata, self.content, "")
        ]
        return [layer for layer in layers if layer in self.layers or layer in others]


def shifted(layer_data: LayerData, offset: tuple[float, float]) -> LayerData:
    """Return a layer tuple shifted in world coordinates (nm); those of a panel (1/nm) are not shifted."""
    data, kwargs, kind = layer_data
    notes = kwargs["metadata"][KEY]
    if offset == (0.0, 0.0) or notes.get("world_unit") == "1/nm":
        return layer_data
    notes = {**notes, **({"centre": _moved(notes["centre"], offset)} if "centre" in notes else {})}
    moved = {"translate": _moved(kwargs["translate"], offset), "metadata": {**kwargs["metadata"], KEY: notes}}
    return data, {**kwargs, **moved}, kind


def _moved(place: Any, offset: tuple[float, float]) -> tuple[float, float]:
    return float(place[0] + offset[0]), float(place[1] + offset[1])


def _rank(role: str) -> int:
    kind: str = role.split()[0]
    return ORDER.index(kind)


def create(layer_data: LayerData) -> Layer:
    """Create a napari layer from a layer tuple."""
    layer = Layer.create(*layer_data)
    finish(layer)
    return layer


def finish(layer: Layer) -> None:
    """Set properties that a layer tuple cannot contain: contrast range, outlines, a colour bar."""
    widen_grey_range(layer)
    if isinstance(layer, Labels):
        layer.contour = int(layer.metadata.get(KEY, {}).get("outline", 0))
    if isinstance(layer, Image) and layer.metadata.get(KEY, {}).get("colour_bar"):
        layer.colorbar.size, layer.colorbar.font_size = COLOUR_BAR
        layer.colorbar.position = "top_left"  # over the image, not over the FFT next to it
        layer.colorbar.visible = True


def widen_grey_range(layer: Layer) -> None:
    """Extend the contrast slider to all grey levels, which a layer tuple cannot contain."""
    ends = layer.metadata.get(KEY, {}).get("grey_range")
    if isinstance(layer, Image) and ends and ends[0] < ends[1]:
        low, high = layer.contrast_limits
        layer.contrast_limits_range = (min(ends[0], low), max(ends[1], high))


def update(layer: Layer, layer_data: LayerData) -> None:
    """Update the data and position of a layer from a layer tuple, but not its appearance."""
    data, kwargs, _ = layer_data
    match layer:
        case Points():
            _update_points(layer, data, kwargs)
        case Shapes():
            _update_shapes(layer, data, kwargs)
        case Labels() if layer.data.shape == data.shape:
            layer.data[...] = data
            if isinstance(kwargs.get("colormap"), dict):
                layer.colormap = kwargs["colormap"]  # colours of labels, which may have changed
            layer.refresh()
        case _:
            layer.data = data
    kept = {name: value for name, value in layer.metadata.get(KEY, {}).items() if name == BEFORE}
    layer.metadata = {**kwargs["metadata"], KEY: {**kwargs["metadata"][KEY], **kept}}
    _move(layer, kwargs)


@contextmanager
def _selection_kept(viewer: ViewerModel) -> Iterator[None]:
    """Keep the selection in the layer list, although napari selects each new layer.

    Listeners are not notified of the intermediate selection, because that takes as long as adding a layer.
    """
    selection = viewer.layers.selection
    chosen = set(selection)
    with selection.events.blocker_all():
        yield
        viewer.layers.selection = chosen


def _move(layer: Layer, kwargs: dict[str, Any]) -> None:
    """Move a layer to its position if needed, because each change makes napari redo its layout."""
    if not np.allclose(layer.scale, kwargs["scale"]):
        layer.scale = kwargs["scale"]
    if not np.allclose(layer.translate, kwargs["translate"]):
        layer.translate = kwargs["translate"]


@contextmanager
def _at_once(layer: Points | Shapes) -> Iterator[None]:
    """Combine several changes of a layer, because napari would redraw everything after each."""
    layer.selected_data = set()
    picture = layer.block_thumbnail_update() if isinstance(layer, Shapes) else nullcontext()
    with picture, layer.events.blocker_all():
        yield
        if not layer.visible:  # for a hidden layer napari would otherwise keep a view of removed data
            layer.visible = True
            layer.visible = False
    layer.events.features()
    layer.refresh()


def _update_points(layer: Points, data: Any, kwargs: dict[str, Any]) -> None:
    with _at_once(layer):
        layer.data = data
        layer.features = kwargs["features"]
        if len(data):
            layer.size = kwargs["size"]
            layer.border_color = kwargs["border_color"]
            layer.face_color = kwargs["face_color"]


def _update_shapes(layer: Shapes, data: Any, kwargs: dict[str, Any]) -> None:
    names = ("shape_type", "edge_width", "edge_color")
    with _at_once(layer):
        layer.data = []
        layer.add(data, **{n: kwargs[n] for n in names}, face_color=kwargs.get("face_color", "transparent"))
        layer.features = kwargs["features"]
