"""Compare the results of this version with those of another commit: spots, grains, names and maps.

    python tests/benchmarks/same_results.py [--commit REV] [--data DIR] [--reference DIR] [--images NAME,...]
        [--large 4096] [--but KEY,...] [--analyse OPTION...]

Each version analyses, on the command line, the bundled samples, the simulated micrographs in DIR/dev (by
default of NAPARI_TEM_FFT_DATA; omitted if there are none) and one image of `--large` pixels per axis,
assembled from copies of the sample. All tables, numbers and maps of the results are compared: numbers within
1e-5 of their value, heat maps within 0.002, masks in at most one pixel in ten thousand. REV is by default the
commit in ``baseline.txt``; `--reference` stores its results for the next comparison; `--but` omits keys,
columns and files that are meant to differ, by their beginnings. Exits with 1 if anything differs.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

ROOT = Path(__file__).parents[2]
BASELINE = Path(__file__).with_name("baseline.txt")
#: Entries of analysis.json that say when and where, or what a version calls itself.
ASIDE = {"written", "software", "file", "files", "format_version", "parameters", "others"}
RELATIVE, ABSOLUTE = 1e-5, 1e-7
HEAT, PIXELS = 2e-3, 1e-4
SHOWN = 6


def numbers_differ(a: float, b: float, relative: float = RELATIVE) -> bool:
    """Whether two numbers differ beyond rounding."""
    return not (math.isclose(a, b, rel_tol=relative, abs_tol=ABSOLUTE) or (math.isnan(a) and math.isnan(b)))


def differences(a: Any, b: Any, aside: tuple[str, ...], place: str = "") -> Iterator[str]:
    """Differences between two JSON values; additional keys of the newer one are ignored."""
    if isinstance(a, dict) and isinstance(b, dict):
        for key in a:
            if key in ASIDE or key.startswith(aside):
                continue
            if key not in b:
                yield f"{place}/{key}: gone"
            else:
                yield from differences(a[key], b[key], aside, f"{place}/{key}")
    elif isinstance(a, list) and isinstance(b, list):
        if len(a) != len(b):
            yield f"{place}: {len(a)} and {len(b)} entries"
        for i, pair in enumerate(zip(a, b, strict=False)):
            yield from differences(*pair, aside, f"{place}/{i}")
    elif isinstance(a, int | float) and isinstance(b, int | float):
        if numbers_differ(a, b):
            yield f"{place}: {a} and {b}"
    elif a != b:
        yield f"{place}: {a!r} and {b!r}"


def table_differences(a: Path, b: Path, aside: tuple[str, ...]) -> Iterator[str]:
    """Differences between two tables; additional columns of the newer one are ignored."""
    ours, theirs = (list(csv.DictReader(path.open(encoding="utf-8"))) for path in (a, b))
    if len(ours) != len(theirs):
        yield f"{len(ours)} and {len(theirs)} rows"
    for number, (row, other) in enumerate(zip(ours, theirs, strict=False), 1):
        for name, cell in row.items():
            if name.startswith(aside):
                continue
            found = other.get(name)
            try:
                # the last digit that a table shows may round the other way
                same = found is not None and not numbers_differ(float(cell), float(found), 1e-3)
            except ValueError:
                same = cell == found
            if not same:
                yield f"row {number}, {name}: {cell} and {found}"


def map_differences(a: Path, b: Path, _: tuple[str, ...]) -> Iterator[str]:
    """Differences between two maps beyond rounding."""
    ours, theirs = tifffile.imread(a), tifffile.imread(b)
    if ours.shape != theirs.shape:
        yield f"shapes {ours.shape} and {theirs.shape}"
        return
    unlike = ~np.isclose(ours, theirs, atol=HEAT if ours.dtype.kind == "f" else 0, equal_nan=True)
    if unlike.mean() > PIXELS:
        yield f"{unlike.sum()} of {unlike.size} pixels"


def folder_differences(a: Path, b: Path, aside: tuple[str, ...]) -> Iterator[str]:
    """Differences between the results of one image."""
    for path in sorted(a.iterdir()):
        other = b / path.name
        if path.suffix not in (".csv", ".tif", ".json") or path.name.startswith(aside):
            continue
        if not other.exists():
            yield f"{path.name}: gone"
        elif path.suffix == ".json":
            both = (json.loads(p.read_text(encoding="utf-8")) for p in (path, other))
            yield from (f"{path.name}: {text}" for text in differences(*both, aside))
        else:
            compare = table_differences if path.suffix == ".csv" else map_differences
            yield from (f"{path.name}: {text}" for text in compare(path, other, aside))


def analyse(checkout: Path, images: list[Path], out: Path, options: list[str]) -> None:
    """Run the command line of a checkout on the images that have no results yet."""
    missing = [path for path in images if not (out / path.name / "analysis.json").exists()]
    if not missing:
        return
    places = {"PYTHONPATH": str(checkout / "src"), "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [
        sys.executable,
        "-m",
        "napari_tem_fft",
        "analyse",
        *map(str, missing),
        "-o",
        str(out),
        *options,
    ]
    subprocess.run(command, env=os.environ | places, stdout=subprocess.DEVNULL, cwd=out, check=True)


def checkout_of(commit: str, place: Path) -> Path:
    """The sources of a commit, with the files that an editable installation links into the package."""
    archive = subprocess.run(["git", "archive", commit], cwd=ROOT, check=True, capture_output=True).stdout
    place.mkdir(parents=True, exist_ok=True)
    subprocess.run(["tar", "-x"], cwd=place, input=archive, check=True)
    for name in ("models", "napari.yaml"):
        (place / "src" / "napari_tem_fft" / name).symlink_to(place / name)
    return place


def large_image(size: int, place: Path) -> Path:
    """A micrograph assembled from mirrored copies of the bundled sample, which match at their borders."""
    from napari_tem_fft import read

    sample = read(ROOT / "src" / "napari_tem_fft" / "data" / "sample.dm4")
    pixels = np.asarray(sample.pixels)
    height, width = pixels.shape
    tile = np.pad(pixels, ((0, max(size - height, 0)), (0, max(size - width, 0))), mode="symmetric")
    path = place / f"large_{size}.tif"
    step = sample.calibration.pixel_size[1]
    tifffile.imwrite(
        path, tile[:size, :size].astype(np.float32), imagej=True, resolution=(1 / step, 1 / step),
        metadata={"unit": "nm"},
    )  # fmt: skip
    return path


def main() -> int:
    """Print the differences, starting with a line per image."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--commit", default=BASELINE.read_text(encoding="utf-8").strip())
    parser.add_argument("--data", type=Path, default=os.environ.get("NAPARI_TEM_FFT_DATA"))
    parser.add_argument("--reference", type=Path)
    parser.add_argument("--images", default="", help="only images whose name holds one of these")
    parser.add_argument("--large", type=int, default=4096)
    parser.add_argument("--but", default="", help="keys, columns and files that may differ")
    parser.add_argument("--analyse", nargs=argparse.REMAINDER, default=[], help="options for both versions")
    args = parser.parse_args()
    aside = tuple(filter(None, args.but.split(",")))
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        images = sorted((ROOT / "src" / "napari_tem_fft" / "data").glob("*.dm4"))
        if args.data is not None:
            images += sorted((Path(args.data) / "dev" / "images").glob("*.dm?"))
        if args.large:
            images.append(large_image(args.large, place))
        wanted = [word for word in args.images.split(",") if word]
        images = [path.resolve() for path in images if not wanted or any(w in path.name for w in wanted)]
        before, after = (args.reference or place / "before").resolve(), place / "after"
        for folder in (before, after):
            folder.mkdir(parents=True, exist_ok=True)
        analyse(checkout_of(args.commit, place / "checkout"), images, before, args.analyse)
        analyse(ROOT, images, after, args.analyse)
        unlike = 0
        for path in images:
            found = list(folder_differences(before / path.name, after / path.name, aside))
            unlike += bool(found)
            print(
                f"{'DIFFERS' if found else 'same   '} {path.name}", *found[:SHOWN], sep="\n    ", flush=True
            )
            if len(found) > SHOWN:
                print(f"    and {len(found) - SHOWN} more")
    print(f"{len(images) - unlike} of {len(images)} images give the same results")
    return int(bool(unlike))


if __name__ == "__main__":
    sys.exit(main())
