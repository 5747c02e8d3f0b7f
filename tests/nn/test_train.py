"""A tiny network learns, goes on where it stopped, and is the same again."""

import csv
import json

import numpy as np
import pytest

from napari_tem_fft.cli import main
from napari_tem_fft.nn.batches import batch_of, batches, drawn, visible
from napari_tem_fft.nn.dataset import SURE, Pairs, joined
from napari_tem_fft.nn.prepare import target
from napari_tem_fft.nn.train_params import TrainParams
from napari_tem_fft.nn.unet import NetworkParams
from nn.toy_pairs import GRID, LIMITS, toy, truth_of

TINY = NetworkParams(base=4, depth=2, fold=2)


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
    assert len(joined([pairs, toy(2, 0)])) == 3


@pytest.mark.tensorflow
def test_training_learns_stops_and_goes_on(tmp_path):
    from napari_tem_fft.nn.train import train_steps

    params = TrainParams(steps=40, batch=4, rate=1e-2, disc=0.4, every=20)
    pairs, held_back = toy(24, 0), toy(6, 1)

    def run(folder, stop):
        seen = []
        for step in train_steps(tmp_path / folder, "toy", pairs, held_back, GRID, TINY, params):
            seen.append(step)
            if step.step == stop:
                break
        return seen

    whole = run("whole", 0)
    assert whole[-1].scores["dice"] > 0.5 and whole[-1].loss < 0.5 * whole[0].loss
    run("parts", 25)
    rest = run("parts", 0)
    assert [s.step for s in rest] == list(range(21, 41))  # after the checkpoint of step 20
    assert rest[-1].loss == pytest.approx(whole[-1].loss, rel=1e-3)
    with (tmp_path / "parts" / "log.csv").open() as file:
        assert [int(row["step"]) for row in csv.DictReader(file)] == list(range(1, 41))
    assert (tmp_path / "parts" / "curves.png").stat().st_size > 1000


@pytest.mark.tensorflow
@pytest.mark.parametrize("kind", ["dice_focal", "dice", "focal", "entropy"])
def test_losses_are_least_for_the_truth(kind):
    import tensorflow as tf

    from napari_tem_fft.nn.train import loss_of

    truth = tf.constant(target(np.array([[0.0, 4.0]]), 0.6, GRID)[None, ..., None], tf.float32)
    weight = tf.ones_like(truth)
    right, wrong, blank = (
        loss_of(v, truth, weight, kind) for v in (20 * truth - 10, 10 - 20 * truth, 0 * truth - 10)
    )
    assert float(right) < 0.01 < float(blank) < float(wrong)


@pytest.mark.tensorflow
def test_command_line_trains_and_fine_tunes(tmp_path, monkeypatch, capsys):
    from napari_tem_fft import _cli_train
    from napari_tem_fft.nn.synthesis_params import SynthesisParams

    few = SynthesisParams(sizes=(128,), shares=(1.0,), pixel_size=(0.04, 0.045))
    monkeypatch.setattr("napari_tem_fft.nn.dataset.SHARD", 2)
    monkeypatch.setattr(_cli_train, "SynthesisParams", lambda: few)
    monkeypatch.setattr(_cli_train, "InputParams", lambda: GRID)
    monkeypatch.setattr("napari_tem_fft.nn.dataset.ProcessPoolExecutor", Here)
    sizes = ["--base", "2", "--depth", "1", "--fold", "2", "--batch", "2", "--progress", "json"]
    model = tmp_path / "model"
    arguments = ["--images", "2", "--held-back", "2", "--steps", "2", *sizes]
    assert main(["train", "-o", str(model), *arguments]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert {k: lines[-1][k] for k in ("stage", "step", "steps")} == {
        "stage": "training",
        "step": 2,
        "steps": 2,
    }
    config = json.loads((model / "config.json").read_text())
    assert config["training"]["parameters"]["steps"] == 2 and config["ancestry"] == []
    assert main(["train", "-o", str(model), *arguments]) == 2  # a model is never written over
    assert "holds a model already" in capsys.readouterr().err
    save_correction(tmp_path / "pairs")
    tuned = ["--finetune", str(model), "--pairs", str(tmp_path / "pairs"), "--mix", "2", "--steps", "2"]
    assert main(["train", "-o", str(tmp_path / "tuned"), *tuned, "--batch", "2", "--progress", "none"]) == 0
    config = json.loads((tmp_path / "tuned" / "config.json").read_text())
    assert config["ancestry"][0].startswith("model ")


def test_command_line_says_what_belongs_together(tmp_path, capsys):
    assert main(["train", "-o", str(tmp_path / "new"), "--finetune", "spots"]) == 2
    assert "belong together" in capsys.readouterr().err


class Here:
    """A pool of processes that works in this one."""

    def __init__(self, *_: object) -> None:
        self.map = map

    def __enter__(self) -> "Here":
        return self

    def __exit__(self, *_: object) -> None:
        pass


def save_correction(folder) -> None:
    from forward_model import lattice, white_noise
    from napari_tem_fft.core.calibration import Calibration
    from napari_tem_fft.core.micrograph import Micrograph
    from napari_tem_fft.core.pipeline import analysis_steps
    from napari_tem_fft.core.progress import exhaust
    from napari_tem_fft.nn.corrections import save_pair

    pixels = white_noise((160, 160), 0) + lattice((160, 160), (0.03, 0.03), [(0.25, 30.0), (0.2, 100.0)])
    analysis = exhaust(analysis_steps(Micrograph(pixels, Calibration.real(0.03)), ()))
    save_pair(folder, analysis, analysis.spots, GRID)
