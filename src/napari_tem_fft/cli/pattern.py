"""The command ``pattern``: measure stored diffraction patterns and FFTs in 1/nm without transforming them."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

from .. import api
from ..core.image.calibration import stated_uncertainty
from ..core.parameters import parameters_of
from ..core.profile.radial_profile import ProfileParams
from ..core.saed.measure import PatternMeasurement, PatternParams
from ..core.text import LengthUnit, length, printable, symbol
from ..io.exchange.calibration_profile import load_profile
from ..io.figures.labels import calibration_words
from ..io.results.folder import folder_of
from ..io.results.pattern_folder import save_pattern
from . import main as cli
from .common import FAILED, OK, UsageError, add_parameter, add_unit, add_usual, argument_type, each_file
from .output import table

ABOUT = """\
Measure stored diffraction patterns and FFTs that are calibrated in 1/nm, without transforming them. For
each file a folder with its name is written:
  pattern.png     the pattern with its spots, and the radial profile
  spots.csv       d of each spot with both uncertainties, azimuth, whether it appears at +g and -g
  rings.csv       d of each peak of the radial profile
  profile.csv     mean grey level against g = 1/d
  pattern.json    everything, with centre, calibration, parameters and versions"""
EXAMPLES = """\
examples:
  napari-tem-fft pattern saed_gold.dm4
  napari-tem-fft pattern saed.dm3 --centre 1031.5,1018 --calibration-profile saed_500mm.json
  napari-tem-fft pattern scan.tif --pixel-size 0.0125"""
#: Largest number of rows of a table in the terminal; the files contain all rows.
MOST_ROWS = 25


def add_command(commands: Any, name: str) -> None:
    """Add the command to the parser."""
    parser = cli.add_command(
        commands, name, description=ABOUT, epilog=EXAMPLES,
        usage="napari-tem-fft pattern [options] FILE [FILE ...]",
    )  # fmt: skip
    parser.add_argument("files", nargs="+", metavar="FILE", type=Path, help="a pattern or FFT in 1/nm")
    add_usual(parser, "1/nm")
    add_unit(parser)
    parser.add_argument(
        "--centre",
        metavar="Y,X",
        type=argument_type(_place, "not a pixel Y,X such as 1024,1018.5"),
        help="pixel of the direct beam (default: from the file, or from the pattern's symmetry)",
    )
    group = parser.add_argument_group("parameters of the measurement")
    for kind, prefix in ((PatternParams, "pattern"), (ProfileParams, "profile")):
        for parameter in parameters_of(kind):
            add_parameter(group, parameter, f"{prefix}:{parameter.name}", parameter.name.replace("_", "-"))


def run(args: argparse.Namespace) -> int:
    """Run the command and return its exit code."""
    try:
        if args.calibration_profile is not None:
            args.calibration_profile = load_profile(args.calibration_profile)
        params = params_from(args)
    except ValueError as error:
        raise UsageError(str(error)) from error
    failed = each_file(args.files, args.debug, lambda path: _measure(path, args, params))
    return FAILED if failed else OK


def _place(text: str) -> tuple[float, float]:
    """Parse a pixel (y, x)."""
    y, x = (float(part) for part in text.split(","))
    return y, x


def params_from(args: argparse.Namespace) -> PatternParams:
    """Parameters of a command line.

    Raises
    ------
    ValueError
        If a value is outside its limits.
    """
    given: dict[str, dict[str, Any]] = {"pattern": {}, "profile": {}}
    for key, value in vars(args).items():
        prefix, colon, name = key.partition(":")
        if colon:
            given[prefix][name] = value
    return replace(PatternParams(profile=replace(ProfileParams(), **given["profile"])), **given["pattern"])


def _measure(path: Path, args: argparse.Namespace, params: PatternParams) -> None:
    percent = args.calibration_uncertainty
    known = None if percent is None else stated_uncertainty(percent)
    pattern = api.read_pattern(path, args.pixel_size, args.image, args.frame, args.calibration_profile, known)
    measured = api.measure_pattern(pattern, params, args.centre)
    folder = save_pattern(measured, folder_of(path, args.output), args.unit)
    place, written = printable(str(path)), printable(str(folder))
    print(f"{place}\n{report(measured, args.unit)}\n  results: {written}\n", flush=True)


def report(measured: PatternMeasurement, unit: LengthUnit = "nm") -> str:
    """Summary and tables of a measured pattern."""
    (ny, nx), (y, x) = measured.micrograph.shape, measured.centre.position
    lines = [
        f"{nx} x {ny} pixels; {calibration_words(measured)}",
        f"centre at y = {y:.2f}, x = {x:.2f} +/- {measured.centre.sigma:.2f} pixels, from"
        f" {_CENTRE_SOURCES[measured.centre.source]}",
        *_spots(measured, unit),
        *_rings(measured, unit),
        *(f"warning: {text}" for text in measured.warnings),
    ]
    return "\n".join(lines)


_CENTRE_SOURCES = {
    "given": "the user",
    "file": "the file",
    "symmetry": "its symmetry",
    "pairs of spots": "the pairs of spots",
}


def _spots(measured: PatternMeasurement, unit: LengthUnit) -> list[str]:
    if not measured.spots:
        return ["no spots were found"]
    rows = [
        (
            str(s.id),
            _known_phases(s.d, s.d_sigma, unit),
            f"{s.azimuth:.2f}",
            f"{s.snr:.1f}",
            "+g and -g" if s.paired else "one side",
        )
        for s in measured.spots[:MOST_ROWS]
    ]
    return [
        *table([("spot", f"d ({symbol(unit)})", "azimuth (deg)", "SNR", "seen"), *rows]),
        *_more(len(measured.spots) - len(rows), "spots.csv"),
    ]


def _known_phases(d: float, sigma: float, unit: LengthUnit) -> str:
    return f"{length(d, unit, 5)} +/- {length(sigma, unit, 5)}"


def _rings(measured: PatternMeasurement, unit: LengthUnit) -> list[str]:
    peaks = measured.profile.peaks
    if not peaks:
        return ["no rings were found"]
    rows = [
        (f"r{n}", _known_phases(p.d, p.d_sigma, unit), f"{p.width:.3f}", f"{p.significance:.1f}")
        for n, p in enumerate(peaks[:MOST_ROWS], 1)
    ]
    return [
        *table([("ring", f"d ({symbol(unit)})", "width (1/nm)", "sigma"), *rows]),
        *_more(len(peaks) - len(rows), "rings.csv"),
    ]


def _more(count: int, file: str) -> list[str]:
    return [f"  and {count} more in {file}"] if count > 0 else []
