"""The parameters of a training; imports no Keras, so that the command line's help is quick."""

from __future__ import annotations

from dataclasses import dataclass

from ...core.parameters import WithinLimits, param


@dataclass(frozen=True, slots=True)
class TrainParams(WithinLimits):
    """How a network is trained."""

    steps: int = param(3000, "steps", low=1, high=1_000_000, help="Batches that are learnt.")
    batch: int = param(8, "batch", low=1, high=256, help="Images a batch.")
    rate: float = param(
        2e-3, "learning rate", low=1e-7, high=1.0, help="Of Adam at its highest; falls as a cosine."
    )
    loss: str = param(
        "dice_focal", "loss", choices=("dice_focal", "dice", "focal", "entropy"), help="What is made small."
    )
    disc: float = param(
        0.08, "disc", unit="1/nm", low=0.02, high=1.0, help="Radius of the discs of the training masks."
    )
    seed: int = param(1, "seed", low=0, high=2**31, help="Of weights, order and augmentation.")
    every: int = param(
        250, "checkpoint", unit="steps", low=1, high=100_000, help="Steps between checkpoints."
    )


#: For few images: few steps at a low learning rate.
FINE_TUNING = TrainParams(steps=150, batch=8, rate=3e-4, every=50)
