"""Read the phases in a CIF file; every assumption about symmetry, atoms or formula becomes a warning."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import isfinite, nan
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
from scipy.spatial import KDTree

from ...core.crystal.phase import Phase, Reflection, reciprocal_basis
from ...core.crystal.phase_selection import ELEMENTS
from ...core.crystal.structure import D_MIN, LatticePlanes, Structure
from .cif_symmetry import Setting, best_setting, settings_of, with_hidden_symmetry
from .crystal import Atom, Symmetry, build_structure, composition, density, formula, shortest_contact
from .entry import NO_SOURCE, PhaseEntry, entry_as_phase

#: Largest number of atoms in a file; a file with more does not describe a simple phase.
MOST_ATOMS = 1000
#: Atoms closer than this, nm, share one site; largest occupancy of a full site (more than 1 by rounding).
ONE_PLACE, FULL = 0.01, 1.03
#: Groups of atoms that files list as one, and the atom that represents them (hydrogen hardly scatters).
MOLECULES = {
    "NH4": "N", "ND4": "N", "NH3": "N", "NH2": "N", "NH": "N", "H3O": "O", "D3O": "O", "H2O": "O", "D2O": "O",
    "OH": "O", "OD": "O", "O-H": "O", "WAT": "O", "OW": "O", "CH4": "C", "CH3": "C", "CH2": "C",
}  # fmt: skip
#: Site types without a single atom: several atoms without positions, or none.
_NO_ATOM = (
    "CN", "CO3", "NO3", "PO4", "SO4", "CO2", "SCN", "NO2", "ClO4", "BF4", "PF6", "BH4", "AlH4", "Va", "Vac",
)  # fmt: skip
_TAGS = ("fract_x", "fract_y", "fract_z", "?label", "?type_symbol", "?occupancy", "?calc_flag")
_HEAVIEST = ("Es", "Fm", "Md", "No", "Lr", "Rf", "Db", "Sg", "Bh", "Hs", "Mt", "Ds", "Rg", "Cn", "Nh", "Fl")
_GROUP = re.compile(r"[A-Za-z]+(?:-[A-Za-z]+)?(?:\d(?=[A-Z+-]|$))?[A-Z]?\d?")
_HEAD = re.compile(r"[A-Za-z][A-Za-z-]*")


def atoms_of(block: gemmi.cif.Block, notes: list[str]) -> list[Atom]:
    """Read the atoms of a block; a note is added for everything left out or assumed.

    Raises
    ------
    ValueError
        If there are too many atoms.
    """
    table = block.find("_atom_site_", list(_TAGS))
    if len(table) > MOST_ATOMS:
        raise ValueError(f"{len(table)} atoms are listed, and at most {MOST_ATOMS} are read")
    known = elements_of_formula(gemmi.cif.as_string(block.find_value("_chemical_formula_sum") or ""))
    atoms, dropped, taken = [], dict[str, None](), dict[str, None]()
    for row in table:
        label, kind, flag = (gemmi.cif.as_string(row[n]).strip() if row.has(n) else "" for n in (3, 4, 6))
        name = label or kind or "?"
        if flag.lower() == "dum":
            dropped[f"{name} (a dummy)"] = None
            continue
        element, note = element_of(kind if kind.strip("?.") else label, known, bool(kind.strip("?.")))
        position = (_number(row[0]), _number(row[1]), _number(row[2]))
        if not element:
            dropped[name] = None
        elif not all(map(isfinite, position)):
            dropped[f"{name} (no position)"] = None
        elif (occupancy := _occupancy(row[5] if row.has(5) else "1")) > 0:
            atoms.append(Atom(element, position, min(occupancy, 1.0)))
            if note:
                taken[note] = None
    if dropped:
        notes.append(f"atoms omitted: {', '.join(sorted(dropped))}")
    notes += taken
    if any(atom.occupancy < 0.99 for atom in atoms):
        notes.append("partially occupied sites")
    return atoms


def element_of(text: str, known: Collection[str] = (), is_type: bool = True) -> tuple[str, str]:
    """Determine the element of a type symbol or label.

    Parameters
    ----------
    text : str
        "Fe3+", "NH4+", "Wat1", "O-H2", "CA1".
    known : collection of str
        Elements of the file's formula, which tell a two-letter symbol from a letter followed by a name.
    is_type : bool
        Whether the text is a type symbol rather than a label.

    Returns
    -------
    element : str
        Deuterium is returned as hydrogen; empty if the text is not an element.
    note : str
        What had to be assumed; empty if nothing.

    Examples
    --------
    >>> element_of("Fe3+")
    ('Fe', '')
    >>> element_of("NH4+")
    ('N', 'NH4 is taken as N')
    >>> element_of("CA1", {"C", "H"}, is_type=False)
    ('C', '')
    >>> element_of("Du")
    ('', '')
    """
    head = _HEAD.match(text)
    if head is None:
        return "", ""
    letters, name = head[0], _GROUP.match(text)
    for group in (name[0], name[0].rstrip("0123456789"), letters[:3]) if name else ():
        element = MOLECULES.get(group.upper())
        if element and group not in ELEMENTS:
            return element, f"{group} is taken as {element}"
        if group in _NO_ATOM and (is_type or group.startswith("Va")) and not {"V"} & set(known):
            return "", ""
    two, one = letters[:2].capitalize(), letters[0].upper()
    if is_type and letters in _HEAVIEST:
        return "", ""
    readings = [symbol for symbol in dict.fromkeys((two, one)) if symbol in ELEMENTS]
    readings = [symbol for symbol in readings if symbol != "D" or len(letters) == 1 or letters[1].isupper()]
    if len(readings) > 1 and letters[1].isupper():
        if not is_type and not known:
            return _hydrogen(two), f"label {text} is read as {two}"
        readings = [symbol for symbol in readings if symbol in known] or readings
    return (_hydrogen(readings[0]), "") if readings else ("", "")


def elements_of_formula(formula: str) -> frozenset[str]:
    """The elements in a formula such as "Na Pb2 C2 (O7 H)"."""
    return frozenset(re.findall(r"[A-Z][a-z]?", formula)) & ELEMENTS


def with_shared_places(structure: Structure, atoms: Sequence[Atom], notes: list[str]) -> list[Atom]:
    """Limit the occupancy of every site to 1: several fully occupied atoms on one site share it equally.

    Parameters
    ----------
    structure : Structure
        All atoms of the cell.
    atoms : sequence of Atom
        Atoms of the asymmetric unit.
    notes : list of str
        Notes about the assumptions are appended to it.
    """
    sites = structure.sites % 1.0 % 1.0
    basis = reciprocal_basis(structure.cell)
    reach = ONE_PLACE * float(np.linalg.norm(basis, axis=1).max())
    tree = KDTree(sites, boxsize=np.ones(3))
    pairs = tree.query_pairs(min(reach, 0.49), p=np.inf, output_type="ndarray")
    apart = sites[pairs[:, 0]] - sites[pairs[:, 1]]
    apart = (apart - np.round(apart)) @ np.linalg.inv(basis).T
    pairs = pairs[np.linalg.norm(apart, axis=1) < ONE_PLACE]
    total = structure.occupancy.copy()
    np.add.at(total, pairs[:, 0], structure.occupancy[pairs[:, 1]])
    np.add.at(total, pairs[:, 1], structure.occupancy[pairs[:, 0]])
    crowded = np.flatnonzero(total > FULL)
    if not len(crowded):
        return list(atoms)
    symbols = sorted({atom.element for atom in atoms})
    names = ", ".join(dict.fromkeys(symbols[n] for n in structure.element[crowded].tolist()))
    notes.append(f"{names}: {total.max():.3g} atoms on one site; each gets an equal share of it")
    shared = []
    for atom in atoms:
        near = tree.query_ball_point(np.array(atom.position) % 1.0 % 1.0, reach, p=np.inf)
        mine = [total[n] for n in near if total[n] > FULL and symbols[structure.element[n]] == atom.element]
        shared.append(replace(atom, occupancy=atom.occupancy / float(max(mine))) if mine else atom)
    return shared


def _hydrogen(symbol: str) -> str:
    return "H" if symbol == "D" else symbol


def _number(text: str) -> float:
    """A coordinate such as 0.25, .25(3) or 1/4; NaN if it is not a number."""
    value = gemmi.cif.as_number(text)
    if value == value or not re.fullmatch(r"'?-?\d{1,3}/\d{1,3}'?", text):
        return float(value)
    try:
        return float(Fraction(text.strip("'")))
    except ZeroDivisionError:
        return nan


def _occupancy(text: str) -> float:
    value = float(gemmi.cif.as_number(text))
    return value if isfinite(value) else 1.0


#: Largest file, bytes (larger ones are not inorganic structures), and largest cell, nm^3 (larger ones would
#: take minutes).
LARGEST_FILE, LARGEST_CELL = 4_000_000, 12.0
#: Longest edge, nm (indices along longer ones are not resolved), and largest volume of the box with the
#: cell's edges, in volumes of the cell.
LONGEST_EDGE, MOST_OBLIQUE = 20.0, 10.0
#: A file with more structures is a database, which is to be imported into the phase library.
MOST_STRUCTURES = 1000
#: Shortest plausible distance between atoms, nm, and lowest and highest plausible density, g/cm3.
SHORTEST_CONTACT, DENSITIES = 0.06, (0.05, 25.0)
#: Largest difference between an element's atomic fraction by the atoms and by the file's own formula.
SAME_FORMULA = 0.1
#: Placeholders that files use if there is no name.
NO_NAMES = ("", "missing", "unknown", "none", "n/a", "unnamed", "untitled")
#: Longer names are truncated to this length.
LONGEST_NAME = 200
_WHAT_MATTERS = ("_cell_length", "_cell_angle", "_symmetry_", "_space_group_")


@dataclass(frozen=True, slots=True, eq=False)
class CifPhase:
    """A phase from a CIF file, with warnings for the user.

    Attributes
    ----------
    phase : Phase
    warnings : tuple of str
        Empty if nothing had to be assumed.
    entry : PhaseEntry, optional
        Atoms and source of the phase; None if the file lists no atoms.
    """

    phase: Phase
    warnings: tuple[str, ...] = ()
    entry: PhaseEntry | None = None


@dataclass(frozen=True, slots=True)
class RefusedStructure:
    """A structure of a file that cannot be used.

    Attributes
    ----------
    id : str
        Id that the phase would have.
    reason : str
    """

    id: str
    reason: str


def read_cif(path: str | Path) -> Phase:
    """Read the structure in a CIF file, or the first usable one of several.

    Raises
    ------
    ValueError
        If there is no usable structure; the message names the file and says why.
    """
    return read_cif_with_warnings(path).phase


def read_cif_with_warnings(path: str | Path) -> CifPhase:
    """Read a structure like `read_cif`, together with its warnings.

    Raises
    ------
    ValueError
        As `read_cif`.
    """
    found = read_all_of_cif(path)
    good = [one for one in found if isinstance(one, CifPhase)]
    if len(found) == 1:
        return good[0]
    note = f"the file contains {len(found)} structures; {good[0].phase.id} is used"
    return replace(good[0], warnings=(*good[0].warnings, note))


def read_all_of_cif(path: str | Path) -> list[CifPhase | RefusedStructure]:
    """Read all structures of a CIF file.

    The first has the name of the file as its id, the second this name with the suffix "_2", and so on.

    Raises
    ------
    ValueError
        If none of them is usable; the message names the file and says why.
    """
    path = Path(path)
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise ValueError(
                f"larger than {LARGEST_FILE / 1e6:.0f} MB, too large for the structure of a simple phase"
            )
        found = list(structures_in(path.read_bytes(), path.stem))
    except (ValueError, UnicodeError) as error:
        raise ValueError(f"{path.name}: {error}") from error
    if not any(isinstance(one, CifPhase) for one in found):
        refused = [one.reason for one in found if isinstance(one, RefusedStructure)]
        raise ValueError(f"{path.name}: {refused[0]}")
    return found


def structures_in(data: bytes, stem: str) -> Iterator[CifPhase | RefusedStructure]:
    """Yield the structures in the content of a CIF file.

    Raises
    ------
    ValueError
        If it is not a CIF file, or contains no structure.
    """
    document, doubt = _document(_text(data))
    blocks = _structure_blocks(document)
    for number, block in enumerate(blocks, 1):
        name = stem if number == 1 else f"{stem}_{number}"
        notes = [doubt] if doubt else []
        try:
            _refuse_contradictions(block)
            yield _phase_of(block, name, notes)
        except (ValueError, RuntimeError, UnicodeError) as error:
            yield RefusedStructure(name, str(error))


def _text(data: bytes) -> str:
    """Decode a file: UTF-8 with or without byte-order mark, UTF-16 with one, otherwise Latin-1."""
    if b"\0" in data and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ValueError("not a text file")
    encodings = ("utf-16",) if data.startswith((b"\xff\xfe", b"\xfe\xff")) else ("utf-8-sig", "latin-1")
    for encoding in encodings:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise ValueError("not a text file")


def _document(text: str) -> tuple[gemmi.cif.Document, str]:
    """Parse a file, with a warning (not an error) for duplicate blocks or tags."""
    try:
        return gemmi.cif.read_string(text), ""
    except (ValueError, RuntimeError) as error:
        reason = re.sub(r"^string(:\d+(\.\d+)?)?( in data_\S*)?:\s*", "", str(error).split("\n")[0])
        try:
            document = gemmi.cif.read_string(text, check_level=0)
        except (ValueError, RuntimeError):
            raise ValueError(f"not a CIF file, or a damaged one: {reason}") from error
    return document, "" if reason.startswith("duplicate block name") else f"{reason} (the first one is used)"


def _structure_blocks(document: gemmi.cif.Document) -> list[gemmi.cif.Block]:
    """The blocks that contain a structure: those with atoms or, if there are none, the first with a cell."""
    blocks = [block for block in document if block.find_value("_cell_length_a")]
    if not blocks and any(block.find_value("_cell.length_a") for block in document):
        raise ValueError("a macromolecular (mmCIF) file, not the structure of a simple phase")
    if not blocks:
        raise ValueError("there is no unit cell in it")
    if len(blocks) > MOST_STRUCTURES:
        raise ValueError(f"{len(blocks)} structures in one file, and at most {MOST_STRUCTURES} are read")
    return [block for block in blocks if block.find_values("_atom_site_fract_x")] or blocks[:1]


def _refuse_contradictions(block: gemmi.cif.Block) -> None:
    """Refuse a block with contradictory values of its cell or symmetry.

    Raises
    ------
    ValueError
    """
    said: dict[str, set[str]] = {}
    items: Iterable[Any] = block
    for item in items:
        tag, value = item.pair or ("", "")
        if tag.lower().startswith(_WHAT_MATTERS):
            said.setdefault(tag.lower(), set()).add(value)
    for tag, values in said.items():
        if len(values) > 1:
            raise ValueError(f"{tag} is given twice, with different values: {', '.join(sorted(values))}")


def _phase_of(block: gemmi.cif.Block, stem: str, notes: list[str]) -> CifPhase:
    small = gemmi.make_small_structure_from_block(block)
    cell = _cell(block)
    listed = atoms_of(block, notes)
    choices = settings_of(block, small, cell, notes)
    if not listed:
        return CifPhase(
            _without_atoms(block, stem, cell, choices[0]), (*notes, "no atoms: matched by d only")
        )
    structure, setting, atoms = best_setting(cell, listed, choices, notes)
    shared = with_shared_places(structure, atoms, notes)
    if shared != atoms:
        atoms, structure = shared, build_structure(cell, shared, setting.symmetry)
    structure = with_hidden_symmetry(structure)
    counts = composition(structure, atoms)
    _check_sanity(structure, counts, notes)
    _check_formula(block, counts, notes)
    entry = PhaseEntry(
        id=stem,
        name=_name(block, stem),
        formula=formula(counts),
        elements=tuple(sorted(set(counts) | elements_of_formula(_formula_text(block)))),
        space_group=setting.name,
        number=setting.number,
        cell=cell,
        atoms=tuple((atom.element, *atom.position, atom.occupancy) for atom in atoms),
        operators=setting.operators,
        density=round(density(structure, counts), 4),
        temperature=_condition(block, _TEMPERATURES, _TITLE_T),
        pressure=_condition(block, _PRESSURES, _TITLE_P),
        source=_source(block),
        doi=_text_of(block, "_journal_paper_doi", "_citation_doi"),
        code=_code(block),
        licence=_text_of(block, "_database_license", "_napari_tem_fft_licence"),
        notes=tuple(notes),
    )
    return CifPhase(entry_as_phase(entry, structure, ("user",)), tuple(notes), entry)


def _cell(block: gemmi.cif.Block) -> tuple[float, ...]:
    names = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
    values = [gemmi.cif.as_number(block.find_value(f"_cell_{name}") or "?") for name in names]
    if not np.isfinite(values).all():
        raise ValueError("the unit cell is incomplete")
    cell = tuple(round(v, 9) for v in (*(length / 10 for length in values[:3]), *values[3:]))
    check_cell(cell)
    return cell


def check_cell(cell: tuple[float, ...]) -> None:
    """Refuse a cell (nm, degrees) that makes no sense or is too large for a simple phase.

    Raises
    ------
    ValueError
    """
    if min(cell[:3]) < 0.1 or not all(20 < angle < 160 for angle in cell[3:]):
        raise ValueError("the unit cell makes no sense: " + " ".join(f"{v:g}" for v in cell))
    volume = 1.0 / abs(float(np.linalg.det(reciprocal_basis(cell))))
    if not np.isfinite(volume) or volume > LARGEST_CELL:
        raise ValueError(f"the unit cell is larger than {LARGEST_CELL:g} nm^3")
    if max(cell[:3]) > LONGEST_EDGE:
        raise ValueError(f"an edge of the unit cell is longer than {LONGEST_EDGE:g} nm")
    if np.prod(cell[:3]) > MOST_OBLIQUE * volume:
        raise ValueError("the unit cell is too oblique: describe the same lattice with a reduced cell")


def _check_sanity(structure: Structure, counts: dict[str, float], notes: list[str]) -> None:
    nearest = shortest_contact(structure)
    if nearest < SHORTEST_CONTACT:
        notes.append(f"two atoms are only {nearest:.3f} nm apart")
    rho = density(structure, counts)
    if not DENSITIES[0] < rho < DENSITIES[1]:
        notes.append(f"its calculated density is {rho:.2f} g/cm3")


def _check_formula(block: gemmi.cif.Block, counts: dict[str, float], notes: list[str]) -> None:
    """Add a note if the atoms do not add up to the file's formula; hydrogen, often omitted, is ignored."""
    stated = {e: n for e, n in amounts_of(_formula_text(block)).items() if e not in ("H", "D") and n > 0}
    found = {e: n for e, n in counts.items() if e != "H"}
    if not stated or not found:
        return
    share = sum(found.values()) / sum(stated.values())
    if set(stated) != set(found) or any(
        abs(found[e] / share - n) > max(SAME_FORMULA * n, 0.02 * sum(stated.values()))
        for e, n in stated.items()
    ):
        notes.append(f"its atoms give {formula(counts)}, but its formula is {_formula_text(block)[:60]}")


def amounts_of(text: str) -> dict[str, float]:
    """Number of atoms of each element in a formula, which may have brackets; empty if it cannot be parsed.

    Examples
    --------
    >>> amounts_of("Ca (C O3)") == {"Ca": 1, "C": 1, "O": 3}
    True
    >>> amounts_of("(Mg.5 Fe.5)2 Si O4")["Fe"]
    1.0
    """
    stack: list[Counter[str]] = [Counter()]
    tokens = re.findall(r"([A-Z][a-z]?)(\d*\.?\d*)|([(\[])|([)\]])(\d*\.?\d*)", text)
    for element, number, opened, closed, times in tokens:
        if opened:
            stack.append(Counter())
        elif closed and len(stack) > 1:
            inner, factor = stack.pop(), _amount(times)
            for name, count in inner.items():
                stack[-1][name] += count * factor  # type: ignore[assignment]
        elif element:
            stack[-1][element] += _amount(number)  # type: ignore[assignment]
    return {name: float(count) for name, count in stack[0].items()} if len(stack) == 1 else {}


def _amount(text: str) -> float:
    return float(text) if text.strip(".") else 1.0


def _without_atoms(block: gemmi.cif.Block, stem: str, cell: tuple[float, ...], setting: Setting) -> Phase:
    """A phase with only cell and space group: its reflections are the d-spacings that the group allows."""
    counts = amounts_of(_formula_text(block))
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
    """A point scatterer and its symmetry copies, which scatter in every plane that the group allows.

    The structure is built in an enlarged cell, so that copies close to each other are not merged.
    """
    wide = (*(100 * length for length in cell[:3]), *cell[3:])
    structure = build_structure(wide, [Atom("C", (0.1234, 0.2719, 0.4117))], symmetry)
    return replace(structure, cell=cell, factors=structure.factors * [[1.0], [0.0]])


def _name(block: gemmi.cif.Block, stem: str) -> str:
    tags = ("_chemical_name_mineral", "_chemical_name_common", "_chemical_name_systematic")
    name = _text_of(block, *tags)[:LONGEST_NAME]
    return stem if name.strip("<>'").lower() in NO_NAMES else name


def _formula_text(block: gemmi.cif.Block) -> str:
    return _text_of(block, "_chemical_formula_sum", "_chemical_formula_structural")


def _text_of(block: gemmi.cif.Block, *tags: str) -> str:
    """The first non-empty value of these tags, as one line."""
    texts = (gemmi.cif.as_string(block.find_value(tag) or "").strip() for tag in tags)
    return next((" ".join(text.split()) for text in texts if text and text not in "?."), "")


def _source(block: gemmi.cif.Block) -> str:
    """Journal, year and database number, as far as the file states them."""
    tags = ("_journal_name_full", "_journal_year", "_journal_volume", "_journal_page_first")
    text = " ".join(filter(None, (_text_of(block, tag) for tag in tags)))
    cod = _text_of(block, "_cod_database_code")
    return "; ".join(part for part in (text, f"COD {cod}" if cod else "") if part) or NO_SOURCE


def _code(block: gemmi.cif.Block) -> str:
    """Name of a database and number in it."""
    known = {
        "AMCSD": "_database_code_amcsd", "ICSD": "_database_code_icsd", "CSD": "_database_code_csd",
        "": "_napari_tem_fft_code",
    }  # fmt: skip
    found = ((name, _text_of(block, tag)) for name, tag in known.items())
    return next((f"{name} {text}".strip() for name, text in found if text), "")


#: Tags of temperature and pressure, with factors that convert to K and to GPa.
_TEMPERATURES = {"_cell_measurement_temperature": 1.0, "_diffrn_ambient_temperature": 1.0}
_PRESSURES = {"_cell_measurement_pressure": 1e-6, "_diffrn_ambient_pressure": 1e-6}
#: Temperature and pressure in titles, as mineral databases write them: "T = 500 deg C", "P = 3.2 GPa".
_TITLE_T = re.compile(r"\bT\s*=\s*(-?\d+\.?\d*)\s*(?:deg(?:rees)?\.?\s*)?(K|C)\b")
_TITLE_P = re.compile(r"\bP\s*=\s*(\d+\.?\d*)\s*(GPa|kbar|kb|bar|MPa)\b")
_TO_GPA = {"GPa": 1.0, "kbar": 0.1, "kb": 0.1, "bar": 1e-4, "MPa": 1e-3}


def _condition(block: gemmi.cif.Block, tags: dict[str, float], title: re.Pattern[str]) -> float:
    """Temperature (K) or pressure (GPa) of the measurement; NaN if it is not stated."""
    for tag, factor in tags.items():
        value = gemmi.cif.as_number(block.find_value(tag) or "?")
        if np.isfinite(value) and value >= 0:
            return float(value * factor)
    found = title.search(_text_of(block, "_publ_section_title", "_journal_paper_title"))
    if found is None:
        return nan
    value, unit = float(found[1]), found[2]
    return value * _TO_GPA[unit] if unit in _TO_GPA else value + (273.15 if unit == "C" else 0.0)
