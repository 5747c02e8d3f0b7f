"""Databases by OPTIMADE: the reference server on this machine, and servers whose answers are damaged."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.util import find_spec
from pathlib import Path
from urllib.error import URLError
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

import pytest

from napari_tem_fft.io.phases import optimade
from napari_tem_fft.io.phases.library import PhaseDatabase
from napari_tem_fft.io.phases.library_import import Refusal
from napari_tem_fft.io.phases.optimade import OptimadeError, OptimadeQuery, entry_of, fetched_rows

pytest.importorskip("spglib")  # no wheels for Macs with Intel processors and Python 3.14
A = 4.027


def structure(ident: str = "x/1", **changes) -> dict:
    """LiF by its primitive cell."""
    half = A / 2
    attributes = {
        "elements": ["F", "Li"],
        "lattice_vectors": [[0, half, half], [half, 0, half], [half, half, 0]],
        "cartesian_site_positions": [[0, 0, 0], [half, half, half]],
        "species": [
            {"name": "Li", "chemical_symbols": ["Li"], "concentration": [1.0]},
            {"name": "F", "chemical_symbols": ["F"], "concentration": [1.0]},
        ],
        "species_at_sites": ["Li", "F"],
        "structure_features": [],
    }
    return {"id": ident, "type": "structures", "attributes": attributes | changes}


def serve(answer: Callable[[str], tuple[int, dict[str, str], bytes]]) -> Iterator[str]:
    """A server on this machine that answers as it is told; yields its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = answer(self.path)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def served() -> Iterator[Callable[..., str]]:
    opened: list[Iterator[str]] = []

    def begin(answer) -> str:
        opened.append(serve(answer))
        return next(opened[-1])

    yield begin
    for one in opened:
        next(one, None)


def page(structures: list, following: object = None) -> tuple[int, dict[str, str], bytes]:
    return 200, {}, json.dumps({"data": structures, "links": {"next": following}}).encode()


def fetch(address: str, limit: int = 100, elements=("Li", "F"), timeout: float = 5.0) -> list:
    rows = fetched_rows(OptimadeQuery(address, elements, limit), timeout)
    return [row for _, of_one in rows for row in of_one]


def test_a_primitive_cell_comes_in_its_usual_setting():
    entry = entry_of(structure(), "COD 1", "CC0")
    assert (entry.formula, entry.space_group, entry.number) == ("LiF", "F m -3 m", 225)
    assert entry.cell == pytest.approx((0.4027, 0.4027, 0.4027, 90, 90, 90))
    assert len(entry.atoms) == 2 and len(entry.operators) == 192
    assert entry.density == pytest.approx(2.638, abs=0.01) and entry.licence == "CC0"


def test_disorder_is_kept_and_computed_cells_are_said():
    species = [
        {"name": "M", "chemical_symbols": ["Li", "Na", "vacancy"], "concentration": [0.5, 0.3, 0.2]},
        {"name": "F", "chemical_symbols": ["F"], "concentration": [1.0]},
    ]
    entry = entry_of(structure(species=species, species_at_sites=["M", "F"]), "x", computed=True)
    assert set(entry.elements) == {"Li", "Na", "F"}
    assert entry.notes == (
        "computed, not measured: its cell may be wrong by 1-2 %",
        "partially occupied sites",
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"lattice_vectors": None}, "lattice vectors"),
        ({"lattice_vectors": [[0, 0, 0]] * 3}, "coplanar"),
        ({"lattice_vectors": [[1e9, 0, 0], [0, 1, 0], [0, 0, 1]]}, "lattice vectors"),
        ({"cartesian_site_positions": None}, "atom positions"),
        ({"cartesian_site_positions": [[0, 0, None], [1, 1, 1]]}, "no position"),
        ({"cartesian_site_positions": [[0, 0, 0]] * 2}, "overlap"),
        ({"cartesian_site_positions": [[0, 0, 0]] * 5000}, "more than 1000"),
        (
            {"species": [{"name": "Li", "chemical_symbols": ["Xx"], "concentration": [1]}]},
            "a species is not a known element",
        ),
        ({"species_at_sites": ["Li"]}, "inconsistent"),
        ({"species_at_sites": ["Li", "Q"]}, "inconsistent"),
        ({"structure_features": ["unknown_positions"]}, "positions of atoms are missing"),
    ],
)
def test_a_structure_that_is_not_whole_is_refused(changes, reason):
    with pytest.raises(ValueError, match=reason):
        entry_of(structure(**changes), "x")


def test_pages_follow_one_another_up_to_the_limit(served):
    asked: list[str] = []

    def answer(path: str):
        asked.append(path)
        number = int(parse_qs(urlsplit(path).query).get("page", ["0"])[0])
        return page(
            [structure(f"{number}/{n}") for n in range(3)], {"href": f"/v1/structures?page={number + 1}"}
        )

    rows = fetch(served(answer), limit=7)
    assert len(rows) == 7 and not any(isinstance(row, Refusal) for row in rows)
    assert len({row.origin for row in rows}) == 7 and len(asked) == 3
    query = parse_qs(urlsplit(asked[0]).query)
    assert query["filter"] == ['elements HAS ONLY "Li", "F"'] and query["page_limit"] == ["7"]


def test_a_refused_structure_does_not_stop_the_others_and_nothing_is_asked_twice(served, tmp_path):
    broken: list = [structure("bad", lattice_vectors=None), None, 7, {"id": "empty"}]
    address = served(lambda path: page([structure("good"), *broken]))
    database = PhaseDatabase(tmp_path / "library.sqlite")
    for added in (1, 0):
        report = database.write(fetched_rows(OptimadeQuery(address, ("Li", "F"))))
        assert (report.added, len(report.refused)) == (added, 4)
    assert database.count() == 1


def test_structures_of_other_elements_are_left_out(served):
    assert fetch(served(lambda path: page([structure()])), elements=("Li", "O")) == []


def test_a_server_that_does_not_know_has_only_is_asked_otherwise(served):
    def answer(path: str):
        if "ONLY" in path:
            return 501, {}, json.dumps({"errors": [{"detail": "HAS ONLY is not implemented"}]}).encode()
        return page([structure()])

    assert len(fetch(served(answer))) == 1


@pytest.mark.parametrize(
    ("status", "headers", "body", "reason"),
    [
        (200, {}, b"<html>hello</html>", "not JSON"),
        (200, {}, b"[1, 2", "not JSON"),
        (200, {}, b"[" * 200_000, "not JSON"),
        (200, {}, b"[]", "does not follow OPTIMADE"),
        (200, {}, b'{"data": {"id": 1}}', "no list of structures"),
        (404, {}, b"", "no OPTIMADE server"),
        (500, {}, b'{"errors": [{"detail": "broken"}]}', "error 500: broken"),
        (400, {}, b'{"errors": "odd"}', "does not understand"),
        (302, {"Location": "http://169.254.169.254/secret"}, b"", "is not contacted"),
        (302, {"Location": "file:///etc/passwd"}, b"", "not allowed"),
        (200, {"Content-Length": "100000"}, b"{", "cannot be reached|not JSON"),
    ],
)
def test_a_damaged_answer_is_told_in_a_sentence(served, status, headers, body, reason):
    with pytest.raises(OptimadeError, match=reason):
        fetch(served(lambda path: (status, headers, body)))


@pytest.mark.parametrize(
    "following", ["http://example.org/v1/structures", "file:///etc/passwd", 7, {"href": 7}]
)
def test_the_next_page_is_on_the_same_server(served, following):
    with pytest.raises(OptimadeError, match=r"another server|is not an address"):
        fetch(served(lambda path: page([structure()], following)))


def test_pages_in_a_circle_end(served):
    with pytest.raises(OptimadeError, match="form a loop"):
        fetch(served(lambda path: page([structure(path)], "/v1/structures?again")))


def test_an_endless_answer_is_broken_off(served, monkeypatch):
    monkeypatch.setattr(optimade, "LARGEST_ANSWER", 1000)
    with pytest.raises(OptimadeError, match="larger than"):
        fetch(served(lambda path: (200, {}, b" " * 300_000)))


def test_a_silent_server_is_not_waited_for(served):
    def answer(path: str):
        time.sleep(1.0)
        return page([])

    with pytest.raises(OptimadeError, match=r"did not answer within 0\.2 s"):
        fetch(served(answer), timeout=0.2)


def test_a_busy_server_is_asked_once_more(served):
    answers = [(429, {"Retry-After": "0"}, b""), page([structure()])]
    assert len(fetch(served(lambda path: answers.pop(0)))) == 1


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        (("nobody", ("Li",)), "no provider is called 'nobody'"),
        (("file:///etc", ("Li",)), "no provider is called"),
        (("cod", ()), "state the elements"),
        (("cod", ("Li",), 0), "limit"),
    ],
)
def test_a_question_that_cannot_be_asked(query, reason):
    with pytest.raises(OptimadeError, match=reason):
        next(fetched_rows(OptimadeQuery(*query)))


SERVER = """
import json, sys, uvicorn
from optimade.server.config import ServerConfig
from optimade.server.create_app import create_app
app = create_app(ServerConfig(insert_test_data=False))
app.state.entry_collections["structures"].insert(json.loads(sys.argv[2]))
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="error")
"""


@pytest.mark.skipif(
    find_spec("optimade") is None or find_spec("uvicorn") is None, reason="no optimade[server]"
)
def test_the_reference_server(tmp_path: Path):
    documents = []
    for number in range(3):
        one = structure()["attributes"] | {"elements": ["F", "Li"], "nelements": 2, "nsites": 2}
        one |= {
            "chemical_formula_reduced": "FLi",
            "chemical_formula_anonymous": "AB",
            "elements_ratios": [0.5, 0.5],
        }
        one |= {
            "dimension_types": [1, 1, 1],
            "nperiodic_dimensions": 3,
            "chemical_formula_descriptive": "LiF",
        }
        half = A / 2 * (1 + 0.03 * number)
        one["lattice_vectors"] = [[0, half, half], [half, 0, half], [half, half, 0]]
        one["cartesian_site_positions"] = [[0, 0, 0], [half, half, half]]
        documents.append(
            one | {"task_id": f"t/{number}", "id": f"t/{number}", "last_modified": "2026-01-01T00:00:00Z"}
        )
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as free:
        port = free.server_port
    command = [sys.executable, "-c", SERVER, str(port), json.dumps(documents)]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE)
    try:
        address = f"http://127.0.0.1:{port}"
        for _ in range(240):
            try:
                urlopen(f"{address}/versions", timeout=1).close()
                break
            except (URLError, OSError):
                assert process.poll() is None, process.stderr.read().decode()[-2000:]
                time.sleep(0.25)
        rows = fetch(address, timeout=30)
        assert sorted(round(row.entry.cell[0], 4) for row in rows) == [0.4027, 0.4148, 0.4269]
        assert {row.entry.space_group for row in rows} == {"F m -3 m"}
    finally:
        process.terminate()
        process.wait()
        process.stderr.close()
