import csv
import json
import os
import shutil
from contextlib import closing
from dataclasses import replace

import pytest
from pyarrow import parquet

from napari_tem_fft.batch.engine import analyse_source, open_analysis
from napari_tem_fft.batch.job import Job
from napari_tem_fft.batch.record import Record
from napari_tem_fft.batch.run import RunError, Tracker, batch_steps
from napari_tem_fft.batch.sources import find_sources
from napari_tem_fft.batch.state import Journal
from napari_tem_fft.core.fourier.stft import WindowParams
from napari_tem_fft.core.pipeline import AnalysisParams
from napari_tem_fft.core.progress import Step
from napari_tem_fft.io.exchange.temfft import save_temfft
from small_run import SameProcess, run, summary, write_micrograph


def test_good_files_are_analysed_and_bad_ones_say_why(finished):
    rows = {row["file"]: row for row in summary(finished)}
    assert list(rows) == ["a <b>.dm4", "d.dm3", "plain.dm4", "text.dm4", "c.dm4"]
    assert rows["d.dm3"]["state"] == "analysed"
    assert float(rows["d.dm3"]["d_nm"].split()[0]) == pytest.approx(0.2, rel=3e-3)
    assert "give its pixel size" in rows["plain.dm4"]["reason"]
    assert rows["plain.dm4"]["flags"] == "failed; uncalibrated"
    assert "not a Gatan file" in rows["text.dm4"]["reason"]
    assert (finished / "day" / "c.dm4" / "analysis.json").exists()
    assert not (finished / "d.dm3" / "overview.png").exists()


def test_the_run_says_what_was_done_with_what(finished):
    stored = json.loads((finished / "run.json").read_text())
    assert (stored["state"], stored["files"], stored["analysed"], stored["failed"]) == ("done", 5, 3, 2)
    assert stored["settings"]["windows.window"] == 11.0
    assert [len(image["sha256"]) for image in stored["images"]] == [64, 64, 0, 0, 64]
    assert len(stored["failures"]) == 2


def test_parquet_tables_hold_the_summary_and_all_spots(finished):
    table = parquet.read_table(finished / "summary.parquet").to_pylist()
    assert [row["area_nm2"] for row in table if row["area_nm2"]] == [
        float(row["area_nm2"]) for row in summary(finished) if row["area_nm2"]
    ]
    spots = parquet.read_table(finished / "spots.parquet").to_pylist()
    assert {spot["folder"] for spot in spots} == {"a <b>.dm4", "d.dm3", "day/c.dm4"}
    assert all(isinstance(spot["d_nm"], float) for spot in spots)


def test_spacings_in_angstrom(images, finished, tmp_path):
    run(images, tmp_path / "out", job=Job("", unit="angstrom"))
    nm = [row["d_nm"] for row in summary(finished)]
    assert [row["d_angstrom"] for row in summary(tmp_path / "out")] == [
        d and f"{10 * float(d):.3f}" for d in nm
    ]
    assert "d (\u00c5)" in (tmp_path / "out" / "report.html").read_text()
    spots = parquet.read_table(tmp_path / "out" / "spots.parquet").to_pylist()
    in_nm = parquet.read_table(finished / "spots.parquet").to_pylist()
    assert [s["d_angstrom"] for s in spots] == pytest.approx([10 * s["d_nm"] for s in in_nm], rel=1e-6)
    with (tmp_path / "out" / "d.dm3" / "spots.csv").open(newline="") as file:
        assert float(next(csv.DictReader(file))["d_angstrom"]) == pytest.approx(2.0, rel=3e-3)


def test_only_tables_are_kept_where_only_tables_are_wanted(images, tmp_path):
    run(images / "d.dm3", tmp_path / "out", job=Job("", keep="tables"))
    names = {path.name for path in (tmp_path / "out" / "d.dm3").iterdir()}
    tables = {"spots.csv", "profile.csv", "grains.csv", "sizes.csv", "misorientations.csv"}
    assert names == {"analysis.json", "thumbnail.jpg", *tables}


def test_a_run_in_the_folder_is_not_overwritten(images, finished):
    with pytest.raises(RunError, match="--resume"):
        run(images, finished)


@pytest.fixture
def halved(images, tmp_path):
    """A run that was stopped after two files."""
    steps = batch_steps(find_sources([images], tmp_path).sources, Job(str(tmp_path)), SameProcess)
    next(steps), next(steps)
    steps.close()
    return tmp_path


def test_a_stopped_run_is_whole_and_can_be_gone_on_with(images, halved, finished):
    stored = json.loads((halved / "run.json").read_text())
    assert (stored["state"], stored["problem"], stored["analysed"]) == ("stopped", "stopped by the user", 2)
    assert len(summary(halved)) == 2
    worked = []

    def noting(job, source):
        worked.append(source.folder)
        return analyse_source(job, source)

    outcome = run(images, halved, lambda job: SameProcess(job, noting), resume=True)
    assert (outcome.kept, outcome.analysed, outcome.failed) == (2, 3, 2)
    assert worked == ["plain.dm4", "text.dm4", "day/c.dm4"]
    untimed = [{k: v for k, v in row.items() if k != "seconds"} for row in summary(halved)]
    assert untimed == [{k: v for k, v in row.items() if k != "seconds"} for row in summary(finished)]


def test_a_run_with_other_settings_is_not_gone_on_with(images, halved):
    other = Job("", AnalysisParams(windows=WindowParams(9.0)))
    with pytest.raises(RunError, match=r"windows\.window: 11\.0 then, 9\.0 now"):
        run(images, halved, job=other, resume=True)
    assert run(images, halved, job=other, restart=True).kept == 0


def test_files_that_changed_are_analysed_again(tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    write_micrograph(images / "a.dm4", 0)
    write_micrograph(images / "b.dm4", 1)
    run(images, tmp_path / "out")
    write_micrograph(images / "b.dm4", 2, 0.2)
    assert run(images, tmp_path / "out", resume=True).kept == 1
    assert float(summary(tmp_path / "out")[1]["d_nm"]) == pytest.approx(0.2, rel=3e-3)


def test_what_a_person_corrected_is_kept_and_used(images, finished, tmp_path):
    shutil.copytree(finished, tmp_path / "out")
    spots = tmp_path / "out" / "d.dm3" / "spots.csv"
    with spots.open(newline="") as file:
        rows = list(csv.DictReader(file))
    with spots.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows([{**row, "enabled": 0} for row in rows])
    (spots.parent / "analysis.json").touch()
    outcome = run(images, tmp_path / "out", restart=True)
    assert outcome.kept == 1
    row = next(row for row in summary(tmp_path / "out") if row["file"] == "d.dm3")
    assert (row["spots"], row["corrected_by_hand"], row["d_nm"]) == ("0", "1", "")


def test_a_file_that_changed_without_a_trace_is_told_by_its_hash(tmp_path):
    image = tmp_path / "a.dm4"
    write_micrograph(image, 0)
    before = image.stat()
    run(image, tmp_path / "out")
    image.write_bytes(image.read_bytes()[:-1] + b"x")
    os.utime(image, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert run(image, tmp_path / "out", resume=True, strict=False).kept == 1
    assert run(image, tmp_path / "out", resume=True).kept == 0


@pytest.mark.parametrize("place", ["out/d.dm3.temfft", "out/d.dm3/mine.temfft"])
def test_what_a_person_saved_beside_the_results_is_taken_over(images, tmp_path, place):
    job = Job(str(tmp_path / "out"))
    run(images / "d.dm3", tmp_path / "out")
    with closing(Journal(tmp_path / "out")) as journal:
        (record,) = journal.records()
    analysis = open_analysis(job, record)
    assert record.spots and not record.corrected
    erased = tuple(replace(spot, enabled=False) for spot in analysis.spots)
    save_temfft(tmp_path / place, replace(analysis, spots=erased))
    outcome = run(images / "d.dm3", tmp_path / "out", restart=True)
    assert outcome.kept == 1
    (row,) = summary(tmp_path / "out")
    assert (row["spots"], row["corrected_by_hand"]) == ("0", "1")
    assert not any(spot.enabled for spot in open_analysis(job, record).spots)


def test_a_folder_that_cannot_be_written_ends_the_run_and_keeps_what_is_done(images, tmp_path):
    (tmp_path / "day").write_text("a file where a folder must be")
    outcome = run(images, tmp_path)
    assert (outcome.state, outcome.analysed) == ("stopped", 2)
    assert "cannot be written" in outcome.problem
    assert (tmp_path / "report.html").exists() and len(summary(tmp_path)) == 4


class Idle(SameProcess):
    """Workers that never come to an end."""

    def poll(self, seconds):
        return []


def test_a_run_that_is_followed_can_be_called_off_while_nothing_is_done(images, tmp_path):
    found = find_sources([images], tmp_path).sources
    steps = batch_steps(found, Job(str(tmp_path)), Idle, pulse=True)
    step = next(steps)
    assert (step.product, step.done, step.total) == (None, 0, 5)
    steps.close()
    assert json.loads((tmp_path / "run.json").read_text())["problem"] == "stopped by the user"


def test_results_can_be_loaded_while_the_run_goes_on(images, tmp_path):
    steps = batch_steps(find_sources([images], tmp_path).sources, Job(str(tmp_path)), SameProcess)
    record = next(steps).product
    loaded = open_analysis(Job(str(tmp_path)), record)
    assert (len(loaded.spots), len(loaded.grains)) == (record.spots, record.grains)
    steps.close()


def test_a_line_that_was_cut_off_is_dropped(finished, tmp_path):
    whole = (finished / "records.jsonl").read_bytes()
    (tmp_path / "records.jsonl").write_bytes(whole[:-20])
    journal = Journal(tmp_path)
    assert len(journal) == 4
    journal.close()


def test_rate_and_time_left_are_told_of_what_was_done_of_late():
    now = [100.0]
    tracker = Tracker(lambda: now[0])
    tracker.note(Step("kept", 0, 100, Record(0, "kept", "kept")))
    assert tracker.note(Step("", 0, 100)).seconds_left is None
    for done in range(1, 41):
        now[0] += 2.0
        state = "failed" if done % 10 == 0 else "analysed"
        progress = tracker.note(Step("a", done, 100, Record(done, "a", "a", state)))
    assert (progress.done, progress.total, progress.failed) == (40, 100, 4)
    assert progress.rate == pytest.approx(30.0)
    assert progress.seconds_left == pytest.approx(120.0)
    now[0] += 60.0
    assert tracker.note(Step("", 40, 100)).rate == pytest.approx(15.0)
