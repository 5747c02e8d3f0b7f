"""The parameters of a training; imports no Keras, so that the command line's help is quick."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from ...core.parameters import Field, check_limits


@dataclass(frozen=True, slots=True)
class TrainParams:
    """How a network is trained."""

    steps: Annotated[int, Field("steps", low=1, high=1_000_000, help="Batches that are learnt.")] = 3000
    batch: Annotated[int, Field("batch", low=1, high=256, help="Images a batch.")] = 8
    rate: Annotated[
        float, Field("learning rate", low=1e-7, high=1.0, help="Of Adam at its highest; falls as a cosine.")
    ] = 2e-3
    loss: Annotated[
        str,
        Field("loss", choices=("dice_focal", "dice", "focal", "entropy"), help="What is made small."),
    ] = "dice_focal"
    disc: Annotated[
        float,
        Field("disc", unit="1/nm", low=0.02, high=1.0, help="Radius of the discs of the training masks."),
    ] = 0.08
    seed: Annotated[int, Field("seed", low=0, high=2**31, help="Of weights, order and augmentation.")] = 1
    every: Annotated[
        int, Field("checkpoint", unit="steps", low=1, high=100_000, help="Steps between checkpoints.")
    ] = 250

    def __post_init__(self) -> None:
        check_limits(self)


#: For few images: few steps at a low learning rate.
FINE_TUNING = TrainParams(steps=150, batch=8, rate=3e-4, every=50)
