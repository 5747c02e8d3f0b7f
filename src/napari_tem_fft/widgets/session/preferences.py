"""What is remembered from one session to the next, on the plugin's page of napari's Preferences."""

from __future__ import annotations

from typing import Any

from napari.settings import get_plugin_settings
from qtpy.QtCore import QObject, Signal

from ...core.lengths import LengthUnit

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
