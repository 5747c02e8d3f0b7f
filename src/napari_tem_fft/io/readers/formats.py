"""The other formats of electron microscopes through rosettasciio: .ser .emi .emd .mrc .hspy .blo .tif."""

from __future__ import annotations

import importlib
import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import ReadError
from .gatan import LAZY_BYTES, Signal
from .signature import Signature

#: Suffix -> rosettasciio's reader.
_READERS = {
    ".ser": "tia",
    ".emi": "tia",
    ".emd": "emd",
    ".hspy": "hspy",
    ".mrc": "mrc",
    ".blo": "blockfile",
    ".tif": "tiff",
    ".tiff": "tiff",
}
#: What a file of each reader must look like; the others have no signature.
_SIGNATURES: dict[str, Signature] = {"emd": "hdf5", "hspy": "hdf5", "tiff": "tiff"}
#: Readers whose lazy arrays open the file only while they are computed.
_LAZY = {"mrc", "blockfile"}

#: A file that claims more data (bytes) is refused where it can only be read as a whole.
EAGER_BYTES = 2**32

#: Suffixes that are read, Gatan's first.
SUFFIXES = (".dm3", ".dm4", *_READERS)

_COPY_AGAIN = "copy it again, or export it again from the program that wrote it"


def read_other(path: Path, signature: Signature, lazy: bool = False) -> list[Signal]:
    """All data sets of a file that is not Gatan's.

    Parameters
    ----------
    path : Path
    signature : {"hdf5", "tiff", "ser", "other"}
        What the file is by its first bytes.
    lazy : bool
        Give dask arrays where the format allows it; always so there above `LAZY_BYTES`.

    Raises
    ------
    ReadError
        If the format is unknown, the file is damaged, or it claims more than can be. The reader's own
        exception is chained.
    """
    reader = _reader_for(path, signature)
    try:
        n_bytes = _claimed_bytes(path, reader)
        lazy = reader in _LAZY and (lazy or n_bytes > LAZY_BYTES)
        _refuse_giants(path, reader, n_bytes)
        return _read_signals(path, reader, lazy)
    except ReadError:
        raise
    except Exception as error:
        raise ReadError(
            path, f"damaged or unsupported file ({type(error).__name__}: {error})", _COPY_AGAIN
        ) from error


def _reader_for(path: Path, signature: Signature) -> str:
    reader = "tiff" if signature == "tiff" else _READERS.get(path.suffix.lower())
    if reader is None:
        raise ReadError(path, "a file of an unknown kind", f"files that can be read: {', '.join(SUFFIXES)}")
    if _SIGNATURES.get(reader, signature) != signature:
        raise ReadError(path, f"not a {path.suffix.lower()} file, whatever its suffix says", _COPY_AGAIN)
    return reader


def _read_signals(path: Path, reader: str, lazy: bool) -> list[Signal]:
    module = importlib.import_module(f"rsciio.{reader}")
    options: dict[str, Any] = {"select_type": "images"} if reader == "emd" else {}
    signals: list[Signal] = module.file_reader(str(path), lazy=lazy, **options)
    return [_with_imagej_unit(path, signal) for signal in signals] if reader == "tiff" else signals


def _with_imagej_unit(path: Path, signal: Signal) -> Signal:
    """The data set with ImageJ's unit, of which rosettasciio 0.15 takes the scale but only "micron"."""
    import tifffile

    with tifffile.TiffFile(path) as tiff:
        unit = str((tiff.imagej_metadata or {}).get("unit", "")).replace("\\u00B5", "\u00b5")
    axes = [{**axis, "units": unit} if axis.get("units") is None else axis for axis in signal["axes"][-2:]]
    return {**signal, "axes": [*signal["axes"][:-2], *axes]} if unit else signal


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


def _claimed_bytes(path: Path, reader: str) -> int:
    """Bytes of data that a file's header claims, before anything is allocated for them."""
    if reader == "mrc":
        return _mrc_bytes(path)
    if reader == "blockfile":
        return _blockfile_bytes(path)
    if reader == "tiff":
        return _tiff_bytes(path)
    return sum(_hdf5_bytes(path)) if reader in ("emd", "hspy") else path.stat().st_size


def _mrc_bytes(path: Path) -> int:
    with path.open("rb") as stream:
        nx, ny, nz, mode = struct.unpack("<4i", stream.read(16))
    if min(nx, ny, nz) < 1:
        raise ReadError(path, "not an MRC file: its header gives no image size", _COPY_AGAIN)
    return int(nx * ny * nz * {0: 1, 2: 4, 3: 4, 4: 8}.get(mode, 2))


def _blockfile_bytes(path: Path) -> int:
    with path.open("rb") as stream:
        head = stream.read(28)
    if head[:6] != b"IMGBLO":
        raise ReadError(path, "not a blockfile", _COPY_AGAIN)
    side, _, nx, ny = struct.unpack("<4H", head[20:28])
    return int(nx * ny * (side * side + 6))


def _tiff_bytes(path: Path) -> int:
    import tifffile

    with tifffile.TiffFile(path) as tiff:
        return sum(math.prod(series.shape) * series.dtype.itemsize for series in tiff.series)


def _hdf5_bytes(path: Path) -> Iterator[int]:
    import h5py

    with h5py.File(path, "r") as file:
        sizes: list[int] = []
        file.visititems(lambda _, node: sizes.append(getattr(node, "nbytes", 0)))
    yield from sizes
