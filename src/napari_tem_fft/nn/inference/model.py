"""A model's folder: config.json, weights.keras and MODEL_CARD.md; loading it never runs code from it.

The architecture is rebuilt from `config.json`, of which only numbers and known words are used; from
`weights.keras` only the arrays are read. Neither needs TensorFlow, which is used for training alone
(`keras_unet`).
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
from numpy.typing import NDArray

from .prepare import InputParams
from .propose import Predict, Segmenter
from .unet import NetworkParams, UNet, weight_shapes

CONFIG, WEIGHTS, CARD = "config.json", "weights.keras", "MODEL_CARD.md"
#: Name of the default model.
DEFAULT = "spots"
#: Parameter value that selects the default model, and the environment variable that can name another one.
AUTO, ENVIRONMENT = "auto", "NAPARI_TEM_FFT_NETWORK"
#: Parameter values that select no model.
NO_MODEL = ("", "none")
#: Largest configuration and weights of a model, bytes.
LARGEST_CONFIG, LARGEST_WEIGHTS = 1 << 20, 200 << 20


class ModelError(ValueError):
    """A folder contains no model, or a damaged one."""


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Contents of config.json.

    Attributes
    ----------
    name : str
    inputs : InputParams
    network : NetworkParams
    least : float
        Threshold on the output above which a cell belongs to a spot.
    disc : float, 1/nm
        Radius of the discs in the training masks.
    weights_sha256 : str
        Hash of `weights.keras`.
    ancestry : tuple of str
        Names and hashes of the models from which it was fine-tuned, nearest first.
    training : mapping
        Parameters, seeds and scores of the training, for information only.
    """

    name: str
    inputs: InputParams
    network: NetworkParams
    least: float = 0.5
    disc: float = 0.08
    weights_sha256: str = ""
    ancestry: tuple[str, ...] = ()
    training: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not (0 <= self.least <= 1 and 0 < self.disc <= 10):
            raise ValueError(f"impossible values: least {self.least}, disc {self.disc} 1/nm")


def resolve_name(name: str) -> str:
    """Name or path of the model that a parameter selects; empty for statistical detection alone.

    "auto" is the model named by the environment variable `NAPARI_TEM_FFT_NETWORK`, or the bundled one.
    """
    if name.strip().lower() == AUTO:
        name = os.environ.get(ENVIRONMENT, DEFAULT)
    return "" if name.strip().lower() in NO_MODEL else name


def names_model(name: str) -> bool:
    """Whether a parameter selects a model rather than statistical detection alone."""
    return bool(resolve_name(name))


def own_folder() -> Path:
    """Folder of the user's own models in the platform's configuration directory."""
    return Path(platformdirs.user_config_dir("napari-tem-fft", appauthor=False)) / "models"


def known_models() -> tuple[str, ...]:
    """Names of the bundled models and of the user's own."""
    own = (path.parent.name for path in own_folder().glob(f"*/{CONFIG}"))
    return tuple(dict.fromkeys((*shipped_models(), *sorted(own))))


def model_folder(name_or_path: str | Path) -> Path:
    """Folder of a bundled model or one of the user's own, by name or path.

    Raises
    ------
    ModelError
        If there is no such model.
    """
    name = resolve_name(str(name_or_path))
    if not name:
        raise ModelError(f"{name_or_path}: selects no model, but statistical detection alone")
    path = Path(name)
    if (path / CONFIG).is_file():
        return path
    for place in (Path(str(files("napari_tem_fft") / "models")), own_folder()):
        if str(path) == path.name and (place / path.name / CONFIG).is_file():
            return place / path.name
    known = ", ".join(known_models()) or "none"
    raise ModelError(f"{name_or_path}: neither the name of a model (known: {known}) nor a model's folder")


def shipped_models() -> tuple[str, ...]:
    """Names of the models bundled with the package."""
    folder = Path(str(files("napari_tem_fft") / "models"))
    return tuple(sorted(p.parent.name for p in folder.glob(f"*/{CONFIG}")))


def load_config(folder: Path) -> ModelConfig:
    """Read the configuration of a model; does not import Keras.

    Raises
    ------
    ModelError
        If the file is missing, too large, or contains impossible values.
    """
    path = folder / CONFIG
    try:
        if path.stat().st_size > LARGEST_CONFIG:
            raise ModelError(f"{path}: too large for a model's configuration")
        values = json.loads(path.read_text(encoding="utf-8"))
        inputs, network = dict(values["inputs"]), dict(values["network"])
        inputs["channels"] = tuple(inputs["channels"])
        return ModelConfig(
            name=str(values["name"]),
            inputs=InputParams(**inputs),
            network=NetworkParams(**network),
            least=float(values["least"]),
            disc=float(values["disc"]),
            weights_sha256=str(values["weights_sha256"]),
            ancestry=tuple(str(line) for line in values.get("ancestry", ())),
            training=dict(values.get("training", {})),
        )
    except (OSError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ModelError(f"{path}: {error}") from error


def check_weights(path: Path, config: ModelConfig) -> None:
    """Refuse weights that are too large or do not belong to the configuration.

    Raises
    ------
    ModelError
    """
    try:
        if path.stat().st_size > LARGEST_WEIGHTS:
            raise ModelError(f"{path}: too large for a model's weights")
        found = file_hash(path)
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > LARGEST_WEIGHTS:
                raise ModelError(f"{path}: too large for a model's weights")
    except (OSError, zipfile.BadZipFile) as error:
        raise ModelError(f"{path}: the weights cannot be read ({error})") from error
    if found != config.weights_sha256:
        raise ModelError(f"{path}: not the weights to which {CONFIG} belongs (their SHA-256 differs)")


def file_hash(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def load_predict(folder: Path) -> tuple[ModelConfig, Predict]:
    """Load the network of a folder as a function.

    Returns
    -------
    config : ModelConfig
    predict : callable

    Raises
    ------
    ModelError
        If the folder is damaged, or its weights do not belong to its configuration.
    """
    config = load_config(folder)
    path = folder / WEIGHTS
    check_weights(path, config)
    shapes = weight_shapes(config.network, len(config.inputs.channels))
    try:
        return config, UNet(config.network, read_weights(path, shapes))
    except (ValueError, OSError, KeyError, RuntimeError, TypeError) as error:
        raise ModelError(f"{path}: the weights do not fit the network of {CONFIG} ({error})") from error


def read_weights(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, NDArray[np.float32]]:
    """Read the arrays of `weights.keras`, a zip archive with an HDF5 file; everything else in it is ignored.

    Parameters
    ----------
    path : Path
    shapes : mapping of str to tuple of int
        Names and shapes of exactly the arrays that must be present.

    Raises
    ------
    ValueError, KeyError, OSError, RuntimeError, TypeError
        If an array is missing, has another shape or type, or is stored outside the file.
    """
    import h5py

    if 4 * sum(map(math.prod, shapes.values())) > LARGEST_WEIGHTS:
        raise ValueError("a larger network than any model's")
    with zipfile.ZipFile(path) as archive:
        content = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(content, "r") as file:
        layers = file["layers"]
        stored = {f"{layer}/vars/{i}" for layer in layers for i in layers[layer].get("vars", ())}
        if unlike := sorted(stored ^ shapes.keys()):
            raise ValueError(
                f"{unlike[0]} is {'missing' if unlike[0] in shapes else 'not part of this network'}"
            )
        return {name: _own_array(layers, name, shape) for name, shape in shapes.items()}


def _own_array(layers: Any, name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Read an array stored in the file itself; HDF5's links to other files are refused."""
    import h5py

    place = layers
    for part in name.split("/"):
        if not isinstance(place.get(part, getlink=True), h5py.HardLink):
            raise ValueError(f"{name} is a link")
        place = place[part]
    if not isinstance(place, h5py.Dataset) or place.shape != shape or place.dtype != np.float32:
        raise ValueError(f"{name} is not an array of float32 of shape {shape}")
    if place.is_virtual or place.external:
        raise ValueError(f"{name} is stored in another file")
    array = np.asarray(place[()], np.float32)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} contains values that are not a number")
    return array


def load_segmenter(name_or_path: str | Path = DEFAULT, false_alarms: float = 0.01) -> Segmenter:
    """Load a model in the form required by `analysis_steps`.

    Raises
    ------
    ModelError
        If the model does not exist or is damaged.
    """
    config, predict = load_predict(model_folder(name_or_path))
    return Segmenter(predict, config.inputs, config.least, false_alarms, config.name, config.weights_sha256)
