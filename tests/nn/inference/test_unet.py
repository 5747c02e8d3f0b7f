"""The trained network in NumPy: by hand, and against Keras for every kind of layer."""

import io
import json
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from napari_tem_fft.nn.inference.model import WEIGHTS, ModelError, file_hash, load_predict
from napari_tem_fft.nn.inference.unet import (
    NetworkParams,
    UNet,
    _Convolution,
    _fold,
    _normalise,
    _unfold,
    _upsample,
    weight_shapes,
)
from own_process import in_own_process, needs_tensorflow
from small_network import NETWORK, model_of, some_inputs, some_weights, write_weights


def convolution(kernel, bias=(0.0,)):
    """A convolution of a kernel of shape (3, 3, inputs, features), without normalisation."""
    kernel, bias = np.asarray(kernel, np.float32), np.asarray(bias, np.float32)
    return _Convolution(kernel.reshape(3, -1, kernel.shape[-1]), bias, 0, np.ones_like(bias))


def test_a_single_cell_becomes_the_kernel_turned_round():
    cell = np.zeros((3, 3, 1), np.float32)
    cell[1, 1] = 1
    result = convolution(np.arange(1, 10).reshape(3, 3, 1, 1))(cell)
    assert result[..., 0].tolist() == [[9, 8, 7], [6, 5, 4], [3, 2, 1]]


def test_beyond_the_border_there_is_zero_and_below_zero_nothing():
    ones = np.ones((2, 3, 1), np.float32)
    assert convolution(np.ones((3, 3, 1, 1)))(ones)[..., 0].tolist() == [[4, 6, 4], [4, 6, 4]]
    assert convolution(-np.ones((3, 3, 1, 1)), [5.0])(ones)[..., 0].tolist() == [[1, 0, 1], [1, 0, 1]]


@pytest.mark.parametrize("block", [1, 40, 10**6])
def test_rows_at_a_time_make_no_difference(block, monkeypatch):
    rng = np.random.default_rng(0)
    x, one = rng.normal(size=(7, 5, 2)).astype("f4"), convolution(rng.normal(size=(3, 3, 2, 4)), np.ones(4))
    whole = one(x)
    monkeypatch.setattr("napari_tem_fft.nn.inference.unet.BLOCK", block)
    assert np.allclose(one(x), whole, atol=1e-6)


def test_two_cells_raised_by_a_kernel_of_hundreds():
    x = np.array([[[1.0], [2.0]]], np.float32)
    kernel = np.array([100, 200, 300, 400], np.float32).reshape(1, 2, 2, 1)
    raised = _upsample(x, kernel, np.array([1.0], np.float32))
    assert raised[..., 0].tolist() == [[101, 201, 201, 401], [301, 401, 601, 801]]


def test_blocks_become_channels_and_cells_again():
    x = np.arange(16, dtype=np.float32).reshape(4, 4, 1)
    folded = _fold(x, 2)
    assert folded[0, 1].tolist() == [2, 3, 6, 7] and np.array_equal(_unfold(folded, 2), x[..., 0])


def test_groups_of_features_are_normalised_together():
    x = np.array([[[0.0, 2.0, 10.0, 10.0]]], np.float32)
    _normalise(x, 2)
    assert x[0, 0] == pytest.approx([-1 / 1.001**0.5, 1 / 1.001**0.5, 0, 0], abs=1e-6)


def test_the_shapes_of_a_small_network():
    shapes = weight_shapes(NetworkParams(base=2, depth=1, fold=2, norm="none"), 3)
    assert shapes["conv2d/vars/0"] == (3, 3, 12, 2) and shapes["conv2d_1/vars/1"] == (2,)
    assert shapes["conv2d_transpose/vars/0"] == (2, 2, 2, 4) and shapes["conv2d_4/vars/0"] == (3, 3, 4, 2)
    assert shapes["conv2d_6/vars/0"] == (1, 1, 2, 4) and len(shapes) == 16


def test_cells_that_do_not_divide_and_groups_that_do_not_are_refused():
    network = UNet(NETWORK, some_weights())
    with pytest.raises(ValueError, match="not multiples of 8"):
        network(np.zeros((60, 40, 5), np.float32))
    with pytest.raises(ValueError, match="group"):
        NetworkParams(base=3, depth=2, norm="group")


@needs_tensorflow
def test_every_kind_of_network_answers_as_keras_does(tmp_path):
    found = in_own_process("nn.keras_work", "compare_options", str(tmp_path))
    assert {name.split("-")[0] for name in found} == {"none", "batch", "group"} and len(found) == 24
    assert max(difference for difference, _ in found.values()) < 1e-5
    assert min(scatter for _, scatter in found.values()) > 1e-3


@needs_tensorflow
def test_the_shipped_model_answers_as_keras_does_on_the_shipped_images():
    found = in_own_process("nn.keras_work", "compare_samples")
    assert sorted(found) == ["edge.dm4", "film.dm4", "sample.dm4"]
    assert max(difference for difference, _ in found.values()) < 1e-5
    assert found["sample.dm4"][1] > 0.9


@needs_tensorflow
def test_keras_reads_the_models_of_these_tests(tmp_path):
    name, difference = in_own_process("nn.keras_work", "written_by_hand", str(tmp_path))
    assert name == "hand" and difference < 1e-5


def test_the_same_input_gives_the_same_output(tmp_path):
    model_of(tmp_path, some_weights(), name="a")
    _, predict = load_predict(tmp_path)
    first = predict(some_inputs())
    assert first.dtype == np.float32 and first.shape == some_inputs().shape[:2]
    assert np.array_equal(first, predict(some_inputs())) and 0 <= first.min() < first.max() <= 1


@pytest.mark.parametrize(
    ("name", "array", "words"),
    [
        ("conv2d/vars/0", np.zeros((3, 3, 20, 3), np.float32), "not an array of float32"),
        ("conv2d/vars/0", np.zeros((3, 3, 20, 2), np.float64), "not an array of float32"),
        ("conv2d_1/vars/0", np.full((3, 3, 2, 2), np.nan, np.float32), "not a number"),
        ("conv2d_1/vars/0", None, "is missing"),
        ("conv2d_99/vars/0", np.zeros(1, np.float32), "not part of this network"),
    ],
)
def test_arrays_of_another_network_are_refused(tmp_path, name, array, words):
    weights = some_weights() | {name: array}
    weights = {key: value for key, value in weights.items() if value is not None}
    model_of(tmp_path, weights, name="a")
    with pytest.raises(ModelError, match=words):
        load_predict(tmp_path)


@pytest.mark.parametrize("kind", ["soft link", "external link", "virtual", "external data"])
def test_arrays_in_other_files_are_never_read(tmp_path, kind):
    other = tmp_path / "secret.h5"
    with h5py.File(other, "w") as file:
        file["a"] = np.zeros((3, 3, 20, 2), np.float32)
    content = io.BytesIO()
    weights = some_weights()
    array = weights.pop("conv2d/vars/0")
    with h5py.File(content, "w") as file:
        for name, values in weights.items():
            file[f"layers/{name}"] = values
        place = file.create_group("layers/conv2d/vars")
        if kind == "soft link":
            file["elsewhere"] = array
            place["0"] = h5py.SoftLink("/elsewhere")
        elif kind == "external link":
            place["0"] = h5py.ExternalLink(str(other), "a")
        elif kind == "virtual":
            layout = h5py.VirtualLayout(array.shape, np.float32)
            layout[:] = h5py.VirtualSource(str(other), "a", array.shape)
            place.create_virtual_dataset("0", layout)
        else:
            (tmp_path / "raw").write_bytes(bytes(array.nbytes))
            place.create_dataset("0", array.shape, "f4", external=[(str(tmp_path / "raw"), 0, array.nbytes)])
    model_of(tmp_path / "model", some_weights(), name="a")
    with zipfile.ZipFile(tmp_path / "model" / WEIGHTS, "w") as archive:
        archive.writestr("model.weights.h5", content.getvalue())
    with_hash(tmp_path / "model")
    with pytest.raises(ModelError, match="do not fit"):
        load_predict(tmp_path / "model")


def with_hash(folder: Path) -> None:
    """The configuration with the hash that the weights have now."""
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"weights_sha256": file_hash(folder / WEIGHTS)}))


def test_a_network_larger_than_any_file_is_refused_before_it_is_read(tmp_path):
    model_of(tmp_path, some_weights(), name="a")
    write_weights(tmp_path / WEIGHTS, some_weights())
    config = json.loads((tmp_path / "config.json").read_text())
    config["network"] = {"base": 128, "depth": 6, "fold": 1, "norm": "batch"}
    config["inputs"]["half"] = 63
    config["weights_sha256"] = file_hash(tmp_path / WEIGHTS)
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="larger network"):
        load_predict(tmp_path)
