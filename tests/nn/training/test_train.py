"""A tiny network learns, goes on where it stopped, and is the same again."""

import json
import sys

import numpy as np
import pytest

from napari_tem_fft.cli.main import main
from napari_tem_fft.nn.inference.model import load_predict
from napari_tem_fft.nn.training.dataset import SURE, Pairs, batch_of, batches, drawn, join_pairs, visible
from nn.toy_pairs import GRID, LIMITS, toy, truth_of
from own_process import in_own_process, needs_tensorflow


def test_what_is_to_be_found():
    truth = truth_of([(0, 4), (3, 3), (5, 1), (0, 1), (0, 9.9)], [20, 10, 3, 99, 99])
    assert visible(truth, LIMITS).tolist() == [True, False, False, False, False]


def test_doubtful_spots_weigh_nothing():
    truth = truth_of([(0, 4), (3, 3)], [20, 10])
    wanted, weight = drawn(truth, LIMITS, 0.4, GRID)
    assert wanted[31, 8 + round(4 / (10 / 31))] == 1 and wanted[31 + 9, 8 + 9] == 0
    assert weight[31, 8 + round(4 / (10 / 31))] == 1 and weight[31 + 9, 8 + 9] == 0
    assert weight[31, 8] == 0 and weight[-1].sum() == 0  # the centre and the empty row


def test_batches_depend_on_their_number_alone():
    pairs = toy(6, 0)
    first = list(batches(pairs, 2, 0.4, GRID, 3, 0, 5))
    again = list(batches(pairs, 2, 0.4, GRID, 3, 3, 5))
    assert np.array_equal(first[3].inputs, again[0].inputs) and np.array_equal(
        first[4].target, again[1].target
    )
    assert not np.array_equal(first[0].inputs, first[1].inputs)


def test_augmented_spots_stay_on_their_targets():
    pairs = toy(3, 1)
    for number in range(8):
        batch = batch_of(pairs, np.arange(3), 0.4, GRID, np.random.default_rng(number))
        assert (
            batch.inputs[..., 0][batch.target[..., 0] > 0].min()
            > batch.inputs[..., 0][(batch.target[..., 0] == 0) & (batch.weight[..., 0] > 0)].max() - 1.0
        )


def test_corrections_are_sure():
    pairs = Pairs.of_corrections([(np.zeros((*GRID.shape, 5)), np.array([[0.0, 4.0]]))], GRID)
    assert len(pairs) == 1 and pairs.truth[0].snr.tolist() == [SURE]
    assert len(join_pairs([pairs, toy(2, 0)])) == 3


@needs_tensorflow
def test_training_learns_stops_and_goes_on(tmp_path):
    found = in_own_process("nn.keras_work", "train_whole_and_in_parts", str(tmp_path))
    whole, rest = found["whole"], found["rest"]
    assert whole[-1][2] > 0.5 and whole[-1][1] < 0.5 * whole[0][1]
    assert [step for step, *_ in rest] == list(range(21, 41))  # after the checkpoint of step 20
    assert rest[-1][1] == pytest.approx(whole[-1][1], rel=1e-3)
    assert found["logged"] == list(range(1, 41))
    assert (tmp_path / "parts" / "curves.png").stat().st_size > 1000


@needs_tensorflow
def test_losses_are_least_for_the_truth():
    for right, blank, wrong in in_own_process("nn.keras_work", "losses").values():
        assert right < 0.01 < blank < wrong


@needs_tensorflow
def test_command_line_trains_and_fine_tunes_whatever_keras_is_set_to(tmp_path):
    """Settings that a user's other work needs change nothing: layout, back-end, half floats."""
    home = tmp_path / "keras"
    home.mkdir()
    settings = {"image_data_format": "channels_first", "backend": "jax", "floatx": "float16"}
    (home / "keras.json").write_text(json.dumps(settings))
    environment = {"KERAS_HOME": str(home), "KERAS_BACKEND": "jax"}
    found = in_own_process("nn.keras_work", "train_by_command", str(tmp_path), **environment)
    # no model is written over, and images of 64 pixels or fewer there are none
    assert found["codes"] == [0, 2, 0, 2, 0] and found["backend"] == "tensorflow"
    first, tuned, more = found["configs"]
    assert first["training"]["parameters"]["steps"] == 2 and first["ancestry"] == []
    assert tuned["ancestry"][0].startswith("model ")
    assert more["ancestry"] == tuned["ancestry"] and more["network"] == first["network"]
    load_predict(tmp_path / "tuned")


def test_without_tensorflow_training_says_what_to_install(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    monkeypatch.setitem(sys.modules, "keras", None)
    assert main(["train", "-o", str(tmp_path / "new")]) == 2
    assert "pip install napari-tem-fft[train]" in capsys.readouterr().err and not (tmp_path / "new").exists()


def test_command_line_says_what_belongs_together(tmp_path, capsys):
    assert main(["train", "-o", str(tmp_path / "new"), "--finetune", "spots"]) == 2
    assert "belong together" in capsys.readouterr().err
    twice = ["--finetune", "spots", "--pairs", str(tmp_path), "--start", "spots"]
    assert main(["train", "-o", str(tmp_path / "new"), *twice]) == 2
    assert "omit --start" in capsys.readouterr().err
