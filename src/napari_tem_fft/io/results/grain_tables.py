"""Tables of grains, their sizes and their deformation; units are part of the column names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ...core.crystal.orientation import euler_angles, nearest_direction
from ...core.crystal.phase import Phase, four_index_zone, four_indices, has_hexagonal_axes
from ...core.grains.grain import Grain, bin_edges, histogram, is_cut_by_border, summary
from ...core.grains.plane_cell import PlaneCell, plane_cell
from ...core.maps.component_map import component_name
from ...core.maps.orientation import (
    GrainBoundary,
    Orientation,
    fitted_orientation,
    grain_boundaries,
    orientations,
)
from ...core.maps.strain import SHOWN, Deformation, Shown
from ...core.matching import GrainMatch
from ...core.pipeline import Analysis
from ...core.text import LengthUnit
from .tables import write_rows

GRAIN_COLUMNS = (
    "grain", "component", "outcome", "probability", "x_nm", "y_nm", "area_nm2", "area_sigma_nm2",
    "diameter_nm", "cut_by_border", "spots", "zone_axis", "zone_axis_UVTW", "orientation_deg",
    "orientation_sigma_deg", "orientation_d_nm", "orientation_hkl", "orientation_hkil", "rotation_deg",
    "rotation_sigma_deg", "rotation_period_deg", "rotation_hkl", "rotation_zone_axis", "euler_phi1_deg",
    "euler_Phi_deg", "euler_phi2_deg", "plane_a_per_nm", "plane_a_sigma_per_nm", "plane_b_per_nm",
    "plane_b_sigma_per_nm", "plane_angle_deg", "plane_angle_sigma_deg", "plane_d_a_nm", "plane_d_b_nm",
)  # fmt: skip
MISORIENTATION_COLUMNS = (
    "grain_1", "grain_2", "phase", "angle_deg", "angle_sigma_deg", "axis_uvw", "axis_off_deg",
    "other_angle_deg", "other_axis_uvw", "other_axis_off_deg", "note",
)  # fmt: skip
SIZE_COLUMNS = (
    "component", "from_nm", "to_nm", "grains", "cut_by_border", "mean_nm", "deviation_nm", "median_nm",
    "area_weighted_mean_nm",
)  # fmt: skip
#: Name in the columns, and factor that converts to their unit.
_UNITS: dict[Shown, tuple[str, float]] = {
    "d_change": ("d_change_percent", 100.0),
    "rotation": ("rotation_deg", 1.0),
    "eps_xx": ("eps_xx_percent", 100.0),
    "eps_yy": ("eps_yy_percent", 100.0),
    "eps_xy": ("eps_xy_percent", 100.0),
}
#: Statistics of each map: mean over the grain, 5th and 95th percentile, median uncertainty of a single
#: position, and the fraction of the area where the value exceeds the noise.
_STATISTICS = ("mean", "low", "high", "sigma", "significant_share")
DEFORMATION_COLUMNS = (
    "grain", "component", "spots", "directions", "along_deg", "reference",
    *(f"{name}_{statistic}" for name, _ in _UNITS.values() for statistic in _STATISTICS),
)  # fmt: skip


def write_grains(
    path: Path,
    analysis: Analysis,
    unit: LengthUnit = "nm",
    cells: Mapping[int, PlaneCell | None] | None = None,
) -> None:
    """Write one row per grain and component, largest grain first.

    The orientation is the azimuth, counter-clockwise from +x as displayed, of the planes by which the
    component's grains are compared. Rotation and Euler angles (see `euler_angles`) describe the crystal of
    the named phase.
    """
    write_rows(path, GRAIN_COLUMNS, grain_rows(analysis, cells), unit)


def write_misorientations(path: Path, analysis: Analysis) -> None:
    """Write one row for each pair of neighbouring grains of one phase (see `GrainBoundary`).

    The axis is the nearest direction with small indices and the angle to it. If a second angle is given, the
    image is consistent with both.
    """
    write_rows(path, MISORIENTATION_COLUMNS, misorientation_rows(analysis))


def write_sizes(path: Path, analysis: Analysis) -> None:
    """Write the histogram of diameters of each component, and of all grains, one row per bin.

    The first row of a component has no bin and summarises all its grains. Means exclude grains that are cut.
    """
    write_rows(path, SIZE_COLUMNS, size_rows(analysis))


def cells_of_grains(analysis: Analysis) -> dict[int, PlaneCell | None]:
    """Two-dimensional reciprocal cell of each grain, by its id."""
    return {grain.id: plane_cell(grain, analysis.spots) for grain in analysis.grains}


def grain_rows(
    analysis: Analysis, cells: Mapping[int, PlaneCell | None] | None = None
) -> Iterator[dict[str, Any]]:
    """Yield the rows of the table of grains; `cells` is the result of `cells_of_grains`, if available."""
    cells = cells_of_grains(analysis) if cells is None else cells
    grains = {grain.id: grain for grain in analysis.grains}
    cut = _is_cut(analysis)
    found = orientations(analysis.components, analysis.grains, analysis.matches, analysis.spots)
    oriented = {(one.grain, one.component): one for one in found if one.match is None}
    fitted = {one.match: one for one in found if one.match is not None}
    known = {phase.id: phase for phase in analysis.known_phases}
    for number, match in enumerate(analysis.matches):
        name = component_name(match)
        phase = known.get(match.candidates[0].phase) if match.phases and match.candidates else None
        row = _measured_cells(grains[match.grain]) | _name_cells(match, name, phase)
        row["cut_by_border"] = int(cut[match.grain])
        row |= _rotation_cells(match, phase) | _plane_cells(cells[match.grain])
        yield row | _orientation_cells(fitted.get(number) or oriented.get((match.grain, name)), known, phase)


def _is_cut(analysis: Analysis) -> dict[int, bool]:
    """Whether the image's border cuts each grain, by its id."""
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


def _plane_cells(cell: PlaneCell | None) -> dict[str, Any]:
    """The grain's own two-dimensional reciprocal cell, whatever its phase."""
    if cell is None:
        return {}
    numbers = (cell.a, cell.a_sigma, cell.b, cell.b_sigma)
    row: dict[str, Any] = dict(zip(GRAIN_COLUMNS[-8:-4], (round(n, 5) for n in numbers), strict=True))
    row |= {"plane_angle_deg": round(cell.angle, 3), "plane_angle_sigma_deg": round(cell.angle_sigma, 3)}
    return row | dict(zip(("plane_d_a_nm", "plane_d_b_nm"), (round(d, 5) for d in cell.d), strict=True))


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


def _orientation_cells(
    one: Orientation | None, known: Mapping[str, Phase], phase: Phase | None
) -> dict[str, Any]:
    if one is None:
        return {}
    phase = known.get(one.phase, phase)
    return {
        "orientation_deg": round(one.azimuth, 3) % one.period,
        "orientation_sigma_deg": round(one.sigma, 3),
        "orientation_d_nm": round(one.d, 5),
        "orientation_hkl": " ".join(map(str, one.hkl)) if one.hkl else "",
        "orientation_hkil": " ".join(map(str, (one.hkl and four_indices(one.hkl, phase)) or ())),
    }


def _rotation_cells(match: GrainMatch, phase: Phase | None) -> dict[str, Any]:
    """Orientation of the crystal, for the same phase as the row's zone axis."""
    if phase is None or phase.d_only or (one := fitted_orientation(match, phase.id)) is None:
        return {}
    names = ("euler_phi1_deg", "euler_Phi_deg", "euler_phi2_deg")
    angles = (round(angle, 3) % 360 for angle in euler_angles(one.matrix(phase)))
    return {
        "rotation_deg": round(one.rotation, 3) % one.period,
        "rotation_sigma_deg": round(one.sigma, 3),
        "rotation_period_deg": round(one.period),
        "rotation_hkl": " ".join(map(str, one.hkl)),
        "rotation_zone_axis": " ".join(map(str, one.zone_axis)),
        **dict(zip(names, angles, strict=True)),
    }


def misorientation_rows(analysis: Analysis) -> Iterator[dict[str, Any]]:
    """Yield the rows of the table of misorientations."""
    phases = {phase.id: phase for phase in analysis.known_phases}
    grains = analysis.matches, analysis.grains, analysis.grain_regions, analysis.map_grid
    reach = analysis.params.grains.resolution
    for boundary in grain_boundaries(*grains, reach, tuple(phases.values())):
        yield _boundary_cells(boundary, phases[boundary.phase])


def _boundary_cells(boundary: GrainBoundary, phase: Phase) -> dict[str, Any]:
    found = boundary.misorientation
    row = {
        "grain_1": boundary.grains[0],
        "grain_2": boundary.grains[1],
        "phase": boundary.phase,
        "angle_deg": round(found.angle, 3),
        "angle_sigma_deg": round(boundary.sigma, 3),
        "note": found.note,
    }
    row |= _axis_cells("axis", found.axis, phase)
    if found.ambiguous:
        row["other_angle_deg"] = round(found.other_angle, 3)
        row |= _axis_cells("other_axis", found.other_axis, phase)
    return row


def _axis_cells(name: str, axis: tuple[float, float, float], phase: Phase) -> dict[str, Any]:
    if not any(axis):
        return {}
    uvw, off = nearest_direction(axis, phase)
    return {f"{name}_uvw": " ".join(map(str, uvw)), f"{name}_off_deg": round(off, 2)}


def size_rows(analysis: Analysis) -> Iterator[dict[str, Any]]:
    """Yield the rows of the table of sizes."""
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
    # grains outside a specimen mask drawn by the user have no size
    left = {name: [n for n in ids if diameter[n]] for name, ids in members.items()}
    return {name: ([diameter[n] for n in ids], [cut[n] for n in ids]) for name, ids in left.items()}


def write_deformation_table(path: Path, analysis: Analysis) -> None:
    """Write one row for each grain whose deformation was measured.

    Axes are x to the right and y upwards; rotations are counter-clockwise as displayed. The strain is empty
    for grains with only one direction: their change of d and rotation are along `along_deg`.
    """
    write_rows(path, DEFORMATION_COLUMNS, deformation_rows(analysis))


def deformation_rows(analysis: Analysis) -> Iterator[dict[str, Any]]:
    """Yield the rows of the table of deformations."""
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
        f"{name}_{statistic}": round(
            getattr(found, statistic) * (1 if statistic == "significant_share" else factor), 5
        )
        for statistic in _STATISTICS
    }
