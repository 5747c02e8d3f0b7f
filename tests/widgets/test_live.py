"""The FFT of a part of the image, following a rectangle."""

import numpy as np
import pytest

from napari_tem_fft.layers.image import KEY


@pytest.fixture
def live(viewer, dock, grain_file, qtbot):
    """The live FFT on a fresh image, after its first transform."""
    viewer.open(str(grain_file), plugin="napari-tem-fft")
    with qtbot.waitSignal(dock.live_fft.runner.stopped):
        dock.live.setChecked(True)
    return dock.live_fft


def names(viewer):
    return [layer.name for layer in viewer.layers]


def drag(viewer, corner, side):
    """Put the rectangle elsewhere, as a drag does."""
    part = viewer.layers["ROI · grain"]
    corners = ((0, 0), (0, 1), (1, 1), (1, 0))
    part.data = [np.array([np.array(corner) + side * np.array(c) for c in corners])]


def strongest(layer):
    """|g| of the strongest cell beyond 2 1/nm."""
    steps = np.array(layer.metadata[KEY]["step_1_nm"])
    y, x = np.indices(layer.data.shape) - (np.array(layer.data.shape)[:, None, None] - 1) / 2
    radius = np.hypot(y * steps[0], x * steps[1])
    return radius.flat[np.argmax(np.where(radius > 2, layer.data, -9))]


def test_rectangle_and_its_fft_appear(viewer, live):
    assert names(viewer) == ["grain", "ROI · grain", "Live FFT (ROI) · grain"]
    assert [str(unit) for unit in viewer.layers.units] == ["nanometer"] * 2
    assert viewer.layers["ROI · grain"].mode == "select"


def test_both_go_with_the_dock(viewer, dock, live, qtbot):
    """Another image would be shown with them as soon as the dock is open again."""
    viewer.window.remove_dock_widget(dock)
    assert names(viewer) == ["grain"]
    with qtbot.waitSignal(dock.destroyed):
        dock.deleteLater()


def test_fft_follows_the_rectangle(viewer, live, qtbot):
    fft = viewer.layers["Live FFT (ROI) · grain"]
    with qtbot.waitSignal(live.runner.stopped):
        drag(viewer, (1.6, 1.0), 3.9)
    assert strongest(fft) == pytest.approx(1 / 0.235, rel=0.08) or strongest(fft) == pytest.approx(
        1 / 0.2035, rel=0.08
    )
    inside = fft.data.max()
    with qtbot.waitSignal(live.runner.stopped):
        drag(viewer, (5.5, 5.5), 1.5)
    assert fft.data.max() < inside


def test_step_is_that_of_the_part(viewer, live, qtbot):
    with qtbot.waitSignal(live.runner.stopped):
        drag(viewer, (1.0, 1.0), 3.0)
    steps = viewer.layers["Live FFT (ROI) · grain"].metadata[KEY]["step_1_nm"]
    assert steps == pytest.approx((1 / 3.03, 1 / 3.03), rel=0.02)


def test_too_small_or_no_rectangle_is_borne(viewer, live):
    drag(viewer, (1.0, 1.0), 0.1)
    viewer.layers["ROI · grain"].data = []
    assert not live.runner.running


def test_switched_off_it_leaves_nothing(viewer, dock, live):
    dock.live.setChecked(False)
    assert names(viewer) == ["grain"]


def test_it_lies_over_the_whole_fft_and_below_the_mask(viewer, dock, analysed, qtbot):
    with qtbot.waitSignal(dock.live_fft.runner.stopped):
        dock.live.setChecked(True)
    order = names(viewer)
    assert order.index("FFT · grain") + 1 == order.index("Live FFT (ROI) · grain")
    live, whole = viewer.layers["Live FFT (ROI) · grain"], analysed.group["fft"]
    assert live.metadata[KEY]["centre"] == whole.metadata[KEY]["centre"]


def test_uncalibrated_image_is_refused(viewer, dock):
    viewer.add_image(np.random.default_rng(0).normal(size=(128, 128)))
    dock.live.setChecked(True)
    assert not dock.live.isChecked()
    assert len(viewer.layers) == 1


def test_ten_pictures_a_second(viewer, dock, qtbot):
    """The transform of 512 x 512 pixels alone, without a canvas, leaves time for ten a second."""
    import time

    noise = np.random.default_rng(0).normal(size=(1024, 1024)).astype(np.float32)
    viewer.add_image(noise, scale=(0.02, 0.02), units=("nm", "nm"), name="grain")
    with qtbot.waitSignal(dock.live_fft.runner.stopped):
        dock.live.setChecked(True)
    start = time.perf_counter()
    for i in range(5):
        with qtbot.waitSignal(dock.live_fft.runner.stopped):
            drag(viewer, (0.2 * i, 0.2), 10.24)
    assert (time.perf_counter() - start) / 5 < 0.5
