"""PhaseEntry: a crystal structure as plain values, as stored in the library, in results and as CIF files."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, nan
from pathlib import Path

import gemmi

from ...core.crystal.phase import Phase
from ...core.crystal.structure import LatticePlanes, Structure
from ..plain import whole_file
from .cif_symmetry import with_hidden_symmetry
from .crystal import Atom, Symmetry, build_structure, symmetry_of

#: A row of `PhaseEntry.atoms`: element, fractional x, y, z, occupancy.
AtomRow = tuple[str, float, float, float, float]
#: Source of an entry whose file does not name one.
NO_SOURCE = "the user's CIF file"
_CELL = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")


@dataclass(frozen=True, slots=True)
class PhaseEntry:
    """A reference structure: everything needed to compute its lattice planes, with its source.

    Attributes
    ----------
    id : str
    name, formula : str
    elements : tuple of str
    space_group : str
        Hermann-Mauguin symbol; "n operators" for a setting without a symbol.
    number : int
        Number of the space group; 0 if unknown.
    cell : tuple of 6 float
        a, b, c in nm, alpha, beta, gamma in degrees.
    atoms : tuple of tuple
        Element, fractional coordinates and occupancy of each atom of the asymmetric unit.
    operators : tuple of str
        "x,y,z", ...
    density : float, g/cm3
    temperature : float, K
    pressure : float, GPa
        Temperature and pressure of the measurement; NaN if they are not stated.
    source, doi, code, licence : str
        Publication; its DOI; name and number in a database; licence of the data.
    notes : tuple of str
        Assumptions made when it was read.
    """

    id: str
    name: str
    formula: str
    elements: tuple[str, ...]
    space_group: str
    number: int
    cell: tuple[float, ...]
    atoms: tuple[AtomRow, ...]
    operators: tuple[str, ...]
    density: float = nan
    temperature: float = nan
    pressure: float = nan
    source: str = ""
    doi: str = ""
    code: str = ""
    licence: str = ""
    notes: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Hash of cell, atoms and symmetry: the same for the same structure, whatever its name."""
        digest = hashlib.sha256(repr([round(x, 6) for x in self.cell]).encode())
        digest.update(repr(sorted((a[0], *(round(float(x), 5) for x in a[1:])) for a in self.atoms)).encode())
        digest.update(repr(sorted(self.operators)).encode())
        return digest.hexdigest()


def phase_of_entry(entry: PhaseEntry) -> Phase:
    """Create the phase of an entry; its lattice planes are computed when they are first needed."""
    return entry_as_phase(entry, structure_of_entry(entry), ("library",))


def entry_as_phase(entry: PhaseEntry, structure: Structure, tags: Sequence[str]) -> Phase:
    """Create the phase of an entry from a structure that has already been built."""
    return Phase(
        id=entry.id,
        name=entry.name,
        formula=entry.formula,
        elements=frozenset(entry.elements),
        space_group=entry.space_group,
        cell=entry.cell,
        reflections=LatticePlanes(structure),
        tags=tuple(tags),
        source="; ".join(part for part in (entry.source, entry.doi, entry.code) if part),
        flag="; ".join(entry.notes),
    )


def structure_of_entry(entry: PhaseEntry) -> Structure:
    """Build the structure of an entry: all atoms of the cell.

    Raises
    ------
    ValueError
        If an operator or element cannot be parsed.
    """
    atoms = [Atom(element, (x, y, z), occupancy) for element, x, y, z, occupancy in entry.atoms]
    return with_hidden_symmetry(build_structure(entry.cell, atoms, symmetry_of_entry(entry)))


def symmetry_of_entry(entry: PhaseEntry) -> Symmetry:
    """The symmetry operations of an entry."""
    try:
        return symmetry_of([gemmi.Op(text) for text in entry.operators])
    except RuntimeError as error:
        raise ValueError(f"{entry.id}: a symmetry operator cannot be read: {error}") from error


def cif_of_entry(entry: PhaseEntry) -> str:
    """The entry as the text of a CIF file, which gives the same phase when it is read.

    Examples
    --------
    >>> entry = PhaseEntry("Po", "polonium", "Po", ("Po",), "P m -3 m", 221, (0.334,) * 3 + (90.0,) * 3,
    ...     (("Po", 0.0, 0.0, 0.0, 1.0),), ("x,y,z", "-x,-y,-z"))
    >>> print(cif_of_entry(entry).splitlines()[3])
    _cell_length_a 3.34
    """
    document = gemmi.cif.Document()
    block = document.add_new_block("".join(c if c.isalnum() or c in "-+._" else "_" for c in entry.id))
    values = (*(10 * length for length in entry.cell[:3]), *entry.cell[3:])
    facts = {
        "_chemical_name_common": entry.name,
        "_chemical_formula_sum": " ".join(_formula_parts(entry.formula)),
        **{f"_cell_{tag}": f"{value:.7g}" for tag, value in zip(_CELL, values, strict=True)},
        "_space_group_name_H-M_alt": entry.space_group if entry.number else "",
        "_space_group_IT_number": str(entry.number) if entry.number else "",
        "_cell_measurement_temperature": f"{entry.temperature:g}" if isfinite(entry.temperature) else "",
        "_cell_measurement_pressure": f"{1e6 * entry.pressure:g}" if isfinite(entry.pressure) else "",
        "_journal_name_full": entry.source if entry.source != NO_SOURCE else "",
        "_journal_paper_doi": entry.doi,
        "_napari_tem_fft_code": entry.code,
        "_napari_tem_fft_licence": entry.licence,
    }
    for tag, text in facts.items():
        if text:
            block.set_pair(tag, gemmi.cif.quote(text))
    loop = block.init_loop("_space_group_symop_", ["operation_xyz"])
    for operator in entry.operators:
        loop.add_row([gemmi.cif.quote(operator)])
    loop = block.init_loop(
        "_atom_site_", ["label", "type_symbol", "fract_x", "fract_y", "fract_z", "occupancy"]
    )
    for number, (element, *position, occupancy) in enumerate(entry.atoms, 1):
        loop.add_row([f"{element}{number}", element, *(f"{x:.6f}" for x in position), f"{occupancy:.6g}"])
    return str(document.as_string())


def _formula_parts(formula: str) -> list[str]:
    parts: list[str] = []
    for letter in formula:
        if letter.isupper() or not parts:
            parts.append(letter)
        else:
            parts[-1] += letter
    return parts


def export_entries(entries: Sequence[PhaseEntry], target: str | Path) -> None:
    """Write a CIF file for each entry, which gives the same phase when it is read.

    Parameters
    ----------
    entries : sequence of PhaseEntry
    target : path
        A folder, which is created if necessary; or a file with the suffix ".zip", which is replaced.

    Raises
    ------
    ValueError
        If there is nothing to write.
    OSError
        If the files cannot be written.
    """
    if not entries:
        raise ValueError("no entry of the library matches: nothing to export")
    target = Path(target)
    files = {f"{file_name(entry.id)}.cif": cif_of_entry(entry) for entry in entries}
    if target.suffix.lower() != ".zip":
        target.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (target / name).write_text(text, encoding="utf-8")
        return
    with whole_file(target) as path, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)


def file_name(text: str) -> str:
    """An id as a file name that is valid on all systems."""
    plain = "".join(letter if letter.isalnum() or letter in "-+._" else "_" for letter in text)
    return plain.strip(".")[:120] or "entry"
