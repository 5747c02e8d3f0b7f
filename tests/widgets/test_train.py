"""The training dock: pairs kept and listed, trainings followed, with a stand-in for the command."""

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from napari.utils.notifications import notification_manager

from mouse import press
from napari_tem_fft.cli.options import build_parser
from napari_tem_fft.core.reanalysis import is_edited
from napari_tem_fft.layers.image import KEY
from napari_tem_fft.nn.inference.prepare import InputParams
from napari_tem_fft.nn.training.corrections import load_pairs
from napari_tem_fft.widgets.docks.train import TrainDock
from napari_tem_fft.widgets.session import child_processes
from napari_tem_fft.widgets.session.child_processes import command
from own_process import needs_tensorflow
from small_network import small_model

PROGRAM = """
import json, pathlib, sys, time
what, output = sys.argv[1], pathlib.Path(sys.argv[2])
print("WARNING: something else", flush=True)
scores = {0: {"f1": 0.5, "precision": 0.4, "recall": 0.7}, 20: {"f1": 0.9, "precision": 0.95, "recall": 0.85}}
for step in (0, 10, 20):
    told = {"stage": "training", "step": step, "steps": 20, **({"loss": 0.5 / step} if step else {})}
    print(json.dumps({**told, **scores.get(step, {})}), flush=True)
    time.sleep(0.1)
if what == "long":
    time.sleep(60)
if what == "fails":
    sys.exit("napari-tem-fft: the disk is full")
output.mkdir(parents=True)
(output / "config.json").write_text("{}")
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """The user's folder of models, with one model in it."""
    folder = tmp_path / "models"
    (folder / "first").mkdir(parents=True)
    (folder / "first" / "config.json").write_text("{}")
    monkeypatch.setattr("napari_tem_fft.nn.inference.model.own_folder", lambda: folder)
    monkeypatch.setattr("napari_tem_fft.widgets.docks.train.own_folder", lambda: folder)
    return folder


@pytest.fixture
def trainer(viewer, own):
    dock = TrainDock(viewer)
    viewer.window.add_dock_widget(dock, name="Train")
    return dock


@pytest.fixture
def stand_in(monkeypatch, trainer):
    """The command's stand-in does what it is told: "learns", "long" or "fails"."""
    (pairs := own_pairs(trainer)).mkdir()
    (pairs / "a.npz").write_bytes(b"")

    def use(what):
        monkeypatch.setattr(
            "napari_tem_fft.widgets.session.child_processes.command",
            lambda base, pairs, output: (sys.executable, "-c", PROGRAM, what, str(output)),
        )

    return use


@pytest.fixture(autouse=True)
def _speeds(tmp_path, monkeypatch):
    """A folder of its own for what a training takes."""
    monkeypatch.setattr("napari_tem_fft.widgets.session.child_processes._cache", lambda: tmp_path / "kept")


def own_pairs(trainer):
    return Path(trainer.folder.text())


def messages():
    return [str(record.message) for record in notification_manager.records]


def test_the_corrected_mask_is_saved_and_listed(analysed, trainer, own, dock, run, qtbot):
    shutil.rmtree(own / "first")
    dock.session.network.listed.emit()
    spots, mask = analysed.spots, analysed.group["mask"]
    middle = (np.array(mask.data.shape) - 1) / 2
    centre = np.round(np.array(spots[0].g) / mask.metadata[KEY]["step_1_nm"] + middle)
    run(dock.session, lambda: mask.fill(centre, 0))
    qtbot.waitUntil(trainer.save.isEnabled, timeout=60_000)
    with qtbot.waitSignal(trainer.saver.returned, timeout=60_000):
        trainer.save.click()
    (pair,) = load_pairs(own_pairs(trainer))
    assert pair.g.tolist() == [list(spots[1].g)] and pair.inputs.shape[:2] == InputParams().shape
    item = trainer.pairs.topLevelItem(0)
    assert (item.text(0), item.text(1)) == ("grain", "1")


def test_an_edit_that_was_undone_is_no_correction(analysed, trainer, dock, run, qtbot):
    press(trainer.save)
    assert "was not edited" in messages()[-1]
    spot = analysed.spots[0]
    run(dock.session, lambda: dock.session.edits.enable([spot.id], False))
    run(dock.session, lambda: dock.session.edits.point(tuple(1.2 * g for g in spot.g)))
    assert is_edited(analysed.analysis)
    for _ in range(2):
        run(dock.session, lambda: press(dock.spots.undo))
    assert not is_edited(analysed.analysis)
    said = len(messages())
    qtbot.waitUntil(trainer.save.isEnabled, timeout=60_000)
    press(trainer.save)
    assert len(messages()) == said + 1 and not list(own_pairs(trainer).glob("*.npz"))


def test_before_it_begins_it_says_how_long_it_takes(trainer, own, tmp_path, monkeypatch):
    small_model(own / "real", "real")
    monkeypatch.setattr(child_processes, "model_folder", lambda name: own / name)
    assert trainer.estimate.text() == ""  # there are no pairs
    own_pairs(trainer).mkdir()
    (own_pairs(trainer) / "a.npz").write_bytes(b"")
    trainer.base.addItem("real", "real")
    trainer.base.setCurrentIndex(trainer.base.count() - 1)
    child_processes.remember_speeds({"training": 2.0, "images (train)": 5.0})
    trainer._list_pairs()
    assert trainer.estimate.text() == "Fine-tuning takes about 11 min on this computer"
    (kept := child_processes.kept_pairs("real") / "train").mkdir(parents=True)
    (kept / "pairs-00000.npz").write_bytes(b"")
    trainer._list_pairs()
    assert trainer.estimate.text() == "Fine-tuning takes about 5 min on this computer"


def test_without_an_analysis_nothing_can_be_saved(trainer):
    assert not trainer.save.isEnabled()
    assert trainer.start.isEnabled() and trainer.base.currentText() == "first"


def test_a_training_shows_how_it_goes_and_its_model_can_be_chosen(trainer, dock, stand_in, qtbot):
    stand_in("learns")
    seen = []
    trainer.training.progressed.connect(lambda *told: seen.append(told))
    with qtbot.waitSignal(trainer.training.ended, timeout=30_000):
        trainer.start.click()
        assert trainer.cancel.isEnabled() and not trainer.start.isEnabled()
    assert seen == [
        ("training", 0, 20),
        ("training, loss 0.0500", 10, 20),
        ("training, loss 0.0250", 20, 20),
    ]
    assert trainer.scores.text().startswith("On your pairs: F1 0.50 before, 0.90 now")
    assert "spots found 70 %, now 85 %" in trainer.scores.text()
    assert 0.001 < child_processes.known_speeds()["training"] < 0.5  # what it took here counts the next time
    assert "corrected is ready" in trainer.state.text()
    names = [dock.network.list.itemText(i) for i in range(dock.network.list.count())]
    assert "corrected" in names and trainer.start.isEnabled()
    trainer.start.click()
    assert "a model corrected exists already" in messages()[-1]


def test_a_training_that_fails_says_why(trainer, stand_in, qtbot):
    stand_in("fails")
    with qtbot.waitSignal(trainer.training.ended, timeout=30_000):
        trainer.start.click()
    assert "the disk is full" in trainer.state.text() and "the disk is full" in messages()[-1]


def test_a_training_can_be_cancelled(trainer, stand_in, qtbot):
    stand_in("long")
    trainer.start.click()
    qtbot.waitUntil(lambda: trainer.progress.value() == 20, timeout=30_000)
    with qtbot.waitSignal(trainer.training.ended, timeout=60_000):
        trainer.cancel.click()
    assert trainer.state.text() == "cancelled" and not trainer.training.running


def test_what_cannot_be_trained_is_refused(trainer):
    trainer.start.click()
    assert "no training pair in this folder" in messages()[-1]
    trainer.name.setText("../elsewhere")
    trainer.start.click()
    assert "a name that is valid for a folder" in messages()[-1]


SMALL = ("--mix", "2", "--steps", "2", "--batch", "2", "--every", "2", "--workers", "1")


@needs_tensorflow
def test_a_real_fine_tuning_gives_a_model_that_can_be_used(
    analysed, trainer, dock, own, run, qtbot, tmp_path, monkeypatch
):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    small_model(own / "first", "first")
    dock.session.network.listed.emit()
    monkeypatch.setattr(
        "napari_tem_fft.widgets.session.child_processes.command",
        lambda base, *to: (*command(str(own / base), *to), *SMALL, "--keep-pairs", str(tmp_path / "kept")),
    )
    mask = analysed.group["mask"]
    middle = (np.array(mask.data.shape) - 1) / 2
    centre = np.round(np.array(analysed.spots[0].g) / mask.metadata[KEY]["step_1_nm"] + middle)
    run(dock.session, lambda: mask.fill(centre, 0))
    qtbot.waitUntil(trainer.save.isEnabled, timeout=60_000)
    with qtbot.waitSignal(trainer.saver.returned, timeout=60_000):
        trainer.save.click()
    seen = []
    trainer.training.progressed.connect(lambda *told: seen.append(told))
    with qtbot.waitSignal(trainer.training.ended, timeout=300_000):
        trainer.start.click()
    assert trainer.state.text().startswith("corrected is ready")
    assert seen[-1][1:] == (2, 2) and "loss" in seen[-1][0]
    assert (own / "corrected" / "weights.keras").exists()
    dock.network.value = "corrected"
    assert dock.network.list.currentText() == "corrected"
    with qtbot.waitSignal(dock.session.runner.stopped, timeout=200_000):
        dock.run.click()
    assert dock.session.current.analysis.network.name == "corrected"


def test_the_command_is_one_that_the_command_line_knows(tmp_path, monkeypatch):
    class Config:
        inputs = InputParams()

    monkeypatch.setattr("napari_tem_fft.widgets.session.child_processes.load_config", lambda folder: Config)
    monkeypatch.setattr("napari_tem_fft.widgets.session.child_processes.model_folder", lambda name: tmp_path)
    words = command("spots", tmp_path / "pairs", tmp_path / "new")
    args = build_parser().parse_args(words[words.index("napari_tem_fft") + 1 :])
    assert (args.command, args.finetune, args.progress) == ("train", "spots", "json")
    assert args.pairs == tmp_path / "pairs" and args.output == tmp_path / "new"
