"""Viewers without a screen: Qt draws off screen, and napari is told what an OpenGL driver would say."""

import ctypes
import os
import sys
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version

import numpy as np
import pytest
from napari.layers import Layer
from napari.utils.notifications import notification_manager
from npe2 import PluginManifest
from qtpy.QtWidgets import QApplication

from dm_writer import write_dm
from forward_model import fringes
from hand import Hand
from napari_tem_fft.core.matching import Outcome
from napari_tem_fft.layers.image import KEY, micrograph_layer
from napari_tem_fft.plugin.reader import read_layers
from napari_tem_fft.widgets.docks.tem_fft import TemFftDock
from small_analysis import small_analysis
from small_network import small_model

NO_SCREEN = sys.platform not in ("darwin", "win32") and not (
    os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
)
if NO_SCREEN:
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

#: References of None that the tests of windows cannot use up: one test takes some 30 000.
MANY = 20_000_000


def takes_references_of_none() -> bool:
    """Whether the Qt binding does: PySide6 from 6.12 on, where None is not immortal (see docs/faq.md)."""
    try:
        major, minor = version("PySide6-Essentials").split(".")[:2]
    except PackageNotFoundError:
        return False
    return sys.version_info < (3, 12) and (int(major), int(minor)) >= (6, 12)


if takes_references_of_none():
    # never freed, for there will be fewer references left than it would give back
    ctypes.pythonapi.Py_IncRef(ctypes.py_object([None] * MANY))


@pytest.fixture(autouse=True)
def _driver(monkeypatch):
    """Answer napari's questions to the OpenGL driver where there is none."""
    if os.environ.get("QT_QPA_PLATFORM") == "offscreen":
        for module in ("layers.base", "layers.image", "layers.labels", "canvas"):
            monkeypatch.setattr(f"napari._vispy.{module}.get_max_texture_sizes", lambda: (16384, 2048))
        monkeypatch.setattr("napari._vispy.layers.image.get_gl_extensions", lambda: "")


#: Lattice spacings (nm) and azimuths (degrees) of the one grain of `grain_file`, and its pixel size (nm).
PLANES = ((0.235, 20.0), (0.2035, 74.7))
PIXEL = 0.03


@pytest.fixture
def grain_file(tmp_path):
    """A .dm4 of 240 x 256 pixels: one round grain with two sets of fringes, in noise."""
    shape = (240, 256)
    y, x = np.mgrid[: shape[0], : shape[1]] * PIXEL
    grain = np.hypot(y - 3.6, x - 3.0) < 2.2
    image = np.random.default_rng(1).normal(0, 1, shape)
    image += grain * sum(fringes(shape, (PIXEL, PIXEL), d, azimuth) for d, azimuth in PLANES)
    return write_dm(tmp_path / "grain.dm4", image.astype(np.float32), PIXEL, "nm")


@pytest.fixture(autouse=True)
def _statistics_alone(monkeypatch):
    """No network unless a test chooses one."""
    monkeypatch.setattr("napari_tem_fft.widgets.forms.choices.NETWORK", "")


@pytest.fixture(autouse=True)
def _plugin(npe2pm, plugin_settings, request):
    """The plugin as napari finds it, installed or not, no other, and nothing that another test chose."""
    npe2pm.register(PluginManifest.from_file(request.config.rootpath / "napari.yaml"))


@pytest.fixture(autouse=True)
def _profiles(monkeypatch, tmp_path):
    """A folder of calibration profiles in the place of the user's own."""
    for module in ("io.exchange.calibration_profile", "widgets.docks.calibration"):
        monkeypatch.setattr(f"napari_tem_fft.{module}.profiles_folder", lambda: tmp_path / "calibration")


@pytest.fixture
def model(tmp_path):
    """A model's folder."""
    small_model(tmp_path / "my model", "my model")
    return tmp_path / "my model"


@pytest.fixture
def viewer(make_napari_viewer):
    """A viewer in which nothing is left over at the end."""
    return make_napari_viewer(strict_qt=True)


@pytest.fixture
def dock(viewer):
    """The main dock in a viewer, with candidates that are quickly matched."""
    dock = TemFftDock(viewer)
    viewer.window.add_dock_widget(dock, name="TEM FFT")
    dock.candidates.names.setText("LiF, Li2O, Cu, Al")
    return dock


@pytest.fixture
def run(qtbot):
    """Call something that sends a worker off, and wait until the session is at rest again."""

    def call_and_wait(session, call):
        with qtbot.waitSignal(session.runner.stopped, timeout=60_000):
            call()
        return session.current

    return call_and_wait


@pytest.fixture
def analysed(viewer, dock, grain_file, run):
    """The findings of a finished run on `grain_file`."""
    viewer.add_layer(Layer.create(*read_layers(str(grain_file))[0]))
    return run(dock.session, dock.run.click)


@pytest.fixture
def two_images(make_napari_viewer, qtbot):
    """The main dock in a viewer on the screen, with two analysed images, of which the second is chosen."""
    if os.environ.get("QT_QPA_PLATFORM") == "offscreen":
        pytest.skip("the canvas needs an OpenGL driver")
    viewer = make_napari_viewer(show=True, strict_qt=True)
    viewer.window._qt_window.resize(1400, 900)
    dock = TemFftDock(viewer)
    viewer.window.add_dock_widget(dock, name="TEM FFT")
    dock.candidates.names.setText("LiF, Li2O, Cu, Al")
    analysis = small_analysis()
    for name in ("first", "second"):
        micrograph = replace(analysis.micrograph, name=name, pixels=analysis.micrograph.pixels + len(name))
        data, kwargs, kind = micrograph_layer(micrograph)
        kwargs["metadata"][KEY]["analysis"] = replace(analysis, micrograph=micrograph)
        viewer.add_layer(Layer.create(data, kwargs, kind))
        qtbot.waitUntil(lambda name=name: _is_shown(dock, name), timeout=60_000)
    QApplication.processEvents()
    return dock


def _is_shown(dock, name):
    current = dock.session.current
    return current is not None and current.layer.name == name and not dock.session.running


@pytest.fixture
def hand(make_napari_viewer, qtbot):
    """Somebody at a window with the plugin's docks."""
    if os.environ.get("QT_QPA_PLATFORM") == "offscreen":
        pytest.skip("the canvas needs an OpenGL driver")
    hand = Hand(make_napari_viewer(show=True, strict_qt=True), qtbot)
    notification_manager.records.clear()
    yield hand
    hand.session.pick(None)
    hand.session.cancel()
    hand.rest()


@pytest.fixture
def films(tmp_path):
    """Three micrographs of one name in folders of their own; of other sizes, scales and azimuths."""
    paths = []
    for number, (rows, columns, size) in enumerate(((200, 240, 0.03), (240, 180, 0.02), (160, 160, 0.05))):
        image = np.random.default_rng(number).normal(0, 1, (rows, columns))
        for azimuth, d in ((20.0, 0.235), (74.7, 0.2035), (129.5, 0.235)):
            image += 2 * fringes((rows, columns), (size, size), d, azimuth + 30 * number)
        (tmp_path / str(number)).mkdir()
        paths.append(write_dm(tmp_path / str(number) / "film.dm4", image.astype(np.float32), size, "nm"))
    return paths


@pytest.fixture(scope="module")
def analysis():
    """The small analysis, with two identified grains in one component."""
    analysis = small_analysis()
    first, second = analysis.matches
    first = replace(first, outcome=Outcome.IDENTIFIED, phases=("LiF",))
    component = replace(analysis.components[0], name="LiF", phases=("LiF",), grains=(1, 2))
    spots = tuple(replace(spot, enabled=True) for spot in analysis.spots)
    second = replace(first, grain=2, spots=())
    known = {"spots": spots, "matches": (first, second), "components": (component,), "decisions": ()}
    return replace(analysis, **known)


@pytest.fixture
def two(hand, analysis):
    """What is known of two analysed images; the second is shown."""
    for name in ("first", "second"):
        pixels = analysis.micrograph.pixels + (name == "second")
        micrograph = replace(analysis.micrograph, name=name, pixels=pixels)
        data, kwargs, kind = micrograph_layer(micrograph)
        kwargs["metadata"][KEY]["analysis"] = replace(analysis, micrograph=micrograph)
        layer = hand.viewer.add_layer(Layer.create(data, kwargs, kind))
        hand.until(lambda layer=layer: layer in hand.session._image_states)
        hand.rest()
    return tuple(hand.session._image_states.values())
