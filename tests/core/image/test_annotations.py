"""Bars and labels that are burnt into an image."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw

from forward_model import Optics, film_image
from napari_tem_fft.core.fourier.diffractogram import SpectrumParams
from napari_tem_fft.core.image.annotations import fill_annotations, find_annotations
from napari_tem_fft.core.image.calibration import Calibration
from napari_tem_fft.core.image.micrograph import Micrograph
from napari_tem_fft.core.pipeline import AnalysisParams, analysis_steps
from napari_tem_fft.core.progress import exhaust

SIZE, PIXEL = 512, (0.03, 0.03)


def picture(draw=None):
    film = film_image((SIZE, SIZE), PIXEL, 3, Optics(defocus=60.0), 0.08)
    counts = np.random.default_rng(3).poisson(np.maximum(film, 0.01) * 400)
    low, high = np.percentile(counts, (0.5, 99.5))
    image = Image.fromarray(np.clip((counts - low) / (high - low) * 255, 0, 255).astype(np.uint8))
    if draw is not None:
        draw(ImageDraw.Draw(image))
    return np.array(image)


def data_bar(draw):
    draw.rectangle((0, 470, 512, 512), fill=0)
    draw.text((10, 480), "HV 300 kV  mag 380 kx  2026-01-01", fill=255)
    for k in range(11):
        draw.rectangle((300 + 20 * k, 485, 301 + 20 * k, 500), fill=255)


def scale_bar(draw):
    draw.rectangle((20, 470, 160, 478), fill=255)
    draw.text((70, 482), "4 nm", fill=255)


def boxed_bar(draw):
    draw.rectangle((300, 400, 500, 450), fill=0)
    draw.rectangle((320, 410, 480, 418), fill=255)
    draw.text((380, 425), "4 nm", fill=255)


@pytest.mark.parametrize(
    ("draw", "box"),
    [(data_bar, (470, 512, 0, 512)), (scale_bar, (470, 479, 20, 161)), (boxed_bar, (400, 451, 300, 501))],
)
def test_what_is_burnt_in_is_found(draw, box):
    found = find_annotations(picture(draw))
    top, bottom, left, right = box
    assert found[top:bottom, left:right].all()
    found[max(top - 40, 0) : bottom + 40, max(left - 40, 0) : right + 40] = False
    assert not found.any()


def test_a_jpeg_of_a_bar_is_found_too():
    buffer = io.BytesIO()
    Image.fromarray(picture(boxed_bar)).save(buffer, "JPEG", quality=95)
    assert find_annotations(np.asarray(Image.open(buffer)))[425, 310]


@pytest.mark.parametrize(
    "pixels",
    [
        picture(),
        np.where(np.hypot(*np.ogrid[-256:256, -256:256]) < 90, 0, picture() // 2 + 50),  # a hole
        np.full((64, 64), 7),
        np.where(
            np.arange(512)[None, :] + 9 * np.sin(np.arange(512) / 30)[:, None] < 200, 0, picture() // 2 + 50
        ),
    ],
    ids=["film", "hole", "constant", "dark vacuum"],
)
def test_what_a_micrograph_shows_is_no_annotation(pixels):
    assert find_annotations(pixels) is None


def test_the_fill_has_no_edge():
    image = np.full((100, 100), 5.0, np.float32)
    mask = np.zeros(image.shape, bool)
    mask[80:, :] = True
    image[mask] = 1000.0
    fill_annotations(image, mask)
    np.testing.assert_allclose(image, 5.0, rtol=1e-5)


def test_a_data_bar_makes_no_spot_and_is_no_specimen():
    micrograph = Micrograph(picture(data_bar), Calibration.real(PIXEL))
    analysis = exhaust(analysis_steps(micrograph, ()))
    assert analysis.spots == () and analysis.grains == ()
    assert any("burnt into the image" in text for text in analysis.warnings)
    rows = analysis.specimen.mean(axis=1)
    assert rows[int(0.94 * len(rows)) :].max() == 0
    assert rows[: int(0.85 * len(rows))].min() == 1


def test_a_person_may_keep_it():
    micrograph = Micrograph(picture(scale_bar), Calibration.real(PIXEL))
    params = AnalysisParams(spectrum=SpectrumParams(annotations="keep"))
    analysis = exhaust(analysis_steps(micrograph, (), params))
    assert not any("burnt" in text for text in analysis.warnings)
    with pytest.raises(ValueError, match="bars and labels"):
        SpectrumParams(annotations="some")
