"""The command line, run in this process on small files."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from dm_writer import write_dm
from forward_model import fringes, white_noise
from napari_tem_fft import __version__, api
from napari_tem_fft.cli.main import main
from napari_tem_fft.cli.options import build_parser, options, params_from, read_params
from napari_tem_fft.core.pipeline import AnalysisParams
from napari_tem_fft.core.progress import exhaust
from napari_tem_fft.core.reanalysis import reanalyse_after_override
from napari_tem_fft.io.phases.table import load_table
from napari_tem_fft.io.results.folder import load_results

PIXEL = (0.02, 0.02)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of small micrographs: good, without scale, a stored transform, not a Gatan file."""
    folder = tmp_path_factory.mktemp("images")
    shape = (512, 400)
    pixels = 1000 + 30 * fringes(shape, PIXEL, 0.235, 20.0) + white_noise(shape, 2, 60.0)
    pixels = np.rint(pixels).astype(np.int16)
    write_dm(folder / "good.dm4", pixels, PIXEL, "nm")
    write_dm(folder / "good.dm3", pixels, PIXEL, "nm")
    write_dm(folder / "plain.dm4", pixels)
    write_dm(folder / "stored.dm4", pixels, 0.05, "1/nm")
    (folder / "text.dm4").write_text("not a Gatan file")
    return folder


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out.strip() == f"napari-tem-fft {__version__}"


@pytest.mark.parametrize("command", [[], ["analyse"], ["analyse", "a.dm4", "--window", "wide"], ["draw"]])
def test_a_command_that_is_not_understood_exits_with_2(command: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(command)


def test_good_file(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["analyse", str(folder / "good.dm4"), "-o", str(tmp_path)]) == 0
    stored = json.loads((tmp_path / "good.dm4" / "analysis.json").read_text(encoding="utf-8"))
    assert min(abs(spot["d"] / 0.235 - 1) for spot in stored["spots"]) < 2e-3
    out = capsys.readouterr().out
    assert "400 x 512 pixels of 0.02 nm" in out and "component" in out and "0.23" in out


def test_one_bad_file_does_not_stop_the_others(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [str(folder / name) for name in ("text.dm4", "missing.dm4", "good.dm4")]
    assert main(["analyse", *files, "-o", str(tmp_path)]) == 1
    assert (tmp_path / "good.dm4" / "overview.png").exists()
    captured = capsys.readouterr()
    assert "text.dm4" in captured.err and "missing.dm4" in captured.err
    assert "Traceback" not in captured.err and "1 of 3 files analysed" in captured.out


@pytest.mark.parametrize(("name", "word"), [("plain.dm4", "pixel size"), ("stored.dm4", "1/nm")])
def test_image_that_cannot_be_measured_is_refused_with_advice(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, word: str
) -> None:
    assert main(["analyse", str(folder / name), "-o", str(tmp_path)]) == 1
    assert word in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_pixel_size_given_by_the_user(folder: Path, tmp_path: Path) -> None:
    assert main(["analyse", str(folder / "plain.dm4"), "-o", str(tmp_path), "--pixel-size", "0.02"]) == 0
    stored = json.loads((tmp_path / "plain.dm4" / "analysis.json").read_text(encoding="utf-8"))
    assert stored["micrograph"]["calibration"]["source"] == "given by the user"


def test_two_files_of_one_stem_do_not_clash(folder: Path, tmp_path: Path) -> None:
    files = [str(folder / "good.dm3"), str(folder / "good.dm4")]
    assert main(["analyse", *files, "-o", str(tmp_path)]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"good.dm3", "good.dm4"}


def test_two_files_of_one_name_clash(folder: Path, tmp_path: Path) -> None:
    assert main(["analyse", str(folder / "good.dm4"), "elsewhere/GOOD.dm4", "-o", str(tmp_path)]) == 2


@pytest.mark.parametrize(
    ("choice", "word"),
    [
        (["--phases", "LiFF"], "LiF"),
        (["--elements", "Li, Xx"], "'Xx'"),
        (["--sets", "nonsense"], "battery"),
        (["--window", "0.001"], "window"),
        (["--params", "missing.json"], "missing.json"),
        (["--phases", "LiF", "--elements", "Cu"], "no phase"),
    ],
)
def test_a_choice_that_cannot_be_made_exits_with_2(
    folder: Path, capsys: pytest.CaptureFixture[str], choice: list[str], word: str
) -> None:
    assert main(["analyse", str(folder / "good.dm4"), *choice]) == 2
    assert word in capsys.readouterr().err


def test_every_parameter_has_an_option_of_its_own() -> None:
    names = [option.name for option in options()]
    assert len(names) == len(set(names)) > 10
    assert "calibration-uncertainty" not in names and "window" in names  # that one edits the image


def test_options_reach_the_parameters() -> None:
    command = ["analyse", "a.dm4", "--network", "none", "--window", "7.5", "--d-min", "0.12"]
    params = params_from(build_parser().parse_args(command))
    assert (params.network, params.windows.window, params.spectrum.d_min) == ("none", 7.5, 0.12)
    assert params_from(build_parser().parse_args(["analyse", "a.dm4"])) == AnalysisParams()


def test_parameters_of_an_earlier_analysis(folder: Path, tmp_path: Path) -> None:
    first = ["analyse", str(folder / "good.dm4"), "-o", str(tmp_path), "--window", "6", "--d-min", "0.15"]
    assert main(first) == 0
    stored = tmp_path / "good.dm4" / "analysis.json"
    again = build_parser().parse_args(["analyse", "a.dm4", "--params", str(stored), "--d-min", "0.2"])
    params = params_from(again)
    assert (params.windows.window, params.spectrum.d_min) == (6.0, 0.2)


def test_help_explains_every_parameter_with_its_default(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["analyse", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    for option in options():
        assert f"--{option.name}" in text
        assert option.parameter.field.help in text


def test_a_network_that_is_not_there_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["analyse", str(folder / "good.dm4"), "--network", "no-such-model"]) == 2
    assert "no-such-model: neither the name of a model" in capsys.readouterr().err


def test_sample_is_written_once_and_never_over_another_file(tmp_path: Path) -> None:
    assert main(["sample", "-o", str(tmp_path)]) == 0
    assert main(["sample", "-o", str(tmp_path)]) == 0
    (tmp_path / "sample.dm4").write_text("mine")
    assert main(["sample", "-o", str(tmp_path)]) == 1
    assert (tmp_path / "sample.dm4").read_text() == "mine"


def test_phases_are_listed_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["phases", "--elements", "Li, F"]) == 0
    assert "lithium fluoride" in capsys.readouterr().out
    assert main(["phases", "LiF"]) == 0
    assert "0.2325" in capsys.readouterr().out
    assert main(["phases", "unobtainium"]) == 2


def test_phases_in_angstrom_with_four_indices_and_look_alikes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["phases", "--tag", "sei", "--elements", "Li, F"]) == 0
    assert f"2 of {len(load_table())} phases active" in capsys.readouterr().out
    assert main(["phases", "ZnO", "LiF", "--unit", "angstrom"]) == 0
    shown = capsys.readouterr().out
    assert "1 0 -1 1   2.4758" in shown
    assert "1 1 1  2.3250" in shown and "LiH (+1.4 %)" in shown


def test_a_word_on_a_grain_is_kept_until_it_is_forgotten(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["analyse", str(folder / "good.dm4"), "-o", str(tmp_path), "--phases", "LiF,Cu"]
    stored = tmp_path / "good.dm4" / "analysis.json"
    assert main([*command, "--override", "1=Al"]) == 0
    assert "identified, by the user" in capsys.readouterr().out
    assert main(command) == 0
    (said,) = json.loads(stored.read_text())["decisions"]
    assert (said["phase"], said["kind"]) == ("Al", "override")
    assert json.loads(stored.read_text())["components"][0]["by_user"]
    assert ",yes," in (tmp_path / "good.dm4" / "spots.csv").read_text()
    assert main([*command, "--forget"]) == 0
    assert json.loads(stored.read_text())["decisions"] == []
    for wrong in ("one=Al", "1=Unobtainium", "1"):
        assert main([*command, "--lock", wrong]) == 2
    assert main(["analyse", str(folder / "good.dm3"), *command[1:], "--lock", "1=Al"]) == 2


CIF = """data_salt
_cell_length_a 5.2
_cell_length_b 5.2
_cell_length_c 5.2
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'F m -3 m'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
K K 0 0 0
I I 0.5 0.5 0.5
"""


def test_cif_files_join_the_table_and_a_bad_one_is_named(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mysalt.cif").write_text(CIF)
    (tmp_path / "bad.cif").write_text("data_bad\n")
    assert main(["phases", "mysalt", "--cif", str(tmp_path)]) == 0
    captured = capsys.readouterr()
    assert "0.30022" in captured.out and "bad.cif: refused" in captured.err
    chosen = ["--cif", str(tmp_path), "--phases", "mysalt,LiF"]
    assert main(["analyse", str(folder / "good.dm4"), "-o", str(tmp_path / "out"), *chosen]) == 0
    stored = json.loads((tmp_path / "out" / "good.dm4" / "analysis.json").read_text(encoding="utf-8"))
    assert stored["phases"] == ["mysalt", "LiF"] and stored["own_phases"][0]["id"] == "mysalt"
    assert main(["phases", "--cif", str(tmp_path / "nowhere")]) == 2


def test_inverse_transforms_are_written_on_request(folder: Path, tmp_path: Path) -> None:
    command = ["analyse", str(folder / "good.dm4"), "-o", str(tmp_path), "--phases", "Li"]
    assert main([*command, "--ifft", "spots,mask"]) == 0
    stored = json.loads((tmp_path / "good.dm4" / "analysis.json").read_text())
    spots = {f"ifft_spot_{spot['id']}.tif" for spot in stored["spots"]}
    assert {name for name in stored["files"] if name.startswith("ifft")} == spots | {"ifft.tif"}
    with pytest.raises(SystemExit, match="2"):
        main([*command, "--ifft", "everything"])


def test_a_drawn_specimen_is_taken_and_kept_until_it_is_forgotten(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mask = np.zeros((64, 50), np.uint8)
    mask[:, :25] = 255
    tifffile.imwrite(tmp_path / "mine.tif", mask)
    command = ["analyse", str(folder / "good.dm4"), "-o", str(tmp_path), "--phases", "Li"]
    shares = []
    for extra in (["--specimen", str(tmp_path / "mine.tif")], [], ["--forget"]):
        assert main([*command, *extra]) == 0
        stored = json.loads((tmp_path / "good.dm4" / "analysis.json").read_text())
        shares.append((round(stored["specimen_area"] / (512 * 400 * 0.0004), 1), stored["specimen_by_user"]))
        assert ("drawn by the user" in capsys.readouterr().out) == stored["specimen_by_user"]
    assert shares == [(0.5, True), (0.5, True), (1.0, False)]


@pytest.mark.parametrize(("name", "code"), [("square.npy", 1), ("missing.tif", 2), ("text.tif", 2)])
def test_a_specimen_that_is_none_is_refused(folder: Path, tmp_path: Path, name: str, code: int) -> None:
    np.save(tmp_path / "square.npy", np.ones((50, 50)))
    (tmp_path / "text.tif").write_text("no image")
    mask = ["--specimen", str(tmp_path / name)]
    assert main(["analyse", str(folder / "good.dm4"), "-o", str(tmp_path), *mask]) == code


@pytest.mark.parametrize(
    ("options", "given", "held"),
    [
        (["--sets", "metal"], None, 0.5),
        (["--phases", "LiF,Cu"], None, 0.0),
        (["--elements", "Li, F"], None, 0.0),
        (["--phases", "LiF,Cu", "--outside", "0.3"], 0.3, 0.3),
        (["--elements", "Li, F", "--outside", "0.5"], 0.5, 0.5),
        (["--sets", "metal", "--outside", "0"], 0.0, 0.0),
    ],
)
def test_a_weight_of_phases_outside_holds_where_it_is_given_and_is_stored_as_it_was(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    given: float | None,
    held: float,
) -> None:
    weights: list[float] = []

    def weighed(match: Any, free: Any, barred: Any, weight: float) -> Any:
        weights.append(weight)
        return match

    monkeypatch.setattr("napari_tem_fft.core.matching.match._with_outside", weighed)
    assert main(["analyse", str(folder / "good.dm4"), "-o", str(tmp_path), *options]) == 0
    stored = json.loads((tmp_path / "good.dm4" / "analysis.json").read_text())
    assert stored["parameters"]["matching"]["outside"] == given
    assert set(weights) == {held}
    weights.clear()
    loaded = load_results(tmp_path / "good.dm4", api.read(folder / "good.dm4"))
    exhaust(reanalyse_after_override(loaded, ()))
    assert set(weights) == {held}


def test_default_weights_that_version_0_1_wrote_are_none_that_were_given(tmp_path: Path) -> None:
    path = tmp_path / "analysis.json"
    for text, weight in (
        ({"parameters": {"matching": {"outside": 0.5}}}, None),
        ({"parameters": {"matching": {"outside": 0.5}}, "candidates_stated": False}, 0.5),
        ({"matching": {"outside": 0.5}}, 0.5),
        ({"parameters": {"matching": {"outside": 0.3}}}, 0.3),
    ):
        path.write_text(json.dumps(text))
        assert read_params(path)[0].matching.outside == weight


def test_a_decision_may_name_any_phase_of_the_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = tmp_path / "fringes.dm4"
    picture = white_noise((192, 192), 1) + 2 * fringes((192, 192), (0.02, 0.02), 0.2338, 20.0)
    write_dm(image, picture.astype(np.float32), 0.02, "nm")
    common = ["analyse", str(image), "-o", str(tmp_path), "--network", "none"]
    assert main(common) == 0
    assert "further phases are searched where the sample's elements are stated" in capsys.readouterr().out
    assert main([*common, "--elements", "Nb"]) == 0
    assert "further phases" not in capsys.readouterr().out
    assert main([*common, "--override", "1=Nb"]) == 0
    assert main([*common, "--override", "1=unobtainium"]) == 2
