"""The commands batch and watch, run in this process, the work too."""

import json

import pytest

from napari_tem_fft.cli.main import main
from small_run import SameProcess, finished, images  # noqa: F401


@pytest.fixture(autouse=True)
def _no_processes(monkeypatch):
    monkeypatch.setattr("napari_tem_fft.batch.backends.LocalWorkers", lambda job, _: SameProcess(job))


def test_bad_files_are_passed_over_and_told(images, tmp_path, capsys):  # noqa: F811
    assert main(["batch", str(images), "-o", str(tmp_path)]) == 1
    told = capsys.readouterr()
    assert "3 of 5 files analysed, 2 failed" in told.out
    assert "1 files of other types are skipped" in told.err
    assert str(tmp_path / "report.html") in told.out

    assert main(["batch", str(images), "-o", str(tmp_path)]) == 2
    assert "--resume" in capsys.readouterr().err
    assert main(["batch", "--resume", "-o", str(tmp_path), "--window", "9"]) == 2
    assert "windows.window: 11.0 then, 9.0 now" in capsys.readouterr().err
    assert main(["batch", "--resume", "-o", str(tmp_path)]) == 1
    assert "3 of 5 files analysed (3 before), 2 failed" in capsys.readouterr().out


def test_resume_alone_goes_on_with_what_was_asked_for(images, tmp_path, capsys):  # noqa: F811
    asked = ["--elements", "Li, F", "--window", "9", "--keep", "tables", "--unit", "angstrom"]
    command = ["batch", "-o", str(tmp_path / "out")]
    assert main([*command, str(images / "d.dm3"), str(images / "text.dm4"), *asked]) == 1
    first = json.loads((tmp_path / "out" / "run.json").read_text())
    moved = (tmp_path / "out").rename(tmp_path / "moved")
    command[2] = str(moved)
    assert main([*command, "--resume"]) == 1
    assert "(1 before)" in capsys.readouterr().out
    second = json.loads((moved / "run.json").read_text())
    assert second["settings"] == first["settings"] and second["settings"]["windows.window"] == 9.0
    assert main([*command, "--resume", *asked]) == 1
    for option, words in ((["--elements", "Cu"], "elements: Li, F then, Cu now"), (["--unit", "nm"], "unit")):
        assert main([*command, "--resume", *option]) == 2
        assert words in capsys.readouterr().err


def test_a_run_without_valid_settings_cannot_be_resumed(finished, tmp_path, capsys):  # noqa: F811
    stored = json.loads((finished / "run.json").read_text())
    for job in ({}, {"output": "", "keep": "everything"}, {"output": "", "params": {"windows": 3}}, None):
        (tmp_path / "run.json").write_text(json.dumps(stored | {"job": job}))
        assert main(["batch", "--resume", "-o", str(tmp_path)]) == 2
        assert "Traceback" not in capsys.readouterr().err


def test_good_files_end_with_0(images, tmp_path):  # noqa: F811
    assert main(["batch", str(images / "d.dm3"), "-o", str(tmp_path), "--keep", "tables"]) == 0
    assert not (tmp_path / "d.dm3" / "specimen.tif").exists()


def test_parameters_of_an_earlier_analysis_are_used(images, finished, tmp_path):  # noqa: F811
    earlier = str(finished / "d.dm3" / "analysis.json")
    command = ["batch", str(images / "d.dm3"), "-o", str(tmp_path), "--params", earlier]
    assert main([*command, "--calibration-uncertainty", "0.5"]) == 0
    stored = json.loads((tmp_path / "run.json").read_text())
    assert stored["settings"]["calibration_uncertainty"] == 0.5


def test_ctrl_c_leaves_a_run_that_can_be_gone_on_with(images, tmp_path, monkeypatch, capsys):  # noqa: F811
    def interrupted(job, source):
        raise KeyboardInterrupt

    monkeypatch.setattr(
        "napari_tem_fft.batch.backends.LocalWorkers", lambda job, count: SameProcess(job, interrupted)
    )
    assert main(["batch", str(images), "-o", str(tmp_path)]) == 130
    assert "continue with --resume" in capsys.readouterr().err
    stored = json.loads((tmp_path / "run.json").read_text())
    assert (stored["state"], stored["problem"]) == ("stopped", "stopped by the user")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "give files, folders or patterns"),
        (["nothing/*.dm4"], "no micrograph in nothing"),
        (["a.dm4", "--memory-limit", "much"], "not a memory size"),
        (["a.dm4", "--memory-limit", "1M"], "too small"),
        (["a.dm4", "--phases", "Unobtainium"], "Unobtainium"),
        (["a.dm4", "--params", "gone.json"], "gone.json"),
        (["a.dm4", "--workers", "-1"], "at least one worker"),
    ],
)
def test_what_cannot_be_carried_out_is_told_before_anything_is_done(options, words, tmp_path, capsys):
    assert main(["batch", *options, "-o", str(tmp_path / "out")]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_not_there_cannot_be_watched(tmp_path, capsys):
    assert main(["watch", str(tmp_path / "gone"), "-o", str(tmp_path)]) == 2
    assert "no such folder" in capsys.readouterr().err
