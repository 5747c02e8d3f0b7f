"""Export of an analysis to the formats of other programs."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from ...core.pipeline import Analysis
from ..results.folder import ANALYSIS
from .ro_crate import write_ro_crate

#: Format -> description of its files, as shown by the command line.
FORMATS = {
    "ang": "grains.ang: phase and orientation of named grains (EDAX; MTEX, orix)",
    "ctf": "grains.ctf: the same (Oxford Instruments; MTEX)",
    "hspy": "micrograph.hspy, components.hspy, grains.hspy, specimen.hspy: signals of HyperSpy",
    "zspy": "the same signals as .zspy (needs zarr 2)",
    "parquet": "spots, profile, grains, sizes and misorientations, with units in the columns' metadata",
    "nexus": "analysis.nxs: everything in one NeXus file, according to NXem as far as it applies",
    "ro-crate": "ro-crate-metadata.json: software, versions, parameters and file hashes of the folder",
}


def export(analysis: Analysis, folder: str | Path, formats: Sequence[str] = ("ctf",)) -> list[Path]:
    """Write an analysis in the formats of other programs into a folder, which is created if necessary.

    Parameters
    ----------
    analysis : Analysis
    folder : path
        For "ro-crate" it must be a folder of results (`save_results`).
    formats : sequence of str
        Keys of `FORMATS`: "ang", "ctf", "hspy", "zspy", "parquet", "nexus", "ro-crate".

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    ValueError
        For an unknown format, or for "ro-crate" if the folder contains no results.
    ImportError
        If a format needs a package that is not installed; the message says which.

    Examples
    --------
    >>> from napari_tem_fft import analyse, export, read
    >>> export(analyse(read("gold.dm4")), "exchange", ["ctf", "nexus"])  # doctest: +SKIP
    """
    unknown = [name for name in formats if name not in FORMATS]
    if unknown:
        raise ValueError(f"{', '.join(unknown)}: unknown format; choose from {', '.join(FORMATS)}")
    folder = Path(folder)
    if "ro-crate" in formats and not (folder / ANALYSIS).is_file():
        raise ValueError(
            f"{folder}: an RO-Crate describes a folder of results, and there is no {ANALYSIS} in it"
        )
    folder.mkdir(parents=True, exist_ok=True)
    paths: list[Path] = []
    for name in sorted(formats, key=list(FORMATS).index):  # the crate last, because it lists the other files
        paths += _write(name, folder, analysis)
    return paths


#: Module and function of each format, and the name of its file; functions without one get the folder.
_WRITERS = {
    "ang": ("orientation_maps", "write_ang", "grains.ang"),
    "ctf": ("orientation_maps", "write_ctf", "grains.ctf"),
    "hspy": ("hyperspy_signals", "write_hspy", ""),
    "zspy": ("hyperspy_signals", "write_zspy", ""),
    "parquet": ("parquet", "write_analysis_tables", ""),
    "nexus": ("nexus", "write_nexus", "analysis.nxs"),
}


def _write(name: str, folder: Path, analysis: Analysis) -> list[Path]:
    """Write one format; its modules are imported only now."""
    if name == "ro-crate":
        return [write_ro_crate(folder)]
    module, function, file = _WRITERS[name]
    write = getattr(import_module(f".{module}", __package__), function)
    written: Path | list[Path] = write(folder / file, analysis)
    return [written] if isinstance(written, Path) else written
