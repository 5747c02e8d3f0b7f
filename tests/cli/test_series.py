"""The command series, on a movie with known truth."""

import csv
import json

import numpy as np
import pytest
import tifffile

from dm_writer import write_dm
from movie import COPPER, PATH, PIXEL, RADII, STAYS, movie
from napari_tem_fft.cli.main import main
from napari_tem_fft.cli.series import frame_slice

CHOICE = ("--elements", "Cu, Li, O", "--network", "none")


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    path = tmp_path_factory.mktemp("movie") / "movie.tif"
    scale = {"unit": "nm", "axes": "TYX", "finterval": 0.5, "tunit": "s"}
    tifffile.imwrite(path, movie(), imagej=True, resolution=(1 / PIXEL, 1 / PIXEL), metadata=scale)
    return path


def rows(path):
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_growing_grain_against_time_with_the_drift_taken_out(stack, tmp_path, capsys):
    command = ["series", str(stack), "-o", str(tmp_path), "--lock-frame", "2", "--picture", "png,svg"]
    assert main([*command, *CHOICE]) == 0
    folder = tmp_path / "movie.tif.series"
    frames = rows(folder / "series.csv")
    assert [float(frame["time_s"]) for frame in frames] == [0.0, 0.5, 1.0]
    for frame, (dy, dx), radius in zip(frames, PATH, RADII, strict=True):
        assert float(frame["drift_y_nm"]) == pytest.approx(dy * PIXEL, abs=0.1)
        assert float(frame["drift_x_nm"]) == pytest.approx(dx * PIXEL, abs=0.1)
        area, sigma = (float(frame[f"Cu {what}_nm2"]) for what in ("area", "area_sigma"))
        assert area == pytest.approx(np.pi * radius**2, abs=2 * sigma) and 0 < sigma < 0.4 * area
        specimen = float(frame["specimen_nm2"])
        assert float(frame["Cu fraction"]) == pytest.approx(area / specimen)
        assert float(frame["Cu fraction_sigma"]) == pytest.approx(sigma / specimen)
    grains = rows(folder / "series_grains.csv")
    growing = [row for row in grains if row["component"] == "Cu"]
    assert [row["frame"] for row in growing] == ["0", "1", "2"]
    assert len({row["track"] for row in growing}) == 1
    for row in growing:
        place = float(row["y_nm"]), float(row["x_nm"])
        np.testing.assert_allclose(place, COPPER, atol=0.2)
    stays = [row for row in grains if row["component"] != "Cu"]
    assert len(stays) == 3 and len({row["track"] for row in stays}) == 1
    for row in stays:
        area, sigma = float(row["area_nm2"]), float(row["area_sigma_nm2"])
        assert area == pytest.approx(np.pi * STAYS**2, abs=2 * sigma)
    stored = json.loads((folder / "series.json").read_text(encoding="utf-8"))
    assert stored["phases"] == ["Cu"] and stored["drift_corrected"]
    assert set(stored["files"]) == {path.name for path in folder.iterdir()} - {"series.json"}
    assert "share of the specimen" in (folder / "series.svg").read_text(encoding="utf-8")
    out = capsys.readouterr().out
    assert "2 of 2 grains were tracked" in out and "Cu (%)" in out


def test_some_frames_without_correction_keep_their_numbers(stack, tmp_path, capsys):
    command = ["series", str(stack), "-o", str(tmp_path), "--no-drift", "--frames", "::2"]
    assert main([*command, "--frame-interval", "3", *CHOICE]) == 0
    frames = rows(tmp_path / "movie.tif.series" / "series.csv")
    assert [(frame["frame"], float(frame["time_s"])) for frame in frames] == [("0", 0.0), ("2", 6.0)]
    assert frames[1]["drift_x_nm"] == ""


def test_files_are_the_frames_of_a_series_and_a_bad_one_is_told_of(tmp_path, capsys):
    frames = movie()
    for number, pixels in enumerate((frames[1], np.zeros_like(frames[0]), frames[2])):
        write_dm(tmp_path / f"heat_{number}.dm4", pixels, PIXEL, "nm")
    files = [str(tmp_path / f"heat_{number}.dm4") for number in range(3)]
    assert main(["series", *files, "-o", str(tmp_path), *CHOICE]) == 0
    table = rows(tmp_path / "heat_0.dm4.series" / "series.csv")
    assert "same value" in table[1]["problem"] and table[1]["specimen_nm2"] == ""
    assert float(table[2]["Cu area_nm2"]) > float(table[0]["Cu area_nm2"]) > 0
    said = capsys.readouterr()
    assert "frame 1:" in said.out and "drift of 1 of 3 frames could not be measured" in said.err


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--lock-frame", "7"], "not one of the selected frames"),
        (["--frames", "5:"], "no frame is selected"),
        (["--lock-frame", "0", "--phases", "LiF"], "no phase is named in frame 0"),
    ],
)
def test_what_cannot_be_done_is_said(stack, tmp_path, capsys, more, words):
    choice = CHOICE if "--phases" not in more else CHOICE[2:]
    assert main(["series", str(stack), "-o", str(tmp_path), *more, *choice]) != 0
    assert words in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_single_image_is_no_series(tmp_path, capsys):
    write_dm(tmp_path / "one.dm4", movie()[0], PIXEL, "nm")
    assert main(["series", str(tmp_path / "one.dm4"), "-o", str(tmp_path / "out"), *CHOICE]) == 1
    assert "there is no stack of images in it" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "a:b", "1:2:0", "1:2:3:4"])
def test_frames_that_are_none(text, capsys):
    with pytest.raises(SystemExit):
        main(["series", "movie.dm4", f"--frames={text}"])
    assert "is not FIRST:LAST:STEP" in capsys.readouterr().err


def test_frames_as_in_python():
    assert range(10)[frame_slice("2:9:3")] == range(2, 9, 3)
    assert list(range(10)[frame_slice("4")]) == [4]
    assert list(range(10)[frame_slice("-2:")]) == [8, 9]
