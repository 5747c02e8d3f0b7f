"""Two programs never write into one folder at a time, and one that has ended is not in the way."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from napari_tem_fft.io.results.whole_folder import (
    LockedError,
    hidden_prefix,
    locked,
    long_path,
    plain_name,
    read_description,
    replace_folder,
)


def write(folder, files, text="{}"):
    with replace_folder(folder, "about.json") as fresh:
        for name in files:
            (fresh / name).write_text("new")
        (fresh / "about.json").write_text(text)


def about(*files):
    return json.dumps({"format": "napari-tem-fft test", "format_version": 1, "files": files})


def test_an_earlier_folder_is_replaced_and_strangers_are_left_alone(tmp_path):
    folder = tmp_path / "deep" / "out"
    write(folder, ["old.txt"], about("old.txt", "../outside.txt"))
    (tmp_path / "deep" / "outside.txt").write_text("mine")
    (folder / "notes.txt").write_text("mine")
    write(folder, ["new.txt"], about("new.txt"))
    assert {path.name for path in folder.iterdir()} == {"about.json", "new.txt", "notes.txt"}
    assert {path.name for path in folder.parent.iterdir()} == {"out", "outside.txt"}


def test_nothing_is_left_of_a_failure(tmp_path):
    with pytest.raises(ZeroDivisionError), replace_folder(tmp_path / "out", "about.json") as fresh:
        (fresh / "a.txt").write_text("half")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [("{", "no readable"), ("[]", "not written"), (about().replace("1", "2"), "newer version")],
)
def test_a_description_of_another_kind_is_refused(tmp_path, text, words):
    path = tmp_path / "about.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=words):
        read_description(path, "napari-tem-fft test", 1)


def test_only_names_are_names():
    assert plain_name("map_Li.tif")
    assert not any(map(plain_name, ["", "..", "a/b", "..\\b", "c:x", "/etc", 3, None]))


HOLD = "import sys,time,pathlib; sys.path.insert(0, {src!r})\n"
HOLD += "from napari_tem_fft.io.results.whole_folder import locked\n"
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
    with pytest.raises(LockedError, match="another program is writing to"), locked(tmp_path / ".lock", 0.1):
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
