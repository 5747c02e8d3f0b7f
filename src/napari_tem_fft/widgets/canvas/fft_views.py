"""FFTs of a rectangle or a grain, shown over that of the whole image, and Bragg-filtered images."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
from napari.layers import Image, Shapes
from qtpy.QtCore import QObject, QTimer

from ...core.fourier.diffractogram import SpectrumParams, compute_diffractogram, display
from ...core.grains.spectrum import grain_diffractogram
from ...core.image.micrograph import Micrograph, prepared_pixels
from ...core.maps.strain import SHOWN
from ...core.pipeline import Analysis
from ...core.progress import Step
from ...layers.image import LayerData
from ...layers.presenter import Shown
from ...layers.reciprocal_plane import Plane
from ...layers.results import fft_layer, grain_fft_layer, part_layer
from ..session.image_state import ImageState, LayerGroup
from ..session.runner import Runner, tell
from ..session.session import Session
from ..session.source import bring_back, hide, micrograph_from, set_visible


class _Switched(QObject):
    """A view of the current image and selection that the user switches on and off."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._shown: ImageState | None = None
        self.wanted = False

    def want(self, wanted: bool) -> None:
        """Show the view, or what there was before."""
        self.wanted = wanted
        self._follow()

    def _follow(self) -> None:
        """Show the view of what is current and selected now, if it is wanted."""
        raise NotImplementedError


class GrainFft(_Switched):
    """Shows the FFT of the selected grain while switched on; it is computed outside the GUI thread.

    Parameters
    ----------
    session : Session
    """

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.runner = Runner()
        self.runner.stepped.connect(self._on_stepped)
        self.runner.failed.connect(tell)
        session.chosen_changed.connect(self._follow)
        session.current_changed.connect(self._follow)

    @property
    def grain(self) -> int | None:
        """Id of the selected grain, if a single one is selected."""
        chosen = self._session.chosen
        return chosen.grains[0] if chosen is not None and len(chosen.grains) == 1 else None

    def _follow(self) -> None:
        self.runner.cancel()
        if self._shown is not None:
            self._shown.group.remove("grain_fft")
            self._shown = None
        image_state, grain = self._session.current, self.grain
        plane = image_state.group.plane() if image_state is not None else None
        if not self.wanted or grain is None or plane is None:
            return
        if image_state is not None and image_state.analysis is not None:
            self._shown = image_state
            self.runner.start(_grain_steps(image_state.analysis, grain, plane))

    def _on_stepped(self, step: Step) -> None:
        if self._shown is not None and isinstance(step.product, Shown):
            self._shown.group.show(step.product.layers)


def _grain_steps(analysis: Analysis, grain: int, plane: Plane) -> Generator[Step, None, None]:
    number = [each.id for each in analysis.grains].index(grain)
    region = analysis.grain_regions[number]
    found = grain_diffractogram(analysis.micrograph, region, analysis.map_grid, analysis.params.spectrum)
    grid, snr = display(found)
    layer = grain_fft_layer(snr, grid, plane, analysis.micrograph.name, grain)
    yield Step("grain", 1, 1, Shown(grain, (layer,)))


#: Beginnings of the roles of layers that would cover the inverse FFT.
COVERING = ("heat", "selected", "orientation", *SHOWN)


class InverseFft(_Switched):
    """Shows the inverse FFT of the current image and selection while switched on.

    Parameters
    ----------
    session : Session
    """

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        for changed in (session.chosen_changed, session.current_changed, session.found):
            changed.connect(self._follow)

    def _follow(self) -> None:
        image_state = self._session.current if self.wanted else None
        if self._shown is not None and self._shown is not image_state:
            self._give_back(self._shown)
        self._shown = image_state
        if image_state is None or image_state.layer is not self._session.stage.image:
            return
        group, chosen = image_state.group, self._session.chosen
        for role in group.roles:
            if role.split()[0] in COVERING:
                hide(group[role])
        inverse = group.get("ifft")
        if inverse is not None:  # the inverse FFT of a selection lies above it
            inverse.visible = chosen is None or not chosen.spots

    def _give_back(self, image_state: ImageState) -> None:
        """Show the maps again; those of an image that is not shown stay hidden."""
        group = image_state.group
        if (inverse := group.get("ifft")) is not None:
            set_visible(inverse, False)
        if image_state.layer is self._session.stage.image:
            for role in group.roles:
                if role.split()[0] in COVERING:
                    bring_back(group[role])


#: Initial side of the rectangle, in pixels, and smallest side that is transformed.
SIDE, SMALLEST = 512, 32
#: Layers that belong to the FFT of the whole image, and would mislead over that of a part.
OF_THE_WHOLE = ("rings", "mask", "spots", "phase", "choice", "pattern", "region")


class LiveFft(QObject):
    """Shows the FFT of the part of the micrograph inside a rectangle, computed outside the GUI thread.

    While a transform is running, later positions of the rectangle wait, and only the last one is used.

    Parameters
    ----------
    session : Session
        Knows where reciprocal space is shown.
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._micrograph: Micrograph | None = None
        self._group: LayerGroup | None = None
        self._shown: tuple[slice, slice] | None = None
        self._plane: Plane | None = None
        self._timer = QTimer(self, singleShot=True, interval=5)
        self._timer.timeout.connect(self._follow)
        self.runner = Runner()
        self.runner.stepped.connect(self._on_stepped)
        self.runner.stopped.connect(self._follow)

    @property
    def on(self) -> bool:
        """Whether the rectangle exists."""
        return self._group is not None

    def switch_on(self, layer: Image) -> None:
        """Put a rectangle on an image.

        Raises
        ------
        ValueError
            If the image has no pixel size in nm, or is too small; the message says what to do.
        """
        micrograph = micrograph_from(layer, self._session.viewer)
        _ = micrograph.pixel_size
        if min(micrograph.shape) < 2 * SMALLEST:
            raise ValueError(f"{micrograph.name} is too small for the FFT of a part of it")
        self._micrograph, self._shown, self._plane = micrograph, None, self._shown_plane()
        self._group = self._session.new_group(layer, micrograph)
        self._group.show([part_layer(micrograph, min(SIDE, min(micrograph.shape) // 2))])
        part = self._group["part"]
        part.events.set_data.connect(self._on_moved)
        part.mode = "select"
        self._session.viewer.layers.selection.active = part
        self._follow()

    def switch_off(self) -> None:
        """Remove the rectangle and its FFT."""
        group, self._group = self._group, None
        self._micrograph = self._plane = None
        self._timer.stop()
        self.runner.cancel()
        if group is not None:
            group.keep_only(())
        image_state = self._session.current
        if image_state is not None and image_state.layer is self._session.stage.image:
            for layer in filter(None, map(image_state.group.get, OF_THE_WHOLE)):
                bring_back(layer)

    def _shown_plane(self) -> Plane | None:
        """The plane in which the whole FFT is shown, if it is."""
        image_state = self._session.current
        return image_state.group.plane() if image_state is not None else None

    def _on_moved(self, event: Any = None) -> None:
        self._timer.start()

    def _follow(self) -> None:
        """Transform the part inside the rectangle, unless it is shown already or a transform is running."""
        if self._group is None or self._micrograph is None or self.runner.running:
            return
        part = self._group.get("part")
        inside = part_inside(part, self._micrograph) if isinstance(part, Shapes) else None
        if inside is None or inside == self._shown:
            return
        self._shown = inside
        self.runner.start(_steps(self._micrograph, inside, self._plane, self._session.fft_in_viewer))

    def _on_stepped(self, step: Step) -> None:
        if self._group is None or not isinstance(step.product, Shown):
            return
        first = self._group.get("live") is None
        self._group.show(step.product.layers)
        self._plane = self._group.plane("live")
        if first:
            self._lay_over_the_whole()
        image_state = self._session.current
        if image_state is not None:
            for layer in filter(None, map(image_state.group.get, OF_THE_WHOLE)):
                hide(layer)

    def _lay_over_the_whole(self) -> None:
        """Move the new layer directly above the whole FFT, below other layers."""
        image_state = self._session.current
        fft = image_state.group.get("fft") if image_state is not None else None
        if fft is not None and self._group is not None:
            layers = self._group.home("live").layers
            layers.move(layers.index(self._group["live"]), layers.index(fft) + 1)


def part_inside(part: Shapes, micrograph: Micrograph) -> tuple[slice, slice] | None:
    """Return the rows and columns of a micrograph inside the first shape; None if they are too few."""
    if not len(part.data):
        return None
    corners = np.asarray(part.data[0])[:, -2:] / micrograph.pixel_size
    low = np.clip(np.ceil(corners.min(axis=0)), 0, micrograph.shape).astype(int)
    high = np.clip(np.floor(corners.max(axis=0)) + 1, 0, micrograph.shape).astype(int)
    if min(high - low) < SMALLEST:
        return None
    return slice(int(low[0]), int(high[0])), slice(int(low[1]), int(high[1]))


def _steps(
    micrograph: Micrograph, inside: tuple[slice, slice], plane: Plane | None, fft_in_viewer: bool
) -> Generator[Step, None, None]:
    yield Step("part", 1, 1, Shown(inside, (_transform(micrograph, inside, plane, fft_in_viewer),)))


def _transform(
    micrograph: Micrograph, inside: tuple[slice, slice], plane: Plane | None, fft_in_viewer: bool
) -> LayerData:
    part = micrograph.crop(*inside)
    image, _ = prepared_pixels(part)
    grid, snr = display(compute_diffractogram(image, part, SpectrumParams()))
    if plane is None:
        plane = Plane.next_to(micrograph, grid) if fft_in_viewer else Plane()
    return fft_layer(snr, grid, plane, micrograph.name, live=True)
