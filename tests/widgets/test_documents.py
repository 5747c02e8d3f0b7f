"""An analysis saved from a viewer and opened again, with the dock or without."""

from napari_tem_fft.io.exchange.temfft import load_temfft, save_temfft
from napari_tem_fft.layers.results import KEY


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


def test_without_the_dock_the_layers_are_there(viewer, analysed, tmp_path, make_napari_viewer):
    path = save_temfft(tmp_path / "grain.temfft", analysed.analysis)
    other = make_napari_viewer()
    other.open(str(path), plugin="napari-tem-fft")
    assert names(other) == names(viewer)
    assert [str(unit) for unit in other.layers.units] == ["nanometer", "nanometer"]
