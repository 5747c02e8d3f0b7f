"""Write report.html, one page that shows a run in any browser.

The file is self-contained: pictures, style and a short script that sorts the table. Text from file names and
metadata is escaped, and user names are removed from paths.
"""

from __future__ import annotations

import base64
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from ..core.maps.component_map import colours_of
from ..core.matching.result import outcome_words
from ..core.text import LengthUnit, length, symbol, with_sigma
from ..io.plain import whole_file
from ..io.results.folder import kept_colours
from .record import THUMBNAIL, ComponentSummary, Record
from .statistics import Estimate, SessionStatistics, enough_images

REPORT = "report.html"
#: Number of images whose pictures are embedded: the first ones, and at most this many flagged ones.
MOST_PICTURES, MOST_FLAGGED = 300, 300
#: Largest number of files named for a warning; further ones are only counted.
MOST_NAMED = 5
COLUMNS = (
    "", "file", "component", "outcome", "confidence", "area (nm²)", "of specimen", "grains",
    "mean size (nm)", "d ({unit})", "calibration", "state",
)  # fmt: skip
#: Home folder of a user on Linux, macOS and Windows; the rest of the path is kept.
_USER = re.compile(
    r"(?<![\w/])(?:/home/|/Users/)[^/\s:;,'\"]+|[A-Za-z]:[\\/]Users[\\/](?:[^\\/:;,'\"]+(?=[\\/])|[^\s:;,'\"]+)"
)

Records = Callable[[], Iterable[Record]]


def write_report(folder: Path, records: Records, header: Mapping[str, Any], found: SessionStatistics) -> None:
    """Write the page to a run's folder under a temporary name, image by image, then rename it.

    Parameters
    ----------
    records : callable
        Returns the records of the run in the order of the files. It is called more than once.
    header : mapping
        The entries of ``run.json`` about the run as a whole.
    found : SessionStatistics
        Statistics of these records.
    """
    overview = _Overview()
    for record in records():
        overview.add(record)
    unit: LengthUnit = header["settings"].get("unit", "nm")
    colours = colours_of([one.name for one in found.components], kept_colours(folder))
    versions = {f"version of {name}": number for name, number in header["software"].items()}
    page = _environment().get_template("report.html.j2").stream(
        title=f"{header['files']} micrographs",
        header=header,
        rate=60 * (header["analysed"] - header["kept_from_before"]) / max(header["seconds"], 1e-9),
        found=found,
        enough=enough_images(found),
        colours=colours,
        plots=_plots(found, overview, colours),
        flags=overview.flags,
        failures=overview.failures,
        warnings=overview.warnings,
        columns=[name.format(unit=symbol(unit)) for name in COLUMNS],
        images=_images(folder, records, unit),
        settings={"inputs": " ".join(header["inputs"]), **header["settings"], **versions},
    )  # fmt: skip
    page.enable_buffering(64)
    with whole_file(folder / REPORT) as temporary:
        page.dump(str(temporary), encoding="utf-8", errors="backslashreplace")


def shareable(text: str) -> str:
    """Replace a user's home folder in a text by "~", so that paths do not reveal the user's name.

    Examples
    --------
    >>> shareable("/home/ada/tem/a.dm4, C:\\\\Users\\\\Ada\\\\b.dm4: no image")
    '~/tem/a.dm4, ~\\\\b.dm4: no image'
    """
    home = str(Path.home())
    if len(Path(home).parts) > 1:
        text = re.sub(rf"{re.escape(home)}(?![\w.-])", "~", text)
    return _USER.sub("~", text)


def _environment() -> Environment:
    from .plots import key_style

    environment = Environment(loader=PackageLoader(__package__, ""), autoescape=True)
    environment.filters |= {
        "shareable": shareable,
        "share": _share_text,
        "interval": _interval_text,
        "size": _size_text,
    }
    environment.globals["key"] = key_style
    return environment


def _share_text(one: Estimate) -> str:
    share = f"{100 * one.value:.1f}"
    return f"{share} %" if one.sigma != one.sigma else f"({share} ± {100 * one.sigma:.1f}) %"


def _interval_text(one: Estimate) -> str:
    return "" if one.low != one.low else f"{100 * one.low:.1f} to {100 * one.high:.1f} %"


def _size_text(one: Estimate) -> str:
    return f"{one.value:.1f}" if one.sigma != one.sigma else f"{one.value:.1f} ± {one.sigma:.1f}"


@dataclass(slots=True)
class _Files:
    """Files with the same remark: the names of the first ones, and the number of all."""

    first: list[str] = field(default_factory=list)
    count: int = 0

    @property
    def more(self) -> int:
        """Number of files that are not named."""
        return self.count - len(self.first)

    def add(self, name: str) -> None:
        """Count one more file."""
        self.count += 1
        if len(self.first) < MOST_NAMED:
            self.first.append(name)


@dataclass(slots=True)
class _Overview:
    """The page's summary of all images, collected in one pass over the records."""

    flags: dict[str, _Files] = field(default_factory=dict)
    failures: dict[str, _Files] = field(default_factory=dict)
    warnings: dict[str, _Files] = field(default_factory=dict)
    shares: list[dict[str, float]] = field(default_factory=list)
    names: list[str] = field(default_factory=list)

    def add(self, record: Record) -> None:
        """Add one image."""
        for flag in record.flags:
            if flag != "failed":
                self.flags.setdefault(flag, _Files()).add(record.name)
        for warning in record.warnings:
            self.warnings.setdefault(warning, _Files()).add(record.name)
        if record.state != "analysed":
            self.failures.setdefault(record.reason, _Files()).add(record.name)
            return
        self.shares.append({part.name: part.fraction for part in record.parts})
        self.names.append(record.name)


def _plots(found: SessionStatistics, overview: _Overview, colours: Mapping[str, str]) -> dict[str, Markup]:
    if not found.components:
        return {}
    from . import plots  # matplotlib is slow to import

    drawn = {
        "shares": plots.shares_with_uncertainty(found.components, colours),
        "curve": plots.uncertainty_by_images(found.components, colours),
        "composition": plots.composition(
            overview.shares, {one.name: colours[one.name] for one in found.components}, overview.names
        ),
        "sizes": plots.sizes(found.components, colours),
    }
    return {name: Markup(picture) for name, picture in drawn.items()}


def _images(folder: Path, records: Records, unit: LengthUnit) -> Iterator[dict[str, Any]]:
    """Yield the rows of the table, one image at a time."""
    left = Counter(first=MOST_PICTURES, flagged=MOST_FLAGGED)
    for record in records():
        analysed = record.state == "analysed"
        kind = "first" if left["first"] > 0 else "flagged"
        embedded = analysed and left[kind] > 0 and (kind == "first" or bool(record.flags))
        left[kind] -= embedded
        yield {
            "name": record.name,
            "flags": record.flags,
            "link": f"{quote(os.fsencode(record.folder))}/" if analysed else "",
            "picture": _picture(folder / record.folder / THUMBNAIL) if embedded else "",
            "thumbnail": f"{quote(os.fsencode(record.folder))}/{THUMBNAIL}"
            if analysed and not embedded
            else "",
            "parts": [_cells(part, unit) for part in record.parts] or [[_Cell("")] * 8],
            "scale": _scale(record) if analysed else "",
            "state": "; ".join(record.flags) or "analysed"
            if analysed
            else f"{'; '.join(record.flags)}: {record.reason}",
        }


@dataclass(frozen=True, slots=True)
class _Cell:
    """A cell of the table; if it has a number, the column is sorted by it."""

    text: str
    number: float | None = None


def _cells(part: ComponentSummary, unit: LengthUnit) -> list[_Cell]:
    return [
        _Cell(part.name),
        _Cell(part.ring_like or outcome_words(part.outcome, part.phases, part.score)),
        _Cell(f"{part.score:.2f}" if part.phases else "", part.score),
        _Cell(with_sigma(part.area, part.area_sigma), part.area),
        _Cell(f"{part.fraction:.1%}", part.fraction),
        _Cell(str(part.grains), part.grains),
        _Cell(f"{part.mean_size:.1f}", part.mean_size),
        _Cell(" ".join(length(d, unit) for d in part.d)),
    ]


def _scale(record: Record) -> str:
    sizes = " x ".join(f"{size:.4g}" for size in dict.fromkeys(record.pixel_size))
    return f"{sizes} nm ± {record.uncertainty:.2g} % ({record.calibration})"


def _picture(path: Path) -> str:
    try:
        return base64.b64encode(path.read_bytes()).decode()
    except OSError:
        return ""
