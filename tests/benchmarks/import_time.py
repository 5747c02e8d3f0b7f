"""Time for importing the package, and for reading a micrograph with it.

    python tests/benchmarks/import_time.py [--times 5]

For each statement, in a new interpreter each time: median processor time in addition to that of an empty one,
number of modules imported, and which large packages are among them. The last lines read the bundled sample
with `napari_tem_fft.read` and with napari's reader, including the import. `read_time.py` measures large
files.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from statistics import median

HEAVY = (
    "numpy", "scipy", "skimage", "matplotlib", "rsciio", "gemmi", "napari", "qtpy", "tensorflow",
)  # fmt: skip
SAMPLE = "from importlib.resources import files; p = str(files('napari_tem_fft') / 'data' / 'sample.dm4'); "
STATEMENTS = {
    "nothing": "pass",
    "import numpy": "import numpy",
    "import napari_tem_fft": "import napari_tem_fft",
    "its core.pipeline": "import napari_tem_fft.core.pipeline",
    "its api": "import napari_tem_fft.api",
    "its command line": "import napari_tem_fft.cli.main",
    "napari-tem-fft phases Cu": "from napari_tem_fft.cli.main import main; main(['phases', 'Cu'])",
    "read(sample)": SAMPLE + "import napari_tem_fft as t; t.read(p)",
    "napari's reader": SAMPLE + "from napari_tem_fft.plugin.reader import get_reader; get_reader(p)(p)",
}
MEASURE = """
import contextlib, io, sys, time
with contextlib.redirect_stdout(io.StringIO()):
    {statement}
print(time.process_time(), len(sys.modules), *(n for n in {heavy} if n in sys.modules))
"""


def measured(statement: str) -> tuple[float, int, list[str]]:
    """Seconds, modules and large packages of a new interpreter that runs a statement."""
    code = MEASURE.format(statement=statement, heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds, modules, *heavy = done.stdout.split()
    return float(seconds), int(modules), heavy


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--times", type=int, default=5)
    times = parser.parse_args().times
    empty = median(measured("pass")[0] for _ in range(times))
    print(f"{'':26s} {'s':>6s} {'modules':>8s}  heavy packages")
    for name, statement in STATEMENTS.items():
        runs = [measured(statement) for _ in range(times)]
        seconds = median(run[0] for run in runs) - empty
        print(f"{name:26s} {seconds:6.2f} {runs[0][1]:8d}  {' '.join(runs[0][2])}", flush=True)


if __name__ == "__main__":
    main()
