"""Ruler: a line drawn on the image or its FFT, with length, direction and profile."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from napari.components import ViewerModel
from napari.layers import Image
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Signal

from ...core.image.line_profile import LineProfile, azimuth_of, line_profile
from ...core.spots.spot import Spot
from ...core.text import LengthUnit, frequency, spacing
from ...layers.image import KEY
from ...layers.reciprocal_plane import Plane, Point
from ...layers.results import line_layer, plane_of
from ..session.image_state import LayerGroup
from ..session.settings import length_unit
from ..session.source import micrograph_from
from .cursor import inside, spot_at

Space = Literal["image", "fft"]
#: Diffractograms on which a line can be drawn.
SPECTRA = ("fft", "live", "grain_fft")
#: A line shorter than this share of the picture's width is a click, which removes the last line.
SHORTEST = 0.004
#: An end of a line in the FFT within this distance of g = 0, as a share of the picture's width, snaps to it.
NEAR_CENTRE = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """Measurement on a line.

    Attributes
    ----------
    space : {"image", "fft"}
    unit : str
        Unit of positions: "nm", "1/nm" or "pixel".
    profile : LineProfile
    label, words : str
        Label next to the line, and the full description.
    """

    space: Space
    unit: str
    profile: LineProfile
    label: str
    words: str


@dataclass(frozen=True, slots=True, eq=False)
class _Ground:
    """The picture on which a line is drawn."""

    space: Space
    layer: Image
    pixels: NDArray[Any]
    step: tuple[float, float]
    unit: str
    plane: Plane | None
    of: str
    spots: Sequence[Spot] = ()

    @property
    def width(self) -> float:
        """Width of the picture, in `unit`."""
        return float(self.pixels.shape[1] * self.step[1])

    @property
    def field(self) -> tuple[Point, Point]:
        """Corners with the smallest and largest coordinates."""
        low = [
            -(n // 2) * s if self.space == "fft" else 0.0
            for n, s in zip(self.pixels.shape, self.step, strict=True)
        ]
        high = [start + n * s for start, n, s in zip(low, self.pixels.shape, self.step, strict=True)]
        return (low[0], low[1]), (high[0], high[1])

    def place(self, world: Sequence[float]) -> Point:
        """Convert a world position to the unit of the picture; on a diffractogram, relative to g = 0."""
        if self.space == "fft":
            return plane_of(self.layer.metadata).frequency(world)
        y, x = np.subtract(world[-2:], self.layer.translate[-2:])
        return float(y), float(x)

    def snapped(self, place: Point) -> Point:
        """Snap a position to a nearby spot, or to the centre of a diffractogram."""
        if self.space == "image":
            return place
        if np.hypot(*place) < NEAR_CENTRE * self.width:
            return 0.0, 0.0
        spot = spot_at(place, self.spots)
        if spot is None:
            return place
        return spot.g if np.dot(spot.g, place) >= 0 else (-spot.g[0], -spot.g[1])

    def profile(self, start: Point, end: Point, width: int) -> LineProfile:
        """Profile of the picture along a line."""
        if self.space == "image":
            return line_profile(self.pixels, self.step, start, end, width)
        first = np.multiply(self.step, [-(n // 2) for n in self.pixels.shape])
        a, b = ((place[0] - float(first[0]), place[1] - float(first[1])) for place in (start, end))
        return replace(line_profile(self.pixels, self.step, a, b, width), start=start, end=end)


class Ruler(QObject):
    """Measures lines while the tool "line" is active; one line is shown at a time.

    Parameters
    ----------
    session : Session

    Signals
    -------
    measured(object)
        `Measured` of the drawn line, or None if it was removed.
    """

    measured = Signal(object)

    def __init__(self, session: Any) -> None:
        super().__init__()
        self._session = session
        self._group: LayerGroup | None = None  # of the image that is shown, once there was a line
        self._ground: _Ground | None = None
        self._before: tuple[Space, float] | None = None
        self.width = 1
        self.last: Measured | None = None

    def follow_tools(self) -> None:
        """Remove the line when another drawing tool is activated."""
        if self._session.tools.tool not in ("look", "line"):
            self.clear()

    def follow(self, viewer: ViewerModel) -> None:
        """Listen to the mouse in a viewer, including that of a panel."""
        viewer.mouse_drag_callbacks.append(self._on_drag)

    def clear(self) -> None:
        """Remove the line."""
        self._rub_out()
        self._group, self._before = None, None

    def _rub_out(self) -> None:
        self._ground = None
        if self._group is not None:
            self._group.keep_only(())
        if self.last is not None:
            self.last = None
            self.measured.emit(None)

    def set_width(self, pixels: int) -> None:
        """Average over this many pixels across the line."""
        self.width = pixels
        if self.last is not None and self._ground is not None:
            profile = self._ground.profile(self.last.profile.start, self.last.profile.end, pixels)
            self.last = replace(self.last, profile=profile)
            self.measured.emit(self.last)

    def _on_drag(self, viewer: ViewerModel, event: Any) -> Generator[None, None, None]:
        active = viewer.layers.selection.active
        if self._session.tools.tool != "line" or (active is not None and str(active.mode) != "pan_zoom"):
            return
        ground = self._ground_at(viewer, event.position)
        if ground is None:
            return
        camera = viewer.scene.camera
        pan, camera.mouse_pan = camera.mouse_pan, False
        start = ground.snapped(ground.place(event.position))
        end = start
        self._rub_out()
        if self._group is None:
            self._group = self._session.new_group(self._session.stage.image, self._micrograph())
        try:
            yield
            while event.type == "mouse_move":
                end = ground.snapped(ground.place(event.position))
                self._draw(ground, start, end)
                yield
        finally:
            camera.mouse_pan = pan
        self._finish(ground, start, end)

    def _micrograph(self) -> Any:
        state, image = self._session.current, self._session.stage.image
        known = state is not None and state.layer is image
        return state.micrograph if known else micrograph_from(image, self._session.viewer)

    def _ground_at(self, viewer: ViewerModel, world: Sequence[float]) -> _Ground | None:
        """The diffractogram, or the image, at a world position."""
        for layer in reversed(viewer.layers):
            role = layer.metadata.get(KEY, {}).get("role")
            if role in SPECTRA and layer.visible and inside(layer, world):
                return self._spectrum(layer, role)
        image = self._session.stage.image
        if image is None or image not in viewer.layers or not inside(image, world):
            return None
        micrograph = self._micrograph()
        calibration = micrograph.calibration
        return _Ground(
            "image", image, micrograph.pixels, calibration.scale, calibration.unit, None, micrograph.name
        )

    def _spectrum(self, layer: Image, role: str) -> _Ground:
        state, plane = self._session.current, plane_of(layer.metadata)
        if plane.unit != "1/nm":  # the offset of the group is added to its layers
            centre = np.subtract(plane.centre, self._session.stage.image.translate[-2:])
            plane = replace(plane, centre=(float(centre[0]), float(centre[1])))
        spots = state.spots if state is not None and role == "fft" else ()
        step, of = layer.metadata[KEY]["step_1_nm"], layer.metadata[KEY]["of"]
        return _Ground("fft", layer, layer.data, (float(step[0]), float(step[1])), "1/nm", plane, of, spots)

    def _draw(self, ground: _Ground, start: Point, end: Point) -> None:
        if self._group is None:
            return
        label = measured_words(start, end, ground.unit, length_unit())
        drawn = label.replace("⁻¹, d", "⁻¹\nd")  # two lines, so that both fit
        where = ground.field, ground.plane, ground.unit
        self._group.show([line_layer(start, end, drawn, ground.of, *where)])
        self._session.tools.said.emit(label)

    def _finish(self, ground: _Ground, start: Point, end: Point) -> None:
        if np.hypot(end[0] - start[0], end[1] - start[1]) < SHORTEST * ground.width:
            self.clear()
            self._session.tools.said.emit("")
            return
        label = measured_words(start, end, ground.unit, length_unit())
        azimuth = azimuth_of(start, end)
        words = label
        if self._before is not None and self._before[0] == ground.space:
            turn = abs((azimuth - self._before[1] + 90) % 180 - 90)
            words = f"{label}; {turn:.1f}° to the line before"
        self._before, self._ground = (ground.space, azimuth), ground
        profile = ground.profile(start, end, self.width)
        self.last = Measured(ground.space, ground.unit, profile, label, words)
        self._session.tools.said.emit(words)
        self.measured.emit(self.last)


def measured_words(start: Point, end: Point, unit: str, lengths: LengthUnit = "nm") -> str:
    """Describe the length and direction of a line: in nm or pixels, or as g and d in reciprocal space.

    Examples
    --------
    >>> measured_words((0.0, 0.0), (3.0, 4.0), "nm")
    '5.000 nm, 143.1°'
    >>> measured_words((0.0, 0.0), (0.0, 4.0), "1/nm")
    'g = 4.000 nm⁻¹, d = 0.2500 nm, 0.0°'
    """
    size = float(np.hypot(end[0] - start[0], end[1] - start[1]))
    direction = f"{azimuth_of(start, end):.1f}°"
    if unit == "1/nm":
        d = spacing(1 / size, unit=lengths) if size > 0 else "∞"
        return f"g = {frequency(size, lengths)}, d = {d}, {direction}"
    return f"{size:.3f} nm, {direction}" if unit == "nm" else f"{size:.1f} {unit}s, {direction}"
