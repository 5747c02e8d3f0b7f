"""What is copied as a command and as Python gives the result of the window again."""

import re
import shlex
from dataclasses import replace

import numpy as np
import pytest
from napari.layers import Layer
from qtpy.QtGui import QGuiApplication

from dm_writer import write_dm
from forward_model import fringes, white_noise
from mouse import press
from napari_tem_fft.api import load, read
from napari_tem_fft.cli.main import main
from napari_tem_fft.core.matching import PhaseOverride
from napari_tem_fft.core.reanalysis import reanalyse_after_specimen_edit
from napari_tem_fft.io.results.overrides import read_specimen
from napari_tem_fft.plugin.reader import read_layers
from napari_tem_fft.widgets.session.runner import messages

PIXEL = 0.03
OWN = "d_nm\n0.2035\n0.1762\n0.1246\n"


@pytest.fixture
def image_file(tmp_path):
    """Two grains in noise: copper along [011], and one set of fringes."""
    shape = (300, 320)
    y, x = np.mgrid[: shape[0], : shape[1]] * PIXEL
    copper = ((0.2087, 20.0), (0.1808, 74.74), (0.2087, 129.47), (0.1278, 164.74))
    image = white_noise(shape, 1)
    image += (np.hypot(y - 3.2, x - 3.2) < 2.4) * sum(fringes(shape, (PIXEL, PIXEL), *p) for p in copper)
    image += (np.hypot(y - 6.4, x - 7.0) < 2.0) * fringes(shape, (PIXEL, PIXEL), 0.2415, 110.0)
    return write_dm(tmp_path / "two grains.dm4", image.astype(np.float32), PIXEL, "nm")


def copied(dock, kind):
    press(dock.copies[kind])
    return QGuiApplication.clipboard().text()


def results(dock, tmp_path, micrograph=None):
    """The analyses of the window, of the copied Python and of the copied command."""
    scope = {}
    exec(copied(dock, "Python"), scope)
    command = copied(dock, "Command")
    words = [str(tmp_path) if word == "results" else word for word in shlex.split(command)]
    assert words[0] == "napari-tem-fft" and main(words[1:]) == 0
    (folder,) = [path.parent for path in tmp_path.glob("*/analysis.json")]
    return dock.session.current.analysis, scope["result"], load(folder, micrograph)


def assert_same(one, other):
    assert one.micrograph.shape == other.micrograph.shape
    np.testing.assert_allclose(one.micrograph.pixel_size, other.micrograph.pixel_size, rtol=1e-12)
    assert one.micrograph.calibration.uncertainty == pytest.approx(other.micrograph.calibration.uncertainty)
    assert replace(one.params, network="") == replace(other.params, network="")  # none in either
    assert {phase.id for phase in one.phases} == {phase.id for phase in other.phases}
    enabled = [sorted(spot.g for spot in each.spots if spot.enabled) for each in (one, other)]
    np.testing.assert_allclose(*enabled, rtol=1e-4, atol=1e-5)
    for a, b in zip(one.components, other.components, strict=True):
        assert (a.name, a.outcome, a.grains) == (b.name, b.outcome, b.grains)
        assert (a.area, a.fraction) == pytest.approx((b.area, b.fraction), rel=2e-3)
    assert [(d.grain, d.phase, d.kind) for d in one.decisions] == [
        (d.grain, d.phase, d.kind) for d in other.decisions
    ]


def check(dock, tmp_path, micrograph=None):
    window, python, command = results(dock, tmp_path / "out", micrograph)
    assert_same(window, python)
    assert_same(window, command)
    return window


def opened(viewer, dock, path, **candidates):
    layer = viewer.add_layer(Layer.create(*read_layers(str(path))[0]))
    dock.candidates.names.setText(candidates.get("names", ""))
    dock.candidates.elements.setText(candidates.get("elements", ""))
    return layer


def test_a_plain_run_beside_another_image(viewer, dock, image_file, grain_file, run, tmp_path):
    opened(viewer, dock, grain_file, names="LiF")
    run(dock.session, lambda: press(dock.run))
    assert not dock.copies["Python"].isHidden() and dock.copies["Python"].isEnabled()
    opened(viewer, dock, image_file, elements="Cu, Li, O")
    assert not dock.copies["Python"].isEnabled()  # this one was not analysed yet
    run(dock.session, lambda: press(dock.run))
    window = check(dock, tmp_path)
    assert "Cu" in [component.name for component in window.components]
    assert "'" + str(image_file) + "'" in copied(dock, "Command")


def test_everything_that_can_be_stated_and_done(viewer, dock, image_file, run, tmp_path, monkeypatch):
    own = tmp_path / "mine.csv"
    own.write_text(OWN)
    dock.candidates.add_files([own])
    opened(viewer, dock, image_file, names="Cu, Li2O, LiF, mine")
    dock.uncertainty.setValue(1.25)
    dock.session.stage.image.scale = (0.0303, 0.0303)
    params = dock.params.value
    dock.params.value = replace(params, spots=replace(params.spots, false_alarms=0.02))
    state = run(dock.session, lambda: press(dock.run))
    weakest = min((s for s in state.spots if s.enabled), key=lambda spot: spot.snr)
    run(dock.session, lambda: dock.session.edits.enable([weakest.id], False))
    run(dock.session, lambda: dock.session.edits.point((-weakest.g[0] * 0.8, weakest.g[1] * 1.1)))
    grain = next(match.grain for match in state.matches if "Cu" in match.phases)
    centre = next(one.centre for one in state.grains if one.id == grain)
    override = PhaseOverride(grain, "Li2O", "override", centre)
    run(dock.session, lambda: dock.session.decide([override]))
    mask = np.array(state.analysis.specimen)
    mask[:, -mask.shape[1] // 5 :] = False
    steps = reanalyse_after_specimen_edit(state.analysis, mask)
    run(dock.session, lambda: dock.session.follow(state, steps))
    window = check(dock, tmp_path)
    assert "Li2O" in [component.name for component in window.components]
    assert window.specimen_by_user and window.micrograph.pixel_size[0] == 0.0303
    text = copied(dock, "Command")
    assert "--false-alarms=0.02" in text and f"--delete-spots {weakest.id}" in text


def test_a_region_of_interest(viewer, dock, image_file, run, tmp_path):
    opened(viewer, dock, image_file, elements="Cu, Li, O")
    triangle = np.array([(0.5, 0.4), (0.6, 6.2), (8.6, 3.1)])
    viewer.add_shapes([triangle], shape_type="polygon", units=("nm", "nm"), axis_labels=("y", "x"))
    run(dock.session, lambda: press(dock.part))
    window = check(dock, tmp_path)
    assert window.micrograph.roi.corners


def test_a_frame_of_a_stack(viewer, dock, run, tmp_path):
    frames = np.array([white_noise((200, 200), n) + fringes((200, 200), (PIXEL,) * 2, 0.2087, 20.0 * n)
                       for n in range(3)], np.float32)  # fmt: skip
    path = write_dm(tmp_path / "movie.dm4", frames, (1.0, PIXEL, PIXEL), ("s", "nm", "nm"))
    opened(viewer, dock, path, names="Cu")
    viewer.dims.set_current_step(0, 2)
    run(dock.session, lambda: press(dock.run))
    check(dock, tmp_path)
    assert "--frame 2" in copied(dock, "Command")


def test_an_image_without_a_file_says_what_to_do(viewer, dock, run):
    image = white_noise((200, 200), 1) + fringes((200, 200), (PIXEL, PIXEL), 0.2035, 20.0)
    viewer.add_image(image, scale=(PIXEL, PIXEL), units=("nm", "nm"), axis_labels=("y", "x"))
    run(dock.session, lambda: press(dock.run))
    QGuiApplication.clipboard().setText("before")
    said = []
    messages.told.connect(said.append)
    assert copied(dock, "Command") == "before"
    messages.told.disconnect(said.append)
    assert len(said) == 1 and re.search(r"save it .*, open the saved file", said[0])


def test_an_image_of_a_reopened_document_is_that_one(viewer, dock, run, tmp_path):
    dock.candidates.names.setText("Cu")
    for name, d in (("first", 0.2035), ("second", 0.2512)):
        image = white_noise((200, 200), 1) + fringes((200, 200), (PIXEL, PIXEL), d, 20.0)
        viewer.add_image(image, name=name, scale=(PIXEL, PIXEL), units=("nm", "nm"), axis_labels=("y", "x"))
        run(dock.session, lambda: press(dock.run))
    (path,) = viewer.layers.save(str(tmp_path / "both.temfft"), plugin="napari-tem-fft")
    viewer.layers.clear()
    run(dock.session, lambda: viewer.open(path, plugin="napari-tem-fft"))
    for number, (name, d) in enumerate((("first", 0.2035), ("second", 0.2512))):
        dock.session.choose(viewer.layers[name])
        assert f"--image {number}" in copied(dock, "Command")
        window = check(dock, tmp_path / name, read(path, image=number))
        assert window.spots[0].d == pytest.approx(d, rel=2e-3)


@pytest.mark.parametrize("word", ["mask:", "mask:2x2:!", "mask:9x9:eJw=", "mask:99999x99999:eJxjAAAAAQAB"])
def test_a_mask_that_was_not_copied_as_a_whole_is_refused(word):
    with pytest.raises(ValueError, match="copy the whole command"):
        read_specimen(word)
