from xml.etree import ElementTree

import pytest
from PIL import Image

from napari_tem_fft.cli.common import picture_options
from napari_tem_fft.cli.options import build_parser
from napari_tem_fft.io.figures.overview import overview, write_overview
from napari_tem_fft.io.figures.picture import PANELS, PictureOptions
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
    with pytest.raises(ValueError, match=r"saved as \.png, \.svg, \.pdf"):
        write_overview(tmp_path / "a.docx", small_analysis())


def test_the_command_line_says_the_same(capsys):
    words = ["analyse", "a.dm4", "--picture", "pdf,PNG", "--dpi", "300", "--panels", "profile,fft"]
    options = picture_options(build_parser("analyse").parse_args(words))
    assert options == PictureOptions(("fft", "profile"), ("pdf", "png"), 300)
    assert picture_options(build_parser("analyse").parse_args(words[:2])).panels == PANELS
    for wrong in (["--picture", "bmp"], ["--dpi", "5"], ["--panels", ","], ["--dpi", "many"]):
        with pytest.raises(SystemExit):
            build_parser("analyse").parse_args([*words[:2], *wrong])
    assert "bmp is not one of png, svg, pdf" in capsys.readouterr().err
