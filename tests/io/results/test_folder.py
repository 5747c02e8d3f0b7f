import csv
import json
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_tem_fft.batch.record import Record, describe_record, from_json
from napari_tem_fft.batch.tables import summary_rows
from napari_tem_fft.core.fourier.diffractogram import FrequencyGrid
from napari_tem_fft.core.maps.component_map import UNKNOWN, colours_of
from napari_tem_fft.core.maps.strain import Deformation, DeformationParams
from napari_tem_fft.core.pipeline import Analysis
from napari_tem_fft.core.progress import exhaust
from napari_tem_fft.core.reanalysis import reanalyse_after_specimen_edit
from napari_tem_fft.core.spots.seeds import NetworkPicture
from napari_tem_fft.io.results.folder import (
    COLOURS,
    folder_of,
    given_colours,
    kept_colours,
    load_results,
    save_results,
)
from small_analysis import GRID, assert_same, small_analysis, small_micrograph, with_bent_component

EXPECTED = {
    "analysis.json",
    "spots.csv",
    "profile.csv",
    "overview.png",
    "specimen.tif",
    "grains.tif",
    "grain_heats.npz",
    "map_LiF+mine.tif",
    "map_unknown_crystal.tif",
    "grains.csv",
    "sizes.csv",
    "misorientations.csv",
    "grains.png",
    "components.tif",
    "orientation.tif",
}


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    return small_analysis()


@pytest.fixture(scope="module")
def folder(analysis: Analysis, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_results(analysis, tmp_path_factory.mktemp("out") / "deep" / "small.dm4")


def test_folder_holds_what_is_promised_and_nothing_else(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == EXPECTED
    assert [path.name for path in folder.parent.iterdir()] == ["small.dm4"]


def test_analysis_comes_back(analysis: Analysis, folder: Path) -> None:
    loaded = load_results(folder, small_micrograph())
    for f in fields(Analysis):
        if f.name != "micrograph":
            assert_same(getattr(analysis, f.name), getattr(loaded, f.name), f.name)
    assert loaded.micrograph.calibration == analysis.micrograph.calibration


def test_deformation_comes_back_and_has_its_maps(analysis: Analysis, tmp_path: Path) -> None:
    values = np.linspace(-0.01, 0.01, 400, dtype=np.float32).reshape(20, 20)
    sigma = np.full((20, 20), 0.001, np.float32)
    bent = Deformation(1, (0, 1), (10, 10), values, 10 * values, sigma, 10 * sigma)
    params = replace(analysis.params, deformation=DeformationParams(deformation=True))
    folder = save_results(replace(analysis, params=params, deformations=(bent,)), tmp_path / "bent")
    assert_same(load_results(folder, small_micrograph()).deformations, (bent,))
    shown = tifffile.imread(folder / "d_change.tif")
    assert np.isfinite(shown).sum() == bent.significant("d_change", 1e-3).sum() > 0
    assert shown[10, 10] == np.float32(-0.01) and (folder / "rotation.tif").is_file()


def test_strain_comes_back_with_its_maps_and_its_table(analysis: Analysis, tmp_path: Path) -> None:
    flat, sigma = np.full((20, 20), 0.01, np.float32), np.full((20, 20), 0.001, np.float32)
    strain = np.stack([flat, -0.5 * flat, 0.1 * flat])
    whole = Deformation(
        1, (0, 1), (10, 10), 0.25 * flat, 50 * flat, sigma, sigma, strain, np.stack([sigma] * 3), None, True
    )
    low, error = flat[:5, :5], sigma[:5, :5]
    single = Deformation(2, (2,), (20, 25), low, low, error, error, along=12.5)
    params = replace(analysis.params, deformation=DeformationParams(True, reference="1,1,2,2"))
    folder = save_results(
        replace(analysis, params=params, deformations=(whole, single)), tmp_path / "strained"
    )
    loaded = load_results(folder, small_micrograph())
    assert_same(loaded.deformations, (whole, single))
    assert loaded.params.deformation.reference == "1,1,2,2"
    shown = tifffile.imread(folder / "eps_yy.tif")
    assert shown[10, 10] == np.float32(-0.005) and np.isfinite(shown).sum() == 400
    first, second = csv.DictReader((folder / "deformation.csv").read_text(encoding="utf-8").splitlines())
    assert (first["grain"], first["component"], first["reference"]) == ("1", "LiF / mine", "region")
    assert (first["directions"], first["along_deg"], first["spots"]) == ("2", "", "0 1")
    assert (first["eps_xx_percent_mean"], first["eps_xx_percent_sigma"]) == ("1.0", "0.1")
    assert (first["rotation_deg_mean"], first["eps_xy_percent_significant_share"]) == ("0.5", "0.0")
    assert (second["directions"], second["along_deg"], second["reference"]) == ("1", "12.5", "grain")
    assert second["eps_xx_percent_mean"] == "" and second["d_change_percent_high"] == "1.0"


def test_what_the_network_said_comes_back(analysis: Analysis, tmp_path: Path) -> None:
    said = np.arange(35, dtype=np.float32).reshape(5, 7) / 34
    picture = NetworkPicture(said, FrequencyGrid((0.25, 0.5), (2, 3)))
    folder = save_results(replace(analysis, picture=picture), tmp_path / "network", keep="maps")
    loaded = load_results(folder, small_micrograph()).picture
    assert loaded is not None and loaded.grid == picture.grid
    assert np.abs(loaded.probability - said).max() < 0.002 and loaded.probability[4, 6] == 1
    assert loaded.probability.dtype == np.float32


def test_a_bent_lattice_comes_back(analysis: Analysis, tmp_path: Path) -> None:
    bent = with_bent_component(analysis)
    folder = save_results(bent, tmp_path / "bent")
    loaded = load_results(folder, small_micrograph())
    assert_same(loaded.components, bent.components)
    assert_same(loaded.matches, bent.matches)
    stored = json.loads((folder / "analysis.json").read_text(encoding="utf-8"))["components"][1]
    assert (stored["name"], stored["phases"]) == ("ring-like lattice", [])
    assert (stored["bent"]["d_low"], stored["bent"]["d_high"], stored["bent"]["spots"]) == (
        0.376,
        0.41,
        [2, 3, 4],
    )
    rows = list(csv.DictReader((folder / "grains.csv").read_text(encoding="utf-8").splitlines()))
    assert [row["component"] for row in rows] == ["LiF / mine", "ring-like lattice"]
    record = describe_record(folder, Record(0, "small.dm4", "bent"))
    words = "ring-like: d 0.376-0.410 nm over 3 places; graphitic carbon (002)?"
    assert [part.ring_like for part in record.parts] == ["", words]
    assert from_json(record.to_json()) == record
    row = list(summary_rows(record, "nm"))[1]
    assert (row["ring_like"], row["phases"], row["outcome"]) == (words, "", "unknown")


def test_grains_and_their_sizes_are_tables(folder: Path) -> None:
    first, second = csv.DictReader((folder / "grains.csv").read_text(encoding="utf-8").splitlines())
    assert (first["grain"], first["component"], first["diameter_nm"]) == ("1", "LiF / mine", "2.211")
    assert first["probability"] == "0.95" and first["zone_axis"] == "0 1 1" and first["orientation_hkl"]
    assert second["component"] == "unknown crystal" and second["cut_by_border"] == "0"
    assert second["rotation_deg"] == "" and second["orientation_deg"] == ""
    rows = list(csv.DictReader((folder / "sizes.csv").read_text(encoding="utf-8").splitlines()))
    whole = [row for row in rows if not row["from_nm"]]
    assert [row["component"] for row in whole] == ["LiF / mine", "unknown crystal", "all"]
    assert whole[-1]["grains"] == "2" and float(whole[-1]["mean_nm"]) == pytest.approx(2.34, abs=0.01)


def test_a_grain_with_a_fitted_rotation_has_its_euler_angles(folder: Path) -> None:
    """LiF along [011] with 200 at 0 degrees, to the right: tilted by 45 degrees about x."""
    first, _ = csv.DictReader((folder / "grains.csv").read_text(encoding="utf-8").splitlines())
    names = (
        "rotation_deg",
        "rotation_sigma_deg",
        "rotation_period_deg",
        "rotation_hkl",
        "rotation_zone_axis",
    )
    assert [first[name] for name in names] == ["0.0", "0.25", "180", "2 0 0", "0 1 1"]
    assert [float(first[f"euler_{name}_deg"]) for name in ("phi1", "Phi", "phi2")] == [0.0, 45.0, 0.0]
    assert (first["orientation_deg"], first["orientation_d_nm"]) == ("0.0", "0.20135")


def test_neighbours_of_one_phase_are_a_table(analysis: Analysis, tmp_path: Path) -> None:
    ambiguous, _ = analysis.matches
    lif = ambiguous.candidates[0]
    assert lif.orientation is not None
    turned = replace(lif, orientation=replace(lif.orientation, rotation=109.4712))
    twin = replace(ambiguous, grain=2, candidates=(turned,), phases=("LiF",))
    folder = save_results(replace(analysis, matches=(ambiguous, twin)), tmp_path / "twins", "tables")
    (row,) = csv.DictReader((folder / "misorientations.csv").read_text(encoding="utf-8").splitlines())
    assert (row["grain_1"], row["grain_2"], row["phase"], row["note"]) == ("1", "2", "LiF", "Sigma 3 twin")
    assert (row["angle_deg"], row["angle_sigma_deg"], row["axis_uvw"]) == ("60.0", "0.354", "1 1 1")
    assert row["other_angle_deg"] == "" and row["axis_off_deg"] == "0.0"


def test_the_strongest_components_are_one_label_image(folder: Path) -> None:
    label = tifffile.imread(folder / "components.tif")
    listed = json.loads((folder / "analysis.json").read_text(encoding="utf-8"))["components"]
    assert {entry["label"]: entry["name"] for entry in listed} == {1: "LiF / mine", 2: "unknown crystal"}
    assert label[12, 12] == 1 and label[35, 40] == 2 and label[0, 0] == 0


def test_calibration_that_was_used_is_taken(analysis: Analysis, folder: Path) -> None:
    other = replace(
        small_micrograph(), calibration=replace(analysis.micrograph.calibration, scale=(1.0, 1.0))
    )
    assert load_results(folder, other).micrograph.pixel_size == (0.02, 0.03)


def test_results_of_another_file_are_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"another file \(small\.dm4\)"):
        load_results(folder, replace(small_micrograph(), file_hash="cd34"))


def test_folder_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no readable analysis\.json"):
        load_results(tmp_path, small_micrograph())


def test_damaged_results_are_refused(analysis: Analysis, tmp_path: Path) -> None:
    folder = save_results(analysis, tmp_path / "a")
    (folder / "grains.tif").unlink()
    with pytest.raises(ValueError, match="incomplete or damaged"):
        load_results(folder, small_micrograph())


def test_json_states_units_versions_hash_and_derived_values(folder: Path) -> None:
    stored = json.loads((folder / "analysis.json").read_text(encoding="utf-8"))
    assert stored["micrograph"]["sha256"] == "ab12"
    assert stored["micrograph"]["metadata"] == {"voltage_kV": 300.0, "lens": ["a", 2], "raw": "b'\\\\0'"}
    assert stored["software"]["napari-tem-fft"]
    assert stored["units"]["length"] == "nm"
    assert stored["spots"][0]["d"] == pytest.approx(0.25)
    assert stored["spots"][0]["azimuth"] == pytest.approx(30.0)
    assert stored["peaks"][0]["d"] == pytest.approx(0.25)
    assert stored["phases"] == ["LiF", "mine"]
    assert [phase["id"] for phase in stored["own_phases"]] == ["mine"]


def test_spots_table(folder: Path) -> None:
    with (folder / "spots.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == ["0", "1", "2"]  # by falling d
    first = rows[0]
    assert float(first["d_nm"]) == pytest.approx(0.25, rel=1e-6)
    assert float(first["d_sigma_nm"]) == pytest.approx(0.01 / 16, rel=1e-3)
    assert float(first["azimuth_deg"]) == pytest.approx(30.0, abs=1e-3)
    assert first["grain"] == "1" and first["phase"] == "LiF / mine" and first["hkl"] == "1 1 1"
    assert [row["spot_kind"] for row in rows] == ["reflection", "unexplained", "reflection"]
    assert rows[2]["phase"] == "" and rows[2]["outcome"] == "unknown" and rows[2]["enabled"] == "0"


def test_maps_are_in_nm_for_imagej(folder: Path) -> None:
    with tifffile.TiffFile(folder / "map_LiF+mine.tif") as file:
        assert file.imagej_metadata is not None and file.imagej_metadata["unit"] == "nm"
        x, y = (file.pages[0].tags[name].value for name in ("XResolution", "YResolution"))
        assert file.asarray().shape == GRID.shape
    assert x[1] / x[0] == pytest.approx(0.12) and y[1] / y[0] == pytest.approx(0.08)


def test_second_analysis_replaces_the_first_and_leaves_other_files(
    analysis: Analysis, tmp_path: Path
) -> None:
    folder = save_results(analysis, tmp_path / "a")
    (folder / "notes.txt").write_text("mine")
    save_results(replace(analysis, components=analysis.components[:1]), folder)
    assert {path.name for path in folder.iterdir()} == EXPECTED - {"map_unknown_crystal.tif"} | {"notes.txt"}


def test_nothing_is_left_when_writing_fails(
    analysis: Analysis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("napari_tem_fft.io.figures.overview.write_overview", full)
    with pytest.raises(OSError, match="no space"):
        save_results(analysis, tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_components_of_like_names_get_files_of_their_own(analysis: Analysis, tmp_path: Path) -> None:
    parts = tuple(replace(analysis.components[1], name=name) for name in ("a/b", "a:b", "A_B"))
    folder = save_results(replace(analysis, components=parts), tmp_path / "a")
    assert {path.name for path in folder.glob("map_*")} == {"map_a_b.tif", "map_a_b_2.tif", "map_A_B_3.tif"}


def test_analysis_without_any_crystal_comes_back(analysis: Analysis, tmp_path: Path) -> None:
    nothing = replace(
        analysis,
        spots=(),
        grains=(),
        matches=(),
        components=(),
        grain_regions=(),
    )
    loaded = load_results(save_results(nothing, tmp_path / "a"), small_micrograph())
    assert loaded.spots == loaded.grains == loaded.grain_regions == loaded.components == ()


def test_folder_beside_the_micrograph_has_another_name(tmp_path: Path) -> None:
    (tmp_path / "img.dm4").write_bytes(b"")
    assert folder_of("elsewhere/other.dm3", tmp_path) == tmp_path / "other.dm3"
    assert folder_of(tmp_path / "img.dm4", tmp_path) == tmp_path / "img.dm4.results"


def test_a_specimen_drawn_by_the_user_comes_back_as_theirs(analysis: Analysis, tmp_path: Path) -> None:
    drawn = exhaust(
        reanalyse_after_specimen_edit(analysis, np.arange(GRID.shape[1])[None, :] < np.full((48, 1), 20))
    )
    loaded = load_results(save_results(drawn, tmp_path / "drawn"), small_micrograph())
    assert loaded.specimen_by_user and loaded.specimen.sum() == 20 * 48
    back = exhaust(reanalyse_after_specimen_edit(loaded, None))
    assert_same(back.grain_regions, analysis.grain_regions)
    rows = list(csv.DictReader((tmp_path / "drawn" / "grains.csv").read_text("utf-8").splitlines()))
    assert [float(row["area_nm2"]) for row in rows] == [1.92, 0.0]


def rivals() -> tuple[str, str]:
    """Two names that would have the same colour, each by itself; the first comes first in the alphabet."""
    own = {}
    for letter in "ABCDEFGHIJ":
        colour = colours_of([letter])[letter]
        if colour in own:
            return own[colour], letter
        own[colour] = letter
    raise AssertionError


def test_a_phase_keeps_its_colour_whoever_comes_later(tmp_path):
    first, second = rivals()
    alone = given_colours(tmp_path, [second])
    both = given_colours(tmp_path, [first, second, "unknown crystal"])
    assert both[second] == alone[second] != both[first]
    assert both["unknown crystal"] == UNKNOWN
    assert kept_colours(tmp_path) == both
    assert [path.name for path in tmp_path.iterdir()] == [COLOURS]


_ASK = """
import sys
from pathlib import Path
from napari_tem_fft.io.results.folder import given_colours
for number in range(24):
    name = f"P{number % 6}"
    print(name, given_colours(Path(sys.argv[1]), [name])[name])
"""


def test_processes_that_ask_at_once_agree(tmp_path):
    asking = [
        subprocess.Popen([sys.executable, "-c", _ASK, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    told = [process.communicate(timeout=120)[0].splitlines() for process in asking]
    kept = kept_colours(tmp_path)
    assert told[0] == told[1] == [f"P{number % 6} {kept[f'P{number % 6}']}" for number in range(24)]
    assert len(set(kept.values())) == 6


@pytest.mark.parametrize("text", ["", "[]", '{"a": "url(x)", "b": 3}', "{"])
def test_what_is_no_colour_is_not_taken(tmp_path, text):
    (tmp_path / COLOURS).write_text(text)
    assert kept_colours(tmp_path) == {}


def test_a_lock_that_somebody_left_is_broken(tmp_path):
    (tmp_path / f".{COLOURS}.lock").touch()
    assert set(given_colours(tmp_path, ["Cu"])) == {"Cu"}
    assert set(json.loads((tmp_path / COLOURS).read_text())) == {"Cu"}
