"""A NeXus file, read back by the nexusformat package, has data, axes with units, and provenance."""

import numpy as np
import pytest

from napari_tem_fft.io.exchange.nexus import write_nexus
from small_analysis import GRID, PIXEL_SIZE, SHAPE, small_analysis


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    nexus = pytest.importorskip("nexusformat.nexus")
    return nexus.nxload(str(write_nexus(tmp_path_factory.mktemp("nexus") / "analysis.nxs", small_analysis())))


def test_the_default_plot_is_the_micrograph_in_nm(root) -> None:
    entry = root[root.attrs["default"]]
    assert entry["definition"].nxvalue == "NXem" and entry.nxclass == "NXentry"
    image = root["entry1/measurement/event1/image1/image_2d"]
    assert root.plottable_data.nxpath == image.nxpath
    np.testing.assert_array_equal(image.nxsignal.nxvalue, small_analysis().micrograph.pixels)
    for axis, size, step in zip(image.nxaxes, SHAPE, PIXEL_SIZE, strict=True):
        assert axis.attrs["units"] == "nm"
        np.testing.assert_allclose(axis.nxvalue, (np.arange(size) + 0.5) * step)


def test_maps_phases_and_grains_are_there(root) -> None:
    roi, analysis = root["entry1/roi1"], small_analysis()
    np.testing.assert_array_equal(
        roi["components"].nxsignal.nxvalue, [component.heat for component in analysis.components]
    )
    assert [str(name) for name in roi["components/names"].nxvalue] == ["LiF / mine", "unknown crystal"]
    assert roi["components/axis_i"].nxvalue[-1] == pytest.approx(GRID.pixel_size[1] * (GRID.shape[1] - 0.5))
    assert roi["phase1/name"].nxvalue == "LiF" and roi["phase1/unit_cell/a"].attrs["units"] == "nm"
    assert "unit_cell" not in roi["phase2"]  # only d-spacings of it are known
    assert roi["grains/area_nm2"].nxvalue.tolist() == [3.84, 4.8]
    assert roi["grains/area_nm2"].attrs["units"] == "nm^2"


def test_input_software_and_microscope_are_told_and_nothing_is_invented(root) -> None:
    entry = root["entry1"]
    assert (entry["note1/file_name"].nxvalue, entry["note1/checksum"].nxvalue) == ("small.dm4", "ab12")
    assert entry["profiling/program1/program"].attrs["version"]
    assert entry["measurement/event1/instrument/ebeam_column/electron_source/voltage"].nxvalue == 300e3
    assert "start_time" not in entry and "is_simulation" not in entry["sample1"]
