"""The commands pattern and calibrate, and calibrations of analyse, run in this process on small files."""

import json

import numpy as np
import pytest

from dm_writer import DmImage, write_dm, write_dm_images
from forward_model import fringes, white_noise
from napari_tem_fft import api
from napari_tem_fft.cli.main import main
from napari_tem_fft.core.image.calibration import CalibrationError
from napari_tem_fft.io.exchange.calibration_profile import load_profile
from napari_tem_fft.io.exchange.temfft import Document, save_temfft
from napari_tem_fft.io.plain import ReadError
from pattern_model import diffuse, recorded, spots

TITAN = {"Voltage": 300e3, "Indicated Magnification": 380e3, "Microscope": "Titan"}
#: By the files' scale, which is 2 % too large: gold 111 and 200 would be 0.23548 and 0.20393 nm.
PLANES, WRONG = [(0.24019, 20.0), (0.20801, 74.7)], 1.02
PIXEL = (0.02, 0.02)


def film(shape=(400, 420), seed=1, planes=PLANES, pixel=PIXEL):
    image = white_noise(shape, seed, 40.0) + sum(fringes(shape, pixel, d, a, 30.0) for d, a in planes)
    return np.rint(1000 + image).astype(np.int16)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    shape, centre, step = (384, 400), (190.4, 203.7), (0.04, 0.04)
    expected = diffuse(shape, centre, step) + spots(shape, centre, step, [(d, a, 500.0) for d, a in PLANES])
    counts = recorded(expected, step).pixels
    write_dm(folder / "gold.dm4", film(), PIXEL, "nm", microscope=TITAN)
    write_dm(folder / "saed.dm4", counts, step, "1/nm", microscope=TITAN)
    write_dm(folder / "plain.dm4", counts)
    write_dm(folder / "image.dm4", film(), microscope=TITAN)
    pair = [DmImage(counts, step, "1/nm", name="pattern"), DmImage(film(), PIXEL, "nm", name="film")]
    write_dm_images(folder / "both.dm4", pair)
    stack = np.stack([white_noise((300, 300), 5, 40.0), film((300, 300), planes=[(0.3, 40.0)])])
    write_dm(folder / "series.dm4", stack.astype(np.float32), (1.0, *PIXEL), ("", "nm", "nm"))
    return folder


def stored(path):
    return json.loads(path.read_text(encoding="utf-8"))


def test_a_pattern_is_measured(folder, tmp_path, capsys):
    assert main(["pattern", str(folder / "saed.dm4"), str(folder / "both.dm4"), "-o", str(tmp_path)]) == 0
    for name in ("saed.dm4", "both.dm4"):
        result = stored(tmp_path / name / "pattern.json")
        assert sorted(s["d"] for s in result["spots"]) == pytest.approx([0.20801, 0.24019], rel=1e-3)
        assert result["micrograph"]["calibration"]["source"] == "file"
    assert result["micrograph"]["metadata"]["image_name"] == "pattern"
    out = capsys.readouterr().out
    assert "± 2 % (file)" in out and "0.2080" in out and "+g and -g" in out


def test_scale_centre_and_limits_of_a_pattern_by_the_user(folder, tmp_path):
    command = ["pattern", str(folder / "plain.dm4"), "-o", str(tmp_path), "--pixel-size", "0.04"]
    options = ["--centre", "191,203", "--calibration-uncertainty", "1", "--d-max", "0.22"]
    assert main([*command, *options]) == 0
    result = stored(tmp_path / "plain.dm4" / "pattern.json")
    assert [s["d"] for s in result["spots"]] == pytest.approx([0.20801], rel=1e-3)
    calibration = result["micrograph"]["calibration"]
    assert (calibration["source"], calibration["uncertainty"]) == ("given by the user", 0.01)
    assert result["parameters"]["d_max"] == 0.22


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("gold.dm4", [], "it is a micrograph"),
        ("plain.dm4", [], "size of its pixels in 1/nm"),
        ("gold.dm4", ["--pixel-size", "0.04"], "another kind of image"),
    ],
)
def test_what_is_no_pattern_is_refused(folder, tmp_path, capsys, name, options, words):
    assert main(["pattern", str(folder / name), "-o", str(tmp_path), *options]) == 1
    assert words in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_analyse_refuses_a_pattern_and_says_what_measures_it(folder, tmp_path, capsys):
    assert main(["analyse", str(folder / "saed.dm4"), "-o", str(tmp_path)]) == 1
    assert "napari-tem-fft pattern" in capsys.readouterr().err
    assert main(["analyse", str(folder / "saed.dm4"), "-o", str(tmp_path), "--pixel-size", "0.02"]) == 1
    assert "another kind of image" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_spots_are_listed_when_none_is_chosen(folder, capsys):
    assert main(["calibrate", str(folder / "gold.dm4")]) == 0
    out = capsys.readouterr().out
    assert "0.240" in out and "0.208" in out and "r1" in out and "--spot" in out
    assert "0.02 nm per pixel +/- 2 % (file)" in out


@pytest.mark.parametrize("name", ["gold.dm4", "saed.dm4"])
def test_a_profile_is_made_and_applied(folder, tmp_path, capsys, name):
    profile = tmp_path / "profiles" / "titan.json"
    command = ["calibrate", str(folder / name), "--phase", "Au", "--hkl", "1,1,1", "-o", str(profile)]
    assert main([*command, "--spot", "0.24@20"]) == 0
    out = capsys.readouterr().out
    assert "corrected on Au 1 1 1" in out and "2 0 0" in out and "Titan at 380000x" in out
    kept = load_profile(profile)
    assert kept.correction.factors == pytest.approx((1 / WRONG, 1 / WRONG), rel=1e-3)
    assert (kept.microscope, kept.magnification) == ("Titan", 380e3)
    verb, file = ("analyse", "analysis.json") if name == "gold.dm4" else ("pattern", "pattern.json")
    command = [verb, str(folder / name), "-o", str(tmp_path), "--calibration-profile", str(profile)]
    assert main(command) == 0
    result = stored(tmp_path / name / file)
    assert result["micrograph"]["calibration"]["source"] == "corrected on Au 1 1 1"
    assert result["micrograph"]["calibration"]["uncertainty"] == pytest.approx(0.003, rel=0.1)
    known = {"microscope": "Titan", "magnification": 380e3, "voltage_kV": 300.0}
    assert known.items() <= result["micrograph"]["metadata"].items()
    for d in (0.23548, 0.20393):
        assert min(abs(s["d"] / d - 1) for s in result["spots"]) < 2e-3
    if verb == "analyse":
        assert result["parameters"]["calibration_uncertainty"] == pytest.approx(0.3, rel=0.1)
        assert "% (corrected on Au 1 1 1)" in capsys.readouterr().out


def test_a_factor_for_each_axis(tmp_path, capsys):
    squeezed = (0.02, 0.0206)
    planes = [(0.23548, 10.0), (0.23548, 80.5)]
    write_dm(tmp_path / "a.dm4", film(planes=planes, pixel=squeezed), (0.02, 0.02), "nm")
    command = ["calibrate", str(tmp_path / "a.dm4"), "--phase", "Au", "--hkl", "111", "--per-axis"]
    profile = tmp_path / "p.json"
    assert main([*command, "--spot", "@10", "--spot", "@80", "-o", str(profile)]) == 0
    assert load_profile(profile).correction.factors == pytest.approx((1.0, 1.03), rel=2e-3)
    assert "scale: x 0.020" in capsys.readouterr().out


def test_the_scale_of_an_uncalibrated_image_is_found_from_an_approximate_one(folder, tmp_path, capsys):
    command = [
        "calibrate",
        str(folder / "image.dm4"),
        "--pixel-size",
        "0.0205",
        "--spot",
        "@20",
        "--d",
        "0.23548",
    ]
    assert main([*command, "-o", str(tmp_path / "p.json")]) == 2
    assert "no profile" in capsys.readouterr().err
    assert main(command) == 0
    out = capsys.readouterr().out
    size = float(out.split("--pixel-size ")[1].split()[0])
    assert size == pytest.approx(0.02 / WRONG, rel=1e-3)
    assert "--calibration-uncertainty 0.3" in out


def test_a_magnification_gives_no_scale(folder, tmp_path, capsys):
    assert api.read(folder / "image.dm4").metadata["magnification"] == 380e3
    assert api.read(folder / "image.dm4").calibration.space == "none"
    assert main(["analyse", str(folder / "image.dm4"), "-o", str(tmp_path)]) == 1
    assert "pixel size" in capsys.readouterr().err
    assert main(["calibrate", str(folder / "image.dm4")]) == 1
    assert "pixel size" in capsys.readouterr().err


def test_a_profile_of_another_setting_is_refused(folder, tmp_path, capsys):
    command = ["calibrate", str(folder / "gold.dm4"), "--spot", "@20", "--d", "0.23548"]
    profile = tmp_path / "p.json"
    assert main([*command, "-o", str(profile), "--magnification", "500000"]) == 0
    command = [
        "analyse",
        str(folder / "gold.dm4"),
        "-o",
        str(tmp_path),
        "--calibration-profile",
        str(profile),
    ]
    assert main(command) == 1
    assert "380000x" in capsys.readouterr().err
    assert main([*command, "--pixel-size", "0.02"]) == 1
    assert "not both" in capsys.readouterr().err
    assert main([*command[:-1], str(tmp_path / "missing.json")]) == 2
    assert "missing.json" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--spot", "1"], "state what the spot is"),
        (["--d", "0.2"], "which spot"),
        (["--spot", "1", "--hkl", "111"], "--phase"),
        (["--spot", "1", "--hkl", "111", "--phase", "Au", "--d", "0.2"], "not both"),
        (["--spot", "1", "--spot", "2", "--spot", "3", "--d", "0.2", "--d", "0.3"], "as many"),
        (["--spot", "@20", "--phase", "Aurum", "--hkl", "111"], "Aurum"),
        (["--spot", "@20", "--phase", "Au", "--hkl", "100"], "no reflection 1 0 0"),
        (["--spot", "99", "--d", "0.2"], "no spot"),
        (["--spot", "@20", "--spot", "0.24@20", "--d", "0.2"], "twice"),
        (["--spot", "@20", "--d", "0.05"], "factor"),
        (["-o", "x.json"], "--spot"),
    ],
)
def test_a_correction_that_cannot_be_made_exits_with_2(folder, capsys, options, words):
    assert main(["calibrate", str(folder / "gold.dm4"), *options]) == 2
    assert words in capsys.readouterr().err


def test_a_chosen_frame_is_analysed(folder, tmp_path, capsys):
    assert main(["analyse", str(folder / "series.dm4"), "-o", str(tmp_path)]) == 1
    assert "choose a frame" in capsys.readouterr().err
    assert main(["analyse", str(folder / "series.dm4"), "-o", str(tmp_path), "--frame", "1"]) == 0
    result = stored(tmp_path / "series.dm4" / "analysis.json")
    assert result["micrograph"]["metadata"]["frame"] == 1
    assert min(abs(s["d"] / 0.3 - 1) for s in result["spots"]) < 2e-3


def test_a_chosen_image_of_several(folder, tmp_path):
    assert main(["analyse", str(folder / "both.dm4"), "-o", str(tmp_path), "--image", "1"]) == 0
    assert stored(tmp_path / "both.dm4" / "analysis.json")["micrograph"]["name"] == "both: film"


def test_a_pixel_size_does_not_make_a_micrograph_a_pattern(folder):
    with pytest.raises(CalibrationError, match="another kind"):
        api.read_pattern(folder / "gold.dm4", 0.04)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_help_names_the_commands(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    out = capsys.readouterr().out
    assert "pattern" in out and "calibrate" in out
    for name in ("pattern", "calibrate"):
        with pytest.raises(SystemExit, match="0"):
            main([name, "--help"])
        assert f"napari-tem-fft {name}" in capsys.readouterr().out


def test_a_whole_analysis_in_one_file(folder, tmp_path):
    command = ["analyse", str(folder / "gold.dm4"), "-o", str(tmp_path), "--temfft", "--phases", "Au"]
    assert main(command) == 0
    analysis = api.load(tmp_path / "gold.dm4.temfft")
    assert sorted(s.d for s in analysis.spots)[-1] == pytest.approx(0.24019, rel=2e-3)
    again = api.save(analysis, tmp_path / "again", pixels=False)
    assert api.load(again).spots == analysis.spots
    assert api.read(again).calibration == analysis.micrograph.calibration
    with pytest.raises(ReadError, match="no micrograph"):
        api.read(save_temfft(tmp_path / "empty", Document()))
    with pytest.raises(ReadError, match="no analysis"):
        api.load(save_temfft(tmp_path / "alone", Document(analysis.micrograph)))
