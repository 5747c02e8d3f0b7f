import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Layer
from npe2 import PluginManifest

from dm_writer import DmImage, write_dm, write_dm_images
from napari_tem_fft.io.plain import ReadError
from napari_tem_fft.layers.image import KEY, micrograph_of
from napari_tem_fft.plugin import reader as _reader
from napari_tem_fft.plugin.reader import get_reader, open_sample, read_layers

PIXELS = np.random.default_rng(0).normal(size=(40, 48)).astype(np.float32)


@pytest.fixture
def told(monkeypatch):
    """What the reader tells the user."""
    texts: list[str] = []
    monkeypatch.setattr(_reader, "_notify", texts.append)
    return texts


@pytest.mark.parametrize("name", ["a.dm3", "a.dm4", "B.DM3", "B.DM4"])
def test_takes_gatan_files(name):
    assert get_reader(name) is read_layers
    assert get_reader([name, name]) is read_layers


@pytest.mark.parametrize("path", ["a.tif", [], ["a.dm4", "b.tif"]])
def test_leaves_others_alone(path):
    assert get_reader(path) is None


@pytest.mark.parametrize("name", ["film.dm3", "film.DM4"])
def test_layer_is_calibrated(tmp_path, told, name):
    ((data, kwargs, kind),) = read_layers(str(write_dm(tmp_path / name, PIXELS, 0.02, "nm", version=4)))
    assert kind == "image"
    assert np.array_equal(data, PIXELS)
    assert kwargs["name"] == "film"
    assert kwargs["scale"] == pytest.approx((0.02, 0.02))
    assert kwargs["units"] == ("nm", "nm")
    assert kwargs["metadata"][KEY]["source"].endswith(name)
    assert told == []


def test_uncalibrated_file_opens_and_says_so(tmp_path, told):
    ((_, kwargs, _),) = read_layers(str(write_dm(tmp_path / "raw.dm3", PIXELS)))
    assert kwargs["units"] == ("pixel", "pixel")
    assert len(told) == 1
    assert told[0].startswith("raw.dm3: ")


def test_inverse_nm_file_opens_and_says_so(tmp_path, told):
    ((_, kwargs, _),) = read_layers(str(write_dm(tmp_path / "sad.dm4", PIXELS, 0.1, "1/nm")))
    assert kwargs["units"] == ("1/nm", "1/nm")
    assert "1/nm" in told[0]


def test_only_one_unit_is_opened(tmp_path, told):
    images = [DmImage(PIXELS, 0.1, "1/nm", name="pattern"), DmImage(PIXELS, 0.02, "nm", name="film")]
    layers = read_layers(str(write_dm_images(tmp_path / "both.dm4", images)))
    assert [layer[1]["units"] for layer in layers] == [("nm", "nm")]
    assert any("pattern" in text for text in told)


def test_damaged_file_is_named(tmp_path):
    path = tmp_path / "cut.dm4"
    path.write_bytes(write_dm(tmp_path / "whole.dm4", PIXELS, 0.02, "nm").read_bytes()[:300])
    with pytest.raises(ReadError, match=r"cut\.dm4"):
        read_layers(str(path))


def test_sample_opens():
    ((data, kwargs, _),) = open_sample()
    assert data.shape == (1400, 1400)
    assert kwargs["units"] == ("nm", "nm")


def test_manifest_is_valid_and_all_it_names_exists(manifest_path):
    manifest = PluginManifest.from_file(manifest_path)
    manifest.validate_imports()
    micrographs, documents = manifest.contributions.readers
    lower = {"*.dm3", "*.dm4", "*.dm5", "*.ser", "*.emd"}
    assert set(micrographs.filename_patterns) == lower | {pattern.upper() for pattern in lower}
    assert set(documents.filename_patterns) == {"*.temfft", "*.TEMFFT"} and documents.accepts_directories
    names = [widget.display_name for widget in manifest.contributions.widgets]
    assert names == [
        "TEM FFT",
        "Profile",
        "Results",
        "Spots",
        "Calibration",
        "Series",
        "Batch",
        "Train",
        "Library",
    ]


@pytest.fixture
def manifest_path(request):
    return request.config.rootpath / "napari.yaml"


def test_a_stack_opens_with_an_axis_of_frames(tmp_path, told):
    frames = np.stack([PIXELS, 2 * PIXELS, 3 * PIXELS])
    path = write_dm(tmp_path / "series.dm4", frames, (1.0, 0.02, 0.03), ("s", "nm", "nm"))
    ((data, kwargs, kind),) = read_layers(str(path))
    layer = Layer.create(data, kwargs, kind)
    assert layer.data.shape == (3, *PIXELS.shape)
    assert kwargs["axis_labels"] == ("frame", "y", "x")
    assert [str(unit) for unit in layer.units] == ["pixel", "nanometer", "nanometer"]
    frame = micrograph_of(layer.data[1], {**kwargs, "frame": 1})
    assert np.array_equal(frame.pixels, 2 * PIXELS)
    assert frame.pixel_size == pytest.approx((0.02, 0.03))
    assert frame.metadata["frame"] == 1
    assert told == []


def test_several_images_of_a_file_are_layers_of_their_own(tmp_path, told):
    images = [DmImage(PIXELS, 0.02, "nm", name="film"), DmImage(2 * PIXELS, 0.01, "nm", name="detail")]
    layers = read_layers(str(write_dm_images(tmp_path / "two.dm4", images)))
    assert [layer[1]["name"] for layer in layers] == ["two: film", "two: detail"]


def test_frames_of_a_large_stack_stay_on_disk(tmp_path, monkeypatch):
    monkeypatch.setattr("napari_tem_fft.io.readers.gatan.LAZY_BYTES", 1000)
    frames = np.arange(4 * 20 * 24, dtype=np.int16).reshape(4, 20, 24)
    path = write_dm(tmp_path / "series.dm4", frames, (1.0, 0.02, 0.02), ("", "nm", "nm"))
    layer = Layer.create(*read_layers(str(path))[0])
    assert not isinstance(layer.data, np.ndarray)
    assert np.array_equal(np.asarray(layer.data[2]), frames[2])
    viewer = ViewerModel()
    viewer.add_layer(layer)
    viewer.dims.set_current_step(0, 3)
    assert np.array_equal(layer._slice.image.raw, frames[3])


def test_a_pattern_lies_about_the_world_s_origin(tmp_path, told):
    path = write_dm(tmp_path / "sad.dm4", PIXELS, 0.1, "1/nm", origin=(20.0, 24.0))
    ((data, kwargs, _),) = read_layers(str(path))
    assert kwargs["translate"] == pytest.approx((-2.0, -2.4))
    assert micrograph_of(data, kwargs).calibration.origin == pytest.approx((20.0, 24.0))


def test_what_the_file_tells_of_the_microscope_is_in_the_layer(tmp_path):
    microscope = {"Voltage": 300e3, "Indicated Magnification": 380e3, "Microscope": "Titan"}
    path = write_dm(tmp_path / "film.dm4", PIXELS, 0.02, "nm", microscope=microscope, name="area 3")
    ((data, kwargs, _),) = read_layers(str(path))
    notes = kwargs["metadata"][KEY]["microscope"]
    expected = {"voltage_kV": 300.0, "magnification": 380e3, "microscope": "Titan", "image_name": "area 3"}
    assert expected.items() <= notes.items()
    assert expected.items() <= micrograph_of(data, kwargs).metadata.items()
