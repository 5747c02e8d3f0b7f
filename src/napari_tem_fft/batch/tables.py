"""Tables of a run: the summary, with one row per image and phase, and the spots of all images.

They are written image by image, so that memory use does not grow with the run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..core.text import LengthUnit, in_unit, length, printable
from ..io.exchange.parquet import kind_of, write_parquet
from ..io.plain import whole_file
from ..io.results.folder import SPOTS
from ..io.results.tables import SPOT_COLUMNS, in_which, read_rows, write_rows
from .record import ComponentSummary, Record

SUMMARY, SUMMARY_PARQUET, ALL_SPOTS = "summary.csv", "summary.parquet", "spots.parquet"
#: Columns of the summary and their types. The names contain the units; the unit of d can be changed.
COLUMNS: dict[str, type] = {
    "file": str, "folder": str, "state": str, "reason": str, "flags": str, "component": str, "phases": str,
    "outcome": str, "confidence": float, "area_nm2": float, "area_sigma_nm2": float,
    "fraction_of_specimen": float, "grains": int, "mean_grain_size_nm": float, "d_nm": str,
    "specimen_nm2": float, "spots": int, "pixel_size_y_nm": float, "pixel_size_x_nm": float,
    "calibration_uncertainty_percent": float, "calibration": str, "warnings": str, "sha256": str,
    "corrected_by_hand": int, "attempts": int, "seconds": float, "path": str, "ring_like": str,
}  # fmt: skip
NO_PARQUET = "no Parquet tables: pyarrow is not installed (pip install napari-tem-fft[batch])"

Records = Callable[[], Iterable[Record]]


def write_tables(folder: Path, records: Records, unit: LengthUnit = "nm") -> list[str]:
    """Write ``summary.csv``, ``summary.parquet`` and ``spots.parquet``; returns what was not written and why.

    Parameters
    ----------
    records : callable
        Returns the records of the run in the order of the files; called more than once.
    unit : {"nm", "angstrom"}
        Unit of d-spacings; the names of their columns state it.
    """
    columns = {in_which(name, unit): kind for name, kind in COLUMNS.items()}
    with whole_file(folder / SUMMARY) as temporary:
        write_rows(temporary, tuple(columns), _all_rows(records, unit))
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        return [NO_PARQUET]
    write_parquet(folder / SUMMARY_PARQUET, _all_rows(records, unit), columns)
    write_parquet(folder / ALL_SPOTS, _spot_rows(folder, records(), unit), _spot_columns(unit))
    return []


def _all_rows(records: Records, unit: LengthUnit) -> Iterator[dict[str, Any]]:
    return (row for record in records() for row in summary_rows(record, unit))


def summary_rows(record: Record, unit: LengthUnit) -> Iterator[dict[str, Any]]:
    """Yield one row per component, or one row with empty cells if there is none."""
    image = _image(record)
    if not record.parts:
        yield image
    for part in record.parts:
        yield image | _part(part, unit)


def _image(record: Record) -> dict[str, Any]:
    row: dict[str, Any] = {
        "file": printable(record.name),
        "folder": printable(record.folder) if record.state == "analysed" else "",
        "state": record.state,
        "reason": printable(record.reason),
        "flags": "; ".join(record.flags),
        "warnings": "; ".join(record.warnings),
        "sha256": record.sha256,
        "attempts": record.attempts,
        "seconds": record.seconds,
        "path": printable(record.path),
    }
    if record.state == "analysed":
        row |= {
            "specimen_nm2": round(record.specimen, 3),
            "spots": record.spots,
            "pixel_size_y_nm": record.pixel_size[0],
            "pixel_size_x_nm": record.pixel_size[1],
            "calibration_uncertainty_percent": record.uncertainty,
            "calibration": record.calibration,
            "corrected_by_hand": int(record.corrected),
        }
    return row


def _part(part: ComponentSummary, unit: LengthUnit) -> dict[str, Any]:
    return {
        "component": part.name,
        "phases": " / ".join(part.phases),
        "outcome": part.outcome,
        "confidence": round(part.score, 4),
        "area_nm2": round(part.area, 3),
        "area_sigma_nm2": round(part.area_sigma, 3),
        "fraction_of_specimen": round(part.fraction, 5),
        "grains": part.grains,
        "ring_like": part.ring_like,
        "mean_grain_size_nm": round(part.mean_size, 3),
        in_which("d_nm", unit): " ".join(length(d, unit) for d in part.d),
    }


def _spot_columns(unit: LengthUnit) -> dict[str, type]:
    kinds = {name: kind_of(name) for name in SPOT_COLUMNS}
    return {"file": str, "folder": str, **{in_which(name, unit): kind for name, kind in kinds.items()}}


def _spot_rows(folder: Path, records: Iterable[Record], unit: LengthUnit) -> Iterator[dict[str, Any]]:
    kinds = _spot_columns("nm")
    for record in records:
        if record.state != "analysed":
            continue
        with suppress(OSError):
            for row in read_rows(folder / record.folder / SPOTS):
                cells = dict(
                    _typed_column(name, row.get(name, ""), kind, unit) for name, kind in kinds.items()
                )
                yield cells | {"file": printable(record.name), "folder": printable(record.folder)}


def _typed_column(name: str, text: str, kind: type, unit: LengthUnit) -> tuple[str, Any]:
    """Name and value of a cell, both converted to the given unit."""
    value: Any = text if kind is str else kind(text) if text else None
    named = in_which(name, unit)
    return named, value if named == name or value is None else float(f"{in_unit(value, unit):.7g}")
