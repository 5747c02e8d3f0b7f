"""What a file is by its first bytes (never by its suffix), and the hash that names its content."""

from __future__ import annotations

import hashlib
from os import PathLike
from pathlib import Path
from typing import Literal

from ..errors import ReadError

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
