"""report.html: one page that shows a run to somebody who has nothing but a browser.

Everything is in the file: pictures, style and the few lines of script that sort the table. Whatever comes
from a file's name or its metadata is escaped.
"""

from __future__ import annotations

import base64
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..core.lengths import LengthUnit, length, symbol
from ..core.maps.colours import colours_of
from ..io.results.kept_colours import kept_colours
from .plots import composition, histogram, key_style
from .record import ComponentSummary, Record
from .thumbnail import THUMBNAIL

REPORT = "report.html"
#: Images whose pictures are in the page, besides those that somebody should look at.
MOST_PICTURES = 300
#: Warnings that are listed with their files' names; of more only the number is told.
MOST_NAMED = 5
COLUMNS = (
    "", "file", "component", "outcome", "confidence", "area (nm²)", "of specimen", "grains",
    "mean size (nm)", "d ({unit})", "calibration", "state",
)  # fmt: skip
STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:1400px;padding:0 1em;color:#222}
table{border-collapse:collapse;width:100%;font-size:13px}td,th{padding:4px 8px;border-bottom:1px solid #ddd;
text-align:left;vertical-align:top}th{cursor:pointer;background:#f4f4f4;position:sticky;top:0}
td.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
img{max-width:120px;max-height:120px;display:block}#images td{overflow-wrap:anywhere}
#images td:nth-child(2){min-width:9em}#images td:nth-child(10){min-width:8em}
#images td:last-child{min-width:14em}
#images td:first-child{width:120px}.totals{width:auto}.totals th:not(:first-child){text-align:right}
.bad{color:#b00020}.flag{background:#fff3cd}h2{margin-top:2em}svg{max-width:100%}.totals td{font-size:15px}
.key span{display:inline-block;width:.8em;height:.8em;margin:0 .3em 0 1em}
"""
SCRIPT = """
for(const th of document.querySelectorAll('#images th'))th.addEventListener('click',()=>{
const body=document.querySelector('#images tbody'),i=th.cellIndex,down=th.dataset.down!=='1';
for(const o of th.parentNode.children)delete o.dataset.down;th.dataset.down=down?'1':'0';
const key=r=>{const c=r.cells[i];return 'v' in c.dataset?+c.dataset.v:c.textContent.trim().toLowerCase()};
[...body.rows].map(r=>[key(r),r]).sort((a,b)=>(a[0]<b[0]?-1:a[0]>b[0]?1:0)*(down?1:-1))
.forEach(p=>body.appendChild(p[1]))});
"""

Records = Callable[[], Iterable[Record]]


def write_report(folder: Path, records: Records, header: Mapping[str, Any]) -> None:
    """Write the page into a run's folder, image by image, then rename it.

    Parameters
    ----------
    records : callable
        Gives the records of the run in the order of the files, as often as it is called.
    header : mapping
        What ``run.json`` says of the run as a whole.
    """
    temporary = folder / f".{REPORT}.new"
    with temporary.open("w", encoding="utf-8") as page:
        page.writelines(_page(folder, records, header))
    os.replace(temporary, folder / REPORT)


def _page(folder: Path, records: Records, header: Mapping[str, Any]) -> Iterator[str]:
    title = f"{header['files']} micrographs"
    yield f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>\n'
    yield f"<style>{STYLE}</style></head><body>\n<h1>{escape(title)}</h1>\n"
    yield from _totals(records, header)
    yield from _warnings(records)
    yield from _plots(folder, records)
    yield from _table(folder, records, header["settings"].get("unit", "nm"))
    yield from _settings(header)
    yield f"<script>{SCRIPT}</script></body></html>\n"


def _totals(records: Records, header: Mapping[str, Any]) -> Iterator[str]:
    area: dict[str, float] = defaultdict(float)
    images: Counter[str] = Counter()
    specimen = 0.0
    for record in records():
        specimen += record.specimen
        for part in record.parts:
            area[part.name] += part.area
            images[part.name] += 1
    if header["state"] != "done":
        yield f'<p class="bad"><b>The run was not finished:</b> {escape(header["problem"])}</p>\n'
    rate = 60 * (header["analysed"] - header["kept_from_before"]) / max(header["seconds"], 1e-9)
    yield (
        f"<p>{header['analysed']} analysed, {header['failed']} failed,"
        f" {header['files'] - header['analysed'] - header['failed']} not begun;"
        f" {header['seconds']:.0f} s, {rate:.0f} images a minute; specimen {specimen:.0f} nm² in all.</p>\n"
    )
    if area:
        yield '<table class="totals"><tr><th>component</th><th>images</th><th>area (nm²)</th>'
        yield "<th>of the specimen in all images</th></tr>\n"
    for name in sorted(area, key=lambda name: -area[name]):
        share = area[name] / specimen if specimen else 0.0
        yield f'<tr><td>{escape(name)}</td><td class="n">{images[name]}</td>'
        yield f'<td class="n">{area[name]:.1f}</td><td class="n">{share:.1%}</td></tr>\n'
    if area:
        yield "</table>\n"


def _warnings(records: Records) -> Iterator[str]:
    """What a person should look at, each with the files that it concerns."""
    flags: dict[str, list[str]] = defaultdict(list)
    failures: dict[str, list[str]] = defaultdict(list)
    warnings: dict[str, list[str]] = defaultdict(list)
    for record in records():
        for flag in record.flags:
            if flag != "failed":
                flags[flag].append(record.name)
        if record.state != "analysed":
            failures[record.reason].append(record.name)
        for warning in record.warnings:
            warnings[warning].append(record.name)
    if not (flags or failures or warnings):
        return
    yield '<h2>To be looked at</h2>\n<div id="warnings">\n'
    for title, files in (("", flags), ("Failed", failures), ("Analysed with warnings", warnings)):
        yield from _list_items(title, files)
    yield "</div>\n"


def _list_items(title: str, files: Mapping[str, Sequence[str]]) -> Iterator[str]:
    if not files:
        return
    yield f"<h3>{title}</h3>\n<ul>\n" if title else "<ul>\n"
    for text, names in files.items():
        shown = ", ".join(map(escape, names[:MOST_NAMED]))
        more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
        yield f"<li>{escape(text)} ({len(names)}): <b>{shown}</b>{more}</li>\n"
    yield "</ul>\n"


def _plots(folder: Path, records: Records) -> Iterator[str]:
    shares = [
        {part.name: part.fraction for part in record.parts}
        for record in records()
        if record.state == "analysed"
    ]
    names = list(dict.fromkeys(name for one in shares for name in one))
    if not names:
        return
    colours = colours_of(names, kept_colours(folder))
    yield "<h2>Composition</h2>\n<p>Share of the specimen, image by image in the order of the files.</p>\n"
    yield composition(shares, colours)
    yield '<p class="key">'
    for name in names:
        yield f'<span style="{key_style(colours[name])}"></span>{escape(name)}'
    yield "</p>\n<p>Mean size of the grains of a component in an image (nm), number of images.</p>\n"
    sizes = [part.mean_size for record in records() for part in record.parts if part.grains]
    yield histogram(sizes, "nm")


def _table(folder: Path, records: Records, unit: LengthUnit) -> Iterator[str]:
    yield '<h2>Images</h2>\n<p>A click on a column sorts.</p>\n<table id="images"><thead><tr>'
    yield "".join(f"<th>{escape(name.format(unit=symbol(unit)))}</th>" for name in COLUMNS)
    yield "</tr></thead><tbody>\n"
    for number, record in enumerate(records()):
        picture = _picture(folder, record, embedded=number < MOST_PICTURES or bool(record.flags))
        for part in record.parts or (None,):
            yield _row(record, part, picture, unit)
            picture = ""
    yield "</tbody></table>\n"


def _row(record: Record, part: ComponentSummary | None, picture: str, unit: LengthUnit) -> str:
    cells = [f"<td>{picture}</td>", f"<td>{_link(record)}</td>", *_cells(part, unit)]
    if record.state == "analysed":
        sizes = " x ".join(f"{size:.4g}" for size in dict.fromkeys(record.pixel_size))
        scale = f"{sizes} nm ± {record.uncertainty:.2g} % ({record.calibration})"
        state = "; ".join(record.flags) or "analysed"
    else:
        scale, state = "", f"{'; '.join(record.flags)}: {record.reason}"
    cells += [f"<td>{escape(scale)}</td>", f"<td>{escape(state)}</td>"]
    marked = ' class="flag"' if record.flags else ""
    return f"<tr{marked}>{''.join(cells)}</tr>\n"


def _cells(part: ComponentSummary | None, unit: LengthUnit) -> list[str]:
    if part is None:
        return ["<td></td>"] * 8
    numbers = (part.score, part.area, part.fraction, part.grains, part.mean_size)
    texts = (
        f"{part.score:.2f}" if part.phases else "", f"{part.area:.1f} ± {part.area_sigma:.1f}",
        f"{part.fraction:.1%}", str(part.grains), f"{part.mean_size:.1f}",
    )  # fmt: skip
    shown = (f'<td class="n" data-v="{n!r}">{text}</td>' for n, text in zip(numbers, texts, strict=True))
    spacings = " ".join(length(d, unit) for d in part.d)
    named = (f"<td>{escape(text)}</td>" for text in (part.name, part.outcome))
    return [*named, *shown, f"<td>{spacings}</td>"]


def _link(record: Record) -> str:
    if record.state != "analysed":
        return escape(record.name)
    return f'<a href="{quote(record.folder)}/">{escape(record.name)}</a>'


def _picture(folder: Path, record: Record, embedded: bool) -> str:
    if record.state != "analysed":
        return ""
    if not embedded:
        return f'<a href="{quote(record.folder)}/{THUMBNAIL}">picture</a>'
    try:
        content = (folder / record.folder / THUMBNAIL).read_bytes()
    except OSError:
        return ""
    return f'<img alt="" src="data:image/jpeg;base64,{base64.b64encode(content).decode()}">'


def _settings(header: Mapping[str, Any]) -> Iterator[str]:
    yield "<h2>Settings</h2>\n<table>\n"
    versions = {f"version of {name}": number for name, number in header["software"].items()}
    for name, value in {"inputs": " ".join(header["inputs"]), **header["settings"], **versions}.items():
        yield f"<tr><td>{escape(str(name))}</td><td>{escape(str(value))}</td></tr>\n"
    yield "</table>\n"
