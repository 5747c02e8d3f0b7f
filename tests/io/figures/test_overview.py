from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from napari_tem_fft.io.figures.overview import overview, shown_image, write_overview
from small_analysis import small_analysis, small_micrograph


def test_picture_is_written_without_pyplot(tmp_path: Path) -> None:
    write_overview(tmp_path / "overview.png", small_analysis())
    assert (tmp_path / "overview.png").read_bytes().startswith(b"\x89PNG")


def test_picture_of_nothing(tmp_path: Path) -> None:
    empty = replace(small_analysis(), spots=(), grains=(), matches=(), components=())
    write_overview(tmp_path / "overview.png", empty)
    assert (tmp_path / "overview.png").stat().st_size > 10_000


@pytest.mark.parametrize("strength", [1.0, 1e5])
def test_nothing_is_cut_off_by_the_border(strength: float) -> None:
    analysis = small_analysis()
    profiles = tuple(replace(one, intensity=one.intensity * strength) for one in analysis.profiles)
    figure = overview(replace(analysis, profiles=profiles))
    drawn, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert drawn.x0 > 0 and drawn.y0 > 0 and drawn.x1 < width and drawn.y1 < height


def test_large_micrograph_is_averaged_and_keeps_its_extent() -> None:
    micrograph = replace(small_micrograph(), pixels=np.arange(2000 * 1000).reshape(2000, 1000))
    image, extent = shown_image(micrograph)
    assert image.shape == (666, 500)
    assert extent == pytest.approx((0.0, 1000 * 0.03, 1998 * 0.02, 0.0))
    assert image.min() == 0 and image.max() == 1
