"""The notebook runs from top to bottom and finds what is in the sample."""

import json
from pathlib import Path
from typing import Any

import pytest

from small_run import SameProcess

NOTEBOOK = Path(__file__).parents[2] / "docs" / "tour.ipynb"
MOST_OUTPUT = 250_000

pytestmark = pytest.mark.skipif(not NOTEBOOK.is_file(), reason="not in a checkout: there is no notebook")


def code_cells() -> list[dict[str, Any]]:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def test_its_outputs_are_small_and_without_errors() -> None:
    outputs = [output for cell in code_cells() for output in cell["outputs"]]
    assert outputs and len(json.dumps(outputs)) < MOST_OUTPUT
    assert not [one for one in outputs if one["output_type"] == "error" or one.get("name") == "stderr"]


def test_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.setattr("napari_tem_fft.batch.backends.start.LocalWorkers", lambda job, _: SameProcess(job))
    names: dict[str, Any] = {"__name__": "__main__"}
    for cell in code_cells():
        exec("".join(cell["source"]), names)
    assert {part.name for part in names["result"].components} == {"Cu", "Li2O", "Li2CO3"}
    assert max(spot.length for spot in names["edited"].spots if spot.enabled) < 5.1
    assert names["outcome"].analysed == 2
    names["plt"].close("all")
