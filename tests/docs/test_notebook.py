"""The notebooks run from top to bottom, find what is in the sample, and show themselves."""

import ast
import json
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pytest

from small_run import SameProcess

DOCS = Path(__file__).parents[2] / "docs"
NOTEBOOKS = ("tour.ipynb", "session.ipynb")
MOST_OUTPUT = 300_000

pytestmark = pytest.mark.skipif(not DOCS.is_dir(), reason="not in a checkout: there are no notebooks")


def code_cells(name: str) -> list[dict[str, Any]]:
    cells = json.loads((DOCS / name).read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def run_cells(name: str, monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, Any], list[Any]]:
    """The names that the cells leave, and the values that a notebook would show below them."""
    plt.switch_backend("agg")  # whatever other tests have chosen
    monkeypatch.setattr("napari_tem_fft.batch.backends.LocalWorkers", lambda job, _: SameProcess(job))
    names: dict[str, Any] = {"__name__": "__main__"}
    shown = []
    for cell in code_cells(name):
        body = ast.parse("".join(cell["source"])).body
        last = body.pop() if isinstance(body[-1], ast.Expr) else None
        exec(compile(ast.Module(body, []), name, "exec"), names)
        if isinstance(last, ast.Expr):
            shown.append(eval(compile(ast.Expression(last.value), name, "eval"), names))
    names["plt"].close("all")
    return names, [value for value in shown if value is not None]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_their_outputs_are_small_and_without_errors(name: str) -> None:
    outputs = [output for cell in code_cells(name) for output in cell["outputs"]]
    assert outputs and len(json.dumps(outputs)) < MOST_OUTPUT
    assert not [one for one in outputs if one["output_type"] == "error" or one.get("name") == "stderr"]
    assert any("<table>" in "".join(one.get("data", {}).get("text/html", ())) for one in outputs)


def test_the_tour_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    names, shown = run_cells("tour.ipynb", monkeypatch)
    assert {part.name for part in names["result"].components} == {"Cu", "Li2O", "Li2CO3"}
    assert max(spot.length for spot in names["edited"].spots if spot.enabled) < 5.1
    assert names["outcome"].analysed == 2
    assert "Li2CO3" in shown[0]._repr_html_()
    assert repr(shown[0]).startswith("<Analysis of sample: ")


def test_the_session_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    names, shown = run_cells("session.ipynb", monkeypatch)
    assert names["outcome"].analysed == 9
    found = {one.name: one for one in names["found"].components}
    assert {"Cu", "Li2O", "Li2CO3"} <= set(found) and all(one.share.sigma > 0 for one in found.values())
    assert "<table>" in shown[-1]._repr_html_()
