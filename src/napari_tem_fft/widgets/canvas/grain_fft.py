"""GrainFft: the FFT of the selected grain alone, over that of the whole image."""

from __future__ import annotations

from collections.abc import Generator

from qtpy.QtCore import QObject

from ...core.fourier.diffractogram import display
from ...core.grains.grain_spectrum import grain_diffractogram
from ...core.pipeline import Analysis
from ...core.progress import Step
from ...layers.presenter import Shown
from ...layers.reciprocal_plane import Plane
from ...layers.results import grain_fft_layer
from ..session.image_state import ImageState
from ..session.messages import tell
from ..session.runner import Runner
from ..session.session import Session


class GrainFft(QObject):
    """Shows the transform of the selected grain as long as it is wanted, worked out off the GUI thread.

    Parameters
    ----------
    session : Session
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._shown: ImageState | None = None
        self.wanted = False
        self.runner = Runner()
        self.runner.stepped.connect(self._on_stepped)
        self.runner.failed.connect(tell)
        session.chosen_changed.connect(self._follow)
        session.current_changed.connect(self._follow)

    @property
    def grain(self) -> int | None:
        """The grain that is selected, if it is one alone."""
        chosen = self._session.chosen
        return chosen.grains[0] if chosen is not None and len(chosen.grains) == 1 else None

    def want(self, wanted: bool) -> None:
        """Show the selected grain's transform from now on, or that of the whole again."""
        self.wanted = wanted
        self._follow()

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
            self.runner.start(_steps(image_state.analysis, grain, plane))

    def _on_stepped(self, step: Step) -> None:
        if self._shown is not None and isinstance(step.product, Shown):
            self._shown.group.show(step.product.layers)


def _steps(analysis: Analysis, grain: int, plane: Plane) -> Generator[Step, None, None]:
    number = [each.id for each in analysis.grains].index(grain)
    region = analysis.grain_regions[number]
    found = grain_diffractogram(analysis.micrograph, region, analysis.map_grid, analysis.params.spectrum)
    grid, snr = display(found)
    layer = grain_fft_layer(snr, grid, plane, analysis.micrograph.name, grain)
    yield Step("grain", 1, 1, Shown(grain, (layer,)))
