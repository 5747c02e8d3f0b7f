"""A disk that is really full: a small file system in memory, where the system lets us have one."""

import json
import subprocess
from contextlib import closing

import pytest

from napari_tem_fft.batch.engine import open_analysis
from napari_tem_fft.batch.job import Job
from napari_tem_fft.batch.state import Journal
from small_run import run, summary, write_micrograph


@pytest.fixture
def disk(tmp_path):
    """A disk of 400 kB, and how to make it larger."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(options: str) -> bool:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        try:
            return subprocess.run(command, capture_output=True, check=False).returncode == 0
        except FileNotFoundError:
            return False

    if not mount("size=400k"):
        pytest.skip("no file system can be mounted here: the disk cannot be filled")
    yield folder, lambda: mount("remount,size=40M")
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_ends_the_run_and_what_is_done_is_whole_and_gone_on_with(tmp_path, disk):
    folder, enlarge = disk
    images = tmp_path / "images"
    images.mkdir()
    for number in range(12):
        write_micrograph(images / f"{number:02d}.dm4", number)
    outcome = run(images, folder / "out")
    assert (outcome.state, outcome.failed) == ("stopped", 0)
    assert 0 < outcome.analysed < 12
    assert "cannot be written" in outcome.problem and "No space left" in outcome.problem
    with closing(Journal(folder / "out")) as journal:
        for record in journal.records():
            assert len(open_analysis(Job(str(folder / "out")), record).spots) == record.spots
    assert enlarge()
    again = run(images, folder / "out", resume=True)
    assert (again.state, again.analysed, again.kept) == ("done", 12, outcome.analysed)
    assert len({row["file"] for row in summary(folder / "out")}) == 12
    assert json.loads((folder / "out" / "run.json").read_text())["state"] == "done"
    assert [path.name for path in folder.rglob(".*")] == []
