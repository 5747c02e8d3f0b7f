"""Orientation maps: named grains on a grid, as a CrystalMap of orix and as text files (.ang, .ctf).

Both text formats are in micrometres. Angles refer to the axes of the positions: x right, y down, z away from
the viewer (do not use MTEX's option 'convertEuler2SpatialReferenceFrame'). The formats differ in the
Cartesian axes of a crystal: in an .ang file x is along a and z along c*, in a .ctf file x is along a* and z
along c.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...core.crystal.orientation import euler_angles
from ...core.crystal.phase import Phase, reciprocal_basis
from ...core.maps.map_grid import MapGrid
from ...core.maps.orientation import fitted_orientation
from ...core.pipeline import Analysis

if TYPE_CHECKING:
    import gemmi
    from orix.crystal_map import CrystalMap


@dataclass(frozen=True, slots=True, eq=False)
class OrientedGrain:
    """A grain identified as one phase, with a fitted orientation.

    Attributes
    ----------
    grain : int
        The grain's id.
    phase : Phase
    matrix : ndarray, shape (3, 3)
        Rotation from the crystal's Cartesian axes (x along a, z along c*) to those of the image (x right,
        y down, z away from the viewer).
    confidence : float
        Posterior probability of the phase.
    sigma : float, degrees
        Standard uncertainty of the in-plane rotation.
    indexed : int
        Number of the grain's spots that the phase explains.
    """

    grain: int
    phase: Phase
    matrix: NDArray[np.float64]
    confidence: float
    sigma: float
    indexed: int


@dataclass(frozen=True, slots=True, eq=False)
class OrientationGrid:
    """Oriented grains on the grid of an image's maps.

    Attributes
    ----------
    grid : MapGrid
    grains : tuple of OrientedGrain
    labels : ndarray of uint16, shape (y, x)
        Position of the point's grain in `grains`, counted from 1; 0 where there is none.
    heat : ndarray of float32, shape (y, x)
        Strength of that grain at the point, 0 to 1.
    """

    grid: MapGrid
    grains: tuple[OrientedGrain, ...]
    labels: NDArray[np.uint16]
    heat: NDArray[np.float32]

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The phases of the grains, without duplicates."""
        return tuple({one.phase.id: one.phase for one in self.grains}.values())

    def phase_numbers(self) -> NDArray[Any]:
        """Position of each point's phase in `phases`, counted from 1; 0 where there is none. Shape (y, x)."""
        numbers = {phase.id: number for number, phase in enumerate(self.phases, 1)}
        return self.values([numbers[one.phase.id] for one in self.grains], np.int32, 0)

    def angles(self, frame: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        """Bunge Euler angles of each point, shape (y, x, 3), degrees; 0 where there is no grain.

        Parameters
        ----------
        frame : ndarray, shape (number of phases, 3, 3), optional
            Columns are the crystal axes to which the angles of each phase refer, in our Cartesian axes.
        """
        order = [phase.id for phase in self.phases]
        turns = [one.matrix if frame is None else one.matrix @ frame[order.index(one.phase.id)]
                 for one in self.grains]  # fmt: skip
        found = np.array([(0.0, 0.0, 0.0), *(euler_angles(matrix) for matrix in turns)])
        angles: NDArray[np.float64] = found[self.labels]
        return angles

    def values(self, values: list[float], dtype: type, empty: float) -> NDArray[Any]:
        """An image of one value per grain, shape (y, x); `empty` where there is no grain."""
        return np.array([empty, *values], dtype)[self.labels]


def orientation_grid(analysis: Analysis) -> OrientationGrid:
    """Find the grains that are identified as one phase and have a fitted orientation.

    Ambiguous and unknown grains, and those named by a single d, have no definite orientation: their points
    stay empty. Where grains overlap, a point belongs to the one that is strongest there.
    """
    known = {phase.id: phase for phase in analysis.known_phases}
    regions = dict(zip((grain.id for grain in analysis.grains), analysis.grain_regions, strict=True))
    labels = np.zeros(analysis.map_grid.shape, np.uint16)
    heat = np.zeros(analysis.map_grid.shape, np.float32)
    grains: list[OrientedGrain] = []
    for match in analysis.matches:
        if not match.outcome.names_phases or len(match.phases) != 1:
            continue
        phase, fitted = known[match.phases[0]], fitted_orientation(match, match.phases[0])
        if phase.d_only or fitted is None:
            continue
        best = next(one for one in match.candidates if one.phase == phase.id)
        grains.append(
            OrientedGrain(
                match.grain, phase, fitted.matrix(phase), min(1.0, best.posterior), fitted.sigma,
                len(best.indexed),
            )
        )  # fmt: skip
        region = regions[match.grain]
        stronger = region.mask & (region.heat > heat[region.box])
        labels[region.box][stronger] = len(grains)
        heat[region.box][stronger] = region.heat[stronger]
    return OrientationGrid(analysis.map_grid, tuple(grains), labels, heat)


#: Laue group -> its number in a .ctf file, and its symbol in an .ang file.
LAUE_GROUPS = {
    "-1": (1, "1"), "2/m": (2, "20"), "mmm": (3, "22"), "4/m": (4, "4"), "4/mmm": (5, "42"), "-3": (6, "3"),
    "-3m": (7, "32"), "6/m": (8, "6"), "6/mmm": (9, "62"), "m-3": (10, "23"), "m-3m": (11, "43"),
}  # fmt: skip
#: Values in an .ang file for a point that is not indexed: angles of 4 pi, confidence -1, fit of 180 degrees.
NO_ANGLE, NO_CONFIDENCE, NO_FIT = 12.56637, -1.0, 180.0
_NM_IN_UM = 1e-3


def write_ang(path: str | Path, analysis: Analysis) -> Path:
    """Write the oriented grains to an .ang file.

    The columns are phi1, Phi, phi2 (radians), x, y (micrometres), image quality (the grain's strength at the
    point, 0 to 1), confidence (probability of the phase; -1 where none is named), number of the phase, grain
    (in the column of the detector signal), uncertainty of the rotation (degrees, in the column of the fit).

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
    """Write the oriented grains to a .ctf file.

    The columns are number of the phase (0 where none is named), x, y (micrometres), bands (indexed spots),
    error (3 where none is named), Euler angles (degrees), MAD (uncertainty of the rotation, degrees), BC
    (probability of the phase, scaled to 255), BS (grain).

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
    """Cartesian axes of a .ctf file (x along a*, z along c) in ours (x along a, z along c*), as columns.

    Shape (3, 3). It is the unit matrix if the cell's axes are at right angles.
    """
    reciprocal = reciprocal_basis(phase.cell)
    x, z = reciprocal[0], np.linalg.inv(reciprocal)[:, 2]
    x, z = x / np.linalg.norm(x), z / np.linalg.norm(z)
    return np.stack([x, np.cross(z, x), z], axis=1)


def space_group(phase: Phase) -> gemmi.SpaceGroup:
    """The space group of a phase.

    Raises
    ------
    ValueError
        If its symbol is unknown.
    """
    import gemmi

    found = gemmi.find_spacegroup_by_name(phase.space_group)
    if found is None:
        raise ValueError(f"{phase.id}: unknown space group {phase.space_group!r}")
    return found


def _positions(found: OrientationGrid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """x and y of each point in micrometres, relative to the first one."""
    (ny, nx), (py, px) = found.grid.shape, found.grid.pixel_size
    y, x = np.mgrid[:ny, :nx] * np.array([py, px])[:, None, None] * _NM_IN_UM
    return x, y


def _ang_header(found: OrientationGrid) -> Iterator[str]:
    (ny, nx), (py, px) = found.grid.shape, found.grid.pixel_size
    yield from ("# TEM_PIXperUM 1.000000", "# x-star 0.000000", "# y-star 0.000000", "# z-star 0.000000")
    yield from ("# WorkingDistance 0.000000", "#")
    for number, phase in reversed(list(enumerate(found.phases, 1))):  # last phase first, as OIM writes it
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
    """The cell with lengths in Angstrom, as in both formats."""
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


def to_crystal_map(analysis: Analysis) -> CrystalMap:
    """Convert the oriented grains of an analysis to a CrystalMap of orix (extra `exchange`).

    The points are those of the analysis' maps, in nm; points without a grain of one named phase are not
    indexed. Orientations refer to x right, y down, z away from the viewer, and to orix's crystal axes (x
    along a, z along c*), which are also ours.

    Returns
    -------
    orix.crystal_map.CrystalMap
        With the properties "confidence" (probability of the phase), "grain" (id; 0 where none is named),
        "rotation_sigma_deg" and "strength" (0 to 1).

    Raises
    ------
    ImportError
        If orix is not installed.

    Examples
    --------
    >>> from napari_tem_fft import analyse, read
    >>> to_crystal_map(analyse(read("gold.dm4"))).plot()  # doctest: +SKIP
    """
    from orix.crystal_map import CrystalMap, PhaseList
    from orix.quaternion import Rotation

    found = orientation_grid(analysis)
    y, x = np.indices(found.grid.shape)
    py, px = found.grid.pixel_size
    numbers = found.phase_numbers().ravel()
    crystals: Any = CrystalMap(
        rotations=Rotation.from_euler(found.angles().reshape(-1, 3), degrees=True),
        phase_id=np.where(numbers > 0, numbers, -1),
        x=x.ravel() * px,
        y=y.ravel() * py,
        phase_list=PhaseList(
            phases=[_orix_phase(phase) for phase in found.phases], ids=list(range(1, len(found.phases) + 1))
        ),
        prop={
            "confidence": found.values([one.confidence for one in found.grains], np.float64, 0.0).ravel(),
            "grain": found.values([one.grain for one in found.grains], np.int32, 0).ravel(),
            "rotation_sigma_deg": found.values(
                [one.sigma for one in found.grains], np.float64, np.nan
            ).ravel(),
            "strength": found.heat.ravel(),
        },
        scan_unit="nm",
    )
    return crystals


def _orix_phase(phase: Phase) -> Any:
    """The phase as an orix Phase, with its cell in Angstrom."""
    from diffpy.structure import Lattice, Structure
    from orix.crystal_map import Phase as OrixPhase

    lengths, angles = [10 * edge for edge in phase.cell[:3]], phase.cell[3:]
    structure = Structure(lattice=Lattice(*lengths, *angles), title=phase.id)
    return OrixPhase(name=phase.id, space_group=space_group(phase).number, structure=structure)
