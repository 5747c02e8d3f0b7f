"""From an HRTEM micrograph to named crystalline components.

Importing the package is cheap: ``read``, ``analyse`` and the others are looked up in
`napari_tem_fft.api` when they are first used (PEP 562).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .api import (
        analyse,
        analyse_series,
        decide,
        export,
        fft_of,
        fringes_of,
        from_signal,
        load,
        mask_of,
        measure_pattern,
        read,
        read_pattern,
        read_sample,
        read_stack,
        save,
        save_results,
        select,
        to_crystal_map,
        to_signals,
        with_deformation,
        with_mask,
        with_spot,
        without_spots,
    )
    from .api.batch import analyse_many

__version__ = "0.2.0"
__all__ = [
    "__version__",
    "analyse",
    "analyse_many",
    "analyse_series",
    "decide",
    "export",
    "fft_of",
    "fringes_of",
    "from_signal",
    "load",
    "mask_of",
    "measure_pattern",
    "read",
    "read_pattern",
    "read_sample",
    "read_stack",
    "save",
    "save_results",
    "select",
    "to_crystal_map",
    "to_signals",
    "with_deformation",
    "with_mask",
    "with_spot",
    "without_spots",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        module = ".api.batch" if name == "analyse_many" else ".api"
        return getattr(import_module(module, __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
