"""One CIF file -> `Phase`: symmetry never guessed silently, and every doubt said."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

import gemmi
import numpy as np

from ...core.crystal.phase import Phase, Reflection, reciprocal_basis
from ...core.crystal.structure import D_MIN, LatticePlanes, Structure
from .cif_symmetry import Setting, best_setting, settings_of, with_hidden_symmetry
from .crystal import (
    Atom,
    Symmetry,
    build_structure,
    composition,
    density,
    formula,
    shortest_contact,
)

#: Larger files are no inorganic structures, larger cells would take minutes: bytes, nm^3.
LARGEST_FILE, LARGEST_CELL = 4_000_000, 12.0
#: Indices along longer edges are not told apart (nm); edges may enclose so many times the cell's volume.
LONGEST_EDGE, MOST_OBLIQUE = 20.0, 10.0
#: A file that lists more atoms is none of a simple phase.
MOST_ATOMS = 1000
#: Atoms closer than this make no sense, nm; crystals are not denser or lighter than this, g/cm3.
SHORTEST_CONTACT, DENSITIES = 0.06, (0.05, 25.0)


@dataclass(frozen=True, slots=True, eq=False)
class CifPhase:
    """A phase from a CIF file with what the user should know of it.

    Attributes
    ----------
    phase : Phase
    warnings : tuple of str
        Empty where nothing had to be assumed.
    """

    phase: Phase
    warnings: tuple[str, ...] = ()


def read_cif(path: str | Path) -> Phase:
    """The structure in a CIF file.

    Raises
    ------
    ValueError
        If it cannot be used; the message names the file and says why.
    """
    return read_cif_with_warnings(path).phase


def read_cif_with_warnings(path: str | Path) -> CifPhase:
    """As `read_cif`, with the doubts there are.

    Raises
    ------
    ValueError
        As there.
    """
    path = Path(path)
    try:
        block, notes = _structure_block(_text(path))
        return _phase_of(block, path.stem, notes)
    except (ValueError, RuntimeError, UnicodeError) as error:
        raise ValueError(f"{path.name}: {error}") from error


def _text(path: Path) -> str:
    """Text of the file: UTF-8 with or without byte-order mark, UTF-16 by its mark, else Latin-1."""
    if path.stat().st_size > LARGEST_FILE:
        raise ValueError(f"larger than {LARGEST_FILE / 1e6:.0f} MB, which no structure of a simple phase is")
    data = path.read_bytes()
    if b"\0" in data and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ValueError("not a text file")
    encodings = ("utf-16",) if data.startswith((b"\xff\xfe", b"\xfe\xff")) else ("utf-8-sig", "latin-1")
    for encoding in encodings:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise ValueError("not a text file")


def _structure_block(text: str) -> tuple[gemmi.cif.Block, list[str]]:
    """The block that holds the structure."""
    document = gemmi.cif.read_string(text)
    blocks = [block for block in document if block.find_value("_cell_length_a")]
    if not blocks and any(block.find_value("_cell.length_a") for block in document):
        raise ValueError("a macromolecular (mmCIF) file, not the structure of a simple phase")
    if not blocks:
        raise ValueError("no unit cell in it")
    with_atoms = [b for b in blocks if b.find_values("_atom_site_fract_x")]
    notes = [f"{len(blocks)} structures in it; the first is used"] if len(blocks) > 1 else []
    return (with_atoms or blocks)[0], notes


def _phase_of(block: gemmi.cif.Block, stem: str, notes: list[str]) -> CifPhase:
    small = gemmi.make_small_structure_from_block(block)
    cell = _cell(block)
    atoms = _atoms(small, notes)
    choices = settings_of(block, small, cell, notes)
    if not atoms:
        return CifPhase(
            _without_atoms(block, stem, cell, choices[0]), (*notes, "no atoms: matched by d only")
        )
    structure, group = best_setting(cell, atoms, choices, notes)
    structure = with_hidden_symmetry(structure)
    counts = composition(structure, atoms)
    _check_sanity(structure, counts, notes)
    phase = Phase(
        id=stem,
        name=_name(block, stem),
        formula=formula(counts),
        elements=frozenset(counts),
        space_group=group,
        cell=cell,
        reflections=LatticePlanes(structure),
        tags=("user",),
        source=_source(block),
        flag="; ".join(notes),
    )
    return CifPhase(phase, tuple(notes))


def _cell(block: gemmi.cif.Block) -> tuple[float, ...]:
    names = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
    values = [gemmi.cif.as_number(block.find_value(f"_cell_{name}") or "?") for name in names]
    if not np.isfinite(values).all():
        raise ValueError("the unit cell is incomplete")
    cell = tuple(round(v, 9) for v in (*(length / 10 for length in values[:3]), *values[3:]))
    if min(cell[:3]) < 0.1 or not all(20 < angle < 160 for angle in cell[3:]):
        raise ValueError("the unit cell makes no sense: " + " ".join(f"{v:g}" for v in values))
    volume = 1.0 / abs(float(np.linalg.det(reciprocal_basis(cell))))
    if not np.isfinite(volume) or volume > LARGEST_CELL:
        raise ValueError(f"the unit cell is larger than {LARGEST_CELL:g} nm^3")
    if max(cell[:3]) > LONGEST_EDGE:
        raise ValueError(f"an edge of the unit cell is longer than {LONGEST_EDGE:g} nm")
    if np.prod(cell[:3]) > MOST_OBLIQUE * volume:
        raise ValueError("the unit cell is too oblique: give the same lattice by a reduced cell")
    return cell


def _atoms(small: gemmi.SmallStructure, notes: list[str]) -> list[Atom]:
    if len(small.sites) > MOST_ATOMS:
        raise ValueError(f"{len(small.sites)} atoms are listed, and at most {MOST_ATOMS} are read")
    atoms, dropped = [], set()
    for site in small.sites:
        x, y, z = site.fract.tolist()
        position = (float(x), float(y), float(z))
        if site.element.atomic_number == 0:
            dropped.add(site.label or site.type_symbol)
        elif not np.isfinite(position).all():
            dropped.add(f"{site.label} (no position)")
        elif site.occ > 0:
            atoms.append(Atom(_element(site), position, min(float(site.occ), 1.0)))
    if dropped:
        notes.append(f"atoms left out: {', '.join(sorted(dropped))}")
    if any(atom.occupancy < 0.99 for atom in atoms):
        notes.append("partly occupied sites")
    return atoms


def _element(site: gemmi.SmallStructure.Site) -> str:
    return "H" if site.element.name == "D" else str(site.element.name)


def _check_sanity(structure: Structure, counts: dict[str, float], notes: list[str]) -> None:
    nearest = shortest_contact(structure)
    if nearest < SHORTEST_CONTACT:
        notes.append(f"two atoms are only {nearest:.3f} nm apart")
    rho = density(structure, counts)
    if not DENSITIES[0] < rho < DENSITIES[1]:
        notes.append(f"its density would be {rho:.2f} g/cm3")


def _without_atoms(block: gemmi.cif.Block, stem: str, cell: tuple[float, ...], setting: Setting) -> Phase:
    """A phase of which only cell and space group are known: spacings that the group allows."""
    text = gemmi.cif.as_string(block.find_value("_chemical_formula_sum") or "")
    counts = {symbol: float(n or 1) for symbol, n in re.findall(r"([A-Z][a-z]?)(\d*\.?\d*)", text)}
    families = tuple(
        Reflection(r.hkl, r.d, r.multiplicity, float("nan"), r.members)
        for r in LatticePlanes(_point_in_general_position(cell, setting.symmetry), D_MIN)
    )
    return Phase(
        id=stem,
        name=_name(block, stem),
        formula=formula(counts) if counts else "",
        elements=frozenset(counts),
        space_group=setting.name,
        cell=(),
        reflections=families,
        tags=("user",),
        source=_source(block),
        flag="no atoms in the file: matched by d only",
    )


def _point_in_general_position(cell: tuple[float, ...], symmetry: Symmetry) -> Structure:
    """A point scatterer and its images, which are as visible in every plane that the group allows.

    Built in a wide cell, where images do not count as one atom for being near each other.
    """
    wide = (*(100 * length for length in cell[:3]), *cell[3:])
    structure = build_structure(wide, [Atom("C", (0.1234, 0.2719, 0.4117))], symmetry)
    return replace(structure, cell=cell, factors=structure.factors * [[1.0], [0.0]])


def _name(block: gemmi.cif.Block, stem: str) -> str:
    tags = ("_chemical_name_mineral", "_chemical_name_common", "_chemical_name_systematic")
    texts = (gemmi.cif.as_string(block.find_value(tag) or "").strip() for tag in tags)
    return next((" ".join(text.split()) for text in texts if text and text not in "?."), stem)


def _source(block: gemmi.cif.Block) -> str:
    """Journal, year and database number, as far as the file names them."""
    tags = ("_journal_name_full", "_journal_year", "_journal_volume", "_journal_page_first")
    words = [gemmi.cif.as_string(block.find_value(tag) or "").strip() for tag in tags]
    code = gemmi.cif.as_string(block.find_value("_cod_database_code") or "").strip()
    text = " ".join(" ".join(word.split()) for word in words if word and word not in "?.")
    return "; ".join(part for part in (text, f"COD {code}" if code else "") if part) or "the user's CIF file"
