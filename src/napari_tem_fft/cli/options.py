"""Options of the command line; those of the analysis come from the parameters' declarations."""

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
from .common import (
    add_debug,
    add_image,
    add_output,
    add_parameter,
    add_picture,
    add_uncertainty,
    add_unit,
    argument_type,
    listed,
)
from .main import COMMANDS, add_command, outline

ANALYSE = """\
Analyse micrographs. For each file a folder with its name is written:
  overview.png    micrograph, diffractogram with spots and rings, profile, components
  spots.csv       d, azimuth (counter-clockwise from +x), uncertainties, grain, phase, hkl
  profile.csv     rotational averages against g = 1/d
  grains.csv      size, phase, zone axis and orientation of each grain; sizes.csv, grains.png
  misorientations.csv   angle and axis between neighbours of one phase
  deformation.csv, eps_*.tif, rotation.tif   with --deformation: strain within grains
  map_*.tif       where each component is (0..1, 0.5 is its edge); specimen.tif, grains.tif
  analysis.json   everything, with parameters and versions"""
LIBRARY = """\
your library of phases, each with --help:
  napari-tem-fft phases import SOURCE ...   CIF files, folders, .zip, .tar.gz
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
    """The parser of the whole command line, or of one command; its namespace holds the chosen command."""
    parser, commands = outline()
    for name in COMMANDS:
        add = add_command if command not in (None, name) else _ADD.get(name) or _of(name).add_command
        add(commands, name)
    return parser


def run(command: str, args: argparse.Namespace) -> int:
    """Carry out a command."""
    if command in ("batch", "watch"):
        return int(_of("batch").run(args, params_from, percent_from))
    if command in ("analyse", "sample", "phases"):
        return int(getattr(_of("analyse"), command)(args))
    return int(_of(command).run(args))


def _of(command: str) -> Any:
    """The module of a command, loaded only when it is needed."""
    return import_module(f".{command}", __package__)


def _add_many(commands: Any, name: str) -> None:
    module = _of("batch" if name == "watch" else name)
    module.add_command(commands, name, add_choice_and_library, _add_parameters)


def _add_analyse(commands: Any, name: str) -> None:
    parser = add_command(
        commands, name, description=ANALYSE, epilog=EXAMPLES,
        usage="napari-tem-fft analyse [options] FILE [FILE ...]",
    )  # fmt: skip
    parser.set_defaults(command="analyse")
    parser.add_argument("files", nargs="+", metavar="FILE", type=Path, help=".dm3 or .dm4 file")
    add_output(parser, "results")
    parser.add_argument(
        "--temfft", action="store_true", help="also write NAME.temfft: micrograph and analysis in one file"
    )
    parser.add_argument(
        "--ifft",
        metavar="WHAT,...",
        type=listed(INVERSES),
        default=(),
        help="also write inverse transforms, the lattice fringes alone: mask (all spots, ifft.tif),"
        " components (ifft_NAME.tif each), spots (ifft_spot_ID.tif for each pair; many large files)",
    )
    add_debug(parser)
    add_uncertainty(add_image(parser))
    add_unit(parser)
    add_picture(parser)
    add_choice_and_library(parser.add_argument_group("phases that may be named"))
    _add_edits(parser.add_argument_group("part of the image, and edits of spots by their ids in spots.csv"))
    _add_decisions(parser.add_argument_group("overrides of grains, by their numbers in earlier results"))
    parser.add_argument(
        "--specimen",
        metavar="FILE",
        type=Path,
        help="your own specimen mask, in place of the found one: a .tif or .npy image over the whole"
        " micrograph, of any resolution, not zero where there is matter, such as an edited specimen.tif",
    )
    _add_parameters(parser)


def add_choice(group: Any) -> None:
    """Options that choose phases."""
    group.add_argument(
        "--phases", metavar="NAME,...", type=listed(), help="only these: ids, names, aliases or formulas"
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
        help="folder of CIF files and lists of d, or such a file, that join the table, as those in"
        f" {user_folder()} always do",
    )


def add_choice_and_library(group: Any) -> None:
    """Options that choose phases of the table, and of the user's library."""
    add_choice(group)
    add_library(group)


def add_library(group: Any) -> None:
    """Options for the search of the user's library of phases."""
    group.add_argument(
        "--library",
        action="store_true",
        help="search your library of phases as well (napari-tem-fft phases import): its structures of the"
        " stated --elements, or all; the bundled table takes part as a whole unless elements or sets are"
        " stated",
    )
    group.add_argument("--library-file", metavar="FILE", type=Path, help="another library than your own")


def _add_decisions(group: Any) -> None:
    """Options by which a person decides on the phases of grains."""
    said = {
        "override": "the grain is of this phase, whatever the measurement says",
        "lock": "the same, and the image's scale follows from it: an internal standard",
        "reject": "the grain is not of this phase",
    }
    for kind, text in said.items():
        group.add_argument(f"--{kind}", metavar="GRAIN=PHASE", action="append", default=[], help=text)
    group.add_argument(
        "--forget",
        action="store_true",
        help="drop the decisions and the specimen mask of yours that are in earlier results of this file",
    )


def _add_edits(group: Any) -> None:
    """Options that say what a person did by drawing and by clicking on spots."""
    group.add_argument(
        "--roi", metavar="Y,X;Y,X;...", default=(),
        type=argument_type(_corners, "no region, such as 2,3;8,10 in nm"),
        help="analyse only this rectangle (two opposite corners) or polygon, nm from the upper left corner",
    )  # fmt: skip
    ids = argument_type(_ids, "no list of spots' ids, such as 3,7")
    for option, text in (("delete", "are no reflections"), ("restore", "count although they were off")):
        name = f"--{option}-spots"
        group.add_argument(name, metavar="ID,...", type=ids, default=(), help=f"these {text}")
    group.add_argument(
        "--add-spot", metavar="GY,GX[,R]", action="append", default=[],
        type=argument_type(_place, "no spot, such as -2.5,4.1 or -2.5,4.1,0.2"),
        help="one that is missing, 1/nm, y down, with the radius of its disc; it is refined first",
    )  # fmt: skip


def _ids(text: str) -> tuple[int, ...]:
    """Ids of spots."""
    return tuple(int(part) for part in text.split(","))


def _place(text: str) -> tuple[float, ...]:
    """A frequency (y, x), and perhaps a radius."""
    numbers = tuple(float(part) for part in text.split(","))
    if not 2 <= len(numbers) <= 3 or not all(map(math.isfinite, numbers)) or min(numbers[2:], default=1) <= 0:
        raise ValueError(text)
    return numbers


def _corners(text: str) -> tuple[tuple[float, ...], ...]:
    """Corners (y, x) of a polygon."""
    corners = tuple(tuple(float(part) for part in corner.split(",")) for corner in text.split(";"))
    if len(corners) < 2 or any(len(corner) != 2 or not all(map(math.isfinite, corner)) for corner in corners):
        raise ValueError(text)
    return corners


def _add_sample(commands: Any, name: str) -> None:
    text = "Write the bundled sample, a simulated micrograph, as sample.dm4."
    parser = add_command(commands, name, description=text)
    add_output(parser, ".")


def _add_phases(commands: Any, name: str) -> None:
    text = "List the phases that may be named; with names, the lattice spacings of each."
    parser = add_command(commands, name, description=text, epilog=LIBRARY)
    parser.add_argument("names", nargs="*", metavar="NAME", help="phases to be shown in full")
    add_unit(parser)
    add_choice(parser)


#: Functions that add a command's options, for commands without a module of their own that does it.
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
    """The parameters of a command line: options over those of ``--params`` over `before` or the defaults.

    Raises
    ------
    ValueError
        If a value is outside its limits, or the file is not one of parameters.
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
    """The uncertainty of the scale that a command line states, in per cent; None leaves it to the image.

    The option has precedence over a calibration profile (`profile`, such as the profile of a resumed run, or
    the command's own), and the profile over the file of parameters.

    Raises
    ------
    ValueError
        As `params_from`.
    """
    stated: float | None = args.calibration_uncertainty
    if stated is not None or args.params is None or (profile or args.calibration_profile) is not None:
        return stated
    return read_params(args.params)[1]


def read_params(path: Path) -> tuple[AnalysisParams, float | None]:
    """Parameters from a JSON file: an ``analysis.json``, or only its "parameters".

    Returns
    -------
    params : AnalysisParams
    percent : float, optional
        The scale's uncertainty, where the file states it.

    Raises
    ------
    ValueError
        If the file cannot be read, or holds something else.
    """
    try:
        stored = read_json(path)
        params, percent = restore_parameters(stored.get("parameters", stored))
        if "parameters" in stored and "candidates_stated" not in stored:
            params = without_old_default(params)
        if percent is not None:
            stated_uncertainty(percent)  # refuses what is out of the question
        return params, percent
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: not a file of parameters ({error})") from error
