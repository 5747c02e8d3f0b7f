"""Named grains as a CrystalMap of orix, for pole figures, misorientations and textures there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...core.crystal.phase import Phase
from ...core.pipeline import Analysis
from .ebsd_text import space_group
from .orientation_grid import orientation_grid

if TYPE_CHECKING:
    from orix.crystal_map import CrystalMap


def to_crystal_map(analysis: Analysis) -> CrystalMap:
    """The oriented grains of an analysis as orix has them (extra `exchange`).

    Points are those of the analysis' maps, in nm; without a grain of one named phase they are not indexed.
    Orientations refer to x right, y down, z away from the viewer, and to orix's crystal axes (x along a, z
    along c*), which are ours.

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
    """The phase with its cell in Angstrom, as orix wants it."""
    from diffpy.structure import Lattice, Structure
    from orix.crystal_map import Phase as OrixPhase

    lengths, angles = [10 * edge for edge in phase.cell[:3]], phase.cell[3:]
    structure = Structure(lattice=Lattice(*lengths, *angles), title=phase.id)
    return OrixPhase(name=phase.id, space_group=space_group(phase).number, structure=structure)
