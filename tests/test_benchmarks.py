"""Every benchmark starts by itself, as its first lines say."""

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parent

# the libraries are loaded once for all; modules of the tests anew for each script
LOAD = """
import runpy, sys
before = list(sys.path)
for script in sys.argv[2:]:
    sys.path[:] = [script.rpartition("/")[0], *before]
    runpy.run_path(script)
    ours = [n for n, m in sys.modules.items() if (getattr(m, "__file__", "") or "").startswith(sys.argv[1])]
    for name in ours:
        del sys.modules[name]
print("loaded", len(sys.argv[2:]))
"""


def test_each_benchmark_finds_what_it_imports() -> None:
    scripts = sorted(path.as_posix() for path in (TESTS / "benchmarks").glob("*.py"))
    command = [sys.executable, "-c", LOAD, TESTS.as_posix(), *scripts]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout == f"loaded {len(scripts)}\n", done.stderr


def test_the_benchmark_of_the_window_runs_to_its_end() -> None:
    """It asks the docks for much that only a run shows to have changed."""
    script = TESTS / "benchmarks" / "napari_latency.py"
    small = ["--size", "768", "--grains", "2", "--strokes", "1", "--frames", "2", "--network", "none"]
    variables = os.environ | {"QT_QPA_PLATFORM": "offscreen"}
    done = subprocess.run([sys.executable, script, *small], capture_output=True, text=True, env=variables)
    strokes = {"erase", "restore", "paint", "fill", "undo", "redo", "median", "maximum"}
    assert strokes <= {line.split(" ")[0] for line in done.stdout.splitlines()}, done.stderr
    assert "frames a second" in done.stdout and done.returncode == 0, done.stderr
