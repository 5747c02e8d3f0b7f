"""An analysis saved from a viewer and opened again, with the dock or without."""

import numpy as np
from napari.layers import Layer

from napari_tem_fft.io.exchange.temfft import load_temfft, save_temfft
from napari_tem_fft.layers.image import KEY
from napari_tem_fft.plugin.reader import read_layers


def names(viewer):
    return [layer.name for layer in viewer.layers]


def test_a_finished_run_is_saved_with_its_analysis(viewer, analysed, tmp_path):
    (path,) = viewer.layers.save(str(tmp_path / "grain.temfft"), plugin="napari-tem-fft")
    document = load_temfft(path)
    assert document.analysis.spots == analysed.analysis.spots
    assert len(document.layers) == len(viewer.layers)


def test_a_document_opens_and_the_mask_is_alive(viewer, dock, analysed, run, qtbot, tmp_path):
    (path,) = viewer.layers.save(str(tmp_path / "grain.temfft"), plugin="napari-tem-fft")
    before, spots = names(viewer), analysed.spots
    analysed.group["fft"].colormap = "viridis"
    viewer.layers.clear()
    assert dock.session.current is None
    run(dock.session, lambda: viewer.open(path, plugin="napari-tem-fft"))
    current = dock.session.current
    assert names(viewer) == before
    assert current.spots == spots
    assert set(current.group.roles) >= {"fft", "mask", "spots", "bars"}
    mask = current.group["mask"]
    run(dock.session, lambda: mask.fill(cell_of(mask, spots[0]), 0))
    assert not current.spots[0].enabled
    assert names(viewer) == before


def cell_of(mask, spot):
    step, middle = mask.metadata[KEY]["step_1_nm"], [(n - 1) / 2 for n in mask.data.shape]
    return [round(g / s + m) for g, s, m in zip(spot.g, step, middle, strict=True)]


def test_an_analysis_from_the_command_line_opens_whole(viewer, dock, analysed, run, tmp_path):
    path = save_temfft(tmp_path / "grain.temfft", analysed.analysis)
    before = names(viewer)
    viewer.layers.clear()
    run(dock.session, lambda: viewer.open(str(path), plugin="napari-tem-fft"))
    assert names(viewer) == before


def test_what_the_network_said_is_a_layer_again(viewer, dock, model, grain_file, run, tmp_path):
    viewer.add_layer(Layer.create(*read_layers(str(grain_file))[0]))
    dock.network.value = str(model)
    analysis = run(dock.session, dock.run.click).analysis
    before, said = names(viewer), viewer.layers["network · grain"].data
    path = save_temfft(tmp_path / "grain.temfft", analysis)
    viewer.layers.clear()
    run(dock.session, lambda: viewer.open(str(path), plugin="napari-tem-fft"))
    assert names(viewer) == before
    np.testing.assert_allclose(viewer.layers["network · grain"].data, said, atol=0.002)


def test_without_the_dock_the_layers_are_there(viewer, analysed, tmp_path, make_napari_viewer):
    path = save_temfft(tmp_path / "grain.temfft", analysed.analysis)
    other = make_napari_viewer()
    other.open(str(path), plugin="napari-tem-fft")
    assert names(other) == names(viewer)
    assert [str(unit) for unit in other.layers.units] == ["nanometer", "nanometer"]


def test_an_image_that_was_not_run_to_its_end_comes_back_with_its_fft(
    viewer, dock, analysed, run, tmp_path, qtbot
):
    other = viewer.add_image(
        np.random.default_rng(0).normal(size=(96, 96)).astype(np.float32),
        scale=(0.05, 0.05),
        units=("nm", "nm"),
        name="other",
    )
    run(dock.session, dock.step.click)
    (path,) = viewer.layers.save(str(tmp_path / "both.temfft"), plugin="napari-tem-fft")
    before = {layer.name for layer in viewer.layers}
    viewer.layers.clear()
    qtbot.waitUntil(lambda: not dock.session.running)
    viewer.open(path, plugin="napari-tem-fft")
    qtbot.waitUntil(lambda: len(dock.session._image_states) == 2)
    assert {layer.name for layer in viewer.layers} == before
    for image in dock.image._images:
        dock.image.image = image
        qtbot.waitUntil(lambda: not dock.session.running, timeout=60_000)
        made = {layer.name.split(" · ")[-1] for layer in viewer.layers if layer.visible}
        assert made == {image.name}
    dock.image.image = viewer.layers["other"]
    assert other.name == "other" and dock.session.current.analysis is None
    run(dock.session, dock.run.click)
    assert [layer.name for layer in viewer.layers].count("FFT · other") == 1


def test_what_goes_with_a_selection_or_a_tool_is_not_saved(viewer, dock, analysed, run, tmp_path, qtbot):
    heat = next(role for role in analysed.group.roles if role.startswith("heat"))
    rings, opacity = analysed.group["rings"].visible, analysed.group[heat].opacity
    before = names(viewer)
    with qtbot.waitSignal(dock.live_fft.runner.stopped, timeout=60_000):
        dock.live.setChecked(True)
    dock.session.look_at_grain(analysed.grains[0].id)
    qtbot.waitUntil(lambda: not dock.session.spotlight.runner.running, timeout=60_000)
    assert not analysed.group["rings"].visible
    assert {"ROI · grain", "FFT · grain"} <= set(names(viewer)) and len(names(viewer)) > len(before)
    (path,) = viewer.layers.save(str(tmp_path / "grain.temfft"), plugin="napari-tem-fft")
    viewer.layers.clear()
    run(dock.session, lambda: viewer.open(path, plugin="napari-tem-fft"))
    assert names(viewer) == before
    current = dock.session.current
    assert current.group["rings"].visible == rings and current.group[heat].opacity == opacity
