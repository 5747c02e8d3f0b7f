"""Files that somebody made to do harm: each is refused, and nothing of it is run, written or unpacked."""

import base64
import io
import json
import marshal
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from napari_tem_fft.batch.record import ComponentSummary, Record, from_json
from napari_tem_fft.batch.report import write_report
from napari_tem_fft.batch.state import Journal, read_run
from napari_tem_fft.batch.statistics import session_statistics
from napari_tem_fft.cli.options import read_params
from napari_tem_fft.io.exchange.calibration_profile import load_profile
from napari_tem_fft.io.exchange.temfft import load_temfft, save_temfft
from napari_tem_fft.io.phases.cif import read_cif
from napari_tem_fft.io.phases.table import load_cif_folder
from napari_tem_fft.io.plain import ReadError, read_json
from napari_tem_fft.io.results.folder import load_results, save_results
from napari_tem_fft.io.results.overrides import stored_decisions
from napari_tem_fft.nn.inference.model import (
    CONFIG,
    WEIGHTS,
    ModelError,
    file_hash,
    load_config,
    load_predict,
)
from small_analysis import small_analysis, small_micrograph
from small_network import small_model, some_inputs

SCRIPT = "<script>alert(1)</script>"
DEEP = "[" * 100_000 + "]" * 100_000


class Bomb:
    """Unpickling it leaves a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """A file that is there only once code of a hostile file has run."""
    return tmp_path / "code has run"


def edited(path: Path, **changes) -> None:
    """A JSON file with other values."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


# any JSON file


@pytest.mark.parametrize("text", [DEEP, '{"a": NaN}', '{"a": -Infinity}', "\xff\xfe", "", "{"])
def test_json_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError):
        read_json(tmp_path / "a.json")


def test_a_long_file_and_a_pipe_are_not_read(tmp_path: Path) -> None:
    with (tmp_path / "long.json").open("wb") as file:
        file.truncate(2**28 + 1)  # takes no room on the disk
    with pytest.raises(ValueError, match="at most"):
        read_json(tmp_path / "long.json")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.json")  # would wait for a writer for ever
        with pytest.raises(ValueError, match="not a regular file"):
            read_json(tmp_path / "pipe.json")


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.system ['touch x']",
        '{"spots": {"false_alarms": NaN}}',
        '{"spots": {"false_alarms": 1e300}}',
        '{"spots": {"__class__": 1}}',
        '{"spots": {"false_alarms": "__import__(1)"}}',
        '{"windows": []}',
        "[1, 2]",
        DEEP,
    ],
)
def test_parameters_are_numbers_within_their_limits(tmp_path: Path, text: str) -> None:
    (tmp_path / "params.json").write_text(text)
    with pytest.raises(ValueError, match=r"params\.json: not a parameter file"):
        read_params(tmp_path / "params.json")


@pytest.mark.parametrize(
    "correction",
    [
        {"factors": [1e9, 1.0], "uncertainty": 0.003, "standard": "Au"},
        {"factors": [1.0, 1.0], "uncertainty": -1, "standard": "Au"},
        {"factors": [1.0], "uncertainty": 0.003, "standard": "Au"},
        {"factors": ["1", {}], "uncertainty": 0.003, "standard": "Au"},
    ],
)
def test_a_calibration_cannot_be_what_no_microscope_is(tmp_path: Path, correction) -> None:
    content = {"format": "napari-tem-fft calibration profile", "version": 1, "correction": correction}
    (tmp_path / "p.json").write_text(json.dumps(content | {"microscope": "", "magnification": None}))
    with pytest.raises(ReadError, match="not a calibration profile"):
        load_profile(tmp_path / "p.json")


# a model's folder


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "small"
    small_model(folder)
    return folder


@pytest.fixture
def model(shipped: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    for name in (CONFIG, WEIGHTS):
        (folder / name).write_bytes((shipped / name).read_bytes())
    return folder


def with_weights(folder: Path, content: bytes) -> None:
    """A model of which the attacker has made the hash fit as well."""
    (folder / WEIGHTS).write_bytes(content)
    edited(folder / CONFIG, weights_sha256=file_hash(folder / WEIGHTS))


def test_pickled_weights_are_not_unpickled(model: Path, trap: Path) -> None:
    with_weights(model, pickle.dumps(Bomb(trap)))
    with pytest.raises(ModelError, match="the weights cannot be read"):
        load_predict(model)
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("model.weights.npz", pickle.dumps(Bomb(trap)))
        archive.writestr("model.weights.h5", pickle.dumps(Bomb(trap)))
    with_weights(model, inner.getvalue())
    with pytest.raises(ModelError, match="do not fit"):
        load_predict(model)
    assert not trap.exists()


def test_a_lambda_layer_in_the_weights_file_is_never_built(model: Path, trap: Path) -> None:
    code = marshal.dumps(compile(f"open({str(trap)!r}, 'w')", "evil", "eval"))
    layer = {"class_name": "Lambda", "config": {"function": [base64.b64encode(code).decode(), None, None]}}
    with zipfile.ZipFile(model / WEIGHTS, "a") as archive:
        functional = {"class_name": "Functional", "config": {"layers": [layer]}}
        archive.writestr("config.json", json.dumps(functional))
    edited(model / CONFIG, weights_sha256=file_hash(model / WEIGHTS))
    load_predict(model)
    assert not trap.exists()


def test_files_beside_the_weights_are_not_unpacked(model: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(model / WEIGHTS, "a") as archive:
        archive.writestr("../../escaped", "x")
        archive.writestr("assets/../../../escaped", "x")
    edited(model / CONFIG, weights_sha256=file_hash(model / WEIGHTS))
    _, predict = load_predict(model)
    assert predict(some_inputs()).shape == some_inputs().shape[:2]
    assert not list(tmp_path.parent.rglob("escaped"))


def test_weights_that_unpack_to_too_much_are_refused(model: Path) -> None:
    with zipfile.ZipFile(model / WEIGHTS, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.weights.h5", bytes(201 << 20))
    edited(model / CONFIG, weights_sha256=file_hash(model / WEIGHTS))
    with pytest.raises(ModelError, match="too large for a model"):
        load_predict(model)


@pytest.mark.parametrize(
    "changes",
    [
        {"network": {"base": 10**9, "depth": 2, "fold": 2, "norm": "batch"}},
        {"network": {"base": 2, "depth": 2, "fold": 2, "norm": "__import__('os')"}},
        {"network": {"class_name": "Lambda", "config": {}}},
        {"inputs": {"q_max": 10.0, "half": 10**7, "margin": 8, "channels": ["image"]}},
        {"inputs": {"q_max": 10.0, "half": 31, "margin": 8, "channels": ["../../etc/passwd"]}},
        {"least": 7.0},
        {"disc": -1.0},
        {"disc": "x"},
    ],
)
def test_a_configuration_is_numbers_and_known_words(model: Path, changes) -> None:
    edited(model / CONFIG, **changes)
    with pytest.raises(ModelError, match=r"config\.json"):
        load_config(model)


def test_a_configuration_that_is_deep_or_long_is_refused(model: Path) -> None:
    for text in (DEEP, " " * (1 << 20) + "{}"):
        (model / CONFIG).write_text(text)
        with pytest.raises(ModelError, match=r"config\.json"):
            load_config(model)


# CIF

CELL = "".join(f"_cell_{n} {v}\n" for n, v in (("length_a", 4), ("length_b", 4), ("length_c", 4)))
CELL += "".join(f"_cell_angle_{n} 90\n" for n in ("alpha", "beta", "gamma"))
SITES = "loop_\n_atom_site_label\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\n"


@pytest.mark.parametrize(
    "content",
    [
        "data_x\n" + CELL + "_space_group_IT_number 225\n" + SITES + "Li1 0 0 0\n" * 2000,
        "data_x\n"
        + CELL
        + "loop_\n_space_group_symop_operation_xyz\n"
        + "'x+1/7919,y,z'\n" * 9
        + SITES
        + "Li 0 0 0",
        "data_x\n" + CELL.replace("length_a 4", "length_a 1e308") + SITES + "Li1 0 0 0\n",
        "data_x\n" + CELL.replace("length_a 4", "length_a nan") + SITES + "Li1 0 0 0\n",
        "data_x\nloop_\n" + "_a\n" * 50_000,
        "data_x\n_cell_length_a 'never closed\n;" + "x" * 10_000,
        "\x00\x01\x02" * 100,
        "data_" + "x" * 100_000,
    ],
)
def test_a_hostile_cif_is_refused_by_name(tmp_path: Path, content: str) -> None:
    (tmp_path / "evil.cif").write_bytes(content.encode("latin-1"))
    with pytest.raises(ValueError, match=r"^evil\.cif: "):
        read_cif(tmp_path / "evil.cif")
    phases, states = load_cif_folder(tmp_path)
    assert not phases and [one.state for one in states] == ["refused"]


# results


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return save_results(small_analysis(), tmp_path / "results", "maps")


def test_a_map_outside_of_the_folder_is_not_read(results: Path) -> None:
    stored = json.loads((results / "analysis.json").read_text())
    for name in ("../../etc/passwd", "/etc/passwd", "C:\\secret.tif", "..", ""):
        stored["components"][0]["map"] = name
        (results / "analysis.json").write_text(json.dumps(stored))
        with pytest.raises(ValueError, match="not the name of a map"):
            load_results(results, small_micrograph())


def test_pickled_arrays_are_not_unpickled(results: Path, trap: Path) -> None:
    np.savez(results / "grain_heats.npz", shape=np.array([Bomb(trap)], object))
    with pytest.raises(ValueError):
        load_results(results, small_micrograph())
    assert not trap.exists()


def test_a_bomb_of_zeros_is_refused_before_it_is_unpacked(results: Path) -> None:
    zeros = np.zeros((3000, 3000), np.float32)
    np.savez_compressed(results / "grain_heats.npz", shape=np.array((2, 48, 64)), heat_0=zeros)
    assert (results / "grain_heats.npz").stat().st_size < 100_000
    with pytest.raises(ValueError, match="claim to contain"):
        load_results(results, small_micrograph())


@pytest.mark.parametrize(
    "parts",
    [
        {"probability": np.zeros((4, 5), np.uint8), "step_1_nm": np.array([0.1, 0.1])},
        {"probability": np.zeros((5, 5)), "step_1_nm": np.array([0.1, 0.1])},
        {"probability": np.zeros((5, 5), np.uint8), "step_1_nm": np.array([0.1, np.nan])},
        {"probability": np.zeros((5, 5), np.uint8), "step_1_nm": np.array([0.1])},
        {"probability": np.zeros((20_001, 20_001), np.uint8), "step_1_nm": np.array([0.1, 0.1])},
        {"probability": np.zeros((5, 5), np.uint8)},
    ],
)
def test_what_a_network_never_said_is_refused(results: Path, parts) -> None:
    np.savez_compressed(results / "network.npz", **parts)
    stored = json.loads((results / "analysis.json").read_text())
    edited(results / "analysis.json", files=[*stored["files"], "network.npz"])
    with pytest.raises(ValueError):
        load_results(results, small_micrograph())


@pytest.mark.parametrize("shape", [[10**6, 10**6], [-1, 64], [48, 65], [48, 64, 1], ["a", 2]])
def test_maps_have_the_shape_of_their_grid(results: Path, shape) -> None:
    edited(results / "analysis.json", map_grid={"shape": shape, "pixel_size": [0.08, 0.12]})
    with pytest.raises(ValueError):
        load_results(results, small_micrograph())


def test_words_of_another_type_are_refused(results: Path) -> None:
    decision = {"grain": SCRIPT, "phase": "LiF", "kind": "reject", "centre": None}
    edited(results / "analysis.json", decisions=[decision])
    assert stored_decisions(results, small_micrograph().file_hash) == ()
    (results / "analysis.json").write_text(DEEP)
    assert stored_decisions(results, small_micrograph().file_hash) == ()


def test_a_document_is_not_fetched_from_somebody_s_server(tmp_path: Path, monkeypatch) -> None:
    path = save_temfft(tmp_path / "a", small_micrograph_document(), pixels=False, folder=True)
    stored = json.loads((path / "temfft.json").read_text())
    asked: list[str] = []
    real = Path.is_file
    monkeypatch.setattr(Path, "is_file", lambda self: asked.append(str(self)) or real(self))
    for file in ("\\\\evil.example\\share\\a.dm4", "//evil.example/share/a.dm4"):
        stored["micrograph"]["file"] = file
        (path / "temfft.json").write_text(json.dumps(stored))
        with pytest.raises(ReadError, match="is not found"):
            load_temfft(path)
    assert asked and not [one for one in asked if "evil" in one]


def small_micrograph_document():
    from napari_tem_fft.io.exchange.temfft import Document

    return Document(small_micrograph())


# a run


def test_a_record_s_folder_lies_in_the_run(tmp_path: Path) -> None:
    for folder in ("../../secret", "/etc", "a/../..", "C:\\x"):
        with pytest.raises(ValueError, match="would be in"):
            from_json(Record(0, "a.dm4", folder).to_json())
    assert from_json(Record(0, "a.dm4", "day/a.dm4").to_json()).folder == "day/a.dm4"
    (tmp_path / "run.json").write_text(DEEP)
    with pytest.raises(ValueError, match="not the description of a run"):
        read_run(tmp_path)


def test_numbers_of_a_record_are_numbers() -> None:
    stored = json.loads(Record(0, "a.dm4", "a").to_json())
    with pytest.raises(ValueError, match="expected int"):
        from_json(json.dumps({**stored, "grains": f'">{SCRIPT}'}))


def test_the_report_escapes_everything_that_files_say(tmp_path: Path) -> None:
    part = ComponentSummary(SCRIPT, (SCRIPT,), SCRIPT, 0.9, 1.0, 0.1, 0.5, 1, 1.0, (0.2,))
    bad = Record(
        0,
        f"/x/{SCRIPT}.dm4",
        f"{SCRIPT[:7]}",
        "analysed",
        warnings=(SCRIPT,),
        calibration=SCRIPT,
        parts=(part,),
    )
    failed = Record(1, f"/x/{SCRIPT}2.dm4", "b", "failed", reason=SCRIPT)
    journal = Journal(tmp_path, [bad, failed])
    header = {
        "state": "stopped", "problem": SCRIPT, "analysed": 1, "failed": 1, "files": 2, "kept_from_before": 0,
        "seconds": 1.0, "inputs": [SCRIPT], "settings": {SCRIPT: SCRIPT}, "software": {SCRIPT: SCRIPT},
        "written": SCRIPT, "output": SCRIPT,
    }  # fmt: skip
    write_report(tmp_path, journal.records, header, session_statistics([bad, failed]))
    journal.close()
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<script>alert" not in page and page.count("&lt;script&gt;alert") >= 9
