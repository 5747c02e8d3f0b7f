"""Recognise a file's format by its first bytes, not by its suffix, and choose the reader for it."""

from __future__ import annotations

import hashlib
import importlib
import struct
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from ..plain import ReadError
from .gatan import LAZY_BYTES, Signal

Signature = Literal["dm", "hdf5", "tiff", "picture", "mrc", "ser", "other"]

#: First bytes of files that are not micrographs, with a description and what the user can do.
_FOREIGN: tuple[tuple[bytes, str, str], ...] = (
    (
        b"\x00\x05\x16\x07",
        "a macOS sidecar file, not the image itself",
        "open the file of the same name without the leading '._'",
    ),
    (b"\xd0\xcf\x11\xe0", "not a Gatan file but an old Microsoft Office document", "choose the image file"),
    (b"PK\x03\x04", "not a Gatan file but a ZIP archive", "unpack it first"),
    (b"\x1f\x8b", "a file compressed with gzip", "unpack it first"),
    (b"%PDF", "not a Gatan file but a PDF document", "choose the image file"),
)
_BROKEN_COPY = "the copy or transfer was interrupted: copy it again from the microscope computer"
_GATAN_SUFFIXES = (".dm3", ".dm4")
#: Number of bytes at the start of a file that are examined; they include the magic number of MRC files.
_HEAD = 256


def recognise(path: str | PathLike[str]) -> Signature:
    """Recognise a file's format by its first bytes.

    Returns
    -------
    {"dm", "hdf5", "tiff", "picture", "mrc", "ser", "other"}
        "other" is a file without a known signature; its reader is chosen by its suffix.

    Raises
    ------
    ReadError
        If the file does not exist, is empty, or is certainly not a micrograph: a sidecar file, an archive,
        or a file with a Gatan suffix that is not a Gatan file.
    """
    path = Path(path)
    head = _first_bytes(path)
    if head[:4] in (b"\x00\x00\x00\x03", b"\x00\x00\x00\x04"):
        return "dm"
    gatan = path.suffix.lower() in _GATAN_SUFFIXES
    archive = path.suffix.lower() not in (".prz", ".zspy")  # these formats are ZIP archives
    foreign = next(((what, advice) for magic, what, advice in _FOREIGN if head.startswith(magic)), None)
    if foreign is not None and archive:
        raise ReadError(path, *foreign)
    kind = _other_format(head)
    if gatan and kind != "hdf5":  # DM5 files with a DM4 suffix are recognised later by their content
        raise ReadError(path, *_not_gatan(kind, head))
    return kind


def file_hash(path: str | PathLike[str]) -> str:
    """SHA-256 of a file's content as 64 hexadecimal digits; the file is read in blocks."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _first_bytes(path: Path) -> bytes:
    if path.is_dir():
        raise ReadError(path, "a folder, not an image file", "choose a file inside it")
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD)
    except FileNotFoundError as error:
        raise ReadError(path, "the file does not exist", f"looked for {path}") from error
    except OSError as error:
        raise ReadError(path, f"cannot be opened ({error.strerror})", "check that you may read it") from error
    if not head:
        raise ReadError(path, "incomplete file: it is empty", _BROKEN_COPY)
    if len(head) < 16:
        raise ReadError(path, f"incomplete file: it ends after {len(head)} bytes", _BROKEN_COPY)
    return head


def _other_format(head: bytes) -> Signature:
    if head.startswith(b"\x89HDF"):
        return "hdf5"
    if head[:4] in (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+"):
        return "tiff"
    if head[:4] == b"II\x97\x01":
        return "ser"
    if head[208:212] == b"MAP ":
        return "mrc"
    return "picture" if _is_picture(head) else "other"


def _is_picture(head: bytes) -> bool:
    """Whether the file is a PNG, JPEG, BMP, GIF or WebP image."""
    bitmap = head[:2] == b"BM" and head[6:10] == bytes(4)
    web = head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    return head.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8")) or bitmap or web


def _not_gatan(kind: Signature, head: bytes) -> tuple[str, str]:
    if kind == "tiff":
        return "not a Gatan file but a TIFF image", "rename it to .tif and open that"
    if kind == "picture":
        return "not a Gatan file but an ordinary picture", "rename it to .png or .jpg and open that"
    if kind == "mrc":
        return "not a Gatan file but an MRC image", "rename it to .mrc and open that"
    if kind == "ser":
        return "not a Gatan file but a TIA series", "rename it to .ser and open that"
    if not any(head):
        return "not a Gatan file: it contains only zeros", _BROKEN_COPY
    return (
        "not a Gatan file, despite its suffix",
        "choose a .dm3 or .dm4 file written by Gatan's software",
    )


#: Suffix -> reader: "tiff", "picture", "mrc", "ser" and "dm5" are in this package, others in rosettasciio.
_READERS = {
    ".mrc": "mrc",
    ".mrcs": "mrc",
    ".ser": "ser",
    ".emi": "tia",
    ".emd": "emd",
    ".de5": "emd",
    ".dm5": "dm5",
    ".hspy": "hspy",
    ".nxs": "nexus",
    ".blo": "blockfile",
    ".tvips": "tvips",
    ".prz": "pantarhei",
    ".unf": "semper",
    ".rpl": "ripple",
    ".sur": "digitalsurf",
    ".tif": "tiff",
    ".tiff": "tiff",
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp"), "picture"),
}
#: Readers chosen by the first bytes of a file, whatever its suffix.
_BY_CONTENT: dict[Signature, str] = {"tiff": "tiff", "picture": "picture", "mrc": "mrc", "ser": "ser"}
#: Signatures required by the readers of these formats; the other formats have none.
_SIGNATURES: dict[str, Signature] = {
    **dict.fromkeys(("emd", "hspy", "dm5", "nexus"), "hdf5"),
    "tiff": "tiff",
    "picture": "picture",
    "ser": "ser",
}
#: Readers of HDF5 files, chosen by the content of a file, whatever its suffix.
_LAYOUTS = {"dm5": "dm5", "hspy": "hspy", "emd": "emd", "nexus": "nexus"}
#: Readers of rosettasciio whose lazy arrays open the file only during computation.
_LAZY = {"blockfile"}

#: Files with more data than this (bytes) are refused if their format can only be read as a whole.
EAGER_BYTES = 2**32

#: Suffixes of microscope files and TIFFs, Gatan's first; files with these suffixes in a folder are analysed.
SUFFIXES = (".dm3", ".dm4", *(suffix for suffix, reader in _READERS.items() if reader != "picture"))
#: Suffixes of ordinary pictures, which are only opened if the user names them explicitly.
PICTURES = tuple(suffix for suffix, reader in _READERS.items() if reader == "picture")

_COPY_AGAIN = "copy it again, or export it again from the program that wrote it"


def read_other(path: Path, signature: Signature, lazy: bool = False) -> list[Signal]:
    """Read all data sets of a file that is not DM3 or DM4.

    Parameters
    ----------
    path : Path
    signature : {"hdf5", "tiff", "picture", "mrc", "ser", "other"}
        Format recognised by the first bytes.
    lazy : bool
        Return arrays that are read on demand where the format allows it. Files above `LAZY_BYTES` always
        return them.

    Raises
    ------
    ReadError
        If the format is unknown, or the file is damaged or claims more data than it can contain. The
        reader's own exception is chained.
    """
    try:
        reader = _reader_for(path, signature)
        own = _own_reader(reader, lazy)
        return own(path) if own is not None else _read_with_rosettasciio(path, reader, lazy)
    except ReadError:
        raise
    except ImportError as error:
        raise ReadError(
            path, f"{error.name or 'a library'} is needed for this format", "install it with pip"
        ) from error
    except Exception as error:
        text = f"damaged or unsupported file ({type(error).__name__}: {error})"
        raise ReadError(path, text[:400], _COPY_AGAIN) from error


def _reader_for(path: Path, signature: Signature) -> str:
    suffix = path.suffix.lower()
    reader = _BY_CONTENT.get(signature) or _READERS.get(suffix)
    if signature == "hdf5":
        from .hdf5 import layout_of

        reader = _LAYOUTS.get(layout_of(path), reader)
    if reader is None:
        raise ReadError(
            path, "a file of unknown format", f"files that can be read: {', '.join((*SUFFIXES, *PICTURES))}"
        )
    if _SIGNATURES.get(reader, signature) != signature:
        raise ReadError(path, f"not a {suffix} file, despite its suffix", _COPY_AGAIN)
    return reader


def _own_reader(reader: str, lazy: bool) -> Callable[[Path], list[Signal]] | None:
    """Own reader of a format; None if rosettasciio reads it."""
    match reader:
        case "mrc":
            from .mrc import read_mrc

            return lambda path: read_mrc(path, lazy)
        case "ser":
            from .ser import read_ser

            return read_ser
        case "tiff":
            from .tiff import read_tiff

            return read_tiff
        case "picture":
            from .pictures import read_picture

            return read_picture
        case "dm5":
            from .hdf5 import check_claims, read_dm5

            return lambda path: read_dm5(path) if check_claims(path, EAGER_BYTES) >= 0 else []
    return None


def _read_with_rosettasciio(path: Path, reader: str, lazy: bool) -> list[Signal]:
    n_bytes = _claimed_bytes(path, reader)
    lazy = reader in _LAZY and (lazy or n_bytes > LAZY_BYTES)
    _check_size(path, reader, n_bytes)
    module = importlib.import_module(f"rsciio.{reader}")
    options: dict[str, Any] = {"select_type": "images"} if reader == "emd" else {}
    signals: list[Signal] = module.file_reader(str(path), lazy=lazy, **options)
    return signals


def _claimed_bytes(path: Path, reader: str) -> int:
    """Size of the data in bytes according to the file's header, read before anything is allocated."""
    if reader == "blockfile":
        return _blockfile_bytes(path)
    if _SIGNATURES.get(reader) == "hdf5":
        from .hdf5 import check_claims

        return check_claims(path, EAGER_BYTES)
    return path.stat().st_size


def _check_size(path: Path, reader: str, n_bytes: int) -> None:
    size = path.stat().st_size
    if reader in _LAZY and n_bytes > size:
        raise ReadError(
            path, f"incomplete file: its header claims {n_bytes} bytes, but it has {size}", _COPY_AGAIN
        )
    if reader not in _LAZY and n_bytes > EAGER_BYTES:
        raise ReadError(
            path,
            f"it claims {n_bytes / 2**30:.1f} GB of data, and its format can only be read as a whole up to"
            f" {EAGER_BYTES / 2**30:.0f} GB",
            "save the images that you need separately, or as .mrc",
        )


def _blockfile_bytes(path: Path) -> int:
    with path.open("rb") as stream:
        head = stream.read(28)
    if head[:6] != b"IMGBLO":
        raise ReadError(path, "not a blockfile", _COPY_AGAIN)
    side, _, nx, ny = struct.unpack("<4H", head[20:28])
    return int(nx * ny * (side * side + 6))
