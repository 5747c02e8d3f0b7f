"""A model's folder: config.json, weights.keras and MODEL_CARD.md; loaded without running any code of its.

The architecture is rebuilt from `config.json`, of which only numbers and known words are taken; of
`weights.keras` only the arrays are read.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import platformdirs
from numpy.typing import NDArray

from .prepare import InputParams
from .propose import Predict, Segmenter
from .unet import NetworkParams, network_for

if TYPE_CHECKING:
    import keras

CONFIG, WEIGHTS, CARD = "config.json", "weights.keras", "MODEL_CARD.md"
#: The model that is used unless another is chosen.
DEFAULT = "spots"
#: A parameter's word for the usual model, and the environment variable that names another.
AUTO, ENVIRONMENT = "auto", "NAPARI_TEM_FFT_NETWORK"
#: Names by which no model is chosen.
NO_MODEL = ("", "none")
#: Larger files are no model of ours.
LARGEST_CONFIG, LARGEST_WEIGHTS = 1 << 20, 200 << 20


class ModelError(ValueError):
    """A folder that holds no model, or a damaged one."""


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """What config.json holds.

    Attributes
    ----------
    name : str
    inputs : InputParams
    network : NetworkParams
    least : float
        Output from which a cell belongs to a spot.
    disc : float, 1/nm
        Radius of the discs that it was trained on.
    weights_sha256 : str
        Of `weights.keras`.
    ancestry : tuple of str
        Names and hashes of the models that it was fine-tuned from, nearest first.
    training : mapping
        Parameters, seeds and scores of its training, for people.
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
            raise ValueError(f"no such model: least {self.least}, disc {self.disc} 1/nm")


def resolved(name: str) -> str:
    """Name or path of the model that a parameter chooses; empty for the statistics alone.

    "auto" is the model that the environment variable `NAPARI_TEM_FFT_NETWORK` names, else the shipped one;
    none where TensorFlow is not installed.
    """
    if name.strip().lower() == AUTO:
        name = os.environ.get(ENVIRONMENT, DEFAULT) if find_spec("tensorflow") is not None else ""
    return "" if name.strip().lower() in NO_MODEL else name


def names_model(name: str) -> bool:
    """Whether a parameter chooses a model, and not the statistics alone."""
    return bool(resolved(name))


def own_folder() -> Path:
    """Folder of the user's own models in the platform's configuration directory."""
    return Path(platformdirs.user_config_dir("napari-tem-fft", appauthor=False)) / "models"


def known_models() -> tuple[str, ...]:
    """Names of the shipped models and of the user's own."""
    own = (path.parent.name for path in own_folder().glob(f"*/{CONFIG}"))
    return tuple(dict.fromkeys((*shipped_models(), *sorted(own))))


def model_folder(name_or_path: str | Path) -> Path:
    """Folder of a shipped model or of one of the user's own by its name, or a folder given by its path.

    Raises
    ------
    ModelError
        If there is neither.
    """
    name = resolved(str(name_or_path))
    if not name:
        raise ModelError(f"{name_or_path}: the statistics alone, no model")
    path = Path(name)
    if (path / CONFIG).is_file():
        return path
    for place in (Path(str(files("napari_tem_fft") / "models")), own_folder()):
        if str(path) == path.name and (place / path.name / CONFIG).is_file():
            return place / path.name
    known = ", ".join(known_models()) or "none"
    raise ModelError(f"{name_or_path}: no model of this name (known: {known}) and no folder of a model")


def shipped_models() -> tuple[str, ...]:
    """Names of the models that come with the package."""
    folder = Path(str(files("napari_tem_fft") / "models"))
    return tuple(sorted(p.parent.name for p in folder.glob(f"*/{CONFIG}")))


def load_config(folder: Path) -> ModelConfig:
    """Config of a model's folder; imports no Keras.

    Raises
    ------
    ModelError
        If the file is missing, too large, or holds what no model can have.
    """
    path = folder / CONFIG
    try:
        if path.stat().st_size > LARGEST_CONFIG:
            raise ModelError(f"{path}: larger than any model's configuration")
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


def load_network(folder: Path) -> tuple[ModelConfig, keras.Model]:
    """The trained network of a folder, whose output are logits.

    Raises
    ------
    ModelError
        If the folder is damaged, its weights are not those of its configuration, or do not fit.
    """
    config = load_config(folder)
    path = folder / WEIGHTS
    _check_weights(path, config)
    model = network_for(config.inputs, config.network)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # Keras only warns of layers that are left untrained
            model.load_weights(path)
    except (ValueError, OSError, KeyError, TypeError, UserWarning) as error:
        raise ModelError(f"{path}: the weights do not fit the network of {CONFIG} ({error})") from error
    return config, model


def _check_weights(path: Path, config: ModelConfig) -> None:
    try:
        if path.stat().st_size > LARGEST_WEIGHTS:
            raise ModelError(f"{path}: larger than any model's weights")
        found = file_hash(path)
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > LARGEST_WEIGHTS:
                raise ModelError(f"{path}: larger than any model's weights")
    except (OSError, zipfile.BadZipFile) as error:
        raise ModelError(f"{path}: no weights ({error})") from error
    if found != config.weights_sha256:
        raise ModelError(f"{path}: not the weights that {CONFIG} was written with (another SHA-256)")


def save_model(folder: Path, config: ModelConfig, model: keras.Model, card: str = "") -> ModelConfig:
    """Write a model's folder; the config is given the weights' hash and returned."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save(folder / WEIGHTS)
    values = asdict(config) | {"weights_sha256": file_hash(folder / WEIGHTS)}
    (folder / CONFIG).write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
    if card:
        (folder / CARD).write_text(card, encoding="utf-8")
    return load_config(folder)


def file_hash(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def load_predict(folder: Path) -> tuple[ModelConfig, Predict]:
    """The network of a folder as a function that runs in this process.

    Returns
    -------
    config : ModelConfig
    predict : callable
        Compiled for the model's one input shape; the first call takes a second longer.

    Raises
    ------
    ModelError
        If the folder is damaged, or TensorFlow is not installed.
    """
    tf = _tensorflow()
    config, model = load_network(folder)
    shape = (1, *config.inputs.shape, len(config.inputs.channels))

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32)])  # type: ignore[untyped-decorator]
    def run(inputs: Any) -> Any:
        return tf.sigmoid(model(inputs, training=False))[0, :, :, 0]

    def predict(inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(run(tf.constant(inputs[None])), np.float32)

    return config, predict


def _tensorflow() -> Any:
    """TensorFlow, which is quiet unless TF_CPP_MIN_LOG_LEVEL=0 asks it to talk."""
    asked = os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") == "0"
    try:
        with nullcontext() if asked else _without_stderr():
            import tensorflow
    except ImportError as error:
        raise ModelError(
            f"the network needs TensorFlow, which cannot be loaded ({error}): install it with"
            " 'pip install tensorflow', or choose none for the statistics alone"
        ) from error
    return tensorflow


@contextmanager
def _without_stderr() -> Iterator[None]:
    """Nothing is written to the process's stderr: while it is loaded, TensorFlow logs there at any level."""
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


def load_segmenter(name_or_path: str | Path = DEFAULT, false_alarms: float = 0.01) -> Segmenter:
    """A model as `analysis_steps` takes it, running in this process.

    Raises
    ------
    ModelError
        If there is no such model, or TensorFlow is not installed.
    """
    config, predict = load_predict(model_folder(name_or_path))
    return segmenter_for(config, predict, false_alarms)


def segmenter_for(config: ModelConfig, predict: Predict, false_alarms: float) -> Segmenter:
    """A model as `analysis_steps` takes it, running wherever `predict` does."""
    return Segmenter(predict, config.inputs, config.least, false_alarms, config.name, config.weights_sha256)
