from itertools import pairwise

import numpy as np
import pytest
from matplotlib.text import Text
from napari.layers import Layer
from qtpy.QtCore import Qt
from qtpy.QtGui import QGuiApplication
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QDialogButtonBox

from mouse import press as press_on
from napari_tem_fft.core.profile.radial_profile import ProfilePeak, RadialProfile
from napari_tem_fft.plugin.reader import read_layers
from napari_tem_fft.widgets.docks.profile import ProfileDock
from napari_tem_fft.widgets.plots.profile_plot import PhaseLines, ProfilePlot, ProfileView


def profile(curve, *centres):
    g = np.linspace(1.5, 9.5, 161)
    background = np.ones_like(g)
    shapes = [3 * np.exp(-0.5 * ((g - c) / 0.05) ** 2) for c in centres]
    peaks = [ProfilePeak(c, 0.001, 0.05, 3.0, 10.0 + c, curve) for c in centres]
    return RadialProfile(curve, g, background + sum(shapes), background, tuple(peaks))


@pytest.fixture
def plot(qtbot):
    plot = ProfilePlot("dark")
    qtbot.addWidget(plot)
    plot.resize(700, 220)
    return plot


def labels(plot):
    return [text for text in plot.axes.texts if text.get_rotation() == 90]


def test_empty_plot_says_what_it_is_for(plot):
    assert "once an image is analysed" in plot.axes.texts[0].get_text()


def test_peaks_are_labelled_by_d(plot):
    plot.show_view(ProfileView([profile("masked", 4.0, 5.0)]))
    assert [text.get_text() for text in labels(plot)] == ["0.2500", "0.2000"]


def test_labels_do_not_overlap(plot):
    plot.show_view(ProfileView([profile("masked", *np.linspace(4, 4.5, 12))]))
    plot.draw()
    boxes = sorted((Text.get_window_extent(text) for text in labels(plot)), key=lambda box: box.x0)
    assert len(boxes) == 12
    assert all(a.x1 <= b.x0 + 0.5 for a, b in pairwise(boxes))


def test_names_of_reflections_stand_in_a_second_line_where_there_is_room(plot):
    view = ProfileView([profile("masked", 4.0, 5.0)], names=("1 1 1", ""))
    plot.show_view(view)
    assert [text.get_text() for text in labels(plot)] == ["0.2500\n1 1 1", "0.2000\n"]
    many = np.linspace(4, 9, 29)
    plot.show_view(ProfileView([profile("masked", *many)], names=("1 1 1",) * 29))
    assert not any("1 1 1" in text.get_text() for text in labels(plot))


def test_another_edit_draws_the_curves_only(plot, monkeypatch):
    plot.show_view(ProfileView([profile("masked", 4.0, 5.0)]))
    plot.draw()
    whole = np.array(plot.buffer_rgba())
    drawn = []
    monkeypatch.setattr(plot, "draw_idle", lambda: drawn.append(1))
    plot.show_view(ProfileView([profile("masked", 4.5, 5.0)]))
    other = np.array(plot.buffer_rgba())
    assert not drawn and (whole != other).any()
    plot.draw()
    np.testing.assert_array_equal(np.array(plot.buffer_rgba()), other)


def test_curves_are_told_apart_and_chosen(plot):
    both = [profile("whole image", 4.0), profile("masked", 4.0)]
    view = ProfileView(both, curves=frozenset(("masked",)))
    assert [p.curve for p in view.drawn()] == ["masked"]
    plot.show_view(ProfileView(both))
    colours = [line.get_color() for line in plot.axes.lines]
    assert len(set(colours)) == 2


def test_upper_axis_is_in_nm(plot):
    plot.show_view(ProfileView([profile("masked", 4.0)]))
    (upper,) = plot.axes.child_axes
    ticks = upper.get_xticks()
    assert 0.25 in ticks
    assert all(0.1 <= d <= 0.67 for d in ticks)


def test_background_is_subtracted_or_drawn(plot):
    view = ProfileView([profile("masked", 4.0)])
    values, base = view.values(view.profiles[0])
    assert values.max() == pytest.approx(1.0)
    assert base.max() == 0.0
    plot.show_view(ProfileView(view.profiles, above_background=False))
    assert len(plot.axes.lines) == 2


def test_logarithmic_axis(plot):
    plot.show_view(ProfileView([profile("masked", 4.0)], logarithmic=True))
    assert plot.axes.get_yscale() == "log"
    plot.draw()


def test_phase_lines_stand_below(plot):
    lines = PhaseLines("LiF", "#E69F00", (4.3, 5.0))
    plot.show_view(ProfileView([profile("masked", 4.0)], phases=(lines,)))
    assert "LiF" in [text.get_text() for text in plot.axes.texts]
    assert plot.axes.get_ylim()[0] < -0.05


def test_names_of_phases_meet_no_ticks_and_no_numbers(plot):
    lines = tuple(PhaseLines(name, "#E69F00", (1.5, 4.3)) for name in ("Li2CO3", "CaCO3_aragonite"))
    plot.show_view(ProfileView([profile("masked", 4.0)], phases=lines))
    plot.draw()
    names = [text for text in plot.axes.texts if text.get_text() in ("Li2CO3", "CaCO3_arag…")]
    boxes = [Text.get_window_extent(text) for text in names]
    numbers = [label for label in plot.axes.get_yticklabels() if label.get_text()]
    assert len(boxes) == 2 and numbers
    assert all(box.x0 >= 0 and box.x1 < plot.axes.bbox.x0 for box in boxes)
    assert not any(box.overlaps(label.get_window_extent()) for box in boxes for label in numbers)


@pytest.mark.parametrize("height", [70, 110, 160, 300])
def test_in_a_low_dock_the_curves_keep_their_share_of_the_height(plot, height):
    names = ("LiF", "Li2O", "Cu")
    rows = tuple(PhaseLines(name, "red", (4.1, 5.0), ("", ""), (1.0, 0.5)) for name in names)
    plot.figure.set_size_inches(500 / plot.figure.dpi, height / plot.figure.dpi)
    plot.show_view(ProfileView([profile("masked", 4.0, 5.0)], phases=rows))
    drawn = np.concatenate([line.get_ydata() for line in plot.axes.lines])
    bottom, top = plot.axes.get_ylim()
    assert np.ptp(drawn) > 0.2 * (top - bottom)
    named = [text.get_text() for text in plot.axes.texts if text.get_text() in names]
    seen = {70: (0, 2), 110: (0, 3), 160: (2, 1), 300: (2, 3)}  # labels go first, then rows
    assert (len(labels(plot)), len(named)) == seen[height]


def test_zoom_survives_an_edit(plot):
    plot.show_view(ProfileView([profile("masked", 4.0)]))
    plot.axes.set_xlim(3, 5)
    plot.show_view(ProfileView([profile("masked", 4.0, 4.5)]))
    assert plot.axes.get_xlim() == (3, 5)


def test_a_click_chooses_the_peak(plot, qtbot):
    plot.show_view(ProfileView([profile("masked", 4.0, 6.0)]))
    plot.draw()
    x, y = plot.axes.transData.transform((5.98, 0.5))
    with qtbot.waitSignal(plot.peak_chosen) as chosen:
        press(plot, x, y)
    assert chosen.args[0].g == 6.0


def press(plot, x, y):
    from matplotlib.backend_bases import MouseEvent

    plot.callbacks.process("button_press_event", MouseEvent("button_press_event", plot, x, y, 1))


def test_dock_follows_the_session(viewer, analysed):
    dock = ProfileDock(viewer)
    viewer.window.add_dock_widget(dock, name="profile", area="bottom")
    assert [p.curve for p in dock.plot.view.profiles] == ["whole image", "masked", "local maximum"]
    assert "maximum over local FFTs" in dock.legend.text()
    dock.curves["local maximum"].setChecked(False)
    assert "maximum over local FFTs" not in dock.legend.text()
    dock.logarithmic.setChecked(True)
    assert dock.plot.axes.get_yscale() == "log"
    peaks = [peak.d for peak in dock.plot.view.peaks()]
    assert any(d == pytest.approx(0.235, abs=0.003) for d in peaks)


def test_dock_follows_the_theme(viewer, dock):
    profile_dock = ProfileDock(viewer)
    viewer.window.add_dock_widget(profile_dock, name="profile", area="bottom")
    dark = profile_dock.plot.figure.get_facecolor()
    viewer.theme = "light"
    assert profile_dock.plot.figure.get_facecolor() != dark
    assert profile_dock.toolbar.palette().color(profile_dock.toolbar.foregroundRole()).lightness() < 128


def test_table_is_saved(viewer, analysed, tmp_path, monkeypatch, qtbot):
    dock = ProfileDock(viewer)
    viewer.window.add_dock_widget(dock, name="profile", area="bottom")
    path = tmp_path / "profile.csv"
    monkeypatch.setattr("qtpy.QtWidgets.QFileDialog.getSaveFileName", lambda *args: (str(path), ""))
    dock.save.trigger()
    header = path.read_text().splitlines()[0]
    assert header.startswith("curve,g_per_nm,d_nm")
    path = tmp_path / "plot.png"
    dock.save_plot.trigger()
    assert path.read_bytes().startswith(b"\x89PNG")
    dock.copy.trigger()
    first = QGuiApplication.clipboard().text().splitlines()[1].split("\t")
    assert float(first[0]) == pytest.approx(1 / float(first[2]), abs=2e-4)


def test_the_overview_is_saved_with_the_chosen_panels(
    viewer, dock, analysed, grain_file, tmp_path, monkeypatch, qtbot
):
    profile = ProfileDock(viewer)
    viewer.window.add_dock_widget(profile, name="profile", area="bottom")
    viewer.add_layer(Layer.create(*read_layers(str(grain_file))[0]))  # another one, not analysed
    profile.save_overview.trigger()
    assert not profile.picture.isVisible()
    dock.image.image = analysed.layer
    profile.save_overview.trigger()
    choice = profile.picture
    assert choice.isVisible()
    save = choice.buttons.button(QDialogButtonBox.StandardButton.Save)
    for panel in ("micrograph", "components", "fft", "profile"):
        press_on(choice.panels[panel])
    assert not save.isEnabled()  # a picture of nothing
    press_on(choice.panels["fft"])
    QTest.keyClick(choice.kind, Qt.Key.Key_Down)
    assert choice.kind.currentText() == "SVG"
    choice.dpi.setValue(150)
    asked = []

    def name_file(parent, title, name, kinds):
        asked.append((name, kinds))
        return str(tmp_path / "mine"), ""

    monkeypatch.setattr("qtpy.QtWidgets.QFileDialog.getSaveFileName", name_file)
    path = tmp_path / "mine.svg"
    with qtbot.waitSignal(profile.saver.stopped, timeout=60_000):
        press_on(save)
        assert not path.exists()  # it takes seconds, which the window does not wait for
    text = path.read_text(encoding="utf-8")
    assert "diffractogram, rings at d in nm" in text and "components" not in text
    assert asked == [("grain overview.svg", "Picture (*.svg)")]
    profile.save_overview.trigger()  # the choice is kept
    assert choice.dpi.value() == 150 and not choice.panels["profile"].isChecked()
    QTest.keyClick(choice, Qt.Key.Key_Escape)
    assert not choice.isVisible() and len(asked) == 1


def test_a_bar_shows_how_far_a_stretch_spreads_a_line(plot):
    lines = PhaseLines("LiF", "#E69F00", (4.0, 5.0), stretch=0.05)
    plot.show_view(ProfileView([profile("masked", 4.0)], phases=(lines,)))
    ends = [segment[:, 0] for lines in plot.axes.collections for segment in lines.get_segments()]
    assert any(np.allclose(end, (3.8, 4.2)) for end in ends)
