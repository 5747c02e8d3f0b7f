"""The user's phase library: one SQLite file with all structures and their states."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import platformdirs

from ...core.crystal.phase import Miller, Phase
from ...core.crystal.phase_library import Identities, PhaseLibrary
from ...core.crystal.phase_selection import ElementRule, is_searched, parse_elements
from ...core.crystal.structure import LatticePlanes
from ...core.matching.library_candidates import LibrarySearch
from .entry import PhaseEntry, phase_of_entry
from .library_import import (
    MOST_LINES,
    SHARE_STEP,
    STEP,
    LibraryRow,
    Refusal,
    anchor_of,
    id_of,
    is_usual,
    lines_from,
    packed,
    unpacked,
    zones_from,
)
from .table import load_table

#: Version of the file format; files of a higher version are not touched.
FORMAT = 1
#: Elements that are ignored when a phase of the table represents an entry.
_HYDROGEN = frozenset({"H", "D"})
#: Time that one process waits for another to finish writing, seconds.
PATIENCE = 30.0
_TABLES = """
CREATE TABLE IF NOT EXISTS entry (
    number INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, origin TEXT UNIQUE NOT NULL, name TEXT NOT NULL,
    formula TEXT NOT NULL, elements TEXT NOT NULL, space_group TEXT NOT NULL, a REAL, b REAL, c REAL,
    alpha REAL, beta REAL, gamma REAL, density REAL, source TEXT, state TEXT NOT NULL, reason TEXT,
    content TEXT NOT NULL, kind TEXT NOT NULL, usual INTEGER NOT NULL, used INTEGER NOT NULL DEFAULT 1,
    reduced BLOB NOT NULL, lines BLOB NOT NULL, zones BLOB NOT NULL, body BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS entry_content ON entry (content);
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS refused (origin TEXT PRIMARY KEY, reason TEXT NOT NULL);
"""
_SHOWN = "id, name, formula, elements, space_group, a, b, c, alpha, beta, gamma, source, state, reason, used"


@dataclass(frozen=True, slots=True)
class LibraryLine:
    """An entry of the library as shown in lists.

    Attributes
    ----------
    id, name, formula : str
    elements : frozenset of str
    space_group : str
    cell : tuple of 6 float, nm and degrees
        Empty if the entry was refused.
    source : str
    state : {"ok", "warning", "refused"}
    reason : str
    used : bool
        Whether it is used in analyses.
    """

    id: str
    name: str
    formula: str
    elements: frozenset[str]
    space_group: str
    cell: tuple[float, ...]
    source: str
    state: str
    reason: str
    used: bool


@dataclass(frozen=True, slots=True)
class ImportReport:
    """Summary of an import.

    Attributes
    ----------
    files : int
    added, changed, unchanged : int
        Number of structures.
    known : int
        Number of structures that were already in the library, from another file.
    warnings : int
        Number of added or changed structures with warnings.
    refused : tuple of Refusal
    """

    files: int = 0
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    known: int = 0
    warnings: int = 0
    refused: tuple[Refusal, ...] = ()


def library_path() -> Path:
    """The default path of the library in the user's data folder."""
    return Path(platformdirs.user_data_dir("napari-tem-fft", appauthor=False)) / "library.sqlite"


class LibraryError(ValueError):
    """The library cannot be used; the message gives the reason and a remedy."""


class PhaseDatabase:
    """A phase library in a file.

    Parameters
    ----------
    path : path, optional
        Path of the library; by default `library_path`. The file need not exist.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     PhaseDatabase(Path(folder) / "library.sqlite").count()
    0
    """

    def __init__(self, path: str | Path | None = None) -> None:
        self.path = Path(path) if path is not None else library_path()

    def count(self, rule: ElementRule | None = None) -> int:
        """Number of entries in use whose elements are allowed by a rule."""
        if not self.path.exists():
            return 0
        with self._opened() as database:
            rows = database.execute("SELECT elements, count(*) FROM entry WHERE used GROUP BY elements")
            return sum(n for text, n in rows if rule is None or is_searched(_elements(text), rule))

    def counts(self) -> tuple[int, int]:
        """Number of all entries and refused files, and number of entries in use."""
        if not self.path.exists():
            return 0, 0
        with self._opened() as database:
            held, used = database.execute("SELECT count(*), coalesce(sum(used), 0) FROM entry").fetchone()
            (refused,) = database.execute("SELECT count(*) FROM refused").fetchone()
        return int(held) + int(refused), int(used)

    def key(self, rule: ElementRule | None = None) -> str:
        """Hash of the entries in use that are allowed by a rule; empty if there are none."""
        if not self.path.exists():
            return ""
        with self._opened() as database:
            rows = database.execute("SELECT id, content, elements FROM entry WHERE used ORDER BY id")
            return _hash(
                (name, content)
                for name, content, text in rows
                if rule is None or is_searched(_elements(text), rule)
            )

    def write(self, rows: Iterable[tuple[int, list[LibraryRow | Refusal]]]) -> ImportReport:
        """Add all rows or none: an import that is cancelled leaves the library unchanged.

        Parameters
        ----------
        rows : iterable
            Rows as yielded by `library_rows`.
        """
        report, refused = ImportReport(), list[Refusal]()
        with self._opened(writing=True) as database:
            for done, of_file in rows:
                report = replace(report, files=done)
                for row in of_file:
                    if isinstance(row, Refusal):
                        refused.append(row)
                        database.execute(
                            "INSERT OR REPLACE INTO refused VALUES (?, ?)", (row.origin, row.reason)
                        )
                        database.execute("DELETE FROM entry WHERE origin = ?", (row.origin,))
                    else:
                        what = _insert(database, row)
                        report = replace(report, **{what: getattr(report, what) + 1})
                        if what in ("added", "changed") and row.state == "warning":
                            report = replace(report, warnings=report.warnings + 1)
        return replace(report, refused=tuple(refused))

    def search(
        self,
        text: str = "",
        elements: ElementRule | None = None,
        cell: Sequence[float] = (),
        d: Sequence[float] = (),
        tolerance: float = 0.015,
        states: Sequence[str] = ("ok", "warning", "refused"),
    ) -> list[LibraryLine]:
        """Find the entries that satisfy all given criteria; refused ones come last.

        Parameters
        ----------
        text : str
            Part of id, name, formula, space group or source; case does not matter.
        elements : ElementRule, optional
        cell : sequence of float
            Known values of the edges (nm) and angles (degrees), in the order of the entry's own setting.
        d : sequence of float, nm
            Each of them must be one of the entry's strong lines.
        tolerance : float
            Relative, of edges and d.
        states : sequence of str
        """
        if not self.path.exists():
            return []
        wanted = text.casefold().split()
        found = []
        with self._opened() as database:
            for *shown, lines in database.execute(f"SELECT {_SHOWN}, lines FROM entry ORDER BY id"):
                line = _line(shown)
                words = f"{line.id} {line.name} {line.formula} {line.space_group} {line.source}".casefold()
                compact = words.replace(" ", "")
                fits = line.state in states and all(part in words or part in compact for part in wanted)
                fits = fits and (elements is None or elements.allows(line.elements))
                fits = fits and _cell_fits(line.cell, cell, tolerance)
                if fits and (not d or _lines_fit(lines_from(lines)["d"], d, tolerance)):
                    found.append(line)
            if "refused" in states and elements is None and not cell and not d:
                refused = database.execute("SELECT origin, reason FROM refused ORDER BY origin")
                found += [
                    LibraryLine(origin, "", "", frozenset(), "", (), origin, "refused", reason, False)
                    for origin, reason in refused
                    if all(part in origin.casefold() for part in wanted)
                ]
        return found

    def entries(self, ids: Sequence[str] | None = None) -> list[PhaseEntry]:
        """Read complete entries by their ids; by default all.

        Raises
        ------
        LibraryError
            If there is no entry with one of the ids.
        """
        if not self.path.exists():
            if ids:
                raise LibraryError(f"the library does not contain {ids[0]!r}: it is empty")
            return []
        with self._opened() as database:
            if ids is None:
                return [unpacked(body) for (body,) in database.execute("SELECT body FROM entry ORDER BY id")]
            found = {}
            for name in ids:
                row = database.execute("SELECT body FROM entry WHERE id = ?", (name,)).fetchone()
                if row is None:
                    raise LibraryError(
                        f"the library does not contain {name!r}; search it with: napari-tem-fft phases search"
                    )
                found[name] = unpacked(row[0])
        return [found[name] for name in ids]

    def remove(self, ids: Sequence[str] | None = None, origin: str = "") -> int:
        """Remove entries by their ids, or all entries and refusals of a source; by default all.

        Returns
        -------
        int
            Number of entries and refusals removed.
        """
        if not self.path.exists():
            return 0
        with self._opened(writing=True) as database:
            before = database.total_changes
            if ids is not None:
                for name in ids:
                    if not database.execute("DELETE FROM entry WHERE id = ?", (name,)).rowcount:
                        raise LibraryError(f"the library does not contain {name!r}; nothing was removed")
                return database.total_changes - before
            clause = " WHERE substr(origin, 1, length(:origin)) = :origin" if origin else ""
            parameters = {"origin": origin} if origin else {}
            removed = database.execute(f"DELETE FROM entry{clause}", parameters).rowcount
            database.execute(f"DELETE FROM refused{clause}", parameters)
        return removed

    def use(self, ids: Sequence[str], used: bool) -> None:
        """Include entries in analyses, or exclude them."""
        with self._opened(writing=True) as database:
            database.executemany(
                "UPDATE entry SET used = ? WHERE id = ?", [(int(used), name) for name in ids]
            )

    def copy_to(self, path: Path, rule: ElementRule | None = None) -> int:
        """Copy the entries in use that are allowed by a rule to a new library, replacing an existing file.

        Returns
        -------
        int
            Number of entries copied.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        target = PhaseDatabase(path)
        with target._opened(writing=True):
            pass
        with self._opened() as database:
            chosen = [
                (number,)
                for number, elements in database.execute("SELECT number, elements FROM entry WHERE used")
                if rule is None or rule.allows(_elements(elements))
            ]
            (held,) = database.execute("SELECT count(*) FROM entry WHERE used").fetchone()
            database.execute("ATTACH ? AS target", (str(path),))
            with database:
                database.executemany(
                    "INSERT INTO target.entry SELECT * FROM main.entry WHERE number = ?", chosen
                )
                database.execute("INSERT INTO target.meta VALUES ('held', ?)", (str(held),))
            database.execute("DETACH target")
        return len(chosen)

    def load(self) -> PhaseLibrary:
        """Load what a search needs to know of the entries in use.

        Raises
        ------
        LibraryError
            If the library is empty or damaged.
        """
        columns = (
            "number, id, content, elements, name, formula, space_group, usual, reduced, lines, zones,"
            " a, b, c, alpha, beta, gamma"
        )
        with self._opened() as database:
            rows = database.execute(f"SELECT {columns} FROM entry WHERE used ORDER BY number").fetchall()
            held = database.execute("SELECT value FROM meta WHERE name = 'held'").fetchone()
        if not rows:
            raise LibraryError("the phase library is empty: fill it with napari-tem-fft phases import")
        numbers, ids, contents, elements, names, formulas, groups, usual, reduced, lines, zones, *cells = zip(
            *rows, strict=True
        )
        of_entry = [zones_from(data) for data in zones]
        joined = np.concatenate(of_entry)
        sets = {text: _elements(text) for text in set(elements)}
        database_numbers = np.array(numbers)

        def phases_of(entries: Sequence[int], axes: Sequence[frozenset[Miller] | None]) -> tuple[Phase, ...]:
            shares = _shares(joined, starts, entries, axes)
            return self._phases([int(database_numbers[n]) for n in entries], axes, shares)

        counts = [len(one) for one in of_entry]
        starts = np.concatenate([[0], np.cumsum(counts)])
        return PhaseLibrary(
            key=_hash(sorted(zip(ids, contents, strict=True))),
            held=int(held[0]) if held else len(ids),
            ids=tuple(ids),
            elements=tuple(sets[text] for text in elements),
            identities=Identities(
                names,
                formulas,
                groups,
                _padded_lines(lines),
                np.array([np.frombuffer(data, "<f8", 7) for data in reduced]),
            ),
            cells=np.array(cells, float).T,
            usual=np.array(usual, bool),
            zone_entry=np.repeat(np.arange(len(ids), dtype=np.int32), counts),
            zone_uvw=joined["uvw"].copy(),
            zone_shape=(joined["shape"] * np.float32(STEP)).astype(np.float32),
            zone_share=(joined["share"] * np.float32(SHARE_STEP)).astype(np.float32),
            load=phases_of,
        )

    def _phases(
        self, numbers: Sequence[int], axes: Sequence[frozenset[Miller] | None], shares: Sequence[float]
    ) -> tuple[Phase, ...]:
        phases = []
        with self._opened() as database:
            for number, zones, share in zip(numbers, axes, shares, strict=True):
                row = database.execute("SELECT id, body FROM entry WHERE number = ?", (number,)).fetchone()
                if row is None:
                    raise LibraryError("the phase library was changed meanwhile: start the analysis again")
                phase = phase_of_entry(replace(unpacked(row[1]), id=row[0]))
                phases.append(with_zones(phase, zones, share))
        return tuple(phases)

    @contextmanager
    def _opened(self, writing: bool = False) -> Iterator[sqlite3.Connection]:
        """The open file; changes are committed only if no error occurs."""
        if writing:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            database = sqlite3.connect(self.path, timeout=PATIENCE, isolation_level=None)
        except sqlite3.Error as error:
            raise LibraryError(f"the library {self.path} cannot be opened: {error}") from error
        try:
            self._check(database, writing)
            if writing:
                database.execute("BEGIN IMMEDIATE")
            yield database
            if writing:
                database.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            raise LibraryError(self._problem(error)) from error
        finally:
            if database.in_transaction:
                database.execute("ROLLBACK")
            database.close()

    def _check(self, database: sqlite3.Connection, writing: bool) -> None:
        version = database.execute("PRAGMA user_version").fetchone()[0]
        if version > FORMAT:
            raise LibraryError(f"the library {self.path} is of a newer napari-tem-fft: update this one")
        if version == 0 and not writing:
            raise LibraryError("the phase library is empty: fill it with napari-tem-fft phases import")
        if version == 0:
            database.executescript(_TABLES)
            database.execute(f"PRAGMA user_version = {FORMAT}")

    def _problem(self, error: sqlite3.DatabaseError) -> str:
        if "locked" in str(error):
            return f"another program is writing to the library {self.path}: try again when it has finished"
        return (
            f"the library {self.path} cannot be read or written ({error}): if it is damaged, move it away"
            " and import again"
        )


def with_zones(phase: Phase, zones: frozenset[Miller] | None, share: float) -> Phase:
    """The phase, restricted to these zone axes, with their share of all orientations."""
    planes = phase.reflections
    if zones is None or not isinstance(planes, LatticePlanes):
        return phase
    return replace(phase, reflections=LatticePlanes(planes.structure, planes.d_min, zones, share))


def _hash(entries: Iterable[tuple[str, str]]) -> str:
    digest = hashlib.sha256()
    for name, content in entries:
        digest.update(f"{name} {content}\n".encode())
    return digest.hexdigest()


def _insert(database: sqlite3.Connection, row: LibraryRow) -> str:
    """Add one row and return the field of `ImportReport` that counts it."""
    entry, content = row.entry, row.entry.key
    known = database.execute(
        "SELECT id, content, reason FROM entry WHERE origin = ?", (row.origin,)
    ).fetchone()
    reason = "; ".join(entry.notes)
    if known is not None and known[1:] == (content, reason):
        return "unchanged"
    if known is None and database.execute("SELECT 1 FROM entry WHERE content = ?", (content,)).fetchone():
        return "known"
    database.execute("DELETE FROM refused WHERE origin = ?", (row.origin,))
    if known is not None:
        database.execute("DELETE FROM entry WHERE origin = ?", (row.origin,))
    name = known[0] if known is not None else _free_id(database, id_of(entry))
    entry = replace(entry, id=name)
    values = (
        name, row.origin, entry.name, entry.formula, ",".join(entry.elements), entry.space_group, *entry.cell,
        entry.density, entry.source, row.state, reason, content, row.kind, int(is_usual(entry)), 1,
        row.reduced, row.lines, row.zones, packed(entry),
    )  # fmt: skip
    database.execute(f"INSERT INTO entry VALUES (NULL, {', '.join('?' * len(values))})", values)
    return "added" if known is None else "changed"


def _free_id(database: sqlite3.Connection, wanted: str) -> str:
    """The id, followed by a number if it is already in use."""
    taken = {
        name
        for (name,) in database.execute(
            "SELECT id FROM entry WHERE id >= :wanted AND id < :wanted || '~'", {"wanted": wanted}
        )
    }
    number, name = 1, wanted
    while name in taken:
        number += 1
        name = f"{wanted}-{number}"
    return name


def _line(shown: Sequence[object]) -> LibraryLine:
    name, title, formula, elements, group, *rest = shown
    cell, (source, state, reason, used) = rest[:6], rest[6:]
    return LibraryLine(
        str(name), str(title), str(formula), _elements(str(elements)), str(group),
        tuple(float(str(value)) for value in cell), str(source), str(state), str(reason), bool(used),
    )  # fmt: skip


def _elements(text: str) -> frozenset[str]:
    return frozenset(filter(None, text.split(",")))


def _cell_fits(cell: Sequence[float], wanted: Sequence[float], tolerance: float) -> bool:
    edges = all(abs(mine / given - 1) <= tolerance for mine, given in zip(cell[:3], wanted[:3], strict=False))
    return edges and all(abs(mine - given) <= 2 for mine, given in zip(cell[3:], wanted[3:6], strict=False))


def _lines_fit(lines: np.ndarray, wanted: Sequence[float], tolerance: float) -> bool:
    return all((np.abs(lines / d - 1) <= tolerance).any() for d in wanted)


def _padded_lines(blobs: Sequence[bytes]) -> np.ndarray:
    table = np.zeros((len(blobs), MOST_LINES, 2), np.float32)
    for number, data in enumerate(blobs):
        lines = lines_from(data)[:MOST_LINES]
        table[number, : len(lines), 0], table[number, : len(lines), 1] = lines["d"], lines["intensity"]
    return table


def _shares(
    zones: np.ndarray, starts: np.ndarray, entries: Sequence[int], axes: Sequence[frozenset[Miller] | None]
) -> list[float]:
    """Probability of observing one of the given zone axes of each entry."""
    shares = []
    for number, wanted in zip(entries, axes, strict=True):
        mine = zones[starts[number] : starts[number + 1]]
        inside = [wanted is None or tuple(uvw) in wanted for uvw in mine["uvw"].tolist()]
        shares.append(float((mine["share"][inside] * SHARE_STEP).sum()))
    return shares


def open_library(
    elements: str | None = None, path: str | Path | None = None, table: Sequence[Phase] | None = None
) -> PhaseLibrary:
    """Load the entries of a library that are candidates.

    Parameters
    ----------
    elements : str, optional
        Elements as `parse_elements` accepts them; by default all entries are candidates.
    path : path, optional
        Path of the library; by default the user's.
    table : sequence of Phase, optional
        Phases that represent library entries with the same structure; by default the bundled ones.

    Raises
    ------
    ValueError
        If the library is empty or damaged, or an element is unknown.

    Examples
    --------
    >>> from napari_tem_fft.api import open_library
    >>> library = open_library(elements="Li, C, O")  # doctest: +SKIP
    >>> len(library)  # doctest: +SKIP
    212
    """
    rule = parse_elements(elements) if elements is not None else ElementRule()
    library = PhaseDatabase(path).load().allowed_by(rule)
    table = load_table() if table is None else table
    held: dict[str, list[frozenset[str]]] = {}
    for symbols in set(library.elements):
        for symbol in symbols:
            held.setdefault(symbol, []).append(symbols)
    anchors = [anchor_of(phase) for phase in table if _is_within(phase.elements - _HYDROGEN, held)]
    return replace(library, anchors=tuple(anchor for anchor in anchors if anchor is not None))


def _is_within(elements: frozenset[str], held: Mapping[str, Sequence[frozenset[str]]]) -> bool:
    """Whether a structure contains all these elements; `held` maps an element to the structures with it."""
    rarest = min((held.get(symbol, ()) for symbol in elements), key=len, default=())
    return any(elements <= symbols for symbols in rarest)


def unasked_library(elements: str | None, path: str | Path | None = None) -> LibrarySearch | None:
    """Count the structures of given elements in a library that is not searched; None if there are none."""
    if elements is None:
        return None
    database = PhaseDatabase(path)
    try:
        allowed = database.count(parse_elements(elements))
        return LibrarySearch(database.key(), database.count(), allowed, by_elements=True) if allowed else None
    except LibraryError:  # an analysis without the library does not report its problems
        return None
