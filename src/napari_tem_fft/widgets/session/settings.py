"""Settings: what is remembered from one session to the next, what the main dock has set, and the network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from threading import Lock
from typing import Any
from weakref import WeakMethod, ref

from napari.layers import Image
from napari.settings import get_plugin_settings
from qtpy.QtCore import QObject, Signal

from ...core.fourier.diffractogram import Diffractogram
from ...core.fourier.local_spectra import LocalSpectra
from ...core.matching.assignment import CandidateSet
from ...core.pipeline import AnalysisParams, Segment
from ...core.spots.seeds import Seed
from ...core.text import LengthUnit
from ...nn.inference.model import load_config, load_segmenter, model_folder, names_model
from ...nn.inference.propose import Segmenter

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


class Network(QObject):
    """The chosen model, loaded by the first run that uses it and kept for the next ones.

    Signals
    -------
    listed()
        There are more models than before.
    changed()
        Another model, or none, was chosen.
    """

    listed = Signal()
    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._model: _Model | None = None

    @property
    def name(self) -> str:
        """Name of the chosen model or path of its folder; empty for none."""
        return "" if self._model is None else self._model.name

    def choose(self, name: str) -> None:
        """Choose a model, or none.

        Raises
        ------
        ModelError
            If there is no such model.
        """
        wanted = name if names_model(name) else ""
        if wanted == self.name:
            return
        if wanted:
            load_config(model_folder(wanted))
        self._model = _Model(wanted) if wanted else None
        self.changed.emit()

    def segmenter(self, params: AnalysisParams) -> Segment | None:
        """What proposes spots in a run with these parameters; None for the statistics alone.

        The weights are read when it is first called, which a worker does.

        Raises
        ------
        ModelError
            If there is no such model.
        """
        self.choose(params.network)
        model, false_alarms = self._model, params.spots.false_alarms
        if model is None:
            return None
        return lambda diffractogram, spectra: model.propose(diffractogram, spectra, false_alarms)


class _Model:
    """A model whose weights are read once, at its first use."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._loading = Lock()
        self._segmenter: Segmenter | None = None

    def propose(
        self, diffractogram: Diffractogram, spectra: LocalSpectra, false_alarms: float
    ) -> Sequence[Seed]:
        with self._loading:
            if self._segmenter is None:
                self._segmenter = load_segmenter(self.name)
        return replace(self._segmenter, false_alarms=false_alarms)(diffractogram, spectra)


PLUGIN = "napari-tem-fft"


class Units(QObject):
    """Tells all docks of another choice of units.

    Signals
    -------
    changed()
        Lengths are shown in another unit from now on.
    """

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._watched: object = None

    def watch(self) -> None:
        """Hear of a choice on napari's Preferences page too."""
        settings = _settings()
        if settings is not None and settings is not self._watched:
            self._watched = settings
            settings.numbers.events.angstrom.connect(self._on_chosen)

    def _on_chosen(self, event: Any = None) -> None:
        self.changed.emit()


#: The one of the process, for napari's preferences are.
units = Units()


def fft_in_panel() -> bool:
    """Whether reciprocal space is shown in a panel of its own."""
    settings = _settings()
    return bool(settings.layout.fft_panel) if settings is not None else False


def remember_fft_in_panel(wanted: bool) -> None:
    """Keep the choice; napari writes it to its folder of settings."""
    settings = _settings()
    if settings is not None:
        settings.layout.fft_panel = wanted


def length_unit() -> LengthUnit:
    """In what lattice spacings and cells are shown."""
    settings = _settings()
    return "angstrom" if settings is not None and settings.numbers.angstrom else "nm"


def remember_length_unit(unit: LengthUnit) -> None:
    """Keep the choice; napari writes it to its folder of settings."""
    settings = _settings()
    if settings is not None:
        units.watch()
        settings.numbers.angstrom = unit == "angstrom"


def library_searched() -> bool:
    """Whether the user's library of phases takes part in analyses."""
    settings = _settings()
    return bool(settings.library.search) if settings is not None else False


def remember_library_searched(wanted: bool) -> None:
    """Keep the choice; napari writes it to its folder of settings."""
    settings = _settings()
    if settings is not None:
        settings.library.search = wanted


def remembered_network() -> str:
    """Name of the network that was chosen last, or path of its folder; empty for the default."""
    settings = _settings()
    return str(settings.network.model) if settings is not None else ""


def remember_network(name: str) -> None:
    """Keep the choice; napari writes it to its folder of settings."""
    settings = _settings()
    if settings is not None:
        settings.network.model = name


def _settings() -> Any:
    """Return the plugin's settings; None where napari does not know the plugin, as in a script."""
    try:
        return get_plugin_settings(PLUGIN)
    except KeyError:
        return None
