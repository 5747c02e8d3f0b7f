"""``phases import``, ``fetch``, ``search``, ``show``, ``use``, ``remove``, ``export``: the user's library."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from time import monotonic
from typing import Any, NoReturn

from tqdm import tqdm

from ..core.crystal.phase_selection import parse_elements
from ..core.fourier.threads import processors
from ..core.text import parse_numbers
from ..io.phases.entry import export_entries, phase_of_entry
from ..io.phases.library import ImportReport, LibraryLine, PhaseDatabase, library_path
from ..io.phases.library_import import LibraryRow, Refusal, library_rows
from ..io.phases.optimade import PROVIDERS, OptimadeQuery, fetched_rows
from .common import FAILED, OK, Formatter, UsageError, add_unit, argument_type, say
from .output import cell_text, phase_lines, table

LIBRARY_COMMANDS = ("import", "fetch", "search", "show", "use", "remove", "export")
ABOUT = {
    "import": "Import CIF files, folders and archives of them into your phase library. Everything or nothing"
    " is written; structures that were imported before and are unchanged are left alone.",
    "fetch": "Download structures with given elements from a database, by OPTIMADE, and add them to your"
    " phase library. Only this command contacts a database.",
    "search": "Search your library by words in name, formula or source, by elements, cell or d-spacings.",
    "show": "Show entries of your library in full, with their d-spacings.",
    "use": "Include entries of your library in analyses, or exclude them.",
    "remove": "Remove entries from your library, or all entries from a source.",
    "export": "Write entries of your library as CIF files to a folder or a .zip file.",
}
#: Largest number of refusals printed individually; seconds between JSON lines that report progress.
MOST_REFUSALS, WRITTEN_EVERY = 20, 0.2
Rows = Iterable[tuple[int, list[LibraryRow | Refusal]]]


def run_library(words: Sequence[str]) -> int:
    """Run a command on the library, given by its arguments."""
    args = library_parser().parse_args(words)
    database = PhaseDatabase(args.library_file)
    try:
        return int(_RUN[args.what](args, database))
    except (ValueError, OSError) as error:
        raise UsageError(str(error)) from error


def library_parser() -> argparse.ArgumentParser:
    """Create the parser of the library commands."""
    parser = argparse.ArgumentParser("napari-tem-fft phases", formatter_class=Formatter)
    commands = parser.add_subparsers(dest="what", required=True, metavar="COMMAND")
    added = {
        name: commands.add_parser(name, help=text.split(". ")[0], description=text, formatter_class=Formatter)
        for name, text in ABOUT.items()
    }
    for one in added.values():
        place = f"library file (default: {library_path()})"
        one.add_argument("--library-file", metavar="FILE", type=Path, help=place)
    added["import"].add_argument(
        "sources", nargs="+", metavar="SOURCE", type=Path, help="CIF file, folder, .zip, .tar, .tar.gz"
    )
    _add_fetch(added["fetch"])
    for name in ("import", "fetch"):
        added[name].add_argument(
            "--progress", choices=("bar", "json"), default="bar", help="progress display"
        )
    search = added["search"]
    search.add_argument(
        "words", nargs="*", metavar="WORD", help="parts of id, name, formula, space group or source"
    )
    numbers = argument_type(parse_numbers)
    search.add_argument("--elements", metavar="LIST", help='such as "Li, F, +O, -Na"')
    search.add_argument(
        "--cell",
        metavar="NM",
        type=numbers,
        default=(),
        help="edges in nm, then angles, comma-separated",
    )
    search.add_argument(
        "--d",
        metavar="NM",
        type=numbers,
        default=(),
        help="strong d-spacings in nm",
    )
    search.add_argument("--tolerance", metavar="PERCENT", type=float, default=1.5, help="(default: 1.5 %%)")
    search.add_argument("--state", choices=("ok", "warning", "refused"), help="only entries in this state")
    search.add_argument(
        "--limit", metavar="N", type=int, default=50, help="largest number shown (default: 50)"
    )
    add_unit(search)
    added["show"].add_argument("ids", nargs="+", metavar="ID")
    add_unit(added["show"])
    added["use"].add_argument("ids", nargs="+", metavar="ID")
    added["use"].add_argument("--off", action="store_true", help="exclude them")
    remove = added["remove"]
    remove.add_argument("ids", nargs="*", metavar="ID")
    remove.add_argument("--source", metavar="NAME", help="all entries from a file, folder or archive")
    remove.add_argument("--all", action="store_true", help="everything")
    export = added["export"]
    export.add_argument("target", metavar="FOLDER|FILE.zip", type=Path)
    export.add_argument("ids", nargs="*", metavar="ID", help="entries (default: all)")
    export.add_argument("--elements", metavar="LIST")
    return parser


def _add_fetch(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--provider", required=True, metavar="NAME|URL", help=f"{', '.join(PROVIDERS)}, or a server's address"
    )
    parser.add_argument("--elements", required=True, metavar="LIST", help="only these elements: Li,F,O")
    parser.add_argument("--limit", metavar="N", type=int, default=500, help="largest number (default: 500)")
    parser.add_argument(
        "--timeout", metavar="S", type=float, default=30.0, help="longest wait for an answer, s (default: 30)"
    )


def _import(args: argparse.Namespace, database: PhaseDatabase) -> int:
    rows = library_rows(args.sources, processors())
    return _import_rows(rows, "files", args, database)


def _fetch(args: argparse.Namespace, database: PhaseDatabase) -> int:
    query = OptimadeQuery(args.provider, tuple(sorted(parse_elements(args.elements).optional)), args.limit)
    return _import_rows(fetched_rows(query, args.timeout), "structures", args, database)


def _import_rows(rows: Rows, unit: str, args: argparse.Namespace, database: PhaseDatabase) -> int:
    if args.progress == "bar":
        return _print_report(database.write(_with_progress_bar(rows, unit)), database)
    report = database.write(_with_json_progress(rows))
    summary = {
        **{name: getattr(report, name) for name in ("files", "added", "changed", "unchanged", "known")},
        "warnings": report.warnings,
        "refused": [[one.origin, one.reason] for one in report.refused[:MOST_REFUSALS]],
        "refusals": len(report.refused),
    }
    print(json.dumps({"report": summary}), flush=True)
    return OK


def _with_progress_bar(rows: Rows, unit: str) -> Iterator[tuple[int, list[LibraryRow | Refusal]]]:
    bar: tqdm[NoReturn]
    with tqdm(unit=f" {unit}", disable=None, leave=False) as bar:
        for done, of_file in rows:
            bar.update(done - bar.n)
            yield done, of_file


def _with_json_progress(rows: Rows) -> Iterator[tuple[int, list[LibraryRow | Refusal]]]:
    """Pass the rows on, and print a line of JSON with the progress a few times per second."""
    last = 0.0
    for done, of_file in rows:
        if monotonic() - last > WRITTEN_EVERY:
            last = monotonic()
            print(json.dumps({"done": done}), flush=True)
        yield done, of_file


def _print_report(report: ImportReport, database: PhaseDatabase) -> int:
    for refusal in report.refused[:MOST_REFUSALS]:
        say(f"{refusal.origin}: refused: {refusal.reason}")
    if len(report.refused) > MOST_REFUSALS:
        say(f"... and {len(report.refused) - MOST_REFUSALS} more: phases search --state refused")
    print(
        f"{report.files} read: {report.added} structures added ({report.warnings} with warnings),"
        f" {report.changed} changed, {report.unchanged} unchanged, {report.known} duplicates,"
        f" {len(report.refused)} refused\n{database.path}: {database.count()} structures"
    )
    return FAILED if report.refused and not (report.added or report.changed or report.unchanged) else OK


def _search(args: argparse.Namespace, database: PhaseDatabase) -> int:
    found = database.search(
        " ".join(args.words),
        None if args.elements is None else parse_elements(args.elements),
        args.cell,
        args.d,
        args.tolerance / 100,
        (args.state,) if args.state else ("ok", "warning", "refused"),
    )
    header = ("id", "formula", "name", "space group", "cell", "state", "")
    rows = [_row(line, args) for line in found[: args.limit]]
    print("\n".join([*table([header, *rows]), f"{len(found)} of {database.count()} structures"]))
    return OK


def _row(line: LibraryLine, args: argparse.Namespace) -> tuple[str, ...]:
    cell = cell_text(line.cell, args.unit) if line.cell else ""
    state = line.state if line.used or line.state == "refused" else f"{line.state}, excluded"
    return line.id, line.formula, line.name, line.space_group, cell, state, line.reason[:80]


def _show(args: argparse.Namespace, database: PhaseDatabase) -> int:
    shown = []
    for entry in database.entries(args.ids):
        more = {"DOI": entry.doi, "number": entry.code, "licence": entry.licence}
        if entry.temperature == entry.temperature:
            more["measured at"] = f"{entry.temperature:g} K"
        if entry.pressure == entry.pressure:
            more["pressure"] = f"{entry.pressure:g} GPa"
        more["density"] = f"{entry.density:.3f} g/cm3"
        about = [f"  {name}: {text}" for name, text in more.items() if text]
        shown.append("\n".join([phase_lines(phase_of_entry(entry), (), args.unit), *about]))
    print("\n\n".join(shown))
    return OK


def _use(args: argparse.Namespace, database: PhaseDatabase) -> int:
    database.entries(args.ids)  # raises an error for an unknown id
    database.use(args.ids, not args.off)
    print(f"{len(args.ids)} {'excluded' if args.off else 'in use'}")
    return OK


def _remove(args: argparse.Namespace, database: PhaseDatabase) -> int:
    ways = [bool(args.ids), args.source is not None, args.all]
    if sum(ways) != 1:
        raise UsageError("state what to remove: ids, --source NAME, or --all")
    removed = database.remove(args.ids or None, args.source or "")
    print(f"{removed} removed; {database.count()} structures left")
    return OK


def _export(args: argparse.Namespace, database: PhaseDatabase) -> int:
    rule = None if args.elements is None else parse_elements(args.elements)
    entries = [e for e in database.entries(args.ids or None) if rule is None or rule.allows(e.elements)]
    export_entries(entries, args.target)
    print(f"{len(entries)} CIF files: {args.target}")
    return OK


_RUN: dict[str, Any] = {
    "import": _import,
    "fetch": _fetch,
    "search": _search,
    "show": _show,
    "use": _use,
    "remove": _remove,
    "export": _export,
}
