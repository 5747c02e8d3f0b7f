"""``*.temfft``: micrographs, their analyses and napari layers in one zip file or folder.

    temfft.json      contents, with the calibration, file and hash of each micrograph
    micrograph.npy   pixels of the first micrograph, unless only its file and hash are kept
    results/         its analysis, a folder written by `io.results`
    micrograph_1.npy, results_1/, ...    the same for further micrographs
    layers/          arrays of layers

All files are JSON, CSV, TIFF, NPY or PNG; nothing in them is ever executed.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.image.calibration import Calibration
from ...core.image.micrograph import ImageStack, Micrograph
from ...core.image.roi import PART, roi_from_metadata
from ...core.pipeline import Analysis
from ..plain import ReadError, from_plain, json_text, read_array, read_json, write_array
from ..readers.micrographs import read_images
from ..results import description
from ..results.description import describe_micrograph, written
from ..results.folder import ANALYSIS, load_results, save_results
from ..results.whole_folder import plain_name, read_description, replace_folder

#: Largest number of files in an archive, and deepest nesting of its folders.
MOST_FILES, DEEPEST = 20_000, 3
#: An archive may expand to this many bytes, or to this multiple of its own size, whichever is larger.
SMALL_BYTES, MOST_EXPANSION = 2**26, 100
#: Suffixes of files that are compressed; pictures are compressed already, and pixels are mostly noise.
_TEXT = {".json", ".csv"}

_REFUSED = "do not open it: it was not written by napari-tem-fft, or was tampered with"
_DAMAGED = "the copy or transfer was interrupted: copy it again"


def pack(folder: Path, path: Path) -> None:
    """Write all files of a folder to a zip file, which atomically replaces an existing one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    try:
        with zipfile.ZipFile(name, "w") as archive:
            for file in sorted(folder.rglob("*")):
                if file.is_file():
                    method = zipfile.ZIP_DEFLATED if file.suffix in _TEXT else zipfile.ZIP_STORED
                    archive.write(file, file.relative_to(folder).as_posix(), method)
        os.chmod(name, 0o666 & ~_umask())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@contextmanager
def unpack(path: Path) -> Iterator[Path]:
    """Unpack an archive into a temporary folder for the duration of the context; a folder is used directly.

    Raises
    ------
    ReadError
        If the archive is damaged, would write outside its folder, or claims an impossible size.
    """
    if path.is_dir():
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="temfft-") as place:
        _unpack(path, Path(place))
        yield Path(place)


def _unpack(path: Path, place: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            _check(path, entries)
            for entry in entries:
                target = place.joinpath(*PurePosixPath(entry.filename).parts)
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(entry) as source, target.open("wb") as file:
                    shutil.copyfileobj(source, file, 2**20)  # zipfile stops at the size that was checked
    except ReadError:
        raise
    except FileNotFoundError as error:
        raise ReadError(path, "the file does not exist", f"looked for {path}") from error
    except Exception as error:
        raise ReadError(
            path, f"incomplete or damaged file ({type(error).__name__}: {error})", _DAMAGED
        ) from error


def _check(path: Path, entries: list[zipfile.ZipInfo]) -> None:
    """Refuse an archive that `pack` could not have written."""
    names = [entry.filename for entry in entries]
    if len(names) > MOST_FILES or len({name.casefold() for name in names}) < len(names):
        raise ReadError(path, "it contains too many files, or a file twice", _REFUSED)
    for entry in entries:
        parts = entry.filename.split("/")
        if len(parts) > DEEPEST or not all(map(plain_name, parts)):
            raise ReadError(path, f"it contains a file outside its folder ({entry.filename!r})", _REFUSED)
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise ReadError(path, f"it contains a link ({entry.filename!r})", _REFUSED)
    total, most = sum(entry.file_size for entry in entries), MOST_EXPANSION * path.stat().st_size
    if total > max(most, SMALL_BYTES):
        raise ReadError(path, f"its {path.stat().st_size} bytes claim to contain {total}", _REFUSED)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


FORMAT, FORMAT_VERSION = "napari-tem-fft document", 1
SUFFIX, DOCUMENT, PIXELS, RESULTS, LAYERS = ".temfft", "temfft.json", "micrograph.npy", "results", "layers"
#: Largest description of an analysis, bytes.
MOST_TEXT = 2**26
KINDS = ("image", "labels", "points", "shapes")

_INCOMPLETE = "the copy or transfer was interrupted: copy it again, or analyse the micrograph again"


@dataclass(frozen=True, slots=True, eq=False)
class StoredLayer:
    """A napari layer as plain values.

    Attributes
    ----------
    data : ndarray, or tuple of ndarray
        Pixels, labels or points; a tuple of vertices, shape (n, 2), for shapes.
    attributes : mapping
        Name, scale, units, colours, ... as JSON values.
    kind : {"image", "labels", "points", "shapes"}
    """

    data: Any
    attributes: Mapping[str, Any]
    kind: str


@dataclass(frozen=True, slots=True, eq=False)
class StoredImage:
    """A micrograph with the calibration used, and its analysis if there is one."""

    micrograph: Micrograph
    analysis: Analysis | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """Contents of a ``*.temfft`` file; each part may be missing.

    Attributes
    ----------
    micrograph : Micrograph, optional
        The first micrograph, with the calibration used.
    analysis : Analysis, optional
        Analysis of that micrograph.
    layers : tuple of StoredLayer
    further : tuple of StoredImage
        Further micrographs with their analyses.
    """

    micrograph: Micrograph | None = None
    analysis: Analysis | None = None
    layers: tuple[StoredLayer, ...] = field(default_factory=tuple)
    further: tuple[StoredImage, ...] = ()

    @classmethod
    def of(cls, images: Sequence[StoredImage], layers: tuple[StoredLayer, ...] = ()) -> Document:
        """Create a document of several micrographs."""
        if not images:
            return cls(layers=layers)
        return cls(images[0].micrograph, images[0].analysis, layers, tuple(images[1:]))

    @property
    def images(self) -> tuple[StoredImage, ...]:
        """All micrographs in order."""
        first = () if self.micrograph is None else (StoredImage(self.micrograph, self.analysis),)
        return first + self.further


def save_temfft(
    path: str | Path, content: Document | Analysis, pixels: bool = True, folder: bool = False
) -> Path:
    """Write a document to a zip file or a folder.

    Parameters
    ----------
    path : path
        The suffix ".temfft" is added if it is missing.
    content : Document or Analysis
    pixels : bool
        Store the pixels of the micrographs; otherwise only file name and hash, by which they are found again.
    folder : bool
        Write a folder instead of a zip file; also done if a folder of that name exists.

    Returns
    -------
    Path
        The file or folder written.

    Raises
    ------
    OSError
        If it cannot be written.
    ValueError
        If pixels are omitted for a micrograph that was not read from a file.
    """
    path = Path(path)
    path = path if path.suffix.lower() == SUFFIX else path.with_name(path.name + SUFFIX)
    document = Document(content.micrograph, content) if isinstance(content, Analysis) else content
    for image in document.images:
        micrograph = image.micrograph
        if not pixels and not (micrograph.source and micrograph.file_hash):
            raise ValueError(
                f"{micrograph.name} was not read from a file that could be opened again: keep its pixels"
            )
    if folder or path.is_dir():
        with replace_folder(path, DOCUMENT) as fresh:
            _write(fresh, document, pixels)
        return path
    with tempfile.TemporaryDirectory(prefix="temfft-") as place:
        _write(Path(place), document, pixels)
        pack(Path(place), path)
    return path


def load_temfft(path: str | Path) -> Document:
    """Read a document written by `save_temfft`; transforms are computed again.

    Raises
    ------
    ReadError
        If it is not such a document, is damaged, or its micrograph is not found.
    """
    path = Path(path)
    with unpack(path) as folder:
        try:
            return _read_document(folder, path)
        except ReadError as error:
            raise ReadError(path, error.what, error.advice) from error
        except Exception as error:  # any other error caused by a manipulated file
            raise ReadError(path, f"incomplete or damaged ({error})", _INCOMPLETE) from error


def results_name(number: int) -> str:
    """Name of the folder with the analysis of a document's image, counted from 0."""
    return f"{RESULTS}_{number}" if number else RESULTS


def pixels_name(number: int) -> str:
    """Name of the file with the pixels of a document's image, counted from 0."""
    return PIXELS.replace(".", f"_{number}.") if number else PIXELS


def _write(folder: Path, document: Document, pixels: bool) -> None:
    images = document.images
    entries = [_write_image(folder, number, image, pixels) for number, image in enumerate(images)]
    shared = {pixels_name(n): image.micrograph.pixels for n, image in enumerate(images) if pixels}
    (folder / LAYERS).mkdir()
    description = {
        **written(FORMAT, FORMAT_VERSION),
        **(entries[0] if entries else {"micrograph": None, "pixels": None, "results": None}),
        "further": entries[1:],
        "layers": [
            _write_layer(folder, number, layer, shared) for number, layer in enumerate(document.layers)
        ],
        "files": [PIXELS, RESULTS, LAYERS]
        + [name(n) for n in range(1, len(images)) for name in (pixels_name, results_name)],
    }
    (folder / DOCUMENT).write_text(json_text(description), encoding="utf-8")


def _write_image(folder: Path, number: int, image: StoredImage, pixels: bool) -> dict[str, Any]:
    if pixels:
        write_array(folder / pixels_name(number), image.micrograph.pixels)
    if image.analysis is not None:
        # pictures are not read back, and drawing them takes longer than everything else
        save_results(image.analysis, folder / results_name(number), keep="maps")
    return {
        "micrograph": describe_micrograph(image.micrograph),
        "pixels": pixels_name(number) if pixels else None,
        "results": results_name(number) if image.analysis is not None else None,
    }


def _write_layer(
    folder: Path, number: int, layer: StoredLayer, shared: Mapping[str, NDArray[Any]]
) -> dict[str, Any]:
    entry = {"kind": layer.kind, "attributes": dict(layer.attributes)}
    if layer.kind == "shapes":
        return {**entry, "vertices": [np.asarray(vertices, float).tolist() for vertices in layer.data]}
    for name, known in shared.items():
        if layer.data is known:
            return {**entry, "data": name}
    name = f"{number:03d}.npy"
    write_array(folder / LAYERS / name, layer.data)
    return {**entry, "data": f"{LAYERS}/{name}"}


def _read_document(folder: Path, path: Path) -> Document:
    about = folder / DOCUMENT
    if not about.is_file():
        raise ReadError(
            path, f"not a document of napari-tem-fft: it contains no {DOCUMENT}", "choose another file"
        )
    stored = read_json(about, MOST_TEXT)
    if stored["format"] != FORMAT:
        raise ReadError(path, f"not a document of napari-tem-fft, but {stored['format']!r}", "choose another")
    if stored["format_version"] != FORMAT_VERSION:
        raise ReadError(path, "written by a newer version of napari-tem-fft", "update napari-tem-fft")
    entries = [stored, *stored.get("further", ())]
    images = [_read_image(folder, path, number, entry) for number, entry in enumerate(entries)]
    known = {pixels_name(n): image.micrograph for n, image in enumerate(images) if image is not None}
    layers = tuple(_read_layer(folder, entry, known) for entry in stored["layers"])
    return Document.of([image for image in images if image is not None], layers)


def _read_image(folder: Path, path: Path, number: int, entry: Mapping[str, Any]) -> StoredImage | None:
    micrograph = _micrograph(folder, path, entry, pixels_name(number))
    if entry["results"] is None:
        return None if micrograph is None else StoredImage(micrograph)
    if micrograph is None:
        raise ReadError(path, "it contains an analysis but no micrograph", _INCOMPLETE)
    analysis = load_results(folder / results_name(number), micrograph)
    return StoredImage(analysis.micrograph, analysis)


def _read_layer(folder: Path, entry: Mapping[str, Any], known: Mapping[str, Micrograph]) -> StoredLayer:
    kind, attributes = entry["kind"], dict(entry["attributes"])
    if kind not in KINDS:
        raise ValueError(f"a layer of unknown kind {kind!r}")
    if kind == "shapes":
        return StoredLayer(
            tuple(np.array(v, float).reshape(-1, 2) for v in entry["vertices"]), attributes, kind
        )
    if entry["data"] in known:
        return StoredLayer(known[entry["data"]].pixels, attributes, kind)
    place, _, name = str(entry["data"]).partition("/")
    if place != LAYERS or not name.removesuffix(".npy").isdecimal():
        raise ValueError(f"a layer's data refer to an unknown place {entry['data']!r}")
    return StoredLayer(read_array(folder / LAYERS / name), attributes, kind)


def _micrograph(folder: Path, path: Path, stored: Mapping[str, Any], pixels_file: str) -> Micrograph | None:
    known = stored["micrograph"]
    if known is None:
        return None
    calibration = from_plain(Calibration, known["calibration"])
    if stored["pixels"] is None:
        return replace(find_micrograph(path, known), calibration=calibration)
    pixels = read_array(folder / pixels_file)
    if pixels.shape != tuple(known["shape"]):
        raise ValueError(f"pixels of shape {pixels.shape} for an image of {known['shape']}")
    metadata, roi = roi_from_metadata(known["metadata"])
    return Micrograph(
        pixels,
        calibration,
        name=str(known["name"]),
        source=str(known["file"]),
        file_hash=str(known["sha256"]),
        metadata=metadata,
        warnings=tuple(map(str, known["warnings"])),
        roi=roi,
    )


def find_micrograph(path: Path, known: Mapping[str, Any]) -> Micrograph:
    """Read the described micrograph from its original path, or from a file of that name next to `path`.

    Raises
    ------
    ReadError
        If it is not found, or its content has changed.
    """
    file = str(known["file"])
    neighbour = path.parent / PureWindowsPath(file).name
    # paths on a server are not followed, because that would reveal to the server who opens the document
    for place in (neighbour,) if file.startswith(("\\\\", "//")) else (Path(file), neighbour):
        if place.is_file():
            for image in read_images(place):
                frame = known["metadata"].get("frame")
                one = image.frame(frame) if isinstance(image, ImageStack) and frame is not None else image
                if isinstance(one, Micrograph) and (found := _as_it_was(one, known)) is not None:
                    return found
    name = PureWindowsPath(file).name
    raise ReadError(
        path,
        f"it contains an analysis but not the micrograph, and an unchanged {name} is not found",
        f"put {name} next to it",
    )


def _as_it_was(image: Micrograph, known: Mapping[str, Any]) -> Micrograph | None:
    """The image, cropped to its region of interest, if it matches the description; otherwise None."""
    _, roi = roi_from_metadata(known["metadata"])
    if roi is not None:
        (top, left), (height, width) = roi.start, known["shape"]
        cut = image.crop(slice(top, top + height), slice(left, left + width))
        image = replace(cut, name=f"{image.name}{PART}", roi=roi)
    described = known["sha256"], known["name"], known["shape"]
    return image if (image.file_hash, image.name, list(image.shape)) == described else None


def load_stored(path: str | Path, micrograph: Micrograph | None = None) -> Analysis:
    """Load the analysis in a ``*.temfft`` file or a results folder.

    Parameters
    ----------
    path : path
    micrograph : Micrograph, optional
        The micrograph of a results folder. By default it is read from its original path, or from a file next
        to those of the folder.

    Raises
    ------
    ReadError
        If there is no analysis in it, it is damaged or contains only tables, or its micrograph is not found.
    """
    path = Path(path)
    if not (path / ANALYSIS).is_file():
        analysis = load_temfft(path).analysis
        if analysis is None:
            raise ReadError(path, "it contains no analysis", "open it in napari, and analyse the micrograph")
        return analysis
    try:
        if micrograph is None:
            stored = read_description(path / ANALYSIS, description.FORMAT, description.FORMAT_VERSION)
            micrograph = find_micrograph(path / ANALYSIS, stored["micrograph"])
        return load_results(path, micrograph)
    except ReadError as error:
        raise ReadError(path, error.what, error.advice) from error
    except (ValueError, KeyError, TypeError) as error:
        raise ReadError(path, str(error)) from error
