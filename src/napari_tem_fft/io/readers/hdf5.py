"""HDF5 files: recognise the program that wrote them, check the sizes they claim, and read Gatan's DM5."""

from __future__ import annotations

import math
import mmap
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
from numpy.typing import NDArray

from ..plain import ReadError
from .gatan import PACKED, Signal, whole_plane

Layout = Literal["dm5", "emd", "hspy", "nexus", "other"]

#: Largest ratio of the data to the size of a compressed HDF5 file (deflate reaches 1032).
MOST_COMPRESSED = 1100
#: Claims of up to this many bytes are accepted from every file.
ALWAYS_CLAIMED = 2**24
#: Largest number of objects of a file that are examined, and deepest nesting of groups.
MOST_OBJECTS, DEEPEST = 20_000, 24
#: Time limit for reading the texts and small data sets of a file, seconds.
PROBE_SECONDS = 4.0
#: Longest text of a tag that is kept, characters.
LONGEST_TEXT = 4096
#: First bytes of a global heap, which stores texts, with the version of its layout.
_HEAP = b"GCOL\x01\0\0\0"
_SAVE_AGAIN = "open it in Gatan's software and save it again"


def layout_of(path: Path) -> Layout:
    """Recognise the program that wrote an HDF5 file by the names in its root group.

    Raises
    ------
    ReadError
        If the file is not a complete HDF5 file.
    """
    _check_content(path)
    with _open(path) as file:
        names, marks = set(file), set(file.attrs)
        if "ImageList" in names:
            return "dm5"
        if "Experiments" in names:
            return "hspy"
        emd = marks & {"version_major", "emd_group_type"} or names & {
            "Data",
            "data",
            "Presentation",
            "Experimental",
        }
        entries = (file.get(name) for name in names)
        nexus = any(
            isinstance(one, h5py.Group) and "NX" in str(one.attrs.get("NX_class", "")) for one in entries
        )
        return "nexus" if nexus else "emd" if emd else "other"


def check_claims(path: Path, most: int) -> int:
    """Check that a file can contain the data sets that it claims, and return their size in bytes.

    Raises
    ------
    ReadError
        If it cannot, if they have more than `most` bytes, or if libhdf5 would never return.
    """
    size = path.stat().st_size
    total = 0
    with _open(path) as file:
        for count, node in enumerate(_objects(file)):
            if isinstance(node, h5py.Dataset):
                total += math.prod(node.shape or ()) * node.dtype.itemsize
            if count > MOST_OBJECTS or any(
                _attribute_bytes(node, name) > ALWAYS_CLAIMED for name in node.attrs
            ):
                raise ReadError(path, "damaged file: it claims too many objects", "copy it again")
    if total > most:
        raise ReadError(
            path,
            f"it claims {total / 2**30:.1f} GB of data, and its format can only be read as a whole up to"
            f" {most / 2**30:.0f} GB",
            "save the images that you need separately, or as .mrc",
        )
    if total > max(ALWAYS_CLAIMED, MOST_COMPRESSED * size):
        raise ReadError(
            path, f"damaged file: it claims {total} bytes of data, but has {size}", "copy it again"
        )
    return total


def _open(path: Path) -> h5py.File:
    try:
        return h5py.File(path, "r")
    except (OSError, RuntimeError) as error:
        raise ReadError(path, f"damaged or incomplete HDF5 file ({error})", "copy it again") from error


def _check_content(path: Path) -> None:
    """Refuse a file that makes libhdf5 hang, crash or allocate gigabytes; the usual cause is a damaged heap.

    Raises
    ------
    ReadError
        If a heap contains an object of zero length, or the content cannot be read; see `hdf5_probe`.
    """
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        for at in _heaps(content):
            _check_heap(path, content, at)
    _try_content(path)


def _heaps(content: mmap.mmap) -> Iterator[int]:
    """Yield the offsets of all heaps."""
    at = content.find(_HEAP)
    while at >= 0:
        yield at
        at = content.find(_HEAP, at + 1)


def _check_heap(path: Path, content: mmap.mmap, at: int) -> None:
    """Refuse a heap with an object of zero length, which puts libhdf5 into an endless loop."""
    (length,) = struct.unpack_from("<Q", content, at + 8) if at + 16 <= len(content) else (0,)
    end, place = min(at + length, len(content)), at + 16
    while place + 16 <= end:
        number, _, size = struct.unpack_from("<HH4xQ", content, place)
        step = size if number == 0 else 16 + (size + 7) // 8 * 8
        if step == 0:
            raise ReadError(path, f"damaged or incomplete HDF5 file (a heap at byte {at})", "copy it again")
        place += step


def _try_content(path: Path) -> None:
    """Read all texts and small data sets in a separate process, which can be terminated.

    Raises
    ------
    ReadError
        If the process fails, crashes or does not finish in time.
    """
    command = [sys.executable, "-P", str(Path(__file__).with_name("hdf5_probe.py")), str(path)]
    no_window = int(getattr(subprocess, "CREATE_NO_WINDOW", 0))  # on Windows
    try:
        probe = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            creationflags=no_window,
        )
    except OSError:
        return  # the system allows no subprocesses
    with probe:
        begun = probe.stdout is not None and bool(probe.stdout.readline())
        try:
            failed = probe.wait(PROBE_SECONDS) != 0
        except subprocess.TimeoutExpired:
            probe.kill()
            failed = True
    if begun and failed:
        raise ReadError(path, "damaged or incomplete HDF5 file (its content cannot be read)", "copy it again")


def _objects(group: h5py.Group, depth: int = 0) -> Iterator[h5py.Group | h5py.Dataset]:
    """Yield the groups and data sets of a file without following links to other files."""
    yield group
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            continue
        node = group[name]
        if isinstance(node, h5py.Group) and depth < DEEPEST:
            yield from _objects(node, depth + 1)
        elif isinstance(node, h5py.Dataset):
            yield node


def _attribute_bytes(node: h5py.Group | h5py.Dataset, name: str) -> int:
    """Size in bytes that an attribute claims."""
    attribute = node.attrs.get_id(name)
    return int(math.prod(attribute.shape) * max(attribute.dtype.itemsize, 1))


def read_dm5(path: Path) -> list[Signal]:
    """Read all images of a Gatan DM5 file except thumbnails, in the form of rosettasciio's DM4 images.

    Raises
    ------
    ReadError
        If there is no image in the file, or one is damaged.
    """
    with _open(path) as file:
        images = file.get("ImageList")
        marks = [dict(mark.attrs) for mark in _members(file.get("Thumbnails"))]
        skipped = {str(mark["ImageIndex"]) for mark in marks if "ImageIndex" in mark}
        entries = [one for one in _members(images) if _number(one.name) not in skipped]
        if not entries:
            raise ReadError(path, "there is no image in the file", "choose another file")
        return [_signal(path, entry) for entry in entries]


def _members(group: Any) -> list[h5py.Group]:
    """The groups [0], [1], ... of a list, in this order."""
    if not isinstance(group, h5py.Group):
        return []
    found = [group[name] for name in group if isinstance(group.get(name, getlink=True), h5py.HardLink)]
    numbered = [one for one in found if isinstance(one, h5py.Group) and _number(one.name).isdigit()]
    return sorted(numbered, key=lambda one: int(_number(one.name)))


def _number(name: str) -> str:
    """The number in "/ImageList/[3]"."""
    return name.rpartition("/")[2].strip("[]")


def _signal(path: Path, entry: h5py.Group) -> Signal:
    image = entry.get("ImageData")
    data = image.get("Data") if isinstance(image, h5py.Group) else None
    if not isinstance(data, h5py.Dataset):
        raise ReadError(path, "incomplete image entry: ImageData is missing", _SAVE_AGAIN)
    code = _plain(image.attrs.get("DataType"))
    dimensions = image.get("Calibrations/Dimension")
    axes = [dict(one.attrs) for one in _members(dimensions)][::-1]  # the file lists x first
    pixels = _pixels(data, code if isinstance(code, int) else 0, _nx(image))
    axes += [{}] * (pixels.ndim - len(axes))
    names = ("z", "y", "x")[-pixels.ndim :] if pixels.ndim <= 3 else ("",) * pixels.ndim
    tags = {"ImageTags": _tags(entry.get("ImageTags")), "ImageData": {"DataType": code}}
    return {
        "data": pixels,
        "axes": [
            {"name": name, "size": size, **_axis(axis)}
            for name, size, axis in zip(names, pixels.shape, axes, strict=False)
        ],
        "metadata": {"General": {"title": _plain(entry.attrs.get("Name", "")).strip("/ ")}},
        "original_metadata": {"ImageList": {"TagGroup0": tags}},
    }


def _nx(image: h5py.Group) -> int:
    """Number of columns of an image according to its header; 0 if it is not stated."""
    sizes = image.get("Dimensions")
    columns = _plain(sizes.attrs.get("[0]")) if isinstance(sizes, h5py.Group) else 0
    return columns if isinstance(columns, int) else 0


def _pixels(data: h5py.Dataset, code: int, nx: int) -> NDArray[Any]:
    """Pixels in native byte order, with pairs as complex numbers and half planes completed."""
    pixels: NDArray[Any] = data[()]
    names = pixels.dtype.names
    if names and len(names) == 2 and all(pixels.dtype[name].kind == "f" for name in names):
        pixels = pixels[names[0]] + 1j * pixels[names[1]]
    elif pixels.dtype.kind in "iufc":
        pixels = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
    if (
        code in PACKED
        and pixels.dtype.kind == "c"
        and pixels.ndim == 2
        and 0 < pixels.shape[1] == nx // 2 + 1
    ):
        return whole_plane(pixels, nx)
    if code in (8, 23) and pixels.dtype.kind in "iu" and pixels.dtype.itemsize == 4:
        return pixels.view(np.dtype([(name, "u1") for name in "BGRA"]))
    return pixels.astype(bool) if code == 14 else pixels


def _axis(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Scale, unit and offset of an axis; Gatan's origin is in pixels."""
    scale, origin = (_plain(attributes.get(name)) for name in ("Scale", "Origin"))
    known = all(isinstance(one, int | float) for one in (scale, origin))
    unit = _plain(attributes.get("Units", ""))
    return {
        "scale": scale,
        "offset": -origin * scale if known else 0.0,
        "units": unit if isinstance(unit, str) else "",
    }


def _tags(group: Any, depth: int = 0) -> dict[str, Any]:
    """Attributes of a group and, nested, of its subgroups, as a dict."""
    if not isinstance(group, h5py.Group) or depth > DEEPEST:
        return {}
    found = {name: _plain(value) for name, value in group.attrs.items()}
    below = {name: _tags(group.get(name), depth + 1) for name in list(group)[:MOST_OBJECTS]}
    return {**found, **{name: tags for name, tags in below.items() if tags}}


def _plain(value: Any) -> Any:
    """A number or text as a plain Python object."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.ravel()[0]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return value[:LONGEST_TEXT].rstrip("\0") if isinstance(value, str) else value
