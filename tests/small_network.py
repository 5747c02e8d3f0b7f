"""Models so small that a test can afford them, with random weights; made without TensorFlow."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import h5py
import numpy as np

from napari_tem_fft.nn.inference.model import CONFIG, WEIGHTS, ModelConfig, file_hash, load_config
from napari_tem_fft.nn.inference.prepare import InputParams
from napari_tem_fft.nn.inference.unet import NetworkParams, weight_shapes

INPUTS = InputParams(half=31, margin=8)
NETWORK = NetworkParams(base=2, depth=2, fold=2)


def small_model(folder: Path, name: str = "small", seed: int = 0, least: float = 0.0) -> ModelConfig:
    """Write an untrained model, by which every maximum of its output is a proposal."""
    return model_of(folder, some_weights(seed), name=name, least=least)


def model_of(folder: Path, weights: Mapping[str, np.ndarray], **config: object) -> ModelConfig:
    """Write a model's folder with these arrays."""
    folder.mkdir(parents=True, exist_ok=True)
    write_weights(folder / WEIGHTS, weights)
    values = ModelConfig(inputs=INPUTS, network=NETWORK, weights_sha256=file_hash(folder / WEIGHTS), **config)
    (folder / CONFIG).write_text(json.dumps(asdict(values)))
    return load_config(folder)


def write_weights(path: Path, weights: Mapping[str, np.ndarray]) -> None:
    """Arrays in the format of a ``weights.keras``."""
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        for name, array in weights.items():
            file[f"layers/{name}"] = array
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model.weights.h5", content.getvalue())


def some_weights(seed: int = 0, network: NetworkParams = NETWORK, channels: int = 5) -> dict[str, np.ndarray]:
    """Arrays of a network's shapes: small numbers, and variances about 1."""
    rng = np.random.default_rng(seed)
    weights = {}
    for name, shape in weight_shapes(network, channels).items():
        if len(shape) > 1:
            array = rng.normal(0, 1 / np.sqrt(np.prod(shape[:-1])), shape)
        elif name.startswith("batch_normalization") and name.endswith("/3"):
            array = rng.uniform(0.5, 2, shape)
        else:
            array = rng.normal(0, 0.3, shape)
        weights[name] = array.astype(np.float32)
    return weights


def some_inputs(seed: int = 1) -> np.ndarray:
    """What the network of `small_model` can be given."""
    shape = (*INPUTS.shape, len(INPUTS.channels))
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)
