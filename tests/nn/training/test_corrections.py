"""Corrected masks as training pairs: there and back, and files that are none."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_tem_fft.core.pipeline import Analysis
from napari_tem_fft.nn.inference.prepare import CHANNELS, InputParams, network_input
from napari_tem_fft.nn.training.corrections import PairError, load_pair, load_pairs, save_pair
from small_analysis import small_analysis

PARAMS = InputParams(half=31, margin=8, channels=("local", "radius"))


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    return small_analysis()


@pytest.fixture
def path(analysis: Analysis, tmp_path: Path) -> Path:
    return save_pair(tmp_path / "pairs", analysis, analysis.spots, PARAMS)


def test_a_pair_comes_back_with_all_channels(analysis: Analysis, path: Path) -> None:
    (pair,) = load_pairs(path.parent)
    whole = replace(PARAMS, channels=CHANNELS)
    seen = network_input(analysis.diffractogram, analysis.local_spectra, whole)
    assert pair.params == whole and pair.inputs.dtype == np.float16
    assert np.allclose(pair.inputs, seen, atol=5e-3)


def test_only_enabled_spots_are_kept(path: Path) -> None:
    assert load_pair(path).g.tolist() == [[-2.0, 3.4641016], [4.3, 0.0]]


def test_it_says_where_it_comes_from(path: Path) -> None:
    meta = load_pair(path).meta
    assert meta["micrograph"]["sha256"] == "ab12" and meta["micrograph"]["pixel_size"] == [0.02, 0.03]
    assert meta["parameters"]["spots"]["false_alarms"] == 0.01
    assert meta["network"]["name"] == "some network"


def test_a_second_correction_replaces_the_first_and_another_frame_does_not(
    analysis: Analysis, path: Path
) -> None:
    assert save_pair(path.parent, analysis, (), PARAMS) == path
    assert [len(pair.g) for pair in load_pairs(path.parent)] == [0]
    other = replace(analysis, micrograph=replace(analysis.micrograph, name="small 1"))
    save_pair(path.parent, other, analysis.spots, PARAMS)
    assert sorted(len(pair.g) for pair in load_pairs(path.parent)) == [0, 2]
    assert all(file.suffix == ".npz" for file in path.parent.iterdir())


def arrays_of(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as stored:
        return dict(stored)


def meta_with(arrays: dict[str, np.ndarray], **changes: object) -> np.ndarray:
    values = {**json.loads(arrays["meta"].tobytes()), **changes}
    return np.frombuffer(json.dumps(values).encode(), np.uint8)


@pytest.mark.parametrize(
    "change",
    [
        lambda a: {"g": np.array([[None, None]], object)},
        lambda a: {"g": np.array([[np.nan, 1.0]])},
        lambda a: {"g": a["g"][:, :1]},
        lambda a: {"inputs": a["inputs"][:-1]},
        lambda a: {"inputs": a["inputs"].astype(np.float64)},
        lambda a: {"meta": meta_with(a, format="another")},
        lambda a: {"meta": meta_with(a, input={"half": 10**9})},
        lambda a: {"meta": np.frombuffer(b"no JSON", np.uint8)},
    ],
)
def test_what_is_no_pair_is_refused_by_name(path: Path, change) -> None:
    arrays = arrays_of(path)
    np.savez(path, **{**arrays, **change(arrays)})
    with pytest.raises(PairError, match=path.name):
        load_pairs(path.parent)


def test_a_header_that_claims_too_much_is_refused(path: Path) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(PairError, match="not a training pair"):
        load_pair(path)


def test_a_folder_without_pairs_is_named(tmp_path: Path) -> None:
    with pytest.raises(PairError, match="no training pairs"):
        load_pairs(tmp_path)
    with pytest.raises(PairError, match="no training pairs"):
        load_pairs(tmp_path / "missing")
