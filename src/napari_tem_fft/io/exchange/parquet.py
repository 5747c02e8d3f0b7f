"""Tables as Parquet files, with the unit of each column in its metadata."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...core.pipeline import Analysis
from ..plain import whole_file
from ..results.grain_tables import (
    GRAIN_COLUMNS,
    MISORIENTATION_COLUMNS,
    SIZE_COLUMNS,
    grain_rows,
    misorientation_rows,
    size_rows,
)
from ..results.tables import PROFILE_COLUMNS, SPOT_COLUMNS, profile_rows, spot_rows

if TYPE_CHECKING:
    import pyarrow as pa

#: Suffix of a column's name -> unit; the longest match is used.
UNITS = {
    "_per_nm": "1/nm", "_nm2": "nm^2", "_nm": "nm", "_angstrom": "angstrom", "_deg": "deg", "_percent": "%",
    "seconds": "s", "_bytes": "bytes",
}  # fmt: skip
#: Columns of text and of integers; all others contain real numbers.
TEXT = frozenset({
    "axis_uvw", "by_user", "component", "curve", "file", "folder", "hkil", "hkl", "kind", "note",
    "orientation_hkil", "orientation_hkl", "origin", "other_axis_uvw", "outcome", "phase", "rotation_hkl",
    "rotation_zone_axis", "spot_kind", "zone_axis", "zone_axis_UVTW",
})  # fmt: skip
WHOLE = frozenset({"cut_by_border", "enabled", "grain", "grain_1", "grain_2", "grains", "id", "spots"})
#: Number of rows written at a time.
ROW_GROUP = 20_000


def unit_of(column: str) -> str:
    """The unit given by the name of a column; empty if there is none.

    Examples
    --------
    >>> unit_of("area_sigma_nm2"), unit_of("g_per_nm"), unit_of("snr")
    ('nm^2', '1/nm', '')
    """
    ends = [end for end in UNITS if column.endswith(end)]
    return UNITS[max(ends, key=len)] if ends else ""


def kind_of(column: str) -> type:
    """Type of a column of our tables: text, integers or real numbers."""
    return str if column in TEXT else int if column in WHOLE else float


def write_analysis_tables(folder: str | Path, analysis: Analysis) -> list[Path]:
    """Write the tables of an analysis: spots, profile, grains, sizes and misorientations, with lengths in nm.

    Returns
    -------
    list of Path

    Raises
    ------
    ImportError
        If pyarrow is not installed.
    """
    tables: dict[str, tuple[Sequence[str], Iterable[Mapping[str, Any]]]] = {
        "spots": (SPOT_COLUMNS, spot_rows(analysis)),
        "profile": (PROFILE_COLUMNS, profile_rows(analysis.profiles)),
        "grains": (GRAIN_COLUMNS, grain_rows(analysis)),
        "sizes": (SIZE_COLUMNS, size_rows(analysis)),
        "misorientations": (MISORIENTATION_COLUMNS, misorientation_rows(analysis)),
    }
    paths = []
    for name, (columns, rows) in tables.items():
        paths.append(Path(folder) / f"{name}.parquet")
        write_parquet(paths[-1], rows, {column: kind_of(column) for column in columns})
    return paths


def write_parquet(path: Path, rows: Iterable[Mapping[str, Any]], columns: Mapping[str, type]) -> None:
    """Write a table in groups of rows to a temporary file, which then replaces `path`.

    Parameters
    ----------
    rows : iterable of mapping
        Cells by column name; missing and empty ones become null.
    columns : mapping of str to {str, int, float}

    Raises
    ------
    ImportError
        If pyarrow is not installed.
    """
    import pyarrow as pa
    from pyarrow import parquet

    schema = pa.schema([_field(name, kind) for name, kind in columns.items()])
    with whole_file(path) as temporary, parquet.ParquetWriter(temporary, schema) as writer:
        for group in _groups(rows):
            arrays = {name: [_cell(row.get(name), kind) for row in group] for name, kind in columns.items()}
            writer.write_table(pa.table(arrays, schema=schema))


def _field(name: str, kind: type) -> pa.Field:
    import pyarrow as pa

    kinds = {str: pa.string(), int: pa.int64(), float: pa.float64()}
    unit = unit_of(name)
    return pa.field(name, kinds[kind], metadata={"unit": unit} if unit else None)


def _cell(value: Any, kind: type) -> Any:
    """Convert a cell to the type of its column; None if it is empty."""
    if value is None or (value == "" and kind is not str):
        return None
    return kind(value)


def _groups(rows: Iterable[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    group: list[Mapping[str, Any]] = []
    for row in rows:
        group.append(row)
        if len(group) == ROW_GROUP:
            yield group
            group = []
    if group:
        yield group
