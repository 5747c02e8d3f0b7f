"""Parameters of a training; does not import Keras, so that the command line's help is fast."""

from __future__ import annotations

from dataclasses import dataclass

from ...core.parameters import WithinLimits, param


@dataclass(frozen=True, slots=True)
class TrainParams(WithinLimits):
    """Parameters of a training."""

    steps: int = param(3000, "steps", low=1, high=1_000_000, help="Number of batches.")
    batch: int = param(8, "batch", low=1, high=256, help="Images per batch.")
    rate: float = param(
        2e-3, "learning rate", low=1e-7, high=1.0, help="Peak rate of Adam, with cosine decay."
    )
    loss: str = param(
        "dice_focal", "loss", choices=("dice_focal", "dice", "focal", "entropy"), help="Loss function."
    )
    disc: float = param(
        0.08, "disc", unit="1/nm", low=0.02, high=1.0, help="Radius of the discs of the training masks."
    )
    seed: int = param(1, "seed", low=0, high=2**31, help="Seed of weights, order, augmentation.")
    every: int = param(
        250, "checkpoint", unit="steps", low=1, high=100_000, help="Steps between checkpoints."
    )


#: Parameters for few images: few steps with a low learning rate.
FINE_TUNING = TrainParams(steps=150, batch=8, rate=3e-4, every=50)
