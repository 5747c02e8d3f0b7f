"""Grains and the distribution of their sizes as tables for spreadsheets; units stand in the column names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...core.crystal.miller import four_index_zone, four_indices, has_hexagonal_axes
from ...core.crystal.phase import Phase
from ...core.grains.grain import Grain
from ...core.grains.sizes import bin_edges, histogram, is_cut_by_border, summary
from ...core.lengths import LengthUnit
from ...core.maps.component_map import component_name
from ...core.maps.orientation import Orientation, orientations
from ...core.matching import GrainMatch
from ...core.pipeline import Analysis
from .tables import write_rows

GRAIN_COLUMNS = (
    "grain", "component", "outcome", "probability", "x_nm", "y_nm", "area_nm2", "area_sigma_nm2",
    "diameter_nm", "cut_by_border", "spots", "zone_axis", "zone_axis_UVTW", "orientation_deg",
    "orientation_sigma_deg", "orientation_d_nm", "orientation_hkl", "orientation_hkil",
)  # fmt: skip
SIZE_COLUMNS = (
    "component", "from_nm", "to_nm", "grains", "cut_by_border", "mean_nm", "deviation_nm", "median_nm",
    "area_weighted_mean_nm",
)  # fmt: skip


def write_grains(path: Path, analysis: Analysis, unit: LengthUnit = "nm") -> None:
    """Write one row a grain and component, largest grain first.

    The orientation is the azimuth, counter-clockwise from +x as displayed, of the planes by which the
    component's grains are compared.
    """
    write_rows(path, GRAIN_COLUMNS, grain_rows(analysis), unit)


def write_sizes(path: Path, analysis: Analysis) -> None:
    """Write the histogram of diameters of each component, and of all grains, one row a bin.

    The first row of a component, without a bin, holds all its grains. Means are those of whole grains.
    """
    write_rows(path, SIZE_COLUMNS, size_rows(analysis))


def grain_rows(analysis: Analysis) -> Iterator[dict[str, Any]]:
    """Rows of the grains' table."""
    grains = {grain.id: grain for grain in analysis.grains}
    cut = _is_cut(analysis)
    found = orientations(analysis.components, analysis.grains, analysis.matches, analysis.spots)
    oriented = {(one.grain, one.component): one for one in found}
    known = {phase.id: phase for phase in (*analysis.phases, *analysis.others)}
    for match in analysis.matches:
        name = component_name(match)
        phase = known.get(match.candidates[0].phase) if match.phases and match.candidates else None
        row = _measured_cells(grains[match.grain]) | _name_cells(match, name, phase)
        row["cut_by_border"] = int(cut[match.grain])
        yield row | _orientation_cells(oriented.get((match.grain, name)), phase)


def _is_cut(analysis: Analysis) -> dict[int, bool]:
    """Whether the border cuts each grain, by its id."""
    regions = zip(analysis.grains, analysis.grain_regions, strict=True)
    return {grain.id: is_cut_by_border(region, analysis.map_grid) for grain, region in regions}


def _measured_cells(grain: Grain) -> dict[str, Any]:
    return {
        "grain": grain.id,
        "x_nm": round(grain.centre[1], 3),
        "y_nm": round(grain.centre[0], 3),
        "area_nm2": round(grain.area, 3),
        "area_sigma_nm2": round(grain.area_sigma, 3),
        "diameter_nm": round(grain.diameter, 3),
        "spots": len(grain.spots),
    }


def _name_cells(match: GrainMatch, name: str, phase: Phase | None) -> dict[str, Any]:
    probability = min(1.0, sum(c.posterior for c in match.candidates if c.phase in match.phases))
    axis = match.candidates[0].zone_axis if match.phases and match.candidates else None
    four = four_index_zone(axis) if axis and phase is not None and has_hexagonal_axes(phase) else ()
    return {
        "component": name,
        "outcome": str(match.outcome),
        "probability": round(probability, 4) if match.phases else "",
        "zone_axis": " ".join(map(str, axis)) if axis else "",
        "zone_axis_UVTW": " ".join(map(str, four)),
    }


def _orientation_cells(one: Orientation | None, phase: Phase | None) -> dict[str, Any]:
    if one is None:
        return {}
    return {
        "orientation_deg": round(one.azimuth, 3),
        "orientation_sigma_deg": round(one.sigma, 3),
        "orientation_d_nm": round(one.d, 5),
        "orientation_hkl": " ".join(map(str, one.hkl)) if one.hkl else "",
        "orientation_hkil": " ".join(map(str, (one.hkl and four_indices(one.hkl, phase)) or ())),
    }


def size_rows(analysis: Analysis) -> Iterator[dict[str, Any]]:
    """Rows of the sizes' table."""
    edges = bin_edges([grain.diameter for grain in analysis.grains])
    for name, (diameters, cut) in sizes_of(analysis).items():
        total = summary(diameters, cut)
        numbers = (total.mean, total.deviation, total.median, total.area_weighted)
        shown = ["" if number != number else round(number, 3) for number in numbers]
        whole = {"component": name, "grains": total.grains, "cut_by_border": total.cut}
        yield whole | dict(zip(SIZE_COLUMNS[5:], shown, strict=True))
        counted = histogram(diameters, cut, edges)
        for low, high, count, part in zip(edges[:-1], edges[1:], counted.counts, counted.cut, strict=True):
            bin_ = {"from_nm": round(float(low), 4), "to_nm": round(float(high), 4)}
            yield {"component": name, "grains": int(count), "cut_by_border": int(part)} | bin_


def sizes_of(analysis: Analysis) -> dict[str, tuple[list[float], list[bool]]]:
    """Diameters (nm) of each component's grains and whether the border cuts them; "all" comes last."""
    diameter = {grain.id: grain.diameter for grain in analysis.grains}
    cut = _is_cut(analysis)
    members = {part.name: part.grains for part in analysis.components} | {"all": tuple(diameter)}
    # a grain outside of a specimen that a person has drawn has no size
    left = {name: [n for n in ids if diameter[n]] for name, ids in members.items()}
    return {name: ([diameter[n] for n in ids], [cut[n] for n in ids]) for name, ids in left.items()}
