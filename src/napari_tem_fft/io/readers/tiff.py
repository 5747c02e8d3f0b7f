"""Read TIFF files of microscopes, ImageJ, OME and others with tifffile: grey levels and their scale."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from ..plain import ReadError
from .gatan import Signal
from .pictures import pillow_pixels, to_grey
from .tiff_scale import scale_of

#: Most bytes of pixels that a compressed file may claim per byte of its size, and those every file may claim.
MOST_COMPRESSED, ALWAYS_CLAIMED = 1100, 2**24
#: Most bytes of pixels that are read; a TIFF file is read as a whole.
MOST_BYTES = 2**32
#: Largest number of pages of a file.
MOST_PAGES = 20_000
_COPY_AGAIN = "copy it again, or export it again from the program that wrote it"
_UNCOMPRESSED = 1
_PALETTE, _INVERTED = 3, 0


def read_tiff(path: Path) -> list[Signal]:
    """Read all images and stacks of a TIFF file: consecutive pages of one size form a stack.

    Previews are skipped.

    Raises
    ------
    ReadError
        If the file is incomplete or damaged, or claims more data than it can contain.
    """
    try:
        # OME entries about other files and the order of pages are ignored
        with tifffile.TiffFile(path, is_ome=False) as file:
            pages = _pages(path, file)
            groups = _groups(pages)
            return [_signal(path, file, group, number, len(groups)) for number, group in enumerate(groups)]
    except tifffile.TiffFileError as error:
        raise ReadError(path, f"damaged or unsupported TIFF file ({error})", _COPY_AGAIN) from error


def _pages(path: Path, file: tifffile.TiffFile) -> list[tifffile.TiffPage]:
    """Pages with an image that the file can contain, without previews."""
    pages: list[tifffile.TiffPage] = []
    for number in range(MOST_PAGES):
        try:
            page = file.pages.get(number)
        except IndexError:
            break
        page = page if isinstance(page, tifffile.TiffPage) else page.aspage()
        if page.shape and 0 not in page.shape and page.dtype is not None:
            pages.append(page)
    images = [page for page in pages if not page.is_reduced] or pages
    if not images:
        raise ReadError(path, "there is no image in the file", "choose another file")
    _check_claims(path, images)
    return images


def _check_claims(path: Path, pages: list[tifffile.TiffPage]) -> None:
    size = path.stat().st_size
    claimed = sum(math.prod(page.shape) * page.dtype.itemsize for page in pages if page.dtype is not None)
    plain = all(page.compression == _UNCOMPRESSED for page in pages)
    ends = [
        offset + count
        for page in pages
        for offset, count in zip(page.dataoffsets, page.databytecounts, strict=False)
        if count
    ]
    if max(ends, default=0) > size:
        raise ReadError(
            path, f"incomplete file: its pixels end at byte {max(ends)}, but it has {size}", _COPY_AGAIN
        )
    if claimed > MOST_BYTES:
        raise ReadError(
            path,
            f"it claims {claimed / 2**30:.1f} GB of data, and its format can only be read as a whole up to"
            f" {MOST_BYTES / 2**30:.0f} GB",
            "save the images that you need separately, or as .mrc",
        )
    stored = sum(sum(page.databytecounts) for page in pages)
    missing = plain and stored * 8 * max(p.dtype.itemsize for p in pages if p.dtype is not None) < claimed
    if missing or claimed > max(ALWAYS_CLAIMED, MOST_COMPRESSED * size):
        raise ReadError(
            path, f"damaged file: it claims {claimed} bytes of pixels, but has {size}", _COPY_AGAIN
        )


def _groups(pages: list[tifffile.TiffPage]) -> list[list[tifffile.TiffPage]]:
    """Group consecutive pages of the same size and type: each group is a stack or a single image."""
    groups: list[list[tifffile.TiffPage]] = []
    for page in pages:
        last = groups[-1][-1] if groups else None
        alike = last is not None and all(
            getattr(last, name) == getattr(page, name)
            for name in ("shape", "dtype", "photometric", "planarconfig")
        )
        groups[-1].append(page) if alike else groups.append([page])
    return groups


def _signal(
    path: Path, file: tifffile.TiffFile, pages: list[tifffile.TiffPage], number: int, groups: int
) -> Signal:
    first = pages[0]
    frames = _frames(path, file, pages)
    pixels = frames[0] if len(frames) == 1 else frames
    scale = scale_of(file, first, number if groups > 1 else 0)
    axes = [
        {"name": name, "size": size, "scale": step, "units": unit, "offset": offset}
        for name, size, step, unit, offset in zip(
            "yx", pixels.shape[-2:], scale.size, scale.units, scale.offset, strict=True
        )
    ]
    if pixels.ndim == 3:
        axes.insert(0, {"name": "frame", "size": len(pixels), **_frame_interval(file)})
    return {
        "data": pixels,
        "axes": axes,
        "metadata": {"Acquisition_instrument": {"TEM": scale.microscope}},
        "warnings": scale.warnings,
        "picture": not scale.instrument and not scale.warnings,
    }


def _frame_interval(file: tifffile.TiffFile) -> dict[str, Any]:
    """ImageJ's frame interval, if there is one."""
    found = (file.imagej_metadata or {}).get("finterval") if file.is_imagej else None
    try:
        return {"scale": float(found), "units": "s"} if found is not None else {"scale": 1.0, "units": ""}
    except (TypeError, ValueError):
        return {"scale": 1.0, "units": ""}


def _frames(path: Path, file: tifffile.TiffFile, pages: list[tifffile.TiffPage]) -> NDArray[Any]:
    """Grey levels of all pages, shape (n, ny, nx)."""
    if file.is_imagej and len(pages) == 1 and (hidden := _imagej_frames(path, file, pages[0])) is not None:
        return hidden
    grey = [_page_pixels(path, page) for page in pages]
    planes = [plane for each in grey for plane in (each if each.ndim == 3 else each[None])]
    return np.stack(planes) if len(planes) > 1 else planes[0][None]


def _imagej_frames(path: Path, file: tifffile.TiffFile, page: tifffile.TiffPage) -> NDArray[Any] | None:
    """Frames that ImageJ stores one after the other behind a single page, as it does beyond 4 GB."""
    said = (file.imagej_metadata or {}).get("images", 1)
    if not isinstance(said, int) or said < 2 or page.ndim != 2 or page.compression != _UNCOMPRESSED:
        return None
    n_bytes = said * page.nbytes
    if not page.is_contiguous or page.dtype is None or page.dataoffsets[0] + n_bytes > path.stat().st_size:
        return None
    order = file.byteorder
    stored = np.fromfile(
        path, page.dtype.newbyteorder(order), n_bytes // page.dtype.itemsize, offset=page.dataoffsets[0]
    )
    return stored.reshape(said, *page.shape).astype(page.dtype.newbyteorder("="), copy=False)


def _page_pixels(path: Path, page: tifffile.TiffPage) -> NDArray[Any]:
    """Grey levels of a page, shape (ny, nx), or (n, ny, nx) if it has several planes."""
    try:
        stored = np.asarray(page.asarray())
    except Exception as error:  # Pillow may be able to decompress what tifffile cannot
        return _decompress_with_pillow(path, page, error)
    axes = page.axes
    if page.photometric == _PALETTE and page.colormap is not None and stored.dtype.kind == "u":
        colours = np.moveaxis(np.asarray(page.colormap), 0, -1)
        if not np.any(colours % 257) or not np.any(colours % 256):
            colours = (colours >> 8).astype(np.uint8)  # almost all palettes have eight bits
        grey = to_grey(colours)
        return np.asarray(grey[np.minimum(stored, len(grey) - 1)])
    if stored.dtype.kind not in "buif" or "S" not in axes:
        return _brighter_up(stored, page)
    samples = np.moveaxis(stored, axes.index("S"), -1)
    extra = [int(sample) for sample in page.extrasamples]
    if (
        samples.shape[-1] > 4
        or (not extra and samples.shape[-1] == 2)
        or page.photometric not in (0, 1, 2, 6)
    ):
        return np.moveaxis(samples, -1, 0)  # channels that are not colours
    if extra and extra[0] == 0 and samples.shape[-1] in (2, 4):
        samples = samples[..., :-1]  # an additional channel of unknown meaning
    return _brighter_up(to_grey(samples, premultiplied=bool(extra) and extra[0] == 1), page)


def _brighter_up(pixels: NDArray[Any], page: tifffile.TiffPage) -> NDArray[Any]:
    """Pixels in which larger values are brighter."""
    if pixels.dtype.kind == "b":
        pixels = pixels.astype(np.uint8)
    if page.photometric != _INVERTED or pixels.dtype.kind not in "uf":
        return pixels
    if pixels.dtype.kind == "u":
        return np.asarray(pixels.dtype.type(2 ** min(page.bitspersample, 8 * pixels.itemsize) - 1) - pixels)
    return -pixels


def _decompress_with_pillow(path: Path, page: tifffile.TiffPage, failure: Exception) -> NDArray[Any]:
    """Decompress a page with Pillow, which supports LZW, JPEG and fax."""
    name = getattr(page.compression, "name", str(page.compression))
    try:
        if page.compression == _UNCOMPRESSED:
            raise failure
        pixels, _ = pillow_pixels(path, ["TIFF"], page.index)
    except Exception as error:
        text = str(failure) or type(failure).__name__
        codec = "imagecodecs" in text
        raise ReadError(
            path,
            f"its pixels cannot be read (compression {name}: {text})"
            if not codec
            else f"compressed by {name}",
            "save it without compression, or: pip install imagecodecs" if codec else _COPY_AGAIN,
        ) from error
    return pixels
