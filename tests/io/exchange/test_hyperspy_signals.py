"""HyperSpy opens what is written, data, axes and metadata as they were, and its signals are micrographs."""

import numpy as np
import pytest

from napari_tem_fft import from_signal, read, to_signals
from napari_tem_fft.io.exchange.hyperspy_signals import write_hspy, write_zspy, zarr_is_2
from napari_tem_fft.io.plain import ReadError
from small_analysis import GRID, PIXEL_SIZE, small_analysis


@pytest.fixture(scope="module")
def analysis():
    return small_analysis()


@pytest.fixture(scope="module")
def hs():
    return pytest.importorskip("hyperspy.api")


@pytest.mark.parametrize("suffix", ["hspy", "zspy"])
def test_files_come_back_through_hyperspy(analysis, hs, suffix, tmp_path) -> None:
    if suffix == "zspy" and not zarr_is_2():
        pytest.skip("zarr 2 is not installed, with which rosettasciio writes .zspy (extra zspy)")
    paths = {"hspy": write_hspy, "zspy": write_zspy}[suffix](tmp_path, analysis)
    signals = {path.stem: hs.load(str(path)) for path in paths}
    assert set(signals) == {"micrograph", "components", "grains", "specimen"}
    image = signals["micrograph"]
    np.testing.assert_array_equal(image.data, analysis.micrograph.pixels)
    axes = image.axes_manager.signal_axes  # x, y
    assert [(axis.name, axis.scale, axis.units) for axis in axes] == [("x", 0.03, "nm"), ("y", 0.02, "nm")]
    assert image.metadata.General.title == "small" and image.metadata.napari_tem_fft.sha256 == "ab12"
    assert image.metadata.Acquisition_instrument.TEM.beam_energy == 300.0
    maps = signals["components"]
    np.testing.assert_array_equal(maps.data, [component.heat for component in analysis.components])
    assert list(maps.metadata.napari_tem_fft.components) == ["LiF / mine", "unknown crystal"]
    assert [axis.scale for axis in maps.axes_manager.signal_axes] == list(GRID.pixel_size[::-1])
    assert maps.axes_manager.navigation_shape == (2,)
    np.testing.assert_array_equal(signals["specimen"].data, analysis.specimen)


def test_signals_in_memory_are_those_of_the_files(analysis, hs, tmp_path) -> None:
    write_hspy(tmp_path, analysis)
    for name, signal in to_signals(analysis).items():
        stored = hs.load(str(tmp_path / f"{name}.hspy"))
        np.testing.assert_array_equal(stored.data, signal.data)
        assert stored.metadata.General.title == signal.metadata.General.title
        scales = [axis.scale for axis in signal.axes_manager._axes]
        assert [axis.scale for axis in stored.axes_manager._axes] == scales


def test_a_signal_becomes_the_micrograph_again(analysis, hs, tmp_path) -> None:
    write_hspy(tmp_path, analysis)
    for back in (
        from_signal(hs.load(str(tmp_path / "micrograph.hspy"))),
        from_signal(to_signals(analysis)["micrograph"]),
        read(tmp_path / "micrograph.hspy"),
    ):
        np.testing.assert_array_equal(back.pixels, analysis.micrograph.pixels)
        assert back.pixel_size == PIXEL_SIZE and back.metadata["voltage_kV"] == 300.0


def test_units_of_a_signal_are_converted_and_stacks_refused(hs) -> None:
    signal = hs.signals.Signal2D(np.zeros((32, 48)))
    for axis in signal.axes_manager.signal_axes:
        axis.scale, axis.units = 0.25, "\u00c5"
    assert from_signal(signal, "mine").pixel_size == (0.025, 0.025)
    with pytest.raises(ReadError, match=r"a stack of 3 images; choose an image of it, such as signal.inav"):
        from_signal(hs.signals.Signal2D(np.zeros((3, 32, 48))))


def test_without_zarr_2_a_zspy_is_refused_in_words(analysis, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("napari_tem_fft.io.exchange.hyperspy_signals.version", lambda _: "3.1.6")
    with pytest.raises(ImportError, match=r"need zarr 2: write \.hspy"):
        write_zspy(tmp_path, analysis)
