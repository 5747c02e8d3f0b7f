"""Messages, exit codes and image options shared by all commands."""

from __future__ import annotations

import argparse
import io
import sys
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ..core.image.calibration import UNCERTAINTY, stated_uncertainty
from ..core.text import UNITS, LengthUnit, printable
from ..io.figures.picture import DPI, FORMATS, PANELS, PictureOptions

if TYPE_CHECKING:
    from ..core.parameters import Parameter

T = TypeVar("T")
_METAVARS = {"nm": "NM", "1/nm": "1/NM", "%": "PERCENT", "deg": "DEG", "sigma": "SIGMA"}
OK, FAILED, USAGE, STOPPED = 0, 1, 2, 130


class UsageError(ValueError):
    """The command cannot be run with these arguments."""


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Formatter that keeps the line breaks of descriptions and has room for a unit next to each option."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=34)


def say(message: str) -> None:
    """Print a message to standard error, separate from the results."""
    text = printable(message, keep="\n")
    print(f"napari-tem-fft: {text}", file=sys.stderr)


def never_fail_to_print() -> None:
    """Make the terminal's streams escape characters that their encoding lacks."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def failure(path: Path, error: Exception, debug: bool, prefix: str = "") -> int:
    """Print why a file failed; returns 1, to be added to the number of failures."""
    if debug:
        raise error
    text = str(error) or type(error).__name__
    said = f"{prefix}{text}" if path.name in text else f"{path.name}: {prefix}{text}"
    say(printable(said))
    return 1


def add_output(parser: argparse.ArgumentParser, default: str) -> None:
    """Add the option for the results folder."""
    parser.add_argument(
        "-o",
        "--output",
        metavar="DIR",
        type=Path,
        default=Path(default),
        help=f"folder to write into (default: {default})",
    )


def add_debug(parser: argparse.ArgumentParser) -> None:
    """Add the option for tracebacks."""
    parser.add_argument("--debug", action="store_true", help="show where in the program an error occurred")


def add_image(parser: argparse.ArgumentParser, unit: str = "nm", frame: bool = True) -> Any:
    """Add a group of options for the image of a file and its scale, in nm or 1/nm per pixel.

    With `frame`, also an option for the frame of a stack.
    """
    image = parser.add_argument_group("image")
    image.add_argument(
        "--pixel-size",
        metavar=unit.upper(),
        type=argument_type(_pixel_size, "not a pixel size, such as 0.025"),
        help=f"pixel size in {unit}, instead of the file's; Y,X if the axes differ",
    )
    if unit == "nm":
        image.add_argument(
            "--scale-bar",
            dest="pixel_size",
            metavar="NM,PIXELS",
            type=argument_type(_scale_bar, "not a bar's length in nm and in pixels, such as 5,268"),
            help="pixel size from a scale bar: its length in nm, as written next to it, and in pixels",
        )
    image.add_argument(
        "--calibration-profile",
        metavar="FILE",
        type=Path,
        help="correct the file's scale with a profile written by the command calibrate",
    )
    image.add_argument("--image", metavar="N", type=int, help="index of the image in the file, from 0")
    if frame:
        image.add_argument("--frame", metavar="N", type=int, help="index of the frame of a stack, from 0")
    return image


def add_usual(parser: argparse.ArgumentParser, unit: str = "nm", frame: bool = True) -> None:
    """Options of all commands that read images: folder of results, image, scale and its uncertainty."""
    add_output(parser, "results")
    add_debug(parser)
    add_uncertainty(add_image(parser, unit, frame))


def add_picture(parser: argparse.ArgumentParser, panels: bool = True) -> None:
    """Add a group of options for figures; `picture_options` combines their values."""
    picture = parser.add_argument_group("picture")
    picture.add_argument(
        "--picture", metavar="FORMAT,...", type=listed(FORMATS), default=PictureOptions().formats,
        help=f"formats: {', '.join(FORMATS)} (default: png); text remains text in svg and pdf",
    )  # fmt: skip
    picture.add_argument(
        "--dpi", metavar="N", type=argument_type(_dpi), default=DPI, help=f"dots per inch (default: {DPI})"
    )
    if panels:
        picture.add_argument(
            "--panels", metavar="PANEL,...", type=listed(PANELS), default=PANELS,
            help=f"only these parts of the overview: {', '.join(PANELS)} (default: all)",
        )  # fmt: skip


def picture_options(args: argparse.Namespace) -> PictureOptions:
    """How the figures of a command are drawn and saved."""
    return PictureOptions(tuple(getattr(args, "panels", PANELS)), tuple(args.picture), args.dpi)


def argument_type(parse: Callable[[str], T], wanted: str = "") -> Callable[[str], T]:
    """Type of an option whose errors are shown by the parser, with its own message or with `wanted`."""

    def parsed(text: str) -> T:
        try:
            return parse(text)
        except ValueError as error:
            said = f"{text!r} is {wanted}" if wanted else str(error)
            raise argparse.ArgumentTypeError(said) from error

    return parsed


def _dpi(text: str) -> int:
    if not text.isdecimal():
        raise ValueError(f"{text!r} is not a whole number of dots per inch, such as 300")
    return PictureOptions(dpi=int(text)).dpi


def listed(known: Collection[str] = ()) -> Callable[[str], list[str]]:
    """Type of an option with a comma-separated list of names, which must be among `known` if given."""

    def parsed(text: str) -> list[str]:
        found = [name.strip() for name in text.split(",") if name.strip()]
        found = list(dict.fromkeys(name.lower() if known else name for name in found))
        unknown = [name for name in found if known and name not in known]
        if unknown or not found:
            which = f"is not one of {', '.join(known)}" if known else "is not a name"
            raise ValueError(f"{', '.join(unknown) or 'nothing'} {which}")
        return found

    return argument_type(parsed)


def add_uncertainty(group: Any) -> None:
    """Add the option for the uncertainty of the scale."""
    default = f"{UNCERTAINTY.default:g} {UNCERTAINTY.field.unit}, or the calibration profile's"
    group.add_argument(
        f"--{UNCERTAINTY.name.replace('_', '-')}",
        metavar="PERCENT",
        type=argument_type(_percent),
        help=f"{UNCERTAINTY.field.help} (default: {default})".replace("%", "%%"),
    )


def _percent(text: str) -> float:
    """Parse an uncertainty in per cent."""
    stated_uncertainty(float(text))
    return float(text)


def _pixel_size(text: str) -> tuple[float, float]:
    """Parse a pixel size (y, x) from one number or two."""
    sizes = [float(part) for part in text.split(",")]
    if len(sizes) > 2 or not all(0 < size < 100 for size in sizes):
        raise ValueError(text)
    return sizes[0], sizes[-1]


def _scale_bar(text: str) -> tuple[float, float]:
    """Parse a pixel size (y, x) from the length of a scale bar in nm and in pixels."""
    length, pixels = (float(part) for part in text.split(","))
    return _pixel_size(repr(length / (pixels or float("nan"))))


def add_parameter(place: Any, parameter: Parameter, key: str, name: str) -> None:
    """Add the option for a declared parameter; it is stored in the namespace, under `key`, only if given."""
    field = parameter.field
    keywords: dict[str, Any] = {"dest": key, "default": argparse.SUPPRESS}
    unit = f" {field.unit}" if field.unit else ""
    default = field.automatic or ("none" if parameter.default == "" else f"{parameter.default}{unit}")
    keywords["help"] = f"{field.help} (default: {default})".replace("%", "%%")
    if parameter.type is bool:
        keywords["action"] = argparse.BooleanOptionalAction
    else:
        keywords |= {"type": parameter.type, "choices": field.choices or None}
        keywords["metavar"] = (
            None if field.choices else _METAVARS.get(field.unit, "NAME" if parameter.type is str else "X")
        )
    place.add_argument(f"--{name}", **keywords)


def each_file(paths: Sequence[Path], debug: bool, work: Callable[[Path], object]) -> int:
    """Work on one file after the other, report the failures, and return their number.

    Raises
    ------
    UsageError
        If results of several files would be written under one name.
    """
    count = Counter(path.name.casefold() for path in paths)
    if clashes := [name for name, number in count.items() if number > 1]:
        raise UsageError(f"the results of several files would have the same name: {', '.join(clashes)}")
    failed = 0
    for path in paths:
        try:
            work(path)
        except (ValueError, OSError, MemoryError) as error:
            failed += failure(path, error, debug)
        except Exception as error:  # an error of this program must not stop the analysis of the other files
            failed += failure(path, error, debug, f"unexpected {type(error).__name__}: ")
    return failed


def add_unit(parser: Any, default: LengthUnit | None = "nm") -> None:
    """Add the option for the unit of d-spacings in output, figures and tables."""
    parser.add_argument(
        "--unit", choices=UNITS, default=default, help="unit of d-spacings: nm (default) or angstrom"
    )
