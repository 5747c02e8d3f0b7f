"""Micrographs from files: Gatan .dm3 and .dm4, by what is in them and not by their suffix."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from ..core.micrograph import Micrograph
from .errors import ReadError
from .gatan import Signal, read_gatan
from .images import contents, micrograph_of, title_of
from .signature import file_hash, recognise


def read_micrographs(path: str | PathLike[str]) -> tuple[Micrograph, ...]:
    """All two-dimensional images of a file, in its order.

    Images without a usable scale come with ``calibration.space == "none"``, stored diffraction
    patterns and transforms in 1/nm with "reciprocal"; both carry a warning that says so.

    Parameters
    ----------
    path : path
        The file; its content decides what it is.

    Returns
    -------
    tuple of Micrograph
        Never empty.

    Raises
    ------
    ReadError
        If the file cannot be read, or holds no image; the message says what to do.
    """
    path = Path(path)
    signals = _signals(path)
    images = [signal for signal in signals if contents(signal).kind == "image"]
    if not images:
        raise ReadError(path, _no_image(signals), "choose a file with a micrograph")
    digest = file_hash(path)
    names = _names(path, images)
    return tuple(
        micrograph_of(signal, path, name, digest) for signal, name in zip(images, names, strict=True)
    )


def read_micrograph(
    path: str | PathLike[str], image: int | None = None, frame: int | None = None
) -> Micrograph:
    """The one image of a file that is to be analysed.

    Parameters
    ----------
    path : path
    image : int, optional
        Which image of the file, counted from 0 as `read_micrographs` lists them. Without it the first
        one calibrated in real space is taken, else the first one.
    frame : int, optional
        Which frame of a stack, counted from 0.

    Raises
    ------
    ReadError
        If the file cannot be read, or there is no such image or frame.
    """
    images = read_micrographs(path)
    if image is None:
        return next((one for one in images if one.calibration.space == "real"), images[0])
    if not 0 <= image < len(images):
        raise ReadError(path, f"there is no image {image}", f"choose one of 0 to {len(images) - 1}")
    return images[image]


def _signals(path: Path) -> list[Signal]:
    kind = recognise(path)
    if kind == "dm":
        return read_gatan(path)
    raise ReadError(path, "not a Gatan file", "choose a .dm3 or .dm4 file")


def _no_image(signals: list[Signal]) -> str:
    found = ", ".join(dict.fromkeys(contents(signal).words for signal in signals))
    return f"there is no micrograph in the file, but {found}" if found else "there is no image in the file"


def _names(path: Path, signals: list[Signal]) -> list[str]:
    """The file's stem, followed by the image's own name or number where there are several."""
    if len(signals) == 1:
        return [path.stem]
    titles = [title_of(signal) for signal in signals]
    return [
        f"{path.stem}: {title if title and titles.count(title) == 1 else f'{title} {index}'.strip()}"
        for index, title in enumerate(titles)
    ]
