"""The deformation of each grain as a table for spreadsheets; units stand in the column names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...core.maps.component_map import component_name
from ...core.maps.strain import SHOWN, Deformation, Shown
from ...core.pipeline import Analysis
from .tables import write_rows

#: Name in the columns, and the factor to their unit.
_UNITS: dict[Shown, tuple[str, float]] = {
    "d_change": ("d_change_percent", 100.0),
    "rotation": ("rotation_deg", 1.0),
    "eps_xx": ("eps_xx_percent", 100.0),
    "eps_yy": ("eps_yy_percent", 100.0),
    "eps_xy": ("eps_xy_percent", 100.0),
}
#: Said of each map: mean over the grain, 5th and 95th percentile, the error of a single place (median), and
#: the share of the area where it is more than noise.
_SAID = ("mean", "low", "high", "sigma", "significant_share")
DEFORMATION_COLUMNS = (
    "grain", "component", "spots", "directions", "along_deg", "reference",
    *(f"{name}_{said}" for name, _ in _UNITS.values() for said in _SAID),
)  # fmt: skip


def write_deformation_table(path: Path, analysis: Analysis) -> None:
    """Write one row a grain whose deformation was measured.

    Axes are x to the right and y upwards, rotations counter-clockwise as displayed. Cells of the strain are
    empty where a grain shows one direction: its change of d and the turn of its planes are along `along_deg`.
    """
    write_rows(path, DEFORMATION_COLUMNS, deformation_rows(analysis))


def deformation_rows(analysis: Analysis) -> Iterator[dict[str, Any]]:
    """Rows of that table."""
    share = analysis.params.grains.false_share
    names = {match.grain: component_name(match) for match in reversed(analysis.matches)}
    for part in analysis.deformations:
        row = {
            "grain": part.grain,
            "component": names.get(part.grain, ""),
            "spots": " ".join(map(str, part.spots)),
            "directions": 1 if part.strain is None else 2,
            "along_deg": "" if part.along is None else round(part.along, 3),
            "reference": "region" if part.of_region else "grain",
        }
        for what in SHOWN:
            row |= _cells(part, what, share)
        yield row


def _cells(part: Deformation, what: Shown, false_share: float) -> dict[str, Any]:
    found = part.summary(what, false_share)
    if found is None:
        return {}
    name, factor = _UNITS[what]
    return {
        f"{name}_{said}": round(getattr(found, said) * (1 if said == "significant_share" else factor), 5)
        for said in _SAID
    }
