"""The provenance of a folder of results, read back by ro-crate-py."""

import hashlib
import json

import pytest

from napari_tem_fft import export, save_results
from napari_tem_fft.io.exchange.ro_crate import write_ro_crate
from small_analysis import small_analysis


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    save_results(small_analysis(), folder, "maps")
    (folder / "exchange").mkdir()
    export(small_analysis(), folder / "exchange", ["ctf"])
    (folder / ".hidden").write_text("left out")
    write_ro_crate(folder)
    return folder


def test_ro_crate_py_reads_files_with_their_hashes(folder) -> None:
    crate = pytest.importorskip("rocrate.rocrate").ROCrate(str(folder))
    files = {entity.id: entity for entity in crate.data_entities}
    names = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert {entity["name"] for entity in files.values()} | {".hidden", "ro-crate-metadata.json"} == {
        name.rpartition("/")[2] for name in names
    }
    assert files["exchange/grains.ctf"]["encodingFormat"] == "text/plain"
    content = (folder / "spots.csv").read_bytes()
    assert files["spots.csv"]["sha256"] == hashlib.sha256(content).hexdigest()
    assert files["spots.csv"]["contentSize"] == str(len(content))


def test_ro_crate_py_reads_software_input_and_parameters(folder) -> None:
    crate = pytest.importorskip("rocrate.rocrate").ROCrate(str(folder))
    action, stored = crate.get("#analysis"), json.loads((folder / "analysis.json").read_text())
    assert action.type == "CreateAction"
    software = action["instrument"]
    assert (software["name"], software["softwareVersion"]) == (
        "napari-tem-fft",
        stored["software"]["napari-tem-fft"],
    )
    assert {one["name"] for one in software["softwareRequirements"]} >= {"numpy", "scipy", "gemmi"}
    micrograph, *parameters = action["object"]
    assert (micrograph["alternateName"], micrograph["sha256"]) == ("small.dm4", "ab12")
    values = {one["name"]: one["value"] for one in parameters}
    assert values["spots.false_alarms"] == stored["parameters"]["spots"]["false_alarms"]
    assert values["calibration_uncertainty"] == 2.0
    assert {one.id for one in action["result"]} == {entity.id for entity in crate.data_entities}


def test_results_that_are_written_again_lose_what_is_out_of_date(tmp_path) -> None:
    save_results(small_analysis(), tmp_path / "a", "tables")
    path = write_ro_crate(tmp_path / "a")
    save_results(small_analysis(), tmp_path / "a", "tables")
    assert not path.exists()


def test_a_folder_without_results_is_refused(tmp_path) -> None:
    with pytest.raises(ValueError, match=r"no readable analysis\.json"):
        write_ro_crate(tmp_path)
