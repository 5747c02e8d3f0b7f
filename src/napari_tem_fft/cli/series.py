"""The command ``series``: the frames of a stack, or of several files, as a function of time."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from .. import __version__, api
from ..core.image.micrograph import Micrograph
from ..core.maps.component_map import colours_of
from ..core.progress import Step, exhaust
from ..core.series import Series, component_names, series_steps
from ..core.text import printable
from ..io.plain import json_text
from ..io.results.description import describe_parameters
from ..io.results.tables import write_frames, write_tracks
from ..io.results.whole_folder import replace_folder
from . import main as cli
from .analyse import BAR, settings_of
from .common import (
    FAILED,
    OK,
    UsageError,
    add_picture,
    add_usual,
    argument_type,
    failure,
    picture_options,
    say,
)
from .output import table

ABOUT = """\
Analyse a stack frame by frame, or several files as the frames of one series, and write into a folder:
  series.csv         one row per frame: area and share of each component, with uncertainties, and the drift
  series_grains.csv  one row per grain and frame; a crystal has the same track number in all frames
  series.png         shares, areas and grains against time
  series.json        settings, versions, phases to which the series was restricted
The drift of the sample is measured first; the region common to all frames is analysed."""
EXAMPLES = """\
examples:
  napari-tem-fft series movie.dm4 -o results
  napari-tem-fft series movie.dm4 --frames 0:200:10 --lock-frame 0 --elements "Li, F, O, C, Cu"
  napari-tem-fft series heating_*.dm4 --frame-interval 2.5 --picture png,svg"""
FRAMES, GRAINS, PICTURE, DESCRIPTION = "series.csv", "series_grains.csv", "series.png", "series.json"
FORMAT, FORMAT_VERSION = "napari-tem-fft series", 1
#: Largest number of rows of the table in the terminal; of longer series the first and last frames are shown.
MOST_ROWS = 24


@dataclass(frozen=True, slots=True)
class _Source:
    """The selected frames: their numbers, a function that reads one, and the time between two numbers."""

    name: str
    numbers: tuple[int, ...]
    frame: Callable[[int], Micrograph]
    interval: float


def add_command(
    commands: Any,
    name: str,
    add_choice: Callable[[Any], None],
    add_parameters: Callable[[argparse.ArgumentParser], None],
) -> None:
    """Add the command; the options for candidates and parameters are those of ``analyse``."""
    parser = cli.add_command(
        commands, name, description=ABOUT, epilog=EXAMPLES,
        usage="napari-tem-fft series [options] FILE [FILE ...]",
    )  # fmt: skip
    parser.add_argument("files", nargs="+", metavar="FILE", type=Path, help="a stack, or one file per frame")
    series = parser.add_argument_group("series")
    series.add_argument(
        "--frames", metavar="FIRST:LAST:STEP", default=slice(None),
        type=argument_type(frame_slice, "not FIRST:LAST:STEP, such as 0:200:10"),
        help="only these frames, from 0; LAST is excluded, as in Python (0:200:10)",
    )  # fmt: skip
    series.add_argument(
        "--frame-interval", metavar="S", type=argument_type(_seconds, "not a time in seconds, such as 0.25"),
        help="time between two frames, s (default: the file's)",
    )  # fmt: skip
    series.add_argument(
        "--no-drift", dest="drift", action="store_false",
        help="analyse each whole frame, without measuring the drift of the sample",
    )  # fmt: skip
    series.add_argument(
        "--lock-frame", metavar="N", type=int,
        help="name only the phases found in this frame; other grains are unknown, with the phases that fit",
    )  # fmt: skip
    add_usual(parser, frame=False)
    add_picture(parser, panels=False)
    add_choice(parser.add_argument_group("phases that may be named"))
    add_parameters(parser)


def frame_slice(text: str) -> slice:
    """Parse frames given as FIRST:LAST:STEP, each of them optional; a single number is that frame."""
    parts = [int(part) if part.strip() else None for part in text.split(":")]
    if len(parts) == 1 and parts[0] is not None:
        return slice(parts[0], parts[0] + 1)
    if not 2 <= len(parts) <= 3 or parts[2:] == [0]:
        raise ValueError(text)
    return slice(*parts)


def _seconds(text: str) -> float:
    if not 0 < (seconds := float(text)) < 1e6:
        raise ValueError(text)
    return seconds


def run(args: argparse.Namespace) -> int:
    """Run ``series``."""
    choice, params, segment, known = settings_of(args)
    try:
        source = _source(args, known)
        lock = None if args.lock_frame is None else _place_of(args.lock_frame, source.numbers)
        steps = series_steps(len(source.numbers), source.frame, choice, params, segment, args.drift, lock)
        series = _run_steps(steps, source)
        folder = args.output / f"{source.name}.series"
        _write(folder, series, source, args, describe_parameters(params, source.frame(0).calibration))
    except (ValueError, OSError, MemoryError) as error:
        return FAILED if failure(args.files[0], error, args.debug) else OK
    print("\n".join(report(series, source.interval)))
    print(f"  results: {printable(str(folder))}", flush=True)
    return FAILED if all(frame.problem for frame in series.frames) else OK


def _source(args: argparse.Namespace, uncertainty: float | None) -> _Source:
    """The frames of a single stack, or each file as a frame.

    Raises
    ------
    ValueError
        If a file cannot be read, a single file has no frames, or no frame is selected.
    """
    size, image, profile = args.pixel_size, args.image, args.calibration_profile
    files: list[Path] = args.files
    stack = api.read_stack(files[0], size, image, profile, uncertainty) if len(files) == 1 else None
    numbers = tuple(range(len(files) if stack is None else len(stack))[args.frames])
    if not numbers:
        raise UsageError("no frame is selected: see --frames")

    def frame(place: int) -> Micrograph:
        if stack is not None:
            return stack.frame(numbers[place])
        return api.read(files[numbers[place]], size, image, None, profile, uncertainty)

    interval = float(stack.metadata.get("frame_interval_s", 0.0)) if stack is not None else 0.0
    stated = args.frame_interval if args.frame_interval is not None else interval
    return _Source(files[0].name, numbers, frame, stated)


def _place_of(frame: int, numbers: tuple[int, ...]) -> int:
    if frame not in numbers:
        raise UsageError(f"--lock-frame {frame}: not one of the selected frames")
    return numbers.index(frame)


def _run_steps(steps: Generator[Step, None, Series], source: _Source) -> Series:
    with tqdm(desc=printable(source.name), bar_format=BAR, leave=False, disable=None) as bar:

        def advance(step: Step) -> None:
            bar.total = step.total
            bar.set_postfix_str(step.name, refresh=False)
            bar.update(step.done - bar.n)

        series = exhaust(steps, advance)
    for note in series.notes:
        say(note)
    frames = zip(series.frames, source.numbers, strict=True)
    return replace(series, frames=tuple(replace(frame, frame=number) for frame, number in frames))


def _write(
    folder: Path, series: Series, source: _Source, args: argparse.Namespace, parameters: dict[str, Any]
) -> None:
    from ..io.figures.series import write_series_picture  # matplotlib is slow to import

    options = picture_options(args)
    with replace_folder(folder, DESCRIPTION) as fresh:
        write_frames(fresh / FRAMES, series, source.interval)
        write_tracks(fresh / GRAINS, series, source.interval)
        colours = colours_of(component_names(series.frames))
        for kind in options.formats:
            path = (fresh / PICTURE).with_suffix(f".{kind}")
            write_series_picture(path, series, source.interval, options.dpi, colours)
        description = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "software": {"napari-tem-fft": __version__},
            "sources": [str(path) for path in args.files],
            "frames": list(source.numbers),
            "frame_interval_s": source.interval or None,
            "drift_corrected": args.drift,
            "phases_locked_on": args.lock_frame,
            "phases": list(series.phases),
            "parameters": parameters,
            "notes": list(series.notes),
            "files": sorted(path.name for path in fresh.iterdir()),
        }
        (fresh / DESCRIPTION).write_text(json_text(description), encoding="utf-8")


def report(series: Series, interval: float) -> list[str]:
    """Shares of each component by frame for the terminal, and the number of tracked grains."""
    names = component_names(series.frames)
    header = ("frame", *(["time (s)"] if interval else []), *(f"{name} (%)" for name in names))
    rows = [
        (
            str(frame.frame),
            *([f"{frame.frame * interval:.4g}"] if interval else []),
            *([""] * len(names) if frame.problem else [_percent(*frame.fraction(name)) for name in names]),
        )
        for frame in series.frames
    ]
    if len(rows) > MOST_ROWS:
        half = MOST_ROWS // 2
        rows = [*rows[:half], ("...", *[""] * (len(header) - 1)), *rows[-half:]]
    lines = table([header, *rows]) if names else [f"no crystal in {len(rows)} frames"]
    counts: dict[int, int] = {}
    for tracks in series.tracks:
        for track in tracks:
            counts[track] = counts.get(track, 0) + 1
    followed = sum(count > 1 for count in counts.values())
    lines.append(f"{followed} of {len(counts)} grains were tracked over at least two frames")
    failed = [frame for frame in series.frames if frame.problem]
    return [*lines, *(f"frame {frame.frame}: {printable(frame.problem)}" for frame in failed)]


def _percent(value: float, sigma: float) -> str:
    return f"{100 * value:.1f} +/- {100 * sigma:.1f}"
