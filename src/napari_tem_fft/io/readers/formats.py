"""Which reader opens a file that is no DM3 or DM4: one of this package's own, or rosettasciio's."""

from __future__ import annotations

import importlib
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import ReadError
from .gatan import LAZY_BYTES, Signal
from .signature import Signature

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
