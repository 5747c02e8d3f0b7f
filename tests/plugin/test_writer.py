"""What napari's layers are after they were saved and opened again; layers and viewer models are real."""

import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer
from npe2 import PluginManifest

from dm_writer import write_dm
from napari_tem_fft.core.pipeline import Analysis
from napari_tem_fft.io.exchange.temfft import load_temfft, save_temfft
from napari_tem_fft.io.readers.micrographs import read_micrograph
from napari_tem_fft.layers.image import KEY, micrograph_of
from napari_tem_fft.plugin.reader import read_layers
from napari_tem_fft.plugin.writer import write_document, write_image
from small_analysis import assert_same, small_analysis

PIXELS = np.random.default_rng(0).normal(size=(40, 48)).astype(np.float32)


@pytest.fixture(autouse=True)
def _plugin(npe2pm, request):
    """The plugin as napari finds it, and no other one."""
    npe2pm.register(PluginManifest.from_file(request.config.rootpath / "napari.yaml"))


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    return small_analysis()


@pytest.fixture
def viewer(analysis, tmp_path):
    """A viewer with the layers of an analysis, in which a person has changed some."""
    viewer = ViewerModel()
    path = save_temfft(tmp_path / "first.temfft", analysis)
    for layer in read_layers(str(path)):
        viewer.add_layer(Layer.create(*layer))
    viewer.layers["FFT · small"].colormap = "viridis"
    viewer.layers["FFT · small"].contrast_limits = (0.25, 2.5)
    viewer.layers["IFFT · small"].visible = True
    viewer.layers["LiF / mine · small"].opacity = 0.3
    viewer.add_points([[1.0, 2.0]], name="a person's own", units=("nm", "nm"), features={"note": ["here"]})
    return viewer


def test_an_analysis_opens_as_its_layers(viewer):
    names = [layer.name for layer in viewer.layers]
    assert names[0] == "small" and names[-2] == "scale bars · small"
    assert {"FFT · small", "mask · small", "spots · small", "grains · small", "rings · small"} <= set(names)
    assert [str(unit) for unit in viewer.layers.units] == ["nanometer", "nanometer"]


def test_what_follows_a_drag_stays_away(viewer, tmp_path):
    fft = viewer.layers["FFT · small"]
    live = Image(fft.data, name="live", metadata={KEY: {**fft.metadata[KEY], "role": "live"}})
    viewer.add_layer(live)
    (path,) = viewer.layers.save(str(tmp_path / "a.temfft"), plugin="napari-tem-fft")
    again = ViewerModel()
    again.open(path, plugin="napari-tem-fft")
    assert [layer.name for layer in again.layers] == [each.name for each in viewer.layers if each is not live]


def test_layers_come_back_as_they_were(viewer, analysis, tmp_path):
    saved = viewer.layers.save(str(tmp_path / "a.temfft"), plugin="napari-tem-fft")
    assert saved == [str(tmp_path / "a.temfft")]
    again = ViewerModel()
    again.open(saved[0], plugin="napari-tem-fft")
    assert [layer.name for layer in again.layers] == [layer.name for layer in viewer.layers]
    for before, after in zip(viewer.layers, again.layers, strict=True):
        assert type(before) is type(after)
        assert same_data(before, after), before.name
        for name in ("scale", "translate"):
            np.testing.assert_allclose(getattr(after, name), getattr(before, name), err_msg=before.name)
        for name in ("units", "axis_labels", "visible", "opacity", "blending"):
            assert getattr(after, name) == getattr(before, name), (before.name, name)
        assert after.metadata.get(KEY, {}).get("role") == before.metadata.get(KEY, {}).get("role")
    fft, spots = again.layers["FFT · small"], again.layers["spots · small"]
    assert (fft.colormap.name, tuple(fft.contrast_limits)) == ("viridis", (0.25, 2.5))
    np.testing.assert_allclose(spots.size, viewer.layers["spots · small"].size)
    np.testing.assert_allclose(spots.border_color, viewer.layers["spots · small"].border_color)
    assert spots.features.equals(viewer.layers["spots · small"].features)
    assert list(again.layers["a person's own"].features["note"]) == ["here"]
    for name in ("mask · small", "specimen · small"):
        np.testing.assert_allclose(again.layers[name].colormap.colors, viewer.layers[name].colormap.colors)
    rings = again.layers["rings · small"]
    assert list(rings.text.values) == list(viewer.layers["rings · small"].text.values)
    np.testing.assert_allclose(rings.edge_color, viewer.layers["rings · small"].edge_color)
    mask = again.layers["mask · small"]
    np.testing.assert_allclose(mask.get_color(1), viewer.layers["mask · small"].get_color(1))
    kept = again.layers["small"].metadata[KEY]["analysis"]
    assert_same(kept.spots, analysis.spots)
    assert_same(kept.components, analysis.components)


@pytest.mark.parametrize("colour", ["transparent", "red", "#12345678"])
def test_points_and_shapes_that_were_all_deleted_do_not_hinder_saving(viewer, tmp_path, colour):
    points = viewer.layers["a person's own"]
    points.border_color = points.face_color = colour
    for layer in (points, viewer.layers["spots · small"], viewer.layers["rings · small"]):
        layer.selected_data = set(range(len(layer.data)))
        layer.remove_selected()
    (path,) = viewer.layers.save(str(tmp_path / "a.temfft"), plugin="napari-tem-fft")
    again = ViewerModel()
    again.open(path, plugin="napari-tem-fft")
    assert [layer.name for layer in again.layers] == [layer.name for layer in viewer.layers]
    own = again.layers["a person's own"]
    assert (len(own.data), own.current_face_color) == (0, points.current_face_color)
    assert own.current_border_color == points.current_border_color


def same_data(before, after) -> bool:
    if isinstance(before.data, list):
        return all(np.allclose(a, b) for a, b in zip(before.data, after.data, strict=True))
    return np.array_equal(before.data, after.data) and before.data.dtype == after.data.dtype


def test_a_folder_is_filled_and_opened_like_a_file(viewer, tmp_path):
    folder = tmp_path / "a.temfft"
    folder.mkdir()
    viewer.layers.save(str(folder), plugin="napari-tem-fft")
    assert (folder / "temfft.json").is_file() and (folder / "results" / "analysis.json").is_file()
    again = ViewerModel()
    again.open(str(folder), plugin="napari-tem-fft")
    assert [layer.name for layer in again.layers] == [layer.name for layer in viewer.layers]


def test_a_micrograph_alone_comes_back(tmp_path):
    path = write_dm(tmp_path / "film.dm4", PIXELS, (0.02, 0.03), "nm", microscope={"Voltage": 300e3})
    layer = Layer.create(*read_layers(str(path))[0])
    (saved,) = write_document(str(tmp_path / "film.temfft"), [layer.as_layer_data_tuple()])
    ((data, kwargs, _),) = read_layers(saved)
    micrograph, before = micrograph_of(data, kwargs), read_micrograph(path)
    np.testing.assert_array_equal(micrograph.pixels, PIXELS)
    assert micrograph.calibration == before.calibration
    assert (micrograph.file_hash, micrograph.metadata) == (before.file_hash, before.metadata)
    assert load_temfft(saved).micrograph.pixel_size == pytest.approx((0.02, 0.03))


def test_a_stack_comes_back(tmp_path):
    frames = np.stack([PIXELS, 2 * PIXELS])
    path = write_dm(tmp_path / "s.dm4", frames, (1.0, 0.02, 0.02), ("", "nm", "nm"))
    layer = Layer.create(*read_layers(str(path))[0])
    (saved,) = write_document(str(tmp_path / "s.temfft"), [layer.as_layer_data_tuple()])
    again = Layer.create(*read_layers(saved)[0])
    np.testing.assert_array_equal(again.data, frames)
    assert (again.units, again.axis_labels) == (layer.units, layer.axis_labels)


@pytest.mark.parametrize(
    ("unit", "scale", "size", "stored"),
    [
        ("nm", 0.02, 0.02, "nm"),
        ("um", 0.02, 20.0, "nm"),
        ("angstrom", 0.2, 0.02, "nm"),
        ("1/nm", 0.1, 0.1, "1/nm"),
    ],
)
def test_tiff_keeps_the_calibration(tmp_path, unit, scale, size, stored):
    layer = Image(PIXELS, scale=(scale, 2 * scale), units=(unit, unit))
    data, attributes, _ = layer.as_layer_data_tuple()
    (path,) = write_image(str(tmp_path / "a.tif"), data, attributes)
    with tifffile.TiffFile(path) as tiff:
        assert tiff.imagej_metadata["unit"] == stored
    micrograph = read_micrograph(path)
    np.testing.assert_array_equal(micrograph.pixels, PIXELS)
    assert micrograph.calibration.scale == pytest.approx((size, 2 * size), rel=1e-6)
    assert micrograph.calibration.space == ("real" if stored == "nm" else "reciprocal")


@pytest.mark.parametrize(
    ("dtype", "written"),
    [("int16", "float32"), ("uint32", "uint16"), ("float64", "float32"), ("uint8", "uint8")],
)
def test_tiff_of_other_types(tmp_path, dtype, written):
    data = np.arange(-6 if dtype == "int16" else 0, 6).astype(dtype).reshape(2, -1)
    (path,) = write_image(str(tmp_path / "a.tif"), data, {"scale": (1.0, 1.0)})
    image = tifffile.imread(path)
    assert image.dtype == written
    np.testing.assert_array_equal(image, data)
    with tifffile.TiffFile(path) as tiff:
        assert "unit" not in tiff.imagej_metadata


def test_tiff_of_a_stack_and_of_labels(tmp_path):
    stack = Image(np.stack([PIXELS] * 3), scale=(1, 0.02, 0.02), units=("pixel", "nm", "nm"))
    data, attributes, _ = stack.as_layer_data_tuple()
    (path,) = write_image(str(tmp_path / "s.tif"), data, attributes)
    assert tifffile.imread(path).shape == (3, 40, 48)
    labels = Labels(np.arange(12).reshape(3, 4), scale=(0.5, 0.5), units=("nm", "nm"))
    (path,) = write_image(str(tmp_path / "l.tif"), *labels.as_layer_data_tuple()[:2])
    np.testing.assert_array_equal(tifffile.imread(path), labels.data)


def test_tiff_of_what_it_cannot_hold_is_refused(tmp_path):
    with pytest.raises(RuntimeError, match="4 axes"):
        write_image(str(tmp_path / "a.tif"), np.zeros((2, 2, 2, 2)), {})
    with pytest.raises(RuntimeError, match="one axis is in nanometer"):
        write_image(str(tmp_path / "a.tif"), PIXELS, {"units": ("nanometer", "1 / nanometer")})


def test_napari_offers_both_writers(tmp_path):
    viewer = ViewerModel()
    viewer.add_image(PIXELS, scale=(0.02, 0.02), units=("nm", "nm"), name="film")
    (path,) = viewer.layers.save(str(tmp_path / "film.tif"), plugin="napari-tem-fft")
    assert read_micrograph(path).pixel_size == pytest.approx((0.02, 0.02))
    (path,) = viewer.layers.save(str(tmp_path / "film.temfft"))
    viewer.open(path, plugin="napari-tem-fft")
    assert [layer.name for layer in viewer.layers] == ["film", "film [1]"]


def test_napari_says_why_nothing_is_saved(viewer, tmp_path, monkeypatch):
    def refuse(path, document):
        raise ValueError("two images are the same")

    monkeypatch.setattr("napari_tem_fft.plugin.writer.save_temfft", refuse)
    with pytest.raises(RuntimeError, match="two images are the same"):
        viewer.layers.save(str(tmp_path / "all.temfft"), plugin="napari-tem-fft")
