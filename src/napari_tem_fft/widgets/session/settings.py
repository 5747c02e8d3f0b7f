"""Persistent settings, the settings of the main dock shared with other docks, and the chosen network."""

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
    """The chosen image, and a function that returns candidates and parameters; None if there is none.

    Signals
    -------
    image_changed()
        Another image was chosen, or none.
    """

    image_changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._image: ref[Image] | None = None
        self._setting: WeakMethod[Setting] | None = None

    def make(self, image: Image | None, setting: Setting) -> None:
        """Share an image, and a method that returns candidates and parameters, with other docks."""
        self._image = ref(image) if image is not None else None
        self._setting = WeakMethod(setting)
        self.image_changed.emit()

    @property
    def image(self) -> Image | None:
        """The image that the main dock has chosen."""
        return self._image() if self._image is not None else None

    @property
    def setting(self) -> Setting | None:
        """A function that returns the present candidates and parameters of the main dock."""
        return self._setting() if self._setting is not None else None


class Network(QObject):
    """The chosen model, which is loaded by the first run that uses it and kept for later runs.

    Signals
    -------
    listed()
        The list of models has changed.
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
        """Return the function that proposes spots in a run with these parameters; None if there is none.

        The weights are read at its first call, which happens in a worker.

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
    """A model whose weights are read at its first use."""

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
    """Notifies all docks of a change of units.

    Signals
    -------
    changed()
        The displayed unit of lengths has changed.
    """

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._watched: object = None

    def watch(self) -> None:
        """Also listen to changes on napari's Preferences page."""
        settings = _settings()
        if settings is not None and settings is not self._watched:
            self._watched = settings
            settings.numbers.events.angstrom.connect(self._on_chosen)

    def _on_chosen(self, event: Any = None) -> None:
        self.changed.emit()


#: A single object per process, like napari's preferences.
units = Units()


def fft_in_panel() -> bool:
    """Whether reciprocal space is shown in a panel of its own."""
    return bool(_remembered("layout", "fft_panel", False))


def remember_fft_in_panel(wanted: bool) -> None:
    """Save the choice in the settings of napari."""
    _remember("layout", "fft_panel", wanted)


def length_unit() -> LengthUnit:
    """Unit in which lattice spacings and cells are shown."""
    return "angstrom" if _remembered("numbers", "angstrom", False) else "nm"


def remember_length_unit(unit: LengthUnit) -> None:
    """Save the choice in the settings of napari."""
    units.watch()
    _remember("numbers", "angstrom", unit == "angstrom")


def library_searched() -> bool:
    """Whether analyses search the user's library of phases."""
    return bool(_remembered("library", "search", False))


def remember_library_searched(wanted: bool) -> None:
    """Save the choice in the settings of napari."""
    _remember("library", "search", wanted)


def remembered_network() -> str:
    """Name of the last chosen network, or path of its folder; empty for the default."""
    return str(_remembered("network", "model", ""))


def remember_network(name: str) -> None:
    """Save the choice in the settings of napari."""
    _remember("network", "model", name)


def _remembered(page: str, name: str, default: object) -> object:
    settings = _settings()
    return default if settings is None else getattr(getattr(settings, page), name)


def _remember(page: str, name: str, value: object) -> None:
    settings = _settings()
    if settings is not None:
        setattr(getattr(settings, page), name, value)


def _settings() -> Any:
    """Return the settings of the plugin; None if napari does not know the plugin, as in a script."""
    try:
        return get_plugin_settings(PLUGIN)
    except KeyError:
        return None
