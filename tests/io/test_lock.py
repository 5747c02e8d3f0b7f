"""Two programs never write into one folder at a time, and one that has ended is not in the way."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from napari_tem_fft.io.lock import LockedError, locked
from napari_tem_fft.io.results.whole_folder import hidden_prefix, long_path, replace_folder

HOLD = "import sys,time,pathlib; sys.path.insert(0, {src!r})\nfrom napari_tem_fft.io.lock import locked\n"
HOLD += "with locked(pathlib.Path({path!r})):\n    print('held', flush=True); time.sleep(60)"


@pytest.fixture
def holder(tmp_path):
    """Another program that holds a lock."""
    src = str(Path(__file__).parents[2] / "src")
    program = HOLD.format(src=src, path=str(tmp_path / ".lock"))
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_lock_is_held_by_one_and_goes_with_it(tmp_path, holder):
    with pytest.raises(LockedError, match="another program is writing into"), locked(tmp_path / ".lock", 0.1):
        pass
    holder.kill()
    holder.wait()
    with locked(tmp_path / ".lock", 5.0):
        assert (tmp_path / ".lock").exists()
    assert not (tmp_path / ".lock").exists()


@pytest.mark.skipif(os.name == "nt", reason="Windows has its own limits")
def test_a_folder_of_the_longest_name_is_written(tmp_path):
    folder = tmp_path / ("L" * 250)
    with replace_folder(folder, "a.json") as fresh:
        (fresh / "a.json").write_text("{}")
    assert [path.name for path in tmp_path.iterdir()] == [folder.name]
    assert len(hidden_prefix(folder.name)) < 60


def test_long_paths_on_windows_get_their_prefix():
    assert str(long_path(Path("/a") / ("b" * 200), "win32")).startswith("\\\\?\\")
    assert long_path(Path("results"), "win32") == Path("results")
    assert long_path(Path("/a") / ("b" * 200), "linux") == Path("/a") / ("b" * 200)
