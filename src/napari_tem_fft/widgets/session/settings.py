"""Offer: what the main dock has chosen, for the other docks; it holds neither the image nor the dock."""

from __future__ import annotations

from collections.abc import Callable
from weakref import WeakMethod, ref

from napari.layers import Image
from qtpy.QtCore import QObject, Signal

from ...core.matching.assignment import CandidateSet
from ...core.pipeline import AnalysisParams

Setting = Callable[[], tuple[CandidateSet, AnalysisParams]]


class SharedSettings(QObject):
    """An image, and what gives candidates and parameters; None where there is none or it is gone.

    Signals
    -------
    image_changed()
        Another image is offered, or none.
    """

    image_changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._image: ref[Image] | None = None
        self._setting: WeakMethod[Setting] | None = None

    def make(self, image: Image | None, setting: Setting) -> None:
        """Let other docks know of an image, and of a method that gives candidates and parameters."""
        self._image = ref(image) if image is not None else None
        self._setting = WeakMethod(setting)
        self.image_changed.emit()

    @property
    def image(self) -> Image | None:
        """The image that the main dock has chosen."""
        return self._image() if self._image is not None else None

    @property
    def setting(self) -> Setting | None:
        """What gives candidates and parameters as they stand in the main dock."""
        return self._setting() if self._setting is not None else None
