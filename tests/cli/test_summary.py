"""The command that prints what a run says of the sample."""

import shutil

from napari_tem_fft.cli.main import main


def test_a_run_is_summed_up_and_written_anew(finished, tmp_path, capsys) -> None:
    folder = shutil.copytree(finished, tmp_path / "run")
    for name in ("summary.csv", "report.html", "statistics.csv"):
        (folder / name).unlink()
    assert main(["summary", str(folder), "--write"]) == 0
    out = capsys.readouterr().out
    assert "+/-" in out and "From these 3 images" in out
    for name in ("summary.csv", "statistics.csv"):
        assert (folder / name).read_bytes() == (finished / name).read_bytes()
    assert (folder / "report.html").read_text() == (finished / "report.html").read_text()


def test_a_folder_without_a_run_is_refused(tmp_path, capsys) -> None:
    assert main(["summary", str(tmp_path)]) == 2
    assert "this folder contains no run of batch or watch" in capsys.readouterr().err
