"""What a file is by its first bytes, never by its suffix, and which reader opens it."""

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

#: First bytes of files that are not micrographs, what they are, and what the user can do.
_FOREIGN: tuple[tuple[bytes, str, str], ...] = (
    (
        b"\x00\x05\x16\x07",
        "a macOS sidecar file, not the image itself",
        "open the file of the same name without the leading '._'",
    ),
    (b"\xd0\xcf\x11\xe0", "not a Gatan file but an old Microsoft Office document", "choose the image file"),
    (b"PK\x03\x04", "not a Gatan file but a ZIP archive", "unpack it first"),
    (b"\x1f\x8b", "a file compressed by gzip", "unpack it first"),
    (b"%PDF", "not a Gatan file but a PDF document", "choose the image file"),
)
_BROKEN_COPY = "the copy or transfer broke: copy it again from the microscope computer"
_GATAN_SUFFIXES = (".dm3", ".dm4")
#: Number of first bytes that are examined; they include the mark of MRC files.
_HEAD = 256


def recognise(path: str | PathLike[str]) -> Signature:
    """Kind of a file by its first bytes.

    Returns
    -------
    {"dm", "hdf5", "tiff", "picture", "mrc", "ser", "other"}
        "other" is a file without a signature known here, left to the reader of its suffix.

    Raises
    ------
    ReadError
        If there is no such file, it is empty, or it certainly is no micrograph: a sidecar file, an archive,
        or anything but a file of Gatan's program under a Gatan suffix.
    """
    path = Path(path)
    head = _first_bytes(path)
    if head[:4] in (b"\x00\x00\x00\x03", b"\x00\x00\x00\x04"):
        return "dm"
    gatan = path.suffix.lower() in _GATAN_SUFFIXES
    archive = path.suffix.lower() not in (".prz", ".zspy")  # which are made of one
    foreign = next(((what, advice) for magic, what, advice in _FOREIGN if head.startswith(magic)), None)
    if foreign is not None and archive:
        raise ReadError(path, *foreign)
    kind = _other_format(head)
    if gatan and kind != "hdf5":  # a DM5 file with the suffix of DM4 is recognised later by its content
        raise ReadError(path, *_not_gatan(kind, head))
    return kind


def file_hash(path: str | PathLike[str]) -> str:
    """SHA-256 of a file's content as 64 hexadecimal digits, read in pieces."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _first_bytes(path: Path) -> bytes:
    if path.is_dir():
        raise ReadError(path, "a folder, not an image file", "choose a file inside it")
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD)
    except FileNotFoundError as error:
        raise ReadError(path, "there is no such file", f"looked for {path}") from error
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
    """Whether this is a PNG, JPEG, BMP, GIF or WebP."""
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
        return "not a Gatan file: it holds nothing but zeros", _BROKEN_COPY
    return (
        "not a Gatan file, whatever its suffix says",
        "choose a .dm3 or .dm4 file written by Gatan's program",
    )


#: Suffix -> reader: "tiff", "picture", "mrc", "ser" and "dm5" are this package's own, others rosettasciio's.
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
#: Readers of files that are recognised by their first bytes, whatever their suffix.
_BY_CONTENT: dict[Signature, str] = {"tiff": "tiff", "picture": "picture", "mrc": "mrc", "ser": "ser"}
#: Signatures that the files of these readers must have; the formats of the others have none.
_SIGNATURES: dict[str, Signature] = {
    **dict.fromkeys(("emd", "hspy", "dm5", "nexus"), "hdf5"),
    "tiff": "tiff",
    "picture": "picture",
    "ser": "ser",
}
#: Readers of HDF5 files, which are recognised by their content, whatever their suffix.
_LAYOUTS = {"dm5": "dm5", "hspy": "hspy", "emd": "emd", "nexus": "nexus"}
#: Readers of rosettasciio whose lazy arrays open the file only while they are computed.
_LAZY = {"blockfile"}

#: Files that claim more data (bytes) are refused if they can only be read as a whole.
EAGER_BYTES = 2**32

#: Suffixes of microscopes' files and TIFFs, Gatan's first: these files of a folder are analysed.
SUFFIXES = (".dm3", ".dm4", *(suffix for suffix, reader in _READERS.items() if reader != "picture"))
#: Suffixes of ordinary pictures, which are opened only if they are named explicitly.
PICTURES = tuple(suffix for suffix, reader in _READERS.items() if reader == "picture")

_COPY_AGAIN = "copy it again, or export it again from the program that wrote it"


def read_other(path: Path, signature: Signature, lazy: bool = False) -> list[Signal]:
    """All data sets of a file that is no DM3 or DM4.

    Parameters
    ----------
    path : Path
    signature : {"hdf5", "tiff", "picture", "mrc", "ser", "other"}
        What the file is by its first bytes.
    lazy : bool
        Give arrays that are read when they are needed where the format allows it; always so there above
        `LAZY_BYTES`.

    Raises
    ------
    ReadError
        If the format is unknown, the file is damaged, or it claims more than can be. The reader's own
        exception is chained.
    """
    try:
        reader = _reader_for(path, signature)
        own = _own_reader(reader, lazy)
        return own(path) if own is not None else _by_rosettasciio(path, reader, lazy)
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
            path, "a file of an unknown kind", f"files that can be read: {', '.join((*SUFFIXES, *PICTURES))}"
        )
    if _SIGNATURES.get(reader, signature) != signature:
        raise ReadError(path, f"not a {suffix} file, whatever its suffix says", _COPY_AGAIN)
    return reader


def _own_reader(reader: str, lazy: bool) -> Callable[[Path], list[Signal]] | None:
    """The package's own reader of a kind; None where rosettasciio has it."""
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


def _by_rosettasciio(path: Path, reader: str, lazy: bool) -> list[Signal]:
    n_bytes = _claimed_bytes(path, reader)
    lazy = reader in _LAZY and (lazy or n_bytes > LAZY_BYTES)
    _refuse_giants(path, reader, n_bytes)
    module = importlib.import_module(f"rsciio.{reader}")
    options: dict[str, Any] = {"select_type": "images"} if reader == "emd" else {}
    signals: list[Signal] = module.file_reader(str(path), lazy=lazy, **options)
    return signals


def _claimed_bytes(path: Path, reader: str) -> int:
    """Bytes of data that a file's header claims, before anything is allocated for them."""
    if reader == "blockfile":
        return _blockfile_bytes(path)
    if _SIGNATURES.get(reader) == "hdf5":
        from .hdf5 import check_claims

        return check_claims(path, EAGER_BYTES)
    return path.stat().st_size


def _refuse_giants(path: Path, reader: str, n_bytes: int) -> None:
    size = path.stat().st_size
    if reader in _LAZY and n_bytes > size:
        raise ReadError(
            path, f"incomplete file: its header claims {n_bytes} bytes, it has {size}", _COPY_AGAIN
        )
    if reader not in _LAZY and n_bytes > EAGER_BYTES:
        raise ReadError(
            path,
            f"it claims {n_bytes / 2**30:.1f} GB of data, and its format can only be read as a whole up to"
            f" {EAGER_BYTES / 2**30:.0f} GB",
            "save the images in question by themselves, or as .mrc",
        )


def _blockfile_bytes(path: Path) -> int:
    with path.open("rb") as stream:
        head = stream.read(28)
    if head[:6] != b"IMGBLO":
        raise ReadError(path, "not a blockfile", _COPY_AGAIN)
    side, _, nx, ny = struct.unpack("<4H", head[20:28])
    return int(nx * ny * (side * side + 6))
