"""Download structures from databases with an OPTIMADE server (COD, Materials Project, ...) on request.

Answers are treated as untrusted data: their size, duration and all values are checked, links are followed
only on the same server, and an incomplete structure is refused by name.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from importlib import import_module
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urljoin, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

import gemmi
import numpy as np
from numpy.typing import NDArray

from ... import __version__
from ...core.crystal.phase import reciprocal_basis
from ...core.crystal.phase_selection import ELEMENTS
from .cif import SHORTEST_CONTACT, check_cell
from .crystal import (
    SAME_ATOM,
    Atom,
    build_structure,
    composition,
    density,
    formula,
    shortest_contact,
    symmetry_of,
)
from .entry import AtomRow, PhaseEntry, structure_of_entry
from .library_import import LibraryRow, Refusal, library_row

#: Fields that are requested for each structure.
FIELDS = (
    "id", "elements", "chemical_formula_reduced", "chemical_formula_descriptive", "lattice_vectors", "nsites",
    "cartesian_site_positions", "species", "species_at_sites", "structure_features", "dimension_types",
    "last_modified",
)  # fmt: skip
#: Largest number of sites of a structure.
MOST_SITES = 1000
#: Atoms are equivalent by symmetry if they coincide within this, Angstrom.
SYMMETRY_PRECISION = 0.01
#: Structure features of incomplete structures, which cannot be computed.
_NOT_WHOLE = {
    "unknown_positions": "positions of atoms are missing",
    "assemblies": "some of its atoms are alternatives to each other",
    "implicit_atoms": "some of its atoms have no position",
}
_COMPUTED = "computed, not measured: its cell may be wrong by 1-2 %"


def load_spglib() -> Any:
    """Import spglib, which finds the symmetry of atoms and is only needed for downloaded structures.

    Raises
    ------
    ValueError
        If it is not installed.
    """
    try:
        return import_module("spglib")
    except ImportError as error:
        raise ValueError(
            "fetching structures needs spglib, which is not installed: pip install spglib (it has no wheels"
            " for Macs with Intel processors and Python 3.14), or import CIF files of the database"
        ) from error


def entry_of(structure: Any, origin: str, licence: str = "", computed: bool = False) -> PhaseEntry:
    """Create the entry of one structure.

    Parameters
    ----------
    structure : mapping
        The structure as returned by the server: "id", "attributes".
    origin : str
        Name of the database, and number in it.
    licence : str
    computed : bool
        Whether the cell is computed rather than measured.

    Raises
    ------
    ValueError
        If the structure is incomplete or impossible.
    """
    attributes = structure.get("attributes") if isinstance(structure, Mapping) else None
    if not isinstance(attributes, Mapping):
        raise ValueError("it has no attributes")
    for feature in attributes.get("structure_features") or ():
        if feature in _NOT_WHOLE:
            raise ValueError(_NOT_WHOLE[feature])
    lattice = _array(attributes.get("lattice_vectors"), (3, 3), "its lattice vectors are missing or damaged")
    sites = attributes.get("cartesian_site_positions")
    if not isinstance(sites, Sequence) or not 0 < len(sites) <= MOST_SITES:
        raise ValueError(f"it has no atom positions, or more than {MOST_SITES}")
    positions = _array(sites, (len(sites), 3), "an atom has no position")
    kinds = _kinds(attributes, len(sites))
    if abs(float(np.linalg.det(lattice))) < 1.0:
        raise ValueError("its lattice vectors are coplanar")
    fractions = positions @ np.linalg.inv(lattice)
    if len(np.unique(np.round(fractions % 1.0, 4) % 1.0, axis=0)) < len(sites):
        raise ValueError("its atoms overlap")
    notes = [_COMPUTED] if computed else []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # spglib's, about how it reports its own errors
        cell, atoms, operators, group, number = _symmetric(lattice, fractions, kinds)
    check_cell(cell)
    listed = [Atom(element, (x, y, z), occupancy) for element, x, y, z, occupancy in atoms]
    whole = build_structure(cell, listed, symmetry_of([gemmi.Op(text) for text in operators]))
    if shortest_contact(whole) < SHORTEST_CONTACT:
        raise ValueError("its atoms overlap")
    counts = composition(whole, listed)
    if any(atom.occupancy < 0.99 for atom in listed):
        notes.append("partially occupied sites")
    text = formula(counts)
    return PhaseEntry(
        id=origin, name=text, formula=text, elements=tuple(sorted(counts)), space_group=group, number=number,
        cell=cell, atoms=atoms, operators=operators, density=round(density(whole, counts), 4), source=origin,
        code=origin, licence=licence, notes=tuple(notes),
    )  # fmt: skip


def _array(values: Any, shape: tuple[int, int], problem: str) -> NDArray[np.float64]:
    try:
        array = np.array(values, float)
    except (TypeError, ValueError) as error:
        raise ValueError(problem) from error
    if array.shape != shape or not np.isfinite(array).all() or np.abs(array).max() > 1e4:
        raise ValueError(problem)
    return array


def _kinds(attributes: Mapping[str, Any], sites: int) -> list[tuple[tuple[str, float], ...]]:
    """Elements with their occupancies on each site."""
    known: dict[str, tuple[tuple[str, float], ...]] = {}
    for one in attributes.get("species") or ():
        symbols, shares = one["chemical_symbols"], one["concentration"]
        if len(symbols) != len(shares):
            raise ValueError("a species has no occupancy")
        parts = [
            (str(s), float(n)) for s, n in zip(symbols, shares, strict=True) if s not in ("vacancy", "X")
        ]
        unknown = [symbol for symbol, _ in parts if symbol not in ELEMENTS]
        if unknown or any(not 0 <= n <= 1.01 for _, n in parts):
            raise ValueError(f"a species is not a known element: {', '.join(unknown) or 'no occupancy'}")
        known[str(one["name"])] = tuple(("H" if s == "D" else s, min(n, 1.0)) for s, n in parts if n > 0)
    names = attributes.get("species_at_sites") or ()
    if len(names) != sites or any(name not in known for name in names):
        raise ValueError("its atoms and its species are inconsistent")
    return [known[name] for name in names]


def _symmetric(
    lattice: NDArray[np.float64], fractions: NDArray[np.float64], kinds: list[tuple[tuple[str, float], ...]]
) -> tuple[tuple[float, ...], tuple[AtomRow, ...], tuple[str, ...], str, int]:
    """Cell, atoms, operators and group in the standard setting of the symmetry found in the atoms."""
    different = list(dict.fromkeys(kinds))
    numbers = [different.index(kind) + 1 for kind in kinds]
    spglib = load_spglib()
    failure = getattr(spglib, "SpglibError", RuntimeError)  # before 2.7 it returns None instead
    given: Any = (lattice, fractions % 1.0, numbers)
    try:
        found = spglib.get_symmetry_dataset(given, symprec=SYMMETRY_PRECISION)
    except failure:
        found = None
    if found is None:
        raise ValueError("its atoms overlap")
    group = next((g for g in gemmi.spacegroup_table() if g.hall == _hall(found.hall_number)), None)
    standard, places, types = found.std_lattice, found.std_positions, found.std_types
    cell = tuple(round(v, 9) for v in (*np.linalg.norm(standard, axis=1) / 10, *_angles(standard)))
    symmetry: Any = spglib.get_symmetry_from_database(found.hall_number)
    operations = list(zip(symmetry["rotations"], symmetry["translations"], strict=True))
    atoms: list[AtomRow] = []
    left = np.ones(len(places), bool)
    direct = np.linalg.inv(reciprocal_basis(cell)).T
    for n in range(len(places)):
        if not left[n]:
            continue
        for rotation, shift in operations:
            apart = places - (rotation @ places[n] + shift)
            left &= np.linalg.norm((apart - np.rint(apart)) @ direct, axis=1) > SAME_ATOM
        left[n] = False
        x, y, z = (float(value) % 1.0 for value in places[n])
        atoms += [(element, x, y, z, share) for element, share in different[types[n] - 1]]
    operators = tuple(_triplet(rotation, shift) for rotation, shift in operations)
    name = group.xhm() if group else found.international
    return cell, tuple(atoms), operators, name, int(found.number)


def _hall(number: int) -> str:
    """The Hall symbol of spglib's Hall number, as written by gemmi."""
    kind = load_spglib().get_spacegroup_type(number)
    return str(kind.hall_symbol).replace("=", '"').strip() if kind else ""


def _angles(lattice: NDArray[np.float64]) -> list[float]:
    unit = lattice / np.linalg.norm(lattice, axis=1)[:, None]
    cosines = unit[1] @ unit[2], unit[0] @ unit[2], unit[0] @ unit[1]
    return [round(float(np.degrees(np.arccos(np.clip(c, -1, 1)))), 6) for c in cosines]


def _triplet(rotation: NDArray[Any], shift: NDArray[Any]) -> str:
    operation = gemmi.Op("x,y,z")
    operation.rot = (np.asarray(rotation, int) * gemmi.Op.DEN).tolist()
    operation.tran = (np.rint(np.asarray(shift) * gemmi.Op.DEN).astype(int) % gemmi.Op.DEN).tolist()
    return str(operation.triplet())


@dataclass(frozen=True, slots=True)
class Provider:
    """A database.

    Attributes
    ----------
    url : str
        Base address, below which its OPTIMADE versions are.
    name : str
    licence : str
        Licence of the database.
    computed : bool
        Whether its structures are computed, which makes their cells wrong by some per cent.
    """

    url: str
    name: str
    licence: str = ""
    computed: bool = False


#: Addresses are those of the public list, Materials-Consortia/providers at 251f398 (February 2026).
PROVIDERS = {
    "cod": Provider("https://www.crystallography.net/cod/optimade", "COD", "CC0"),
    "tcod": Provider("https://www.crystallography.net/tcod/optimade", "TCOD", "CC0", True),
    "mp": Provider("https://optimade.materialsproject.org", "Materials Project", "CC BY 4.0", True),
    "alexandria": Provider("https://alexandria.icams.rub.de/pbe", "Alexandria", "CC BY 4.0", True),
    "oqmd": Provider("https://oqmd.org/optimade", "OQMD", "CC BY 4.0", True),
    "nmd": Provider("https://nomad-lab.eu/prod/v1/optimade", "NOMAD", "CC BY 4.0", True),
}
#: Structures per request; largest answer, bytes; longest wait for a busy server, seconds.
PAGE, LARGEST_ANSWER, LONGEST_WAIT = 50, 60_000_000, 20.0
#: Largest number of structures, and of elements, in a query.
MOST_STRUCTURES, MOST_ELEMENTS = 20_000, 12


class OptimadeError(ValueError):
    """A database cannot be queried, or its answer cannot be used; the message gives a remedy."""


@dataclass(frozen=True, slots=True)
class OptimadeQuery:
    """What to download.

    Attributes
    ----------
    provider : str
        A key of `PROVIDERS`, or an address that begins with http:// or https://.
    elements : tuple of str
        Structures of only these elements are downloaded.
    limit : int
        Largest number of structures.
    """

    provider: str
    elements: tuple[str, ...]
    limit: int = 500

    def __post_init__(self) -> None:
        if not self.elements:
            raise OptimadeError("state the elements of the structures, such as Li,F,O")
        if len(self.elements) > MOST_ELEMENTS:
            raise OptimadeError(f"at most {MOST_ELEMENTS} elements can be requested at once")
        if not 0 < self.limit <= MOST_STRUCTURES:
            raise OptimadeError(f"the limit must be between 1 and {MOST_STRUCTURES} structures")

    def server(self) -> Provider:
        """The database.

        Raises
        ------
        OptimadeError
            If there is no database of that name.
        """
        if self.provider.lower() in PROVIDERS:
            return PROVIDERS[self.provider.lower()]
        if not re.match(r"https?://[^/\s]+", self.provider):
            known = ", ".join(PROVIDERS)
            raise OptimadeError(
                f"no provider is called {self.provider!r}: choose {known}, or give an address"
            )
        return Provider(self.provider.rstrip("/"), urlsplit(self.provider).netloc)

    def filters(self) -> tuple[str, ...]:
        """The query in OPTIMADE's filter language, and a longer form for servers without `HAS ONLY`."""
        quoted = ", ".join(f'"{element}"' for element in self.elements)
        return f"elements HAS ONLY {quoted}", f"elements HAS ANY {quoted} AND nelements<={len(self.elements)}"


def fetched_rows(
    query: OptimadeQuery, timeout: float = 30.0
) -> Iterator[tuple[int, list[LibraryRow | Refusal]]]:
    """Download structures as rows for the library, one at a time; close the iterator to cancel.

    Parameters
    ----------
    query : OptimadeQuery
    timeout : float, s
        Longest wait for an answer.

    Raises
    ------
    OptimadeError
        If there is no such provider, no network, or no usable answer.
    ValueError
        If spglib is not installed.
    """
    load_spglib()
    server, wanted = query.server(), set(query.elements)
    done = 0
    for page in _pages(query, server, timeout):
        for structure in page:
            done += 1
            origin = _origin(structure, server)
            try:
                entry = entry_of(structure, origin, server.licence, server.computed)
                if not set(entry.elements) <= wanted:
                    continue
                row: LibraryRow | Refusal = library_row(origin, entry, structure_of_entry(entry))
            except (ValueError, ArithmeticError, TypeError, KeyError) as error:
                row = Refusal(origin, str(error) or type(error).__name__)
            yield done, [row]
            if done >= query.limit:
                return


def _origin(structure: Any, server: Provider) -> str:
    """Database and number of a structure, as one line; a hash of its content if it has no number."""
    found = structure.get("id") if isinstance(structure, dict) else None
    if found is None and isinstance(structure, dict) and isinstance(structure.get("attributes"), dict):
        found = structure["attributes"].get("id")
    if not isinstance(found, str | int):
        content = json.dumps(structure, sort_keys=True, default=str).encode()
        found = f"without a number ({hashlib.sha256(content).hexdigest()[:8]})"
    name = f"{server.name} {found}"
    return "".join(letter for letter in name if letter.isprintable())[:200]


def _pages(query: OptimadeQuery, server: Provider, timeout: float) -> Iterator[Sequence[Any]]:
    """Yield the lists of structures, page by page."""
    address, answer = _first_page(query, server, timeout)
    seen = {address}
    while True:
        structures = answer.get("data")
        if not isinstance(structures, list):
            raise OptimadeError(f"{server.name}: the answer contains no list of structures")
        yield structures
        following = _next_address(answer, address, server)
        if following is None or not structures:
            return
        if following in seen:
            raise OptimadeError(f"{server.name}: the links between its pages form a loop")
        seen.add(following)
        address, answer = following, _get(following, server, timeout)


def _first_page(query: OptimadeQuery, server: Provider, timeout: float) -> tuple[str, dict[str, Any]]:
    base = server.url if re.search(r"/v\d+(\.\d+)*$", server.url) else f"{server.url}/v1"
    problem: OptimadeError | None = None
    for text in query.filters():
        page = min(PAGE, query.limit)
        asked = {"filter": text, "page_limit": page, "response_fields": ",".join(FIELDS)}
        address = f"{base}/structures?{urlencode(asked)}"
        try:
            return address, _get(address, server, timeout)
        except _NotUnderstoodError as error:
            problem = OptimadeError(str(error))
    raise problem or OptimadeError(f"{server.name}: no answer")


def _next_address(answer: dict[str, Any], address: str, server: Provider) -> str | None:
    """The address of the next page, which is on the same server; None at the end."""
    links = answer.get("links")
    following = links.get("next") if isinstance(links, dict) else None
    if isinstance(following, dict):
        following = following.get("href")
    if not following:
        return None
    if not isinstance(following, str):
        raise OptimadeError(f"{server.name}: the link to its next page is not an address")
    following = urljoin(address, following)
    if urlsplit(following).netloc != urlsplit(address).netloc or not following.startswith(
        ("http:", "https:")
    ):
        raise OptimadeError(f"{server.name}: its next page is on another server, which is not contacted")
    return following


class _NotUnderstoodError(OptimadeError):
    """The server does not support this filter."""


class _SameServer(HTTPRedirectHandler):
    """Follow redirects only to the same server, or from http to https on it."""

    def redirect_request(
        self, req: Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> Request | None:
        before, after = urlsplit(req.full_url), urlsplit(newurl)
        if after.scheme not in ("http", "https") or before.hostname != after.hostname:
            raise OptimadeError(f"{before.netloc} redirects to {newurl[:100]}, which is not contacted")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _get(address: str, server: Provider, timeout: float) -> dict[str, Any]:
    """Request an address and parse the answer as JSON."""
    headers = {"Accept": "application/json", "User-Agent": f"napari-tem-fft/{__version__}"}
    for attempt in (1, 2):
        try:
            with build_opener(_SameServer()).open(
                Request(address, headers=headers), timeout=timeout
            ) as reply:
                return _parsed(_read(reply, server, time.monotonic() + 4 * timeout), server)
        except HTTPError as error:
            wait = _wait_of(error) if attempt == 1 else None
            if wait is None:
                raise _refusal(error, server) from error
            time.sleep(wait)
        except TimeoutError as error:
            raise OptimadeError(
                f"{server.name} did not answer within {timeout:g} s: try again later"
            ) from error
        except (URLError, HTTPException, OSError) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, TimeoutError):
                raise OptimadeError(
                    f"{server.name} did not answer within {timeout:g} s: try again"
                ) from error
            raise OptimadeError(
                f"{server.name} ({urlsplit(address).netloc}) cannot be reached: {reason}; is there a network?"
            ) from error
    raise OptimadeError(f"{server.name} is busy: try again later")


def _read(reply: Any, server: Provider, until: float) -> bytes:
    """Read the body in blocks, limited in size and time."""
    pieces, size = [], 0
    while piece := reply.read(1 << 16):
        pieces.append(piece)
        size += len(piece)
        if size > LARGEST_ANSWER:
            raise OptimadeError(f"{server.name}: its answer is larger than {LARGEST_ANSWER / 1e6:.0f} MB")
        if time.monotonic() > until:
            raise OptimadeError(f"{server.name} is too slow: try again later, or with fewer elements")
    return b"".join(pieces)


def _parsed(body: bytes, server: Provider) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise OptimadeError(f"{server.name}: its answer is not JSON: not an OPTIMADE server") from error
    if not isinstance(answer, dict):
        raise OptimadeError(f"{server.name}: its answer does not follow OPTIMADE")
    return answer


def _wait_of(error: HTTPError) -> float | None:
    """Seconds after which a busy server may be contacted again; None if that is pointless."""
    if error.code not in (429, 503):
        return None
    text = str(error.headers.get("Retry-After", "2"))
    return min(float(text), LONGEST_WAIT) if text.isdecimal() else 2.0


def _refusal(error: HTTPError, server: Provider) -> OptimadeError:
    try:
        answer = json.loads(error.read(100_000))
        detail = "; ".join(str(one.get("detail") or one.get("title")) for one in answer["errors"])[:300]
    except (ValueError, KeyError, TypeError, AttributeError, OSError, RecursionError):
        detail = str(error.reason)
    if error.code in (400, 501):
        return _NotUnderstoodError(f"{server.name} does not understand the query: {detail}")
    if error.code == 404:
        return OptimadeError(f"{server.name}: there is no OPTIMADE server at {server.url} ({detail})")
    return OptimadeError(f"{server.name} returned error {error.code}: {detail}")
