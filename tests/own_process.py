"""Run a function of a test module in a Python of its own: for TensorFlow, which crashes beside OpenGL."""

import importlib
import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

needs_tensorflow = pytest.mark.skipif(
    find_spec("tensorflow") is None, reason="TensorFlow is not installed: pip install napari-tem-fft[train]"
)


def in_own_process(module: str, function: str, *arguments: str, **environment: str) -> Any:
    """What a function of a module in ``tests`` returns; both ways as JSON."""
    paths = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    command = [sys.executable, __file__, module, function, *arguments]
    variables = os.environ | {"PYTHONPATH": paths} | environment
    done = subprocess.run(command, capture_output=True, text=True, env=variables)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    result = getattr(importlib.import_module(sys.argv[1]), sys.argv[2])(*sys.argv[3:])
    print(json.dumps(result))
