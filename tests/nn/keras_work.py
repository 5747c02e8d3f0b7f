"""What tests do with TensorFlow, each function in a process of its own (see `own_process`)."""

import csv
import json
from itertools import product
from pathlib import Path

import numpy as np

from napari_tem_fft.cli import train as _cli_train
from napari_tem_fft.cli.main import main
from napari_tem_fft.io.readers.micrographs import read_micrograph
from napari_tem_fft.nn.inference.model import ModelConfig, load_predict, model_folder
from napari_tem_fft.nn.inference.prepare import InputParams, network_input, target
from napari_tem_fft.nn.inference.unet import NetworkParams
from napari_tem_fft.nn.simulation.conditions import SynthesisParams
from napari_tem_fft.nn.training import dataset
from napari_tem_fft.nn.training.keras_unet import import_keras, load_network, network_for, save_model
from napari_tem_fft.nn.training.params import TrainParams
from napari_tem_fft.nn.training.train import loss_of, train_steps
from nn.toy_pairs import GRID, toy
from small_network import model_of, some_inputs, some_weights

TINY = NetworkParams(base=4, depth=2, fold=2)
#: A grid that every depth and fold below divides.
EVEN = InputParams(half=31, margin=0, q_max=5.0)


def keras_output(model, inputs):
    logits = np.asarray(model(inputs[None], training=False), np.float64)
    return 1 / (1 + np.exp(-logits[0, ..., 0]))


def compare_options(folder):
    """Largest difference between NumPy and Keras, and scatter of the output, for each kind of network."""
    rng, found = np.random.default_rng(0), {}
    sizes = ((1, 4), (2, 5), (3, 4))
    for norm, fold, (depth, base) in product(("none", "batch", "group"), (1, 2, 4), sizes):
        try:
            network = NetworkParams(base, depth, fold, norm)
        except ValueError:
            continue  # features that are no multiple of the groups
        model = network_for(EVEN, network)
        for weight, array in zip(model.weights, some_weights(1, network).values(), strict=True):
            assert weight.shape == array.shape
            weight.assign(array)
        name = f"{norm}-{fold}-{depth}-{base}"
        save_model(Path(folder, name), ModelConfig(name, EVEN, network), model)
        _, predict = load_predict(Path(folder, name))
        inputs = rng.normal(size=(*EVEN.shape, 5)).astype(np.float32)
        output = predict(inputs)
        found[name] = [float(np.abs(keras_output(model, inputs) - output).max()), float(output.std())]
    return found


def compare_samples():
    """Largest difference between NumPy and Keras for the shipped model on the shipped images."""
    config, predict = load_predict(model_folder("spots"))
    _, model = load_network(model_folder("spots"))
    found = {}
    for path in sorted(Path(str(model_folder("spots"))).parents[1].glob("data/*.dm4")):
        inputs = network_input(*dataset.spectra_of(read_micrograph(path), 11.0), config.inputs)
        output = predict(inputs)
        found[path.name] = [float(np.abs(keras_output(model, inputs) - output).max()), float(output.max())]
    return found


def written_by_hand(folder):
    """Whether Keras reads what `small_network` writes, and answers as NumPy does."""
    config = model_of(Path(folder), some_weights(3), name="hand")
    _, predict = load_predict(Path(folder))
    _, model = load_network(Path(folder))
    return [config.name, float(np.abs(keras_output(model, some_inputs()) - predict(some_inputs())).max())]


def train_whole_and_in_parts(folder):
    """Losses and scores of a training, of the same in two parts, and the steps that the log of these has."""
    params = TrainParams(steps=40, batch=4, rate=1e-2, disc=0.4, every=20)
    pairs, held_back = toy(24, 0), toy(6, 1)

    def run(name, stop):
        seen = []
        for step in train_steps(Path(folder, name), "toy", pairs, held_back, GRID, TINY, params):
            seen.append([step.step, step.loss, step.scores.get("dice", 0.0)])
            if step.step == stop:
                break
        return seen

    whole, _, rest = run("whole", 0), run("parts", 25), run("parts", 0)
    with Path(folder, "parts", "log.csv").open() as file:
        logged = [int(row["step"]) for row in csv.DictReader(file)]
    return {"whole": whole, "rest": rest, "logged": logged}


def losses():
    """Loss of the right answer, of nothing, and of the wrong one, for each kind."""
    import_keras()
    import tensorflow as tf

    truth = tf.constant(target(np.array([[0.0, 4.0]]), 0.6, GRID)[None, ..., None], tf.float32)
    weight = tf.ones_like(truth)
    answers = (20 * truth - 10, 0 * truth - 10, 10 - 20 * truth)
    kinds = ("dice_focal", "dice", "focal", "entropy")
    return {kind: [float(loss_of(a, truth, weight, kind)) for a in answers] for kind in kinds}


def train_by_command(folder):
    """Exit codes of trainings by the command line: anew, in the same place, fine-tuned, gone on with."""
    dataset.SHARD = 2
    dataset.ProcessPoolExecutor = _Here
    few = SynthesisParams(sizes=(128,), shares=(1.0,), pixel_size=(0.04, 0.045))
    _cli_train.SynthesisParams = lambda: few
    _cli_train.InputParams = lambda: GRID
    sizes = ["--base", "2", "--depth", "1", "--fold", "2", "--batch", "2", "--progress", "json"]
    model, tuned = str(Path(folder, "model")), str(Path(folder, "tuned"))
    anew = ["train", "-o", model, "--images", "2", "--held-back", "2", "--steps", "2", *sizes]
    codes = [main(anew), main(anew)]
    save_correction(Path(folder, "pairs"))
    given = ["--finetune", model, "--pairs", str(Path(folder, "pairs")), "--mix", "2", "--steps", "2"]
    codes.append(main(["train", "-o", tuned, *given, "--batch", "2", "--progress", "none"]))
    more = str(Path(folder, "more"))  # other pairs would be refused: no image has 64 pixels or fewer
    codes.append(main(["train", "-o", more, "--start", model, "--largest", "64", "--progress", "none"]))
    given = ["--start", model, "--keep-pairs", str(Path(model, "pairs")), "--images", "2", "--held-back", "2"]
    codes.append(main(["train", "-o", more, *given, "--steps", "1", "--batch", "2", "--progress", "none"]))
    configs = [json.loads(Path(place, "config.json").read_text()) for place in (model, tuned, more)]
    return {"codes": codes, "configs": configs, "backend": import_keras().config.backend()}


class _Here:
    """A pool of processes that works in this one."""

    def __init__(self, *_):
        self.map = map

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


def save_correction(folder):
    from forward_model import lattice, white_noise
    from napari_tem_fft.core.image.calibration import Calibration
    from napari_tem_fft.core.image.micrograph import Micrograph
    from napari_tem_fft.core.pipeline import analysis_steps
    from napari_tem_fft.core.progress import exhaust
    from napari_tem_fft.nn.training.corrections import save_pair

    pixels = white_noise((160, 160), 0) + lattice((160, 160), (0.03, 0.03), [(0.25, 30.0), (0.2, 100.0)])
    analysis = exhaust(analysis_steps(Micrograph(pixels, Calibration.real(0.03)), ()))
    save_pair(folder, analysis, analysis.spots, GRID)
