"""Show what is under the cursor in the status bar, and select it by a click."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any
from weakref import ref

import numpy as np
from napari.components import ViewerModel
from napari.layers import Layer

from ...core.spots.spot import Spot
from ...core.text import LengthUnit, frequency, spacing
from ...layers.image import KEY
from ...layers.results import plane_of
from ..forms.match_rows import match_words
from ..session.image_state import ImageState
from ..session.selection import Selection, explanation, grain_chosen, nearest_line, spot_chosen
from ..session.settings import length_unit


class Readout:
    """Status text in place of napari's, which would give nm in reciprocal space.

    Parameters
    ----------
    viewer : ViewerModel
    current : callable
        Returns the state of the image whose diffractogram is shown.

    Notes
    -----
    napari computes its text in a thread and sets it when it is ready. This text is set immediately after.
    """

    def __init__(self, viewer: ViewerModel, current: Callable[[], ImageState | None]) -> None:
        self._viewer = ref(viewer)
        self._current = current
        viewer.events.status.connect(self._on_status)

    def follow(self, panel: ViewerModel) -> None:
        """Also show the status text for the cursor in the viewer of a panel, which has no status bar."""
        panel.mouse_move_callbacks.append(self._on_panel_move)

    def _on_panel_move(self, panel: ViewerModel, event: Any) -> None:
        viewer = self._viewer()
        if viewer is not None:
            viewer.status = self.text(event.position, panel) or "Ready"

    def _on_status(self, event: Any = None) -> None:
        viewer = self._viewer()
        if viewer is None or not viewer.mouse_over_canvas:
            return
        text = self.text(viewer.cursor.position, viewer)
        if text:
            viewer.status = text

    def text(self, position: Sequence[float], viewer: ViewerModel) -> str:
        """Describe a world position of a viewer; empty outside the diffractogram."""
        image_state = self._current()
        layer = image_state.group.get("fft") if image_state is not None else None
        if image_state is None:
            return ""
        if image_state.layer in viewer.layers and image_state.layer.visible:
            here = grain_words(image_state, position)
            if here is not None:
                return here
        if layer is None or not layer.visible or layer not in viewer.layers:
            return ""
        gy, gx = plane_of(layer.metadata).frequency(position)
        steps = layer.metadata[KEY]["step_1_nm"]
        reach = [size * step / 2 for size, step in zip(layer.data.shape, steps, strict=True)]
        if abs(gy) > reach[0] or abs(gx) > reach[1]:
            return ""
        spot = spot_at((gy, gx), image_state.spots)
        match = explanation(image_state, spot) if spot else nearest_line(image_state, float(np.hypot(gy, gx)))
        return "   ".join(filter(None, (describe((gy, gx), image_state.spots, length_unit()), match)))


def grain_words(image_state: ImageState, position: Sequence[float]) -> str | None:
    """Describe a position in the micrograph in nm, with its grain and phase; None outside."""
    if not inside(image_state.layer, position):
        return None
    y, x = (p - o for p, o in zip(position[-2:], image_state.group.offset, strict=True))
    number = grain_at(image_state, position)
    place = f"{image_state.micrograph.name}   x {x:.2f} nm   y {y:.2f} nm"
    if number is None:
        return place
    matches = [match for match in image_state.matches if match.grain == number]
    names = "; ".join(f"{' / '.join(match.phases)} {match_words(match)}".strip() for match in matches)
    return f"{place}   grain {number}: {names}"


def grain_at(image_state: ImageState, world: Sequence[float]) -> int | None:
    """Return the id of the smallest grain at a world position (y, x) in nm."""
    analysis = image_state.analysis
    if analysis is None or not analysis.grains:
        return None
    (py, px), size = analysis.micrograph.pixel_size, analysis.map_grid.pixel_size
    y, x = (w - o for w, o in zip(world[-2:], image_state.group.offset, strict=True))
    row, column = int((y + py / 2) / size[0]), int((x + px / 2) / size[1])
    place = slice(row, row + 1), slice(column, column + 1)
    regions = zip(analysis.grains, analysis.grain_regions, strict=True)
    here = [grain for grain, region in regions if region.touches(place)]
    return min(here, key=lambda grain: grain.area).id if here else None


def inside(layer: Layer, world: Sequence[float]) -> bool:
    """Whether a world position is inside an image."""
    cell = np.round(layer.world_to_data(world))[-2:]
    return bool(np.all(cell >= 0) and np.all(cell < layer.data.shape[-2:]))


def describe(g: tuple[float, float], spots: Sequence[Spot], unit: LengthUnit = "nm") -> str:
    """Describe a frequency: d, |g|, angle, and the spot there, if any.

    Parameters
    ----------
    g : tuple of float, (y, x), 1/nm
    spots : sequence of Spot
    unit : {"nm", "angstrom"}
    """
    length = float(np.hypot(*g))
    if length == 0:
        return "g = 0"
    azimuth = float(np.degrees(np.arctan2(-g[0], g[1])) % 180)
    text = f"d = {spacing(1 / length, unit=unit)}   g = {frequency(length, unit)}   {azimuth:.1f}°"
    spot = spot_at(g, spots)
    if spot is None:
        return text
    return f"{text}   spot {spot.id}: {spacing(spot.d, spot.d_sigma, unit)}, SNR {spot.snr:.0f}"


def spot_at(g: tuple[float, float], spots: Sequence[Spot]) -> Spot | None:
    """Find the enabled spot whose disc, at +g or -g, contains a frequency; the nearest of several."""

    def distance(spot: Spot) -> float:
        return float(min(np.hypot(g[0] - s * spot.g[0], g[1] - s * spot.g[1]) for s in (1, -1)))

    near = [spot for spot in spots if spot.enabled and distance(spot) <= 1.3 * spot.radius]
    return min(near, key=distance, default=None)


#: Modes in which a click selects instead of using a tool.
LOOKING = ("pan_zoom",)


class Picker:
    """Selects what is clicked (without a drag) on the canvas, while no tool is active.

    Parameters
    ----------
    viewer : ViewerModel
    current : callable
        Returns the state of the image that is shown.
    choose : callable
        Called with the selection, or with None for a click on nothing.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        current: Callable[[], ImageState | None],
        choose: Callable[[Selection | None], None],
    ) -> None:
        self._current = current
        self._choose = choose
        self.follow(viewer)

    def follow(self, viewer: ViewerModel) -> None:
        """Listen to clicks in a viewer, including that of a panel."""
        viewer.mouse_drag_callbacks.append(self._on_drag)

    def _on_drag(self, viewer: ViewerModel, event: Any) -> Generator[None, None, None]:
        active = viewer.layers.selection.active
        if active is not None and str(active.mode) not in LOOKING:
            return
        moved = yield from moves(event)
        image_state = self._current()
        if not moved and image_state is not None and image_state.analysis is not None:
            self._choose(chosen_at(image_state, event.position, viewer))


def moves(event: Any) -> Generator[None, None, bool]:
    """Follow the mouse until its button is released; tells whether it has moved."""
    moved = False
    yield
    while event.type == "mouse_move":
        moved = True
        yield
    return moved


def chosen_at(image_state: ImageState, world: Sequence[float], viewer: ViewerModel) -> Selection | None:
    """Return what is at a world position of a viewer: a spot of the FFT, or a grain of the micrograph."""
    fft = image_state.group.get("fft")
    if fft is not None and fft in viewer.layers and fft.visible and inside(fft, world):
        spot = spot_at(plane_of(fft.metadata).frequency(world), image_state.spots)
        return spot_chosen(image_state, spot) if spot is not None else None
    if image_state.layer in viewer.layers and inside(image_state.layer, world):
        grain = grain_at(image_state, world)
        return grain_chosen(image_state, grain) if grain is not None else None
    return None
