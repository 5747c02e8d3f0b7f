"""Lengths in nm or in Angstrom, everywhere at once, by one preference that napari remembers."""

import pytest
from napari.settings import get_plugin_settings

from napari_tem_fft.core.text import frequency, spacing
from napari_tem_fft.widgets.canvas.cursor import describe
from napari_tem_fft.widgets.canvas.tools import angle_words
from napari_tem_fft.widgets.docks.calibration import CalibrationDock
from napari_tem_fft.widgets.docks.phases import PhasesDock
from napari_tem_fft.widgets.docks.profile import ProfileDock
from napari_tem_fft.widgets.forms.choices import NetworkChoice
from napari_tem_fft.widgets.session.selection import peak_chosen, spot_chosen


@pytest.fixture
def settings(plugin_settings):
    """The plugin's own, as napari's Preferences page changes them."""
    return get_plugin_settings("napari-tem-fft")


def test_lengths_in_words():
    assert spacing(0.23456, 0.0012) == "0.2346 ± 0.0012 nm"
    assert spacing(0.23456, 0.0012, "angstrom") == "2.346 ± 0.012 Å"
    assert frequency(4.255) == "4.255 nm⁻¹" and frequency(4.255, "angstrom") == "0.4255 Å⁻¹"
    assert describe((0.0, 4.0), (), "angstrom") == "d = 2.500 Å   g = 0.4000 Å⁻¹   0.0°"


def test_the_preference_reaches_every_picture_and_table(settings, viewer, dock, analysed):
    docks = {kind: kind(viewer) for kind in (ProfileDock, PhasesDock, CalibrationDock)}
    for widget in docks.values():
        viewer.window.add_dock_widget(widget, area="bottom")
    plot, labels = docks[ProfileDock].plot, analysed.group["rings"].features["label"]
    before = [text for text in labels if text]
    assert before and all(text.endswith(" nm") for text in before)
    settings.numbers.angstrom = True  # as on napari's Preferences page
    assert [t for t in analysed.group["rings"].features["label"] if t] == [
        spacing(float(text.split()[0]), unit="angstrom") for text in before
    ]
    texts = [text.get_text() for text in plot.axes.texts]
    assert "g (Å⁻¹)" in texts and "d (Å)" in texts
    assert plot.upper.get_xticklabels()[0].get_text() == f"{10 * plot.upper.get_xticks()[0]:g}"
    assert docks[PhasesDock].angstrom.isChecked()
    assert docks[PhasesDock].tree.headerItem().text(4) == "d (Å)"
    assert docks[CalibrationDock].tree.headerItem().text(1) == "d measured\n(Å)"
    assert "Å" in docks[CalibrationDock].feature.itemText(0) and docks[CalibrationDock].d.suffix() == " Å"
    spot = analysed.spots[0]
    assert f"{10 * spot.d:.3f}" in spot_chosen(analysed, spot).words
    assert "Å" in peak_chosen(analysed, plot.view.peaks()[0]).words
    assert angle_words((1.0, 0.0), (0.0, 4.0)).startswith("90.00° between d = 10.000 Å and d = 2.500 Å")
    docks[PhasesDock].angstrom.setChecked(False)
    assert not settings.numbers.angstrom and list(analysed.group["rings"].features["label"]) == list(labels)


def test_a_known_d_stays_the_same_length(settings, viewer, dock, analysed):
    calibration = CalibrationDock(viewer)
    viewer.window.add_dock_widget(calibration, area="bottom")
    calibration.d.setValue(0.2338)
    settings.numbers.angstrom = True
    assert calibration.d.value() == pytest.approx(2.338)
    calibration.add.click()
    assert calibration.tree.topLevelItem(0).text(3) == "2.3380"
    settings.numbers.angstrom = False
    assert calibration.tree.topLevelItem(0).text(3) == "0.23380" and calibration.d.value() == pytest.approx(
        0.2338
    )


def test_the_network_is_remembered(settings, dock, tmp_path):
    choice = dock.network
    choice.list.setCurrentIndex(0)
    choice._on_activated(0)
    assert settings.network.model == "none" and NetworkChoice(dock.session.network).value == ""
    settings.network.model = str(tmp_path / "gone")  # a model that was removed since
    assert NetworkChoice(dock.session.network).value == ""
    choice.reset()
    assert settings.network.model == ""
