"""Contents of all files of a data folder, as a table in Markdown.

    python tests/benchmarks/file_table.py --data DIR > files.md

With --analyse, micrographs with a scale are also analysed and patterns measured.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from napari_tem_fft import api
from napari_tem_fft.core.image.micrograph import ImageStack, Micrograph
from napari_tem_fft.io.plain import ReadError
from napari_tem_fft.io.readers.formats import SUFFIXES
from napari_tem_fft.io.readers.micrographs import read_images

HEAD = ("file", "contents", "pixels", "pixel size", "microscope", "warning or message")


def rows(folder: Path, analyse: bool) -> Iterator[tuple[str, ...]]:
    """One row per image, or one for a file without images."""
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in SUFFIXES and path.is_file():
            name = path.relative_to(folder).as_posix()
            try:
                for image in read_images(path):
                    yield name, *described(image), found(image) if analyse else ""
            except ReadError as error:
                yield name, "refused", "", "", "", str(error).partition(": ")[2], ""


def described(image: Micrograph | ImageStack) -> tuple[str, ...]:
    """Kind, pixels, scale, microscope and warnings of an image."""
    stack = isinstance(image, ImageStack)
    kind = {"real": "micrograph", "reciprocal": "pattern", "none": "uncalibrated image"}[
        image.calibration.space
    ]
    dtype = image.frames.dtype if isinstance(image, ImageStack) else image.pixels.dtype
    (sy, sx), unit = image.calibration.scale, image.calibration.unit
    scale = "" if unit == "pixel" else f"{sx:.5g} {unit}" if sx == sy else f"{sx:.5g} x {sy:.5g} {unit}"
    known = {
        "voltage_kV": "{:g} kV",
        "magnification": "{:g}x",
        "exposure_s": "{:g} s",
        "microscope": "{}",
        "date": "{}",
    }
    told = [text.format(image.metadata[key]) for key, text in known.items() if key in image.metadata]
    sizes = " x ".join(map(str, reversed(image.shape[-2:])))
    pixels = f"{image.shape[0]} frames of {sizes}" if stack else sizes
    return (
        f"stack of {kind}s" if stack else kind,
        f"{pixels} {dtype}",
        scale,
        ", ".join(told),
        "; ".join(image.warnings),
    )


def found(image: Micrograph | ImageStack) -> str:
    """Results of the analysis or measurement of an image."""
    if isinstance(image, ImageStack) or image.calibration.space == "none":
        return ""
    try:
        if image.calibration.space == "reciprocal":
            measured = api.measure_pattern(image)
            return f"{len(measured.spots)} spots, {len(measured.profile.peaks)} rings"
        analysis = api.analyse(image)
    except ValueError as error:
        return str(error)
    names = ", ".join(f"{part.name} ({part.outcome})" for part in analysis.components)
    return f"{sum(spot.enabled for spot in analysis.spots)} pairs of spots; {names or 'no crystal'}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("NAPARI_TEM_FFT_DATA"))
    parser.add_argument("--analyse", action="store_true")
    args = parser.parse_args()
    if args.data is None or not args.data.is_dir():
        sys.exit("name a folder of test micrographs with --data")
    head = (*HEAD, "found") if args.analyse else HEAD
    for row in (head, ("---",) * len(head), *rows(args.data, args.analyse)):
        print("| " + " | ".join(cell.replace("|", "\\|") for cell in row[: len(head)]) + " |", flush=True)


if __name__ == "__main__":
    main()
