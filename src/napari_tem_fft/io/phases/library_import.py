"""Import of sources into the library: find, read and compute all structures, in several processes."""

from __future__ import annotations

import hashlib
import json
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from math import isfinite
from multiprocessing import get_context
from pathlib import Path, PurePosixPath
from typing import IO

import gemmi
import numpy as np
from numpy.typing import NDArray

from ...core.crystal.phase import Phase
from ...core.crystal.phase_library import Anchor, Identities
from ...core.crystal.structure import LatticePlanes, Structure
from ...core.matching.zone_patterns import PATTERN_D, zone_cells
from ..plain import from_plain, to_plain
from .cif import LARGEST_FILE, CifPhase, structures_in
from .crystal import formula
from .entry import PhaseEntry, structure_of_entry

#: Precision with which lengths of zones are stored, as ln(1/nm), and precision of shares.
STEP, SHARE_STEP = 1e-4, 1 / 65535
#: Number of strong lines that are stored.
MOST_LINES = 12
#: Longest stored entry, bytes.
LARGEST_BODY = 2_000_000
#: Conditions are not ambient beyond these: difference from 300 K in K, pressure in GPa.
FAR_TEMPERATURE, FAR_PRESSURE = 100.0, 0.1
#: Longer formulas are not used in an id.
LONGEST_FORMULA = 16

_LATTICE_POINTS = {"P": 1, "A": 2, "B": 2, "C": 2, "I": 2, "F": 4, "R": 3, "H": 3}
_ZONE = np.dtype([("uvw", "i1", 3), ("shape", "<i2", 3), ("share", "<u2")])
_LINE = np.dtype([("d", "<f4"), ("intensity", "<f4")])


@dataclass(frozen=True, slots=True)
class LibraryRow:
    """An entry as stored in the library.

    Attributes
    ----------
    origin : str
        Its source: file, member of an archive, structure in a file.
    entry : PhaseEntry
    kind : str
        Identical for entries with the same composition, space group and number of atoms.
    reduced : bytes
        Seven lengths of the reduced cell, nm, float64, see `reduced_lengths`.
    zones, lines : bytes
        Low-index zones; d (nm) and intensity of the strongest powder lines, in order of decreasing d.
    """

    origin: str
    entry: PhaseEntry
    kind: str
    reduced: bytes
    zones: bytes
    lines: bytes

    @property
    def state(self) -> str:
        """Whether something had to be assumed ("warning") or not ("ok")."""
        return "warning" if self.entry.notes else "ok"


def library_row(origin: str, entry: PhaseEntry, structure: Structure) -> LibraryRow:
    """Compute everything that is stored of an entry."""
    if entry.name == entry.id:  # the file gives no name but its own
        entry = replace(entry, name=entry.formula)
    planes = LatticePlanes(structure, PATTERN_D)
    cells = zone_cells(planes)
    zones = np.zeros(len(cells.uvw), _ZONE)
    zones["uvw"] = cells.uvw
    zones["shape"] = np.clip(np.rint(cells.shape / STEP), -32767, 32767)
    zones["share"] = np.rint(cells.share / SHARE_STEP)
    lines = strongest_lines(planes)
    centring = centring_of(entry.space_group, entry.operators)
    reduced = reduced_lengths(entry.cell, centring)
    return LibraryRow(
        origin,
        entry,
        kind_of(entry.formula, entry.space_group, structure, centring),
        reduced.tobytes(),
        zones.tobytes(),
        lines.tobytes(),
    )


def strongest_lines(planes: LatticePlanes) -> NDArray[np.void]:
    """d (nm) and relative intensity (multiplicity times |F|^2) of the strongest lines, by decreasing d."""
    d, relative = planes.lines()
    count = np.bincount(planes.arrays.family, minlength=len(d))
    intensity = count * relative**2
    chosen = np.sort(np.argsort(-intensity, kind="stable")[:MOST_LINES])
    lines = np.zeros(len(chosen), _LINE)
    lines["d"] = d[chosen]
    lines["intensity"] = intensity[chosen] / max(float(intensity.max(initial=0.0)), 1e-30)
    return lines


def kind_of(formula: str, space_group: str, structure: Structure, centring: str) -> str:
    """Hash of composition, space group and atoms of a primitive cell; part of the format since version 0.2.

    Parameters
    ----------
    formula : str
        As written by `crystal.formula`.
    space_group : str
        Hermann-Mauguin symbol with its setting.
    structure : Structure
    centring : str
        Centring as returned by `centring_of`.
    """
    group = gemmi.find_spacegroup_by_name(space_group)
    atoms = float(structure.occupancy.sum()) / _LATTICE_POINTS[centring]
    text = repr((formula, group.number if group else space_group, round(atoms, 1)))
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def centring_of(space_group: str, operators: Sequence[str] = ()) -> str:
    """The letter of the lattice; for a setting without symbol from its operators; P for rhombohedral axes."""
    if gemmi.find_spacegroup_by_name(space_group) is not None:
        return "P" if space_group.endswith(":R") else space_group[0]
    found = gemmi.GroupOps([gemmi.Op(text) for text in operators]).find_centering() if operators else "P"
    return found if found in _LATTICE_POINTS else "P"


def anchor_of(phase: Phase) -> Anchor | None:
    """The key by which an entry is recognised as a phase of the table; None if its atoms are unknown."""
    planes = phase.reflections
    if not isinstance(planes, LatticePlanes):
        return None
    structure, symbols = planes.structure, sorted(phase.elements)
    if len(symbols) != len(structure.factors):
        return None
    counts = np.bincount(structure.element, structure.occupancy, len(symbols)).tolist()
    text = formula(dict(zip(symbols, counts, strict=True)))
    group = gemmi.find_spacegroup_by_name(phase.space_group, phase.cell[3], phase.cell[5])
    name = group.xhm() if group else phase.space_group
    lines = np.zeros((MOST_LINES, 2), np.float32)
    strong = strongest_lines(LatticePlanes(structure, PATTERN_D))
    lines[: len(strong), 0], lines[: len(strong), 1] = strong["d"], strong["intensity"]
    reduced = reduced_lengths(phase.cell, centring_of(name))
    return Anchor(phase.id, Identities((phase.name,), (text,), (name,), lines[None], reduced[None]))


def is_usual(entry: PhaseEntry) -> bool:
    """Whether the entry was measured near 300 K and 1 bar, as far as stated."""
    cold = isfinite(entry.temperature) and abs(entry.temperature - 300) > FAR_TEMPERATURE
    pressed = isfinite(entry.pressure) and entry.pressure > FAR_PRESSURE
    return not cold and not pressed


def id_of(entry: PhaseEntry) -> str:
    """A conventional name such as "Cu_Fm-3m"; the mineral's name if the formula is long."""
    head = entry.formula if len(entry.formula) <= LONGEST_FORMULA else entry.name[:24]
    group = gemmi.find_spacegroup_by_name(entry.space_group) if entry.number else None
    text = f"{head}_{group.short_name() if group else entry.space_group}"
    return "".join(letter if letter.isalnum() or letter in "-._" else "_" for letter in text)


def packed(entry: PhaseEntry) -> bytes:
    """Convert an entry to compressed JSON."""
    return zlib.compress(json.dumps(to_plain(entry), separators=(",", ":")).encode(), 6)


def unpacked(data: bytes) -> PhaseEntry:
    """Convert the result of `packed` to an entry.

    Raises
    ------
    ValueError
        If the data are damaged.
    """
    try:
        engine = zlib.decompressobj()
        text = engine.decompress(data, LARGEST_BODY)
        if engine.unconsumed_tail:
            raise ValueError("an entry is too long")
        return from_plain(PhaseEntry, json.loads(text))
    except (zlib.error, ValueError, TypeError, KeyError) as error:
        raise ValueError(f"an entry of the library is damaged ({error})") from error


def zones_from(data: bytes) -> NDArray[np.void]:
    """Zones of a row: "uvw", "shape" in `STEP`, "share" in `SHARE_STEP`."""
    return np.frombuffer(data[: len(data) // _ZONE.itemsize * _ZONE.itemsize], _ZONE)


def lines_from(data: bytes) -> NDArray[np.void]:
    """Lines of a row: "d" in nm and "intensity"."""
    return np.frombuffer(data[: len(data) // _LINE.itemsize * _LINE.itemsize], _LINE)


def reduced_lengths(cell: Sequence[float], centring: str = "P") -> NDArray[np.float64]:
    """Lengths of the edges and diagonals of the Delaunay-reduced cell, in increasing order.

    Unlike the six parameters of a reduced cell, they change continuously between types of cells.

    Parameters
    ----------
    cell : sequence of 6 float
        nm and degrees.
    centring : {"P", "A", "B", "C", "I", "F", "R"}
        "R" refers to hexagonal axes.

    Returns
    -------
    ndarray, shape (7,), nm

    Examples
    --------
    >>> reduced_lengths((0.4, 0.4, 0.4, 90, 90, 90)).round(4).tolist()
    [0.4, 0.4, 0.4, 0.5657, 0.5657, 0.5657, 0.6928]
    >>> copper = reduced_lengths((0.3615, 0.3615, 0.3615, 90, 90, 90), "F")
    >>> same = reduced_lengths((0.25562, 0.25562, 0.3615, 90, 90, 90), "I")
    >>> bool(np.abs(copper - same).max() < 1e-4)
    True
    """
    a, b, c, *angles = cell
    selling = gemmi.GruberVector(gemmi.UnitCell(10 * a, 10 * b, 10 * c, *angles), centring).selling()
    selling.reduce()
    edges = np.array(selling.get_cell().orth.mat.tolist()).T / 10
    fourth = -edges.sum(axis=0)
    vectors = [*edges, fourth, *(fourth + edge for edge in edges)]
    return np.sort(np.linalg.norm(vectors, axis=1))


#: Number of files passed to a process at a time, and smallest number for which several processes are started.
CHUNK, WORTH_PROCESSES = 60, 600
#: Largest number of files in one import, and of unpacked bytes of an archive.
MOST_FILES, MOST_BYTES = 500_000, 8_000_000_000
#: Longer names are truncated to this length.
LONGEST_NAME = 200
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")


@dataclass(frozen=True, slots=True)
class Refusal:
    """A structure that cannot be used.

    Attributes
    ----------
    origin : str
    reason : str
    """

    origin: str
    reason: str


def library_rows(
    sources: Sequence[str | Path], workers: int = 1
) -> Iterator[tuple[int, list[LibraryRow | Refusal]]]:
    """Yield the rows of all structures of some sources, one list per file, in the order of the files.

    Yields
    ------
    done : int
        Number of files so far.
    rows : list of LibraryRow or Refusal

    Raises
    ------
    ValueError
        If a source is not a CIF file, folder or archive.
    """
    files = cif_files(sources)
    first = list(islice(files, WORTH_PROCESSES))
    done = 0
    if workers < 2 or len(first) < WORTH_PROCESSES:
        for file in _chain(first, files):
            done += 1
            yield done, rows_of_file(file)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        waiting = []
        for chunk in _chunks(_chain(first, files)):
            waiting.append(pool.submit(_rows_of_files, chunk))
            if len(waiting) < 3 * workers:
                continue
            for rows in waiting.pop(0).result():
                done += 1
                yield done, rows
        for result in waiting:
            for rows in result.result():
                done += 1
                yield done, rows


def rows_of_file(file: SourceFile) -> list[LibraryRow | Refusal]:
    """Read the rows of one file; any problem with it is reported as a refusal."""
    if file.problem:
        return [Refusal(file.origin, file.problem)]
    found: list[LibraryRow | Refusal] = []
    try:
        for one in structures_in(file.data, file.stem):
            number = len(found)
            origin = f"{file.origin}#{number + 1}" if number else file.origin
            if not isinstance(one, CifPhase):
                found.append(Refusal(origin, one.reason))
            elif one.entry is None:
                found.append(
                    Refusal(origin, "it lists no atoms, without which angles and intensities are unknown")
                )
            else:
                found.append(library_row(origin, one.entry, structure_of_entry(one.entry)))
    except (ValueError, ArithmeticError, MemoryError) as error:
        return [*found, Refusal(file.origin, str(error) or type(error).__name__)]
    return found or [Refusal(file.origin, "there is no structure in it")]


def _rows_of_files(files: list[SourceFile]) -> list[list[LibraryRow | Refusal]]:
    return [rows_of_file(file) for file in files]


def _chain(first: list[SourceFile], rest: Iterator[SourceFile]) -> Iterator[SourceFile]:
    yield from first
    yield from rest


def _chunks(files: Iterator[SourceFile]) -> Iterator[list[SourceFile]]:
    while chunk := list(islice(files, CHUNK)):
        yield chunk


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One CIF file.

    Attributes
    ----------
    origin : str
        Name of the source, and of the file in it.
    stem : str
        Name of the file without its suffix.
    data : bytes
        Empty if the file cannot be read.
    problem : str
        Why the file cannot be read.
    """

    origin: str
    stem: str
    data: bytes = b""
    problem: str = ""


def cif_files(sources: Sequence[str | Path]) -> Iterator[SourceFile]:
    """Yield all CIF files of some files, folders and archives, in a fixed order.

    Raises
    ------
    ValueError
        If a source is not one of these, or there are too many files in it.
    """
    for given in sources:
        path = Path(given)
        name = path.name.lower()
        if path.is_dir():
            yield from _limited(_of_folder(path), path)
        elif not path.is_file():
            raise ValueError(f"{path}: no such file or folder")
        elif name.endswith(".zip"):
            yield from _limited(_of_zip(path), path)
        elif name.endswith(ARCHIVES):
            yield from _limited(_of_tar(path), path)
        elif name.endswith(".cif"):
            yield _of_file(path, path.name)
        else:
            raise ValueError(f"{path.name}: not a CIF file, a folder, or one of {', '.join(ARCHIVES)}")


def _limited(files: Iterator[SourceFile], path: Path) -> Iterator[SourceFile]:
    total = 0
    for number, file in enumerate(files, 1):
        total += len(file.data)
        if number > MOST_FILES or total > MOST_BYTES:
            raise ValueError(
                f"{path.name}: more than {MOST_FILES} files or {MOST_BYTES / 1e9:g} GB: import it in parts"
            )
        yield file


def _of_folder(folder: Path) -> Iterator[SourceFile]:
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() == ".cif" and path.is_file():
            yield _of_file(path, f"{folder.name}/{path.relative_to(folder).as_posix()}")


def _of_file(path: Path, origin: str) -> SourceFile:
    try:
        with path.open("rb") as file:
            return _read(file, origin)
    except OSError as error:
        return SourceFile(_plain(origin), path.stem, problem=error.strerror or str(error))


def _of_zip(path: Path) -> Iterator[SourceFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            for info in sorted(archive.infolist(), key=lambda one: one.filename):
                if _is_cif(info.filename) and not info.is_dir():
                    origin = f"{path.name}/{info.filename}"
                    try:
                        with archive.open(info) as file:
                            yield _read(file, origin)
                    except (
                        zipfile.BadZipFile,
                        zlib.error,
                        RuntimeError,
                        OSError,
                        EOFError,
                        ValueError,
                    ) as error:
                        yield SourceFile(_plain(origin), _stem(origin), problem=f"damaged ({error})")
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise ValueError(f"{path.name}: not a zip archive, or a damaged one ({error})") from error


def _of_tar(path: Path) -> Iterator[SourceFile]:
    try:
        with tarfile.open(path, "r|*") as archive:  # a stream: nothing is looked up or extracted to disk
            for info in archive:
                if info.isfile() and _is_cif(info.name):
                    file = archive.extractfile(info)
                    if file is not None:
                        yield _read(file, f"{path.name}/{info.name}")
    except (tarfile.TarError, zlib.error, EOFError, OSError, ValueError) as error:
        raise ValueError(f"{path.name}: not a tar archive, or a damaged one ({error})") from error


def _read(file: IO[bytes], origin: str) -> SourceFile:
    """Read no more than just above the largest allowed size, whatever size an archive claims."""
    data = file.read(LARGEST_FILE + 1)
    if len(data) > LARGEST_FILE:
        problem = f"larger than {LARGEST_FILE / 1e6:.0f} MB, too large for the structure of a simple phase"
        return SourceFile(_plain(origin), _stem(origin), problem=problem)
    return SourceFile(_plain(origin), _stem(origin), data)


def _is_cif(name: str) -> bool:
    parts = PurePosixPath(name.replace("\\", "/")).parts
    return bool(parts) and parts[-1].lower().endswith(".cif") and not parts[-1].startswith("._")


def _stem(origin: str) -> str:
    return _plain(PurePosixPath(origin.replace("\\", "/")).stem)


def _plain(text: str) -> str:
    """A name as one line of printable text, for display only; it is never used as a path."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)[-LONGEST_NAME:]
