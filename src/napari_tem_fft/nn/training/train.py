"""Training of a network from pairs; an interrupted training continues from its last checkpoint."""

from __future__ import annotations

import csv
from collections.abc import Generator, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..inference.model import ModelConfig
from ..inference.prepare import InputParams
from ..inference.unet import NetworkParams
from .dataset import Pairs, batch_of, batches, restore_inputs
from .evaluate import best_threshold, dice, rates, spots_of
from .keras_unet import import_keras, network_for, save_model
from .params import TrainParams

#: Constant of the soft Dice loss that keeps images without spots from dominating it.
SMOOTH = 20.0
#: Number of steps over which the learning rate rises.
WARM_UP = 100
#: Pairs for which the network is run at a time, besides training.
AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class TrainStep:
    """Progress of a training: step, loss and, at checkpoints, the scores on the validation pairs."""

    step: int
    steps: int
    loss: float
    scores: dict[str, float] = field(default_factory=dict)


def train_steps(
    folder: Path,
    name: str,
    pairs: Pairs,
    held_back: Pairs,
    inputs: InputParams,
    network: NetworkParams,
    params: TrainParams,
    start: Any = None,
    ancestry: tuple[str, ...] = (),
) -> Generator[TrainStep, None, ModelConfig]:
    """Train a network and write its folder; yields after each step.

    Parameters
    ----------
    folder : Path
        Receives the model, `log.csv` and, during the training, the folder `checkpoints`.
    pairs, held_back : Pairs
        Pairs for training, and pairs for validation.
    start : keras.Model, optional
        Network to start from instead of random weights.
    ancestry : tuple of str
        Ancestry of `start`.
    """
    keras = import_keras()
    import tensorflow as tf

    tf.config.experimental.enable_op_determinism()
    folder.mkdir(parents=True, exist_ok=True)
    model = start if start is not None else network_for(inputs, network, params.seed)
    optimizer = keras.optimizers.Adam(_schedule(params), global_clipnorm=1.0)
    optimizer.build(model.trainable_variables)
    state = tf.train.Checkpoint(model=model, optimizer=optimizer, step=tf.Variable(0, dtype=tf.int64))
    manager = tf.train.CheckpointManager(state, str(folder / "checkpoints"), max_to_keep=1)
    if manager.latest_checkpoint:
        state.restore(manager.latest_checkpoint).expect_partial()
    first = int(state.step.numpy())
    learn = _learner(model, optimizer, params)
    log = _Log(folder / "log.csv", first)
    scores: dict[str, float] = {}
    if start is not None and not first:  # score of the starting network
        yield TrainStep(0, params.steps, float("nan"), held_back_scores(model, held_back, inputs, params))
    for number, batch in enumerate(
        batches(pairs, params.batch, params.disc, inputs, params.seed, first, params.steps), first + 1
    ):
        loss = float(learn(*(tf.constant(part) for part in (batch.inputs, batch.target, batch.weight))))
        scores = {}
        if number % params.every == 0 or number == params.steps:
            scores = held_back_scores(model, held_back, inputs, params)
            state.step.assign(number)
            manager.save()
        log.write(number, loss, scores)
        yield TrainStep(number, params.steps, loss, scores)
    log.draw(folder / "curves.png")
    least = best_threshold(outputs_of(model, held_back, inputs), held_back, inputs)
    config = ModelConfig(
        name, inputs, network, least, params.disc,
        ancestry=ancestry, training={"parameters": asdict(params), "held_back": scores, "pairs": len(pairs)},
    )  # fmt: skip
    return save_model(folder, config, model)


def _schedule(params: TrainParams) -> Any:
    keras = import_keras()
    warm_up = min(WARM_UP, max(params.steps // 5, 1))
    return keras.optimizers.schedules.CosineDecay(
        params.rate / 20, max(params.steps - warm_up, 1), alpha=0.01, warmup_target=params.rate,
        warmup_steps=warm_up,
    )  # fmt: skip


def _learner(model: Any, optimizer: Any, params: TrainParams) -> Any:
    import tensorflow as tf

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def learn(inputs: Any, target: Any, weight: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = loss_of(model(inputs, training=True), target, weight, params.loss)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    return learn


def loss_of(logits: Any, target: Any, weight: Any, kind: str) -> Any:
    """Loss of a batch: soft Dice per image, focal or plain cross entropy per masked cell, or sums of these.

    The focal loss follows Lin et al. (2017) with gamma = 2; it is divided by the number of masked cells
    rather than of all cells, because masked cells are few.
    """
    import tensorflow as tf

    probability = tf.sigmoid(logits)
    entropy = tf.nn.sigmoid_cross_entropy_with_logits(labels=target, logits=logits)
    masked = tf.reduce_sum(target * weight) + SMOOTH * tf.cast(tf.shape(target)[0], tf.float32)
    wrong = tf.abs(target - probability)
    focal = tf.reduce_sum(weight * wrong**2 * entropy) / masked
    plain = tf.reduce_sum(weight * entropy) / masked
    common = tf.reduce_sum(weight * probability * target, axis=(1, 2, 3))
    both = tf.reduce_sum(weight * (probability + target), axis=(1, 2, 3))
    soft_dice = 1 - tf.reduce_mean((2 * common + SMOOTH) / (both + SMOOTH))
    return {"dice_focal": soft_dice + focal, "dice": soft_dice, "focal": focal, "entropy": plain}[kind]


def outputs_of(model: Any, pairs: Pairs, inputs: InputParams) -> Iterator[NDArray[np.float32]]:
    """Yield the network's output for each pair, shape (rows, columns)."""
    for first in range(0, len(pairs), AT_ONCE):
        logits = model(restore_inputs(pairs.inputs[first : first + AT_ONCE], inputs), training=False)
        yield from 1 / (1 + np.exp(-np.asarray(logits)[..., 0]))


def held_back_scores(model: Any, pairs: Pairs, inputs: InputParams, params: TrainParams) -> dict[str, float]:
    """Dice of the masks, and precision, recall and F1 of the spots before statistical confirmation."""
    common, both, scores = 0, 0, []
    for number, output in enumerate(outputs_of(model, pairs, inputs)):
        one = batch_of(pairs, np.array([number]), params.disc, inputs)
        overlap = dice(output > 0.5, one.target[0, ..., 0] > 0, one.weight[0, ..., 0] > 0)
        common, both = common + overlap[0], both + overlap[1]
        scores.append(spots_of(output, pairs, number, inputs, 0.5))
    spots = rates(scores)
    return {
        "dice": common / max(both, 1), "precision": spots.precision, "recall": spots.recall, "f1": spots.f1,
    }  # fmt: skip


class _Log:
    """`log.csv` with a row per step; rows after the checkpoint from which training continues are removed."""

    columns = ("step", "loss", "dice", "precision", "recall", "f1")

    def __init__(self, path: Path, first: int) -> None:
        self.path = path
        rows = self.rows() if path.is_file() else []
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self.columns)
            writer.writeheader()
            writer.writerows(row for row in rows if int(row["step"]) <= first)

    def rows(self) -> list[dict[str, str]]:
        with self.path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    def write(self, step: int, loss: float, scores: dict[str, float]) -> None:
        with self.path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, self.columns).writerow({"step": step, "loss": f"{loss:.5f}", **scores})

    def draw(self, path: Path) -> None:
        from matplotlib.figure import Figure

        rows = self.rows()
        scored = [row for row in rows if row["f1"]]
        figure = Figure(figsize=(8, 3.2), layout="constrained")
        left, right = figure.subplots(1, 2)
        losses = np.array([float(row["loss"]) for row in rows])
        width = max(len(losses) // 100, 1)
        means = np.convolve(losses, np.ones(width) / width, mode="valid")
        left.plot(np.arange(len(means)) + width, means)
        left.set(xlabel="step", ylabel=f"loss, mean of {width} steps", yscale="log")
        for name in ("dice", "precision", "recall", "f1"):
            right.plot([int(r["step"]) for r in scored], [float(r[name]) for r in scored], label=name)
        right.set(xlabel="step", ylabel="on validation images", ylim=(0, 1))
        right.legend()
        figure.savefig(path, dpi=120)
