"""The picture of the grains."""

from importlib.resources import files
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg

from napari_tem_fft import analyse, read, select
from napari_tem_fft.core.pipeline import AnalysisParams
from napari_tem_fft.io.figures.grains import grain_picture


def test_no_title_is_cut_off() -> None:
    """Three phases with their zone axes stand above one another."""
    sample = read(Path(str(files("napari_tem_fft") / "data" / "sample.dm4")))
    phases = select(["Li2O", "Cu", "Li2CO3"])
    figure = grain_picture(analyse(sample, phases, AnalysisParams(network="none"), others=()))
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    orientations = figure.axes[0]
    assert orientations.get_title().count("\n") == 3
    for axes in figure.axes:
        extent = axes.title.get_window_extent(canvas.get_renderer())
        assert extent.x0 >= 0 and extent.x1 <= figure.bbox.x1 and extent.y1 <= figure.bbox.y1
