"""Micrograph and maps as HyperSpy signals, in memory and as .hspy or .zspy files with axes in nm; and back.

The files are written with rosettasciio, which HyperSpy itself uses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ... import __version__
from ...core.image.micrograph import Micrograph
from ...core.pipeline import Analysis
from ..plain import ReadError
from ..readers.data_sets import contents, micrograph_of
from ..results.description import describe_micrograph
from ..results.map_files import label_planes

if TYPE_CHECKING:
    from hyperspy.signals import Signal2D

#: Names of the signals of an analysis and of their files.
MICROGRAPH, COMPONENTS, GRAINS, SPECIMEN = "micrograph", "components", "grains", "specimen"
#: This package's node in HyperSpy's metadata.
NODE = "napari_tem_fft"


def signal_dictionaries(analysis: Analysis) -> dict[str, dict[str, Any]]:
    """Micrograph and maps as the dictionaries used by rosettasciio and HyperSpy.

    Returns
    -------
    dict
        "micrograph" (y, x); "components" (component, y, x), strength from 0 to 1, where 0.5 or more is
        inside the component; "grains" (plane, y, x), ids, with as many planes as overlaps need;
        "specimen" (y, x). Without grains there are no components.
    """
    image, grid = analysis.micrograph, analysis.map_grid
    labels = label_planes(analysis.grains, analysis.grain_regions, grid)
    signals = {
        MICROGRAPH: _signal(image.pixels, image.pixel_size, image.name, _micrograph_metadata(image)),
        GRAINS: _signal(labels, grid.pixel_size, "grains", {}, "plane"),
        SPECIMEN: _signal(analysis.specimen.astype(np.uint8), grid.pixel_size, "specimen", {}),
    }
    if analysis.components:
        heats = np.stack([component.heat for component in analysis.components])
        about = {
            "components": [component.name for component in analysis.components],
            "outcomes": [str(component.outcome) for component in analysis.components],
            "areas_nm2": [float(component.area) for component in analysis.components],
        }
        signals[COMPONENTS] = _signal(heats, grid.pixel_size, "components", about, "component")
    return signals


def to_signals(analysis: Analysis) -> dict[str, Signal2D]:
    """Micrograph and maps as HyperSpy signals (extra `exchange`); see `signal_dictionaries`.

    Raises
    ------
    ImportError
        If HyperSpy is not installed.

    Examples
    --------
    >>> from napari_tem_fft import analyse, read_sample
    >>> to_signals(analyse(read_sample("edge")))["micrograph"].plot()  # doctest: +SKIP
    """
    from hyperspy.signals import Signal2D

    return {name: Signal2D(**one) for name, one in signal_dictionaries(analysis).items()}


def from_signal(signal: Signal2D, name: str = "") -> Micrograph:
    """Create a micrograph from a two-dimensional HyperSpy signal.

    Parameters
    ----------
    signal : Signal2D
        A single image; its axes give the scale in any unit of length.
    name : str
        Name for display; by default the signal's title.

    Raises
    ------
    ReadError
        If the signal is not a single image.

    Examples
    --------
    >>> import hyperspy.api as hs  # doctest: +SKIP
    >>> from napari_tem_fft import analyse  # doctest: +SKIP
    >>> analyse(from_signal(hs.load("micrograph.zspy")))  # doctest: +SKIP
    """
    title = name or str(signal.metadata.get_item("General.title", "") or "signal")
    plain = {
        "data": np.asarray(signal.data),
        "axes": [axis.get_axis_dictionary() for axis in signal.axes_manager._axes],
        "metadata": signal.metadata.as_dictionary(),
        "original_metadata": signal.original_metadata.as_dictionary(),
    }
    kind = contents(plain)
    if kind.kind != "image":
        raise ReadError(
            title, f"not an image but {kind.description}", "choose an image of it, such as signal.inav[0]"
        )
    return micrograph_of(plain, Path(title), title, _hash_of(plain["metadata"]))


def write_hspy(folder: str | Path, analysis: Analysis) -> list[Path]:
    """Write micrograph and maps into a folder as .hspy files (HDF5); see `signal_dictionaries`."""
    return _write(folder, analysis, "hspy")


def write_zspy(folder: str | Path, analysis: Analysis) -> list[Path]:
    """Write micrograph and maps into a folder as .zspy files (Zarr); see `signal_dictionaries`.

    They are written with zarr 2 (extra `zspy`), which cannot be installed beside napari, which needs zarr 3.

    Raises
    ------
    ImportError
        If zarr 2 is not installed.
    """
    if not zarr_is_2():
        raise ImportError(
            ".zspy files need zarr 2: write .hspy, or install napari-tem-fft[zspy] in an environment without"
            " napari, which needs zarr 3"
        )
    return _write(folder, analysis, "zspy")


def zarr_is_2() -> bool:
    """Whether zarr 2 is installed, which rosettasciio needs to read and write .zspy files."""
    try:
        return version("zarr").startswith("2.")
    except PackageNotFoundError:
        return False


def _write(folder: str | Path, analysis: Analysis, suffix: str) -> list[Path]:
    writer = import_module(f"rsciio.{suffix}").file_writer
    # further entries that rosettasciio's writer requires
    more = {
        "tmp_parameters": {},
        "attributes": {"_lazy": False},
        "learning_results": {},
        "models": {},
        "package_info": {"package": "napari-tem-fft", "package_version": __version__},
    }
    paths = []
    for name, signal in signal_dictionaries(analysis).items():
        paths.append(Path(folder) / f"{name}.{suffix}")
        writer(str(paths[-1]), signal | more, show_progressbar=False)
    return paths


def _signal(
    data: NDArray[Any], pixel: Sequence[float], title: str, about: Mapping[str, Any], stacked: str = ""
) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "General": {"title": title},
        "Signal": {"signal_type": ""},
        NODE: {"version": __version__},
    }
    for node, entries in about.items():
        if isinstance(entries, Mapping):
            metadata[node] = metadata.get(node, {}) | dict(entries)
        else:
            metadata[NODE][node] = entries
    axes = [_axis(name, size, step) for name, size, step in zip("yx", data.shape[-2:], pixel, strict=True)]
    if stacked:
        axes.insert(0, _axis(stacked, len(data), 1.0, "", navigate=True))
    return {"data": data, "axes": axes, "metadata": metadata, "original_metadata": {}}


def _axis(name: str, size: int, scale: float, units: str = "nm", navigate: bool = False) -> dict[str, Any]:
    return {"name": name, "size": size, "scale": float(scale), "offset": 0.0, "units": units,
            "navigate": navigate}  # fmt: skip


def _micrograph_metadata(micrograph: Micrograph) -> dict[str, Any]:
    """Metadata of a micrograph for which HyperSpy has standard nodes, and our own node."""
    known, stored = micrograph.metadata, describe_micrograph(micrograph)
    general = {
        "title": micrograph.name, "original_filename": Path(micrograph.source).name,
        "date": known.get("date"), "time": known.get("time"), "authors": known.get("operator"),
    }  # fmt: skip
    microscope = {
        "beam_energy": known.get("voltage_kV"), "magnification": known.get("magnification"),
        "microscope": known.get("microscope"),
    }  # fmt: skip
    calibration = stored["calibration"]
    ours = {
        "version": __version__, "sha256": micrograph.file_hash, "calibration_source": calibration["source"],
        "calibration_uncertainty": calibration["uncertainty"],
    }  # fmt: skip
    nodes = {"General": general, NODE: ours, "Acquisition_instrument": {"TEM": _without_empty(microscope)}}
    return {node: _without_empty(entries) for node, entries in nodes.items()}


def _without_empty(entries: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entries.items() if value not in (None, "")}


def _hash_of(metadata: Mapping[str, Any]) -> str:
    """SHA-256 of the micrograph's original file, if the signal was written by this package."""
    return str(metadata.get(NODE, {}).get("sha256", ""))
