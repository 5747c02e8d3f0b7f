"""What is remembered from one session to the next, on the plugin's page of napari's Preferences."""

from __future__ import annotations

from typing import Any

from napari.settings import get_plugin_settings

from ..core.lengths import LengthUnit

PLUGIN = "napari-tem-fft"


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
        settings.numbers.angstrom = unit == "angstrom"


def _settings() -> Any:
    """Return the plugin's settings; None where napari does not know the plugin, as in a script."""
    try:
        return get_plugin_settings(PLUGIN)
    except KeyError:
        return None
