"""Runs the notebooks of this folder and keeps what they show in them.

    python docs/run_notebooks.py [NAME.ipynb ...]

Needs nbclient and ipykernel (extra `docs`). Without a kernel, `tests/docs/test_notebook.py`
runs the same cells.
"""

import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).parent

if __name__ == "__main__":
    os.environ["PYTHONWARNINGS"] = "ignore"
    for name in sys.argv[1:] or sorted(path.name for path in HERE.glob("*.ipynb")):
        _, notebook = nbformat.validator.normalize(nbformat.read(HERE / name, as_version=4))
        NotebookClient(notebook, timeout=600, kernel_name="python3").execute()
        for cell in notebook.cells:
            cell.metadata.pop("execution", None)
        nbformat.write(notebook, HERE / name)
        print(name, (HERE / name).stat().st_size, "bytes")
