"""Training pairs from corrected masks: the network's input for an image, and the user's spots.

Each micrograph has one file ``<hash>.npz`` without pickles: `inputs` float16, shape (rows, columns, channels)
with all `CHANNELS`; `g` float64, shape (n, 2), (y, x) in 1/nm, each pair +g, -g once; `meta`, JSON as uint8.
A folder of such files is a training set. Does not import Keras.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from ... import __version__
from ...core.image.calibration import UNCERTAINTY
from ...core.image.micrograph import Micrograph
from ...core.parameters import to_dict
from ...core.pipeline import Analysis
from ...core.spots.spot import Spot
from ..inference.prepare import CHANNELS, InputParams, network_input

FORMAT, FORMAT_VERSION = "napari-tem-fft training pair", 1
#: Largest array that is read, bytes; largest number of spots of a pair, and of pairs of a folder.
LARGEST, MOST_SPOTS, MOST_PAIRS = 1 << 28, 20_000, 10_000
#: Arrays of a pair, with their types.
ARRAYS: dict[str, np.dtype[Any]] = {"inputs": np.dtype("<f2"), "g": np.dtype("<f8"), "meta": np.dtype("u1")}


class PairError(ValueError):
    """A file is not a training pair, or is damaged."""


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """The network's input for an image, and its spots according to the user.

    Attributes
    ----------
    inputs : ndarray of float16, shape (rows, columns, number of `CHANNELS`)
    g : ndarray of float64, shape (n, 2), (y, x), 1/nm
    meta : mapping
        "input" (the grid), "micrograph" (name, file, sha256, shape, pixel_size in nm), "parameters",
        "network", "version", "saved".
    """

    inputs: NDArray[np.float16]
    g: NDArray[np.float64]
    meta: Mapping[str, Any]

    @property
    def params(self) -> InputParams:
        """Grid of the inputs."""
        return _params(self.meta)


def save_pair(folder: Path, analysis: Analysis, spots: Sequence[Spot], params: InputParams) -> Path:
    """Save an analysis with its corrected spots as a training pair.

    A pair of the same micrograph saved earlier is replaced.

    Parameters
    ----------
    folder : Path
        Created if necessary.
    analysis : Analysis
    spots : sequence of Spot
        Only enabled spots are stored.
    params : InputParams
        Grid of the input; all channels are stored, whichever it selects.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    whole = replace(params, channels=CHANNELS)
    inputs = network_input(analysis.diffractogram, analysis.local_spectra, whole)
    text = json.dumps(_meta(analysis, whole), ensure_ascii=False)
    arrays: dict[str, Any] = {
        "inputs": inputs.astype(ARRAYS["inputs"]),
        "g": np.array([spot.g for spot in spots if spot.enabled], ARRAYS["g"]).reshape(-1, 2),
        "meta": np.frombuffer(text.encode(), ARRAYS["meta"]),
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{_identity(analysis.micrograph)}.npz"
    with tempfile.NamedTemporaryFile(dir=folder, suffix=".part", delete=False) as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
    os.replace(file.name, path)
    return path


def load_pairs(folder: Path) -> list[Pair]:
    """Load all training pairs of a folder, sorted by file name.

    Raises
    ------
    PairError
        If there are none, or one is damaged; the message names it.
    """
    paths = sorted(folder.glob("*.npz")) if folder.is_dir() else []
    if not paths:
        raise PairError(f"{folder}: there are no training pairs in this folder")
    if len(paths) > MOST_PAIRS:
        raise PairError(f"{folder}: {len(paths)} files; at most {MOST_PAIRS} are read")
    return [load_pair(path) for path in paths]


def load_pair(path: Path) -> Pair:
    """Load a training pair.

    Raises
    ------
    PairError
        If the file is not a training pair, is damaged, or claims an impossible size.
    """
    with _read(path) as archive:
        pair = Pair(_array(archive, "inputs"), _array(archive, "g"), _meta_of(archive))
        _check(pair)
    return pair


def pair_summary(path: Path) -> tuple[str, int, str]:
    """Name of a pair's micrograph, number of its spots, and time of saving; the inputs are not read.

    Raises
    ------
    PairError
        If the file is not a training pair.
    """
    with _read(path) as archive:
        meta = _meta_of(archive)
        return str(meta["micrograph"]["name"]), len(_array(archive, "g")), str(meta["saved"])


@contextmanager
def _read(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a training pair, with the file's name in all errors."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (OSError, zipfile.BadZipFile, KeyError, TypeError, ValueError, struct.error, EOFError) as error:
        raise PairError(f"{path}: not a training pair ({error})") from error


def _meta_of(archive: zipfile.ZipFile) -> dict[str, Any]:
    meta: dict[str, Any] = json.loads(_array(archive, "meta").tobytes())
    if meta["format"] != FORMAT or meta["format_version"] != FORMAT_VERSION:
        raise ValueError(f"format {meta['format']!r}, version {meta['format_version']}")
    return meta


def _meta(analysis: Analysis, params: InputParams) -> dict[str, Any]:
    micrograph = analysis.micrograph
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "version": __version__,
        "saved": datetime.now(UTC).isoformat(timespec="seconds"),
        "input": asdict(params),
        "micrograph": {
            "name": micrograph.name,
            "file": micrograph.source,
            "sha256": micrograph.file_hash,
            "shape": list(micrograph.shape),
            "pixel_size": list(micrograph.pixel_size),
        },
        "parameters": {
            UNCERTAINTY.name: micrograph.calibration.uncertainty_percent,
            **to_dict(analysis.params),
        },
        "network": asdict(analysis.network) if analysis.network is not None else None,
    }


def _identity(micrograph: Micrograph) -> str:
    """File name, from the micrograph's file or pixels and the index of the image in the file."""
    pixels = "" if micrograph.file_hash else hashlib.sha256(micrograph.pixels.tobytes()).hexdigest()
    who = micrograph.file_hash, pixels, micrograph.name, micrograph.shape
    return hashlib.sha256(repr(who).encode()).hexdigest()[:32]


def _array(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    """Read an array of the expected type, after checking its size against its header."""
    entry = archive.getinfo(f"{name}.npy")
    if entry.file_size > LARGEST:
        raise ValueError(f"{name} has {entry.file_size} bytes")
    with archive.open(entry) as file:
        if npy.read_magic(file) != (1, 0):
            raise ValueError(f"{name} is of another version")
        shape, fortran, dtype = npy.read_array_header_1_0(file)
        content = file.read(LARGEST)
    if dtype != ARRAYS[name] or fortran or len(content) != int(np.prod(shape)) * dtype.itemsize:
        raise ValueError(f"{name} is {dtype} of shape {shape} in {len(content)} bytes")
    return np.frombuffer(content, dtype).reshape(shape)


def _params(meta: Mapping[str, Any]) -> InputParams:
    values = dict(meta["input"])
    return InputParams(**{**values, "channels": tuple(values["channels"])})


def _check(pair: Pair) -> None:
    params = pair.params
    if params.channels != CHANNELS or pair.inputs.shape != (*params.shape, len(CHANNELS)):
        raise ValueError(f"inputs of shape {pair.inputs.shape} for {params}")
    if pair.g.ndim != 2 or pair.g.shape[1] != 2 or len(pair.g) > MOST_SPOTS:
        raise ValueError(f"spots of shape {pair.g.shape}")
    if not (np.isfinite(pair.inputs).all() and np.isfinite(pair.g).all()):
        raise ValueError("there are values that are not numbers")
