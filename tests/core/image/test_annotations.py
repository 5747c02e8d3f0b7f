"""Bars and labels that are burnt into an image."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from forward_model import Optics, film_image
from napari_tem_fft.core.fourier.diffractogram import SpectrumParams
from napari_tem_fft.core.image.annotations import fill_annotations, find_annotations
from napari_tem_fft.core.image.calibration import Calibration
from napari_tem_fft.core.image.micrograph import Micrograph, prepared_pixels
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


def bar_of(value, ink, frame=None):
    def draw(to):
        to.rectangle((0, 468, 512, 512), fill=value, outline=frame, width=2)
        to.text((10, 482), "HV 300 kV  mag 380 kx  2026-01-01   10 nm", fill=ink)
        for k in range(11):
            to.rectangle((300 + 20 * k, 468, 301 + 20 * k, 476), fill=ink)

    return draw


def thin_bar(draw):
    draw.rectangle((20, 470, 160, 470), fill=255)
    draw.text((70, 474), "4 nm", fill=255)


@pytest.mark.parametrize(
    ("value", "ink", "frame"), [(255, 0, None), (0, 255, None), (128, 0, 0), (200, 40, None), (40, 255, 255)]
)
@pytest.mark.parametrize("turns", range(4))
def test_a_data_bar_of_any_value_is_found_at_each_border(value, ink, frame, turns):
    found = np.rot90(find_annotations(np.rot90(picture(bar_of(value, ink, frame)), turns)), -turns)
    assert found[470:].all() and not found[:460].any()


def test_a_data_bar_is_found_in_a_jpeg_and_after_resampling():
    buffer, pixels = io.BytesIO(), picture(bar_of(255, 0))
    Image.fromarray(pixels).save(buffer, "JPEG", quality=75)
    assert find_annotations(np.asarray(Image.open(buffer)))[470:].all()
    assert find_annotations(np.asarray(Image.fromarray(pixels).resize((360, 360))))[331:].all()


def test_a_bar_one_pixel_high_is_no_row_of_defects():
    pixels = picture(thin_bar)
    found = find_annotations(pixels)
    assert found[470, 20:161].all()
    micrograph = Micrograph(pixels, Calibration.real(PIXEL))
    assert prepared_pixels(micrograph, found)[1] == 0 < prepared_pixels(micrograph)[1]


def saturated(edge):
    """A film beside vacuum below row `edge` that is as bright as the detector goes."""
    return np.where(np.arange(512)[:, None] >= edge, 255, picture())


@pytest.mark.parametrize(
    "pixels",
    [
        picture(),
        saturated(420 + 0.03 * np.arange(512)),
        saturated(420 + np.random.default_rng(5).normal(0, 1.5, 512)),
        np.where(np.arange(512)[:, None] < 420, picture(), 121 + picture() % 5),  # flat, but noisy
        np.where(
            np.arange(512) < 150 + 9 * np.sin(np.arange(512) / 30)[:, None],
            np.random.default_rng(1).poisson(0.2, (512, 512)),
            picture() + 50.0,
        ),
        np.where(np.arange(512)[:, None] == 200, 255, picture()),  # a dead row
        np.where(np.hypot(*np.ogrid[-256:256, -256:256]) < 90, 0, picture() // 2 + 50),  # a hole
        np.full((64, 64), 7),
        np.where(
            np.arange(512)[None, :] + 9 * np.sin(np.arange(512) / 30)[:, None] < 200, 0, picture() // 2 + 50
        ),
    ],
    ids=["film", "tilted", "rough", "flat", "few counts", "dead row", "hole", "constant", "dark vacuum"],
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


@pytest.mark.parametrize(("text", "ink", "size"), [("20 nm", 255, 60), ("(a) HRTEM 300 kV", 0, 24)])
def test_letters_without_a_bar_make_no_spot(text, ink, size):
    def letters(draw):
        draw.text((20, 430), text, fill=ink, font=ImageFont.load_default(size))

    pixels = picture(letters)
    assert np.any(pixels != picture())
    micrograph = Micrograph(pixels.astype(np.float32), Calibration(PIXEL, "real"), "letters")
    analysis = exhaust(analysis_steps(micrograph, ()))
    assert analysis.spots == () and analysis.grains == ()
