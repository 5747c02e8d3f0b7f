"""The U-Net in Keras: building, loading and saving. Only this module and `train` use TensorFlow."""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..inference.model import (
    CONFIG,
    WEIGHTS,
    ModelConfig,
    ModelError,
    check_weights,
    file_hash,
    load_config,
)
from ..inference.prepare import InputParams
from ..inference.unet import NetworkParams, normalised_groups

if TYPE_CHECKING:
    import keras

#: Settings that Keras reads when it is imported, set for this package regardless of the user's other work.
BACKEND, LAYOUT = "tensorflow", "channels_last"


def import_keras() -> Any:
    """Import Keras with TensorFlow, regardless of the user's ``keras.json`` and KERAS_BACKEND.

    TensorFlow's messages are suppressed unless TF_CPP_MIN_LOG_LEVEL=0.

    Raises
    ------
    ModelError
        If TensorFlow is not installed.
    """
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = BACKEND
    quiet = os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") != "0"
    try:
        with _without_stderr() if quiet else nullcontext():
            import keras
            import tensorflow  # noqa: F401
    except ImportError as error:
        raise ModelError(
            f"training needs TensorFlow, which cannot be loaded ({error}): install it with"
            " 'pip install napari-tem-fft[train]'"
        ) from error
    if (backend := keras.config.backend()) != BACKEND:
        raise ModelError(f"training needs Keras with TensorFlow, but it runs with {backend} in this process")
    keras.config.set_image_data_format(LAYOUT)
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    return keras


@contextmanager
def _without_stderr() -> Iterator[None]:
    """Silence the process's stderr: while it is loaded, TensorFlow logs to it at any level."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(nowhere)
        os.close(kept)


def build_unet(network: NetworkParams, shape: tuple[int, int], channels: int, seed: int = 0) -> keras.Model:
    """Build an untrained U-Net.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns, multiples of ``network.multiple``.
    channels : int
        Number of input channels.
    seed : int
        Seed of the initial weights.

    Returns
    -------
    keras.Model
        Input (n, rows, columns, channels), output (n, rows, columns, 1): logits.
    """
    keras = import_keras()
    if any(n % network.multiple for n in shape):
        raise ValueError(f"{shape[0]} x {shape[1]} cells are not multiples of {network.multiple}")
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((*shape, channels))
    x: Any = _fold(inputs, network.fold)
    skips = []
    for level in range(network.depth):
        x = _two_convolutions(x, network.base * 2**level, network)
        skips.append(x)
        x = keras.layers.MaxPooling2D()(x)
    x = _two_convolutions(x, network.base * 2**network.depth, network)
    for level in reversed(range(network.depth)):
        x = keras.layers.Conv2DTranspose(network.base * 2**level, 2, strides=2)(x)
        x = keras.layers.Concatenate()([skips[level], x])
        x = _two_convolutions(x, network.base * 2**level, network)
    # few cells belong to spots: starting from their fraction saves the first steps
    rare = keras.initializers.Constant(-4.0)
    x = keras.layers.Conv2D(network.fold**2, 1, bias_initializer=rare)(x)
    return keras.Model(inputs, _unfold(x, network.fold))


def _fold(x: Any, fold: int) -> Any:
    """Fold blocks of cells into channels: (n, h, w, c) to (n, h / f, w / f, f f c)."""
    from keras import layers

    if fold == 1:
        return x
    _, height, width, channels = x.shape
    x = layers.Reshape((height // fold, fold, width // fold, fold * channels))(x)
    x = layers.Permute((1, 3, 2, 4))(x)
    return layers.Reshape((height // fold, width // fold, fold * fold * channels))(x)


def _unfold(x: Any, fold: int) -> Any:
    """Unfold channels into blocks of cells: (n, h, w, f f) to (n, f h, f w, 1)."""
    from keras import layers

    if fold == 1:
        return x
    _, height, width, _ = x.shape
    x = layers.Reshape((height, width, fold, fold))(x)
    x = layers.Permute((1, 3, 2, 4))(x)
    return layers.Reshape((height * fold, width * fold, 1))(x)


def _two_convolutions(x: Any, features: int, network: NetworkParams) -> Any:
    import keras

    for _ in range(2):
        bare = network.norm == "none"
        x = keras.layers.Conv2D(features, 3, padding="same", use_bias=bare, kernel_initializer="he_normal")(x)
        if network.norm == "batch":
            x = keras.layers.BatchNormalization(momentum=0.9)(x)
        elif network.norm == "group":
            x = keras.layers.GroupNormalization(groups=normalised_groups(features))(x)
        x = keras.layers.Activation("relu")(x)
    return x


def network_for(inputs: InputParams, network: NetworkParams, seed: int = 0) -> keras.Model:
    """Build an untrained U-Net for an input."""
    return build_unet(network, inputs.shape, len(inputs.channels), seed)


def load_network(folder: Path) -> tuple[ModelConfig, keras.Model]:
    """Load the trained network of a folder; its outputs are logits.

    Raises
    ------
    ModelError
        If the folder is damaged, or its weights do not belong to its configuration or network.
    """
    config = load_config(folder)
    path = folder / WEIGHTS
    check_weights(path, config)
    model = network_for(config.inputs, config.network)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # Keras only warns if layers remain untrained
            model.load_weights(path)
    except (ValueError, OSError, KeyError, TypeError, UserWarning) as error:
        raise ModelError(f"{path}: the weights do not fit the network of {CONFIG} ({error})") from error
    return config, model


def save_model(folder: Path, config: ModelConfig, model: keras.Model) -> ModelConfig:
    """Save a model to a folder; the configuration is returned with the hash of the weights."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save(folder / WEIGHTS)
    values = asdict(config) | {"weights_sha256": file_hash(folder / WEIGHTS)}
    (folder / CONFIG).write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
    return load_config(folder)
