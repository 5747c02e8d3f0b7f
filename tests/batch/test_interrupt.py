"""Ctrl-C in a run with real processes."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from small_run import summary, write_micrograph


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has another Ctrl-C")
def test_ctrl_c_ends_a_run_in_seconds_and_leaves_nothing_half_written(tmp_path):
    folder, output = tmp_path / "images", tmp_path / "out"
    folder.mkdir()
    for number in range(40):
        write_micrograph(folder / f"{number:02d}.dm4", number % 3)
    program = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from napari_tem_fft.cli.main import main; import sys; sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", program, "batch", str(folder), "-o", str(output), "--workers", "1"]
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    journal = output / "records.jsonl"
    end = time.monotonic() + 200
    while time.monotonic() < end and not (journal.exists() and journal.stat().st_size):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    start = time.monotonic()
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "continue with --resume" in told
    assert time.monotonic() - start < 30
    stored = json.loads((output / "run.json").read_text())
    assert (stored["state"], stored["problem"]) == ("stopped", "stopped by the user")
    assert len(summary(output)) == stored["analysed"] >= 1
    assert [path.name for path in output.rglob(".*")] == []
