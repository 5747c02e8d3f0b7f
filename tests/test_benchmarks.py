"""Every benchmark starts by itself, as its first lines say."""

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
