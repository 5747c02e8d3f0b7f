"""The batch dock: a run in the background, its table, its images as layers, and what goes wrong."""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import pytest
from napari.utils.notifications import notification_manager

from napari_tem_fft.layers.image import KEY
from napari_tem_fft.widgets.docks.batch import ALL, BAD, BatchDock, duration
from small_run import finished, images, write_micrograph  # noqa: F401  (fixtures)


@pytest.fixture
def batch(viewer, dock, images, tmp_path):  # noqa: F811
    """The dock beside the main one, with five files to run."""
    dock = BatchDock(viewer)
    viewer.window.add_dock_widget(dock, name="Batch", area="bottom")
    dock.form.add_inputs([str(images)])
    dock.form.output.setText(str(tmp_path / "out"))
    dock.form.workers.setValue(1)
    return dock


@pytest.fixture
def listed(batch, finished):  # noqa: F811
    """The dock with the folder of a run that was made before."""
    batch.form.output.setText(str(finished))
    batch.form.output.editingFinished.emit()
    return batch


def finish(batch, qtbot, control):
    control.click()
    assert batch.run.running and batch.cancel.isEnabled() and not batch.start.isEnabled()
    qtbot.waitUntil(lambda: not batch.run.running, timeout=120_000)


def cells(batch):
    tree = batch.tree
    return {
        (item := tree.topLevelItem(i)).text(0): (item.text(1), item.text(2))
        for i in range(tree.topLevelItemCount())
    }


def shown(batch):
    return [n for n in range(batch.tree.topLevelItemCount()) if not batch.tree.topLevelItem(n).isHidden()]


def row_of(batch, name):
    return next(n for n, record in enumerate(batch.run.records) if record.name == name)


def test_a_run_with_the_main_docks_candidates(batch, dock, viewer, qtbot, run):
    finish(batch, qtbot, batch.start)
    table = cells(batch)
    assert len(table) == 5 and table["text.dm4"][0] == "failed" and "pixel size" in table["plain.dm4"][1]
    assert table["c.dm4"][0] in ("analysed", "ambiguous") and table["c.dm4"][1]
    assert "3 of 5 analysed, 2 failed" in batch.state.text() and batch.progress.value() == 5
    assert '"Li2O"' in (batch.run.folder / "run.json").read_text()  # the candidates of the main dock
    open_correct_and_keep(batch, dock, viewer, qtbot, run)


def open_correct_and_keep(batch, dock, viewer, qtbot, run):
    """Open an image by its row, take a spot away, keep that, and let a resumed run take it in."""
    number = row_of(batch, "c.dm4")
    batch.tree.chosen.emit(number)
    qtbot.waitUntil(lambda: batch.session.current is not None, timeout=30_000)
    qtbot.waitUntil(lambda: not batch.session.running, timeout=30_000)
    image_state = batch.session.current
    assert dock.image.image is image_state.layer and image_state.analysis.micrograph.name == "c"
    assert {"fft", "mask", "spots"} <= set(image_state.group.roles)
    batch.tree.chosen.emit(number)  # it is there already
    assert sum(layer.metadata[KEY]["role"] == "micrograph" for layer in viewer.layers) == 1
    spot = next(spot for spot in image_state.spots if spot.enabled)
    mask = image_state.group["mask"]
    middle = (np.array(mask.data.shape) - 1) / 2
    run(
        batch.session,
        lambda: mask.fill(np.round(np.array(spot.g) / mask.metadata[KEY]["step_1_nm"] + middle), 0),
    )
    qtbot.waitUntil(batch.correct.isEnabled, timeout=30_000)
    with qtbot.waitSignal(batch.opener.saver.returned, timeout=30_000):
        batch.correct.click()
    finish(batch, qtbot, batch.resume)
    assert "(3 before)" in batch.state.text() and cells(batch)["c.dm4"][0] != "failed"
    assert batch.run.records[row_of(batch, "c.dm4")].corrected


def test_a_run_is_gone_on_with_in_its_own_unit(listed, monkeypatch):
    monkeypatch.setattr("napari_tem_fft.widgets.session.batch_run.length_unit", lambda: "angstrom")
    assert listed.run.job().output == listed.run.setup.output
    listed.form.keep.setCurrentIndex(0)
    listed.resume.click()
    assert "keep: maps then, tables now" in last_message() and "unit" not in last_message()


def test_what_cannot_be_run_is_said(listed):
    listed.start.click()
    assert "there is a run in this folder" in last_message() and not listed.run.running
    listed.form.keep.setCurrentIndex(0)
    listed.resume.click()
    assert "different settings" in last_message() and "keep: maps then, tables now" in last_message()
    listed.tree.chosen.emit(row_of(listed, "text.dm4"))
    assert "text.dm4" in last_message()
    listed.form.output.setText("")
    listed.start.click()
    assert "choose a folder for the results" in last_message()
    listed.form.output.setText("elsewhere")
    listed.form.clear.click()
    listed.start.click()
    assert "choose files or a folder" in last_message()


def last_message():
    return str(notification_manager.records[-1].message)


def test_nothing_is_lost_when_the_dock_is_closed_in_mid_run(batch, viewer, qtbot):
    run = batch.run
    batch.start.click()
    qtbot.waitUntil(lambda: len(run.records) >= 1, timeout=60_000)
    viewer.window.remove_dock_widget(batch)
    batch.deleteLater()
    again = BatchDock(viewer)
    viewer.window.add_dock_widget(again, name="Batch", area="bottom")
    assert again.run is run and again.form.inputs.count() == 1 and len(cells(again)) >= 1
    qtbot.waitUntil(lambda: not run.running, timeout=120_000)
    assert len(cells(again)) == 5 and again.form.output.text() == str(run.folder)


def test_a_run_is_cancelled_and_gone_on_with(batch, qtbot, tmp_path):
    (tmp_path / "more").mkdir()
    for number in range(12):
        write_micrograph(tmp_path / "more" / f"{number}.dm4", number)
    batch.form.add_inputs([str(tmp_path / "more")])
    others = set(psutil.Process().children(recursive=True))
    batch.start.click()
    qtbot.waitUntil(lambda: len(batch.run.records) >= 2, timeout=60_000)
    children = set(psutil.Process().children(recursive=True)) - others
    batch.cancel.click()
    qtbot.waitUntil(lambda: not batch.run.running, timeout=60_000)
    assert "Resume continues it" in batch.state.text() and batch.run.report is not None
    qtbot.waitUntil(lambda: not any(map(alive, children)), timeout=60_000)
    done = len(batch.run.records)
    assert 2 <= done < 17
    finish(batch, qtbot, batch.resume)
    assert "15 of 17 analysed" in batch.state.text()


def alive(process):
    with suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def test_a_run_that_is_there_is_listed(listed, monkeypatch):
    assert len(cells(listed)) == 5 and listed.resume.isEnabled()
    listed.show_rows.setCurrentText(BAD)
    assert len(shown(listed)) == 2
    listed.show_rows.setCurrentText(ALL)
    assert len(shown(listed)) == 5
    opened = []
    monkeypatch.setattr("qtpy.QtGui.QDesktopServices.openUrl", opened.append)
    listed.report.click()
    assert Path(opened[0].toLocalFile()).name == "report.html"
    listed.form.output.setText("elsewhere")
    listed.form.output.editingFinished.emit()
    assert cells(listed) == {} and not listed.report.isEnabled()


def test_times_in_words():
    assert [duration(s) for s in (5, 600, 7200)] == ["5 s", "10 min", "2.0 h"]


CLOSING = """
import sys
import napari
from napari_tem_fft.widgets.docks.batch import duration
from napari_tem_fft.widgets.docks.batch import BatchDock
from qtpy.QtCore import QTimer

viewer = napari.Viewer()
dock = BatchDock(viewer)
viewer.window.add_dock_widget(dock, name="Batch")
dock.form.add_inputs([sys.argv[1]])
dock.form.output.setText(sys.argv[2])
dock.run.recorded.connect(lambda record: QTimer.singleShot(0, viewer.close))
QTimer.singleShot(0, dock.start.click)
napari.run(force=True)
print("closed", flush=True)
"""


@pytest.mark.skipif(os.environ.get("QT_QPA_PLATFORM") == "offscreen", reason="napari needs an OpenGL driver")
def test_closing_napari_in_mid_run_leaves_no_process(images, tmp_path):  # noqa: F811
    marked = {**os.environ, "NAPARI_CONFIG": "", "RUN_OF_A_TEST": str(tmp_path)}
    marked["PYTHONPATH"] = str(Path(__file__).parents[2] / "src")
    command = [sys.executable, "-c", CLOSING, str(images), str(tmp_path / "out")]
    done = subprocess.run(command, env=marked, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0 and done.stdout.split() == ["closed"], done.stderr
    assert "Traceback" not in done.stderr
    assert not [p.pid for p in psutil.process_iter() if of_the_test(p, str(tmp_path))]
    assert (tmp_path / "out" / "report.html").exists()  # what was done is whole


def of_the_test(process, mark):
    with suppress(psutil.Error, OSError):
        return process.environ().get("RUN_OF_A_TEST") == mark
    return False
