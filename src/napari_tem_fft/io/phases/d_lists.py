"""Lists of d-spacings (CSV) -> phases that are matched by d only."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

from ...core.crystal.phase import Miller, Phase, Reflection

#: Headers of the d column and the factor that converts it to nm.
_D_COLUMNS = {"d_nm": 1.0, "d (nm)": 1.0, "d_angstrom": 0.1, "d_a": 0.1, "d (angstrom)": 0.1, "d (a)": 0.1}
LARGEST_FILE = 1_000_000


def read_d_list(path: str | Path) -> tuple[Phase, ...]:
    """Phases of a CSV file with the columns name, d_nm or d_angstrom, and optionally hkl and intensity.

    Lines of the same name make one phase; where the column is missing, the file's stem is the name.

    Raises
    ------
    ValueError
        If it cannot be used; the message names the file and says why.
    """
    path = Path(path)
    if path.stat().st_size > LARGEST_FILE:
        raise ValueError(
            f"{path.name}: larger than {LARGEST_FILE / 1e6:.0f} MB, which no list of d-spacings is"
        )
    data = path.read_bytes()
    encoding = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    lines = data.decode(encoding, errors="replace").splitlines()
    lines = [line for line in lines if line.strip() and not line.startswith("#")]
    try:
        separator = _separator(lines[0] if lines else "")
        rows = list(csv.DictReader(lines, delimiter=separator))
        return _phases(rows, path.stem, "," if separator != "," else ".")
    except (ValueError, KeyError, csv.Error) as error:
        raise ValueError(f"{path.name}: {error}") from error


def _separator(header: str) -> str:
    """What stands between columns: a semicolon or a tab where spreadsheets write decimal commas."""
    return next((mark for mark in (";", "\t") if mark in header), ",")


def _phases(rows: list[dict[str, str]], stem: str, decimal: str) -> tuple[Phase, ...]:
    if not rows:
        raise ValueError("no lines in it")
    if any(None in row for row in rows):
        raise ValueError("a line has more values than columns; indices with commas need quotes")
    columns = {str(name).strip().casefold(): name for name in rows[0]}
    d_column = next((name for name in columns if name in _D_COLUMNS), None)
    if d_column is None:
        raise ValueError("no column is called d_nm or d_angstrom")
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
        raise ValueError(f"line {number}: a lattice spacing of {d:g} nm makes no sense")
    return Reflection(_miller(values.get("hkl", "")), d, 1, intensity)


def _miller(text: str) -> Miller:
    """hkl from "1 1 0", "110", "-1 1 0"; (0, 0, 0) where it is not given."""
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
