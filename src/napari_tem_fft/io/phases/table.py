"""Load the bundled phase table, folders of CIF files and lists of d-spacings as tuples of `Phase`."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import platformdirs
import yaml
from gemmi import __version__ as GEMMI  # type: ignore[attr-defined]

from ...core.crystal.phase import Miller, Phase, Reflection
from ...core.crystal.phase_selection import find_phase
from ...core.crystal.structure import LatticePlanes, Structure
from .cif import CifPhase, read_all_of_cif
from .crystal import Atom, build_structure, composition, formula, symmetry_by_name

#: Headers of the d column and the factor that converts it to nm.
_D_COLUMNS = {"d_nm": 1.0, "d (nm)": 1.0, "d_angstrom": 0.1, "d_a": 0.1, "d (angstrom)": 0.1, "d (a)": 0.1}
LARGEST_FILE = 1_000_000


def read_d_list(path: str | Path) -> tuple[Phase, ...]:
    """Read phases from a CSV file with the columns name, d_nm or d_angstrom, and maybe hkl and intensity.

    Lines with the same name form one phase; without the column, the file's stem is the name.

    Raises
    ------
    ValueError
        If the file cannot be used; the message names it and gives the reason.
    """
    path = Path(path)
    if path.stat().st_size > LARGEST_FILE:
        raise ValueError(
            f"{path.name}: larger than {LARGEST_FILE / 1e6:.0f} MB, too large for a list of d-spacings"
        )
    data = path.read_bytes()
    encoding = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    lines = data.decode(encoding, errors="replace").splitlines()
    lines = [line for line in lines if line.strip() and not line.startswith("#")]
    try:
        header = lines[0] if lines else ""  # files of spreadsheets that write decimal commas have ; or a tab
        separator = next((mark for mark in (";", "\t") if mark in header), ",")
        rows = list(csv.DictReader(lines, delimiter=separator))
        return _phases(rows, path.stem, "," if separator != "," else ".")
    except (ValueError, KeyError, csv.Error) as error:
        raise ValueError(f"{path.name}: {error}") from error


def _phases(rows: list[dict[str, str]], stem: str, decimal: str) -> tuple[Phase, ...]:
    if not rows:
        raise ValueError("there are no lines in it")
    if any(None in row for row in rows):
        raise ValueError("a line has more values than columns; indices with commas need quotes")
    columns = {str(name).strip().casefold(): name for name in rows[0]}
    d_column = next((name for name in columns if name in _D_COLUMNS), None)
    if d_column is None:
        raise ValueError("there is no column d_nm or d_angstrom")
    lists: dict[str, list[Reflection]] = defaultdict(list)
    for number, row in enumerate(rows, start=2):
        values = {name: (row[original] or "").strip() for name, original in columns.items()}
        for column in (d_column, "intensity"):
            if column in values:
                values[column] = values[column].replace(decimal, ".")
        lists[values.get("name") or stem].append(_reflection(values, d_column, number))
    return tuple(_phase(name, lines) for name, lines in lists.items())


def _reflection(values: dict[str, str], d_column: str, number: int) -> Reflection:
    try:
        d = float(values[d_column]) * _D_COLUMNS[d_column]
        intensity = float(values.get("intensity") or "nan")
    except ValueError:
        raise ValueError(f"line {number}: not a number: {values[d_column]!r}") from None
    if intensity < 0:
        raise ValueError(f"line {number}: an intensity cannot be negative")
    if not 0.03 < d < 5:
        raise ValueError(f"line {number}: a d-spacing of {d:g} nm is impossible")
    return Reflection(_miller(values.get("hkl", "")), d, 1, intensity)


def _miller(text: str) -> Miller:
    """hkl from "1 1 0", "110" or "-1 1 0"; (0, 0, 0) if it is not given."""
    parts = text.replace(",", " ").split()
    if len(parts) == 1:
        parts = _compact(parts[0])
    return (int(parts[0]), int(parts[1]), int(parts[2])) if len(parts) == 3 else (0, 0, 0)


def _compact(text: str) -> list[str]:
    """Split "-110" into "-1", "1", "0"."""
    parts, sign = [], ""
    for letter in text:
        if letter == "-":
            sign = "-"
        elif letter.isdigit():
            parts.append(sign + letter)
            sign = ""
    return parts


def _phase(name: str, lines: list[Reflection]) -> Phase:
    largest = max((r.relative_f for r in lines if r.relative_f > 0), default=float("nan"))
    scaled = [Reflection(r.hkl, r.d, r.multiplicity, (r.relative_f / largest) ** 0.5) for r in lines]
    return Phase(
        id=name,
        name=name,
        formula="",
        elements=frozenset(),
        space_group="",
        cell=(),
        reflections=tuple(sorted(scaled, key=lambda r: -r.d)),
        tags=("user",),
        source="the user's list of d-spacings",
        flag="a list of d-spacings: matched by d only, angles are not checked",
    )


#: A bundled phase and a CIF file of the same name are the same phase if their largest d agree within this.
SAME_LATTICE = 0.03

_RIGHT_ANGLES = (90.0, 90.0, 90.0)


@cache
def load_table() -> tuple[Phase, ...]:
    """Load the phases shipped with the package; their reflections are computed when they are first needed."""
    text = (files("napari_tem_fft") / "data" / "phases.yaml").read_text(encoding="utf-8")
    return tuple(phase_from_entry(entry) for entry in table_entries(text))


def table_entries(text: str) -> list[dict[str, Any]]:
    """Parse the table into entries as plain dictionaries."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    entries: list[dict[str, Any]] = yaml.load(text, Loader=loader)
    return entries


def phase_from_entry(entry: dict[str, Any]) -> Phase:
    """Create the `Phase` of an entry of the table; if it states a formula, the cell is filled when needed."""
    atoms = [_atom(line) for line in entry["atoms"]]
    # filling the cells of the whole table would take longer than reading the cached index
    stated = f"{entry['cell']} {entry['space_group']} {entry['atoms']} gemmi {GEMMI}"
    planes = LatticePlanes(partial(_structure_of, entry), stated=stated)
    return Phase(
        id=str(entry["id"]),
        name=str(entry["name"]),
        formula=str(entry.get("formula") or formula(composition(planes.structure, atoms))),
        elements=frozenset(atom.element for atom in atoms),
        space_group=entry["space_group"],
        cell=_cell(entry["cell"], entry["space_group"]),
        reflections=planes,
        tags=tuple(map(str, entry.get("tags", ()))),
        aliases=tuple(map(str, entry.get("aliases", ()))),
        source=entry.get("source", ""),
        flag=entry.get("flag", ""),
        checked=entry.get("checked", ""),
    )


def _structure_of(entry: dict[str, Any]) -> Structure:
    """Build all atoms of an entry's cell."""
    atoms = [_atom(line) for line in entry["atoms"]]
    cell = _cell(entry["cell"], entry["space_group"])
    return build_structure(cell, atoms, symmetry_by_name(entry["space_group"]))


@dataclass(frozen=True, slots=True)
class FileStatus:
    """Result of reading one file of a folder of phases.

    Attributes
    ----------
    file : str
        Name of the file.
    state : {"ok", "warning", "refused"}
    reason : str
        Reason for the user; empty if there was no problem.
    phases : tuple of str
        Ids of the phases in the file.
    """

    file: str
    state: Literal["ok", "warning", "refused"]
    reason: str = ""
    phases: tuple[str, ...] = ()


def user_folder() -> Path:
    """The folder of the user's own CIF files in the platform's configuration directory."""
    return Path(platformdirs.user_config_dir("napari-tem-fft", appauthor=False)) / "phases"


def load_cif_folder(folder: str | Path) -> tuple[tuple[Phase, ...], tuple[FileStatus, ...]]:
    """Load the phases of all CIF files and CSV lists of d-spacings in a folder; bad files are skipped.

    If such a file is given instead of a folder, only this file is read.

    Raises
    ------
    ValueError
        If there is no such folder or file.
    """
    folder = Path(folder)
    if folder.is_file() and folder.suffix.lower() in (".cif", ".csv"):
        own, status = file_phases(folder)
        return own, (status,)
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder")
    phases: dict[str, Phase] = {}
    states = []
    for path in sorted(p for p in folder.iterdir() if p.suffix.lower() in (".cif", ".csv")):
        found, state = file_phases(path)
        twice = [phase.id for phase in found if phase.id in phases]
        if twice:
            state = replace(
                state, state="warning", reason=f"{', '.join(twice)} is given twice; the last one is used"
            )
        phases |= {phase.id: phase for phase in found}
        states.append(state)
    return tuple(phases.values()), tuple(states)


def file_phases(path: Path) -> tuple[tuple[Phase, ...], FileStatus]:
    """Phases of a CIF file or CSV list of d-spacings, and the result of reading it; none if it is refused."""
    try:
        if path.suffix.lower() == ".csv":
            phases = read_d_list(path)
            return phases, FileStatus(path.name, "ok", "matched by d only", tuple(p.id for p in phases))
        found = read_all_of_cif(path)
    except (ValueError, OSError) as error:
        return (), FileStatus(path.name, "refused", str(error).removeprefix(f"{path.name}: "))
    usable = tuple(one for one in found if isinstance(one, CifPhase))
    reasons = list(dict.fromkeys(text for one in usable for text in one.warnings))
    reasons += [f"{one.id} is refused: {one.reason}" for one in found if not isinstance(one, CifPhase)]
    ids = tuple(one.phase.id for one in usable)
    if len(found) > 1:
        reasons.append(f"the file contains {len(found)} structures: {', '.join(ids)}")
    state: Literal["ok", "warning"] = "warning" if reasons else "ok"
    return tuple(one.phase for one in usable), FileStatus(path.name, state, "; ".join(reasons), ids)


def with_own_phases(
    table: Sequence[Phase], own: Sequence[Phase]
) -> tuple[tuple[Phase, ...], tuple[str, ...]]:
    """Merge the table with the user's phases, which replace bundled ones with the same id, name or alias.

    Returns
    -------
    phases : tuple of Phase
    notes : tuple of str
        One sentence for each bundled phase that was replaced.
    """
    phases, notes = {phase.id: phase for phase in table}, []
    for mine in own:
        bundled = _same_name(table, mine)
        if bundled is None or phases.get(bundled.id) is not bundled:
            if phases.get(mine.id) in table:
                same = f"your {mine.id} replaces the bundled {mine.id}"
                notes.append(f"{same}, but its elements are different")
            phases[mine.id] = mine
            continue
        notes.append(_replace(mine, bundled))
        names = dict.fromkeys((bundled.id, bundled.name, *bundled.aliases, *mine.aliases))
        aliases = tuple(name for name in names if name != mine.id)
        own_phase = replace(mine, aliases=aliases, tags=(*mine.tags, *bundled.tags))
        phases = {
            own_phase.id if key == bundled.id else key: own_phase if key == bundled.id else phase
            for key, phase in phases.items()
        }
    return tuple(phases.values()), tuple(notes)


def _same_name(table: Sequence[Phase], mine: Phase) -> Phase | None:
    """The bundled phase with the same name, if it can be the same substance."""
    try:
        bundled = find_phase(table, mine.id)
    except ValueError:
        return None
    known = mine.elements and bundled.elements
    return None if known and mine.elements != bundled.elements else bundled


def _replace(mine: Phase, bundled: Phase) -> str:
    text = f"your {mine.id} replaces the bundled {bundled.id}"
    own, theirs = mine.reflections[0].d, bundled.reflections[0].d
    if abs(own / theirs - 1) > SAME_LATTICE:
        text += f", but its largest d is {own:.4f} nm, not {theirs:.4f} nm: it may be another polymorph"
    return text


def _atom(line: str) -> Atom:
    element, x, y, z, *occupancy = line.split()
    return Atom(element, (float(x), float(y), float(z)), float(occupancy[0]) if occupancy else 1.0)


def _cell(lengths: list[float], space_group: str) -> tuple[float, ...]:
    """a, b, c in nm and the angles, from the table's short form in Angstrom."""
    a, *rest = (length / 10 for length in lengths[:3])
    if len(lengths) == 1:
        return a, a, a, *_RIGHT_ANGLES
    if len(lengths) == 2:
        hexagonal = space_group[0] == "R" or space_group.split()[1].lstrip("-")[0] in "36"
        return a, a, rest[0], 90.0, 90.0, 120.0 if hexagonal else 90.0
    beta = lengths[3] if len(lengths) == 4 else 90.0
    return a, rest[0], rest[1], 90.0, beta, 90.0
