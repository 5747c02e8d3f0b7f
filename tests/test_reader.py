import numpy as np
import pytest
from npe2 import PluginManifest

from dm_writer import DmImage, write_dm, write_dm_images
from napari_tem_fft import _reader
from napari_tem_fft._layers import KEY
from napari_tem_fft._reader import get_reader, read_layers
from napari_tem_fft._sample_data import open_sample
from napari_tem_fft.io.errors import ReadError

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
    (reader,) = manifest.contributions.readers
    assert set(reader.filename_patterns) == {"*.dm3", "*.dm4", "*.DM3", "*.DM4"}
    names = [widget.display_name for widget in manifest.contributions.widgets]
    assert names == ["TEM FFT", "Profile", "Components", "Phases"]


@pytest.fixture
def manifest_path(request):
    return request.config.rootpath / "napari.yaml"
