"""Options of the command line; those of the analysis are created from the declared parameters."""

from __future__ import annotations

import argparse
import math
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from ..core.image.calibration import stated_uncertainty
from ..core.pipeline import AnalysisParams, options, parameter_groups
from ..io.phases.table import user_folder
from ..io.plain import read_json
from ..io.results.description import restore_parameters, without_old_default
from ..io.results.map_files import INVERSES
from .common import add_output, add_parameter, add_picture, add_unit, add_usual, argument_type, listed
from .main import COMMANDS, add_command, outline

ANALYSE = """\
Analyse micrographs. For each file a folder with its name is written:
  overview.png    micrograph, diffractogram with spots and rings, profile, components
  spots.csv       d, azimuth (counter-clockwise from +x), uncertainties, grain, phase, hkl
  profile.csv     rotational averages against g = 1/d
  grains.csv      size, phase, zone axis and orientation of each grain; sizes.csv, grains.png
  misorientations.csv   angle and axis between neighbouring grains of one phase
  deformation.csv, eps_*.tif, rotation.tif   with --deformation: strain within grains
  map_*.tif       map of each component (0..1; its outline is at 0.5); specimen.tif, grains.tif
  analysis.json   everything, with parameters and versions"""
LIBRARY = """\
your phase library (see --help of each):
  napari-tem-fft phases import SOURCE ...   from CIF files, folders, .zip, .tar.gz
  napari-tem-fft phases fetch               from a database, by OPTIMADE
  napari-tem-fft phases search              by words, elements, cell or d
  napari-tem-fft phases show | use | remove | export"""
EXAMPLES = """\
examples:
  napari-tem-fft analyse anode.dm4
  napari-tem-fft analyse *.dm4 -o results --elements "Li, F, O, C, Cu"
  napari-tem-fft analyse anode.dm4 --phases LiF,Li2O,Cu --calibration-uncertainty 0.5
  napari-tem-fft analyse old_scan.dm3 --pixel-size 0.0215
  napari-tem-fft analyse series.dm4 --frame 3 --calibration-profile titan_380kx.json"""


def build_parser(command: str | None = None) -> argparse.ArgumentParser:
    """Create the parser of the whole command line, or of one command; its namespace contains the command."""
    parser, commands = outline()
    for name in COMMANDS:
        add = add_command if command not in (None, name) else _ADD.get(name) or _module_of(name).add_command
        add(commands, name)
    return parser


def run(command: str, args: argparse.Namespace) -> int:
    """Run a command."""
    if command in ("batch", "watch"):
        return int(_module_of("batch").run(args, params_from, percent_from))
    if command in ("analyse", "sample", "phases"):
        return int(getattr(_module_of("analyse"), command)(args))
    return int(_module_of(command).run(args))


def _module_of(command: str) -> Any:
    """The module of a command, imported only when it is needed."""
    return import_module(f".{command}", __package__)


def _add_many(commands: Any, name: str) -> None:
    module = _module_of("batch" if name == "watch" else name)
    module.add_command(commands, name, add_choice_and_library, _add_parameters)


def _add_analyse(commands: Any, name: str) -> None:
    parser = add_command(
        commands, name, description=ANALYSE, epilog=EXAMPLES,
        usage="napari-tem-fft analyse [options] FILE [FILE ...]",
    )  # fmt: skip
    parser.set_defaults(command="analyse")
    parser.add_argument("files", nargs="+", metavar="FILE", type=Path, help=".dm3 or .dm4 file")
    add_usual(parser)
    parser.add_argument(
        "--temfft", action="store_true", help="also write NAME.temfft: micrograph and analysis in one file"
    )
    parser.add_argument(
        "--ifft",
        metavar="WHAT,...",
        type=listed(INVERSES),
        default=(),
        help="also write Bragg-filtered images: mask (all spots, ifft.tif), components (ifft_NAME.tif each),"
        " spots (ifft_spot_ID.tif for each pair; many large files)",
    )
    add_unit(parser)
    add_picture(parser)
    add_choice_and_library(parser.add_argument_group("phases that may be named"))
    _add_edits(parser.add_argument_group("region of interest, and edits of spots by their ids in spots.csv"))
    _add_decisions(parser.add_argument_group("overrides of grains, by their numbers in earlier results"))
    parser.add_argument(
        "--specimen",
        metavar="FILE",
        type=Path,
        help="your own specimen mask instead of the automatic one: a .tif or .npy image of the whole"
        " micrograph, of any resolution, nonzero inside the specimen, such as an edited specimen.tif",
    )
    _add_parameters(parser)


def add_choice(group: Any) -> None:
    """Add the options for the choice of phases."""
    group.add_argument(
        "--phases",
        metavar="NAME,...",
        type=listed(),
        help="only these phases: ids, names, aliases or formulas",
    )
    group.add_argument(
        "--sets",
        "--tag",
        metavar="SET,...",
        type=listed(),
        help="sets of the table: battery, metal, oxide, ... (default: all phases, battery first)",
    )
    group.add_argument(
        "--elements", metavar="LIST", help='elements of the sample, such as "Li, F, O, +Cu, -Na"'
    )
    group.add_argument(
        "--cif",
        metavar="DIR",
        type=Path,
        help="folder of CIF files and lists of d-spacings, or a single file, to add to the table; files in"
        f" {user_folder()} are always added",
    )


def add_choice_and_library(group: Any) -> None:
    """Add the options for the choice of phases of the table and the user's library."""
    add_choice(group)
    add_library(group)


def add_library(group: Any) -> None:
    """Add the options for the search of the user's phase library."""
    group.add_argument(
        "--library",
        action="store_true",
        help="also search your phase library (napari-tem-fft phases import): its structures with the given"
        " --elements, or all; the whole bundled table takes part unless elements or sets are"
        " given",
    )
    group.add_argument("--library-file", metavar="FILE", type=Path, help="a library other than your own")


def _add_decisions(group: Any) -> None:
    """Add the options that override the phases of grains."""
    said = {
        "override": "assign this phase to the grain, whatever was measured",
        "lock": "the same, and derive the image's scale from it (internal standard)",
        "reject": "exclude this phase for the grain",
    }
    for kind, text in said.items():
        group.add_argument(f"--{kind}", metavar="GRAIN=PHASE", action="append", default=[], help=text)
    group.add_argument(
        "--forget",
        action="store_true",
        help="ignore your overrides and specimen mask in earlier results of this file",
    )


def _add_edits(group: Any) -> None:
    """Add the options for the region of interest and for edits of spots."""
    group.add_argument(
        "--roi", metavar="Y,X;Y,X;...", default=(),
        type=argument_type(_corners, "not a region, such as 2,3;8,10 in nm"),
        help="analyse only this rectangle (two opposite corners) or polygon, nm from the upper left corner",
    )  # fmt: skip
    ids = argument_type(_ids, "not a list of spot ids, such as 3,7")
    for option, text in (("delete", "disable these spots"), ("restore", "enable these disabled spots")):
        name = f"--{option}-spots"
        group.add_argument(name, metavar="ID,...", type=ids, default=(), help=text)
    group.add_argument(
        "--add-spot", metavar="GY,GX[,R]", action="append", default=[],
        type=argument_type(_place, "not a spot, such as -2.5,4.1 or -2.5,4.1,0.2"),
        help="add a spot at this g in 1/nm (y down), with the radius of its disc; g is refined",
    )  # fmt: skip


def _ids(text: str) -> tuple[int, ...]:
    """Parse a list of spot ids."""
    return tuple(int(part) for part in text.split(","))


def _place(text: str) -> tuple[float, ...]:
    """Parse a frequency (y, x), with an optional radius."""
    numbers = tuple(float(part) for part in text.split(","))
    if not 2 <= len(numbers) <= 3 or not all(map(math.isfinite, numbers)) or min(numbers[2:], default=1) <= 0:
        raise ValueError(text)
    return numbers


def _corners(text: str) -> tuple[tuple[float, ...], ...]:
    """Parse the corners (y, x) of a polygon."""
    corners = tuple(tuple(float(part) for part in corner.split(",")) for corner in text.split(";"))
    if len(corners) < 2 or any(len(corner) != 2 or not all(map(math.isfinite, corner)) for corner in corners):
        raise ValueError(text)
    return corners


def _add_sample(commands: Any, name: str) -> None:
    text = "Write the bundled sample, a simulated micrograph, as sample.dm4."
    parser = add_command(commands, name, description=text)
    add_output(parser, ".")


def _add_phases(commands: Any, name: str) -> None:
    text = "List the phases that may be named, or show the d-spacings of given ones."
    parser = add_command(commands, name, description=text, epilog=LIBRARY)
    parser.add_argument("names", nargs="*", metavar="NAME", help="phases to show in full")
    add_unit(parser)
    add_choice(parser)


#: Functions that add the options of commands without a function of their own.
_ADD = {
    "analyse": _add_analyse,
    "batch": _add_many,
    "watch": _add_many,
    "series": _add_many,
    "sample": _add_sample,
    "phases": _add_phases,
}


def _add_parameters(parser: argparse.ArgumentParser) -> None:
    general = parser.add_argument_group("parameters of the analysis")
    general.add_argument(
        "--params", metavar="FILE", type=Path, help="parameters from a JSON file, such as an analysis.json"
    )
    places: dict[str, Any] = {"": general}
    for group, kind in parameter_groups():
        first = (kind.__doc__ or group).splitlines()[0].rstrip(".")
        places[group] = parser.add_argument_group(f"{group} - {first[0].lower()}{first[1:]}")
    for option in options():
        add_parameter(places[option.group], option.parameter, option.key, option.name)


def params_from(args: argparse.Namespace, before: AnalysisParams | None = None) -> AnalysisParams:
    """Parameters of a command line: options take precedence over ``--params``, and these over `before`.

    Raises
    ------
    ValueError
        If a value is outside its limits, or the file does not contain parameters.
    """
    params = before or AnalysisParams() if args.params is None else read_params(args.params)[0]
    given = vars(args)
    for group, _ in (("", None), *parameter_groups()):
        changes = {o.parameter.name: given[o.key] for o in options() if o.group == group and o.key in given}
        if changes and not group:
            params = replace(params, **changes)
        elif changes:
            params = replace(params, **{group: replace(getattr(params, group), **changes)})
    return params


def percent_from(args: argparse.Namespace, profile: object = None) -> float | None:
    """Uncertainty of the scale stated by a command line, in per cent; None leaves it to the image.

    The option takes precedence over a calibration profile (`profile`, for example that of a resumed run, or
    the command's own), and the profile over the file of parameters.

    Raises
    ------
    ValueError
        As for `params_from`.
    """
    stated: float | None = args.calibration_uncertainty
    if stated is not None or args.params is None or (profile or args.calibration_profile) is not None:
        return stated
    return read_params(args.params)[1]


def read_params(path: Path) -> tuple[AnalysisParams, float | None]:
    """Read parameters from a JSON file: an ``analysis.json``, or only its "parameters".

    Returns
    -------
    params : AnalysisParams
    percent : float, optional
        The scale's uncertainty, if the file states it.

    Raises
    ------
    ValueError
        If the file cannot be read or has other contents.
    """
    try:
        stored = read_json(path)
        params, percent = restore_parameters(stored.get("parameters", stored))
        if "parameters" in stored and "candidates_stated" not in stored:
            params = without_old_default(params)
        if percent is not None:
            stated_uncertainty(percent)  # raises if it is impossible
        return params, percent
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: not a parameter file ({error})") from error
