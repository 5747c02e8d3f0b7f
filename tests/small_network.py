"""Models so small that a test can afford them, with weights that nobody has trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_tem_fft.nn.model import ModelConfig, save_model
from napari_tem_fft.nn.prepare import InputParams
from napari_tem_fft.nn.unet import NetworkParams, network_for

INPUTS = InputParams(half=31, margin=8)
NETWORK = NetworkParams(base=2, depth=2, fold=2)


def small_model(folder: Path, name: str = "small", seed: int = 0, least: float = 0.0) -> ModelConfig:
    """Write an untrained model, by which every maximum of its output is a proposal."""
    config = ModelConfig(name=name, inputs=INPUTS, network=NETWORK, least=least)
    return save_model(folder, config, network_for(INPUTS, NETWORK, seed))


def some_inputs(seed: int = 1) -> np.ndarray:
    """What the network of `small_model` can be given."""
    shape = (*INPUTS.shape, len(INPUTS.channels))
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)
