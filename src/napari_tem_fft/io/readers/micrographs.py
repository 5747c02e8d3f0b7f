"""Read micrographs and stacks from Gatan .dm3, .dm4 and other formats, recognised by their content."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

from ...core.image.calibration import Space
from ...core.image.micrograph import ImageStack, Micrograph
from ..plain import ReadError
from .data_sets import contents, frames_of, micrograph_of, read_signals, stack_of, title_of
from .formats import file_hash
from .gatan import LAZY_BYTES, Signal


def read_images(path: str | PathLike[str]) -> tuple[Micrograph | ImageStack, ...]:
    """Read all two-dimensional images and stacks of a file, in the order of the file.

    Images without a usable scale have ``calibration.space == "none"``; stored diffraction patterns and
    transforms in 1/nm have "reciprocal". Both carry a warning that says so. The frames of stacks in large
    files (more than `LAZY_BYTES`) stay on disk until they are accessed; such files are not hashed.

    Parameters
    ----------
    path : path
        The file; its format is recognised by its content.

    Returns
    -------
    tuple of Micrograph and ImageStack
        Never empty.

    Raises
    ------
    ReadError
        If the file cannot be read or contains no image; the message says what to do.
    """
    path = Path(path)
    signals = read_signals(path)
    kept = [(n, signal) for n, signal in enumerate(signals) if contents(signal).kind != "other"]
    if not kept:
        raise ReadError(path, _no_image(signals), "choose a file with a micrograph")
    digest = file_hash(path) if path.stat().st_size <= LAZY_BYTES else ""
    names = _names(path, [signal for _, signal in kept])
    return tuple(_image(path, n, signal, name, digest) for (n, signal), name in zip(kept, names, strict=True))


def read_micrograph(
    path: str | PathLike[str], image: int | None = None, frame: int | None = None, space: Space = "real"
) -> Micrograph:
    """Read one image of a file for analysis.

    Parameters
    ----------
    path : path
    image : int, optional
        Index of the image or stack in the file, counted from 0 in the order of `read_images`. By default
        the first single image in `space` is read, or the first single image if there is none; with a
        `frame`, the first stack.
    frame : int, optional
        Index of a frame of a stack, counted from 0.
    space : {"real", "reciprocal"}
        Preferred kind of image in a file with several: a micrograph, or a diffraction pattern.

    Raises
    ------
    ReadError
        If the file cannot be read, there is no such image or frame, or a frame must be chosen.
    """
    images = read_images(path)
    chosen = images if image is None else (_image_by_number(path, images, image),)
    if frame is not None:
        return _frame(path, chosen, frame)
    singles = [one for one in chosen if isinstance(one, Micrograph)]
    if not singles:
        raise _choose_frame(path, chosen)
    return next((one for one in singles if one.calibration.space == space), singles[0])


def _image(path: Path, index: int, signal: Signal, name: str, digest: str) -> Micrograph | ImageStack:
    if contents(signal).kind == "stack":
        return stack_of(signal, frames_of(signal, path, index), path, name, digest)
    return micrograph_of(signal, path, name, digest)


def _image_by_number(
    path: str | PathLike[str], images: Sequence[Micrograph | ImageStack], image: int
) -> Micrograph | ImageStack:
    if not 0 <= image < len(images):
        raise ReadError(path, f"there is no image {image}", f"choose one of 0 to {len(images) - 1}")
    return images[image]


def _frame(path: str | PathLike[str], images: Sequence[Micrograph | ImageStack], frame: int) -> Micrograph:
    stack = next((one for one in images if isinstance(one, ImageStack)), None)
    if stack is None:
        raise ReadError(path, "there is no stack of images in it", "do not give a frame number")
    if not 0 <= frame < len(stack):
        raise ReadError(path, f"there is no frame {frame}", f"choose one of 0 to {len(stack) - 1}")
    return stack.frame(frame)


def _choose_frame(path: str | PathLike[str], images: Sequence[Micrograph | ImageStack]) -> ReadError:
    stack = next(one for one in images if isinstance(one, ImageStack))
    return ReadError(path, f"it is a stack of {len(stack)} images", f"choose a frame, 0 to {len(stack) - 1}")


def _no_image(signals: list[Signal]) -> str:
    found = ", ".join(dict.fromkeys(contents(signal).description for signal in signals))
    return f"there is no micrograph in the file, but {found}" if found else "there is no image in the file"


def _names(path: Path, signals: list[Signal]) -> list[str]:
    """Name each image after the file's stem, with its own name or number if there are several."""
    if len(signals) == 1:
        return [path.stem]
    titles = [title_of(signal) for signal in signals]
    return [
        f"{path.stem}: {title if title and titles.count(title) == 1 else f'{title} {index}'.strip()}"
        for index, title in enumerate(titles)
    ]
