from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from napari_tem_fft.cli.common import picture_options
from napari_tem_fft.cli.options import build_parser
from napari_tem_fft.core.profile.radial_profile import ProfilePeak
from napari_tem_fft.core.spots.spot import Spot
from napari_tem_fft.io.figures.overview import overview, write_overview
from napari_tem_fft.io.figures.picture import (
    PANELS,
    PictureOptions,
    distinct_peaks,
    ring_groups,
    spread_labels,
)
from napari_tem_fft.io.results.folder import save_results
from small_analysis import small_analysis


def titles(panels):
    return [axes.get_title().splitlines()[:1] for axes in overview(small_analysis(), options=panels).axes]


def test_only_the_chosen_panels_are_drawn():
    assert len(titles(PictureOptions())) == 4
    assert titles(PictureOptions(("components", "fft"))) == [
        ["diffractogram, rings at d in nm"],
        ["components"],
    ]
    profile = overview(small_analysis(), options=PictureOptions(("profile",))).axes
    assert [axes.get_xlabel() for axes in profile] == ["g (1/nm)"]


def test_the_dpi_are_those_of_the_file_and_of_its_images(tmp_path):
    sizes = []
    for dpi in (50, 100):
        write_overview(tmp_path / "a.png", small_analysis(), options=PictureOptions(dpi=dpi))
        with Image.open(tmp_path / "a.png") as picture:
            sizes.append(picture.size)
            assert picture.info["dpi"][0] == pytest.approx(dpi, abs=0.1)
    assert sizes == [(900, 550), (1800, 1100)]


def test_formats_that_a_drawing_program_can_change(tmp_path):
    options = PictureOptions(("micrograph", "profile"), ("svg", "pdf"))
    folder = save_results(small_analysis(), tmp_path / "small", picture=options)
    assert not (folder / "overview.png").exists()
    assert (folder / "overview.pdf").read_bytes().startswith(b"%PDF")
    svg = ElementTree.parse(folder / "overview.svg")
    words = [text.text for text in svg.iter("{http://www.w3.org/2000/svg}text")]
    assert "g (1/nm)" in words
    save_results(small_analysis(), folder)  # what an earlier run wrote is replaced
    assert (folder / "overview.png").exists() and not (folder / "overview.svg").exists()


def test_a_suffix_that_is_no_picture_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"written as \.png, \.svg, \.pdf"):
        write_overview(tmp_path / "a.docx", small_analysis())


def test_the_command_line_says_the_same(capsys):
    words = ["analyse", "a.dm4", "--picture", "pdf,PNG", "--dpi", "300", "--panels", "profile,fft"]
    options = picture_options(build_parser("analyse").parse_args(words))
    assert options == PictureOptions(("fft", "profile"), ("pdf", "png"), 300)
    assert picture_options(build_parser("analyse").parse_args(words[:2])).panels == PANELS
    for wrong in (["--picture", "bmp"], ["--dpi", "5"], ["--panels", ","], ["--dpi", "many"]):
        with pytest.raises(SystemExit):
            build_parser("analyse").parse_args([*words[:2], *wrong])
    assert "bmp is no format: png, svg, pdf" in capsys.readouterr().err


def test_labels_are_moved_just_as_far_as_needed() -> None:
    np.testing.assert_allclose(spread_labels([1.0, 5.0, 9.0], 1.0), [1.0, 5.0, 9.0])
    np.testing.assert_allclose(spread_labels([4.0, 4.0, 9.0], 1.0), [3.5, 4.5, 9.0])
    np.testing.assert_allclose(spread_labels([4.0, 4.1, 4.9], 1.0), [13 / 3 - 1, 13 / 3, 13 / 3 + 1])
    assert len(spread_labels([], 1.0)) == 0


def test_spots_of_like_d_share_a_ring() -> None:
    spots = [
        Spot(i, (0.0, g), 0.01, snr, -20.0) for i, (g, snr) in enumerate([(4.0, 30), (4.01, 50), (5.0, 20)])
    ]
    rings = ring_groups(spots)
    assert [g for g, _ in rings] == pytest.approx([4.005, 5.0])
    assert [len(members) for _, members in rings] == [2, 1]


def test_of_peaks_at_one_place_the_strongest_is_labelled() -> None:
    peaks = [
        ProfilePeak(g, 0.01, 0.1, 1.0, height, "masked") for g, height in [(5.0, 9), (4.0, 30), (4.01, 50)]
    ]
    assert [peak.g for peak in distinct_peaks(peaks)] == [4.01, 5.0]
