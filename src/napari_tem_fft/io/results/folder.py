"""Save an analysis to a folder and load it.

The folder contains ``analysis.json`` (everything except the arrays), tables, maps and an overview figure. It
is created under a temporary name; ``analysis.json`` is moved last, so a folder that has one is complete.
Transforms are not stored: they are computed again from the micrograph when the folder is loaded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...core.crystal.phase import Phase
from ...core.fourier.diffractogram import band_image, compute_diffractogram
from ...core.fourier.local_spectra import local_spectra_of
from ...core.grains.grain import Grain, GrainSet
from ...core.image.calibration import Calibration
from ...core.image.micrograph import Micrograph, prepared_pixels
from ...core.image.roi import roi_from_metadata
from ...core.maps.component_map import ComponentMap, colours_of, is_colour, strongest
from ...core.maps.map_grid import MapGrid
from ...core.maps.orientation import orientation_map, orientations
from ...core.maps.strain import SHOWN, deformation_map
from ...core.matching import GrainMatch, ImageGeometry, PhaseOverride, RingMatch
from ...core.pipeline import Analysis, EditStart, annotations_of
from ...core.profile.radial_profile import ProfilePeak
from ...core.spots.seeds import NetworkUsed
from ...core.spots.spot import Spot
from ...core.text import LengthUnit
from ..figures.picture import PictureOptions
from ..phases.table import load_table
from ..plain import from_plain, json_text, read_json, whole_file
from .description import (
    FORMAT,
    FORMAT_VERSION,
    describe,
    restore_library,
    restore_parameters,
    with_stored_uncertainty,
)
from .grain_tables import (
    cells_of_grains,
    write_deformation_table,
    write_grains,
    write_misorientations,
    write_sizes,
)
from .map_files import (
    Inverse,
    label_planes,
    map_names,
    read_deformations,
    read_map,
    read_network_picture,
    read_regions,
    write_deformations,
    write_heats,
    write_inverses,
    write_map,
    write_network_picture,
)
from .tables import read_profiles, write_profiles, write_spots
from .whole_folder import WAIT, locked, plain_name, read_description, replace_folder

ANALYSIS, SPOTS, PROFILE, OVERVIEW = "analysis.json", "spots.csv", "profile.csv", "overview.png"
SPECIMEN, GRAINS, HEATS = "specimen.tif", "grains.tif", "grain_heats.npz"
GRAIN_TABLE, SIZES, GRAIN_PICTURE = "grains.csv", "sizes.csv", "grains.png"
MISORIENTATIONS, DEFORMATION_TABLE = "misorientations.csv", "deformation.csv"
START_SPECIMEN, START_GRAINS, START_HEATS = "start_specimen.tif", "start_grains.tif", "start_heats.npz"
NETWORK = "network.npz"
STRONGEST, ORIENTATION, DEFORMATIONS = "components.tif", "orientation.tif", "deformations.npz"
#: How much of an analysis is stored; each level includes the previous one.
Keep = Literal["tables", "maps", "pictures"]
KEEP: tuple[Keep, ...] = ("tables", "maps", "pictures")


def folder_of(source: str | Path, output: str | Path) -> Path:
    """Folder for the results of a file: its full name, including the suffix, below `output`.

    If that path is a file, usually the micrograph itself, the folder's name ends in ".results".
    """
    folder = Path(output) / Path(source).name
    return folder.with_name(f"{folder.name}.results") if folder.is_file() else folder


def save_results(
    analysis: Analysis,
    folder: str | Path,
    keep: Keep = "pictures",
    inverses: Sequence[Inverse] = (),
    unit: LengthUnit = "nm",
    known: Mapping[str, str] | None = None,
    picture: PictureOptions | None = None,
) -> Path:
    """Save an analysis to a folder, replacing an earlier one, and return the folder.

    Other files in the folder are left alone.

    Parameters
    ----------
    keep : {"tables", "maps", "pictures"}
        Tables and the description only; with the maps, so that the analysis can be loaded; everything.
    inverses : sequence of {"mask", "components", "spots"}
        Inverse transforms to write in addition.
    unit : {"nm", "angstrom"}
        Unit of d-spacings in tables and figures; ``analysis.json`` is in nm.
    known : mapping of str to str, optional
        Colours ("#RRGGBB") that components already have in other figures.
    picture : PictureOptions, optional
        Panels, formats and resolution of the overview.

    Raises
    ------
    OSError
        If the folder cannot be written.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from napari_tem_fft import analyse, read_sample, save_results, select
    >>> result = analyse(read_sample("film"), select(["LiF"]))
    >>> with TemporaryDirectory() as folder:
    ...     sorted(path.name for path in save_results(result, folder, keep="tables").glob("*.json"))
    ['analysis.json']
    """
    folder = Path(folder)
    maps = map_names(analysis.components) if keep != "tables" else [""] * len(analysis.components)
    with replace_folder(folder, ANALYSIS) as fresh:
        write_spots(fresh / SPOTS, analysis, unit)
        write_profiles(fresh / PROFILE, analysis.profiles, unit)
        cells = cells_of_grains(analysis)
        write_grains(fresh / GRAIN_TABLE, analysis, unit, cells)
        write_sizes(fresh / SIZES, analysis)
        write_misorientations(fresh / MISORIENTATIONS, analysis)
        if analysis.params.deformation.deformation:
            write_deformation_table(fresh / DEFORMATION_TABLE, analysis)
        if keep != "tables":
            _write_maps(fresh, analysis, maps)
        if keep == "pictures":
            from ..figures.grains import write_grain_picture  # matplotlib is slow to import
            from ..figures.overview import write_overview

            for kind in (picture or PictureOptions()).formats:
                write_overview((fresh / OVERVIEW).with_suffix(f".{kind}"), analysis, unit, known, picture)
            if analysis.grains:
                write_grain_picture(fresh / GRAIN_PICTURE, analysis, unit, known)
        write_inverses(fresh, analysis, inverses)
        description = describe(analysis, maps, sorted(path.name for path in fresh.iterdir()), cells)
        (fresh / ANALYSIS).write_text(json_text(description), encoding="utf-8")
    return folder


def _write_maps(folder: Path, analysis: Analysis, names: Sequence[str]) -> None:
    grid = analysis.map_grid
    write_map(folder / SPECIMEN, analysis.specimen, grid)
    write_map(folder / GRAINS, label_planes(analysis.grains, analysis.grain_regions, grid), grid)
    write_heats(folder / HEATS, analysis.grain_regions, grid)
    for component, name in zip(analysis.components, names, strict=True):
        write_map(folder / name, component.heat, grid)
    if analysis.picture is not None:
        write_network_picture(folder / NETWORK, analysis.picture)
    write_map(folder / STRONGEST, strongest(analysis.components, grid.shape), grid)
    if analysis.edit_start is not None:
        _write_start(folder, analysis.edit_start, grid)
    turned = analysis.deformations
    found = orientations(analysis.components, analysis.grains, analysis.matches, analysis.spots)
    share, grains = analysis.params.grains.false_share, (analysis.grains, analysis.grain_regions)
    azimuths = orientation_map(found, *grains, analysis.specimen, turned, share)
    write_map(folder / ORIENTATION, azimuths, grid)
    if analysis.params.deformation.deformation:
        write_deformations(folder / DEFORMATIONS, turned)
        for what in SHOWN:
            write_map(folder / f"{what}.tif", deformation_map(turned, what, grid.shape, share), grid)


def _write_start(folder: Path, start: EditStart, grid: MapGrid) -> None:
    """Write the maps from which edits start."""
    write_map(folder / START_GRAINS, label_planes(start.found.grains, start.found.regions, grid), grid)
    write_heats(folder / START_HEATS, start.found.regions, grid)
    if start.specimen is not None:
        write_map(folder / START_SPECIMEN, start.specimen, grid)


def _read_start(folder: Path, stored: Mapping[str, Any] | None, grid: MapGrid) -> EditStart | None:
    """Read the results from which edits start; None if the analysis was not edited or is from version 0.1."""
    if stored is None:
        return None
    grains = from_plain(tuple[Grain, ...], stored["grains"])
    regions = read_regions(folder / START_HEATS, grains, _on_grid(folder / START_GRAINS, grid))
    specimen = _on_grid(folder / START_SPECIMEN, grid) > 0 if stored["specimen"] else None
    return EditStart(GrainSet(from_plain(tuple[Spot, ...], stored["spots"]), grains, regions), specimen)


def load_results(folder: str | Path, micrograph: Micrograph) -> Analysis:
    """Load an analysis written by `save_results`; the transforms are computed again.

    Parameters
    ----------
    folder : path
    micrograph : Micrograph
        The micrograph, read again from the same file; its calibration is replaced by the one used.

    Raises
    ------
    ValueError
        If the folder contains no readable analysis, or one of another file.
    """
    folder = Path(folder)
    stored = read_description(folder / ANALYSIS, FORMAT, FORMAT_VERSION)
    if SPECIMEN not in stored.get("files", ()):
        raise ValueError(f"{folder}: only tables of this analysis were kept; analyse the micrograph again")
    micrograph = _same_micrograph(stored, micrograph, folder)
    try:
        return _restore(stored, micrograph, folder)
    except (KeyError, TypeError, OSError) as error:
        raise ValueError(f"{folder}: the results are incomplete or damaged ({error})") from error


def _same_micrograph(stored: dict[str, Any], micrograph: Micrograph, folder: Path) -> Micrograph:
    """The micrograph with the calibration used, if it is the one that was analysed."""
    known = stored["micrograph"]
    hashes = {known["sha256"], micrograph.file_hash} - {""}
    if len(hashes) > 1 or tuple(known["shape"]) != micrograph.shape:
        raise ValueError(
            f"{folder}: these are the results of another file ({known['file'] or known['name']})"
        )
    return replace(micrograph, calibration=from_plain(Calibration, known["calibration"]))


def _restore(stored: dict[str, Any], micrograph: Micrograph, folder: Path) -> Analysis:
    params, percent = restore_parameters(stored["parameters"])
    calibration = with_stored_uncertainty(micrograph.calibration, percent)
    _, roi = roi_from_metadata(stored["micrograph"]["metadata"])
    micrograph = replace(micrograph, calibration=calibration, roi=roi or micrograph.roi)
    bars = annotations_of(micrograph, params)
    image, _ = prepared_pixels(micrograph, bars)
    whole = compute_diffractogram(image, micrograph, params.spectrum, bars)
    grains = from_plain(tuple[Grain, ...], stored["grains"])
    searched, of_library = restore_library(stored.get("library"))
    grid = from_plain(MapGrid, stored["map_grid"])
    specimen, labels = (_on_grid(folder / name, grid) for name in (SPECIMEN, GRAINS))
    return Analysis(
        micrograph=micrograph,
        params=params,
        phases=_phases(stored["phases"], stored["own_phases"], of_library),
        diffractogram=whole,
        local_spectra=local_spectra_of(whole, band_image(whole), params.windows),
        spots=from_plain(tuple[Spot, ...], stored["spots"]),
        profiles=read_profiles(folder / PROFILE, from_plain(tuple[ProfilePeak, ...], stored["peaks"])),
        grains=grains,
        matches=from_plain(tuple[GrainMatch, ...], stored["matches"]),
        map_grid=grid,
        deformations=read_deformations(folder / DEFORMATIONS, (len(grains), *grid.shape))
        if params.deformation.deformation
        else (),
        specimen=specimen > 0,
        specimen_by_user=bool(stored.get("specimen_by_user", False)),
        grain_regions=read_regions(folder / HEATS, grains, labels),
        components=tuple(_component(entry, folder, grid) for entry in stored["components"]),
        warnings=tuple(stored["warnings"]),
        network=from_plain(NetworkUsed, stored["network"]) if stored.get("network") else None,
        picture=read_network_picture(folder / NETWORK) if NETWORK in stored["files"] else None,
        rings=from_plain(tuple[RingMatch, ...], stored.get("rings", [])),
        non_candidates=_phases(stored.get("others", []), stored["own_phases"], of_library),
        searched=searched,
        geometry=_geometry(stored.get("geometry")),
        decisions=from_plain(tuple[PhaseOverride, ...], stored.get("decisions", [])),
        candidates_stated=bool(stored.get("candidates_stated", False)),
        edit_start=_read_start(folder, stored.get("edit_start"), grid),
    )


def _geometry(stored: Mapping[str, Any] | None) -> ImageGeometry | None:
    if stored is None:
        return None
    names = {field.name for field in fields(ImageGeometry)}
    return from_plain(ImageGeometry, {key: value for key, value in stored.items() if key in names})


def _on_grid(path: Path, grid: MapGrid) -> NDArray[Any]:
    """Read a map, or planes of maps, and check its shape."""
    image = read_map(path)
    if image.shape[-2:] != grid.shape or image.ndim > 3:
        raise ValueError(f"{path}: a map of {image.shape} in an analysis whose maps are {grid.shape}")
    return image


def _component(entry: dict[str, Any], folder: Path, grid: MapGrid) -> ComponentMap:
    if not plain_name(entry["map"]):
        raise ValueError(f"{folder}: {entry['map']!r} is not the name of a map in this folder")
    heat: NDArray[np.float32] = _on_grid(folder / entry["map"], grid)
    without = {key: value for key, value in entry.items() if key != "map"}
    return from_plain(ComponentMap, {**without, "heat": heat})


def _phases(
    ids: Sequence[str], own: Sequence[dict[str, Any]], of_library: Sequence[Phase]
) -> tuple[Phase, ...]:
    known = {phase.id: phase for phase in load_table()}
    known |= {phase.id: phase for phase in from_plain(tuple[Phase, ...], own)}
    known |= {phase.id: phase for phase in of_library}
    return tuple(known[name] for name in ids)


COLOURS = "colours.json"


def kept_colours(output: Path) -> dict[str, str]:
    """Colours assigned so far; none if the file is missing or damaged."""
    try:
        stored = read_json(output / COLOURS)
    except (OSError, ValueError):
        return {}
    pairs = stored.items() if isinstance(stored, dict) else ()
    return {name: colour for name, colour in pairs if is_colour(colour)}


def given_colours(output: Path, names: Iterable[str]) -> dict[str, str]:
    """Colours of components; new ones get an unused colour, also if several processes assign colours at once.

    Raises
    ------
    OSError
        If the folder cannot be written.
    """
    names = list(names)
    known = kept_colours(output)
    if set(names) <= set(known):
        return known
    output.mkdir(parents=True, exist_ok=True)
    with locked(output / f".{COLOURS}.lock", WAIT), whole_file(output / COLOURS) as temporary:
        known = colours_of(names, kept_colours(output))
        temporary.write_text(json_text(known) + "\n", encoding="utf-8")
    return known
