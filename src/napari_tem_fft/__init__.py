"""From an HRTEM micrograph to named crystalline components.

Importing the package is cheap: ``read``, ``analyse`` and the others are looked up in
`napari_tem_fft.api` when they are first used (PEP 562).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .api import analyse, load, measure_pattern, read, read_pattern, save

__version__ = "0.1.0.dev0"
__all__ = ["__version__", "analyse", "load", "measure_pattern", "read", "read_pattern", "save"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module(".api", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
