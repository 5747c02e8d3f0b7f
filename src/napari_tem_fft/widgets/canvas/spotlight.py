"""Spotlight: emphasise the selection in all layers, and dim the rest."""

from __future__ import annotations

from collections.abc import Collection, Generator

from napari.layers import Points
from qtpy.QtCore import QObject, Signal

from ...core.crystal.phase import Phase
from ...core.fourier.mask import SpectrumRegion
from ...core.matching import Candidate
from ...core.pipeline import Analysis, MaskPainted
from ...core.progress import Step
from ...core.spots.spot import Spot
from ...layers.image import KEY
from ...layers.presenter import Shown, chosen_layers, indexed_layers, phase_layer, region_layers
from ...layers.reciprocal_plane import Plane
from ...layers.results import role_of
from ..session.image_state import ImageState
from ..session.runner import Runner
from ..session.selection import Selection

#: Factor on the opacity of the maps of components that are not selected.
DIMMED = 0.15
ROLES = ("fringes", "choice", "phase", "region", "selected", "pattern", "angle")


class Spotlight(QObject):
    """Shows a selection on the layers; its inverse transform is computed outside the GUI thread.

    Signals
    -------
    profile_shown()
        The masked profile has become that of a region, or again that of the spots.
    """

    profile_shown = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._runner = Runner()
        self._runner.stepped.connect(self._on_stepped)
        self._shown_state: ImageState | None = None
        self._previewing = False

    @property
    def runner(self) -> Runner:
        """The runner that computes the pictures of a selection."""
        return self._runner

    def put_on(self, image_state: ImageState, chosen: Selection) -> None:
        """Emphasise a selection."""
        self._shown_state = image_state
        self._select_points(image_state, chosen)
        self._hide_rings(image_state)
        self._dim_maps(image_state, chosen)
        spots = [spot for spot in image_state.spots if spot.id in chosen.spots]
        plane = image_state.group.plane()
        grains = self._grains_alone(image_state, chosen)
        if image_state.analysis is not None and plane is not None and (spots or grains):
            indexed = chosen.grains[0] if len(chosen.grains) == 1 else None
            asked = indexed, chosen.candidate
            self._runner.start(_pictures(image_state.analysis, plane, spots, grains, *asked))

    def show_phase(self, image_state: ImageState, phase: str, scale: float) -> None:
        """Draw the rings of a phase with (hkl), at their positions by the calibration of the image.

        Parameters
        ----------
        image_state : ImageState
        phase : str
            Id of the phase.
        scale : float
            Factor on the measured d that fits the phase best.
        """
        wanted = image_state.phases.get(phase)
        if wanted is not None:
            self._show_rings(image_state, wanted, scale, compared=False)

    def compare(self, image_state: ImageState, phase: Phase | None) -> None:
        """Draw the rings of any phase, at their positions by the known scale; None removes them."""
        image_state.group.remove("compare")
        if phase is not None and image_state.analysis is not None:
            geometry = image_state.analysis.geometry
            scale = geometry.scale if geometry is not None and geometry.grains else 1.0
            self._show_rings(image_state, phase, scale, compared=True)

    def _show_rings(self, image_state: ImageState, phase: Phase, scale: float, compared: bool) -> None:
        plane = image_state.group.plane()
        if image_state.analysis is not None and plane is not None:
            layer = phase_layer(image_state.analysis, plane, phase, scale, compared)
            image_state.group.remove(role_of(layer))
            image_state.group.show([layer])

    def show_region(self, image_state: ImageState, region: SpectrumRegion) -> None:
        """Show the fringes and the profile of a region of reciprocal space."""
        if image_state.analysis is not None:
            self._shown_state = image_state
            self._runner.start(_region_pictures(image_state.analysis, region))

    def put_out(self, image_state: ImageState) -> None:
        """Show all layers as without a selection."""
        self._runner.cancel()
        self._shown_state = None
        if image_state.analysis is not None and self._previewing:
            image_state.take(MaskPainted(image_state.analysis.profiles))
            self._previewing = False
            self.profile_shown.emit()
        for role in ROLES:
            image_state.group.remove(role)
        points = image_state.group.get("spots")
        if isinstance(points, Points):
            points.selected_data = set()
        for role in image_state.group.roles:
            layer = image_state.group[role]
            layer.opacity = layer.metadata[KEY].pop("own_opacity", layer.opacity)
            layer.visible = layer.metadata[KEY].pop("own_visible", layer.visible)

    def _select_points(self, image_state: ImageState, chosen: Selection) -> None:
        points = image_state.group.get("spots")
        if isinstance(points, Points):
            ids = list(points.features["spot"])
            points.selected_data = {i for i, spot in enumerate(ids) if spot in chosen.spots}

    def _hide_rings(self, image_state: ImageState) -> None:
        """Hide the rings of all peaks, whose labels would overlap those of the selection."""
        rings = image_state.group.get("rings")
        if rings is not None:
            rings.metadata[KEY].setdefault("own_visible", rings.visible)
            rings.visible = False

    def _dim_maps(self, image_state: ImageState, chosen: Selection) -> None:
        for component in image_state.components:
            layer = image_state.group.get(f"heat {component.name}")
            if layer is None:
                continue
            own = layer.metadata[KEY].setdefault("own_opacity", layer.opacity)
            layer.opacity = own if set(component.grains) <= set(chosen.grains) else DIMMED * own

    def _grains_alone(self, image_state: ImageState, chosen: Selection) -> set[int]:
        """Selected grains whose component has other grains, which its map would show as well."""
        whole = [set(c.grains) for c in image_state.components if set(c.grains) <= set(chosen.grains)]
        return set(chosen.grains).difference(*whole)

    def _on_stepped(self, step: Step) -> None:
        if self._shown_state is not None and isinstance(step.product, Shown):
            self._shown_state.group.show(step.product.layers)
            if isinstance(step.product.product, MaskPainted):
                self._shown_state.take(step.product.product)
                self._previewing = True
                self.profile_shown.emit()


def _region_pictures(analysis: Analysis, region: SpectrumRegion) -> Generator[Step, None, None]:
    profiles, fringes = region_layers(analysis, region)
    yield Step("region", 1, 1, Shown(MaskPainted(profiles), (fringes,)))


def _pictures(
    analysis: Analysis,
    plane: Plane,
    spots: list[Spot],
    grains: Collection[int],
    indexed: int | None,
    candidate: Candidate | None,
) -> Generator[Step, None, None]:
    layers = chosen_layers(analysis, plane, spots, grains)
    pattern = indexed_layers(analysis, plane, indexed, candidate) if indexed is not None else ()
    if pattern and len(spots) > 1:  # (hkl) at the spots instead of rings with d
        layers = tuple(layer for layer in layers if role_of(layer) != "choice")
    layers += pattern
    yield Step("choice", 1, 1, Shown(spots, layers))
