"""Read Gatan .dm3 and .dm4 files with rosettasciio, after checking that their contents are consistent.

rosettasciio trusts every count in a file, so that a damaged file can make it allocate terabytes or run for
hours. This module walks through the same tags, but seeks instead of reading and refuses impossible values
before anything is allocated. The layout of the format is public:

    header      version, length, byte order of the values (all of it big endian)
    group       sorted, open, number of children, children
    child       kind (20 group, 21 data), length of name, name, [DM4: bytes that follow],
                then a group, or "%%%%", length of type description, type description, values

Counts are 4 bytes wide in DM3 and 8 in DM4.
"""

from __future__ import annotations

import logging
import math
import struct
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..plain import ReadError

_BROKEN_COPY = "the copy or transfer was interrupted: copy it again from the microscope computer"
_DAMAGED = "open it in Gatan's software and save it again, or copy it again from the microscope computer"

#: Struct format of a value by its type code.
_FORMATS = {2: "h", 3: "i", 4: "H", 5: "I", 6: "f", 7: "d", 8: "B", 9: "b", 10: "B", 11: "q", 12: "Q"}
_STRUCT, _STRING, _ARRAY = 15, 18, 20

#: Limits far above any real file; beyond them rosettasciio would run for minutes.
_DEEPEST, _MOST_FIELDS, _MOST_BYTES = 64, 4096, 2**24


@dataclass(frozen=True, slots=True)
class Values:
    """Location of a tag's values: offset and number of bytes, number and width of the elements."""

    offset: int
    n_bytes: int
    count: int


@dataclass(frozen=True, slots=True)
class DmOutline:
    """Tags of a Gatan file, with the locations of the larger values.

    Attributes
    ----------
    tags : dict
        Tree of the tags: groups are dicts, single numbers are numbers, everything else is `Values`.
    has_bracket : bool
        Whether the name of a tag contains "[", which rosettasciio 0.15 cannot read.
    order : {"<", ">"}
        Byte order of the values: little endian, or big endian in files from old Macintosh computers.
    """

    tags: dict[str, Any]
    has_bracket: bool
    order: str


def outline(path: str | PathLike[str]) -> DmOutline:
    """Walk through the tags of a Gatan file.

    Raises
    ------
    ReadError
        If the file ends too early or a tag is damaged.
    """
    path = Path(path)
    with path.open("rb") as stream:
        walk = _Walk(path, stream, path.stat().st_size)
        try:
            return DmOutline(walk.root(), walk.has_bracket, walk.order)
        except struct.error as error:
            raise walk.cut_off() from error


@dataclass(slots=True)
class _Walk:
    """A file and the current position in it."""

    path: Path
    stream: BinaryIO
    size: int
    count_format: str = ">i"
    order: str = "<"
    read_bytes: int = 0
    has_bracket: bool = False
    _count_size: int = field(default=4, init=False)

    def root(self) -> dict[str, Any]:
        """Read the whole tree."""
        (version,) = self.take(">i")
        if version == 4:
            self.count_format, self._count_size = ">q", 8
        self.words(1)
        (little,) = self.take(">i")
        self.order = "<" if little else ">"
        self.take(">bb")
        return self.group("", 0)

    def group(self, name: str, depth: int) -> dict[str, Any]:
        """Read the children of a group whose flags have already been read."""
        if depth > _DEEPEST:
            raise self.damaged_file("its tags are nested too deeply")
        (count,) = self.words(1)
        if count < 0:
            raise self.damaged_file("a group of tags has a negative length")
        tags: dict[str, Any] = {}
        unnamed = {20: 0, 21: 0}
        for _ in range(count):
            kind, label = self.child_head()
            if not label:
                label = f"{'TagGroup' if kind == 20 else 'Data'}{unnamed[kind]}"
                unnamed[kind] += 1
            tags[label] = self.child(kind, name, label, depth)
        return tags

    def child_head(self) -> tuple[int, str]:
        """Read the kind and name of the next child."""
        kind, length = self.take(">Bh")
        if kind not in (20, 21) or length < 0:
            raise self.damaged_file(f"there is no tag where one is expected (kind {kind})")
        label = self.stream.read(length).decode("latin-1")
        if len(label) < length:
            raise self.cut_off()
        self.has_bracket |= "[" in label
        return kind, label.replace(".", "")

    def child(self, kind: int, parent: str, label: str, depth: int) -> Any:
        """Read the next child: a group or values."""
        if self._count_size == 8:
            self.take(">q")
        if kind == 20:
            self.take(">bb")
            return self.group(label, depth + 1)
        if self.take("4s") != (b"%%%%",):
            raise self.damaged_file("the marker before a tag's values is missing")
        return self.data(counted=(parent, label) != ("ImageData", "Data"))

    def data(self, counted: bool) -> Any:
        """Skip the values of a tag, or read them if they are a single number."""
        (length,) = self.words(1)
        if length == 1:
            (code,) = self.words(1)
            return self.take(self.order + self.format(code))[0]
        (code,) = self.words(1)
        count = 1
        if code == _STRING and length == 2:
            (width,) = self.words(1)
        elif code == _ARRAY and length == 3:
            code, count = self.words(2)
            width = struct.calcsize("=" + self.format(code))
        elif code == _STRUCT and length > 3:
            width = self.fields()
        elif code == _ARRAY and length > 3:
            width, count = self.elements()
        else:
            raise self.damaged_file(f"a tag has values of an unknown kind ({code})")
        return self.skip(width, count, counted)

    def elements(self) -> tuple[int, int]:
        """Read the width and number of elements of an array whose elements are structs or arrays."""
        (code,) = self.words(1)
        if code == _STRUCT:
            width = self.fields()
        elif code == _STRING:
            (width,) = self.words(1)
        else:
            raise self.damaged_file(f"a tag has values of an unknown kind ({code})")
        (count,) = self.words(1)
        return width, count

    def fields(self) -> int:
        """Size of a struct in bytes, from its description."""
        _, count = self.words(2)
        if not 0 <= count <= _MOST_FIELDS:
            raise self.damaged_file(f"a tag claims to have {count} fields")
        codes = self.words(2 * count)[1::2]
        return sum(struct.calcsize("=" + self.format(code)) for code in codes)

    def skip(self, width: int, count: int, counted: bool) -> Values:
        """Skip values after checking that the file contains them."""
        if width < 0 or count < 0 or (width == 0 and count > 1):
            raise self.damaged_file("a tag has values of an impossible size")
        offset = self.stream.tell()
        if width * count > self.size - offset:
            raise self.cut_off()
        self.read_bytes += width * count if counted else 0
        if self.read_bytes > _MOST_BYTES:
            raise self.damaged_file("its tags other than the images are too large")
        self.stream.seek(width * count, 1)
        return Values(offset, width * count, count)

    def format(self, code: int) -> str:
        """Struct format for a type code."""
        if code not in _FORMATS:
            raise self.damaged_file(f"a tag has values of an unknown kind ({code})")
        return _FORMATS[code]

    def words(self, count: int) -> tuple[int, ...]:
        """Read the next counts."""
        return self.take(f">{count}{self.count_format[1]}")

    def take(self, form: str) -> tuple[Any, ...]:
        """Read the next values with a struct format; raises struct.error if the file ends."""
        return struct.unpack(form, self.stream.read(struct.calcsize(form)))

    def damaged_file(self, what: str) -> ReadError:
        """The error for a file that is inconsistent."""
        return ReadError(self.path, f"damaged file: {what} (at byte {self.stream.tell()})", _DAMAGED)

    def cut_off(self) -> ReadError:
        """The error for a file that ends too early."""
        return ReadError(
            self.path, f"incomplete file: it ends after {self.size} bytes, within its tags", _BROKEN_COPY
        )


_log = logging.getLogger(__name__)

#: A data set as rosettasciio returns it, with the keys "data", "axes", "metadata", "original_metadata".
Signal = dict[str, Any]

#: Files with more image data than this (bytes) are read frame by frame, not as a whole.
LAZY_BYTES = 2**29

#: Bytes per pixel by Gatan's pixel type.
_PIXEL_BYTES = {1: 2, 2: 4, 3: 8, 5: 4, 6: 1, 7: 4, 8: 4, 9: 1, 10: 2, 11: 4, 12: 8, 13: 16, 14: 1, 23: 4}
_PACKED_COMPLEX = {27: 8, 28: 16}
#: Pixel types of transforms of real images, which are stored as a half plane.
PACKED = (5, *_PACKED_COMPLEX)
_NEVER_LAZY = {*PACKED, 8, 23}

_SAVE_AGAIN = "open it in Gatan's software and save it again"
#: Version of rosettasciio for which the fallback for "[" in tag names was written; it uses its internals.
_FALLBACK_VERSION = "0.15"


def read_gatan(path: str | PathLike[str], lazy: bool = False) -> list[Signal]:
    """Read all data sets of a DM3 or DM4 file except thumbnails.

    Parameters
    ----------
    path : path
    lazy : bool
        Return dask arrays, which are read when they are computed. Files with more than `LAZY_BYTES` of
        image data always return them. Colour images and packed transforms are always read immediately.

    Raises
    ------
    ReadError
        If the file is incomplete or damaged, or contains no image or pixels of an unknown type. The
        reader's own exception is chained.
    """
    path = Path(path)
    claims = outline(path)
    entries = _image_entries(path, claims)
    n_bytes = sum(_check_entry(path, entry) for entry in entries)
    special = any(entry["ImageData"]["DataType"] in _NEVER_LAZY for entry in entries)
    signals = _read_signals(path, claims, (lazy or n_bytes > LAZY_BYTES) and not special)
    if claims.order == ">":
        signals = [_swap_bytes(signal) for signal in signals]
    return [_complete_half(signal) for signal in signals]


def _read_signals(path: Path, claims: DmOutline, lazy: bool) -> list[Signal]:
    from rsciio.digitalmicrograph import file_reader

    try:
        with np.errstate(all="ignore"):
            signals: list[Signal] = file_reader(str(path), lazy=lazy)
    except Exception as error:
        if not claims.has_bracket:
            raise _unreadable(path, error) from error
        return _read_brackets(path, lazy, error)
    return signals


def _read_brackets(path: Path, lazy: bool, failure: Exception) -> list[Signal]:
    """Repeat the steps of the public reader, which fails on "[" in tag names, with these names changed."""
    import rsciio

    if not rsciio.__version__.startswith(_FALLBACK_VERSION + "."):
        raise ReadError(
            path,
            f"the name of a tag contains '[', which rosettasciio {rsciio.__version__} cannot read",
            f"install rosettasciio {_FALLBACK_VERSION}, or {_SAVE_AGAIN}",
        ) from failure
    try:
        with np.errstate(all="ignore"):
            signals = _signals_without_brackets(path, lazy)
    except Exception as error:
        raise _unreadable(path, error) from error
    reason = f"{type(failure).__name__}: {failure}"
    _log.info("%s: opened by the fallback for tag names with '[' (%s)", path.name, reason)
    return signals


def _signals_without_brackets(path: Path, lazy: bool) -> list[Signal]:
    from rsciio.digitalmicrograph._api import DigitalMicrographReader, ImageObject

    class Reader(DigitalMicrographReader):  # type: ignore[misc]
        def parse_tag_header(self) -> dict[str, Any]:
            header: dict[str, Any] = super().parse_tag_header()
            header["tag_name"] = header["tag_name"].replace("[", "(").replace("]", ")")
            return header

    with path.open("rb") as stream:
        reader = Reader(stream)
        reader.parse_file()
        images = [ImageObject(tags, stream) for tags in reader.get_image_dictionaries()]
        for image in images:
            image.filename = str(path)
        return [_signal(image, lazy) for image in images]


def _signal(image: Any, lazy: bool) -> Signal:
    return {
        "data": image.get_data(lazy),
        "axes": image.get_axes_dict(),
        "metadata": image.get_metadata(),
        "original_metadata": {"ImageList": {"TagGroup0": image.imdict.to_dict()}},
    }


def _swap_bytes(signal: Signal) -> Signal:
    """The data set in native byte order; the reader assumes that all files are little endian."""
    data = signal["data"]
    if data.dtype.kind not in "iufc" or data.dtype.itemsize == 1:
        return signal
    return {**signal, "data": data.view(data.dtype.newbyteorder(">")).astype(data.dtype)}


def whole_plane(half: NDArray[Any], nx: int) -> NDArray[Any]:
    """Complete the transform of a real image, shape (ny, nx), from its columns with g_x >= 0.

    g = 0 is at (ny // 2, nx // 2). The other half follows from the symmetry F(-g) = F(g)*.

    Parameters
    ----------
    half : ndarray, shape (ny, nx // 2 + 1)
        The half plane, with g_y = 0 in row ny // 2.

    Examples
    --------
    >>> image = np.random.default_rng(0).normal(size=(4, 6))
    >>> half = np.fft.fftshift(np.fft.rfft2(image), axes=0)
    >>> bool(np.allclose(whole_plane(half, 6), np.fft.fftshift(np.fft.fft2(image))))
    True
    """
    ny, right = len(half), (nx + 1) // 2
    opposite = (2 * (ny // 2) - np.arange(ny)) % ny
    left = np.conjugate(half[opposite][:, 1:right][:, ::-1])
    return np.hstack([half[:, right:], left, half[:, :right]])


def _complete_half(signal: Signal) -> Signal:
    """The data set with its whole plane, if only half of it is stored.

    rosettasciio 0.15 completes the plane without rotating the half by 180 degrees, so that spots are mirrored
    in an axis instead of appearing at -g, and it drops a column if the number of columns is odd. The first
    columns of its result are the stored ones.
    """
    if pixel_code(signal) not in _PACKED_COMPLEX or len(signal["axes"]) != 2:
        return signal
    nx = int(signal["axes"][1]["size"])
    return {**signal, "data": whole_plane(signal["data"][:, nx // 2 :: -1], nx)}


def pixel_code(signal: Signal) -> int:
    """Gatan's pixel type; 0 for other files."""
    found = gatan_tag(signal, "ImageData", "DataType")
    return found if isinstance(found, int) else 0


def gatan_tag(signal: Signal, *names: str) -> Any:
    """The tag of a data set at these nested names; an empty mapping if there is none."""
    tags = signal.get("original_metadata", {})
    for name in ("ImageList", "TagGroup0", *names):
        tags = tags.get(name, {}) if isinstance(tags, dict) else {}
    return tags


def _image_entries(path: Path, claims: DmOutline) -> list[dict[str, Any]]:
    """The entries of ImageList except thumbnails."""
    images = claims.tags.get("ImageList")
    thumbnails = claims.tags.get("Thumbnails")
    marks = thumbnails.values() if isinstance(thumbnails, dict) else ()
    skipped = {f"TagGroup{mark.get('ImageIndex')}" for mark in marks if isinstance(mark, dict)}
    entries = [] if not isinstance(images, dict) else [v for k, v in images.items() if k not in skipped]
    if not entries:
        raise ReadError(path, "there is no image in the file", "choose another file")
    return entries


def _check_entry(path: Path, entry: Any) -> int:
    """Check that an image's header, pixels and pixel type are consistent, and return its size in bytes."""
    image = entry.get("ImageData") if isinstance(entry, dict) else None
    if not isinstance(image, dict) or "ImageTags" not in entry:
        raise _incomplete(path, "ImageTags" if isinstance(image, dict) else "ImageData")
    data, sizes = image.get("Data"), image.get("Dimensions")
    for name, there in (
        ("Calibrations", isinstance(image.get("Calibrations"), dict)),
        ("Data", isinstance(data, Values)),
        ("Dimensions", isinstance(sizes, dict) and bool(sizes)),
        ("DataType", isinstance(image.get("DataType"), int)),
    ):
        if not there:
            raise _incomplete(path, name)
    return _check_size(path, image["DataType"], list(image["Dimensions"].values()), image["Data"])


def _check_size(path: Path, code: int, sizes: list[Any], data: Values) -> int:
    if code not in _PIXEL_BYTES and code not in _PACKED_COMPLEX:
        raise ReadError(path, f"pixels of an unsupported type (Gatan's type {code})", _SAVE_AGAIN)
    if not all(isinstance(size, int) and size > 0 for size in sizes):
        raise ReadError(path, "damaged file: an image has an impossible size", _SAVE_AGAIN)
    pixels = math.prod(sizes)
    if code in _PIXEL_BYTES:
        fits = pixels == data.count and pixels * _PIXEL_BYTES[code] <= data.n_bytes
    else:  # half of the plane and one more column
        fits = pixels // 2 <= data.count and data.count * _PACKED_COMPLEX[code] <= 2 * data.n_bytes
    if not fits:
        shape = " x ".join(str(size) for size in sizes)
        raise ReadError(
            path,
            f"damaged file: its header claims an image of {shape} pixels, but its data contain {data.count}",
            _SAVE_AGAIN,
        )
    return data.n_bytes


def _incomplete(path: Path, name: str) -> ReadError:
    return ReadError(path, f"incomplete image entry: {name} is missing", _SAVE_AGAIN)


def _unreadable(path: Path, error: Exception) -> ReadError:
    if type(error).__name__ == "BoxKeyError":  # by name: python-box is not a dependency
        return ReadError(path, f"incomplete image entry ({error})", _SAVE_AGAIN)
    return ReadError(path, f"damaged or unsupported file ({type(error).__name__}: {error})", _SAVE_AGAIN)
