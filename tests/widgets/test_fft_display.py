"""Window, scale and contrast of the FFT, and the inverse FFT in the place of the maps, among two images."""

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication
from superqt import QCollapsible

from mouse import press_on_canvas
from napari_tem_fft.layers.image import KEY
from napari_tem_fft.layers.results import plane_of

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def controls(two_images):
    """The controls, unfolded and in sight."""
    section = two_images.fft_display.parentWidget()
    while not isinstance(section, QCollapsible):
        section = section.parentWidget()
    section.expand(animate=False)
    QApplication.processEvents()
    return two_images.fft_display


def choose(box, key, qtbot, form):
    """Choose the next or former entry by its key."""
    box.setFocus()
    QTest.keyClick(box, key)
    qtbot.waitUntil(lambda: not form._runner.running, timeout=60_000)
    QApplication.processEvents()


def state_of(dock, name):
    return next(state for state in dock.session._image_states.values() if state.layer.name == name)


def test_window_scale_and_contrast_are_of_one_image_and_stay_with_it(two_images, controls, qtbot, run):
    session = two_images.session
    fft, other = session.current.group["fft"], state_of(two_images, "first").group["fft"]
    spots, others = session.current.spots, np.array(other.data)
    hann, limits = np.array(fft.data), tuple(fft.contrast_limits)
    assert controls.layer is fft and controls.contrast.value() == pytest.approx(limits, abs=0.01)
    choose(controls.window_kind, Qt.Key.Key_Down, qtbot, controls)
    assert (
        controls.window_kind.currentText() == "Hamming" and fft.metadata[KEY]["look"]["window"] == "hamming"
    )
    assert fft.data.shape == hann.shape and not np.allclose(fft.data, hann)
    assert tuple(fft.contrast_limits) == limits and session.current.spots == spots
    for _ in range(2):
        choose(controls.scale, Qt.Key.Key_Down, qtbot, controls)
    assert controls.scale.currentText() == "linear"
    assert fft.data.min() >= 0 and fft.contrast_limits[0] == 1.0
    assert np.array_equal(other.data, others)

    controls.gamma.setValue(0.5)
    assert fft.gamma == 0.5
    fft.gamma = 2.0  # by napari's own slider
    assert controls.gamma.value() == 2.0
    fft.contrast_limits = (2.0, 9.0)
    assert controls.contrast.value() == pytest.approx((2.0, 9.0))
    QTest.mouseClick(controls.auto, LEFT)
    assert fft.gamma == 1.0 and fft.contrast_limits[0] == 1.0 and fft.contrast_limits[1] != 9.0

    session.choose(state_of(two_images, "first").layer)
    assert controls.layer is other and controls.scale.currentText() == "log"
    assert controls.window_kind.currentText() == "Hann" and not np.isclose(controls.contrast.value()[0], 1.0)
    session.choose(state_of(two_images, "second").layer)
    assert controls.scale.currentText() == "linear"
    linear = np.array(fft.data)
    run(session, lambda: session._show_again(session.current, session.current.analysis))
    qtbot.waitUntil(lambda: "look" in fft.metadata[KEY], timeout=60_000)  # shown anew as it was looked at
    assert np.array_equal(fft.data, linear)


def test_the_inverse_fft_of_the_selection_or_the_mask_is_shown_by_one_button(two_images, qtbot):
    session, viewer, state = two_images.session, two_images.session.viewer, two_images.session.current
    heat = [state.group[role] for role in state.group.roles if role.startswith("heat")]
    inverse = state.group["ifft"]
    assert not inverse.visible and all(layer.visible for layer in heat)
    QTest.mouseClick(two_images.inverse, LEFT, pos=two_images.inverse.rect().center())
    if not two_images.inverse.isChecked():  # a style whose box alone takes clicks
        QTest.keyClick(two_images.inverse, Qt.Key.Key_Space)
    assert inverse.visible and not any(layer.visible for layer in heat)
    plane = plane_of(state.group["fft"].metadata)
    press_on_canvas(viewer, plane.world(state.spots[0].g))
    qtbot.waitUntil(lambda: state.group.get("fringes") is not None, timeout=60_000)
    assert state.group["fringes"].visible and not inverse.visible
    assert not any(layer.visible for layer in heat)
    session.pick(None)
    assert inverse.visible
    first = state_of(two_images, "first")
    session.choose(first.layer)
    assert first.group["ifft"].visible and not inverse.visible and not state.group[heat_role(state)].visible
    session.choose(state.layer)
    assert inverse.visible and not first.group["ifft"].visible
    QTest.keyClick(two_images.inverse, Qt.Key.Key_Space)
    assert not inverse.visible and all(layer.visible for layer in heat)
    session.choose(first.layer)
    assert first.group[heat_role(first)].visible and not first.group["ifft"].visible
    qtbot.waitUntil(lambda: not session.spotlight.runner.running, timeout=60_000)


def heat_role(state):
    return next(role for role in state.group.roles if role.startswith("heat"))
