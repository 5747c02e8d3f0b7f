"""Maps, inverse transforms and images as TIFF files in ImageJ's convention, for use in other programs."""

from __future__ import annotations

import math
import struct
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tifffile
from numpy.typing import NDArray

from ...core.fourier.diffractogram import FrequencyGrid
from ...core.fourier.mask import fringes_of
from ...core.grains.grain import Grain
from ...core.grains.regions import GrainRegion
from ...core.image.units import quantity
from ...core.maps.component_map import ComponentMap, component_spots
from ...core.maps.map_grid import MapGrid
from ...core.maps.strain import Deformation
from ...core.pipeline import Analysis
from ...core.spots.seeds import NetworkPicture
from ...core.spots.spot import Spot

#: Bytes per grain of a list of arrays in addition to their values: headers, corners, spots.
HEADERS = 8192
#: Largest number of cells of a network's output for a diffractogram; the bundled networks have 511 x 511.
MOST_FREQUENCIES = 4097**2
#: Arrays of a grain's deformation; version 0.1 had only these.
DEFORMATION = ("first", "spots", "d_change", "rotation", "d_sigma", "rotation_sigma")
#: Arrays of its strain (empty if the grain shows only one direction), that direction, and the reference.
STRAIN = ("strain", "strain_sigma", "along", "of_region")
#: Inverse transforms that can be written: of all spots together, of each component, of each pair of spots.
Inverse = Literal["mask", "components", "spots"]
INVERSES: tuple[Inverse, ...] = ("mask", "components", "spots")


def write_map(path: Path, image: NDArray[Any], grid: MapGrid) -> None:
    """Write an image, or a stack of planes, on the grid of the maps.

    Parameters
    ----------
    image : ndarray of bool, uint8, uint16 or float32, shape (y, x) or (planes, y, x)
        Boolean images are written as 0 and 255.
    """
    data = image.astype(np.uint8) * np.uint8(255) if image.dtype == np.bool_ else image
    py, px = grid.pixel_size
    axes = "YX" if data.ndim == 2 else "ZYX"
    tifffile.imwrite(
        path, data, imagej=True, resolution=(1 / px, 1 / py), metadata={"unit": "nm", "axes": axes}
    )


def read_map(path: Path) -> NDArray[Any]:
    """Read an image written by `write_map`; a boolean one is returned as 0 and 255.

    Raises
    ------
    ValueError
        If the file is not such an image, or claims more data than it contains.
    """
    try:
        with tifffile.TiffFile(path) as tiff:
            series = tiff.series[0]
            if math.prod(series.shape) * series.dtype.itemsize > path.stat().st_size:
                raise ValueError(f"an image of shape {series.shape} in {path.stat().st_size} bytes")
            image: NDArray[Any] = series.asarray()
    except (tifffile.TiffFileError, IndexError, struct.error) as error:
        raise ValueError(f"{path.name}: not a map ({error})") from error
    return image


def map_names(components: Sequence[ComponentMap], what: str = "map") -> list[str]:
    """Unique file name of each component's map, made of letters, digits and a few signs."""
    names: list[str] = []
    for component in components:
        safe = component.name.replace(" / ", "+").replace(" ", "_")
        base = f"{what}_" + "".join(c if c.isalnum() or c in "+-_().," else "_" for c in safe)[:80]
        name, number = f"{base}.tif", 2
        while name.lower() in (taken.lower() for taken in names):
            name, number = f"{base}_{number}.tif", number + 1
        names.append(name)
    return names


def label_planes(
    grains: Sequence[Grain], regions: Sequence[GrainRegion], grid: MapGrid
) -> NDArray[np.uint16]:
    """Label image of grain ids, with as many planes as overlapping grains need.

    Parameters
    ----------
    regions : sequence of GrainRegion
        Regions of the grains.

    Returns
    -------
    labels : ndarray of uint16, shape (planes, y, x)
        0 where there is no grain; at least one plane.
    """
    planes = [np.zeros(grid.shape, np.uint16)]
    for grain, region in zip(grains, regions, strict=True):
        free = next((plane for plane in planes if not plane[region.box][region.mask].any()), None)
        if free is None:
            free = np.zeros(grid.shape, np.uint16)
            planes.append(free)
        region.paint(free, grain.id)
    return np.stack(planes)


def write_heats(path: Path, regions: Sequence[GrainRegion], grid: MapGrid) -> None:
    """Write the heat map of each grain, cropped to its nonzero part, with the corner (y, x) of the crop."""
    parts: dict[str, Any] = {"shape": np.array((len(regions), *grid.shape))}
    for number, region in enumerate(regions):
        parts[f"corner_{number}"] = np.array([side.start for side in region.box])
        parts[f"heat_{number}"] = region.heat
    np.savez_compressed(path, **parts)


def read_regions(path: Path, grains: Sequence[Grain], labels: NDArray[np.uint16]) -> tuple[GrainRegion, ...]:
    """Read the regions of the grains from a file written by `write_heats`.

    Parameters
    ----------
    labels : ndarray of uint16, shape (y, x) or (planes, y, x)
        Labels from `label_planes`; larger arrays are not unpacked.

    Raises
    ------
    ValueError
        If the file is not such a list, or claims more data.
    """
    planes = labels if labels.ndim == 3 else labels[None]
    shape = (len(grains), *planes.shape[1:])
    _check_claim(path, shape, 4)
    with np.load(path, allow_pickle=False) as parts:
        if tuple(parts["shape"]) != shape or len(parts.files) != 1 + 2 * len(grains):
            raise ValueError(f"{path.name}: not heat maps of the shape {shape}")
        heats = ((parts[f"corner_{n}"], parts[f"heat_{n}"]) for n in range(len(grains)))
        return tuple(_region(grain, *heat, planes) for grain, heat in zip(grains, heats, strict=True))


def _region(
    grain: Grain, corner: NDArray[np.intp], heat: NDArray[np.float32], planes: NDArray[np.uint16]
) -> GrainRegion:
    (top, left), (height, width) = map(int, corner), heat.shape
    if min(top, left) < 0 or top + height > planes.shape[1] or left + width > planes.shape[2]:
        raise ValueError(f"the heat map of grain {grain.id} exceeds the map")
    rows, columns = slice(top, top + height), slice(left, left + width)
    mask = (planes[:, rows, columns] == grain.id).any(axis=0)
    return GrainRegion((rows, columns), mask, np.asarray(heat, np.float32))


def _check_claim(path: Path, shape: tuple[int, ...], width: int) -> None:
    """Refuse a list of arrays that claims more than `width` bytes for each grain and pixel."""
    try:
        with zipfile.ZipFile(path) as archive:
            claimed = sum(entry.file_size for entry in archive.infolist())
    except zipfile.BadZipFile as error:
        raise ValueError(f"{path.name}: not a list of arrays ({error})") from error
    if claimed > width * math.prod(shape) + HEADERS * (shape[0] + 1):
        raise ValueError(f"{path.name}: {path.stat().st_size} bytes claim to contain {claimed}")


def write_network_picture(path: Path, picture: NetworkPicture) -> None:
    """Write a network's output for every frequency with 8 bits, which is enough for display."""
    steps = np.round(255 * picture.probability).astype(np.uint8)
    np.savez_compressed(path, probability=steps, step_1_nm=np.array(picture.grid.step))


def read_network_picture(path: Path) -> NetworkPicture:
    """Read a network's output from a file written by `write_network_picture`.

    Raises
    ------
    ValueError
        If the file is not such an output, or claims more than `MOST_FREQUENCIES` cells.
    """
    _check_claim(path, (1, MOST_FREQUENCIES), 1)
    with np.load(path, allow_pickle=False) as parts:
        probability, step = parts["probability"], tuple(map(float, parts["step_1_nm"]))
    odd = probability.ndim == 2 and all(n % 2 for n in probability.shape)
    if not odd or probability.dtype != np.uint8 or len(step) != 2 or not all(0 < s < np.inf for s in step):
        raise ValueError(f"{path.name}: not a network's output for a diffractogram")
    height, width = probability.shape
    grid = FrequencyGrid((step[0], step[1]), (height // 2, width // 2))
    return NetworkPicture(probability.astype(np.float32) / 255, grid)


def write_deformations(path: Path, parts: Sequence[Deformation]) -> None:
    """Write the deformations of grains, each on its own section of the grid."""
    arrays: dict[str, Any] = {"grains": np.array([part.grain for part in parts])}
    for number, part in enumerate(parts):
        arrays |= {f"{name}_{number}": np.asarray(getattr(part, name)) for name in DEFORMATION}
        strain = [
            np.zeros((0, 0, 0), np.float32) if one is None else one
            for one in (part.strain, part.strain_sigma)
        ]
        along = np.array(np.nan if part.along is None else part.along)
        known = (*strain, along, np.array(part.of_region))
        arrays |= {f"{name}_{number}": one for name, one in zip(STRAIN, known, strict=True)}
    np.savez_compressed(path, **arrays)


def read_deformations(path: Path, shape: tuple[int, int, int]) -> tuple[Deformation, ...]:
    """Read the deformations from a file written by `write_deformations`.

    Parameters
    ----------
    shape : tuple of int, (number of grains, y, x)
        Shape for the analysis; larger arrays are not unpacked.

    Raises
    ------
    ValueError
        If the file is not such a list, or claims more data.
    """
    _check_claim(path, shape, 4 * 10)
    with np.load(path, allow_pickle=False) as arrays:
        grains = arrays["grains"]
        each = len(DEFORMATION) + (len(STRAIN) if "strain_0" in arrays.files else 0)
        if grains.ndim != 1 or len(arrays.files) != 1 + each * len(grains):
            raise ValueError(f"{path.name}: not a list of deformations")
        return tuple(_deformation(arrays, n, int(grain)) for n, grain in enumerate(grains))


def _deformation(arrays: Any, number: int, grain: int) -> Deformation:
    first, spots, *maps = (arrays[f"{name}_{number}"] for name in DEFORMATION)
    change, turn, change_sigma, turn_sigma = maps
    strain = strain_sigma = along = None
    of_region = False
    if f"strain_{number}" in arrays:
        strain, strain_sigma, stored, region = (arrays[f"{name}_{number}"] for name in STRAIN)
        if strain.size:
            if not strain.shape == strain_sigma.shape == (3, *change.shape):
                raise ValueError(f"the strain of grain {grain} has the shape {strain.shape}")
        else:
            strain = strain_sigma = None
        along = float(stored) if np.isfinite(stored) else None
        of_region = bool(region)
    return Deformation(
        grain,
        tuple(int(spot) for spot in spots),
        (int(first[0]), int(first[1])),
        change,
        turn,
        change_sigma,
        turn_sigma,
        strain,
        strain_sigma,
        along,
        of_region,
    )


def write_inverses(folder: Path, analysis: Analysis, wanted: Sequence[Inverse]) -> None:
    """Write the requested inverse transforms ``ifft.tif``, ``ifft_COMPONENT.tif`` and ``ifft_spot_ID.tif``.

    Each is float32 with zero mean, and covers the whole micrograph.
    """
    for what in wanted:
        for name, spots in _spots_of_inverses(analysis, what):
            image, pixel_size = fringes_of(analysis.diffractogram, spots)
            write_map(folder / name, image, MapGrid(image.shape, pixel_size))


def _spots_of_inverses(analysis: Analysis, what: Inverse) -> Iterator[tuple[str, tuple[Spot, ...]]]:
    """Yield file names with the spots of each inverse transform."""
    enabled = tuple(spot for spot in analysis.spots if spot.enabled)
    if what == "mask":
        yield "ifft.tif", enabled
    elif what == "spots":
        yield from ((f"ifft_spot_{spot.id}.tif", (spot,)) for spot in enabled)
    else:
        names = map_names(analysis.components, "ifft")
        for component, name in zip(analysis.components, names, strict=True):
            yield name, component_spots(component, analysis.grains, analysis.matches, analysis.spots)


def write_tiff(
    path: str | Path,
    pixels: Any,
    scale: Sequence[float],
    units: Sequence[str],
    contrast: Sequence[float] | None = None,
) -> Path:
    """Write an image, shape (y, x), or a stack, shape (n, y, x).

    ImageJ supports 8 bit, 16 bit and float32: other types become float32, labels 16 bit if they fit.

    Parameters
    ----------
    pixels : array-like
    scale : sequence of float, (y, x)
        Pixel size.
    units : sequence of str, (y, x)
        A length as spelled in files or napari, an inverse length, or "pixel".
    contrast : sequence of float, optional
        Grey levels displayed as black and white.

    Raises
    ------
    ValueError
        If the array is not an image or stack, or the axes have different units.
    """
    path, data = Path(path), _for_imagej(np.asarray(pixels))
    if data.ndim not in (2, 3):
        raise ValueError(f"{path.name}: only images and stacks are written as TIFF, not {data.ndim} axes")
    (y, x), unit = _in_one_unit(path, scale, units)
    metadata: dict[str, Any] = {"axes": "YX" if data.ndim == 2 else "TYX"}
    if unit:
        metadata["unit"] = unit
    if contrast is not None:
        metadata |= {"min": float(contrast[0]), "max": float(contrast[1])}
    tifffile.imwrite(path, data, imagej=True, resolution=(1 / x, 1 / y), metadata=metadata)
    return path


def _for_imagej(pixels: NDArray[Any]) -> NDArray[Any]:
    """Convert pixels to a type that ImageJ can open."""
    if pixels.dtype == np.bool_:
        return pixels.astype(np.uint8) * np.uint8(255)
    if pixels.dtype in (np.uint8, np.uint16, np.float32):
        return pixels
    if pixels.dtype.kind in "iu" and pixels.size and pixels.min() >= 0 and pixels.max() < 2**16:
        return pixels.astype(np.uint16)
    return pixels.astype(np.float32)


def _in_one_unit(path: Path, scale: Sequence[float], units: Sequence[str]) -> tuple[tuple[float, float], str]:
    """Scale (y, x) in nm or 1/nm, and the unit; unchanged and without a unit if there is none."""
    kinds, factors = zip(*(quantity(unit) for unit in units), strict=True)
    if kinds[0] != kinds[1]:
        raise ValueError(f"{path.name}: one axis is in {units[0]}, the other in {units[1]}")
    unit = {"length": "nm", "inverse length": "1/nm"}.get(kinds[0], "")
    y, x = (float(s) * factor for s, factor in zip(scale, factors, strict=True))
    return (y, x), unit
