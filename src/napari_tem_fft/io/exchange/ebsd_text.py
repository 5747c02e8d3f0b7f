"""Orientation maps as text: .ang of EDAX and .ctf of Oxford Instruments, which MTEX, orix and DREAM.3D open.

Both know micrometres only. Angles refer to the axes of the positions: x right, y down, z away from the viewer
(in MTEX: the option 'convertEuler2SpatialReferenceFrame' is not wanted). The two differ in how Cartesian axes
lie in a crystal: x along a and z along c* in an .ang, x along a* and z along c in a .ctf.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...core.crystal.phase import Phase, reciprocal_basis
from ...core.pipeline import Analysis
from .orientation_grid import OrientationGrid, orientation_grid

if TYPE_CHECKING:
    import gemmi

#: Laue group -> its number in a .ctf, and its symbol in an .ang.
LAUE_GROUPS = {
    "-1": (1, "1"), "2/m": (2, "20"), "mmm": (3, "22"), "4/m": (4, "4"), "4/mmm": (5, "42"), "-3": (6, "3"),
    "-3m": (7, "32"), "6/m": (8, "6"), "6/mmm": (9, "62"), "m-3": (10, "23"), "m-3m": (11, "43"),
}  # fmt: skip
#: Values in an .ang file for a point that is not indexed: angles of 4 pi, confidence -1, misfit of 180
#: degrees.
NO_ANGLE, NO_CONFIDENCE, NO_FIT = 12.56637, -1.0, 180.0
_NM_IN_UM = 1e-3


def write_ang(path: str | Path, analysis: Analysis) -> Path:
    """Write the oriented grains as an .ang file.

    The columns are phi1, Phi, phi2 (radians), x, y (micrometres), image quality (the grain's strength there,
    0 to 1), confidence (probability of the phase; -1 where none is named), number of the phase, grain (in the
    place of the detector's signal), uncertainty of the rotation (degrees, in the column of the fit).

    Returns
    -------
    Path
    """
    found = orientation_grid(analysis)
    inside = found.labels > 0
    angles = np.radians(found.angles())
    angles[~inside] = NO_ANGLE
    columns = [
        *np.moveaxis(angles, -1, 0), *_positions(found), found.heat,
        found.values([one.confidence for one in found.grains], np.float64, NO_CONFIDENCE),
        found.phase_numbers(),
        found.values([one.grain for one in found.grains], np.int32, 0),
        found.values([one.sigma for one in found.grains], np.float64, NO_FIT),
    ]  # fmt: skip
    formats = ["%.6f"] * 3 + ["%.8g"] * 2 + ["%.4f"] * 2 + ["%d"] * 2 + ["%.4f"]
    return _write(path, _ang_header(found), columns, formats, "  ")


def write_ctf(path: str | Path, analysis: Analysis) -> Path:
    """Write the oriented grains as a .ctf file.

    The columns are number of the phase (0 where none is named), x, y (micrometres), bands (indexed spots),
    error (3 where none is named), Euler angles (degrees), MAD (uncertainty of the rotation, degrees), BC
    (probability of the phase, of 255), BS (grain).

    Returns
    -------
    Path
    """
    found = orientation_grid(analysis)
    frames = np.array([oxford_frame(phase) for phase in found.phases]).reshape(-1, 3, 3)
    columns = [
        found.phase_numbers(), *_positions(found),
        found.values([one.indexed for one in found.grains], np.int32, 0),
        np.where(found.labels > 0, 0, 3),
        *np.moveaxis(found.angles(frames), -1, 0),
        found.values([one.sigma for one in found.grains], np.float64, 0.0),
        found.values([round(255 * one.confidence) for one in found.grains], np.int32, 0),
        found.values([one.grain for one in found.grains], np.int32, 0),
    ]  # fmt: skip
    formats = ["%d"] + ["%.8g"] * 2 + ["%d"] * 2 + ["%.4f"] * 4 + ["%d"] * 2
    return _write(path, _ctf_header(found), columns, formats, "\t")


def oxford_frame(phase: Phase) -> NDArray[np.float64]:
    """Columns are the Cartesian axes of a .ctf (x along a*, z along c) in ours (x along a, z along c*).

    Shape (3, 3). It is the unit matrix where the cell's axes are at right angles.
    """
    reciprocal = reciprocal_basis(phase.cell)
    x, z = reciprocal[0], np.linalg.inv(reciprocal)[:, 2]
    x, z = x / np.linalg.norm(x), z / np.linalg.norm(z)
    return np.stack([x, np.cross(z, x), z], axis=1)


def space_group(phase: Phase) -> gemmi.SpaceGroup:
    """The phase's space group.

    Raises
    ------
    ValueError
        If its symbol is none.
    """
    import gemmi

    found = gemmi.find_spacegroup_by_name(phase.space_group)
    if found is None:
        raise ValueError(f"{phase.id}: {phase.space_group!r} is no space group that is known")
    return found


def _positions(found: OrientationGrid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """x and y of each point, micrometres from the first one."""
    (ny, nx), (py, px) = found.grid.shape, found.grid.pixel_size
    y, x = np.mgrid[:ny, :nx] * np.array([py, px])[:, None, None] * _NM_IN_UM
    return x, y


def _ang_header(found: OrientationGrid) -> Iterator[str]:
    (ny, nx), (py, px) = found.grid.shape, found.grid.pixel_size
    yield from ("# TEM_PIXperUM 1.000000", "# x-star 0.000000", "# y-star 0.000000", "# z-star 0.000000")
    yield from ("# WorkingDistance 0.000000", "#")
    for number, phase in reversed(list(enumerate(found.phases, 1))):  # the last phase comes first, as in OIM
        yield f"# Phase {number}"
        yield f"# MaterialName \t{_ascii(phase.id)}"
        yield f"# Formula \t{_ascii(phase.formula)}"
        yield "# Info \tnapari-tem-fft: x right, y down, z away from the viewer; x along a, z along c*"
        yield f"# Symmetry \t{LAUE_GROUPS[space_group(phase).laue_str()][1]}"
        yield f"# LatticeConstants \t{' '.join(f'{number:.4f}' for number in _angstrom(phase))}"
        yield from ("# NumberFamilies \t0", "#")
    yield "# GRID: SqrGrid"
    yield f"# XSTEP: {px * _NM_IN_UM:.8g}"
    yield f"# YSTEP: {py * _NM_IN_UM:.8g}"
    yield from (f"# NCOLS_ODD: {nx}", f"# NCOLS_EVEN: {nx}", f"# NROWS: {ny}", "#")
    yield from ("# OPERATOR: \tnapari-tem-fft", "# SAMPLEID: \t", "# SCANID: \t", "#")


def _ctf_header(found: OrientationGrid) -> Iterator[str]:
    (ny, nx), (py, px) = found.grid.shape, found.grid.pixel_size
    yield from ("Channel Text File", "Prj\tnapari-tem-fft", "Author\tnapari-tem-fft", "JobMode\tGrid")
    yield from (f"XCells\t{nx}", f"YCells\t{ny}")
    yield from (f"XStep\t{px * _NM_IN_UM:.8g}", f"YStep\t{py * _NM_IN_UM:.8g}")
    yield from ("AcqE1\t0", "AcqE2\t0", "AcqE3\t0")
    yield "Euler angles refer to Sample Coordinate system (CS0)!\tMag\t0\tCoverage\t100\tDevice\t0\tKV\t0"
    yield f"Phases\t{len(found.phases)}"
    for phase in found.phases:
        a, b, c, *angles = (f"{number:.4f}" for number in _angstrom(phase))
        group = space_group(phase)
        laue = LAUE_GROUPS[group.laue_str()][0]
        yield f"{a};{b};{c}\t{';'.join(angles)}\t{_ascii(phase.id)}\t{laue}\t{group.number}"
    yield "Phase\tX\tY\tBands\tError\tEuler1\tEuler2\tEuler3\tMAD\tBC\tBS"


def _angstrom(phase: Phase) -> tuple[float, ...]:
    """The cell with lengths in Angstrom, as both formats have it."""
    return (*(10 * edge for edge in phase.cell[:3]), *phase.cell[3:])


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode()


def _write(
    path: str | Path, header: Iterable[str], columns: list[NDArray[np.generic]], formats: list[str], gap: str
) -> Path:
    path = Path(path)
    table = np.stack([column.ravel().astype(np.float64) for column in columns], axis=1)
    with path.open("w", encoding="ascii", newline="\n") as file:
        file.writelines(f"{line}\n" for line in header)
        np.savetxt(file, table, fmt=formats, delimiter=gap)
    return path
