"""The canvas of plots: texts are made once, and what nobody sees is not drawn."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from napari_tem_fft.widgets.plots import canvas as _plot
from napari_tem_fft.widgets.plots import canvas as _quick_text
from napari_tem_fft.widgets.plots.canvas import QuickText, ThemedCanvas

STYLE = {"rotation": 90, "ha": "center", "va": "top", "fontsize": 9.0, "color": "#000000"}


@pytest.fixture
def canvas(qtbot):
    canvas = ThemedCanvas("dark")
    qtbot.addWidget(canvas)
    canvas.figure.add_subplot()
    return canvas


def drawn(make):
    figure = Figure(figsize=(2, 1))
    canvas, axes = FigureCanvasAgg(figure), figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    make(axes)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].astype(float)


def test_quick_text_looks_like_text():
    words = "0.2345\n$1\\overline{1}1$"
    quick = drawn(lambda axes: QuickText(axes, 0.5, 0.9, words, axes.transAxes, **STYLE))
    usual = drawn(lambda axes: axes.add_artist(Text(0.5, 0.9, words, transform=axes.transAxes, **STYLE)))
    assert (usual < 128).sum() > 200
    assert abs(quick - usual).mean() < 0.1 * abs(255 - usual).mean()


def test_quick_text_is_cut_by_the_axes():
    def outside(axes):
        axes.set_position((0, 0, 0.4, 1))
        QuickText(axes, 2.0, 0.9, "outside", axes.transAxes, clip_on=True, **STYLE)

    assert (drawn(outside) == 255).all()


def test_many_new_texts_are_drawn_over_some_turns(canvas, qtbot, monkeypatch):
    monkeypatch.setattr(_plot, "AT_ONCE", 0.0)
    monkeypatch.setattr(_quick_text, "_pictures", {})
    canvas.draw()
    axes = canvas.figure.axes[0]
    texts = [QuickText(axes, 0.1 * i, 0.9, f"{i}", axes.transAxes, fontsize=9.0) for i in range(5)]
    canvas.redraw_moving(texts)
    assert not texts[0].ready()
    monkeypatch.setattr(_plot, "AT_ONCE", 10.0)
    qtbot.waitUntil(lambda: all(text.ready() for text in texts))


def test_a_hidden_plot_is_drawn_when_it_is_seen(canvas, qtbot):
    times = []
    canvas.mpl_connect("draw_event", lambda event: times.append(1))
    canvas.redraw()
    qtbot.wait(20)
    assert not times
    canvas.show()
    qtbot.waitUntil(lambda: times == [1])
